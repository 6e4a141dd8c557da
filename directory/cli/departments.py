"""Departments and how they are reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from directory.cli.base import Talk, cli, common, in_transaction, who, writes
from directory.domain.errors import (
    Conflict,
)


@cli.group(cls=click.Group)
def department() -> None:
    """Departments and how they are reached."""


def _department_json(talk: Talk, session: Any, found: Any) -> dict[str, Any]:
    from directory.adapters.formats import department_json
    from directory.services.contacts import hours_of, reply_days_of, slugs

    settings = talk.settings
    now = talk.parts.now()
    return department_json(
        found,
        slugs=slugs(session),
        topics=list(talk.parts.published(session, now).topics.values()),
        hours=hours_of(found, settings=settings),
        reply_days=reply_days_of(found, None, settings=settings),
        base_url=settings.site.base_url,
        default_country=settings.site.default_country,
        now=now,
    )


@department.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@common
def department_list(talk: Talk, everything: bool) -> None:
    """Every department, as the tree is read."""
    from directory.adapters.formats import listing
    from directory.adapters.queries import department_by_slug, department_rows
    from directory.domain.contacts import localised

    with talk.parts.db.reading() as session:
        rows = department_rows(session, active_only=not everything)
        items = []
        if talk.as_json:
            items = [
                _department_json(talk, session, department_by_slug(session, row.slug))
                for row in rows
            ]
    talk.data(
        listing(items),
        [
            f"{'  ' * row.depth}{row.slug}  {localised(row.name, talk.language)[0]}"
            + ("" if row.status == "active" else f"  ({row.status})")
            for row in rows
        ],
    )


@department.command("show")
@click.argument("slug")
@common
def department_show(talk: Talk, slug: str) -> None:
    """One department, every column."""
    from directory.adapters.queries import department_by_slug
    from directory.domain.columns import columns_of
    from directory.services.contacts import slugs

    with talk.parts.db.reading() as session:
        found = department_by_slug(session, slug)
        value = _department_json(talk, session, found) if talk.as_json else {}
        cells = columns_of(found, slugs=slugs(session))
    talk.data(value, [f"{column}={text}" for column, text in cells.items()])


def read_cells(pairs: tuple[str, ...]) -> dict[str, str]:
    cells = {}
    for pair in pairs:
        column, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f"write column=value, not {pair!r}")
        cells[column.strip()] = text
    return cells


@department.command("add")
@click.argument("slug")
@click.argument("cells", nargs=-1, metavar="COLUMN=VALUE…")
@writes
@common
def department_add(
    talk: Talk, slug: str, cells: tuple[str, ...], reason: str, as_email: str | None
) -> None:
    """A new department: directory department add library name_en=Library phone="025 …"."""
    from directory.domain.columns import columns_of
    from directory.services.contacts import add_department, slugs

    def act(session: Any) -> tuple[Any, dict[str, str]]:
        made = add_department(
            session,
            slug,
            read_cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        session.flush()
        ask_at_once(talk, session, made)
        value = _department_json(talk, session, made) if talk.as_json else None
        return value, columns_of(made, slugs=slugs(session))

    value, columns = in_transaction(talk, act)
    ring(talk)
    talk.data(value, [f"+ {column}={text}" for column, text in columns.items()])


def ask_at_once(talk: Talk, session: Any, changed: Any) -> None:
    """Ask the mailboxes that somebody just entered whether they are right."""
    from directory.services.trust import ask_due

    session.flush()
    ask_due(session, settings=talk.settings, now=talk.parts.now(), department_id=changed.id)


def ring(talk: Talk) -> None:
    """Let the workers know of new mail."""
    if not talk.dry_run:
        talk.parts.doorbell.ring()


@department.command("set")
@click.argument("slug")
@click.argument("cells", nargs=-1, required=True, metavar="COLUMN=VALUE…")
@click.option(
    "--successor", default="", metavar="SLUG", help="Who answers where its last mailbox goes."
)
@writes
@common
def department_set(
    talk: Talk,
    slug: str,
    cells: tuple[str, ...],
    successor: str,
    reason: str,
    as_email: str | None,
) -> None:
    """Change columns and print the difference; "-" clears."""
    from directory.adapters.queries import department_ever_called
    from directory.services.contacts import amend_department

    def act(session: Any) -> Mapping[str, tuple[str, str]]:
        changed = amend_department(
            session,
            slug,
            read_cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
            successor=successor,
        )
        ask_at_once(talk, session, department_ever_called(session, slug))
        return changed

    show_changes(talk, slug, in_transaction(talk, act))


def show_changes(talk: Talk, slug: str, changed: Mapping[str, tuple[str, str]]) -> None:
    ring(talk)
    talk.data(
        {"slug": slug, "changes": {c: {"before": b, "after": a} for c, (b, a) in changed.items()}},
        list(diff(changed)) or ["= nothing changed"],
    )


def diff(changed: Mapping[str, tuple[Any, Any]]) -> Iterable[str]:
    for column, (before, after) in changed.items():
        if before:
            yield f"- {column}={before}"
        if after:
            yield f"+ {column}={after}"


@department.command("close")
@click.argument("slug")
@click.option("--successor", required=True, metavar="SLUG", help="Who takes over.")
@writes
@common
def department_close(
    talk: Talk, slug: str, successor: str, reason: str, as_email: str | None
) -> None:
    """Close a department; its successor takes over its page, its topics and its rules."""
    from directory.services.contacts import close_department

    if not talk.yes and not talk.dry_run:
        raise Conflict(f"This closes “{slug}” for good; say --yes to do it")
    in_transaction(
        talk,
        lambda session: close_department(
            session,
            slug,
            successor=successor,
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        ),
    )
    talk.data(
        {"slug": slug, "status": "closed", "successor": successor},
        [f"closed {slug}, succeeded by {successor}"],
    )
