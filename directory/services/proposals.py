"""What somebody says is wrong or should change, kept for an editor to accept or refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters import limits
from directory.adapters.db import departments, proposals
from directory.adapters.queries import department_by_slug
from directory.domain.columns import CellInvalid, set_columns, slot_of
from directory.domain.contacts import (
    ADDRESS_KINDS,
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
)
from directory.domain.errors import Conflict, InvalidValue, NotFound, RateLimited
from directory.domain.ids import new_id
from directory.domain.text import clean, is_blank, one_line
from directory.domain.trust import Challenge, Proposal, ProposalSource, ProposalStatus
from directory.services.contacts import Changes, about_department, amend_department
from directory.services.enquiries import HOUR, Sender
from directory.services.history import record
from directory.services.trust import answer_with_changes, verify
from directory.settings import Settings

WHAT_MAX = 200
CORRECT_MAX = 2_000
# Of one network in an hour; above it 429. One mistake is reported once, a page has some ten.
REPORTS_AN_HOUR = 10
# Details that can be changed by what is typed in one field; of the others only a person can tell.
_SINGLE = frozenset({"hours", "name", "summary"})


@dataclass(frozen=True, slots=True)
class Report:
    """What was typed, checked: ``what`` is a column's name or words, never empty."""

    what: str
    correct: str
    language: str
    email: str = ""


def read_what(text: str) -> str:
    """Which detail. Raises InvalidValue "what.required" or "message.too_long"."""
    if is_blank(text):
        raise InvalidValue("what.required")
    return _no_longer(one_line(text), WHAT_MAX)


def read_correct(text: str) -> str:
    """What should stand there; may be empty. Raises InvalidValue "message.too_long"."""
    return _no_longer(clean(text), CORRECT_MAX)


def _no_longer(text: str, most: int) -> str:
    if len(text) > most:
        raise InvalidValue("message.too_long", n=len(text), max=most)
    return text


# Made


def report_mistake(
    session: Session,
    department: Department,
    report: Report,
    *,
    settings: Settings,
    sender: Sender,
    now: datetime,
) -> Proposal:
    """Keep what anybody says of the public page. Raises RateLimited.

    The same words about the same department are kept once while nobody has decided.
    """
    if settings.enquiry.refuse_per_hour:
        _refuse_flood(session, sender, now)
    limits.use(session, [_key(sender)], now=now)
    return _keep(session, department, report, ProposalSource.PUBLIC, settings, now)


def propose_from_mailbox(
    session: Session, challenge: Challenge, report: Report, *, settings: Settings, now: datetime
) -> Proposal:
    """Keep what a department's own mailbox says. Raises LinkRefused."""
    department = answer_with_changes(session, challenge, settings=settings, now=now)
    report = replace(report, email=challenge.address)
    return _keep(session, department, report, ProposalSource.MAILBOX, settings, now)


def _refuse_flood(session: Session, sender: Sender, now: datetime) -> None:
    key = _key(sender)
    count = limits.used(session, {key: now - HOUR}).get(key, 0)
    if count >= REPORTS_AN_HOUR:
        first = limits.first_use(session, key, since=now - HOUR)
        raise RateLimited(count=count, again_at=(first or now) + HOUR)


def _key(sender: Sender) -> str:
    # Not the key enquiries are counted by: who reports a mistake may still ask something.
    return f"r:{sender.network}"


def _keep(
    session: Session,
    department: Department,
    report: Report,
    source: ProposalSource,
    settings: Settings,
    now: datetime,
) -> Proposal:
    same = session.scalar(
        sa.select(Proposal).where(
            proposals.c.department_id == department.id,
            proposals.c.status == ProposalStatus.OPEN,
            proposals.c.source == source,
            proposals.c.what == report.what,
            proposals.c.correct == report.correct,
        )
    )
    if same is not None:
        return same
    proposal = Proposal(
        id=new_id(now),
        department_id=department.id,
        source=source,
        what=report.what,
        correct=report.correct,
        cells=_cells(department, report, settings=settings, now=now),
        email=report.email,
        language=report.language,
        at=now,
    )
    session.add(proposal)
    record(
        session,
        about_department(department),
        "proposed",
        now=now,
        by=source.value,
        # What a stranger typed stays in the proposal, which can be erased; the history cannot.
        after={"proposal": str(proposal.id)},
    )
    return proposal


def _cells(
    department: Department, report: Report, *, settings: Settings, now: datetime
) -> dict[str, str]:
    """The report as a cell, where it names a detail and gives it a value that could stand there."""
    column = report.what
    slot = slot_of(column)
    if not report.correct or (slot is None and column not in _SINGLE):
        return {}
    if slot is not None and (slot.kind in ADDRESS_KINDS or slot.detail):
        return {}
    if column in _SINGLE - {"hours"}:
        column += "_zh_hans" if report.language == "zh-Hans" else "_en"
    try:
        set_columns(
            _copy(department),
            {column: report.correct},
            region=settings.site.default_country,
            find=lambda slug: department.id,
            now=now,
        )
    except (CellInvalid, Conflict):
        return {}
    return {column: report.correct}


def _copy(department: Department) -> Department:
    """The same department outside the session, to try a change on."""
    values = {it.name: getattr(department, it.name) for it in fields(Department)}
    values["points"] = [
        ContactPoint(**{it.name: getattr(point, it.name) for it in fields(ContactPoint)})
        for point in department.points
    ]
    return Department(**values)


# Decided


def open_proposals(session: Session, slug: str = "") -> list[tuple[Proposal, str]]:
    """What waits for an editor, the oldest first, each with its department's slug."""
    wanted = (
        sa.select(Proposal, departments.c.slug)
        .join(departments, departments.c.id == proposals.c.department_id)
        .where(proposals.c.status == ProposalStatus.OPEN)
        .order_by(proposals.c.at, proposals.c.id)
    )
    if slug:
        wanted = wanted.where(proposals.c.department_id == department_by_slug(session, slug).id)
    return [(row[0], row[1]) for row in session.execute(wanted)]


def accept_proposal(
    session: Session,
    proposal_id: int,
    *,
    cells: Mapping[str, str] | None = None,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> Changes:
    """Put the proposal's cells, or *cells* instead of them, into its department; what changed.

    What the department's own mailbox said counts as checked; a mailbox is asked itself all the
    same. Raises NotFound, Conflict where it was decided before, and what amending raises.
    """
    proposal, department = _undecided(session, proposal_id)
    wanted = dict(cells if cells else proposal.cells)
    changed: Changes = {}
    if wanted:
        if department.status is not DepartmentStatus.ACTIVE:
            raise Conflict(f"“{department.slug}” is closed")
        known = {(point.id, point.value) for point in department.points}
        changed = amend_department(
            session,
            department.slug,
            wanted,
            settings=settings,
            now=now,
            by=by,
            reason=reason or f"proposal {proposal.id}",
        )
        if proposal.source is ProposalSource.MAILBOX:
            said = [
                point
                for point in department.points
                if (point.id, point.value) not in known and point.kind is not PointKind.EMAIL
            ]
            verify(said, how="mailbox", by=proposal.email, settings=settings, now=now)
    _decide(session, proposal, department, ProposalStatus.ACCEPTED, now=now, by=by, reason=reason)
    return changed


def refuse_proposal(
    session: Session, proposal_id: int, *, now: datetime, by: str, reason: str
) -> None:
    """Keep things as they are, for a *reason*. Raises NotFound, and Conflict without one."""
    if not reason:
        raise Conflict("say with --reason why it is refused")
    proposal, department = _undecided(session, proposal_id)
    _decide(session, proposal, department, ProposalStatus.REFUSED, now=now, by=by, reason=reason)


def _undecided(session: Session, proposal_id: int) -> tuple[Proposal, Department]:
    proposal = session.get(Proposal, proposal_id, with_for_update=True, populate_existing=True)
    if proposal is None:
        raise NotFound(f"There is no proposal {proposal_id}")
    if proposal.status is not ProposalStatus.OPEN:
        raise Conflict(f"proposal {proposal_id} was {proposal.status} by {proposal.decided_by}")
    return proposal, session.get_one(Department, proposal.department_id)


def _decide(
    session: Session,
    proposal: Proposal,
    department: Department,
    status: ProposalStatus,
    *,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    proposal.status, proposal.decided_at = status, now
    proposal.decided_by, proposal.reason = by, reason
    record(
        session,
        about_department(department),
        f"proposal_{status.value}",
        now=now,
        by=by,
        note=reason,
        before={"proposal": str(proposal.id)},
    )
