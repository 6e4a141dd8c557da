"""The pages, asked as a browser asks, around the small institution of tests/builders.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from directory import logs
from directory.app import app_of
from directory.parts import Parts
from tests.builders import SetClock, parts_for
from tests.web.pages import SITE


class Compiled(BytecodeCache):
    """Templates compiled once for all tests of a run; each test has an application of its own."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self.kept.get(bucket.key + bucket.checksum):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


@pytest.fixture(autouse=True, scope="session")
def _logs_as_in_service() -> None:
    logs.configure()


@pytest.fixture
def client(office: Parts) -> FlaskClient:
    """A browser of its own, on each database."""
    return client_of(office)


def client_of(parts: Parts) -> FlaskClient:
    app = app_of(parts)
    app.jinja_env.bytecode_cache = Compiled()
    made = app.test_client()
    made.environ_base["HTTP_HOST"] = SITE
    return made


@pytest.fixture
def quick_office(sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Parts]:
    """On SQLite alone, for what no database has a say in."""
    parts = parts_for(tmp_path, sqlite_url, clock)
    yield parts
    parts.let_go()


@pytest.fixture
def quick(quick_office: Parts) -> FlaskClient:
    return client_of(quick_office)
