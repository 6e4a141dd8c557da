"""How long rules take by their number: to decide, to be proven, to be tried on the past.

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.common import machine
from bench.replaying import replayed
from bench.rule_sets import enquiries, routes, rule_set
from directory.domain.analysis import analyse
from directory.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    Facts,
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
from directory.domain.routing import RoutingRule, RuleSet, decide, may_change

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


def deciding(size: int, seed: int) -> str:
    """A line on one decision by *size* rules, beside trying each rule in turn."""
    rules, known = rule_set(size, seed=seed), routes()
    compiling, _ = measured(lambda: rules.index)
    asked = enquiries(2_000, 10_000)
    decided = each_us(partial(decide, rules=rules, routes=known), asked)
    tried = each_us(partial(each_tried, rules=rules, known=known), asked[:200])
    typed = [replace(facts, complete=False) for facts in asked[:500]]
    previewed = each_us(partial(may_change, rules=rules, routes=known), typed)
    return (
        f"{decided:>8.0f} µs each; each rule tried {tried:.0f} µs, preview {previewed:.0f} µs, "
        f"compiled in {compiling * 1e3:.0f} ms"
    )


def each_us(work: Callable[[Facts], object], asked: Sequence[Facts]) -> float:
    """Microseconds of processor time *work* takes for each of *asked*."""
    # Facts remember what was worked out of their text: each is asked as if new.
    fresh = [replace(facts) for facts in asked]
    seconds, _ = measured(lambda: [work(facts) for facts in fresh])
    return seconds / len(fresh) * 1e6


def each_tried(facts: Facts, rules: RuleSet, known: Routes) -> int | None:
    """The position of the rule that decides, found by trying one after the other."""
    for position, rule in enumerate(rules.ordinary, 1):
        if rule.when and rule.when.holds(facts, known):
            return position
    return None


def replay(size: int, seed: int) -> str:
    """A line on 10,000 enquiries put through two sets, beside reading the same rows alone."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, reading, found = replayed(Path(folder), size, seed)
    return f"{seconds:>8.2f} s  {peak_mb():>5.0f} MB; rows alone {reading:.2f} s; {found}"


PARTS: dict[str, Callable[[int, int], str]] = {
    "decide": deciding,
    "analysis": analysis,
    "replay": replay,
}


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
