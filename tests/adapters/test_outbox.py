"""Who may send which delivery now."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters import outbox
from directory.adapters.db import Database
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.ids import new_id
from tests.builders import MONDAY_NOON

LEASE = timedelta(seconds=60)
BACKOFF = (10.0, 3600.0)


def a_delivery(**changes: Any) -> Delivery:
    values: dict[str, Any] = {
        "id": new_id(MONDAY_NOON),
        "kind": DeliveryKind.ROUTED,
        "recipient": "parking@institute.example",
        "language": "en",
        "message_id": "<1@x.example>",
        "envelope_sender": "bounce@x.example",
        "created_at": MONDAY_NOON,
        "due_at": MONDAY_NOON,
        "inputs": {},
        "content": b"bytes",
    }
    return Delivery(**(values | changes))


def claim(
    session: Session, owner: str = "me", *, now: Any = MONDAY_NOON, **more: Any
) -> list[Delivery]:
    return outbox.claim_due(
        session,
        owner=owner,
        now=now,
        **({"lease": LEASE, "backoff_s": BACKOFF, "jitter": 0.2, "limit": 10} | more),
    )


def queue(session: Session, *made: Delivery) -> None:
    session.add_all(made)
    session.flush()


def test_a_claim_is_a_lease_with_an_owner(session):
    queue(session, a_delivery())

    [claimed] = claim(session)

    assert (claimed.state, claimed.lease_owner) == (DeliveryState.SENDING, "me")
    assert claimed.lease_until == MONDAY_NOON + LEASE
    assert claim(session, "another") == []


def test_the_bytes_come_with_the_claim(db):
    with db.writing() as session:
        queue(session, a_delivery())
    with db.writing() as session:
        [claimed] = claim(session)

    assert claimed.content == b"bytes"  # no look at the database any more


def test_new_ones_come_first_then_waits_that_are_over_then_lapsed_claims(session):
    lapsed = a_delivery(
        state=DeliveryState.SENDING, lease_owner="dead", lease_until=MONDAY_NOON - LEASE
    )
    long_over = a_delivery(state=DeliveryState.DEFERRED, due_at=MONDAY_NOON - 2 * LEASE)
    just_over = a_delivery(state=DeliveryState.DEFERRED, due_at=MONDAY_NOON - LEASE)
    new = a_delivery()
    queue(session, lapsed, just_over, long_over, new)

    assert claim(session) == [new, long_over, just_over, lapsed]


def test_no_more_are_claimed_than_asked_for(session):
    queue(session, *(a_delivery() for _ in range(5)))

    assert [len(claim(session, limit=n)) for n in (2, 2, 2)] == [2, 2, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": DeliveryState.DEFERRED, "due_at": MONDAY_NOON + timedelta(seconds=1)},
        {"state": DeliveryState.ACCEPTED},
        {"state": DeliveryState.FAILED},
        {"state": DeliveryState.CANCELLED},
        {"state": DeliveryState.SENDING, "lease_until": MONDAY_NOON + timedelta(seconds=1)},
    ],
    ids=["waits", "accepted", "failed", "cancelled", "held"],
)
def test_what_waits_is_settled_or_held_is_left_alone(session, changes):
    queue(session, a_delivery(**changes))

    assert claim(session) == []


def test_a_lapsed_claim_is_anybodys(session):
    queue(session, a_delivery())
    claim(session, "first")

    [taken] = claim(session, "second", now=MONDAY_NOON + LEASE)

    assert taken.lease_owner == "second"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": DeliveryState.DEFERRED, "due_at": MONDAY_NOON + timedelta(hours=3)},
        {"state": DeliveryState.SENDING, "lease_until": MONDAY_NOON + timedelta(hours=3)},
        {"state": DeliveryState.QUEUED, "due_at": MONDAY_NOON + timedelta(days=2)},
    ],
    ids=["waits", "claimed", "queued"],
)
def test_what_was_written_before_the_clock_went_back_counts_as_due(session, changes):
    queue(session, a_delivery(**changes))

    assert len(claim(session)) == 1


def test_a_wait_as_long_as_any_can_be_is_not_taken_for_a_clock_that_went_back(session):
    longest = timedelta(seconds=3600 * 1.2)
    queue(session, a_delivery(state=DeliveryState.DEFERRED, due_at=MONDAY_NOON + longest))

    assert claim(session) == []


def test_one_try_each_leaves_out_what_was_put_off_since(session):
    put_off = a_delivery(state=DeliveryState.DEFERRED, due_at=MONDAY_NOON + timedelta(seconds=5))
    queue(session, put_off)
    later = MONDAY_NOON + timedelta(seconds=10)

    assert claim(session, now=later, tried_before=MONDAY_NOON) == []
    assert claim(session, now=later) == [put_off]


def test_a_claim_may_be_limited_to_some(session):
    wanted, other = a_delivery(), a_delivery()
    queue(session, wanted, other)

    assert claim(session, only=[wanted.id]) == [wanted]


def test_only_the_owner_renews_holds_and_puts_back(session):
    made = a_delivery()
    queue(session, made)
    claim(session, "me")
    until = MONDAY_NOON + 2 * LEASE

    outbox.renew(session, [made.id], owner="another", until=until)
    outbox.put_back(session, [made.id], owner="another", now=MONDAY_NOON)
    assert outbox.held(session, made.id, owner="another") is None
    assert not outbox.still_held(session, made.id, owner="another")
    session.refresh(made)
    assert (made.lease_owner, made.lease_until) == ("me", MONDAY_NOON + LEASE)

    outbox.renew(session, [made.id], owner="me", until=until)
    session.refresh(made)
    assert made.lease_until == until
    assert outbox.still_held(session, made.id, owner="me")
    assert outbox.held(session, made.id, owner="me") is made

    outbox.put_back(session, [made.id], owner="me", now=MONDAY_NOON)
    session.flush()
    assert (made.state, made.lease_owner) == (DeliveryState.QUEUED, None)
    assert not outbox.still_held(session, made.id, owner="me")


def test_a_settled_delivery_is_held_by_nobody(session):
    made = a_delivery()
    queue(session, made)
    claim(session, "me")
    made.succeeded(MONDAY_NOON, "250 Ok")
    session.flush()

    outbox.renew(session, [made.id], owner="me", until=MONDAY_NOON + LEASE)

    session.refresh(made)
    assert (made.state, made.lease_until) == (DeliveryState.ACCEPTED, None)
    assert outbox.held(session, made.id, owner="me") is None


def test_what_is_put_back_after_a_try_waits_no_longer_and_keeps_its_tries(session):
    made = a_delivery(state=DeliveryState.DEFERRED, attempts=2, due_at=MONDAY_NOON)
    queue(session, made)
    claim(session, "me")

    outbox.put_back(session, [made.id], owner="me", now=MONDAY_NOON)
    session.flush()

    assert (made.state, made.attempts) == (DeliveryState.DEFERRED, 2)
    assert claim(session, "another") == [made]


def test_the_next_wait_ends_when_the_soonest_deferred_is_due(session):
    assert outbox.next_due(session) is None
    soon, late = MONDAY_NOON + LEASE, MONDAY_NOON + 2 * LEASE
    queue(
        session,
        a_delivery(state=DeliveryState.DEFERRED, due_at=late),
        a_delivery(state=DeliveryState.DEFERRED, due_at=soon),
        a_delivery(state=DeliveryState.ACCEPTED, due_at=MONDAY_NOON),
    )

    assert outbox.next_due(session) == soon


def test_workers_that_claim_at_the_same_moment_share_and_never_overlap(db: Database) -> None:
    with db.writing() as session:
        queue(session, *(a_delivery() for _ in range(40)))
    gate = threading.Barrier(4, timeout=10)
    claimed: list[tuple[str, int]] = []
    wrong: list[BaseException] = []

    def take(owner: str) -> None:
        gate.wait()
        try:
            for _ in range(4):
                with db.writing() as session:
                    found = claim(session, owner, limit=3)
                claimed.extend((owner, delivery.id) for delivery in found if delivery.id)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    ids = [delivery_id for _, delivery_id in claimed]
    assert len(ids) == len(set(ids)) == 40
    with db.reading() as session:
        owners = {found.id: found.lease_owner for found in session.scalars(sa.select(Delivery))}
    assert all(owners[delivery_id] == owner for owner, delivery_id in claimed)
