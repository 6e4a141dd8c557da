"""What ``python3 -m directory test`` runs, inside the environment: checks, then every test.

With arguments it is pytest with those arguments and nothing else: one process, then, unless
``-n`` is among them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from tests.support import CHROMIUM_NAMES, ROOT, chromium

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy", "--strict", "directory"],
}


def main(arguments: list[str]) -> int:
    """Run it all, whatever fails, so that one run shows everything; 0 when nothing did."""
    if arguments:
        return _pytest(arguments)
    for sentence in missing():
        print(f"missing: {sentence}", flush=True)
    failed = [name for name, command in CHECKS.items() if not _passes(name, command)]
    if failed:
        print(f"Failed, see above: {', '.join(failed)}. The tests follow.", flush=True)
    return _pytest(["--numprocesses", str(processes())]) or len(failed)


def missing() -> list[str]:
    """What this machine lacks; the tests that need it will fail, and none is left out."""
    lacking = []
    if chromium() is None:
        lacking.append(
            "Chromium, for the browser tests: install it (it may be called "
            f"{', '.join(CHROMIUM_NAMES)}) or set DIRECTORY_CHROMIUM to its path"
        )
    if shutil.which("git") is None:
        lacking.append("git, for the tests of a fresh clone")
    return lacking


def processes() -> int:
    """One more than there are processors, since for a good part of its time a test waits."""
    return min(len(os.sched_getaffinity(0)) + 1, 8)


def _passes(name: str, command: list[str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    seconds = time.monotonic() - began
    print(f"{verdict:6}  {name:8} {seconds:6.1f} s  {' '.join(command)}", flush=True)
    if done.returncode:
        print(done.stdout.rstrip(), flush=True)
    return done.returncode == 0


def _pytest(arguments: list[str]) -> int:
    # Compiled once and kept, or each of the hundreds of processes compiles all libraries again:
    # containers often forbid it, thinking of images and not of us.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", *arguments]
    try:
        return subprocess.run(command, env=environ, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
