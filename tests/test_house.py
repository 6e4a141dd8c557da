"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT, tracked_files

READ_BY_OLD_PYTHONS = ("directory/__init__.py", "directory/__main__.py")
# Spelled so that this file does not name what it looks for.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(root|home|work|Users)/\w|\.py" r"env/")
REGISTRIES = re.compile(r"py" r"pi\.org|python" r"hosted|npm" r"js\.org")


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def python_files(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[str]:
    """The names called in *tree*, "a.b.c" for an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_imports_point_down(capsys: pytest.CaptureFixture[str]) -> None:
    result = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)

    assert result == 0, capsys.readouterr().out


def test_every_module_has_its_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [layers] = [
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["id"] == "layers"
    ]
    placed = set(re.findall(r"\w+", " ".join(layers)))
    beside = {"__init__", "__main__", "environment"}
    folder = ROOT / "directory"
    modules = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}

    assert (modules | packages) - beside - placed == set()


def test_nothing_is_left_unfinished_or_bound_to_one_machine() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in texts()
        for pattern in (UNFINISHED, MACHINE_PATHS, REGISTRIES)
        for match in pattern.finditer(text)
    ]

    assert found == []


def test_annotations_are_never_evaluated_by_accident() -> None:
    lacking = [
        name
        for name, tree in python_files("directory", "tests", "bench")
        if len(tree.body) > 1
        and name not in READ_BY_OLD_PYTHONS
        and "from __future__ import annotations" not in map(ast.unparse, tree.body)
    ]

    assert lacking == []


def test_no_exception_is_swallowed() -> None:
    wide = {"", "Exception", "BaseException"}
    swallowed = [
        f"{name}:{handler.lineno}"
        for name, tree in python_files("directory")
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler)
        and (ast.unparse(handler.type) if handler.type else "") in wide
        and all(isinstance(line, ast.Pass | ast.Continue | ast.Break) for line in handler.body)
    ]
    suppressed = [
        name
        for name, tree in python_files("directory")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("suppress")
        and wide & set(map(ast.unparse, node.args))
    ]

    assert swallowed + suppressed == []


def test_every_test_asserts_something() -> None:
    idle = [
        f"{name}:{test.lineno} {test.name}"
        for name, tree in python_files("tests")
        for test in ast.walk(tree)
        if isinstance(test, ast.FunctionDef)
        and test.name.startswith("test_")
        and not any(isinstance(node, ast.Assert) for node in ast.walk(test))
        and not any(
            called.split(".")[-1].startswith(("raises", "check", "assert_", "expect", "eventually"))
            for called in calls(test)
        )
    ]

    assert idle == []


def test_a_test_that_would_be_skipped_fails(tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(
        "import pytest\n"
        "def test_in_its_body(): pytest.skip('no')\n"
        "@pytest.mark.skip\n"
        "def test_by_its_mark(): pass\n"
        "@pytest.mark.xfail\n"
        "def test_known_to_fail(): assert False\n"
    )
    (tmp_path / "test_lacks.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\n"
    )
    pytest_here = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull]

    done = subprocess.run(
        [*pytest_here, "--continue-on-collection-errors", f"--rootdir={tmp_path}", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "2 failed, 2 errors" in done.stdout.splitlines()[-1]


def test_no_test_waits_by_the_clock() -> None:
    sleepers = [
        name
        for name, tree in python_files("tests")
        if name != "tests/support.py" and "time.sleep" in calls(tree)
    ]

    assert sleepers == []


def test_what_old_pythons_read_holds_nothing_they_cannot_parse() -> None:
    for name in READ_BY_OLD_PYTHONS:
        source = (ROOT / name).read_bytes()
        source.decode("ascii")  # Python 2 refuses anything else without a declaration
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr)
            if isinstance(node, ast.FunctionDef):
                assert node.returns is None
                assert not node.args.kwonlyargs and not node.args.posonlyargs
                assert all(argument.annotation is None for argument in node.args.args)
            if isinstance(node, ast.ImportFrom):
                assert node.module != "__future__"
            if isinstance(node, ast.Raise):
                assert node.cause is None


def imported(*folders: str) -> set[str]:
    """The packages from elsewhere that the files below *folders* import, by their own names."""
    found = set()
    for _, tree in python_files(*folders):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return (
        found - set(sys.stdlib_module_names) - {"_typeshed", "bench", "directory", "tests", "wsgi"}
    )


@pytest.mark.parametrize(
    ("folders", "extras"), [(["directory"], []), (["directory", "tests", "bench"], ["test"])]
)
def test_every_import_is_declared(folders: list[str], extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    declared = {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    # What Flask is made of comes with Flask and is used by its own names.
    flask = ["blinker", "itsdangerous", "jinja2", "markupsafe", "werkzeug"]
    declared |= set(map(canonicalize_name, flask))
    origin = packages_distributions()

    undeclared = [
        name
        for name in sorted(imported(*folders))
        if not declared & set(map(canonicalize_name, origin.get(name, [])))
    ]

    assert undeclared == []


def pins(name: str) -> dict[str, tuple[Requirement, int]]:
    """What *name* pins, with how many hashes each."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    entries = [line.split("--hash=") for line in text.splitlines() if not line.startswith("#")]
    found = [(Requirement(first.strip()), len(hashes)) for first, *hashes in entries]
    return {requirement.name: (requirement, hashes) for requirement, hashes in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_every_dependency_is_pinned_by_hash(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(map(Requirement, project["dependencies"]))
    if "test" in name:
        wanted += map(Requirement, project["optional-dependencies"]["test"])
    pinned = pins(name)

    for requirement in wanted:
        pin, _ = pinned[requirement.name]
        [exact] = pin.specifier
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version), requirement
    assert [str(pin) for pin, hashes in pinned.values() if hashes == 0] == []


def test_tests_run_on_the_very_releases_the_service_runs_on() -> None:
    tested = pins("requirements-test.txt")

    for name, pin in pins("requirements.txt").items():
        assert tested[name] == pin
