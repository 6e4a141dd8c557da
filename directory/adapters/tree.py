"""The departments' tree read a page at a time, for directories too long to be shown whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import departments
from directory.adapters.queries import DepartmentRow
from directory.domain.contacts import Department, DepartmentStatus

_ACTIVE = departments.c.status == DepartmentStatus.ACTIVE
_ABOVE = departments.alias("above")


@dataclass(frozen=True, slots=True)
class Unit:
    """An active department with how many stand directly below it."""

    row: DepartmentRow
    inside: int


def count_departments(session: Session) -> int:
    """How many departments are active."""
    return session.scalar(sa.select(sa.func.count()).select_from(departments).where(_ACTIVE)) or 0


def count_units(session: Session, parent_id: UUID | None) -> int:
    """How many active departments stand directly below *parent_id*, or at the top."""
    return session.scalar(_below(parent_id, sa.func.count())) or 0


def units(session: Session, parent_id: UUID | None, *, limit: int, offset: int = 0) -> list[Unit]:
    """The active departments directly below *parent_id* (None: at the top), in order.

    One whose parent is closed stands at the top rather than nowhere.
    """
    columns = (
        departments.c.id,
        departments.c.slug,
        departments.c.parent_id,
        departments.c.status,
        departments.c.name,
        departments.c.position,
    )
    wanted = _below(parent_id, *columns).order_by(departments.c.position, departments.c.slug)
    rows = [DepartmentRow(*row) for row in session.execute(wanted.limit(limit).offset(offset))]
    inside = _counts_below(session, [row.id for row in rows])
    return [Unit(row, inside.get(row.id, 0)) for row in rows]


def departments_of(session: Session, found: Sequence[Unit]) -> dict[UUID, Department]:
    """The departments of these units with all their contact points."""
    wanted = sa.select(Department).where(departments.c.id.in_([unit.row.id for unit in found]))
    return {department.id: department for department in session.scalars(wanted)}


def slugs_changed(
    session: Session, *, limit: int, offset: int = 0
) -> Iterator[tuple[str, datetime]]:
    """Slug and last change of active departments, by slug."""
    wanted = (
        sa.select(departments.c.slug, departments.c.updated_at)
        .where(_ACTIVE)
        .order_by(departments.c.slug)
        .limit(limit)
        .offset(offset)
    )
    for row in session.execute(wanted):
        yield row.slug, row.updated_at


def last_change(session: Session) -> datetime | None:
    """When a department was changed last."""
    found: datetime | None = session.scalar(sa.select(sa.func.max(departments.c.updated_at)))
    return found


def departments_in_batches(session: Session, size: int = 500) -> Iterator[list[Department]]:
    """Every active department with its contact points, by slug; each batch is then let go.

    By where the last batch ended, and not by offset: the thousandth costs what the first did.
    """
    after = ""
    while True:
        batch = list(
            session.scalars(
                sa.select(Department)
                .where(_ACTIVE, departments.c.slug > after)
                .order_by(departments.c.slug)
                .limit(size)
            )
        )
        if not batch:
            return
        yield batch
        after = batch[-1].slug
        session.expunge_all()


def _below(parent_id: UUID | None, *columns: Any) -> sa.Select[Any]:
    if parent_id is not None:
        return sa.select(*columns).where(_ACTIVE, departments.c.parent_id == parent_id)
    return (
        sa.select(*columns)
        .select_from(
            departments.outerjoin(
                _ABOVE,
                sa.and_(
                    _ABOVE.c.id == departments.c.parent_id,
                    _ABOVE.c.status == DepartmentStatus.ACTIVE,
                ),
            )
        )
        .where(_ACTIVE, _ABOVE.c.id.is_(None))
    )


def _counts_below(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    found = session.execute(
        sa.select(departments.c.parent_id, sa.func.count())
        .where(_ACTIVE, departments.c.parent_id.in_(ids))
        .group_by(departments.c.parent_id)
    )
    return {row[0]: row[1] for row in found}
