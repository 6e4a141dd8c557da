"""Departments at the command line: changed, put back, asked, and what was reported decided."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from directory.adapters.queries import department_by_slug
from directory.cli import cli
from directory.parts import Parts, assemble
from directory.services.enquiries import Sender
from directory.services.proposals import Report, report_mistake
from directory.settings import load_settings

Run = Callable[..., Result]
SLUG = "technology-demand"


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    made = CliRunner().invoke(cli, ["init", str(tmp_path), "--sample"])
    assert made.exit_code == 0, made.output
    return str(tmp_path / "config" / "directory.toml")


@pytest.fixture
def run(configuration: str) -> Run:
    """``run("department", "show", "x")`` on an installation with the sample institution."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--config", configuration])

    return run


@pytest.fixture
def parts(configuration: str) -> Parts:
    return assemble(load_settings(configuration, environ={}))


def events(run: Run, slug: str = SLUG) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("department", "history", slug, "--json").stdout)[
        "items"
    ]
    return found


def test_a_change_is_told_and_put_back(run: Run) -> None:
    changed = run(
        *("department", "set", SLUG, "name_en=Demand", "fax=-"),
        *("--reason", "renamed", "--as", "chen.hui@x.example"),
    )
    assert changed.exit_code == 0, changed.output
    first, last = events(run)
    assert (last["type"], last["by"], last["note"]) == (
        "amended",
        "chen.hui@x.example",
        "renamed",
    )

    tried = run("department", "restore", SLUG, str(first["id"]), "--dry-run")
    assert (tried.exit_code, len(events(run))) == (0, 2)
    restored = run("department", "restore", SLUG, str(first["id"]), "--reason", "a mistake")

    assert tried.stdout == restored.stdout
    assert "- name_en=Demand" in restored.stdout.splitlines()
    assert events(run)[-1]["before"]["name_en"] == "Demand"
    assert run("department", "restore", SLUG, "7").exit_code == 4


def test_the_history_shows_what_was_before_and_after(run: Run) -> None:
    run("department", "set", SLUG, "name_en=Demand")
    lines = run("department", "history", SLUG).stdout.splitlines()
    assert "  + name_en=Demand" in lines
    assert run("department", "history", "nowhere").exit_code == 4


def test_a_mailbox_just_entered_is_asked_at_once(run: Run) -> None:
    run("department", "set", SLUG, "email=demand@x.example")

    queued = json.loads(run("mail", "queue", "--json").stdout)["items"]

    asked = [item["to"] for item in queued if item["kind"] == "verification"]
    assert asked == ["demand@x.example"]
    again = run("department", "verify", SLUG)
    assert (again.exit_code, again.stdout.split()[0]) == (0, "waiting")


def test_the_sample_is_not_asked_and_nothing_is_due(run: Run) -> None:
    result = run("verify")
    assert (result.exit_code, result.stdout) == (0, "nothing to ask\n")
    assert run("department", "verify", "--due").stdout == "nothing to ask\n"


def test_asking_needs_one_department_or_all_that_are_due(run: Run) -> None:
    for arguments in ([], [SLUG, "--due"], ["--by-hand", "--due"], [SLUG, "--by-hand"]):
        assert run("department", "verify", *arguments).exit_code == 2
    assert run("department", "verify", "nowhere").exit_code == 4


def test_an_editors_own_check_is_kept_with_how(run: Run) -> None:
    result = run("department", "verify", SLUG, "--by-hand", "--reason", "rang them")
    assert result.exit_code == 0, result.output
    assert (events(run)[-1]["type"], events(run)[-1]["note"]) == ("verified", "rang them")


def test_what_was_reported_is_listed_accepted_or_refused(run: Run, parts: Parts) -> None:
    with parts.db.writing() as session:
        for what, correct in (("phone", "025 8345 5111"), ("phone", "call\nme")):
            report_mistake(
                session,
                department_by_slug(session, SLUG),
                Report(what, correct, "en"),
                settings=parts.settings,
                sender=Sender(address="a", network="n"),
                now=parts.now(),
            )
    parts.let_go()
    listed = json.loads(run("department", "proposals", SLUG, "--json").stdout)["items"]
    good, bad = sorted(listed, key=lambda item: item["changes"] == {})
    assert good["changes"] == {"phone": "025 8345 5111"}

    accepted = run("department", "accept", str(good["id"]))
    assert "+ phone=+86 25 8345 5111" in accepted.stdout.splitlines()
    assert run("department", "accept", str(good["id"])).exit_code == 5
    assert run("department", "refuse", str(bad["id"])).exit_code == 2
    assert run("department", "refuse", str(bad["id"]), "--reason", "spam").exit_code == 0
    assert run("department", "proposals").stdout == "nothing waits\n"
    assert run("department", "accept", "7").exit_code == 4


def test_a_mailbox_that_enquiries_need_is_kept_and_the_refusal_shows_one(run: Run) -> None:
    talent = ("department", "set", "talent")
    assert run(*talent, "deputy=-").exit_code == 0

    refused = run(*talent, "email=-")

    assert refused.exit_code == 5
    said, example, remedy = refused.stderr.splitlines()
    assert said.startswith(
        "directory: This would leave enquiries with nobody to answer them: Topic"
    )
    assert example.startswith("directory: For example: topic=jobs ")
    assert remedy == "directory: Name a successor to take its place"
    assert "无人受理" in run(*talent, "email=-", "--lang", "zh-Hans").stderr

    moved = run(*talent, "email=-", "--successor", "administration", "--reason", "merged")

    assert moved.exit_code == 0, moved.output
    assert moved.stdout.splitlines() == ["- email=talent@institute.example"]


def test_closing_a_department_takes_its_rules_along(run: Run) -> None:
    done = run("department", "close", "media", "--successor", "events", "--yes")

    assert done.exit_code == 0, done.output
    published = json.loads(run("rules", "list", "--json").stdout)
    assert [rule["send_to"] for rule in published["rules"]][:2] == ["events", "london-liaison"]
