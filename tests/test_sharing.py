"""A run of several processes tells as much as a run of one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

DYING = """
import os

def test_before():
    assert True

def test_that_takes_its_process_along():
    os._exit(3)

def test_after():
    assert True
"""
TOGETHER = """
import os
import pathlib

def test_one():
    pathlib.Path("one").write_text(os.environ["PYTEST_XDIST_WORKER"])

def test_other():
    assert pathlib.Path("one").read_text() == os.environ["PYTEST_XDIST_WORKER"]
"""
SKIPPING = """
import pytest

pytest.importorskip("nothing_of_this_name")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What two processes make of these files by the rules of these tests."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --continue-on-collection-errors")
    files = {"dying": DYING, "together": TOGETHER, "skipping": SKIPPING, "broken": "import"}
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    # Not what this run was told, nor that it is one of several.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", "2", "-rfE"],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_takes_its_process_along_fails_once_and_all_others_are_tried(
    run: subprocess.CompletedProcess[str],
) -> None:
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]

    assert len(failed) == 1, run.stdout
    assert "test_dying.py::test_that_takes_its_process_along" in failed[0]
    assert "1 failed, 4 passed, 2 errors" in run.stdout.splitlines()[-1]
    assert run.returncode == 1


def test_what_was_left_out_or_could_not_be_read_fails_there_too(
    run: subprocess.CompletedProcess[str],
) -> None:
    wrong = sorted(line for line in run.stdout.splitlines() if line.startswith("ERROR test_"))

    assert [line.split()[1] for line in wrong] == ["test_broken.py", "test_skipping.py"], run.stdout
    assert "no test here may be skipped" in run.stdout
