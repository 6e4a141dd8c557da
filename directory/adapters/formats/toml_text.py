"""TOML written: the standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

# Beyond this a list is written an item a line, so that a difference shows which item it is in.
WIDTH: Final = 100


def table(name: str, values: Mapping[str, Any], *, width: int = 0) -> str:
    """*values* as one ``[[name]]``; with a *width*, lists that make a line longer are broken."""
    lines = []
    for key, value in values.items():
        start = f"{_key(key)} = "
        text = start + _value(value)
        lines.append(text if not width or len(text) <= width else start + _broken(value, width))
    return f"\n[[{name}]]\n" + "".join(f"{line}\n" for line in lines)


def inline(values: Mapping[str, Any]) -> str:
    """*values* as an inline table."""
    return (
        "{ " + ", ".join(f"{_key(key)} = {_value(value)}" for key, value in values.items()) + " }"
    )


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Mapping():
            return inline(value)
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
    return _string(str(value))


def _broken(value: Any, width: int, indent: int = 0) -> str:
    """*value* with its lists an item a line where they do not fit; inline tables may not break."""
    if isinstance(value, Mapping):
        parts = [f"{_key(key)} = {_broken(part, width, indent)}" for key, part in value.items()]
        return "{ " + ", ".join(parts) + " }"
    if not isinstance(value, list | tuple) or len(value) < 2:
        return _value(value)
    inner = " " * (indent + 2)
    items = []
    for item in value:
        text = _value(item)
        fits = len(inner) + len(text) < width
        items.append(inner + (text if fits else _broken(item, width, indent + 2)) + ",\n")
    return "[\n" + "".join(items) + " " * indent + "]"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are TOML's; only the character of erasure stands bare in JSON.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
