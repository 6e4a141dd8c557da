"""Header fields and parts as bytes: RFC 5322, RFC 2045 to 2047, 7-bit throughout.

``EmailMessage`` does the same and takes four times as long, most of it re-parsing what it was
just given; it also writes long tokens in List-* and References as encoded words. What is written
here is read back by it in the tests and must say the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

CRLF = "\r\n"
LINE = 78
"""Characters a line should have at most (RFC 5322 section 2.1.1); 998 is what it must."""

_PLAIN = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*\Z")
_FIRST_WORD = re.compile(r"[!-~]{1,40} (?=\S)")
_LINE_BREAK = re.compile(r"[\r\n]")
_ASCII = bytes(range(128))
# Of an encoded word's 75 characters (RFC 2047 section 2) "=?utf-8?b?" and "?=" take 12.
_WORD_OVERHEAD = 12
_WORD_ROOM = 60


def unstructured(name: str, text: str) -> str:
    """A header field of plain text ("Subject"); as encoded words where it needs them.

    Its first word stays readable in the source if it can: people search for a reference there.
    Raises ValueError for a line break, which would begin a field of its own.
    """
    _refuse_line_break(name, text)
    if _is_plain(text):
        return _folded(f"{name}: {text}")
    first = _FIRST_WORD.match(text)
    plain = first[0] if first and _is_plain(first[0][:-1]) else ""
    return _with_encoded_words(f"{name}: {plain}", text[len(plain) :])


def token(name: str, *values: str) -> str:
    """A header field whose values are taken as they are ("Message-ID"), whatever their length.

    Of several ("References") each but the first has a line of its own. Raises ValueError for
    anything but printable ASCII.
    """
    if not all(value.isascii() and value.isprintable() for value in values):
        raise ValueError(f"{name} must be printable ASCII")
    return f"{name}: {f'{CRLF} '.join(values)}"


def addresses(name: str, mailboxes: Iterable[tuple[str, str]]) -> str:
    """A header field of addresses ("From"), each a display name, which may be empty, and address.

    An address with letters beyond ASCII before its @ is written as it is; the message then needs
    SMTPUTF8 (RFC 6532). Raises ValueError for a line break.
    """
    items: list[str] = []
    for display, address in mailboxes:
        _refuse_line_break(name, display + address)
        start = " " if items else f"{name}: "
        items.append(_named(start, display, address) if display else f"{start}{address}")
    return f",{CRLF}".join(items)


def list_id(display: str, identifier: str) -> str:
    """``List-Id: "Admissions" <admissions.contact.example>`` (RFC 2919), the identifier whole."""
    _refuse_line_break("List-Id", display + identifier)
    return _named("List-Id: ", display, identifier)


def alternative(header: Sequence[str], text: str, html: str, *, boundary: str) -> bytes:
    """A whole message: *header* fields, then *text* and *html* as alternatives.

    Lines of either end with "\\n". *boundary* begins with "=_", which neither encoding produces.
    """
    lines = CRLF.join(
        (
            *header,
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
            "",
            "",
        )
    )
    between = f"--{boundary}{CRLF}".encode()
    return b"".join(
        (
            lines.encode(),
            between,
            _part("plain", text),
            b"\r\n",
            between,
            _part("html", html),
            b"\r\n--",
            boundary.encode(),
            b"--\r\n",
        )
    )


def _part(subtype: str, text: str) -> bytes:
    encoding, body = _encoded(text)
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"{CRLF}'
        f"Content-Transfer-Encoding: {encoding}{CRLF}{CRLF}"
    ).encode() + body


def _encoded(text: str) -> tuple[str, bytes]:
    """The encoding and the encoded text, whichever of the two is shorter."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"  # b2a_qp looks at the first line to see which line ends are wanted
    data = text.replace("\n", "\r\n").encode()
    beyond = len(data.translate(None, _ASCII))
    if beyond * 11 > len(data) * 2:  # 3 octets for each in one, 4 for every 3 of all in the other
        return "base64", base64.encodebytes(data).replace(b"\n", b"\r\n")
    quoted = binascii.b2a_qp(data, istext=True)
    # Some servers put ">" before "From " at the start of a line, which breaks signatures.
    if b"From " in quoted:
        quoted = re.sub(rb"(?m)^From ", b"=46rom ", quoted)
    return "quoted-printable", quoted


def _with_encoded_words(start: str, text: str) -> str:
    """*start*, which ends in a space, and *text* as encoded words, folded between them."""
    data = text.encode()
    lines = [start]
    while data:
        room = min(_WORD_ROOM, LINE - 2 - len(lines[-1]) - _WORD_OVERHEAD) // 4 * 3
        if room < 12:
            lines[-1] = lines[-1].rstrip()
            lines.append(" ")
            continue
        end = min(room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # not in the middle of a character
            end -= 1
        lines[-1] += f"=?utf-8?b?{base64.b64encode(data[:end]).decode()}?="
        data = data[end:]
        if data:
            lines.append(" ")
    return CRLF.join(lines)


def _named(start: str, display: str, address: str) -> str:
    """*start*, a display name as quoted string or encoded words, and ``<address>``."""
    if not display:
        return f"{start}<{address}>"
    if len(display) <= 60 and _is_plain(display):
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        start = f'{start}"{escaped}"'
    else:
        start = _with_encoded_words(start, display)
    last = start.rpartition(CRLF)[2]
    gap = " " if len(last) + len(address) + 3 <= LINE else f"{CRLF} "
    return f"{start}{gap}<{address}>"


def _is_plain(text: str) -> bool:
    """Whether *text* can stand as it is: words of ASCII, one space between, no look-alikes."""
    return "=?" not in text and _PLAIN.match(text) is not None


def _folded(line: str) -> str:
    """*line* broken at spaces, never right after its name; unfolding gives it back."""
    if len(line) <= LINE:
        return line
    name, first, *words = line.split(" ")
    lines = [f"{name} {first}"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > LINE:
            lines.append(f" {word}")
        else:
            lines[-1] += f" {word}"
    return CRLF.join(lines)


def _refuse_line_break(name: str, text: str) -> None:
    if _LINE_BREAK.search(text):
        raise ValueError(f"{name} has a line break")
