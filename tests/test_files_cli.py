"""Files in and out at the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from directory.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("import", "x.csv")`` on an installation with the sample institution."""
    runner = CliRunner()
    made = runner.invoke(cli, ["init", str(tmp_path / "there"), "--sample"])
    assert made.exit_code == 0, made.output
    configuration = str(tmp_path / "there" / "config" / "directory.toml")

    def run(*arguments: str, input: bytes | None = None) -> Result:
        return runner.invoke(cli, [*arguments, "--config", configuration], input=input)

    return run


def last(result: Result) -> str:
    return result.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "name", ["all.csv", "all.xlsx", "all.json", "all.jsonl", "all.vcf", "all.toml"]
)
def test_what_was_exported_changes_nothing(run: Run, tmp_path: Path, name: str) -> None:
    file = str(tmp_path / name)

    exported = run("export", "departments", "-o", file)
    result = run("import", file)

    assert exported.exit_code == 0, exported.output
    assert (result.exit_code, last(result)) == (0, "0 added, 0 changed, 9 same, 0 errors")


def test_an_export_to_standard_output_is_the_file(run: Run) -> None:
    result = run("export", "departments")

    assert result.stdout_bytes.startswith(b"\xef\xbb\xbfid,slug,parent,status,sort,name_en")
    assert "招".encode() in result.stdout_bytes
    assert run("import", "-", input=result.stdout_bytes).exit_code == 0


def test_a_whole_seed_file_goes_out_and_in(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "seed.toml")
    run("export", "all", "-o", file)

    assert last(run("import", file)) == "0 added, 0 changed, 17 same, 0 errors"


def test_a_plan_has_its_signs_and_its_sum(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text(
        "slug,name_en,phone,phone2\n"
        "library,Library,025 0345 5999,\n"
        "media,,+86 25 0345 5171,\n"
        "talent,,,\n"
        "events,,,+44 20 7946 0123/24\n"
    )

    tried = run("import", str(file), "--dry-run")
    done = run("import", str(file), "--reason", "new exchange")

    assert tried.stdout.splitlines() == [
        "+ library  Library",
        "~ media  phone: +86 25 0345 5170 → +86 25 0345 5171",
        "= talent",
        "! Row 5, phone2: +44 20 7946 0123/24 holds two numbers",
        "1 added, 1 changed, 1 same, 1 errors",
    ]
    assert (tried.exit_code, done.exit_code) == (1, 1)
    assert tried.stdout == done.stdout
    number = re.search(r"--undo (\d+)", done.stderr)
    assert number is not None
    undone = run("import", "--undo", number[1])
    assert undone.exit_code == 0, undone.output
    assert run("department", "show", "library").exit_code == 4
    assert "5170" in run("department", "show", "media").stdout
    assert run("import", "--undo", number[1]).exit_code == 5
    assert "undone" in run("import", "--list").stdout


def test_closing_what_is_missing_needs_a_yes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text(
        "slug\nenquiry-desk\nresearch-and-industry\ninternational-cooperation\n"
        "technology-demand\nadministration\ntalent\nmedia\nlondon-liaison\n"
    )

    asked = run("import", str(file), "--delete-missing")
    done = run("import", str(file), "--delete-missing", "--yes")

    assert asked.exit_code == 5
    assert "- events  status: active → closed; successor: (empty) → administration" in asked.stdout
    assert (done.exit_code, last(done)) == (0, "0 added, 0 changed, 1 closed, 8 same, 0 errors")


def test_what_cannot_be_read_is_a_matter_of_usage(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("slug,fone\nmedia,1\n")

    result = run("import", str(file))

    assert result.exit_code == 2
    assert "Did you mean “phone”?" in result.stderr
    mapped = run("import", str(file), "--map", "fone=", "--dry-run")
    assert (mapped.exit_code, last(mapped)) == (0, "0 added, 0 changed, 1 same, 0 errors")


def test_a_plan_as_json(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("slug,phone\nmedia,+86 25 0345 5171\n")

    value = json.loads(run("import", str(file), "--json").stdout)

    assert value["counts"]["changed"] == 1
    assert value["changes"][0]["changes"]["phone"]["after"] == "+86 25 0345 5171"
    assert value["id"]


def test_a_page_is_a_source_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_text("Guest House\nTel: 025 0345 5995\nFax: 025 0345 5996\n")

    result = run("import", str(file), "--format", "page", "--dry-run")

    assert "+ guest-house  Guest House" in result.stdout


def test_an_export_overwrites_only_when_told(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "out.csv")
    run("export", "departments", "-o", file)

    assert run("export", "departments", "-o", file).exit_code == 5
    assert run("export", "departments", "-o", file, "--yes").exit_code == 0


@pytest.mark.parametrize("what", ["topics", "rules"])
def test_topics_and_rules_leave_as_a_seed_file(run: Run, tmp_path: Path, what: str) -> None:
    file = str(tmp_path / f"{what}.toml")
    run("export", what, "-o", file)

    assert ", 0 changed, " in last(run("import", file))
    assert last(run("import", file)).startswith("0 added")


def test_the_copy_of_the_site_works_from_a_disk(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copy"

    result = run("export", "site", str(folder))

    assert result.exit_code == 0, result.output
    pages = sorted(folder.rglob("*.html"))
    names = {str(page.relative_to(folder)) for page in pages}
    assert {
        "index.html",
        "unavailable.html",
        "en/index.html",
        "zh-hans/index.html",
        "en/departments/media.html",
        "zh-hans/departments/media.html",
    } <= names
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'\s(?:href|src|action)="([^"]*)"', text):
            target = link.partition("#")[0]
            assert not target.startswith("/"), f"{page}: {link}"
            if target and ":" not in target:
                assert (page.parent / target).is_file(), f"{page}: {link}"
    home = (folder / "en" / "index.html").read_text(encoding="utf-8")
    assert 'href="../static/app.css"' in home
    unavailable = (folder / "unavailable.html").read_text(encoding="utf-8")
    assert "We cannot answer just now" in unavailable and "暂时无法提供服务" in unavailable
    assert run("export", "site", str(folder)).exit_code == 5
