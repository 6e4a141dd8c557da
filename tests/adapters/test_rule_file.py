"""The rule file: what was written reads back as it was, and is written the same again."""

from __future__ import annotations

import io
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.adapters.formats.rule_file import read_rules, write_rules
from directory.adapters.formats.toml_text import WIDTH, table
from directory.domain.conditions import RuleInvalid
from directory.domain.routing import RuleSet

EVERYTHING = """
# The rules of the contract, each condition and each action once.

[[rules]]
id = "applications"
name = { zh-Hans = "申请", en = "Applications" }
when = { all = [{ topic = ["apply"] }, { reply_language = ["zh-Hans"] }, { text_language = ["zh"] },
  { country = ["CN"] }, { department = ["admissions"] }, { words = { any = ["visa", "签证"] } },
  { words = { all = ["a", "b"], language = "en" } }, { open = "admissions" },
  { source = ["/visit"] }, { origin = ["https://www.x.example"] }, { returning = false },
  { answer = { second = ["yes", "no"], first = "yes" } }, { not = { topic = ["x"] } },
  { any = [{ topic = ["y"] }, { topic = ["z"] }] }] }
send_to = "admissions"
copy = ["media", "desk@x.example"]
target_days = 2
tags = ["urgent"]
hold = false
acknowledge = true

[[rules]]
id = "desk"
name = { en = "Everything else", zh-Hans = "其余咨询" }
send_to = "desk"

[[examples]]
name = "a visa"
expect = "admissions"
rule = "applications"
enquiry = { message = "Two lines\\nand a \\"quote\\"", topic = "apply", returning = false,
  at = 2026-11-23T12:00:00+08:00, answers = { second = "no", first = "yes" } }

[[waivers]]
code = "rule.overlap"
rule = "applications"
reason = "The later one is the exception"
"""


def read(text: str) -> RuleSet:
    return read_rules(io.BytesIO(text.replace(",\n", ", ").encode())).read()


def write(rules: RuleSet) -> str:
    return "".join(write_rules(rules))


def test_a_file_with_everything_in_it_reads_back_as_it_was():
    rules = read(EVERYTHING)
    text = write(rules)

    assert read_rules(io.BytesIO(text.encode())).read() == read(text) == rules
    assert write(read_rules(io.BytesIO(text.encode())).read()) == text
    assert [len(it) for it in (rules.rules, rules.examples, rules.waivers)] == [2, 1, 1]
    assert rules.examples[0].enquiry["at"] == "2026-11-23T12:00:00+08:00"


def test_it_is_written_the_same_whatever_order_a_database_keeps_keys_in():
    rules = read(EVERYTHING)

    def shuffled(value: Any) -> Any:
        match value:
            case dict():
                return {key: shuffled(value[key]) for key in sorted(value, key=lambda k: k[::-1])}
            case list():
                return [shuffled(item) for item in value]
        return value

    kept = RuleSet.read(
        0,
        shuffled(rules.write()),
        examples=shuffled([it.write() for it in rules.examples]),
        waivers=shuffled([it.write() for it in rules.waivers]),
    )

    assert write(kept) == write(rules)
    assert 'name = { en = "Applications", zh-Hans = "申请" }' in write(kept)


def test_a_long_list_has_an_item_a_line_so_that_a_difference_shows_where_it_is():
    text = write(read(EVERYTHING))

    assert '\n  { country = ["CN"] },\n' in text
    assert '{ any = [{ topic = ["y"] }, { topic = ["z"] }] },\n' in text
    assert 'tags = ["urgent"]\n' in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rules]\n", "no TOML"),
        ("[[topics]]\ncode = 'x'\n", "directory import"),
        ("[[rule]]\nid = 'x'\n", "no “rule” in a rule file"),
        ("rules = 3\n", "written as \\[\\[rules\\]\\]"),
        ("", "last rule that catches everything"),
        ("[[waivers]]\ncode = 'x'\nreason = 'y'\n", "last rule that catches everything"),
        ("a = " + "[" * 5000, "no TOML"),
    ],
)
def test_what_is_no_rule_file_is_refused_with_the_reason(text, said):
    with pytest.raises(RuleInvalid, match=said):
        read_rules(io.BytesIO(text.encode())).read()


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(RuleInvalid, match="no TOML"):
        read_rules(io.BytesIO(b"\xff\xfe"))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)
values = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=4), st.sampled_from([0, 20, WIDTH]))
def test_any_values_written_as_toml_read_back_the_same(written, width):
    text = table("rules", written, width=width)

    [found] = tomllib.loads(text)["rules"]
    assert json.dumps(found) == json.dumps(written)
