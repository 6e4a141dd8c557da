"""The sample institution, served to a real browser from the tests' own process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import make_server

from tests.browser.demo import Demo, running_demo
from tests.faults.smtp_server import SmtpServer
from tests.support import free_port

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy.orm import Session

SITE = """
[site]
base_url = "http://127.0.0.1:{port}"
timezone = "Asia/Shanghai"
name = {{ en = "JITRI", zh-Hans = "江苏省产业技术研究院" }}
desk = "enquiry-desk"
default_country = "CN"
[sla]
calendars = ["CN"]
[mail]
from = "contact@institute.example"
[enquiry]
rate_per_hour = 0
refuse_per_hour = 0
"""


@pytest.fixture(scope="module")
def site(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service with the sample institution; nothing is mailed."""
    with serving(_sqlite_template, tmp_path_factory.mktemp("site")) as address:
        yield address


@contextmanager
def serving(
    template: Path, root: Path, change: Callable[[Session], None] | None = None
) -> Iterator[str]:
    """The sample institution below *root*, after *change*, for as long as the context lasts."""
    (root / "var").mkdir()
    shutil.copyfile(template, root / "var" / "directory.db")
    port = free_port()
    (root / "config").mkdir()
    (root / "config" / "directory.toml").write_text(SITE.format(port=port), encoding="utf-8")
    app = application(root)
    if change is not None:
        with app.extensions["directory"].db.writing() as session:
            change(session)
    # In threads, because a browser opens connections ahead of need and holds them.
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    thread.join()
    server.server_close()


def application(root: Path) -> Flask:
    from directory.app import app_of
    from directory.parts import assemble
    from directory.services.seed import plant, seed_folder
    from directory.settings import load_settings

    settings = load_settings(root / "config" / "directory.toml", environ={}, env="test")
    parts = assemble(settings)
    with parts.db.writing() as session:
        plant(
            session,
            seed_folder() / "sample.toml",
            settings=settings,
            now=datetime.now(UTC),
            by="test",
            verified_how="sample",
        )
    return app_of(parts)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with its own loopback mailbox."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture(scope="module")
def mail_server() -> Iterator[SmtpServer]:
    """A plain mail server in the tests' own process."""
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module")
def mailing_demo(
    tmp_path_factory: pytest.TempPathFactory, mail_server: SmtpServer
) -> Iterator[Demo]:
    """A demo whose mail leaves through *mail_server*."""
    folder = tmp_path_factory.mktemp("mailing")
    with running_demo(folder, DIRECTORY_MAIL__URL=mail_server.url) as demo:
        yield demo
