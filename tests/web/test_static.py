"""What pages are made of, read as files: sizes, tokens, translations, and no way out to others."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "directory" / "web" / "static"
TEMPLATES = ROOT / "templates"
PAGES = sorted(path for path in TEMPLATES.rglob("*.html") if "mail" not in path.parts)
CATALOGUE = ROOT / "directory" / "translations" / "zh_Hans" / "LC_MESSAGES" / "messages.po"

PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


@pytest.mark.parametrize(("name", "limit_kb"), [("app.css", 20), ("app.js", 8)])
def test_a_static_file_stays_small_enough_for_a_slow_network(name, limit_kb):
    assert len(gzip.compress((STATIC / name).read_bytes())) <= limit_kb * 1024


def test_dark_is_the_same_dark_whether_the_device_or_the_visitor_asks_for_it():
    css = (STATIC / "app.css").read_text()
    asked_by_device = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', css, re.S)
    asked_by_visitor = re.search(r'\n:root\[data-theme="dark"\] \{(.*?)\}', css, re.S)

    assert asked_by_device and asked_by_visitor
    assert asked_by_device[1].split() == asked_by_visitor[1].split()


def test_the_vendored_part_of_the_stylesheet_is_what_its_licence_file_says():
    css = (STATIC / "app.css").read_text()
    start = css.index("/*! modern-normalize")
    vendored = css[start : css.index("/* modern-normalize ends.")].rstrip("\n") + "\n"
    noted = re.search(r"\b[0-9a-f]{64}\b", (STATIC / "THIRD-PARTY.txt").read_text())

    assert noted and hashlib.sha256(vendored.encode()).hexdigest() == noted[0]


def test_the_icon_inside_the_page_is_the_drawing_of_the_icon_file():
    base = (TEMPLATES / "base.html").read_text()
    drawing = re.search(r'href="data:image/svg\+xml,([^"]+)"', base)

    assert drawing
    inside = drawing[1].replace("%3C", "<").replace("%3E", ">").replace("%23", "#")
    assert inside.replace("'", '"') == (STATIC / "favicon.svg").read_text().strip()


def test_stylesheet_and_script_name_no_other_origin():
    own = (STATIC / "app.css").read_text() + (STATIC / "app.js").read_text()

    assert "url(" not in own and "@import" not in own
    assert re.findall(r"https?://[^\s*]+", own) == [
        "https://github.com/sindresorhus/modern-normalize",
        "https://github.com/sindresorhus/modern-normalize/issues/3)",
        "https://github.com/sindresorhus/modern-normalize/issues/3)",
        "https://issues.chromium.org/issues/40615503,",
        "https://bugs.webkit.org/show_bug.cgi?id=195016)",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_needs_what_the_policy_forbids(page):
    source = page.read_text()

    assert not re.search(r"<style|\sstyle=|\son\w+=\"|javascript:", source)
    assert all("src=" in tag or "ld+json" in tag for tag in re.findall(r"<script[^>]*>", source))
    assert not re.search(r"<(?:script|img|iframe)[^>]*https?:|<link[^>]*href=\"https?:", source)


def texts_of_templates() -> Iterator[tuple[str, str]]:
    found = extract_from_dir(
        str(TEMPLATES), method_map=[("**.html", "jinja2"), ("**.txt", "jinja2")]
    )
    for file, line, text, _comments, _context in found:
        yield f"{file}:{line}", text if isinstance(text, str) else text[0]


def test_every_text_of_a_template_has_its_chinese_with_the_same_placeholders():
    with CATALOGUE.open("rb") as file:
        chinese = {
            entry.id if isinstance(entry.id, str) else entry.id[0]: entry.string
            if isinstance(entry.string, str)
            else entry.string[0]
            for entry in read_po(file, locale="zh_Hans")
            if entry.id
        }
    wrong = [
        f"{place}: {text}"
        for place, text in texts_of_templates()
        if not chinese.get(text)
        or set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(chinese[text]))
    ]

    assert wrong == []
