"""What follows from a try: put off, passed on, flagged; and what somebody may try again."""

from __future__ import annotations

from typing import Any

import pytest

from directory.adapters.db import Database
from directory.adapters.queries import attempts_of, deliveries_of, events_of
from directory.domain.delivery import Attempt, Delivery, DeliveryKind, DeliveryState, Outcome
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import (
    Conflict,
    DeliveryFailure,
    OurFailure,
    PermanentFailure,
    TemporaryFailure,
)
from directory.parts import Parts
from directory.services.deliveries import record_accepted, record_failure, retry
from directory.services.history import about
from tests.builders import a_submission, submit

NO = PermanentFailure("rcpt", 550, "5.1.1 No such mailbox")
LATER = TemporaryFailure("rcpt", 450, "4.2.0 Later")


def the(parts: Parts, enquiry: Enquiry, kind: DeliveryKind) -> Delivery:
    with parts.db.reading() as session:
        return [d for d in deliveries_of(session, enquiry) if d.kind is kind][-1]


def fail(parts: Parts, delivery: Delivery, failure: DeliveryFailure) -> None:
    with parts.db.writing() as session:
        found = session.get_one(Delivery, delivery.id)
        assert found.id is not None
        attempt = Attempt.that_failed(
            found.id, failure, at=parts.now(), seconds=0.1, server="mail.example:25"
        )
        record_failure(
            session,
            found,
            failure,
            attempt,
            published=parts.published(session, parts.now()),
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
        )


def accept(parts: Parts, delivery: Delivery) -> None:
    with parts.db.writing() as session:
        found = session.get_one(Delivery, delivery.id)
        assert found.id is not None
        attempt = Attempt(
            delivery_id=found.id,
            at=parts.now(),
            seconds=0.1,
            server="mail.example:25",
            stage="dot",
            code=250,
            text="2.0.0 Ok",
            outcome=Outcome.ACCEPTED,
        )
        found.succeeded(parts.now(), "250 2.0.0 Ok")
        record_accepted(session, found, attempt, parts.now())


def look(db: Database, enquiry: Enquiry) -> tuple[Enquiry, list[Delivery], list[str]]:
    with db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        told = [event.type for event in events_of(session, about(kept))]
        return kept, deliveries_of(session, kept), told


def test_the_departments_mail_accepted_makes_the_enquiry_routed(office):
    enquiry = submit(office)

    accept(office, the(office, enquiry, DeliveryKind.ROUTED))

    kept, [routed, receipt], told = look(office.db, enquiry)
    assert (kept.status, kept.routed_at) == (EnquiryStatus.ROUTED, office.now())
    assert (routed.state, routed.smtp_reply) == (DeliveryState.ACCEPTED, "250 2.0.0 Ok")
    assert receipt.state is DeliveryState.QUEUED
    assert told == ["received", "routed"]


def test_the_receipt_accepted_says_nothing_of_the_enquiry(office):
    enquiry = submit(office)

    accept(office, the(office, enquiry, DeliveryKind.ACKNOWLEDGEMENT))

    kept, _, told = look(office.db, enquiry)
    assert (kept.status, told) == (EnquiryStatus.RECEIVED, ["received"])


@pytest.mark.parametrize("failure", [LATER, OurFailure("auth", 535, "5.7.8 Wrong password")])
def test_what_may_go_better_later_is_put_off_with_its_try_on_record(office, failure):
    enquiry = submit(office)

    fail(office, the(office, enquiry, DeliveryKind.ROUTED), failure)

    kept, [routed, _], _ = look(office.db, enquiry)
    assert (routed.state, routed.attempts) == (DeliveryState.DEFERRED, 1)
    first = office.settings.delivery.backoff_s[0]
    assert 0.8 * first <= (routed.due_at - office.now()).total_seconds() <= 1.2 * first
    assert (kept.status, kept.attention) == (EnquiryStatus.RECEIVED, "")
    with office.db.reading() as session:
        [row] = attempts_of(session, [routed.id])
    assert (row["stage"], row["code"], row["server"]) == (
        failure.stage,
        failure.code,
        "mail.example:25",
    )


def test_refused_for_good_goes_to_the_deputy_then_the_desk_and_then_only_needs_attention(office):
    enquiry = submit(office)
    seen: list[tuple[str, str]] = []
    for _ in range(3):
        delivery = the(office, enquiry, DeliveryKind.ROUTED)
        fail(office, delivery, NO)
        kept, _, _ = look(office.db, enquiry)
        seen.append((delivery.recipient, kept.attention))

    assert seen == [
        ("parking@institute.example", "refused"),
        ("admissions@institute.example", "refused"),
        ("desk@institute.example", "undeliverable"),
    ]
    kept, all_mail, told = look(office.db, enquiry)
    assert [d.state for d in all_mail if d.kind is DeliveryKind.ROUTED] == ["failed"] * 3
    assert told.count("given_up") == 3
    assert kept.status is EnquiryStatus.RECEIVED  # still stored, never dropped


def test_who_takes_over_gets_a_mail_of_its_own_and_the_enquiry(office):
    enquiry = submit(office)
    first = the(office, enquiry, DeliveryKind.ROUTED)
    fail(office, first, NO)

    second = the(office, enquiry, DeliveryKind.ROUTED)
    accept(office, second)

    kept, _, told = look(office.db, enquiry)
    assert second.message_id != first.message_id
    assert second.envelope_sender != first.envelope_sender
    assert (kept.status, kept.department_id) == (EnquiryStatus.ROUTED, second.department_id)
    assert told == ["received", "given_up", "routed"]


def test_a_receipt_that_fails_is_only_recorded(office):
    enquiry = submit(office)

    fail(office, the(office, enquiry, DeliveryKind.ACKNOWLEDGEMENT), NO)

    kept, all_mail, told = look(office.db, enquiry)
    assert (kept.attention, len(all_mail)) == ("", 2)
    assert told == ["received", "acknowledgement_failed"]


@pytest.mark.parametrize("state", [DeliveryState.DEFERRED, DeliveryState.FAILED])
def test_somebody_may_have_it_tried_again_at_once(office, state):
    enquiry = submit(office)
    with office.db.writing() as session:
        deliveries_of(session, enquiry)[0].state = state
    with office.db.writing() as session:
        retry(session, deliveries_of(session, enquiry)[0], now=office.now(), by="chen@x.example")

    _, [routed, _], told = look(office.db, enquiry)
    assert (routed.state, routed.due_at) == (DeliveryState.QUEUED, office.now())
    assert told[-1] == "retried"


@pytest.mark.parametrize(
    "state", [DeliveryState.ACCEPTED, DeliveryState.CANCELLED, DeliveryState.SENDING]
)
def test_what_is_theirs_or_being_sent_is_not_tried_again(office, state):
    enquiry = submit(office)
    with office.db.writing() as session:
        deliveries_of(session, enquiry)[0].state = state

    with pytest.raises(Conflict), office.db.writing() as session:
        retry(session, deliveries_of(session, enquiry)[0], now=office.now(), by="x")

    assert look(office.db, enquiry)[1][0].state is state


def test_a_retry_sees_what_a_worker_did_since_it_looked(office: Parts, database_url: str) -> None:
    enquiry = submit(office, a_submission(email=None, reply_by=ReplyBy.NONE))
    other = Database(database_url)

    def claim(_: Any = None) -> None:
        with other.writing() as session:
            deliveries_of(session, enquiry)[0].claimed("worker", office.now())

    with office.db.reading() as session:
        [seen] = deliveries_of(session, enquiry)
    claim()

    with pytest.raises(Conflict), office.db.writing() as session:
        session.add(seen)
        retry(session, seen, now=office.now(), by="x")

    assert look(office.db, enquiry)[1][0].lease_owner == "worker"
    other.dispose()
