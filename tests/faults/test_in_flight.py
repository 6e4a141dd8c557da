"""Rules and directory changed while enquiries wait to be sent: none is lost, none has nobody.

The workers are processes of their own and the mail server is a real one, as in test_worker.py.
What must hold is P1, P5 and P16, under fault F31.
"""

from __future__ import annotations

import itertools
import random
import signal
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from directory.adapters.db import Database, decisions, deliveries, enquiries, rule_sets
from directory.adapters.queries import department_by_slug, topic_by_code
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.parts import Parts
from directory.services.rules import publish_rules
from tests.builders import OFFICE_RULES, a_submission, submit
from tests.faults.processes import StartWorker
from tests.faults.smtp_server import Say, SmtpServer
from tests.faults.test_worker import message_ids, tries
from tests.support import eventually

TOPICS = ("permits", "apply", "not-sure")


def ask(parts: Parts, number: int) -> Enquiry:
    """One of those who ask for parking, study or a newspaper, or do not know."""
    return submit(
        parts,
        a_submission(
            TOPICS[number % 3],
            form_token=f"form {number}",
            message="For a newspaper" if number % 6 == 5 else "A question",
            email=None,
            reply_by=ReplyBy.NONE,
        ),
    )


# What is changed meanwhile


def suspend(parts: Parts, slug: str = "parking", state: PointState = PointState.SUSPENDED) -> None:
    with parts.db.writing() as session:
        for point in department_by_slug(session, slug).points:
            if point.kind is PointKind.EMAIL:
                point.state = state


def close(parts: Parts, slug: str = "media", *, again: bool = False) -> None:
    with parts.db.writing() as session:
        department = department_by_slug(session, slug)
        department.status = DepartmentStatus.ACTIVE if again else DepartmentStatus.CLOSED
        department.successor_id = department_by_slug(session, "admissions").id


def edit_rules(parts: Parts, *, all_to: str = "admissions") -> None:
    """Drop the rule for newspapers: everything nobody is named for goes to one department."""
    last = {"id": "all", "name": {"en": "All"}, "send_to": all_to}
    with parts.db.writing() as session:
        publish_rules(session, [last], reason="try", by="x@x.example", now=parts.now())


def drop_topic(parts: Parts, *, back: bool = False) -> None:
    with parts.db.writing() as session:
        topic_by_code(session, "permits").active = back


EDITS: dict[str, Callable[[Parts], None]] = {
    "suspend": suspend,
    "close": close,
    "rules": edit_rules,
    "topic": drop_topic,
}


# What must hold


def mail_of(db: Database) -> list[tuple[int, str, DeliveryState]]:
    """Every mail to a department: its enquiry, recipient and state."""
    with db.reading() as session:
        found = sa.select(Delivery).where(deliveries.c.kind == DeliveryKind.ROUTED)
        return [(it.enquiry_id or 0, it.recipient, it.state) for it in session.scalars(found)]


def settled(parts: Parts) -> bool:
    open_states = {DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED}
    return not open_states & {state for _, _, state in mail_of(parts.db)}


def check_that_each_arrived_once(parts: Parts, mail: SmtpServer, count: int) -> None:
    with parts.db.reading() as session:
        kept = list(session.scalars(sa.select(Enquiry).order_by(enquiries.c.id)))
        decided = session.execute(
            sa.select(decisions.c.enquiry_id, decisions.c.rule_set, decisions.c.recipient)
        ).all()
        versions = set(session.scalars(sa.select(rule_sets.c.version)))
    assert len(kept) == count
    accepted = [it for it in mail_of(parts.db) if it[2] is DeliveryState.ACCEPTED]
    assert sorted(it[0] for it in accepted) == sorted(enquiry.id for enquiry in kept)
    assert {it[2] for it in mail_of(parts.db)} <= {DeliveryState.ACCEPTED, DeliveryState.CANCELLED}
    assert {(it.status, it.attention) for it in kept} == {(EnquiryStatus.ROUTED, "")}
    # Each decision names one version, and what was sent went where one of them said.
    assert {it.rule_set for it in decided} <= versions
    told = {(it.enquiry_id, it.recipient) for it in decided}
    assert {(it[0], it[1]) for it in accepted} <= told
    assert len(mail.messages) == len(set(message_ids(mail))) == count
    sent_to = sorted(taken.recipients[0] for taken in mail.messages)
    assert sent_to == sorted(it[1] for it in accepted)


@pytest.mark.parametrize(
    "order", list(itertools.permutations(EDITS))[::5], ids=lambda order: "-".join(order)
)
def test_changes_in_any_order_find_a_live_mailbox_for_what_waits(
    running: Parts, mail: SmtpServer, start: StartWorker, order: tuple[str, ...]
) -> None:
    for number in range(6):
        ask(running, number)
    # Some were tried and some were not when the changes come.
    mail.plan(rcpt=[Say("450 4.2.0 Later")] * 6)
    worker = start()
    eventually(lambda: tries(running) >= 6)
    worker.send(signal.SIGTERM)
    assert worker.ended() == 0
    for number in range(6, 12):
        ask(running, number)
    for edit in order:
        EDITS[edit](running)
        with running.db.reading() as session:
            nobody = sa.select(decisions.c.id).where(decisions.c.recipient == "")
            assert session.scalars(nobody).all() == []
    for number in range(12, 18):
        ask(running, number)
    sent_before = len(mail.messages)

    start()
    start()

    eventually(lambda: settled(running), within=60)
    check_that_each_arrived_once(running, mail, 18)
    later = {taken.recipients[0] for taken in mail.messages[sent_before:]}
    assert later == {"admissions@institute.example", "desk@institute.example"}


def test_while_everything_changes_at_once_each_enquiry_arrives_once(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    chance = random.Random(31)
    count, done = 60, threading.Event()
    wrong: list[BaseException] = []
    changes: list[Callable[[], None]] = [
        lambda: suspend(running, "parking"),
        lambda: suspend(running, "parking", PointState.VERIFIED),
        lambda: suspend(running, "admissions"),
        lambda: suspend(running, "admissions", PointState.VERIFIED),
        lambda: close(running, "media"),
        lambda: close(running, "media", again=True),
        lambda: edit_rules(running, all_to="enquiry-desk"),
        lambda: publish_office_rules(running),
        lambda: drop_topic(running),
        lambda: drop_topic(running, back=True),
    ]

    def change() -> None:
        try:
            while not done.is_set():
                chance.choice(changes)()
        except BaseException as error:
            wrong.append(error)

    start()
    start()
    changing = threading.Thread(target=change)
    changing.start()
    try:
        for number in range(count):
            ask(running, number)
    finally:
        done.set()
        changing.join()

    assert wrong == []
    eventually(lambda: settled(running), within=60)
    check_that_each_arrived_once(running, mail, count)


def publish_office_rules(parts: Parts) -> None:
    with parts.db.writing() as session:
        department_by_slug(session, "media").status = DepartmentStatus.ACTIVE
        publish_rules(session, OFFICE_RULES, reason="x", by="x@x.example", now=parts.now())
