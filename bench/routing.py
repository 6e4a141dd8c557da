"""What deciding costs, and how it grows with the number of rules.

    python -m bench.routing --rules 10 100 1000 10000

Each figure is processor time of this process. "Each tried" is the alternative: the same rules, one
after the other, until one holds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.common import machine
from bench.rule_sets import enquiries, routes, rule_set
from directory.domain.conditions import Facts, Routes
from directory.domain.routing import RuleSet, decide, may_change

ENQUIRIES = 2_000


def each_us(work: Callable[[Facts], object], asked: Sequence[Facts]) -> float:
    """Microseconds of processor time *work* takes for each of *asked*."""
    # Facts remember what was worked out of their text: each is asked as if new.
    fresh = [replace(facts) for facts in asked]
    started = time.process_time()
    for facts in fresh:
        work(facts)
    return (time.process_time() - started) / len(fresh) * 1e6


def each_tried(facts: Facts, rules: RuleSet, known: Routes) -> int | None:
    """The position of the rule that decides, found by trying one after the other."""
    for position, rule in enumerate(rules.ordinary, 1):
        if rule.when and rule.when.holds(facts, known):
            return position
    return None


def measure_deciding(sizes: Sequence[int]) -> None:
    """Compile, decide and preview at each of *sizes*, on the same enquiries."""
    known = routes()
    asked = enquiries(ENQUIRIES, max(sizes))
    print(
        f"{'rules':>7} {'compile':>10} {'decide':>10} {'over first':>10} {'each tried':>12}"
        f" {'preview':>10}"
    )
    first = 0.0
    for size in sizes:
        rules = rule_set(size)
        started = time.process_time()
        assert rules.index
        compiling = (time.process_time() - started) * 1e3
        deciding = each_us(partial(decide, rules=rules, routes=known), asked)
        trying = each_us(partial(each_tried, rules=rules, known=known), asked[:200])
        typed = [replace(facts, complete=False) for facts in asked[:500]]
        previewing = each_us(partial(may_change, rules=rules, routes=known), typed)
        first = first or deciding
        print(
            f"{size:>7} {compiling:>7.0f} ms {deciding:>7.0f} µs {deciding / first:>9.1f}x"
            f" {trying:>9.0f} µs {previewing:>7.0f} µs"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rules", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    asked = parser.parse_args()
    print(machine(Path(tempfile.gettempdir())))
    measure_deciding(asked.rules)


if __name__ == "__main__":
    main()
