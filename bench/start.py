"""How long ``python -m directory demo`` takes to its first page, from nothing and the second time.

    python -m bench.start

The alternative beside it is the least a Flask application can take: importing Flask and answering.
The promise is under 3 s for the second start, once the environment is made.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if not __package__:  # python bench/start.py
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.common import ROOT, exchange, machine

_BARE = (
    "import flask; app = flask.Flask('bare'); app.add_url_rule('/', view_func=lambda: 'ready'); "
    "app.test_client().get('/'); print('ready http://127.0.0.1:0/', flush=True)"
)


def seconds_to_page(words: list[str], *, page: str) -> float:
    """From the command to the last byte of *page*; "" for a program that only says ready."""
    # A second start finds what the first compiled, unless somebody forbids that to be kept.
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            ready = re.match(rb"ready http://[^:]+:(\d+)/", process.stdout.readline())
            if not ready:
                raise RuntimeError(f"{words} did not start")
            if page:
                port = int(ready[1])
                head = f"GET {page} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
                answer = exchange(port, head.encode())
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"{page}: {answer[:200]!r}")
            return time.perf_counter() - begun
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine(Path(tempfile.gettempdir())))
    taken: dict[str, list[float]] = {"first start": [], "second start": [], "bare Flask": []}
    for _ in range(options.rounds):
        folder = Path(tempfile.mkdtemp(prefix="directory-bench-"))
        demo = ["-m", "directory", "demo", "--port", "0", "--dir", str(folder)]
        try:
            for name in ("first start", "second start"):
                taken[name].append(seconds_to_page(demo, page="/en/"))
            taken["bare Flask"].append(seconds_to_page(["-c", _BARE], page=""))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    for name, seconds in taken.items():
        print(
            f"  {name:<13} min {min(seconds):.2f} median {sorted(seconds)[len(seconds) // 2]:.2f} "
            f"max {max(seconds):.2f} s"
        )


if __name__ == "__main__":
    main()
