"""Every sentence of pages and mails stands in Chinese too, with the same values in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from tests.support import ROOT

PACKAGE = ROOT / "directory"
TEMPLATES = ROOT / "templates"
CATALOGUE = PACKAGE / "translations" / "zh_Hans" / "LC_MESSAGES" / "messages.po"

# Where our text stands among the arguments of the functions that translate it.
POSITIONS = {"_": (0,), "gettext": (1,), "ngettext": (1, 2)}


@dataclass(frozen=True)
class Call:
    """One call that translates; ``text`` is None where it is no literal."""

    where: str
    text: str | None
    values: frozenset[str]


def calls_in_templates() -> Iterator[Call]:
    # Without the i18n extension a {% trans %} block is an error here: its texts would be missed.
    environment = Environment(autoescape=True)
    for path in sorted(TEMPLATES.rglob("*.*")):
        tree = environment.parse(path.read_text("utf-8"))
        for call in tree.find_all(nodes.Call):
            if not (isinstance(call.node, nodes.Name) and call.node.name in POSITIONS):
                continue
            # In templates the language is known: the text comes first.
            assert call.node.name == "_", f"{path.name}: only _() is used in templates"
            values = frozenset(value.key for value in call.kwargs)
            for text in _template_texts(call.args[0]):
                yield Call(f"{path.relative_to(ROOT)}:{call.lineno}", text, values)


def _template_texts(node: nodes.Expr) -> list[str | None]:
    if isinstance(node, nodes.CondExpr) and node.expr2 is not None:
        return [*_template_texts(node.expr1), *_template_texts(node.expr2)]
    return [node.value if isinstance(node, nodes.Const) else None]


def calls_in_python() -> Iterator[Call]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "catalogue.py":
            continue  # where these functions are made
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            values = frozenset(keyword.arg or "**" for keyword in call.keywords)
            for position in POSITIONS.get(call.func.id, ()):
                for text in _python_texts(call.args[position]):
                    yield Call(f"{path.relative_to(ROOT)}:{call.lineno}", text, values)


def _python_texts(node: ast.expr) -> list[str | None]:
    if isinstance(node, ast.IfExp):
        return [*_python_texts(node.body), *_python_texts(node.orelse)]
    literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return [node.value if literal else None]


@cache
def calls() -> list[Call]:
    return [*calls_in_templates(), *calls_in_python()]


@cache
def catalogue() -> dict[str, str]:
    """The Chinese sentence of each English one."""
    with CATALOGUE.open("rb") as file:
        return {entry.id: entry.string for entry in read_po(file) if entry.id}


def placeholders(text: str) -> set[str]:
    """Both kinds: what Python fills in, and what script fills in."""
    return set(re.findall(r"%\(\w+\)[sd]|\{\w+\}", text))


def names_in(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)", text))


@cache
def python_strings() -> frozenset[str]:
    """Every string literal of the package: texts in a table are translated when they are shown."""
    return frozenset(
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_the_texts_are_found_at_all():
    assert len(calls()) > 200


def test_every_text_has_its_chinese():
    missing = {call.text: call.where for call in calls() if call.text not in {None, *catalogue()}}

    assert missing == {}


def test_no_text_in_a_template_is_put_together_where_nobody_can_look_it_up():
    unreadable = [call.where for call in calls_in_templates() if call.text is None]

    assert unreadable == []


def test_no_chinese_is_left_whose_english_is_gone():
    used = {call.text for call in calls()} | python_strings()

    assert [text for text in catalogue() if text not in used] == []


def test_no_text_stands_in_the_catalogue_twice():
    lines = re.findall(r'^msgid "(.+)"$', CATALOGUE.read_text("utf-8"), re.MULTILINE)

    assert [line for line in set(lines) if lines.count(line) > 1] == []


@pytest.mark.parametrize("english", catalogue())
def test_a_translation_says_all_and_takes_the_same_values(english):
    chinese = catalogue()[english]

    assert chinese.strip()
    assert placeholders(chinese) == placeholders(english)
    # Filled in, neither stumbles over a lone per cent sign.
    values = dict.fromkeys(names_in(english), "x")
    if values:
        assert "%(" not in english % values + chinese % values


def test_every_text_is_given_the_values_it_names_and_no_others():
    wrong = {
        call.where: (call.text, sorted(call.values))
        for call in calls()
        if call.text is not None
        # In Python a text may be filled in later, and then no value is given here.
        and (call.values or call.where.startswith("templates"))
        and call.values != names_in(call.text)
    }

    assert wrong == {}


def test_chinese_sentences_have_chinese_punctuation():
    narrow = {
        english: chinese
        for english, chinese in catalogue().items()
        if re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)|[\u4e00-\u9fff]\.(\s|$)", chinese)
    }

    assert narrow == {}
