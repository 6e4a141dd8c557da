"""The two ways the service reaches a machine, each tried from nothing: a clone, and a wheel."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import directory
from directory import environment
from tests.support import ROOT, eventually, tracked_files

BASE_PYTHON = str(sys._base_executable)  # type: ignore[attr-defined]
# Making an environment of everything takes longer than a test usually may.
pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path, cwd: Path) -> str:
    """What *command* prints; the test fails with all it said when it does not succeed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=bare(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def bare() -> dict[str, str]:
    """Our environment variables without what tells a program of this environment or service."""
    ours = re.compile(r"VIRTUAL_ENV|PYTHON|DIRECTORY_|FLASK_|COV_|PYTEST_")
    return {name: value for name, value in os.environ.items() if not ours.match(name)} | {
        "PATH": os.defpath
    }


@contextlib.contextmanager
def demo(*command: str | Path, cwd: Path) -> Iterator[str]:
    """``demo`` by *command* on a free port: yields its address, ends it with SIGTERM."""
    log = cwd / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "demo", "--port", "0"],
            cwd=cwd,
            env=bare(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> re.Match[str] | None:
        said = log.read_text(errors="replace")
        if process.poll() is not None:
            pytest.fail(f"demo ended with {process.returncode}:\n{said}")
        return re.search(r"^ready (http://\S+)", said, re.MULTILINE)

    try:
        found = eventually(ready, within=240, what="demo is ready")
        assert found is not None
        yield found[1].rstrip("/")
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    except Exception as error:
        error.add_note(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(15)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        assert response.status == 200
        body = response.read()
        assert isinstance(body, bytes)
        return body.decode()


def everything_it_needs_is_served(address: str) -> None:
    page = get(f"{address}/en")
    chinese = get(f"{address}/zh-hans")
    sheets = re.findall(r'<link[^>]+href="([^"]+\.css[^"]*)"', page)

    assert 'lang="en"' in page
    assert 'lang="zh-Hans"' in chinese  # the catalogue came along
    assert "联系" in chinese
    assert sheets
    assert all("{" in get(address + sheet) for sheet in sheets)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone would hold if everything here were committed."""
    root = tmp_path_factory.mktemp("clone") / "contact-directory"
    for path in tracked_files():
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return root


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, which is thereby known to be complete."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), ".", cwd=clone)
    [wheel] = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the pins and the wheel and nothing else."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    python = venv / "bin" / "python"
    run(BASE_PYTHON, "-m", "venv", str(venv), cwd=wheel.parent)
    environment.install(python, ROOT / "requirements.txt")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-index", str(wheel), cwd=wheel.parent)
    return python


def test_the_wheel_holds_all_that_is_not_python_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}

    def files(folder: str) -> set[str]:
        paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        names = {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}
        return {name for name in names if not name.endswith((".pyc", ".pyo"))}

    assert files("directory") - inside == set()
    assert {f"directory/{name}" for name in files("templates") | files("config")} - inside == set()
    assert {name for name in inside if name.endswith(".po")}
    assert {name for name in inside if name.startswith("directory/web/static/")}
    assert {name for name in inside if name.startswith("directory/adapters/migrations/")}
    assert {name.split("/")[0].split("-")[0] for name in inside} == {
        "directory",
        "contact_directory",
    }
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_the_wheel_serves_from_an_environment_of_its_own(installed: Path, tmp_path: Path) -> None:
    with demo(installed, "-m", "directory", cwd=tmp_path) as address:
        everything_it_needs_is_served(address)

    # An installed package leaves the environment it is in alone, and has no tests to run.
    assert not (tmp_path / ".venv").exists()
    script = installed.with_name("directory")
    assert directory.__version__ in run(script, "version", cwd=tmp_path)
    asked_to_test = subprocess.run([script, "test"], cwd=tmp_path, capture_output=True, check=False)
    assert asked_to_test.returncode == 2


def test_a_clone_serves_by_one_command_with_nothing_but_python(clone: Path) -> None:
    with demo(BASE_PYTHON, "-m", "directory", cwd=clone) as address:
        everything_it_needs_is_served(address)

    assert (clone / ".venv" / "bin" / "python").exists()
