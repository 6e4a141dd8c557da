"""Installations by the machine's clock, with workers as processes and a mail server over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.parts import Parts
from tests.builders import parts_for, plant_office
from tests.faults.processes import QUICK, StartWorker, starting_workers
from tests.faults.smtp_server import SmtpServer


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    """An installation by the machine's clock."""
    parts = parts_for(tmp_path, database_url, None, delivery=QUICK)
    with parts.db.writing() as session:
        plant_office(session)
    yield parts
    parts.let_go()


@pytest.fixture
def mail() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def start(
    running: Parts, mail: SmtpServer, database_url: str, tmp_path: Path
) -> Iterator[StartWorker]:
    """Starts worker processes."""
    with starting_workers(tmp_path, database_url, mail.url) as starter:
        yield starter
