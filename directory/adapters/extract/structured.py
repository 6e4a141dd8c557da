"""What a page says to machines: JSON-LD with the terms of schema.org."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from directory.adapters.extract.page import Page

_DEEPEST: Final = 12
_MOST_NODES: Final = 5_000


@dataclass(slots=True)
class Node:
    """One thing with ways to reach it; each value with its place in the source."""

    name: str
    voices: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    faxes: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    mails: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    addresses: list[tuple[str, str, tuple[int, int]]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.voices or self.faxes or self.mails)


def nodes(page: Page) -> list[Node]:
    """The things that the JSON-LD scripts of *page* describe. Broken JSON describes nothing."""
    found: list[Node] = []
    for embedded in page.data:
        try:
            data = json.loads(embedded.text, strict=False)
        except (ValueError, RecursionError):
            # Pages carry broken scripts every day; what the page shows is read all the same.
            continue
        finder = _Finder(page.source, *embedded.source)
        for thing, parent in islice(_things(data, "", 0), _MOST_NODES):
            node = _node(finder, thing, parent)
            if not node.empty:
                found.append(node)
    return found


def country(page: Page) -> str:
    """The country that the data names for its address, "" if none."""
    for node in nodes(page):
        for _, code, _ in node.addresses:
            if code:
                return code
    return ""


def _things(data: Any, parent: str, depth: int) -> Iterator[tuple[dict[str, Any], str]]:
    if depth > _DEEPEST:
        return
    if isinstance(data, list):
        for it in data:
            yield from _things(it, parent, depth + 1)
    elif isinstance(data, dict):
        yield data, parent
        name = _string(data.get("name")) or parent
        for key, value in data.items():
            if key != "address" and isinstance(value, (dict, list)):
                yield from _things(value, name, depth + 1)


def _node(finder: _Finder, thing: dict[str, Any], parent: str) -> Node:
    name = _string(thing.get("name")) or (
        parent if "ContactPoint" in str(thing.get("@type", "")) else ""
    )
    node = Node(name)
    for key, values in (
        ("telephone", node.voices),
        ("faxNumber", node.faxes),
        ("email", node.mails),
    ):
        for text in _strings(thing.get(key)):
            values.append((text.removeprefix("mailto:"), finder.place(text)))
    address = thing.get("address")
    for it in address if isinstance(address, list) else [address]:
        if isinstance(it, dict):
            parts = [
                _string(it.get(part))
                for part in ("streetAddress", "postalCode", "addressLocality", "addressRegion")
            ]
            code = it.get("addressCountry")
            code = _string(code.get("name")) if isinstance(code, dict) else _string(code)
            text = ", ".join(part for part in parts if part)
            if text:
                first = next(part for part in parts if part)
                short = code.upper() if len(code) == 2 else ""
                node.addresses.append((text, short, finder.place(first)))
        elif isinstance(it, str) and it.strip():
            node.addresses.append((it.strip(), "", finder.place(it)))
    for language in _strings(thing.get("availableLanguage")):
        node.languages.append(language)
    return node


def _string(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [it.strip() for it in values if isinstance(it, str) and it.strip()]


@dataclass(slots=True)
class _Finder:
    """Finds values in their script again, each from where the one before stood."""

    source: str
    start: int
    end: int
    cursor: int = 0

    def place(self, text: str) -> tuple[int, int]:
        """Where *text* stands; the whole script if it is written in some other way there."""
        for written in (text, json.dumps(text)[1:-1]):
            for begin in (max(self.cursor, self.start), self.start):
                at = self.source.find(written, begin, self.end)
                if at >= 0:
                    self.cursor = at
                    return at, at + len(written)
        return self.start, self.end
