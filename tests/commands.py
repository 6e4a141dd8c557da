"""The command line run in the test's own process, on the small institution."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click.testing
import pytest

import directory.parts
from directory.cli import cli
from directory.domain.errors import DirectoryError
from directory.parts import Parts
from tests.faults.serving import ENVIRON

KEY = "kQ3v-9TzWm2xRb7Lp0sYd4HfUc8NgJ6e"


@dataclass
class Done:
    """How a command ended: its exit code, data and talk."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


def commands(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with no configuration but what is given."""
    for name in os.environ.keys() - ENVIRON.keys():
        monkeypatch.delenv(name)

    made: list[Parts] = []

    def note(*arguments: Any, **more: Any) -> Parts:
        made.append(assemble(*arguments, **more))
        return made[-1]

    # A command leaves its connections to the end of its process; here the process goes on.
    assemble = directory.parts.assemble
    monkeypatch.setattr(directory.parts, "assemble", note)

    def run(*arguments: str, stdin: str | bytes = "", **environ: str) -> Done:
        runner = click.testing.CliRunner()
        result = runner.invoke(
            cli,
            list(arguments),
            input=stdin,
            env={f"DIRECTORY_{name}": value for name, value in environ.items()},
            prog_name="directory",
        )
        for parts in made:
            parts.let_go()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            if not isinstance(result.exception, DirectoryError):
                raise result.exception
            raise AssertionError(f"not turned into an exit code: {result.exception!r}")
        return Done(result.exit_code, result.stdout, result.stderr)

    return run
