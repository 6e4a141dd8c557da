"""Workers killed, frozen, stopped and misled: nothing is lost, and repeats are told by their id.

The workers are processes, the mail server a real one over TCP that does at each stage what it is
told. What must hold is in PROMISES: P1, P5, P7, P9 and P17.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import Database, attempts, deliveries
from directory.adapters.mail import Accepted, BeforeData
from directory.adapters.queries import deliveries_of, department_by_slug, events_of
from directory.domain.delivery import Delivery, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import PermanentFailure, TemporaryFailure
from directory.parts import Parts
from directory.services.history import about
from directory.worker import Worker
from tests.builders import a_submission, parts_for, submit
from tests.faults.processes import StartWorker
from tests.faults.smtp_server import Act, Drop, Hang, Keep, Say, SmtpServer
from tests.support import eventually


def ask(parts: Parts, number: int = 0) -> Enquiry:
    """Submit an enquiry that causes one mail."""
    submission = a_submission(form_token=f"form {number}", email=None, reply_by=ReplyBy.NONE)
    return submit(parts, submission)


def states(parts: Parts) -> list[DeliveryState]:
    with parts.db.reading() as session:
        return list(session.scalars(sa.select(deliveries.c.state).order_by(deliveries.c.id)))


def all_accepted(parts: Parts) -> bool:
    return set(states(parts)) == {DeliveryState.ACCEPTED}


def tries(parts: Parts) -> int:
    with parts.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(attempts)) or 0


def message_ids(mail: SmtpServer) -> list[str]:
    return [str(message_from_bytes(taken.content)["Message-ID"]) for taken in mail.messages]


def answer_hanging(mail: SmtpServer, reply: bytes) -> None:
    """Let a server that hangs say *reply* after all."""
    with mail.lock:
        [sock] = mail.sockets
    sock.sendall(reply)


# kill -9 (F2)


def seen(mail: SmtpServer, verb: str) -> bool:
    return any(command.startswith(verb) for command in mail.commands)


@pytest.mark.parametrize(
    ("stage", "act", "sign", "copies"),
    [
        ("connect", Hang(), "", 1),
        ("ehlo", Hang(), "EHLO", 1),
        ("mail", Hang(), "MAIL", 1),
        ("rcpt", Hang(), "RCPT", 1),
        ("data", Hang(), "DATA", 1),
        ("dot", Hang(), "DATA", 1),
        ("dot", Keep(Hang()), "DATA", 2),
    ],
    ids=["connect", "ehlo", "mail", "rcpt", "data", "dot", "stored"],
)
def test_a_worker_killed_at_any_stage_loses_nothing_and_repeats_at_most_once(
    running: Parts,
    mail: SmtpServer,
    start: StartWorker,
    stage: str,
    act: Act,
    sign: str,
    copies: int,
) -> None:
    mail.plan(**{stage: [act]})
    enquiry = ask(running)
    first = start()
    if isinstance(act, Keep):
        eventually(lambda: mail.messages, what="the message is stored")
    else:
        eventually(lambda: mail.connections and (not sign or seen(mail, sign)), what=stage)

    first.kill()
    start()

    eventually(lambda: all_accepted(running), what="delivered after all")
    assert len(mail.messages) == copies
    # A repeat is recognisably the same: sender, recipient, Message-ID and every byte.
    assert len({(m.sender, m.recipients, m.content) for m in mail.messages}) == 1
    with running.db.reading() as session:
        [delivery] = deliveries_of(session, enquiry)
        assert mail.messages[0].content == delivery.content
        assert session.get_one(Enquiry, enquiry.id).status is EnquiryStatus.ROUTED
    assert (delivery.attempts, delivery.lease_owner, tries(running)) == (1, None, 1)


def test_a_worker_killed_between_the_250_and_the_commit_repeats_once(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    ask(running)
    mail.plan(dot=[Keep(Hang())])
    first = start()
    eventually(lambda: mail.messages)
    with running.db.writing() as session:
        # The result cannot be written while this transaction holds the row.
        session.execute(sa.update(deliveries).values(reason="held"))
        answer_hanging(mail, b"250 2.0.0 Ok\r\n")
        first.kill()

    start()

    eventually(lambda: all_accepted(running))
    assert len(mail.messages) == 2 and len({m.content for m in mail.messages}) == 1


def test_killed_again_and_again_nothing_is_lost_and_repeats_are_no_more_than_kills(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    enquiries = [ask(running, number) for number in range(18)]
    kills = 0
    while not all_accepted(running) and kills < 5:
        sent = len(mail.messages)
        worker = start()
        eventually(lambda sent=sent: len(mail.messages) >= sent + 3 or all_accepted(running))
        worker.kill()
        kills += 1
    start()

    eventually(lambda: all_accepted(running))
    ids = message_ids(mail)
    assert len(set(ids)) == len(enquiries)
    assert len(ids) - len(set(ids)) <= kills
    by_id: dict[str, set[bytes]] = {}
    for message_id, taken in zip(ids, mail.messages, strict=True):
        by_id.setdefault(message_id, set()).add(taken.content)
    assert all(len(contents) == 1 for contents in by_id.values())


# Frozen (F4)


def test_a_frozen_worker_that_wakes_after_its_lease_does_not_send_again(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    ask(running)
    mail.plan(rcpt=[Hang()])
    frozen = start()
    eventually(lambda: seen(mail, "RCPT"))
    frozen.send(signal.SIGSTOP)
    answer_hanging(mail, b"250 2.1.5 Ok\r\n")  # found when it wakes
    start()
    eventually(lambda: all_accepted(running))
    before = (states(running), tries(running))

    frozen.send(signal.SIGCONT)

    # It has looked at its lease once it sends RSET in place of DATA.
    eventually(lambda: mail.open_connections <= 1 or seen(mail, "RSET"))
    assert len(mail.messages) == 1
    assert (states(running), tries(running)) == before
    assert frozen.alive


def test_a_frozen_workers_late_result_overwrites_nothing(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    enquiry = ask(running)
    mail.plan(dot=[Hang()])
    frozen = start()
    eventually(lambda: seen(mail, "DATA"))
    frozen.send(signal.SIGSTOP)
    start()
    eventually(lambda: all_accepted(running))
    answer_hanging_first(mail, b"554 5.7.1 No\r\n")

    frozen.send(signal.SIGCONT)

    another = ask(running, 2)  # whoever sends it, the late result has been judged meanwhile
    eventually(lambda: all_accepted(running))
    eventually(lambda: "worker.late_result" in log_of(running))
    with running.db.reading() as session:
        [delivery] = deliveries_of(session, enquiry)
        [other] = deliveries_of(session, another)
        assert session.get_one(Enquiry, enquiry.id).attention == ""
    assert (delivery.state, delivery.attempts) == (DeliveryState.ACCEPTED, 1)
    assert (other.state, tries(running)) == (DeliveryState.ACCEPTED, 2)


def answer_hanging_first(mail: SmtpServer, reply: bytes) -> None:
    """As answer_hanging, where a later connection is open too."""
    with mail.lock:
        socks = sorted(mail.sockets, key=lambda sock: sock.fileno())
    socks[0].sendall(reply)


def log_of(parts: Parts) -> str:
    return (parts.settings.root / "workers.log").read_text()


# SIGTERM (F5, P17)


def test_sigterm_finishes_the_message_at_hand_and_puts_back_the_rest(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    for number in range(5):
        ask(running, number)
    mail.plan(dot=[Keep(Hang())])
    worker = start()
    eventually(lambda: mail.messages)

    worker.send(signal.SIGTERM)
    assert worker.ended(within=0.3) is None  # the message at hand is waited for
    answer_hanging(mail, b"250 2.0.0 Ok\r\n")

    assert worker.ended() == 0
    assert sorted(states(running)) == ["accepted", *["queued"] * 4]
    with running.db.reading() as session:
        assert not session.scalars(sa.select(deliveries.c.lease_owner).distinct()).one()

    start()
    eventually(lambda: all_accepted(running))
    assert len(mail.messages) == len(set(message_ids(mail))) == 5


def test_an_idle_worker_ends_at_once_on_sigterm(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    ask(running)
    worker = start()
    eventually(lambda: all_accepted(running))

    worker.send(signal.SIGTERM)

    assert worker.ended(within=3) == 0


# Several workers


def test_three_workers_never_send_the_same_message_twice(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    workers = [start() for _ in range(3)]
    for number in range(60):
        ask(running, number)

    eventually(lambda: all_accepted(running), within=30)
    assert len(mail.messages) == len(set(message_ids(mail))) == 60
    assert tries(running) == 60
    assert all(worker.alive for worker in workers)


def test_a_hanging_mail_server_keeps_one_worker_busy_and_not_the_others(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    ask(running, 0)
    mail.plan(rcpt=[Hang()])
    start(command_s=8)
    eventually(lambda: seen(mail, "RCPT"))
    start()

    later = ask(running, 1)

    def is_accepted() -> bool:
        with running.db.reading() as session:
            return deliveries_of(session, later)[0].state is DeliveryState.ACCEPTED

    eventually(is_accepted, within=5)
    # And the claim of the first one was renewed all along: nobody else took it.
    assert DeliveryState.SENDING in states(running) or len(mail.messages) == 2


# In this process: what a transport or a database does at one exact moment


class Played:
    """A transport that does *act* with each message, and keeps those it takes."""

    server = "played:25"

    def __init__(self, act: Any = None) -> None:
        self.act = act
        self.taken: list[tuple[str, bytes]] = []

    def send(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        *,
        before_data: BeforeData | None = None,
    ) -> Accepted:
        if self.act is not None:
            self.act(recipient, before_data)
        self.taken.append((recipient, content))
        return Accepted(250, "2.0.0 Ok", self.server, "")

    def close(self) -> None:
        """Nothing is kept open."""


def poison(parts: Parts, enquiry: Enquiry) -> None:
    """Make the mail of *enquiry* one that cannot be composed."""
    with parts.db.writing() as session:
        session.execute(
            sa.update(deliveries).where(deliveries.c.enquiry_id == enquiry.id).values(inputs={})
        )


def test_a_message_that_cannot_be_built_is_parked_and_the_others_go_out(office: Parts) -> None:
    broken, sound = ask(office, 1), ask(office, 2)
    poison(office, broken)
    transport = Played()

    tally = Worker(office, transport).run_once()

    # The other, and the alarm that tells the operators.
    assert str(tally) == "processed 3, deferred 0, failed 1"
    assert len(transport.taken) == 2
    with office.db.reading() as session:
        [parked] = deliveries_of(session, broken)
        [sent] = deliveries_of(session, sound)
        kept = session.get_one(Enquiry, broken.id)
        assert [event.type for event in events_of(session, about(kept))][-1] == "not_composed"
    assert (parked.state, parked.attempts, parked.reason[:9]) == (
        DeliveryState.FAILED,
        0,
        "compose: ",
    )
    assert (kept.attention, sent.state) == ("compose", DeliveryState.ACCEPTED)


def test_a_message_that_the_transport_chokes_on_is_parked_too(office: Parts) -> None:
    ask(office, 1)
    ask(office, 2)
    choked: list[str] = []

    def choke(recipient: str, _: BeforeData | None) -> None:
        if not choked:
            choked.append(recipient)
            raise UnicodeEncodeError("ascii", "ü", 0, 1, "not ours to send")

    transport = Played(choke)

    tally = Worker(office, transport).run_once()

    # The other, and the alarm that tells the operators.
    assert tally.processed == 3 and tally.failed == 1
    assert sorted(states(office)) == ["accepted", "accepted", "failed"]
    with office.db.reading() as session:
        [failed] = session.scalars(sa.select(Delivery).filter_by(state=DeliveryState.FAILED))
        kept = session.get_one(Enquiry, failed.enquiry_id)
        told = [event.type for event in events_of(session, about(kept))]
    assert (failed.reason, kept.attention) == ("send: UnicodeEncodeError", "send")
    assert told == ["received", "not_sent"]


def test_a_claim_lost_before_data_is_not_sent(office: Parts) -> None:
    ask(office)

    def lose(_: str, before_data: BeforeData | None) -> None:
        steal(office)
        assert before_data is not None
        if not before_data():
            from directory.adapters.mail import LeaseLost

            raise LeaseLost("gone")

    transport = Played(lose)
    tally = Worker(office, transport).run_once()

    assert (tally.processed, transport.taken) == (0, [])
    assert states(office) == [DeliveryState.SENDING] and tries(office) == 0


def steal(parts: Parts) -> None:
    """Another worker takes over whatever is being sent."""
    with parts.db.writing() as session:
        session.execute(sa.update(deliveries).values(lease_owner="another"))


@pytest.mark.parametrize(
    "result", [None, PermanentFailure("rcpt", 550, "No"), TemporaryFailure("rcpt", 450, "Later")]
)
def test_a_result_that_comes_after_the_lease_was_lost_is_not_written(
    office: Parts, result: Exception | None
) -> None:
    enquiry = ask(office)

    def lose(*_: Any) -> None:
        steal(office)
        if result is not None:
            raise result

    tally = Worker(office, Played(lose)).run_once()

    with office.db.reading() as session:
        [delivery] = deliveries_of(session, enquiry)
        assert session.get_one(Enquiry, enquiry.id).attention == ""
    assert tally.processed == 0
    assert (delivery.state, delivery.lease_owner) == (DeliveryState.SENDING, "another")
    assert (delivery.attempts, tries(office)) == (0, 0)


def test_a_lease_is_renewed_while_a_message_takes_long(office: Parts, clock: Any) -> None:
    enquiry = ask(office)

    def take_long(*_: Any) -> None:
        lease = timedelta(seconds=office.settings.delivery.lease_s)
        for _i in range(5):
            clock.at += lease / 2
            worker.renew_now()
        # Another worker that looks now finds nothing to take.
        assert Worker(office, other := Played()).run_once().processed == 0
        assert other.taken == []

    worker = Worker(office, Played(take_long))
    assert str(worker.run_once()) == "processed 1, deferred 0, failed 0"
    with office.db.reading() as session:
        assert deliveries_of(session, enquiry)[0].state is DeliveryState.ACCEPTED


# The clock (F23)


def test_what_was_queued_before_the_clock_went_back_is_sent_at_once(
    office: Parts, clock: Any
) -> None:
    ask(office)
    clock.advance(hours=-3)
    transport = Played()

    Worker(office, transport).run_once()

    assert len(transport.taken) == 1


def test_what_was_put_off_before_the_clock_went_back_is_not_stranded(
    office: Parts, clock: Any
) -> None:
    def defer(*_: Any) -> None:
        raise TemporaryFailure("rcpt", 450, "Later")

    ask(office)
    Worker(office, Played(defer)).run_once()
    clock.advance(days=-2)
    transport = Played()

    Worker(office, transport).run_once()

    assert len(transport.taken) == 1


def test_a_claim_taken_before_the_clock_went_back_lapses_all_the_same(
    office: Parts, clock: Any
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    ask(office)
    with pytest.raises(Killed):
        Worker(office, Played(die)).run_once()
    assert states(office) == [DeliveryState.SENDING]
    clock.advance(hours=-3)
    transport = Played()

    Worker(office, transport).run_once()

    assert len(transport.taken) == 1


def test_two_days_ahead_no_message_is_hurried_to_failure(office: Parts, clock: Any) -> None:
    def defer(*_: Any) -> None:
        raise TemporaryFailure("rcpt", 450, "Later")

    ask(office)
    worker = Worker(office, Played(defer))
    for _i in range(3):
        worker.run_once()
        clock.advance(days=2)

    worker.run_once()

    assert states(office) == [DeliveryState.DEFERRED]


def test_days_of_refusals_end_with_the_deputy_and_a_flag(
    database_url: str, tmp_path: Path, clock: Any, office: Parts
) -> None:
    parts = parts_for(tmp_path, database_url, clock, delivery={"give_up_days": 0.5})

    def refuse_parking(recipient: str, _: Any) -> None:
        if recipient.startswith("parking"):
            raise TemporaryFailure("rcpt", 450, "Later")

    enquiry = ask(parts)
    transport = Played(refuse_parking)
    worker = Worker(parts, transport)
    for _i in range(30):
        worker.run_once()
        clock.advance(hours=1, minutes=13)

    assert [recipient for recipient, _ in transport.taken] == ["admissions@institute.example"]
    with parts.db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        assert kept.department_id == department_by_slug(session, "admissions").id
    assert (kept.attention, kept.status) == ("refused", EnquiryStatus.ROUTED)
    parts.let_go()


# The database (F20, F21)


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Somebody else holds every row of the outbox."""
    with database.writing() as session:
        session.execute(sa.update(deliveries).values(reason="held by another"))
        yield


def test_a_result_that_cannot_be_written_at_once_is_written_later_and_not_sent_again(
    database_url: str, tmp_path: Path, office: Parts
) -> None:
    enquiry = ask(office)
    impatient = parts_for(tmp_path, database_url, None)
    impatient.db = Database(database_url, write_wait_s=0.1)
    release, blocked = threading.Event(), threading.Event()

    def block() -> None:
        with locked(office.db):
            blocked.set()
            release.wait(20)

    def lock_and_take(*_: Any) -> None:
        blocker.start()
        assert blocked.wait(10)
        # Longer than one wait for the lock, and than the breath taken after it.
        threading.Timer(1.5, release.set).start()

    blocker = threading.Thread(target=block)
    transport = Played(lock_and_take)
    Worker(impatient, transport).run_once()
    blocker.join()

    with office.db.reading() as session:
        [delivery] = deliveries_of(session, enquiry)
    assert delivery.state is DeliveryState.ACCEPTED
    assert (len(transport.taken), tries(office)) == (1, 1)
    impatient.let_go()


def test_two_results_for_one_enquiry_at_the_same_moment_are_both_kept(office: Parts) -> None:
    """The department's mail accepted, and the receipt refused, by two workers at once."""
    enquiry = submit(office)
    gate = threading.Barrier(2, timeout=10)

    def together(recipient: str, _: Any) -> None:
        gate.wait()
        if recipient == "liwei@example.com":
            raise PermanentFailure("rcpt", 550, "5.1.1 No such mailbox")

    with office.db.reading() as session:
        ids = [delivery.id for delivery in deliveries_of(session, enquiry)]
    wrong: list[BaseException] = []

    def send(only: int) -> None:
        try:
            Worker(office, Played(together)).run_once(only=[only])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=send, args=(only,)) for only in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert states_by_kind(office, enquiry) == {"routed": "accepted", "acknowledgement": "failed"}
    with office.db.reading() as session:
        told = [event.type for event in events_of(session, about(enquiry))]
    assert sorted(told) == ["acknowledgement_failed", "received", "routed"]


def states_by_kind(parts: Parts, enquiry: Enquiry) -> dict[str, str]:
    with parts.db.reading() as session:
        return {d.kind.value: d.state.value for d in deliveries_of(session, enquiry)}


def test_new_enquiries_overtake_a_backlog(office: Parts, clock: Any) -> None:
    def defer(*_: Any) -> None:
        raise TemporaryFailure("connect", 0, "refused")

    for number in range(15):
        ask(office, number)
    Worker(office, Played(defer)).run_once()
    clock.advance(days=1)
    new = ask(office, 99)
    transport = Played()

    Worker(office, transport).run_once()

    assert len(transport.taken) == 16
    with office.db.reading() as session:
        [delivery] = deliveries_of(session, new)
        assert transport.taken[0][1] == delivery.content


def test_a_connection_dropped_after_the_message_was_stored_repeats_the_same_bytes(
    running: Parts, mail: SmtpServer, start: StartWorker
) -> None:
    mail.plan(dot=[Keep(Drop()), Keep(Say("451 4.3.0 Try again"))])
    ask(running)

    start()

    eventually(lambda: all_accepted(running))
    assert len(mail.messages) == 3
    assert len({(m.sender, m.recipients, m.content) for m in mail.messages}) == 1
