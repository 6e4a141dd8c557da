"""How well and how fast contact records are found on pages, beside a plain number matcher.

    python -m bench.extract --sizes 10 100 1000

The alternative is what is written first: phonenumbers' own matcher over the text without its
tags, each number named by the nearest label before it, one record a page. Quality is counted over
the corpus of tests/adapters/extract_cases; speed over pages of contact blocks of growing size
(kB), all of them details, and over one page of ordinary text and markup.
"""

from __future__ import annotations

import argparse
import html
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import phonenumbers

from bench.common import machine
from directory.adapters.extract import Contact, Extraction, FoundPhone, extract
from tests.adapters.extract_corpus import Case, Score, cases

_FAX = re.compile(
    "fax|faks|факс|传真|傳真|télécop|φαξ|ファ|팩스|โทรสาร|فاكس|نمابر|פקס", re.IGNORECASE
)
_PHONE = re.compile(
    "tel|tél|phone|fon|тел|电话|電話|전화|โทร|هاتف|تلفن|טל|τηλ|puh|tlf|mob|cell", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_UNSEEN = re.compile(r"<(script|style).*?</\1>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")

Reads = Callable[[str, str, str], Extraction]


def ours(text: str, region: str, kind: str) -> Extraction:
    return extract(text, region=region, format="html" if kind == "html" else "text")


def plain(text: str, region: str, kind: str) -> Extraction:
    """The library's matcher and the nearest label."""
    if kind == "html":
        text = html.unescape(_TAG.sub(" ", _UNSEEN.sub("", text)))
    contact = Contact()
    for match in phonenumbers.PhoneNumberMatcher(text, region):
        before = text[max(0, match.start - 40) : match.start]
        fax, phone = (
            max((it.end() for it in label.finditer(before)), default=-1) for label in (_FAX, _PHONE)
        )
        contact.phones.append(
            FoundPhone(
                phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164),
                match.number.extension or "",
                "fax" if fax > phone else "voice",
                match.raw_string,
                "valid",
                (match.start, match.end),
            )
        )
    contact.emails = [(it[0], it.span()) for it in _MAIL.finditer(text)]
    return Extraction((contact,))


def quality(chosen: list[Case], read: Reads) -> Score:
    score = Score()
    for case in chosen:
        score.add(case, read(case.text, case.region, case.format))
    return score


def blocks(kilobytes: int, dice: random.Random) -> str:
    """A page of departments, no two numbers alike."""
    parts: list[str] = []
    length = 0
    while length < kilobytes * 1_000:
        first = dice.randrange(10**7)
        parts.append(
            f"<div><h3>Department {len(parts)}</h3><p>Tel: 025-8{first:07}<br>"
            f"Fax: 025-8{(first + 1) % 10**7:07}<br>d{len(parts)}@x.example.cn</p>"
            f"<p>{'What the department does and for whom. ' * 5}</p></div>\n"
        )
        length += len(parts[-1])
    return "".join(parts)


def article(dice: random.Random) -> str:
    """1 MB of text and markup with one contact at its end."""
    words = "the institute was founded in 1998 and its 3,400 members at many offices of science"
    paragraphs = [
        f'<p class="text" data-n="{n}">{" ".join(dice.choices(words.split(), k=60))}</p>\n'
        for n in range(2_700)
    ]
    return "".join(paragraphs) + "<footer>Tel: 025-83455189</footer>"


def seconds(read: Reads, page: str) -> float:
    begun = time.process_time()
    read(page, "CN", "html")
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1_000], help="kB")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine(Path(tempfile.gettempdir())))
    every = cases()
    for name, chosen in (
        ("tuned on", [it for it in every if not it.held_out]),
        ("held out", [it for it in every if it.held_out]),
    ):
        print(f"{name}, ours:  {quality(chosen, ours)}")
        print(f"{name}, plain: {quality(chosen, plain)}")
    dice = random.Random(options.seed)
    pages = [(f"{size} kB of contacts", blocks(size, dice)) for size in options.sizes]
    pages.append(("1 MB of text", article(dice)))
    for name, page in pages:
        mine, theirs = seconds(ours, page), seconds(plain, page)
        print(
            f"{name}: {mine:.2f} s CPU, {mine / len(page) * 1e6:.2f} s/MB;"
            f" plain {theirs:.2f} s; ratio {mine / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
