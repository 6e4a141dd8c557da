"""How long rules take: to be proven, by their number.

    python -m bench.routing --rules 10 100 1000 10000

Rule sets are made from a seed: fifty topics, eight reply languages, 250 countries, three hundred
words, twenty departments with opening hours, conditions up to three deep, a few rules that are
never reached. Each size runs in a process of its own, whose peak of memory is its alone; seconds
are processor time on one core.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.common import machine
from directory.domain.analysis import analyse
from directory.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    IsOpen,
    Mentions,
    Not,
    ReplyLanguageIs,
    Routes,
    Target,
    TextLanguageIs,
    TopicIs,
    TopicRoute,
)
from directory.domain.hours import OpeningHours
from directory.domain.routing import RoutingRule, RuleSet

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
TOPICS = [f"topic-{n}" for n in range(50)]
LANGUAGES = ("en", "zh-Hans", "fr", "de", "es", "ru", "ja", "ko")
COUNTRIES = [a + b for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXY"]
DEPARTMENTS = [f"department-{n}" for n in range(60)]


# What is measured


def the_directory() -> Routes:
    """Sixty departments with mailboxes, the first twenty with opening hours, and fifty topics."""
    targets = {
        slug: Target(
            id=UUID(int=n + 1),
            slug=slug,
            name={"en": f"Department {n}", "zh-Hans": f"第{n}处"},
            mailbox=f"{slug}@institute.example",
            hours=OpeningHours.parse(
                f"Mo-Fr {8 + n % 3:02}:00-{16 + n % 4}:30",
                ("Asia/Shanghai", "Europe/London")[n % 2],
            )
            if n < 20
            else None,
        )
        for n, slug in enumerate(DEPARTMENTS)
    }
    topics = {
        code: TopicRoute(
            code=code,
            label={"en": f"Topic {n}", "zh-Hans": f"事项{n}"},
            department=DEPARTMENTS[n % len(DEPARTMENTS)],
        )
        for n, code in enumerate(TOPICS)
    }
    return Routes(targets=targets, topics=topics, desk=DEPARTMENTS[0])


def a_rule_set(size: int, seed: int) -> RuleSet:
    """*size* ordinary rules and a last one."""
    chance = random.Random(seed)
    words = [f"word{n}" for n in range(150)] + [f"词{chr(0x4E00 + n)}语" for n in range(150)]
    made = [
        RoutingRule(
            id=f"rule-{n}",
            name={"en": f"Rule {n}", "zh-Hans": f"规则{n}"},
            when=a_condition(chance, words),
            send_to=chance.choice(DEPARTMENTS),
        )
        for n in range(size)
    ]
    last = RoutingRule(id="last", name={"en": "Everything else"}, when=None, send_to=DEPARTMENTS[0])
    return RuleSet(1, (*made, last))


def a_condition(chance: random.Random, words: list[str]) -> Condition:
    """As people write them: a topic or two, and one to three things besides."""
    besides: list[Callable[[], Condition]] = [
        lambda: CountryIs(tuple(chance.sample(COUNTRIES, chance.randint(1, 20)))),
        lambda: ReplyLanguageIs(tuple(chance.sample(LANGUAGES, chance.randint(1, 3)))),
        lambda: Mentions(tuple(chance.sample(words, chance.randint(1, 4)))),
        lambda: Mentions(tuple(chance.sample(words, 2)), every=True),
        lambda: AnyOf(
            (
                Mentions((words[chance.randrange(150)],), language="en"),
                Mentions((words[150 + chance.randrange(150)],), language="zh-Hans"),
            )
        ),
        lambda: IsOpen(DEPARTMENTS[chance.randrange(20)]),
        lambda: TextLanguageIs((chance.choice(("en", "zh", "fr")),)),
        lambda: Not(CountryIs(tuple(chance.sample(COUNTRIES, 3)))),
    ]
    chosen = chance.sample(besides, chance.randint(1, 3))
    topics = TopicIs(tuple(chance.sample(TOPICS, chance.choice((1, 1, 1, 2)))))
    return AllOf((topics, *(make() for make in chosen)))


# Measuring


def measured(act: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time that *act* took, and what it gave."""
    gc.collect()
    begun = time.process_time()
    result = act()
    return time.process_time() - begun, result


def peak_mb() -> float:
    """The most memory this process ever had resident, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def analysis(size: int, seed: int) -> str:
    """A line on the proof of *size* rules."""
    rules, routes = a_rule_set(size, seed), the_directory()
    before = peak_mb()
    seconds, report = measured(
        lambda: analyse(rules, routes, at=NOW, languages=LANGUAGES, countries=COUNTRIES)
    )
    counts = Counter(f"{it.code} {it.severity.value}" for it in report.findings)
    found = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    return f"{seconds:>8.2f} s  {peak_mb():>5.0f} MB ({before:.0f} before)  {found}"


PARTS: dict[str, Callable[[int, int], str]] = {"analysis": analysis}


def main() -> None:
    """Measure; print a line for each part and size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(PARTS[given.parts[0]](given.rules[0], given.seed))
        return
    print(f"{machine(Path(tempfile.gettempdir()))}; seed {given.seed}")
    for part in given.parts:
        for size in given.rules:
            line = subprocess.run(
                [
                    *(sys.executable, "-m", "bench.routing", "--one", "--parts", part),
                    *("--rules", str(size), "--seed", str(given.seed)),
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            print(f"{part:<10} {size:>7,} rules  {line}", end="", flush=True)


if __name__ == "__main__":
    main()
