"""Pages and letters read for contact records, one or many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from directory.adapters.extract import extract
from directory.services.checking import in_chunks, on_every_core

FORMATS = ("text", "html")


def extract_text(text: str) -> str:
    """One line ``{"id", "text", "format", "region"}`` to one line of what is in it.

    The answer has the line's ``id``; a line of another form answers with ``error`` and nothing
    found.
    """
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or not isinstance(line.get("text"), str):
        id_ = line.get("id") if isinstance(line, dict) else None
        return json.dumps({"id": id_, "contacts": [], "error": "line.invalid"})
    wanted = line.get("format")
    found: dict[str, Any] = extract(
        line["text"],
        region=str(line.get("region") or "").upper() or None,
        format=wanted if wanted in FORMATS else None,
    ).to_json()
    return json.dumps({"id": line.get("id"), **found}, ensure_ascii=False)


def _extract_chunk(lines: list[str]) -> list[str]:
    return [extract_text(line) for line in lines]


def extract_lines(lines: Iterable[str], *, cores: int = 0) -> Iterator[list[str]]:
    """The answers to *lines*, in order, a chunk at a time, on every core."""
    return on_every_core(_extract_chunk, in_chunks(lines, size=20), cores=cores)
