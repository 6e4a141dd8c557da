"""A new installation: configuration, key and database, once."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from directory.adapters import migrations
from directory.adapters.queries import department_by_slug, department_rows
from directory.domain.errors import Conflict, InvalidValue
from directory.parts import assemble
from directory.services.installation import begin, plant_once
from directory.settings import load_settings
from tests.builders import parts_for


def install(root: Path, **more: Any) -> Path:
    given: dict[str, Any] = {
        "site": {},
        "sample": False,
        "desk_email": "",
        "by": "chen@x.example",
        "overwrite": False,
    }
    return begin(root, **(given | more))


def test_a_new_installation_can_serve_in_production(tmp_path):
    path = install(tmp_path, desk_email="desk@x.example")

    settings = load_settings(path, environ={})
    assert settings.env == "production"
    assert len(settings.secret_key[0].get_secret_value()) >= 32
    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    parts = assemble(settings)
    assert migrations.current(parts.db) == migrations.newest()
    with parts.db.reading() as session:
        desk = department_by_slug(session, "enquiry-desk")
        assert desk.mailbox is not None and desk.mailbox.value == "desk@x.example"
        assert parts.published(session, parts.now()).rules.rules[-1].send_to == "enquiry-desk"
    parts.let_go()


def test_two_installations_never_share_a_key(tmp_path):
    keys = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        install(tmp_path / name)
        keys.add((tmp_path / name / "var" / "secret_key").read_text())

    assert len(keys) == 2


def test_without_a_desk_address_our_own_receives_and_is_not_published(tmp_path):
    parts = assemble(load_settings(install(tmp_path), environ={}))

    with parts.db.reading() as session:
        desk = department_by_slug(session, "enquiry-desk")
    assert desk.mailbox is not None
    assert (desk.mailbox.value, desk.mailbox.public) == (parts.settings.mail.from_, False)
    parts.let_go()


def test_what_is_told_of_the_site_stands_in_the_file_and_the_rest_is_as_explained(tmp_path):
    name = {"en": "The “Best” Institute", "zh-Hans": "研究所"}

    path = install(tmp_path, site={"name": name, "timezone": "Asia/Singapore"})

    written = tomllib.loads(path.read_text(encoding="utf-8"))
    assert written["site"]["name"] == name
    assert written["site"]["timezone"] == "Asia/Singapore"
    assert written["secret_key_file"] == "var/secret_key"
    assert "# " in path.read_text(encoding="utf-8")


def test_a_configuration_that_is_there_is_left_as_it_is(tmp_path):
    path = install(tmp_path)
    path.write_text("# mine\n")

    with pytest.raises(Conflict):
        install(tmp_path)

    assert path.read_text() == "# mine\n"


def test_a_desk_address_that_is_none_leaves_nothing_behind(tmp_path):
    with pytest.raises(InvalidValue):
        install(tmp_path, desk_email="desk")

    assert list(tmp_path.iterdir()) == []


def test_a_database_that_holds_departments_is_not_planted_again(db, tmp_path):
    parts = parts_for(tmp_path, db.url.render_as_string(hide_password=False))
    plant_once(parts, sample=True, by="demo")
    with parts.db.writing() as session:
        department_by_slug(session, "media").notes = "mine"
        before = len(department_rows(session))

    plant_once(parts, sample=True, by="demo")

    with parts.db.reading() as session:
        assert department_by_slug(session, "media").notes == "mine"
        assert len(department_rows(session)) == before
    parts.let_go()
