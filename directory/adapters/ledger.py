"""The ledger's books: kept with every change, added up in passing, counted anew on demand.

Kept: whatever changes an enquiry's state or its mail's also writes, in the same transaction, one
row that says from which account to which the enquiry moved. Rows are only added, so that no two
writers wait for the same one. Every minute a worker adds them to the totals and removes them.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters.db import UNCOUNTED, deliveries, enquiries, ledger_counts, ledger_moves
from directory.adapters.prepared import Prepared, Rows
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.ledger import RECEIVED, Account, Ledger

log = structlog.get_logger(__name__)

# Taken into the books at once, of what the release before added beside this one.
_TAKEN_IN = 1_000

_MOVES = Rows(ledger_moves)


def _one_of(column: sa.Column[Any], *words: StrEnum) -> sa.ColumnElement[bool]:
    # Not IN: a statement that is written once has no list of as many values as are given.
    return sa.or_(*(column == word for word in words))


def _has_mail(*states: DeliveryState) -> sa.ColumnElement[bool]:
    return (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.enquiry_id == enquiries.c.id,
            deliveries.c.kind == DeliveryKind.ROUTED,
            _one_of(deliveries.c.state, *states),
        )
        .exists()
    )


# Where an enquiry stands, told from itself and its mail: the one place where that is decided.
# (The migration that began the books has it as it was then.)
STANDS = sa.case(
    (enquiries.c.test, Account.TEST.value),
    (enquiries.c.status == EnquiryStatus.HELD, Account.HELD.value),
    (enquiries.c.attention != "", Account.ATTENTION.value),
    (enquiries.c.status == EnquiryStatus.ANSWERED, Account.ANSWERED.value),
    (
        _one_of(enquiries.c.status, EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN),
        Account.CLOSED.value,
    ),
    (
        _has_mail(DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED),
        Account.RETRYING.value,
    ),
    # One that somebody took is with that person, however it got there.
    (
        sa.or_(enquiries.c.status == EnquiryStatus.TAKEN, _has_mail(DeliveryState.ACCEPTED)),
        Account.WAITING.value,
    ),
    else_=Account.NOWHERE.value,
)
_LOCK = Prepared(
    sa.select(enquiries.c.id).where(enquiries.c.id == sa.bindparam("id")).with_for_update()
)
_LOOK = Prepared(sa.select(STANDS, enquiries.c.account).where(enquiries.c.id == sa.bindparam("id")))
_MARK = Prepared(
    sa.update(enquiries)
    .where(enquiries.c.id == sa.bindparam("enquiry_id"))
    .values(account=sa.bindparam("target"))
)


def opened(session: Session, enquiry: Enquiry) -> None:
    """Count *enquiry*, just stored, where its ``account`` says.

    Its maker knows what mail is stored beside it; asking would cost every visitor a question.
    """
    session.info.get("to_account", set()).discard(enquiry.id)
    if enquiry.account != Account.TEST:
        _write(session, [("", enquiry.account)])


def keep(session: Session, enquiry_ids: Iterable[int]) -> None:
    """Move these enquiries to where they now stand. Called before each commit that may tell."""
    locks = session.connection().dialect.name == "postgresql"
    moved: list[tuple[str, str]] = []
    for id in sorted(enquiry_ids):
        if locks and id not in session.info.get("locked", ()):
            # Two transactions may have changed different mails of it: the second looks again
            # once the first is done. (Who recorded a delivery's end has locked it already.)
            _LOCK.first(session, {"id": id})
        found = _LOOK.first(session, {"id": id})
        if found is None or found[0] == found[1]:
            continue
        target, source = found
        _MARK.write(session, {"enquiry_id": id, "target": target})
        if target == Account.NOWHERE:
            log.error("ledger.nowhere", enquiry=id)
        if target != Account.TEST:
            moved.append((source, target))
    if moved:
        _write(session, moved)


def _write(session: Session, moves: list[tuple[str, str]]) -> None:
    rows = [{"id": secrets.randbits(62), "source": a, "target": b} for a, b in moves]
    _MOVES.write(session, rows)


# Reading and adding up


# In one statement, which sees one state wherever it is asked: totals, and moves not added yet.
_KEPT = sa.union_all(
    sa.select(sa.literal("total").label("source"), ledger_counts.c.account, ledger_counts.c.total),
    sa.select(ledger_moves.c.source, ledger_moves.c.target, sa.func.count()).group_by(
        ledger_moves.c.source, ledger_moves.c.target
    ),
)


def read(session: Session) -> Ledger:
    """The ledger as it is kept."""
    totals: Counter[str] = Counter()
    for source, account, count in session.connection().execute(_KEPT):
        if source == "total":
            totals[account] += count
        else:
            _move(totals, source, account, count)
    return _ledger(totals)


def fold(session: Session) -> int:
    """Add the moves to the totals; how many there were. Several at once each add their own."""
    gone = sa.delete(ledger_moves)
    dialect = session.connection().dialect.name
    if dialect == "postgresql":
        # Another worker's are passed by: waiting for them would only find them gone.
        mine = sa.select(ledger_moves.c.id).with_for_update(skip_locked=True)
        gone = gone.where(ledger_moves.c.id.in_(mine))
    moved = session.execute(gone.returning(ledger_moves.c.source, ledger_moves.c.target)).all()
    change: Counter[str] = Counter()
    for source, target in moved:
        _move(change, source, target, 1)
    add = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(ledger_counts)
    add = add.on_conflict_do_update(
        index_elements=["account"], set_={"total": ledger_counts.c.total + add.excluded.total}
    )
    # In one order for all, so that no two wait for each other.
    for account in sorted(name for name, by in change.items() if by):
        session.execute(add, {"account": account, "total": change[account]})
    return len(moved)


def _move(totals: Counter[str], source: str, target: str, count: int) -> None:
    totals[source or RECEIVED] += -count if source else count
    totals[target] += count


def take_in(session: Session) -> int:
    """Count what stands in no book, as rows do that the release before added; how many."""
    wanted = sa.select(enquiries.c.id).where(UNCOUNTED).order_by(enquiries.c.id).limit(_TAKEN_IN)
    ids = list(session.scalars(wanted))
    if ids:
        keep(session, ids)
    return len(ids)


def count_anew(session: Session) -> Ledger:
    """What the books should say, from the enquiries and their mail themselves.

    Reads every enquiry: for people who ask, never on the way of one.
    """
    each = sa.select(STANDS.label("account")).subquery()
    grouped = sa.select(each.c.account, sa.func.count()).group_by(each.c.account)
    found = session.connection().execute(grouped)
    totals = Counter({row[0]: row[1] for row in found if row[0] != Account.TEST})
    totals[RECEIVED] = totals.total()
    return _ledger(totals)


def set_right(session: Session) -> Ledger:
    """Begin the books anew from what is there, for an operator who asks for it."""
    session.execute(sa.delete(ledger_moves))
    session.execute(sa.delete(ledger_counts))
    session.execute(
        sa.update(enquiries).values(account=STANDS),
        execution_options={"synchronize_session": False},
    )
    anew = count_anew(session)
    rows = {RECEIVED: anew.received} | {str(a): n for a, n in anew.accounts.items()}
    session.execute(
        sa.insert(ledger_counts),
        [{"account": account, "total": total} for account, total in rows.items()],
    )
    return anew


def nowhere(session: Session, *, limit: int = 20) -> list[str]:
    """References' symbols of enquiries that stand nowhere, for whoever has to look at them."""
    wanted = sa.select(enquiries.c.ref).where(enquiries.c.account == Account.NOWHERE).limit(limit)
    return list(session.scalars(wanted))


def _ledger(totals: Counter[str]) -> Ledger:
    return Ledger(
        received=totals[RECEIVED],
        accounts={account: totals[account] for account in Account if totals[account]},
    )
