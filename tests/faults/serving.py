"""The service as its own processes: started, asked over HTTP, killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import ROOT, eventually
from tests.web.pages import Page

COMMAND = [sys.executable, "-c", "from directory.cli import main; main()"]

# Nothing of whoever runs the tests decides what is started.
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith("DIRECTORY_")
} | {"PYTHONPATH": str(ROOT)}


@dataclass
class Answer:
    """What came back over HTTP."""

    status_code: int
    headers: dict[str, str]
    body: str

    @property
    def location(self) -> str:
        return self.headers["location"]

    def get_data(self, *, as_text: bool) -> str:
        assert as_text
        return self.body


class Site:
    """One address that a service listens on."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, *, timeout: float = 30
    ) -> Answer:
        """One request. Raises OSError or HTTPException when no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            body = urllib.parse.urlencode(fields) if fields is not None else None
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read().decode()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, content)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def page(self, path: str) -> Page:
        return Page(self.get(path))  # type: ignore[arg-type]

    def form(self, topic: str = "not-sure") -> dict[str, str]:
        """The form as it is shown now."""
        return self.page(f"/en/enquiries/new?topic={topic}").values()

    @property
    def up(self) -> bool:
        try:
            return self.get("/en/accessibility").status_code == 200
        except (OSError, http.client.HTTPException):
            return False


class Service(Site):
    """A ``directory demo`` or ``serve`` of a test's own, with all its processes."""

    def __init__(self, arguments: list[str], log: Path, **environ: str) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=log.parent,
                env=ENVIRON | environ,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline().strip()
        self.cpu_seconds_to_ready = sum(
            cpu_seconds(pid) for pid in (self.process.pid, *self.children())
        )
        if not self.ready_line.startswith("ready http://"):
            self.process.wait(30)
            raise AssertionError(f"{self.ready_line}\n{self.log}")
        super().__init__(urllib.parse.urlsplit(self.ready_line.removeprefix("ready ")).port or 0)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """What was logged under *name*."""
        found = []
        for line in self.log.splitlines():
            if line.startswith("{") and json.loads(line).get("event") == name:
                found.append(json.loads(line))
        return found

    def children(self, of: int | None = None) -> list[int]:
        """The processes below the supervisor (or below *of*), those below them too."""
        parent = of or self.process.pid
        with contextlib.suppress(OSError):
            listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            direct = [int(pid) for pid in listed]
            return direct + [below for pid in direct for below in self.children(pid)]
        return []

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def clear_away(self) -> None:
        """Whatever is left of it, gone."""
        family = self.children()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """What a process has had of a processor so far, in user and kernel mode."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def all_gone(pids: list[int], within: float) -> None:
    eventually(lambda: all(gone(pid) for pid in pids), within=within, what="every process ended")


@contextlib.contextmanager
def running(arguments: list[str], log: Path, **environ: str) -> Iterator[Service]:
    """A service for as long as the block."""
    service = Service(arguments, log, **environ)
    try:
        yield service
    finally:
        service.clear_away()
