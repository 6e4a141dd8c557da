from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.delivery import (
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Outcome,
    farthest_due,
    refusal,
    retry_delay,
    waited_so_far,
)
from directory.domain.errors import OurFailure, PermanentFailure, TemporaryFailure

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BACKOFF = [10, 30, 60, 120, 300, 600, 1200, 2400, 3600]
FIVE_DAYS = timedelta(days=5)
BEFORE_THE_RECIPIENT = ["connect", "ehlo", "starttls", "auth", "mail"]
FROM_THE_RECIPIENT_ON = ["rcpt", "data", "dot"]

busy = TemporaryFailure("rcpt", 451, "4.3.0 Try later")


def a_delivery(**changes) -> Delivery:
    return Delivery(
        **{
            "kind": DeliveryKind.ROUTED,
            "recipient": "parking@example.org",
            "language": "en",
            "message_id": "<7K4M2QXD.1@example.org>",
            "envelope_sender": "bounce+r1-x@example.org",
            "created_at": NOON,
            "due_at": NOON,
            "inputs": {},
        }
        | changes
    )


# What a reply means


@pytest.mark.parametrize("stage", BEFORE_THE_RECIPIENT + FROM_THE_RECIPIENT_ON)
@pytest.mark.parametrize("code", [0, -1, 200, 250, 354, 400, 421, 450, 451, 452, 499, 600, 999])
def test_anything_but_a_5yz_reply_is_worth_another_try(stage, code):
    failure = refusal(stage, code, "no")

    assert type(failure) is TemporaryFailure
    assert (failure.stage, failure.code) == (stage, code)


@pytest.mark.parametrize("stage", BEFORE_THE_RECIPIENT)
@pytest.mark.parametrize("code", [500, 530, 535, 550, 552, 554, 571])
def test_a_5yz_reply_before_the_recipient_was_named_speaks_of_us(stage, code):
    assert type(refusal(stage, code, "no")) is OurFailure


@pytest.mark.parametrize("stage", FROM_THE_RECIPIENT_ON)
@pytest.mark.parametrize(
    ("code", "reply", "final"),
    [
        (550, "5.1.1 No such mailbox", True),
        (550, "No such mailbox", True),
        (554, "5.7.1 Not from you", True),
        (552, "5.2.2 Mailbox full", False),
        (552, "over quota", False),
        (550, "5.2.2 Mailbox full", False),
        (554, "5.2.2", False),
        (550, "5.2.21 Something else", True),
        (550, "5.2.2x", True),
        (550, "The mailbox 5.2.2 does not exist", True),
        (550, "", True),
    ],
)
def test_a_5yz_reply_from_the_recipient_on_is_final_unless_the_mailbox_is_full(
    stage, code, reply, final
):
    assert type(refusal(stage, code, reply)) is (PermanentFailure if final else TemporaryFailure)


@pytest.mark.parametrize(
    ("code", "stage", "outcome"),
    [(451, "dot", "temporary"), (535, "auth", "ours"), (550, "rcpt", "permanent")],
)
def test_an_attempt_keeps_what_the_server_said(code, stage, outcome):
    attempt = Attempt.that_failed(
        7, refusal(stage, code, "because"), at=NOON, seconds=0.25, server="mail.example:25"
    )

    assert (attempt.delivery_id, attempt.server, attempt.seconds) == (7, "mail.example:25", 0.25)
    assert (attempt.stage, attempt.code, attempt.text) == (stage, code, "because")
    assert attempt.outcome == outcome


# How long to wait


def test_the_waits_grow_to_an_hour_and_stay_there():
    waits = [retry_delay(n, BACKOFF, 0.2, 0.5).total_seconds() for n in range(1, 13)]

    assert waits == [*BACKOFF, 3600, 3600, 3600]


@given(st.integers(1, 500), st.floats(0, 1, exclude_max=True))
def test_no_wait_strays_further_than_its_jitter(attempts, chance):
    nominal = retry_delay(attempts, BACKOFF, 0, 0.5)
    wait = retry_delay(attempts, BACKOFF, 0.2, chance)

    assert 0.8 * nominal <= wait <= 1.2 * nominal
    assert NOON + wait <= farthest_due(NOON, BACKOFF, 0.2)


def test_a_wait_begun_before_the_clock_went_back_is_seen_to_be_none_of_ours():
    due_at = NOON + retry_delay(1, BACKOFF, 0.2, 0.5)

    assert due_at > farthest_due(NOON - timedelta(hours=3), BACKOFF, 0.2)


@given(st.integers(0, 300))
def test_the_waits_add_up(attempts):
    each = [retry_delay(n, BACKOFF, 0, 0.5) for n in range(1, attempts + 1)]

    assert waited_so_far(attempts, BACKOFF) == sum(each, timedelta())


# When to give up


def given_up_after(started: datetime, *, minutes_a_try: float = 0) -> timedelta:
    """Fail every try until it is given up; the time from *started* to then."""
    delivery, now = a_delivery(created_at=started), started
    while True:
        now += timedelta(minutes=minutes_a_try)
        if delivery.is_given_up(now, after=FIVE_DAYS, backoff_s=BACKOFF):
            return now - started
        delivery.deferred(now, retry_delay(delivery.attempts + 1, BACKOFF, 0.2, 0.5), busy)
        now = delivery.due_at


@pytest.mark.parametrize("minutes_a_try", [0, 1, 14])
def test_a_message_is_given_up_after_five_days(minutes_a_try):
    after = given_up_after(NOON, minutes_a_try=minutes_a_try)

    assert FIVE_DAYS <= after < FIVE_DAYS + timedelta(hours=1, minutes=15)


def test_a_clock_that_jumps_ahead_hurries_nothing_to_failure():
    tried_for_two_days = a_delivery(attempts=57)
    hardly_tried = a_delivery(attempts=1)

    for delivery in (tried_for_two_days, hardly_tried):
        assert not delivery.is_given_up(
            NOON + timedelta(days=30), after=FIVE_DAYS, backoff_s=BACKOFF
        )


def test_waits_of_seconds_give_up_in_seconds():
    delivery = a_delivery(attempts=4)

    assert delivery.is_given_up(
        NOON + timedelta(seconds=5), after=timedelta(seconds=5), backoff_s=[1]
    )


# What becomes of a delivery


def test_a_claim_is_held_by_its_owner_alone():
    delivery = a_delivery()
    delivery.claimed("worker-1", NOON + timedelta(seconds=60))

    assert delivery.state is DeliveryState.SENDING
    assert delivery.held_by("worker-1")
    assert not delivery.held_by("worker-2")

    delivery.claimed("worker-2", NOON + timedelta(seconds=120))

    assert not delivery.held_by("worker-1")


def test_an_accepted_message_keeps_the_reply_and_when():
    delivery = a_delivery(reason="rcpt: 451 Try later", attempts=1)
    delivery.claimed("worker-1", NOON)
    delivery.succeeded(NOON, "250 2.0.0 Ok: queued as 4XYZ")

    assert (delivery.state, delivery.attempts) == (DeliveryState.ACCEPTED, 2)
    assert delivery.accepted_at == NOON
    assert delivery.smtp_reply == "250 2.0.0 Ok: queued as 4XYZ"
    assert (delivery.reason, delivery.lease_owner, delivery.lease_until) == ("", None, None)


def test_a_deferred_message_is_due_again_and_says_why():
    delivery = a_delivery()
    delivery.claimed("worker-1", NOON)
    delivery.deferred(NOON, timedelta(seconds=10), busy)

    assert (delivery.state, delivery.attempts) == (DeliveryState.DEFERRED, 1)
    assert delivery.due_at == NOON + timedelta(seconds=10)
    assert delivery.reason == "rcpt: 451 4.3.0 Try later"
    assert not delivery.held_by("worker-1")


def test_a_failed_message_can_be_tried_again_by_hand():
    delivery = a_delivery()
    delivery.failed(NOON, PermanentFailure("rcpt", 550, "5.1.1 No such mailbox"))

    assert delivery.state is DeliveryState.FAILED
    assert delivery.reason == "rcpt: 550 5.1.1 No such mailbox"

    delivery.retried(NOON + timedelta(hours=1))

    assert delivery.state is DeliveryState.QUEUED
    assert delivery.due_at == NOON + timedelta(hours=1)


def test_a_message_that_could_not_be_built_is_parked_without_quoting_anybody():
    delivery = a_delivery()
    delivery.claimed("worker-1", NOON)
    delivery.parked(NOON, ValueError("the visitor's own words"))

    assert delivery.state is DeliveryState.FAILED
    assert delivery.reason == "compose: ValueError"
    assert delivery.attempts == 0


@pytest.mark.parametrize(("attempts", "state"), [(0, "queued"), (3, "deferred")])
def test_a_stopping_worker_puts_back_what_it_did_not_try(attempts, state):
    delivery = a_delivery(attempts=attempts)
    delivery.claimed("worker-1", NOON + timedelta(seconds=60))
    delivery.put_back(NOON)

    assert delivery.state == state
    assert (delivery.attempts, delivery.due_at, delivery.lease_owner) == (attempts, NOON, None)


def test_a_cancelled_message_says_why():
    delivery = a_delivery()
    delivery.cancelled(NOON, "erased")

    assert (delivery.state, delivery.reason) == (DeliveryState.CANCELLED, "erased")


def test_a_renewed_claim_ends_later():
    delivery = a_delivery()
    delivery.claimed("worker-1", NOON)
    delivery.renewed(NOON + timedelta(seconds=60))

    assert delivery.lease_until == NOON + timedelta(seconds=60)
    assert delivery.held_by("worker-1")


def test_a_long_reply_is_cut_and_an_outcome_has_its_word():
    delivery = a_delivery()
    delivery.deferred(NOON, timedelta(0), TemporaryFailure("dot", 451, "x" * 9_000))

    assert len(delivery.reason) == 500
    assert [outcome.value for outcome in Outcome] == ["accepted", "temporary", "ours", "permanent"]
