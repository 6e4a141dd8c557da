"""Mailboxes are asked as often as was promised and no oftener; only their answers prove them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import challenges, deliveries
from directory.adapters.mail import Accepted
from directory.adapters.queries import department_by_slug, events_of
from directory.domain.contacts import ContactPoint, PointKind, PointState
from directory.domain.delivery import (
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Outcome,
)
from directory.domain.errors import Conflict, LinkRefused, PermanentFailure
from directory.domain.trust import Challenge
from directory.parts import Parts
from directory.services.contacts import about_department, amend_department, close_department
from directory.services.deliveries import record_accepted, record_failure
from directory.services.trust import (
    Asked,
    ask_department,
    ask_unproven,
    confirm,
    object_to_questions,
    sweep,
    unproven,
    verify_by_hand,
)
from directory.worker import Worker
from tests.builders import a_department, a_mailbox
from tests.services.test_contacts import amend

NEW = "cars@institute.example"


def swept(parts: Parts) -> int:
    with parts.db.writing() as session:
        return sweep(session, settings=parts.settings, now=parts.now())


def days(parts: Parts, count: float) -> None:
    parts.now.advance(days=count)  # type: ignore[attr-defined]


def questions(parts: Parts) -> list[Delivery]:
    with parts.db.reading() as session:
        wanted = sa.select(Delivery).where(deliveries.c.kind == DeliveryKind.VERIFICATION)
        return list(session.scalars(wanted.order_by(deliveries.c.id)))


def settle(parts: Parts) -> None:
    """The mail server takes all that waits."""
    with parts.db.writing() as session:
        for delivery in session.scalars(sa.select(Delivery)):
            if delivery.state is not DeliveryState.ACCEPTED:
                attempt = Attempt(
                    delivery_id=delivery.id or 0,
                    at=parts.now(),
                    seconds=0.1,
                    server="mail.example:25",
                    stage="dot",
                    code=250,
                    text="ok",
                    outcome=Outcome.ACCEPTED,
                )
                delivery.succeeded(parts.now(), "250 ok")
                record_accepted(session, delivery, attempt, parts.now())


def asked(parts: Parts, slug: str = "parking") -> Challenge:
    """The challenge of a mailbox just entered."""
    amend(parts, slug, email=NEW)
    swept(parts)
    with parts.db.reading() as session:
        return session.scalars(sa.select(Challenge).where(challenges.c.address == NEW)).one()


def mailbox(parts: Parts, slug: str = "parking") -> ContactPoint:
    with parts.db.reading() as session:
        found = department_by_slug(session, slug).mailbox
        assert found is not None
        return found


def answered(parts: Parts, challenge: Challenge) -> None:
    with parts.db.writing() as session:
        found = session.get_one(Challenge, challenge.id)
        confirm(session, found, settings=parts.settings, now=parts.now())


def happened(parts: Parts, slug: str = "parking") -> list[str]:
    with parts.db.reading() as session:
        subject = about_department(department_by_slug(session, slug))
        return [event.type for event in events_of(session, subject)]


# Asking


def test_a_mailbox_just_entered_is_asked_once_and_reminded_twice_and_then_left_alone(office):
    amend(office, "parking", email=NEW)

    for _ in range(170):
        swept(office)
        settle(office)
        days(office, 1)

    mails = questions(office)
    assert [mail.recipient for mail in mails] == [NEW] * 3
    assert [mail.inputs["reminder"] for mail in mails] == [0, 1, 2]
    first, second, third = (mail.created_at for mail in mails)
    assert timedelta(days=7) <= second - first < timedelta(days=8, minutes=1)
    assert timedelta(days=7) <= third - second < timedelta(days=8, minutes=1)
    assert len({mail.message_id for mail in mails}) == 3


def test_it_is_asked_again_when_its_time_has_come(office):
    asked(office)
    days(office, office.settings.verify.every_days)

    assert swept(office) == 1
    assert [mail.inputs["reminder"] for mail in questions(office)] == [0, 0]


def test_nobody_is_asked_who_came_with_a_sample_or_an_import(office):
    days(office, 400)
    assert swept(office) == 0
    assert questions(office) == []


def test_a_verified_mailbox_stays_verified_while_it_is_asked_again(office):
    with office.db.writing() as session:
        point = department_by_slug(session, "parking").points[0]
        point.due_at = office.now()

    swept(office)

    point = mailbox(office)
    assert (point.state, point.verified_at is not None) == (PointState.VERIFIED, True)
    assert point.due_at == office.now() + timedelta(days=180)


def test_a_new_mailbox_is_verifying_once_it_was_asked(office):
    asked(office)
    assert mailbox(office).state is PointState.VERIFYING


@pytest.mark.parametrize("address", ["no-reply@institute.example", "donotreply@x.example"])
def test_nobody_asks_an_address_that_says_nobody_reads_it(office, address):
    amend(office, "parking", email=address)
    assert swept(office) == 0
    assert swept(office) == 0


def test_one_address_has_one_open_question_however_many_departments_it_serves(office):
    for slug in ("parking", "media", "admissions"):
        amend(office, slug, email=NEW)

    assert swept(office) == 1
    days(office, 1)
    assert swept(office) == 0

    with office.db.reading() as session:
        first = session.scalars(sa.select(Challenge)).one()
    answered(office, first)
    days(office, 1)
    assert swept(office) == 1
    open_ones = [mail.contact_point_id for mail in questions(office)]
    assert len(set(open_ones)) == 2


def test_an_address_that_never_answers_gets_three_mails_in_half_a_year_for_all_departments(office):
    for slug in ("parking", "media", "admissions"):
        amend(office, slug, email=NEW)

    for _ in range(175):
        swept(office)
        settle(office)
        days(office, 1)

    assert len(questions(office)) == 3


def test_two_workers_at_once_ask_no_mailbox_twice(office):
    for slug in ("parking", "media", "admissions"):
        amend(office, slug, email=f"new-{slug}@institute.example", email2=NEW)
    barrier = threading.Barrier(4)
    failed: list[Exception] = []

    def worker() -> None:
        barrier.wait(10)
        try:
            for _ in range(3):
                swept(office)
        except Exception as error:
            failed.append(error)

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join(60)

    assert failed == []
    recipients = sorted(mail.recipient for mail in questions(office))
    assert recipients == sorted({*recipients, NEW})
    assert len(recipients) == 4


def test_two_workers_at_once_remind_once(office):
    asked(office)
    settle(office)
    days(office, 8)
    barrier = threading.Barrier(3)

    def worker() -> None:
        barrier.wait(10)
        swept(office)

    workers = [threading.Thread(target=worker) for _ in range(3)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join(60)

    assert [mail.inputs["reminder"] for mail in questions(office)] == [0, 1]


def test_a_reminder_waits_for_a_question_that_is_still_on_its_way(office):
    asked(office)
    days(office, 8)
    assert swept(office) == 0

    settle(office)
    days(office, 1.5)
    assert swept(office) == 1


def test_no_reminder_goes_to_a_mailbox_that_is_no_longer_there(office):
    challenge = asked(office)
    settle(office)
    amend(office, "parking", email="other@institute.example")
    swept(office)
    days(office, 8)
    swept(office)

    assert [mail.recipient for mail in questions(office)][:2] == [NEW, "other@institute.example"]
    assert NEW not in [mail.recipient for mail in questions(office)][1:]
    with pytest.raises(LinkRefused, match="revoked"):
        answered(office, challenge)


def test_no_question_goes_to_a_closed_department(office):
    amend(office, "parking", email=NEW)
    with office.db.writing() as session:
        close_department(
            session,
            "parking",
            successor="media",
            settings=office.settings,
            now=office.now(),
            by="editor",
        )
    assert swept(office) == 0


class Mailman:
    """A transport that takes everything and remembers to whom."""

    server = "mail.example:25"

    def __init__(self) -> None:
        self.took: list[str] = []

    def send(self, sender: str, recipient: str, content: bytes, **_: Any) -> Accepted:
        self.took.append(recipient)
        return Accepted(server=self.server, code=250, text="ok", queue_id="")

    def close(self) -> None:
        pass


def test_a_worker_asks_who_is_due_and_sends_it_at_once(office):
    amend(office, "parking", email=NEW)
    mailman = Mailman()

    tally = Worker(office, mailman).run_once()

    assert sorted(mailman.took) == [NEW, NEW, "parking@institute.example"]
    assert (tally.processed, tally.failed) == (3, 0)
    assert [mail.state for mail in questions(office)] == [DeliveryState.ACCEPTED]


# Answers


def test_an_answer_verifies_the_mailbox_and_what_the_public_sees(office):
    amend(office, "parking", phone="025 8345 5111", internal_phone="025 8345 5112")
    challenge = asked(office)
    days(office, 2)

    answered(office, challenge)

    with office.db.reading() as session:
        points = department_by_slug(session, "parking").points
    checked = {p.value or p.kind.value: p for p in points if p.verified_how == "mailbox"}
    assert set(checked) == {NEW, "+862583455111", "physical"}
    for point in checked.values():
        assert (point.state, point.verified_by) == (PointState.VERIFIED, NEW)
        assert point.verified_at == office.now()
        assert point.due_at == office.now() + timedelta(days=180)
    assert happened(office)[-1] == "confirmed"
    with office.db.reading() as session:
        # No value changed: an export made before is still what the directory says.
        assert department_by_slug(session, "parking").updated_at < office.now()


def test_an_answer_does_not_prove_another_mailbox(office):
    amend(office, "parking", email2="second@institute.example")
    challenge = asked(office)
    answered(office, challenge)

    with office.db.reading() as session:
        points = department_by_slug(session, "parking").points
    [second] = [point for point in points if point.value == "second@institute.example"]
    assert (second.state, second.verified_at) == (PointState.VERIFYING, None)


def test_a_question_is_answered_once(office):
    challenge = asked(office)
    answered(office, challenge)
    with pytest.raises(LinkRefused, match="spent"):
        answered(office, challenge)


def test_an_answer_ends_the_reminders_and_calls_back_what_still_waits(office):
    challenge = asked(office)
    answered(office, challenge)
    days(office, 8)

    assert swept(office) == 0
    [mail] = questions(office)
    assert (mail.state, mail.reason) == (DeliveryState.CANCELLED, "answered")


def test_a_question_closes_after_its_time(office):
    challenge = asked(office)
    days(office, 30)
    with pytest.raises(LinkRefused, match="expired"):
        answered(office, challenge)


# Objections and refusals


def object_to(parts: Parts, challenge: Challenge) -> None:
    with parts.db.writing() as session:
        found = session.get_one(Challenge, challenge.id)
        object_to_questions(session, found, now=parts.now())


def test_a_mailbox_that_objects_is_neither_reminded_nor_asked_again(office):
    challenge = asked(office)
    settle(office)
    object_to(office, challenge)
    object_to(office, challenge)

    for _ in range(8):
        days(office, 60)
        swept(office)
    assert len(questions(office)) == 1
    assert happened(office).count("objected") == 1
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        [told] = ask_department(
            session, parking, settings=office.settings, now=office.now(), by="editor"
        )
    assert told.outcome is Asked.OBJECTED


def test_enquiries_still_go_to_a_mailbox_that_objects(office):
    object_to(office, asked(office))
    assert mailbox(office).value == NEW
    assert mailbox(office).live


def test_a_refused_question_makes_the_mailbox_suspect_and_ends_the_reminders(office):
    asked(office)
    with office.db.writing() as session:
        delivery = session.scalars(
            sa.select(Delivery).where(deliveries.c.kind == DeliveryKind.VERIFICATION)
        ).one()
        failure = PermanentFailure("rcpt", 550, "5.1.1 no such user")
        record_failure(
            session,
            delivery,
            failure,
            Attempt.that_failed(
                delivery.id or 0, failure, at=office.now(), seconds=1, server="mail.example:25"
            ),
            published=office.published(session, office.now()),
            settings=office.settings,
            signer=office.signer,
            now=office.now(),
        )

    days(office, 8)
    assert swept(office) == 0
    assert mailbox(office).state is PointState.SUSPECT
    assert happened(office)[-1] == "question_refused"


# By hand


def by_hand(parts: Parts, slug: str, reason: str) -> list[Any]:
    with parts.db.writing() as session:
        return verify_by_hand(
            session,
            department_by_slug(session, slug),
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
            reason=reason,
        )


def test_an_editor_may_check_everything_by_hand_and_says_how(office):
    amend(office, "parking", phone="025 8345 5111")

    by_hand(office, "parking", "rang them")

    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
        [event] = [
            e for e in events_of(session, about_department(parking)) if e.note == "rang them"
        ]
    live = [p for p in parking.points if p.state is not PointState.RETIRED]
    assert {(p.verified_how, p.verified_by) for p in live} == {("editor", "editor@x.example")}
    assert event.type == "verified"
    with pytest.raises(Conflict, match="how"):
        by_hand(office, "parking", "")


def test_a_suspended_mailbox_is_not_revived_by_hand(office):
    with office.db.writing() as session:
        department_by_slug(session, "parking").points[0].state = PointState.SUSPENDED
    by_hand(office, "parking", "rang them")
    with office.db.reading() as session:
        assert department_by_slug(session, "parking").points[0].state is PointState.SUSPENDED


# What an editor should look at


def test_whoever_did_not_answer_is_listed_until_somebody_has_checked(office):
    asked(office)
    settle(office)
    with office.db.reading() as session:
        assert unproven(session, settings=office.settings, now=office.now()) == []
    for _ in range(3):
        days(office, 8)
        swept(office)
        settle(office)

    with office.db.reading() as session:
        [silent] = unproven(session, settings=office.settings, now=office.now())
    assert (silent.department, silent.address) == ("parking", NEW)
    assert silent.asked_at is not None

    by_hand(office, "parking", "rang them")
    with office.db.reading() as session:
        assert unproven(session, settings=office.settings, now=office.now()) == []


def test_those_never_asked_are_asked_when_somebody_says_so(office):
    with office.db.writing() as session:
        session.add(
            a_department("Library", points=[a_mailbox("books@x.example", verified_at=None)])
        )
    with office.db.writing() as session:
        answers = ask_unproven(session, settings=office.settings, now=office.now(), by="editor")
    assert [(a.address, a.outcome) for a in answers] == [("books@x.example", Asked.ASKED)]
    with office.db.writing() as session:
        again = ask_unproven(session, settings=office.settings, now=office.now(), by="editor")
    assert again == []
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(challenges)) == 1


def test_a_suspended_mailbox_is_not_shown_and_a_suspect_one_is(office):
    for state, shown in ((PointState.SUSPECT, 1), (PointState.SUSPENDED, 0)):
        with office.db.writing() as session:
            parking = department_by_slug(session, "parking")
            parking.points[0].state = state
            assert len(parking.public_points(PointKind.EMAIL)) == shown


def test_what_is_asked_is_asked_of_the_department_as_it_is_now(office):
    asked(office)
    settle(office)
    with office.db.writing() as session:
        amend_department(
            session,
            "parking",
            {"phone": "025 8345 5111"},
            settings=office.settings,
            now=office.now(),
            by="editor",
        )
    days(office, 8)
    swept(office)

    first, second = questions(office)
    phones = [
        next(row for row in mail.inputs["rows"] if row["column"] == "phone")["texts"][0]["text"]
        for mail in (first, second)
    ]
    assert phones == ["+86 25 0345 5180", "+86 25 8345 5111"]
