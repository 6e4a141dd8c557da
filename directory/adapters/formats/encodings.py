"""Bytes to text: what spreadsheets and phones save, told apart."""

from __future__ import annotations

import codecs
import io
from typing import IO, Final

from directory.domain.errors import InvalidValue

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT: Final = 65_536
# What people call them in a form or at the command line.
_ALIASES: Final = {
    "utf8": "utf-8-sig",
    "utf-8": "utf-8-sig",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "cp936": "gb18030",
    "ansi": "gb18030",
}


def encoding_of(file: IO[bytes]) -> str:
    """The encoding of *file*, which is read to its end: by its mark, else UTF-16 by its zeros,
    else UTF-8 if all of it is, else GB18030. *file* is at its beginning afterwards.

    Raises InvalidValue "import.unreadable" if it is none of these.
    """
    file.seek(0)
    head = file.read(_LOOKED_AT)
    try:
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if name := _utf16_by_zeros(head):
            return name
        for name in ("utf-8", "gb18030"):
            if _is_all(file, name):
                return name
    finally:
        file.seek(0)
    raise InvalidValue("import.unreadable")


def named_encoding(name: str) -> str:
    """The codec that people mean by *name*. Raises InvalidValue "import.unreadable"."""
    plain = name.strip().lower()
    try:
        return codecs.lookup(_ALIASES.get(plain, plain)).name
    except LookupError:
        raise InvalidValue("import.unreadable") from None


def text_of(file: IO[bytes], encoding: str = "") -> io.TextIOWrapper:
    """*file* as text from its beginning, line breaks as they stand."""
    found = named_encoding(encoding) if encoding else encoding_of(file)
    file.seek(0)
    return io.TextIOWrapper(file, encoding=found, newline="")


def _utf16_by_zeros(head: bytes) -> str:
    """UTF-16 without its mark: its line breaks, commas and digits have a zero on one side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 50 < len(head) or min(even, odd) * 10 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_all(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while part := file.read(1 << 20):
            decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
