"""A new installation: its configuration, key and database."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from directory.adapters import migrations
from directory.adapters.apart import apart
from directory.adapters.db import Database, departments
from directory.adapters.queries import department_by_slug
from directory.clock import clock_of
from directory.domain.contacts import ContactPoint, PointKind
from directory.domain.errors import Conflict
from directory.domain.values import EmailAddress
from directory.services.seed import plant, seed_folder
from directory.settings import Settings, load_settings

DEMO_KEY_BYTES = 32


def begin(
    root: Path,
    *,
    site: Mapping[str, Any],
    sample: bool,
    desk_email: str,
    by: str,
    overwrite: bool,
) -> Path:
    """Write configuration, secret key and database below *root*; the configuration's path.

    *site* are values of [site] to write in place of the defaults. Raises Conflict where a
    configuration is there already and *overwrite* is False, InvalidValue for *desk_email*.
    """
    path = root / "config" / "directory.toml"
    if path.exists() and not overwrite:
        raise Conflict(f"{path} is there already; --yes overwrites it")
    if desk_email:
        desk_email = str(EmailAddress.parse(desk_email))
    path.parent.mkdir(parents=True, exist_ok=True)
    var = root / "var"
    var.mkdir(mode=0o700, exist_ok=True)
    key = var / "secret_key"
    if not key.exists():  # links signed with a key that is there must stay good
        key.touch(mode=0o600)
        key.write_text(secrets.token_urlsafe(DEMO_KEY_BYTES) + "\n", encoding="ascii")
    template = seed_folder().parent / "directory.toml"
    path.write_text(_filled(template.read_text(encoding="utf-8"), site), encoding="utf-8")
    settings = load_settings(path, environ={}, env="production")
    database = Database(settings.database_url)
    try:
        migrations.upgrade(database)
        _plant(database, settings, sample=sample, desk_email=desk_email, by=by)
    finally:
        database.dispose()
    return path


def plant_once(parts: Any, *, sample: bool, by: str) -> None:
    """Migrate the database of *parts* and fill it from the seed if it is empty.

    In a process of its own: migrating loads Alembic and indexing a pinyin dictionary, some 50 MB
    that nobody who serves needs.
    """

    def work() -> None:
        migrations.upgrade(parts.db)
        _plant(parts.db, parts.settings, sample=sample, desk_email="", by=by)
        parts.let_go()

    parts.let_go()
    apart(work)


def _plant(
    database: Database, settings: Settings, *, sample: bool, desk_email: str, by: str
) -> None:
    now = clock_of(settings)()
    with database.writing() as session:
        if session.scalar(sa.select(sa.func.count()).select_from(departments)):
            return
        plant(
            session,
            seed_folder() / ("sample.toml" if sample else "start.toml"),
            settings=settings,
            now=now,
            by=by,
            verified_how="sample" if sample else "",
        )
        if sample and not desk_email:
            return
        desk = department_by_slug(session, settings.site.desk)
        if not desk_email:
            # Better our own mailbox than none: somebody owns it, and doctor will say so.
            desk_email = settings.mail.from_
        for point in desk.points:
            point.routing = False
        desk.points.append(
            ContactPoint(
                kind=PointKind.EMAIL,
                value=desk_email,
                typed=desk_email,
                public=desk_email != settings.mail.from_,
                routing=True,
                position=len(desk.points) + 1,
            )
        )


def _filled(template: str, site: Mapping[str, Any]) -> str:
    """The template with the key named and the values of [site] put in."""
    lines = []
    for line in template.splitlines():
        name = line.partition(" = ")[0]
        if name == "secret_key_file":
            line = 'secret_key_file = "var/secret_key"'
        elif name in site:
            line = f"{name} = {_toml(site[name])}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
