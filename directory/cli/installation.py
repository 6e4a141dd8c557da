"""A new installation, its configuration and its database."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from directory.cli.base import EXIT_FINDINGS, Talk, cli, common, who
from directory.domain.errors import (
    NotFound,
    Unavailable,
)

DEMO_SITE = {
    "name": {"en": "JITRI", "zh-Hans": "江苏省产业技术研究院"},
    "timezone": "Asia/Shanghai",
    "default_country": "CN",
}


@cli.command(with_appcontext=False)
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--sample", is_flag=True, help="With the sample institution.")
@click.option("--desk-email", metavar="EMAIL", help="Mailbox of the Enquiry Desk.")
@click.option("--as", "as_email", metavar="EMAIL", help="Who acts.")
@click.option("--yes", is_flag=True, help="Overwrite a configuration that is there.")
@common
def init(
    talk: Talk, folder: str, sample: bool, desk_email: str | None, as_email: str | None
) -> None:
    """Write a configuration, a secret key and a database in DIR."""
    from directory.services.installation import begin

    root = Path(folder)
    path = begin(
        root,
        site=DEMO_SITE if sample else {},
        sample=sample,
        desk_email=desk_email or "",
        by=who(as_email),
        overwrite=talk.yes,
    )
    talk.data(
        {"config": str(path), "next": "directory serve"},
        [f"wrote {path}", f"next: directory serve --config {path}"],
    )


@cli.group(cls=click.Group)
def db() -> None:
    """The database."""


@db.command("upgrade")
@common
def db_upgrade(talk: Talk) -> None:
    """Bring the database to this release, and see that the rules still do what they did.

    Ends with 1 where an example kept with the published rules no longer goes where it must.
    """
    from directory.adapters import migrations

    before = _current(talk)
    migrations.upgrade(talk.parts.db)
    after = _current(talk)
    broken = _broken_examples(talk)
    talk.data(
        {"before": before, "after": after, "broken_examples": broken},
        [f"{before or 'empty'} → {after}"],
    )
    for text in broken:
        talk.say(f"warning: {text[talk.language]}")
    if broken:
        sys.exit(EXIT_FINDINGS)


def _broken_examples(talk: Talk) -> list[dict[str, str]]:
    """What is wrong with the published rules under this release, in both languages."""
    from directory.adapters.queries import published_key
    from directory.domain.conditions import RuleInvalid
    from directory.services.rule_trials import check_examples

    now = talk.parts.now()
    with talk.parts.db.reading() as session:
        if not published_key(session, now)[0]:
            return []
        try:
            published = talk.parts.published(session, now)
        except RuleInvalid as error:
            return [dict.fromkeys(("en", "zh-Hans"), f"{error}")]
        return [dict(it.text) for it in check_examples(session, published)]


@db.command("current")
@common
def db_current(talk: Talk) -> None:
    """The revision the database is at."""
    from directory.adapters import migrations

    at, newest = _current(talk), migrations.newest()
    talk.data({"current": at, "newest": newest}, [f"{at or 'empty'} (newest {newest})"])
    if at != newest:
        sys.exit(EXIT_FINDINGS)


def _current(talk: Talk) -> str | None:
    import sqlalchemy as sa

    from directory.adapters import migrations

    try:
        return migrations.current(talk.parts.db)
    except sa.exc.OperationalError as error:
        raise Unavailable(type(error.orig).__name__) from error


@cli.group(cls=click.Group)
def config() -> None:
    """The configuration."""


@config.command("show")
@click.option("--origin", is_flag=True, help="Where each value comes from.")
@common
def config_show(talk: Talk, origin: bool) -> None:
    """Every setting, secrets masked."""
    settings = talk.settings
    found = list(settings.leaves())
    value = {key: {"value": v, "origin": settings.origin(key)} for key, v in found}
    lines = [
        f"{key} = {json.dumps(v, ensure_ascii=False)}"
        + (f"  # {settings.origin(key)}" if origin else "")
        for key, v in found
    ]
    talk.data(value, lines)


@config.command("check")
@common
def config_check(talk: Talk) -> None:
    """Whether the configuration can be used in production."""
    from directory.supervisor import transport_of

    talk.env = "production"
    settings = talk.settings
    transport_of(talk.parts)
    talk.data({"ok": True}, [f"ok {settings.path or '(no file)'}"])


@config.command("path")
@common
def config_path(talk: Talk) -> None:
    """The configuration file that is read."""
    path = talk.settings.path
    if path is None:
        raise NotFound("No configuration file: the defaults and the environment hold")
    talk.data({"path": str(path)}, [str(path)])
