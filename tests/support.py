"""What tests of every level lean on."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Everything by which a browser would look beyond the pages it is shown, off; the sandbox cannot
# be had by root or in most containers, and the pages are our own.
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
)


def eventually(look: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """Ask *look* until its answer is true, and return it; fail after *within* seconds.

    An exception of *look* counts as "not yet", and is the cause of the failure in the end;
    pytest.fail() in it says that waiting is of no more use.
    """
    deadline = time.monotonic() + within
    while True:
        cause: Exception | None = None
        try:
            if answer := look():
                return answer
        except Exception as error:
            cause = error
        if time.monotonic() > deadline:
            wish = what or getattr(look, "__name__", "it")
            raise AssertionError(f"{wish}: not so within {within:g} s") from cause
        time.sleep(0.02)


def _ports() -> Iterator[int]:
    """Below those that systems give to whoever asks for any; each process of a run has its own."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = 1_500
    first = 20_000 + size * (process % 8)
    # From anywhere, since somebody else may be running these tests too.
    at = random.SystemRandom().randrange(size)
    return (first + number % size for number in itertools.count(at))


_PORTS = _ports()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and nobody else here is given soon."""
    for port in _PORTS:
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is always a next one")


def memory_folder() -> Path | None:
    """Where files are kept in memory; None unless there is room and programs may be started."""
    folder = Path("/dev/shm")
    try:
        facts = os.statvfs(folder)
        memory = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    [available] = re.findall(r"^MemAvailable: +(\d+) kB$", memory, re.MULTILINE) or [0]
    room = min(facts.f_bavail * facts.f_frsize, int(available) * 1024)
    usable = os.access(folder, os.W_OK) and not facts.f_flag & os.ST_NOEXEC
    return folder if usable and room > 4 * 2**30 else None


def chromium() -> str | None:
    """The path of the browser to test with: DIRECTORY_CHROMIUM, else by name; None if none is."""
    if named := os.environ.get("DIRECTORY_CHROMIUM"):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def program(name: str) -> str:
    """The path of a program the tests need; without it the test fails and says so."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed, and this test needs it")
    return path


def tracked_files() -> list[Path]:
    """Every file of the checkout that is, or is about to be, under version control."""
    listing = subprocess.run(
        [program("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]
