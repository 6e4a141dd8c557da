"""How fast single values are judged, beside what the number library alone takes for them.

    python -m bench.check --sizes 1000 10000 100000

The alternative reads each number with phonenumbers and asks whether it is valid and what its
range is for: the least that any verdict needs. Values are the library's example numbers of every
country, in national and international writing, one in three a mailbox. Rates are values per
second of processor time on one core; the last column is wall time on every core.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import phonenumbers

from bench.common import machine
from directory.services.checking import check_lines


def lines(size: int, seed: int) -> list[str]:
    """*size* lines of ``directory check``."""
    chance = random.Random(seed)
    examples = [
        (phonenumbers.format_number(number, style), region)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        if (number := phonenumbers.example_number(region))
        for style in (
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        )
    ]
    made = []
    for index in range(size):
        value, region = chance.choice(examples)
        kind = ("phone", "fax", "email")[index % 3]
        if kind == "email":
            value = f"office{chance.randrange(10**6)}@department{chance.randrange(50)}.example.org"
        made.append(json.dumps({"id": index, "kind": kind, "value": value, "region": region}))
    return made


def bare(text: str) -> None:
    """The library's own calls for one line."""
    line = json.loads(text)
    if line["kind"] == "email":
        return
    number = phonenumbers.parse(line["value"], line["region"])
    phonenumbers.is_valid_number(number)
    phonenumbers.number_type(number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{machine(Path(tempfile.gettempdir()))}; seed {options.seed}")
    print(f"{'values':>8}  {'ours/s':>8}  {'bare/s':>8}  {'ratio':>5}  {'all cores/s':>11}")
    for text in lines(2_000, options.seed + 1):  # what is loaded once is loaded before
        bare(text)
    for _ in check_lines(lines(2_000, options.seed + 1), cores=1):
        pass
    for size in options.sizes:
        given = lines(size, options.seed)
        begun = time.process_time()
        for _ in check_lines(given, cores=1):
            pass
        ours_s = time.process_time() - begun
        begun = time.process_time()
        for text in given:
            bare(text)
        bare_s = time.process_time() - begun
        begun = time.perf_counter()
        for _ in check_lines(given):
            pass
        wall_s = time.perf_counter() - begun
        print(
            f"{size:>8,}  {size / ours_s:>8,.0f}  {size / bare_s:>8,.0f}  {ours_s / bare_s:>5.2f}"
            f"  {size / wall_s:>11,.0f}"
        )


if __name__ == "__main__":
    main()
