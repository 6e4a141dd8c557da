"""What the operator's manual and the unit files tell people to type is there to be typed."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from directory.cli import cli
from directory.domain.alarms import AlarmKind
from directory.services.doctor import CHECKS, FIXES
from tests.support import ROOT

MANUAL = ROOT / "docs" / "operate.md"
UNITS = sorted((ROOT / "docs/deploy").glob("*.service"))


def commands() -> Iterator[tuple[str, str]]:
    text = MANUAL.read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`(directory [^`\n]+)`", text)
    for line in [line for block in blocks for line in block.splitlines()] + spans:
        if found := re.search(r"(?:^|\s)(?:/\S*/)?directory ([a-z].*)", line):
            yield MANUAL.name, found[1]
    for unit in UNITS:
        for line in unit.read_text(encoding="utf-8").splitlines():
            if found := re.search(r"bin/directory ([a-z][^'\n]*)", line):
                yield unit.name, found[1]


def test_the_manual_names_commands_at_all() -> None:
    assert len(list(commands())) > 20


@pytest.mark.parametrize(("where", "line"), sorted(set(commands())))
def test_every_command_told_exists_with_its_options(where: str, line: str) -> None:
    words = shlex.split(line.split(" #")[0].replace("…", "x"), posix=True)
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words.pop(0))
        assert found is not None, f"{where}: directory {line}"
        command = found
    assert not isinstance(command, click.Group), f"{where}: directory {line} lacks a verb"
    known = {name for param in command.params for name in param.opts}
    assert {word for word in words if word.startswith("--")} <= known, f"{where}: {line}"


def test_the_manual_tells_of_every_check_and_every_alarm() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    tables = [line for line in text.splitlines() if line.startswith("| `")]
    named: set[str] = set()
    for line in tables:
        prefix = ""
        for name in re.findall(r"`([a-z_.]+)`", line.split("|")[1]):
            prefix = prefix if name.startswith(".") else name.partition(".")[0]
            named.add(f"{prefix}{name}" if name.startswith(".") else name)

    assert set(CHECKS) <= named
    assert {kind.value for kind in AlarmKind} <= named
    assert all(f"`{id}`" in text for id in FIXES)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_run_as_a_user_of_their_own_and_write_where_they_must(unit: Path) -> None:
    read = configparser.RawConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(unit.read_text(encoding="utf-8"))
    service = read["Service"]

    assert service["User"] == "directory"
    assert service["ProtectSystem"] == "strict"
    assert "/srv/contact/var" in service["ReadWritePaths"]
    assert service["UMask"] == "0077"
