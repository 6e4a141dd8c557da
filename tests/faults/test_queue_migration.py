"""Down a step and up again with a thousand messages in the queue: none lost, none repeated."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from directory.adapters import ledger, migrations
from directory.adapters.db import deliveries, enquiries
from directory.adapters.mail import Accepted, NullTransport
from directory.domain.delivery import DeliveryState
from directory.domain.values import EmailAddress
from directory.parts import Parts
from directory.worker import Worker
from tests.builders import SetClock, a_submission, submit

QUEUE = 1_000
BEFORE_THE_LEDGER = "0006"


class Counting(NullTransport):
    """Takes everything, and remembers what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: Counter[tuple[str, str]] = Counter()

    def send(self, envelope_sender: str, recipient: str, content: bytes, **how: Any) -> Accepted:
        message_id = content.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0].decode()
        self.taken[message_id, hashlib.sha256(content).hexdigest()] += 1
        return super().send(envelope_sender, recipient, content, **how)


def before(revision: str) -> str:
    """The revision before *revision*."""
    folder = Path(migrations.__file__).parent / "versions"
    known = sorted(file.stem[1:].partition("_")[0] for file in folder.glob("v*.py"))
    return known[known.index(revision) - 1]


def queue_up(parts: Parts, clock: SetClock) -> None:
    """Some real enquiries, and as many like them as make a queue of a thousand messages."""
    for number in range(20):
        email = EmailAddress(f"visitor{number}@example.com")
        submit(parts, a_submission(form_token=f"real-{number}", email=email))
    with parts.db.writing() as session:
        one = session.execute(sa.select(enquiries).limit(1)).one()._asdict()
        two = [
            row._asdict()
            for row in session.execute(
                sa.select(deliveries).where(deliveries.c.enquiry_id == one["id"])
            )
        ]
        more, mails = [], []
        for number in range((QUEUE - 40) // 2):
            id = 1_000 + number
            more.append({**one, "id": id, "ref": f"{number:08d}", "form_token": f"form-{number}"})
            mails += [
                {
                    **mail,
                    "id": 10_000 + 2 * number + offset,
                    "enquiry_id": id,
                    "message_id": f"<{number}.{offset}@contact.institute.example>",
                }
                for offset, mail in enumerate(two)
            ]
        session.execute(sa.insert(enquiries), more)
        session.execute(sa.insert(deliveries), mails)
        ledger.set_right(session)
        # In every state a queue knows: waiting for its turn again, and claimed by one who is gone.
        for state, low, high in (("deferred", 10_100, 10_200), ("sending", 10_200, 10_250)):
            session.execute(
                sa.update(deliveries)
                .where(deliveries.c.id.between(low, high - 1))
                .values(
                    state=state,
                    attempts=1,
                    lease_owner="gone" if state == "sending" else None,
                    lease_until=clock.at if state == "sending" else None,
                )
            )


@dataclass(frozen=True)
class Row:
    """All that says what a message is and how far it came."""

    id: int
    rest: tuple[str, ...]


def snapshot(parts: Parts) -> list[Row]:
    columns = ("enquiry_id", "message_id", "envelope_sender", "recipient", "state")
    more = ("attempts", "created_at", "due_at", "content", "inputs")
    wanted = sa.select(deliveries.c.id, *(deliveries.c[name] for name in (*columns, *more)))
    with parts.db.reading() as session:
        rows = session.execute(wanted.order_by(deliveries.c.id))
        return [Row(row[0], tuple(map(str, row[1:]))) for row in rows]


def settle_two_as_the_release_before_does(parts: Parts) -> list[int]:
    """Two mails accepted, in the columns there always were and past every book-keeper."""
    with parts.db.writing() as session:
        ids = session.scalars(
            sa.text("SELECT id FROM delivery WHERE state = 'queued' ORDER BY id LIMIT 2")
        ).all()
        for id in ids:
            session.execute(
                sa.text("UPDATE delivery SET state = 'accepted', attempts = 1 WHERE id = :id"),
                {"id": id},
            )
    return list(ids)


def test_f32_p17_migrations_there_and_back_with_a_full_queue_lose_and_repeat_nothing(
    office: Parts, clock: SetClock
) -> None:
    queue_up(office, clock)
    transport = Counting()
    # Some were sent, some composed and not sent, when the upgrade began.
    sender = Worker(office, transport)
    for _ in range(5):
        sender.send_due(clock.at)
    assert sum(transport.taken.values()) == 50
    newest = migrations.newest()
    assert newest is not None

    for revision in (before(newest), BEFORE_THE_LEDGER):
        found = snapshot(office)
        assert len(found) == QUEUE
        migrations.downgrade(office.db, revision)
        office.let_go()
        settled = settle_two_as_the_release_before_does(office)
        migrations.upgrade(office.db)
        office.let_go()
        now = snapshot(office)
        assert [it for it in now if it.id not in settled] == [
            it for it in found if it.id not in settled
        ]
    with office.db.reading() as session:
        assert ledger.read(session) == ledger.count_anew(session)

    # Ids of rows made in one millisecond may meet, and a clock that stands makes them all in one.
    clock.at += timedelta(seconds=61)
    office.now = lambda: clock.advance(milliseconds=1)
    Worker(office, transport).run_once()

    with office.db.reading() as session:
        states = Counter(session.scalars(sa.select(deliveries.c.state)))
        assert ledger.read(session) == ledger.count_anew(session)
    assert states == {DeliveryState.ACCEPTED: QUEUE}
    assert set(transport.taken.values()) == {1}
    assert len({message_id for message_id, _ in transport.taken}) == QUEUE - 4
