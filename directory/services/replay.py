"""What other rules would have done with the enquiries that came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import decisions, enquiries
from directory.adapters.queries import Published
from directory.domain.conditions import Facts, Routes
from directory.domain.enquiry import Decision
from directory.domain.routing import decide

Progress = Callable[[int, int], None]

_PAGE: Final = 500
_SAY_EVERY: Final = 100
# Of departments that visitors chose, the ways are remembered for so many.
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where one set sends an enquiry: the department's slug, its mailbox, the rule, the rest.

    ``rule`` is the position and ``rule_id`` the id of the rule that sends it, None where none
    does; ``outcome`` as ``Outcome.to_json`` writes it.
    """

    department: str
    recipient: str
    reason: str
    rule: int | None
    rule_id: str | None
    outcome: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Moved:
    """An enquiry that the other set treats differently, and in what: "department", "mailbox"
    (another of the same department) or "outcome" (held, copied, tagged … or not).

    ``ref`` has the symbols of its reference.
    """

    ref: str
    received_at: datetime
    topic: str
    changed: tuple[str, ...]
    old: Side
    new: Side


@dataclass(slots=True)
class Tally:
    """How many were looked at, and how many of them differ, in what and by which rules.

    ``by_rule`` counts pairs of ids, of the rule responsible before and of the one after, "" where
    none is; ``elsewhere`` those that reach another mailbox.
    """

    replayed: int = 0
    moved: int = 0
    elsewhere: int = 0
    by_rule: dict[tuple[str, str], int] = field(default_factory=dict)


class Replay:
    """The last enquiries, put through two sets. Iterate it for those that differ.

    ``tally`` and ``total`` hold afterwards. Nothing is stored: *session* is to be one that reads.
    An enquiry is judged as it came in, at the time it came in, in the directory of today. Tests
    and erased ones, which have no words left, are passed over.
    """

    def __init__(
        self,
        session: Session,
        old: Published,
        new: Published,
        *,
        count: int = 200,
        progress: Progress | None = None,
    ) -> None:
        self.tally = Tally()
        self._session = session
        self._old = old
        self._new = new
        self._progress = progress
        self._routes: dict[tuple[int, str], Routes] = {}
        self._wanted = (
            sa.select(*_columns(old.rules.asks_returning or new.rules.asks_returning))
            .where(sa.not_(enquiries.c.test), enquiries.c.message != "")
            .order_by(enquiries.c.received_at.desc(), enquiries.c.id.desc())
            .limit(count)
        )
        found = self._wanted.with_only_columns(enquiries.c.id).subquery()
        self.total = session.scalar(sa.select(sa.func.count()).select_from(found)) or 0

    def __iter__(self) -> Iterator[Moved]:
        # Never more of them in memory than a page, however many there are.
        rows = self._session.execute(self._wanted, execution_options={"yield_per": _PAGE})
        for row in rows:
            if moved := self._moved(row):
                yield moved
            self.tally.replayed += 1
            if self._progress and (
                self.tally.replayed % _SAY_EVERY == 0 or self.tally.replayed == self.total
            ):
                self._progress(self.tally.replayed, self.total)

    def _moved(self, row: Any) -> Moved | None:
        facts = Facts(
            topic=row.topic,
            department=row.chosen_department,
            reply_language=row.reply_language,
            country=row.country,
            text=f"{row.subject}\n{row.message}",
            at=row.received_at,
            source=row.source,
            origin=row.origin,
            answers=row.answers,
            returning=_returning(row),
        )
        sides = [self._side(by, facts) for by in (self._old, self._new)]
        (old, old_decision), (new, new_decision) = sides
        changed = []
        if old_decision.department_id != new_decision.department_id:
            changed.append("department")
        elif old.recipient != new.recipient:
            changed.append("mailbox")
        if changed:
            self.tally.elsewhere += 1
        if old.outcome != new.outcome:
            changed.append("outcome")
        if not changed:
            return None
        self.tally.moved += 1
        pair = (old.rule_id or "", new.rule_id or "")
        self.tally.by_rule[pair] = self.tally.by_rule.get(pair, 0) + 1
        return Moved(row.ref, row.received_at, row.topic, tuple(changed), old, new)

    def _side(self, by: Published, facts: Facts) -> tuple[Side, Decision]:
        decision = decide(facts, by.rules, self._routes_with(by, facts.department))
        side = Side(
            department=by.department_of(self._session, decision).slug,
            recipient=decision.recipient,
            reason=decision.reason,
            rule=decision.rule,
            rule_id=decision.rule_id,
            outcome=decision.outcome,
        )
        return side, decision

    def _routes_with(self, by: Published, chosen: str) -> Routes:
        key = (id(by), chosen)
        if key not in self._routes:
            if len(self._routes) >= _REMEMBERED:
                self._routes.clear()
            self._routes[key] = by.routes_with(self._session, chosen)
        return self._routes[key]


def _columns(looks_back: bool) -> list[Any]:
    """What routing may know of an enquiry, and whether its writer wrote before if that counts."""
    columns: list[Any] = [
        enquiries.c[name]
        for name in (
            *("ref", "received_at", "topic", "chosen_department", "subject", "message"),
            *("reply_language", "country", "source", "origin", "answers"),
        )
    ]
    if looks_back:
        before = enquiries.alias()
        columns += [
            sa.select(decisions.c.facts)
            .where(decisions.c.enquiry_id == enquiries.c.id)
            .order_by(decisions.c.id)
            .limit(1)
            .scalar_subquery()
            .label("facts"),
            sa.exists()
            .where(
                enquiries.c.email != "",
                before.c.email == enquiries.c.email,
                before.c.received_at < enquiries.c.received_at,
            )
            .label("wrote_before"),
        ]
    return columns


def _returning(row: Any) -> bool | None:
    """Whether the visitor wrote before: as it was known then, else as the enquiries tell."""
    if "facts" not in row._fields:
        return None
    known = (row.facts or {}).get("returning")
    return known if isinstance(known, bool) else bool(row.wrote_before)
