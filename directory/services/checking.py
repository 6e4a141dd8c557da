"""Single values judged line by line: the same for the command line and the API."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from directory.domain.errors import InvalidValue
from directory.domain.judging import Judgement, ValueKind, judge
from directory.domain.values import PhoneNumber

T = TypeVar("T")

KINDS = frozenset(kind.value for kind in ValueKind)
KEYS = frozenset({"id", "kind", "value", "region", "phones"})

# Lines handed to a process at once: enough that handing over costs little, few enough that
# memory stays flat and the count on screen moves.
_CHUNK = 2_000


def check_one(line: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one line ``{"id", "kind", "value", "region"}``.

    ``phones``, a list of numbers of the same record, may be added: a fax equal to one of them is
    doubted. A line that is not of this form is invalid with code "line.invalid".
    """
    kind, value, region = line.get("kind"), line.get("value"), line.get("region") or ""
    if kind not in KINDS or not isinstance(value, str) or not isinstance(region, str):
        return _answer(line.get("id"), Judgement.INVALID, "line.invalid")
    phones = line.get("phones") or []
    verdict = judge(ValueKind(kind), value, region.upper(), phones=_e164(phones, region.upper()))
    return _answer(
        line.get("id"),
        verdict.verdict,
        verdict.code,
        list(verdict.warnings),
        verdict.normalized,
        verdict.extension,
        verdict.type,
    )


def _answer(
    id_: Any,
    verdict: Judgement,
    code: str | None,
    warnings: list[str] | None = None,
    normalized: str | None = None,
    extension: str = "",
    type_: str = "unknown",
) -> dict[str, Any]:
    return {
        "id": id_,
        "verdict": verdict.value,
        "code": code,
        "warnings": warnings or [],
        "normalized": normalized,
        "extension": extension,
        "type": type_,
    }


def _e164(phones: Any, region: str) -> list[str]:
    found = []
    for phone in phones if isinstance(phones, list) else [phones]:
        try:
            found.append(PhoneNumber.parse(str(phone), region=region).e164)
        except InvalidValue:
            continue  # what cannot be read cannot be the same number
    return found


def check_text(text: str) -> tuple[str, bool]:
    """One line of JSON to one line of JSON, and whether the value is invalid."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if isinstance(line, dict):
        answer = check_one(line)
    else:
        answer = _answer(None, Judgement.INVALID, "line.invalid")
    invalid = answer["verdict"] == Judgement.INVALID.value
    return json.dumps(answer, ensure_ascii=False), invalid


def _check_chunk(lines: list[str]) -> list[tuple[str, bool]]:
    return [check_text(line) for line in lines]


def in_chunks(lines: Iterable[str], *, size: int = _CHUNK) -> Iterator[list[str]]:
    """The lines that are not blank, *size* at a time."""
    waiting = (line for line in lines if line.strip())
    while chunk := list(islice(waiting, size)):
        yield chunk


def on_every_core(
    work: Callable[[list[str]], list[T]], chunks: Iterable[list[str]], *, cores: int = 0
) -> Iterator[list[T]]:
    """``work(chunk)`` for each of *chunks*, in order, on *cores* processes (0: all there are).

    At most a few chunks are under way, however long the input is.
    """
    cores = cores or os.cpu_count() or 1
    upcoming = iter(chunks)
    first = list(islice(upcoming, 2))
    if cores == 1 or len(first) < 2:
        # Starting processes takes longer than one chunk does.
        for chunk in (*first, *upcoming):
            yield work(chunk)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("fork")) as pool:
        under_way = [pool.submit(work, chunk) for chunk in first]
        for chunk in islice(upcoming, cores):
            under_way.append(pool.submit(work, chunk))
        while under_way:
            yield under_way.pop(0).result()
            for chunk in islice(upcoming, 1):
                under_way.append(pool.submit(work, chunk))


def check_lines(lines: Iterable[str], *, cores: int = 0) -> Iterator[list[tuple[str, bool]]]:
    """The answers to *lines*, in order, a chunk at a time."""
    return on_every_core(_check_chunk, in_chunks(lines), cores=cores)
