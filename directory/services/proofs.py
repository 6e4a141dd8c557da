"""Rules held against the directory as it stands: what can be proven of where enquiries go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import phonenumbers
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, departments, topics
from directory.domain.analysis import Report, analyse, prove_arrival
from directory.domain.conditions import Mailbox, Routes, Target, TopicRoute
from directory.domain.contacts import (
    LIVE_STATES,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
)
from directory.domain.errors import NotFound
from directory.domain.hours import OpeningHours
from directory.domain.routing import RuleSet
from directory.parts import CountryNames
from directory.settings import Settings

_COUNTRIES: Final = tuple(sorted(phonenumbers.SUPPORTED_REGIONS))


def examine_rules(session: Session, rules: RuleSet, *, settings: Settings, now: datetime) -> Report:
    """All that can be proven of *rules*, published or a draft, in the directory as it is now.

    Reads only. Takes up to ten seconds for ten thousand rules. Raises NotFound without a desk.
    """
    # What moves tell stands beside moving, which changes of the directory come before.
    from directory.services.moves import usage

    return analyse(
        rules,
        whole_directory(session, rules, settings=settings),
        at=now,
        languages=settings.site.languages,
        countries=_COUNTRIES,
        usage=usage(session, now, rules),
    )


def prove_arrival_in(
    routes: Routes,
    rules: RuleSet,
    *,
    settings: Settings,
    now: datetime,
    asked: Collection[str] = (),
) -> Report:
    """The errors that a change of the directory can bring about, in *routes*.

    Of the rules *asked*, by their ids, also those that are never reached.
    """
    return prove_arrival(
        rules,
        routes,
        at=now,
        languages=settings.site.languages,
        countries=_COUNTRIES,
        asked=asked,
    )


# The directory as routing sees it


def whole_directory(session: Session, rules: RuleSet, *, settings: Settings) -> Routes:
    """Every department, every topic offered, and the mailboxes that *rules* name.

    As *session* sees them, uncommitted changes and all. Plain rows: ten thousand departments with
    all their contact points would take seconds to load. Raises NotFound without a desk.
    """
    rows = session.execute(
        sa.select(
            departments.c.id,
            departments.c.slug,
            departments.c.name,
            departments.c.status,
            departments.c.deputy_id,
            departments.c.successor_id,
            departments.c.backup_email,
        ).order_by(departments.c.position, departments.c.slug)
    ).all()
    slugs: dict[UUID | None, str] = {row.id: row.slug for row in rows}
    mailboxes = _mailboxes(session)
    hours = _hours(session, rules, settings)
    targets: dict[str, Target] = {}
    for row in rows:
        own = mailboxes.get(row.id, [])
        # The desk's is written to whatever its state; who retired theirs has none any more.
        had = [
            it for it in own if it.state is not PointState.RETIRED or row.slug == settings.site.desk
        ]
        # As Department.mailbox chooses.
        mailbox = min(
            (it for it in own if it.live),
            key=lambda it: (not it.routing, not it.public, it.position),
            default=None,
        )
        targets[row.slug] = Target(
            id=row.id,
            slug=row.slug,
            name=row.name,
            mailbox=mailbox.value if mailbox else "",
            mailbox_id=mailbox.id if mailbox else None,
            verified=mailbox is not None and mailbox.verified,
            last_mailbox=had[0].value if had else "",
            deputy=slugs.get(row.deputy_id, ""),
            backup_email=row.backup_email,
            away_until=mailbox.away_until if mailbox else None,
            active=row.status is DepartmentStatus.ACTIVE,
            successor=slugs.get(row.successor_id, ""),
            hours=hours.get(row.slug),
        )
    desk = settings.site.desk
    if desk not in targets or not targets[desk].active:
        raise NotFound(
            f"There is no department “{desk}”: the desk ([site] desk) receives what no rule does"
        )
    offered = session.execute(
        sa.select(topics.c.code, topics.c.label, topics.c.department_id)
        .where(topics.c.active)
        .order_by(topics.c.position, topics.c.code)
    )
    return Routes(
        targets=targets,
        topics={
            row.code: TopicRoute(
                code=row.code, label=row.label, department=slugs.get(row.department_id, "")
            )
            for row in offered
        },
        desk=desk,
        countries=CountryNames(),
        mailboxes=_named(rules, mailboxes, slugs),
    )


@dataclass(frozen=True, slots=True)
class _Mailbox:
    id: UUID
    value: str
    state: PointState
    routing: bool
    public: bool
    position: int
    away_until: datetime | None

    @property
    def live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def verified(self) -> bool:
        return self.state is PointState.VERIFIED


def _mailboxes(session: Session) -> dict[UUID, list[_Mailbox]]:
    """The mailboxes of each department, in the order it keeps them."""
    columns = [contact_points.c[name] for name in _Mailbox.__dataclass_fields__]
    found: dict[UUID, list[_Mailbox]] = {}
    for department_id, *values in session.execute(
        sa.select(contact_points.c.department_id, *columns)
        .where(contact_points.c.kind == PointKind.EMAIL)
        .order_by(contact_points.c.position, contact_points.c.id)
    ):
        found.setdefault(department_id, []).append(_Mailbox(*values))
    return found


def _named(
    rules: RuleSet,
    mailboxes: Mapping[UUID, list[_Mailbox]],
    slugs: Mapping[UUID | None, str],
) -> dict[str, Mailbox]:
    """The mailboxes that *rules* name by their address."""
    addresses = {to for rule in rules.rules for to in rule.recipients if "@" in to}
    found: dict[str, Mailbox] = {}
    for department_id, several in mailboxes.items() if addresses else ():
        for it in several:
            # The same address at two departments: the one that may still be written to.
            if it.value in addresses and (it.live or it.value not in found):
                found[it.value] = Mailbox(
                    it.value, it.id, slugs[department_id], live=it.live, verified=it.verified
                )
    return found


def _hours(session: Session, rules: RuleSet, settings: Settings) -> dict[str, OpeningHours | None]:
    asked = rules.opening_departments
    if not asked:
        return {}
    return {
        found.slug: OpeningHours.of(
            found, timezone=settings.site.timezone, calendar=settings.sla.calendar
        )
        for found in session.scalars(sa.select(Department).where(departments.c.slug.in_(asked)))
    }
