"""Who stands in for a department that does not answer: its deputy, and the desk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy.orm import Session

from directory.adapters.queries import department_by_slug
from directory.domain.contacts import Department, DepartmentStatus
from directory.domain.errors import NotFound


class StandsIn(IntEnum):
    """The number of a recipient of links who was sent no routed mail; those count from 1."""

    DEPUTY = 100_001
    DESK = 100_002


@dataclass(frozen=True, slots=True)
class Cover:
    """A mailbox that is read in place of a department's, and whose it is."""

    department: Department
    address: str


def cover_of(
    session: Session, department: Department, number: StandsIn, *, desk: str
) -> Cover | None:
    """Who stands in for *department* now; None where nobody does, or where it would be itself.

    *desk* is the slug of the desk.
    """
    if number is StandsIn.DEPUTY:
        return _deputy(session, department)
    try:
        found = department_by_slug(session, desk)
    except NotFound:
        return None
    if found.id == department.id or found.mailbox is None:
        return None
    return Cover(found, found.mailbox.value)


def _deputy(session: Session, department: Department) -> Cover | None:
    if department.backup_email:
        return Cover(department, department.backup_email)
    if department.deputy_id is None:
        return None
    found = session.get_one(Department, department.deputy_id)
    if found.status is not DepartmentStatus.ACTIVE or found.mailbox is None:
        return None
    return Cover(found, found.mailbox.value)
