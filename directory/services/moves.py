"""Enquiries passed on to another department, and what that tells of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.compose import PassedOn
from directory.adapters.db import deliveries, departments, rule_sets
from directory.adapters.links import Signer
from directory.adapters.queries import (
    MoveCount,
    Published,
    additions_of,
    current_rules,
    decisions_of,
    deliveries_of,
    department_by_slug,
    enquiry_by_ref,
    events_of,
    moves_of_rules,
    moves_of_topics,
)
from directory.domain.analysis import UNUSED_DAYS, Usage
from directory.domain.conditions import write_condition
from directory.domain.contacts import Department, DepartmentStatus, Localised, localised
from directory.domain.delivery import WAITING, Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus, action_version
from directory.domain.errors import Conflict
from directory.domain.routing import RuleSet, arrive
from directory.domain.text import is_blank, message_text
from directory.services.contacts import language_of
from directory.services.enquiries import id_after, next_position
from directory.services.history import about, record
from directory.services.post import Post
from directory.settings import Settings

# So often departments pass an enquiry on among themselves; whoever has it then does not know who
# answers either, and the desk is there to find out.
MOVES_BEFORE_DESK = 2
NOTE_MAX = 2_000
# What moves tell of rules and topics is counted over as many days as an unused rule is known by.
COUNTED = timedelta(days=UNUSED_DAYS)

# Mail to who has it, which is of no use there once somebody else does: what a visitor added goes to
# that one within the enquiry itself.
_GOES_ALONG = (DeliveryKind.ROUTED, DeliveryKind.ADDITION, DeliveryKind.NOTICE)
_NOT_MOVED = frozenset({EnquiryStatus.HELD, EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN})


# Moving


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a move: ``department`` has the enquiry now.

    It is another than was asked for where that one's mail is read elsewhere (``decision`` names
    who was passed over), or where two moves came before (``to_desk``). ``delivery`` is None where
    nobody takes mail at all. ``repeated`` says that the same move was made before, and only that
    one counts.
    """

    enquiry: Enquiry
    decision: Decision
    department: Department
    delivery: Delivery | None
    to_desk: bool
    repeated: bool = False


def reroute_enquiry(
    session: Session,
    ref: str,
    slug: str,
    *,
    by: str,
    note: str = "",
    reason: str = "",
    version: int | None = None,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Moved:
    """Pass the enquiry *ref* (eight symbols) on to the department *slug*.

    *note* is for its next reader, *reason* for the history; *version* is the enquiry's as *by* saw
    it. A decision is added and one mail queued; what still waited to be sent to the mailbox before
    is cancelled, and the links in what was sent are spent. When the visitor was told to expect an
    answer stands. After two moves it goes to the desk, whatever is asked, unless it is there.

    The same move again is the one that was made. Raises InvalidValue for a note that is too long
    or no text, NotFound for an unknown enquiry or department, and Conflict when the enquiry was
    changed since, is held, closed or withdrawn, or is there already, or when the department is
    closed.
    """
    note = "" if is_blank(note) else message_text(note, limit=NOTE_MAX)
    enquiry = enquiry_by_ref(session, ref)
    waiting = _locked_with_its_mail(session, enquiry)
    decided = decisions_of(session, enquiry)
    if (last := decided[-1]).reason == "moved" and _is_same(last, slug, by, version):
        return _as_made(session, enquiry, last)
    if version is not None and version != enquiry.version:
        raise Conflict("Somebody else changed this enquiry meanwhile; look at it again")
    if enquiry.status in _NOT_MOVED:
        raise Conflict(f"an enquiry that is {enquiry.status.value} cannot be passed on")
    before = session.get_one(Department, enquiry.department_id)
    _check_target(session, department_by_slug(session, slug))
    to_desk = _moves(decided) >= MOVES_BEFORE_DESK and before.slug != published.desk
    to = published.desk if to_desk else slug
    arrival = arrive(to, published.routes_with(session, to), now)
    if arrival.department.id == before.id:
        raise Conflict(
            f"it is with “{before.slug}” already"
            if before.slug == slug
            else f"mail for “{slug}” comes to “{before.slug}” now, where it is already"
        )
    decision = Decision(
        id=id_after(decided, now),
        enquiry_id=enquiry.id,
        at=now,
        by=by,
        reason="moved",
        department_id=arrival.department.id,
        contact_point_id=arrival.mailbox_id,
        recipient=arrival.address,
        rule_set=published.rules.version,
        # The visitor reads it: of a person there is nothing in it.
        why=_passed_on_by(before.name),
        passed_over=arrival.passed_over,
        facts={"asked": slug, "version": enquiry.version, "to_desk": to_desk},
    )
    department = published.department_of(session, decision)
    for delivery in waiting:
        delivery.cancelled(now, f"passed on to {department.slug}")
    stood = enquiry.standing()
    enquiry.department_id = department.id
    enquiry.status, enquiry.routed_at = EnquiryStatus.RECEIVED, None
    # Who has it now is reminded anew, and was not reminded yet.
    enquiry.remind_at, enquiry.reminders = None, 0
    enquiry.attention = ""
    enquiry.version += 1
    session.add(decision)
    again: Delivery | None = None
    if decision.recipient:
        topic, added = published.topic(enquiry.topic), additions_of(session, enquiry)
        post = Post(settings, signer, published, enquiry, topic, added=added)
        again = post.to_department(
            department,
            decision,
            position=next_position(session, enquiry),
            now=now,
            link_version=action_version([*decided, decision]),
            passed_on=_for_the_reader(
                session, decided, decision, department, by=by, note=note, settings=settings
            ),
            references=_thread(session, enquiry),
        )
        session.add(again)
    else:
        enquiry.needs_attention("no_mailbox")
    record(
        session,
        about(enquiry),
        "rerouted",
        now=now,
        by=by,
        note=reason,
        before={"department": before.slug, **stood},
        after={
            "department": department.slug,
            "status": enquiry.status.value,
            "asked": slug,
            "delivery": str(again.id) if again else "",
            "cancelled": [str(delivery.id) for delivery in waiting],
        },
    )
    return Moved(enquiry, decision, department, again, to_desk)


def undo_move(
    session: Session,
    enquiry: Enquiry,
    *,
    by: str,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Moved:
    """Take back the move that *by* made last: the enquiry is where it was before, and as it was.

    Where the mail of the move still waits, it is cancelled and nobody has noticed anything. Where
    it was sent, its links are spent, and the department that has the enquiry again is sent a mail
    with links of its own. Raises Conflict when the last decision is no move of *by*.
    """
    waiting = _locked_with_its_mail(session, enquiry)
    *earlier, last = decisions_of(session, enquiry)
    if last.reason != "moved" or last.by != by or not earlier:
        raise Conflict("There is no move of yours to take back any more")
    told = next(e for e in reversed(events_of(session, about(enquiry))) if e.type == "rerouted")
    before = earlier[-1]
    has_it = any(
        delivery.kind is DeliveryKind.ROUTED
        and delivery.recipient == before.recipient
        and delivery.state in {DeliveryState.ACCEPTED, DeliveryState.SENDING}
        for delivery in deliveries_of(session, enquiry)
    )
    # What was added since went to the other alone; whoever has it again is sent it as well.
    added = additions_of(session, enquiry)
    news = any(last.at is None or it.at >= last.at for it in added)
    routed = any(delivery.kind is DeliveryKind.ROUTED for delivery in waiting)
    unsent = routed and has_it and not news
    for delivery in waiting:
        delivery.cancelled(now, "the move was taken back")
    department = session.get_one(Department, before.department_id)
    decision = Decision(
        id=id_after([last], now),
        enquiry_id=enquiry.id,
        at=now,
        by=by,
        reason="undone",
        department_id=before.department_id,
        contact_point_id=before.contact_point_id,
        recipient=before.recipient,
        rule_set=published.rules.version,
        why=_passed_on_by(session.get_one(Department, last.department_id).name),
        passed_over=before.passed_over,
        facts={"undoes": str(last.id), "unsent": unsent},
    )
    session.add(decision)
    enquiry.department_id = department.id
    enquiry.stand_again({name: told.before[name] for name in enquiry.standing()})
    again: Delivery | None = None
    if not unsent and decision.recipient:
        decided = [*earlier, last, decision]
        topic = published.topic(enquiry.topic)
        post = Post(settings, signer, published, enquiry, topic, added=added)
        again = post.to_department(
            department,
            decision,
            position=next_position(session, enquiry),
            now=now,
            link_version=action_version(decided),
            references=_thread(session, enquiry),
        )
        session.add(again)
    record(
        session,
        about(enquiry),
        "undone",
        now=now,
        by=by,
        before={"department": told.after["department"]},
        after={
            "department": department.slug,
            **enquiry.standing(),
            "undone": "rerouted",
            "delivery": str(again.id) if again else "",
            "cancelled": [str(delivery.id) for delivery in waiting],
        },
    )
    return Moved(enquiry, decision, department, again, to_desk=False)


def _moves(decided: Sequence[Decision]) -> int:
    """How often it was passed on, what was taken back not counted."""
    moved = sum(decision.reason == "moved" for decision in decided)
    return moved - sum(decision.reason == "undone" for decision in decided)


def _locked_with_its_mail(session: Session, enquiry: Enquiry) -> list[Delivery]:
    """Lock *enquiry*, and the mail to departments that still waits to be sent.

    A worker that records a result has the delivery first and then the enquiry: whoever took them
    the other way round could wait for it for ever, and it for them.
    """
    unsent = (
        sa.select(Delivery)
        .where(
            deliveries.c.enquiry_id == enquiry.id,
            deliveries.c.kind.in_(_GOES_ALONG),
            deliveries.c.state.in_([*WAITING, DeliveryState.SENDING]),
        )
        .order_by(deliveries.c.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    session.scalars(unsent).all()
    session.refresh(enquiry, with_for_update=True)
    # One may have come meanwhile, and somebody have it already: that one is being sent.
    found = session.scalars(unsent.with_for_update(skip_locked=True)).all()
    return [delivery for delivery in found if delivery.state in WAITING]


def _is_same(last: Decision, slug: str, by: str, version: int | None) -> bool:
    """Whether *last*, a move, is the one that is asked for."""
    told = last.facts
    if told.get("asked") != slug:
        return False
    if version is not None:
        return bool(told.get("version") == version)
    # The desk may well send it where it was meant to go, and only another press is the same.
    return not told.get("to_desk") or last.by == by


def _as_made(session: Session, enquiry: Enquiry, last: Decision) -> Moved:
    sent = [d for d in deliveries_of(session, enquiry) if d.kind is DeliveryKind.ROUTED]
    return Moved(
        enquiry,
        last,
        session.get_one(Department, last.department_id),
        sent[-1] if sent and last.recipient else None,
        bool(last.facts.get("to_desk")),
        repeated=True,
    )


def _check_target(session: Session, department: Department) -> None:
    if department.status is not DepartmentStatus.CLOSED:
        return
    heir = session.get(Department, department.successor_id) if department.successor_id else None
    instead = f"; “{heir.slug}” took over" if heir else ""
    raise Conflict(f"“{department.slug}” is closed{instead}")


def _passed_on_by(name: Localised) -> dict[str, str]:
    return {
        "en": f"{localised(name, 'en')[0]} passed it on",
        "zh-Hans": f"{localised(name, 'zh-Hans')[0]}已转交",
    }


def _for_the_reader(
    session: Session,
    decided: Sequence[Decision],
    decision: Decision,
    department: Department,
    *,
    by: str,
    note: str,
    settings: Settings,
) -> PassedOn:
    language = language_of(department, settings)
    # Whoever passed it on, in turn: not those it was meant for and whose mailbox refused it.
    passing = [
        before.department_id
        for before, after in zip(decided, [*decided[1:], decision], strict=True)
        if after.reason == "moved"
    ]
    asked = decision.facts["asked"]
    names = _names(session, passing, asked)
    return {
        "by": by,
        "note": note,
        "departments": [localised(names[id], language)[0] for id in passing],
        "meant_for": "" if asked == department.slug else localised(names[asked], language)[0],
        "to_desk": decision.facts["to_desk"],
    }


def _names(session: Session, ids: Sequence[UUID], slug: str) -> dict[Any, Localised]:
    """The names of departments, by id and by slug."""
    rows = session.execute(
        sa.select(departments.c.id, departments.c.slug, departments.c.name).where(
            sa.or_(departments.c.id.in_(ids), departments.c.slug == slug)
        )
    )
    return {key: row.name for row in rows for key in (row.id, row.slug)}


def _thread(session: Session, enquiry: Enquiry) -> list[str]:
    """The Message-IDs of the mails to departments that somebody has."""
    return [
        delivery.message_id
        for delivery in deliveries_of(session, enquiry)
        if delivery.kind is DeliveryKind.ROUTED and delivery.state is DeliveryState.ACCEPTED
    ]


# What moves tell


def usage(session: Session, now: datetime, rules: RuleSet | None = None) -> list[Usage]:
    """What became in the last ninety days of the enquiries that each rule decided.

    Of the published rules, or of those of *rules*, a draft, that are published with the same
    condition: the others have decided nothing yet and are left out. ``since`` is exact up to ninety
    days back; what stood then has stood so for that long at least.
    """
    standing = _standing_since(session, rules or current_rules(session, now), now)
    counts = moves_of_rules(session, list(standing), since=now - COUNTED)
    found: list[Usage] = []
    for id, since in standing.items():
        count = counts.get(id) or MoveCount(id, 0, 0)
        found.append(Usage(id, since, count.decided, count.moved))
    return found


def misrouted_topics(session: Session, now: datetime) -> list[MoveCount]:
    """The topics of the last ninety days, those most often passed on first."""
    return moves_of_topics(session, since=now - COUNTED)


def _standing_since(session: Session, rules: RuleSet, now: datetime) -> dict[str, datetime]:
    """From when each of *rules* is published with its present condition, by its id."""
    left = {rule.id: write_condition(rule.when) if rule.when else None for rule in rules.rules}
    since: dict[str, datetime] = {}
    versions = (
        sa.select(rule_sets.c.effective_at, rule_sets.c.version)
        .where(rule_sets.c.effective_at <= now)
        .order_by(rule_sets.c.version.desc())
    )
    begun = now
    for effective_at, version in session.execute(versions).all():
        published = session.scalar(
            sa.select(rule_sets.c.rules).where(rule_sets.c.version == version)
        )
        # One that was to begin later than its successor never decided.
        begun = min(begun, effective_at)
        stood = {rule["id"]: rule.get("when") for rule in published or ()}
        left = {id: when for id, when in left.items() if id in stood and stood[id] == when}
        since.update(dict.fromkeys(left, begun))
        if not left or begun <= now - COUNTED:
            break
    return since
