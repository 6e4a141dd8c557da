"""Conditions and actions of installed packages: the very ones of docs/extending.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from directory.adapters import plugins
from tests.commands import KEY
from tests.faults.serving import COMMAND, ENVIRON
from tests.support import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
MODULE, *REST = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, re.DOTALL)
PROJECT, RULE = REST

DESK = """
[[rules]]
id = "desk"
send_to = "enquiry-desk"
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def install(folder: Path, module: str = MODULE, project: str = PROJECT) -> None:
    """What pip leaves of a package."""
    told = tomllib.loads(project)["project"]
    name = told["name"].replace("-", "_")
    (folder / f"{name}.py").write_text(module, encoding="utf-8")
    info = folder / f"{name}-{told['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n"
    )
    groups = told["entry-points"].items()
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in it.items()) for group, it in groups
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def extras(tmp_path: Path) -> Path:
    folder = tmp_path / "extras"
    folder.mkdir()
    return folder


@pytest.fixture
def run(extras: Path, installed: Path) -> Run:
    """Runs a command, or a script, on the institution, in a process that finds the package."""
    return beside(extras, installed)


def beside(extras: Path, configuration: Path) -> Run:
    def run(*arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", textwrap.dedent(script)] if script else COMMAND
        options = [] if script else ["--config", str(configuration)]
        path = f"{ROOT}:{extras}"
        return subprocess.run(
            [*command, *arguments, *options],
            env=ENVIRON | {"PYTHONPATH": path, "DIRECTORY_SECRET_KEY": KEY},
            capture_output=True,
            text=True,
            cwd=configuration.parent,
            timeout=60,
            check=False,
        )

    return run


def test_the_example_of_the_page_routes_an_enquiry(
    run: Run, extras: Path, installed: Path, tmp_path: Path
) -> None:
    install(extras)
    file = tmp_path / "rules.toml"
    file.write_text(RULE + DESK, encoding="utf-8")

    taken = run("rules", "import", str(file))
    done = run("rules", "publish", "--reason", "long letters are for Media")
    sent = run(
        str(installed),
        script="""
            import json, sys
            from directory.adapters.queries import decisions_of
            from directory.parts import assemble
            from directory.settings import load_settings
            from tests.builders import a_submission, submit
            parts = assemble(load_settings(sys.argv[1], env="test"))
            told = []
            long = "A letter of rather more than forty characters, all of them mine"
            for text in ("Short", long):
                enquiry = submit(parts, a_submission("permits", message=text, form_token=text))
                with parts.db.reading() as session:
                    [it] = decisions_of(session, enquiry)
                told.append([it.recipient, it.rule_id, it.why["zh-Hans"], it.outcome, enquiry.tags])
            print(json.dumps(told))
        """,
    )
    exported = run("rules", "export")

    assert (taken.returncode, done.returncode, done.stdout) == (0, 0, "published version 2\n")
    short, long = json.loads(sent.stdout)
    assert short[:2] == ["parking@institute.example", None]
    assert long[:2] == ["media@institute.example", "essays"]
    assert "正文共63字" in long[2]
    assert long[3:] == [{"target_days": 1, "tags": ["urgent"]}, ["urgent"]]
    assert "{ long_text = 40 }" in exported.stdout and "urgent = true" in exported.stdout


@pytest.mark.parametrize(
    ("module", "project", "said"),
    [
        ("raise OSError('no disk')", PROJECT, "cannot be loaded (OSError: no disk)"),
        ("LongText = Urgent = 3", PROJECT, "is no Condition"),
        (MODULE.replace("def examine", "def look"), PROJECT, "examine is missing"),
        (MODULE.replace('key = "long_text"', 'key = "topic"'), PROJECT, "not 'topic'"),
        (
            MODULE.replace('key = "long_text"', 'key = "topic"'),
            PROJECT.replace("long_text =", "topic ="),
            "has a name that is taken",
        ),
        (
            MODULE.replace('key = "urgent"', 'key = "send_to"'),
            PROJECT.replace("urgent =", "send_to ="),
            "has a name that is taken",
        ),
    ],
)
def test_a_package_that_cannot_be_used_stops_the_start_and_is_named(
    extras: Path, tmp_path: Path, module: str, project: str, said: str
) -> None:
    install(extras, module, project)
    configuration = tmp_path / "directory.toml"
    configuration.touch()

    done = beside(extras, configuration)("department", "list")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("directory: package “contact-extras”: directory.")
    assert said in done.stderr and "Traceback" not in done.stderr


def test_rules_that_outlive_their_package_are_found_at_the_upgrade(
    run: Run, extras: Path, tmp_path: Path
) -> None:
    install(extras)
    file = tmp_path / "rules.toml"
    file.write_text(RULE + DESK, encoding="utf-8")
    assert run("rules", "import", str(file)).stderr == ""
    assert run("rules", "publish", "--reason", "x").returncode == 0
    for left in extras.glob("*.dist-info/entry_points.txt"):
        left.unlink()

    done = run("db", "upgrade")

    assert done.returncode == 1
    assert "“essays”: there is no “urgent” in a rule" in done.stderr


def test_looking_for_packages_costs_the_start_little() -> None:
    """One look reads a file of each installed package: some milliseconds for a hundred."""
    best = min(once() for _ in range(3))

    assert best < 0.1


def once() -> float:
    plugins._loaded = False
    started = time.process_time()
    plugins.load_plugins()
    return time.process_time() - started
