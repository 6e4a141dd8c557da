"""Lines of plain text no wider than a reader's window, in Latin and Chinese script alike."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 78
"""Columns of a line of mail (RFC 5322 section 2.1.1)."""

# Two columns wide: Chinese, Japanese, Korean and full-width forms, emoji. (Unicode's East Asian
# Width in ranges; a rare sign counted wrongly costs one column.)
_WIDE = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
    "\U0001f300-\U0001faff\U00020000-\U0003fffd"
)
# A line does not end with one of these, nor begin with one of those.
_OPENING = "（《「『【〔〈“‘"
_CLOSING = "，。、；：？！）》」』】〕〉”’…—"
_PIECE = re.compile(
    rf"\s+|[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}{_CLOSING}]+|(?![{_OPENING}{_CLOSING}])[{_WIDE}])"
    rf"[{_CLOSING}]*|[{_OPENING}{_CLOSING}]+"
)
_WIDE_ONE = re.compile(f"[{_WIDE}]")


def wrap(text: str, *, width: int = WIDTH, prefix: str = "") -> str:
    """*text* in lines of at most *width* columns, each after *prefix* ("| ").

    Breaks at spaces, which give way to the break, and between Chinese characters. What has
    neither stays whole and makes its line as long as it is: a web address that is broken does
    not work. An empty line keeps the prefix without its trailing space.
    """
    room = width - len(prefix)
    return "\n".join(
        (prefix + line).rstrip() for whole in text.split("\n") for line in _lines(whole, room)
    )


def columns(text: str) -> int:
    """How many columns *text* takes."""
    return len(text) if text.isascii() else len(text) + len(_WIDE_ONE.findall(text))


def pad(text: str, width: int) -> str:
    """*text* and spaces up to *width* columns."""
    return text + " " * (width - columns(text))


def _lines(line: str, room: int) -> Iterator[str]:
    if columns(line) <= room:
        yield line
        return
    current, used = "", 0
    for piece in _PIECE.findall(line):
        wide = columns(piece)
        if current and used + wide > room and not piece.isspace():
            yield current.rstrip()
            current, used = "", 0
        if piece.isspace() and current and used + wide > room:
            # The space itself does not fit, so the break takes its place.
            yield current
            current, used = "", 0
            continue
        current, used = current + piece, used + wide
    if current.strip():
        yield current.rstrip()
