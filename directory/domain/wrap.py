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
    left = columns(line)
    while left > room:
        end = _break(line, room)
        if end >= len(line):
            break
        # A single character more may be two columns; whole runs are counted at once.
        yield line[:end].rstrip()
        rest = line[end:].lstrip()
        left -= columns(line[: len(line) - len(rest)])
        line = rest
    if line or left == 0:
        yield line.rstrip()


def _break(line: str, room: int) -> int:
    """Where *line*, which is too long, breaks: as far right as *room* columns let it.

    Where they let it nowhere, at the first place after that there is; else at its end.
    """
    fits = _fitting(line, room)
    for at in range(fits, 0, -1):
        if _may_break(line, at) and line[:at].strip():
            return at
    return next((at for at in range(fits + 1, len(line)) if _may_break(line, at)), len(line))


def _fitting(line: str, room: int) -> int:
    """How many characters of *line* fit into *room* columns."""
    if line[:room].isascii():
        return room
    end = room // 2
    used = columns(line[:end])
    while end < len(line):
        used += columns(line[end])
        if used > room:
            break
        end += 1
    return end


def _may_break(line: str, at: int) -> bool:
    """Whether a line may end before the character at *at*."""
    before, after = line[at - 1], line[at]
    if before.isspace() or after.isspace():
        return True
    if before in _OPENING or after in _CLOSING:
        return False
    return not (before.isascii() and after.isascii()) and bool(
        _WIDE_ONE.match(before) or _WIDE_ONE.match(after)
    )
