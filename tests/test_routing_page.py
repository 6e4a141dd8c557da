"""docs/routing.md and what it explains, held to one another."""

from __future__ import annotations

import io
import re

import pytest

from directory.adapters.formats.rule_file import read_rules
from directory.cli import cli
from directory.domain.conditions import CONDITIONS
from directory.domain.routing import ACTIONS
from tests.support import ROOT

PAGE = (ROOT / "docs" / "routing.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+) = (.*?)` \|", PAGE, re.MULTILINE)


def test_every_condition_and_every_action_is_explained_and_no_other():
    assert sorted(word for word, _ in ROWS) == sorted([*CONDITIONS, *ACTIONS])


@pytest.mark.parametrize(("word", "value"), ROWS)
def test_what_the_page_writes_can_be_read(word, value):
    value = value.replace("[ … ]", '[{ topic = ["x"] }]').replace("{ … }", '{ topic = ["x"] }')
    asks = word in CONDITIONS
    text = f"""
[[rules]]
id = "one"
send_to = "media"
{f"when = {{ {word} = {value} }}" if asks else f"when = {{ all = [] }}{chr(10)}{word} = {value}"}
[[rules]]
id = "last"
send_to = "desk"
"""
    rule = read_rules(io.BytesIO(text.encode())).read().rules[0]

    assert [action.key for action in rule.actions] == ([] if asks else [word])
    assert rule.when is not None and rule.when.key == (word if asks else "all")


def test_the_file_of_the_page_is_a_rule_file():
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    rules = read_rules(io.BytesIO(text.encode())).read()

    assert [rule.id for rule in rules.rules] == ["class-visits", "desk"]
    assert len(rules.examples) == len(rules.waivers) == 1


def test_every_command_of_the_page_is_there_and_takes_its_options():
    [block] = re.findall(r"```\n(directory rules.*?)```", PAGE, re.DOTALL)
    lines = [line.split("#")[0].split() for line in block.splitlines() if "directory" in line]
    group = cli.commands["rules"]
    for _, _, verb, *rest in lines:
        command = group.commands[verb]  # type: ignore[attr-defined]
        known = {option for it in command.params for option in it.opts}
        assert {word for word in rest if re.fullmatch(r"-{1,2}[a-z]+", word)} <= known
    named = set(re.findall(r"`(?:directory )?rules (\w+)", PAGE))
    assert named <= set(group.commands)  # type: ignore[attr-defined]
