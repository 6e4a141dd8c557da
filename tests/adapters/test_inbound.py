"""Reading what came back: all that is told, and nothing that is odd does more than be odd."""

from __future__ import annotations

import base64
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.adapters.inbound import (
    DEPTH,
    FIELDS,
    PARTS,
    READ,
    TEXT,
    Letter,
    Unreadable,
    decoded,
    read_letter,
    reply_code,
)
from directory.domain.incoming import Action, Status
from tests.returned import AUTOMATIC, a_letter, dsn

TO = "bounce+r1-2-3@institute.example"


def multipart(*parts: str, kind: str = "mixed", boundary: str = "b") -> bytes:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    head = f'Subject: x\nContent-Type: multipart/{kind}; boundary="{boundary}"\n\n'
    return f"{head}{body}--{boundary}--\n".encode()


# Reports


def test_a_report_is_read_recipient_by_recipient():
    more = (
        "\nOriginal-Recipient: rfc822;library@institute.example\n"
        "Final-Recipient: rfc822; books@inner.example\nAction: delayed\nStatus: 4.4.1\n"
    )
    letter = read_letter(dsn(TO, original="Parking@Institute.example", more=more))

    first, second = letter.reports
    assert (first.action, first.status) == (Action.FAILED, Status(5, 1, 1))
    assert first.recipients == ("Parking@Institute.example", "parking@institute.example")
    assert first.text == "550 5.1.1 <parking@institute.example>: no such user"
    assert (first.server, reply_code(first.text)) == ("mail.institute.example", 550)
    assert (second.action, second.status) == (Action.DELAYED, Status(4, 4, 1))
    assert second.recipients == ("library@institute.example", "books@inner.example")
    assert letter.report_type == "delivery-status"
    assert letter.returned["subject"] == ("gone",)
    assert letter.text.startswith("I'm sorry")


@pytest.mark.parametrize("action", [a.value for a in Action])
def test_every_action_is_told_apart_in_any_case(action):
    [report] = read_letter(dsn(TO, action=action.upper())).reports

    assert report.action == action


@pytest.mark.parametrize(
    ("status", "diagnostic", "told"),
    [
        ("5.0.0", "smtp; 550 5.1.1 unknown", "5.1.1"),
        ("5.0.0", "smtp; 550 no", "5.0.0"),
        ("", "smtp; 550-5.1.10 <x> not found", "5.1.10"),
        ("5.2.2 (mailbox full)", "", "5.2.2"),
        ("4.4.7", "X-Postfix; gave up", "4.4.7"),
        ("nonsense", "smtp; refused by 5.1.1.7", None),
    ],
)
def test_the_most_telling_status_counts(status, diagnostic, told):
    [report] = read_letter(dsn(TO, status=status, diagnostic=diagnostic)).reports

    assert (str(report.status) if report.status else None) == told


def test_a_group_without_an_action_we_know_says_nothing():
    letter = read_letter(dsn(TO, action="exploded"))

    assert letter.reports == ()


def test_the_sender_of_what_is_returned_is_found_in_it():
    letter = read_letter(dsn(TO, returned=f"Return-Path: <{TO}>\nSubject: x\n\nbody"))

    assert letter.returned_sender() == [TO]


# Letters


def test_a_letter_is_read_with_its_letters_and_addresses():
    letter = read_letter(
        a_letter(
            '"Li, Wei" <liwei@example.com>, log+x@institute.example',
            subject="=?utf-8?B?5YGc6L2m?= =?utf-8?Q?_at_gate?=",
            text="您好",
            Cc="Nobody <nobody@example.org>",
            In_Reply_To="<7K4M2QXD.1@contact.institute.example>",
        )
    )

    assert letter.subject == "停车 at gate"
    assert letter.author == "chenhui@institute.example"
    assert letter.addresses("to", "cc") == [
        "liwei@example.com",
        "log+x@institute.example",
        "nobody@example.org",
    ]
    assert letter.ids("in-reply-to") == ["<7K4M2QXD.1@contact.institute.example>"]
    assert letter.text == "您好\n"


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_they_like_and_an_mbox_line_is_no_field(ends):
    text = b"From bounce Mon Nov 23 12:00:00 2026\nSubject: a\n b\nTo: x@y.example\n\nhello\n"

    letter = read_letter(text.replace(b"\n", ends))

    assert (letter.subject, letter.text) == ("a b", "hello\n")
    assert set(letter.headers) == {"subject", "to"}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", base64.encodebytes("您好".encode("gb18030")).decode()),
        ("quoted-printable", "=C4=FA=BA=C3"),
    ],
)
@pytest.mark.parametrize("charset", ["GB2312", "gbk", "gb18030"])
def test_text_is_read_in_its_encoding_and_charset(encoding, body, charset):
    part = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"

    assert read_letter(multipart(part + body)).text.strip() == "您好"


def test_marked_up_text_is_read_where_there_is_no_other():
    part = "Content-Type: text/html\n\n<style>p {x: 5.1.1}</style><p>5.2.1 &amp; gone</p>"

    assert read_letter(multipart(part)).text.split() == ["5.2.1", "&", "gone"]


def test_two_authors_are_none():
    assert read_letter(a_letter("x@y.example", sender="a@b.example, c@d.example")).author == ""


@pytest.mark.parametrize(
    "quote",
    [
        "On Mon, 23 Nov 2026 at 14:00, Chen Hui <c@x.example> wrote:\n> hello",
        "在 2026年11月23日，陈辉 写道：\n> 您好",
        "-----Original Message-----\nFrom: Chen Hui",
        "-----原始邮件-----\n发件人：陈辉",
        "From: Chen Hui <c@x.example>\nSent: Monday",
        "发件人: 陈辉 <c@x.example>",
        "________________________________\nVon: x",
        "Am 23.11.2026 um 14:00 schrieb Chen Hui:",
        "Le 23 nov. 2026 à 14:00, Chen Hui a écrit :",
        "-- \nLi Wei, Example Ltd",
        "> only quoted",
    ],
)
def test_of_a_reply_the_own_words_are_told_from_what_it_answers(quote):
    letter = read_letter(
        a_letter(TO, text=f"A blue car.\n\n> quoted\nFrom here\x07 on.\n\n{quote}")
    )

    assert letter.own_words == "A blue car.\n\nFrom here on."


# P11: what a program wrote


@pytest.mark.parametrize("changes", AUTOMATIC.values(), ids=AUTOMATIC.keys())
def test_p11_what_a_program_wrote_is_known_by_each_of_its_signs(changes):
    assert read_letter(a_letter(TO, **changes)).automatic("chenhui@institute.example")


@pytest.mark.parametrize(
    ("changes", "sender"),
    [({}, ""), ({"Return_Path": "<>"}, None), ({}, "mailer-daemon@mx.example")],
)
def test_p11_the_empty_sender_is_no_person(changes, sender):
    assert read_letter(a_letter(TO, **changes)).automatic(sender)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Auto_Submitted": "no"},
        {"Precedence": "first-class"},
        {"X_Auto_Response_Suppress": "None"},
        {"subject": "Re: automatic gate at the car park"},
        {"subject": "回复：停车咨询"},
        {"subject": "Vacation parking"},
        {"sender": "Rep Lynne <noreen@institute.example>"},
    ],
)
def test_what_a_person_wrote_is_not_taken_for_a_programs(changes):
    assert read_letter(a_letter(TO, **changes)).automatic("chenhui@institute.example") == ""


# Traps


def nested(depth: int) -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth)
    )
    return b"Subject: x\n" + head + b"Content-Type: text/plain\n\nhello\n"


TRAPS = {
    "deep": nested(5_000),
    "many parts": multipart(*["\nx"] * (PARTS + 1)),
    "many fields": b"A: b\n" * (FIELDS + 1) + b"\nx",
    "a long header": b"Subject: " + b"x" * 200_000 + b"\n\nx",
    "no header": b"\n\nhello",
    "nothing": b"",
    "not a field": b"hello there\n\nx",
    "no boundary": b"Content-Type: multipart/mixed\n\n--\n",
}


@pytest.mark.parametrize("content", TRAPS.values(), ids=TRAPS.keys())
def test_what_is_too_odd_is_unreadable_and_no_other_error(content):
    with pytest.raises(Unreadable):
        read_letter(content)


BOMBS = {
    "blank lines in a report": dsn(TO).replace(b"Reporting-MTA", b"\r\n" * 400_000 + b"Reporting"),
    "boundaries in boundaries": multipart(
        *["Content-Type: text/plain\n\n" + "--bb\n" * 2_000] * (PARTS - 1)
    ),
    "encoded words": b"Subject: " + b"=?utf-8?b?" * 1_500 + b"\n\nx",
    "brackets": b"From: " + b"(" * 15_000 + b"\nTo: " + b"<" * 15_000 + b"\n\nx",
    "no at sign": b"From: " + b"a" * 15_000 + b"\n\nx",
    "angles": multipart("Content-Type: text/html\n\n" + "<" * 60_000),
    "styles": multipart("Content-Type: text/html\n\n" + "<style" * 10_000),
    "punycode": multipart("Content-Type: text/plain; charset=punycode\n\n" + "a-" * 30_000),
    "digits": multipart("Content-Type: text/plain\n\n" + "5." * 30_000),
    "a line": b"Subject: x\n\n" + b"x" * 5_000_000,
    "spaces": b"Subject:" + b" " * 60_000 + b"x\n\n" + b" \n" * 400_000,
    "returned in returned": b"Subject: x\n" + b"Content-Type: message/rfc822\n\n" * 30_000,
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_no_message_takes_long_or_much_to_read(content):
    tracemalloc.start()
    began = time.process_time()
    try:
        letter = read_letter(content)
        read = (letter.subject, letter.author, letter.automatic(""), Status.find(letter.text))
    except Unreadable:
        read = ("", "", "", None)
    took = time.process_time() - began
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(read) == 4
    assert took < 2
    assert most < 20_000_000


def test_only_so_much_of_a_message_is_looked_at():
    letter = read_letter(a_letter(TO, text="x" * (2 * READ)))

    assert len(letter.text) == TEXT
    assert read_letter(nested(DEPTH)).text == "hello\n"


@pytest.mark.parametrize(
    "text",
    ["=?utf-8?b?4?=", "=?utf-8?b?%%%?=", "=?nonsense?q?=C4?=", "=?zlib?b?eJw=?=", "=?utf-8?q?=F?="],
)
def test_broken_encoded_words_are_read_as_well_as_can_be(text):
    assert "\x00" not in decoded(f"{text} after")
    assert decoded(f"{text} after").endswith("after")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3_000), st.integers(0, 3_000))
def test_whatever_bytes_come_they_are_read_or_unreadable(noise, at):
    content = dsn(TO, returned=f"Return-Path: <{TO}>\n\n")
    for data in (noise, content[:at] + noise + content[at:], content[:at]):
        try:
            letter = read_letter(data)
        except Unreadable:
            continue
        assert isinstance(letter, Letter)
        assert isinstance(letter.automatic(None) + letter.subject + letter.author, str)
        assert letter.recipients() is not None
