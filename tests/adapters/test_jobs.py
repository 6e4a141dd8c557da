"""The doorbell: wakes a worker, and its failure fails nobody."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.adapters.jobs import Doorbell


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Doorbell]:
    made = Doorbell(tmp_path / "var" / "doorbell.db")
    yield made
    made.close()


def test_a_ring_is_heard_once(bell):
    bell.ring()

    assert (bell.heard(), bell.heard()) == (True, False)


def test_many_rings_not_yet_heard_are_as_good_as_one(bell):
    for _ in range(5):
        bell.ring()

    assert (bell.heard(), bell.heard()) == (True, False)


def test_a_ring_is_heard_in_another_process_that_shares_the_file(bell, tmp_path):
    other = Doorbell(tmp_path / "var" / "doorbell.db")

    other.ring()

    assert bell.heard()
    other.close()


def test_a_ring_wakes_whoever_waits(bell):
    started = time.monotonic()
    ringing = threading.Timer(0.1, bell.ring)
    ringing.start()

    assert bell.wait(20, unless=lambda: False)

    assert time.monotonic() - started < 10
    ringing.join()


def test_waiting_ends_by_itself_when_nobody_rings(bell):
    assert not bell.wait(0.05, unless=lambda: False)


def test_waiting_ends_as_soon_as_it_is_called_off(bell):
    looks = iter([False, False, True])
    started = time.monotonic()

    assert not bell.wait(20, unless=lambda: next(looks))

    assert time.monotonic() - started < 10


def test_a_doorbell_that_is_broken_fails_nobody(tmp_path, capsys):
    path = tmp_path / "doorbell.db"
    bell = Doorbell(path)
    bell.close()
    with sqlite3.connect(path) as connection:
        for (table,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall():
            connection.execute(f"DROP TABLE {table}")
    connection.close()

    bell.ring()

    assert not bell.heard()
    said = "".join(capsys.readouterr())
    assert "doorbell.silent" in said and "doorbell.deaf" in said
    bell.close()


def test_a_bell_that_was_let_go_opens_again_at_its_next_use(bell):
    bell.ring()
    bell.close()

    assert bell.heard()
