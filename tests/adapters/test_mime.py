"""What is written by hand must read, to EmailMessage, as if EmailMessage had written it."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from directory.adapters.mime import addresses, alternative, list_id, token, unstructured

BOUNDARY = "=_4f1c"
LONG_HOST = "a-host-name-that-has-as-many-as-sixty-characters.example.org"

# What may reach a header: lines that were cleaned at the edge. Nothing is said about control
# characters and lone surrogates, which are refused there.
lines = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200
).map(lambda text: " ".join(text.split()) or "x")
loose_lines = st.text(
    st.one_of(st.sampled_from(' =?_utf8qbQB"\\<>@,;:().[]é中😀'), st.characters(codec="ascii")),
    min_size=1,
    max_size=120,
).map(lambda text: re.sub(r"[\x00-\x1f\x7f]", "", text).strip() or "x")
bodies = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=600)
NAUGHTY = [
    "=?utf-8?q?look-alike?=",
    "a =?utf-8?b?xx?= b",
    "[ENQ-7K4M-2QXD] Apply to study: transcript format",
    "[ENQ-7K4M-2QXD · ring] Apply",
    "[ENQ-7K4M-2QXD] 申请入学：成绩单格式能不能用PDF，还是必须寄原件？请告知具体要求",
    "x" * 998,
    "中" * 400,
    "word " * 150 + "end",
    "é" * 1500,
    "a" * 75 + " " + "b" * 75,
    'He said "no" \\ and left',
    "two  spaces",
    "🏳️‍🌈 مرحبا שלום",
    "=?",
    "?=",
    "a=?b",
    "،؛",
]


def read(*header: str) -> EmailMessage:
    data = alternative(header, "text\n", "<p>html</p>\n", boundary=BOUNDARY)
    check_lines(data)
    message = message_from_bytes(data, policy=default)
    assert message.defects == []
    return message


def check_lines(data: bytes) -> None:
    """7-bit, CRLF only, no line near 998."""
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert data.isascii()
    assert max(map(len, data.split(b"\r\n"))) <= 998


@given(st.one_of(lines, loose_lines, st.sampled_from(NAUGHTY)))
@example("x" * 998)
def test_a_subject_reads_as_it_was(text):
    field = unstructured("Subject", text)

    assert read(field)["Subject"] == text
    assert all(len(line) <= 78 for line in field.split("\r\n"))


def test_a_reference_stays_readable_in_the_source():
    field = unstructured("Subject", "[ENQ-7K4M-2QXD] 申请入学：成绩单")

    assert field.startswith("Subject: [ENQ-7K4M-2QXD] =?utf-8?b?")


@given(st.lists(st.one_of(lines, loose_lines, st.just("")), min_size=1, max_size=4))
def test_addresses_read_as_they_were(names):
    field = addresses("Reply-To", [(name, f"a{n}@example.org") for n, name in enumerate(names)])
    message = read(field)

    found = message["Reply-To"].addresses
    assert [each.addr_spec for each in found] == [f"a{n}@example.org" for n in range(len(names))]
    for each, name in zip(found, names, strict=True):
        if len(name.encode()) <= 40:
            assert each.display_name == name
        else:
            # Python's reader leaves the space between two encoded words of a name, which RFC
            # 2047 section 6.2 says to drop.
            assert each.display_name.replace(" ", "") == name.replace(" ", "")


@given(lines)
def test_a_long_name_reads_as_it_was(name):
    field = addresses("From", [(name, "a@example.org")])
    [(raw, charset), *rest] = decode_header(field.removeprefix("From: "))

    if charset is not None:
        assert raw.decode(charset) == name
        assert "".join(text.decode() for text, _ in rest).strip() == "<a@example.org>"
    else:
        assert field.split(" <")[0] == f'From: "{_escaped(name)}"'


def test_an_address_as_long_as_one_may_be_stays_whole():
    address = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example"
    field = addresses("To", [("The Admissions Office of the Institute", address)])

    assert read(field)["To"].addresses[0].addr_spec == address
    assert f"\r\n <{address}>" in field


def test_an_address_beyond_ascii_is_written_as_it_is():
    field = addresses("To", [("招生办公室", "招生@example.org")])
    data = alternative([field], "text\n", "<p>html</p>\n", boundary=BOUNDARY)

    assert data.startswith("To: =?utf-8?b?5oub55Sf5Yqe5YWs5a6k?= <招生@example.org>\r\n".encode())


@pytest.mark.parametrize("name", ["Admissions", "招生办公室", "", 'The "Real" Office'])
@pytest.mark.parametrize("host", ["contact.example", LONG_HOST])
def test_a_list_id_is_never_encoded_or_broken(name, host):
    field = list_id(name, f"admissions.{host}")

    assert f"<admissions.{host}>" in field
    shown = f'"{_escaped(name)}"' if name.isascii() and name else name
    assert read(field)["List-Id"] == f"{shown} <admissions.{host}>".lstrip()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@pytest.mark.parametrize("name", ["Message-ID", "In-Reply-To", "References"])
def test_a_long_token_is_never_encoded_or_broken(name):
    value = f"<7K4M2QXD.1@{LONG_HOST}>"

    assert token(name, value) == f"{name}: {value}"
    assert value in read(token(name, value))[name]


@pytest.mark.parametrize("value", ["a\r\nBcc: x@example.org", "a\nb", "é", "a\x00"])
def test_a_token_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="printable"):
        token("Message-ID", value)


@pytest.mark.parametrize("injected", ["a\r\nBcc: x@example.org", "a\nb", "a\rb"])
def test_a_line_break_never_begins_a_field(injected):
    with pytest.raises(ValueError, match="line break"):
        unstructured("Subject", injected)
    with pytest.raises(ValueError, match="line break"):
        addresses("From", [(injected, "a@example.org")])
    with pytest.raises(ValueError, match="line break"):
        addresses("From", [("a", injected)])
    with pytest.raises(ValueError, match="line break"):
        list_id(injected, "a.example.org")


def by_email_message(text: str, html: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "x"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="base64")
    read = message_from_bytes(bytes(message), policy=default)
    assert isinstance(read, EmailMessage)
    return read


NAUGHTY_BODIES = [
    ".\n..\n.dot\n",
    "From me\nFrom you\n>From\n",
    "a" * 5_000,
    "trailing  \ntabs\t\n \n",
    "=3D =\n=20\n",
    "中" * 2_000,
    "é" * 2_000 + " ",
    "--=_4f1c\n--=_4f1c--\n",
    "\x00\x07\x1b[31m\x7f",
    "\u2028\u2029\x85\x0b\x0c",
    "",
    "\n\n\n",
    "=?utf-8?q?x?=",
    "𝕿𝖍𝖊 𝖖𝖚𝖎𝖈𝖐 🧑‍🤝‍🧑 \u202etxet",
]


@given(st.one_of(bodies, st.sampled_from(NAUGHTY_BODIES)), bodies)
@example("a", "b\n")
def test_parts_read_as_email_message_would_have_them(text, html):
    # EmailMessage ends every text with a line break; so do our templates.
    text, html = text.rstrip("\n") + "\n", html.rstrip("\n") + "\n"
    data = alternative(["Subject: x"], text, html, boundary=BOUNDARY)
    check_lines(data)
    ours, theirs = message_from_bytes(data, policy=default), by_email_message(text, html)

    assert ours.get_content_type() == theirs.get_content_type() == "multipart/alternative"
    for mine, other in zip(ours.iter_parts(), theirs.iter_parts(), strict=True):
        assert mine.get_content_type() == other.get_content_type()
        assert mine.get_content_charset() == other.get_content_charset() == "utf-8"
        assert mine.defects == other.defects == []
    for part, original in zip(ours.iter_parts(), (text, html), strict=True):
        raw = part.get_payload(decode=True)
        assert raw.decode() == original.replace("\n", "\r\n")


@given(st.one_of(bodies, st.sampled_from(NAUGHTY_BODIES)))
def test_no_encoded_line_is_long_or_looks_like_an_envelope(text):
    data = alternative(["Subject: x"], text, "", boundary=BOUNDARY)

    assert all(len(line) <= 78 for line in data.split(b"\r\n"))
    assert b"\nFrom " not in data
