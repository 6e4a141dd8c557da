"""The corpus of contact blocks, and how what is found in them is counted.

Invented blocks in the shapes of real sites. Each begins with "=== REGION [html]", holds the page
as it stands, then "---" and one line per record: ``voice:+49… fax:+49…;x12 mobile:… mail:a@b.c``,
"|" between readings a careful person could both defend, "?" for a number that reaches nobody.

Run as a program it prints the figures: ``python -m tests.adapters.extract_corpus``. Every third
block is reported apart: the extractor was changed looking at the others. That keeps it honest
only so far, since some of the failures among them were seen too.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from directory.adapters.extract import Extraction, extract

CASES = Path(__file__).parent / "extract_cases"


@dataclass(frozen=True)
class Case:
    name: str
    region: str
    format: str
    text: str
    records: tuple[tuple[str, ...], ...]
    held_out: bool


def cases() -> list[Case]:
    found = []
    for path in sorted(CASES.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").split("=== ")[1:]
        for n, block in enumerate(blocks, 1):
            head, _, rest = block.partition("\n")
            text, _, expected = rest.partition("\n---\n")
            region, _, kind = head.partition(" ")
            found.append(
                Case(
                    f"{path.stem}-{n}",
                    region,
                    kind or "text",
                    text if text != rest else rest.removesuffix("---\n"),
                    tuple(tuple(line.split(" ")) for line in expected.splitlines() if line),
                    held_out=path.stem == "unseen"
                    or (
                        path.stem not in ("harder", "further", "layouts", "regions", "tricky")
                        and len(found) % 3 == 2
                    ),
                )
            )
    return found


def found_values(extraction: Extraction) -> list[list[str]]:
    """The records as the corpus writes them."""
    return [
        [
            f"{it.kind}:{it.e164 or '?'}" + (f";x{it.extension}" if it.extension else "")
            for it in contact.phones
        ]
        + [f"mail:{address}" for address, _ in contact.emails]
        for contact in extraction.contacts
    ]


@dataclass
class Tally:
    right: int = 0
    missed: int = 0
    wrong: int = 0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.missed + self.wrong)


class Score:
    def __init__(self) -> None:
        self.tallies = {it: Tally() for it in ("phones", "faxes", "mails", "pairs")}
        self.roles = Counter[bool]()
        self.whole = Counter[bool]()
        self.failed: list[str] = []

    def add(self, case: Case, extraction: Extraction) -> None:
        expected, found = [list(it) for it in case.records], found_values(extraction)
        wanted, got = _flat(expected), _flat(found)
        _align(wanted, got)
        for name, kinds in (
            ("phones", ("voice", "mobile")),
            ("faxes", ("fax",)),
            ("mails", ("mail",)),
        ):
            want = Counter(_valued(v) for _, v in wanted if v.split(":")[0] in kinds)
            have = Counter(_valued(v) for _, v in got if v.split(":")[0] in kinds)
            self._count(name, want, have)
        for _, value in wanted:
            kind, _, number = value.partition(":")
            same = [v.partition(":") for _, v in got if v.partition(":")[2] == number]
            if kind != "mail" and same and number != "?":
                self.roles[any((k == "fax") == (kind == "fax") for k, _, _ in same)] += 1
        self._count("pairs", _pairs(wanted), _pairs(got))
        whole = Counter(_valued(v) for _, v in wanted) == Counter(_valued(v) for _, v in got)
        self.whole[whole] += 1
        if not whole or _pairs(wanted) != _pairs(got):
            self.failed.append(f"{case.name} {case.region}: {expected} != {found}")

    def _count(self, name: str, want: Counter, have: Counter) -> None:
        tally = self.tallies[name]
        tally.right += (want & have).total()
        tally.missed += (want - have).total()
        tally.wrong += (have - want).total()

    def __str__(self) -> str:
        figures = [f"{name} F1 {tally.f1:.3f}" for name, tally in self.tallies.items()]
        figures.append(f"role {_share(self.roles):.3f}")
        figures.append(f"whole {_share(self.whole):.3f} of {self.whole.total()}")
        return ", ".join(figures)


def _share(counts: Counter) -> float:
    return counts[True] / max(1, counts.total())


def _valued(value: str) -> str:
    return value.replace("mobile:", "voice:")


def _flat(records: list[list[str]]) -> list[tuple[int, str]]:
    return [(n, value) for n, record in enumerate(records) for value in record]


def _align(wanted: list[tuple[int, str]], got: list[tuple[int, str]]) -> None:
    """Take the reading that was found where the corpus allows several."""
    values = {_valued(v) for _, v in got}
    for n, (record, value) in enumerate(wanted):
        kind, _, readings = value.partition(":")
        choices = readings.split("|")
        chosen = next((it for it in choices if _valued(f"{kind}:{it}") in values), choices[0])
        wanted[n] = (record, f"{kind}:{chosen}")


def _pairs(values: list[tuple[int, str]]) -> Counter:
    return Counter(
        tuple(sorted((_valued(a), _valued(b))))
        for (r, a), (s, b) in combinations(values, 2)
        if r == s
    )


def score(chosen: Iterable[Case]) -> Score:
    result = Score()
    for case in chosen:
        result.add(case, extract(case.text, region=case.region, format=case.format))
    return result


def main() -> None:
    every = cases()
    tuned = score(it for it in every if not it.held_out)
    held_out = score(it for it in every if it.held_out)
    print(f"tuned on:  {tuned}")
    print(f"held out:  {held_out}")
    if "--show" in sys.argv:
        print("\n".join(tuned.failed))
    if "--show-held-out" in sys.argv:
        print("\n".join(held_out.failed))


if __name__ == "__main__":
    main()
