"""Trouble of the service's own is told in the log and by mail, once an hour and kind at most."""

from __future__ import annotations

import email
import email.policy
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.adapters import duties, ledger
from directory.adapters.compose import compose
from directory.adapters.db import deliveries
from directory.adapters.mail import Accepted, NullTransport
from directory.adapters.queries import department_by_slug
from directory.domain.alarms import ALARMS, AlarmKind
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, ReplyBy
from directory.domain.errors import OurFailure, PermanentFailure
from directory.parts import Parts
from directory.services import alarms
from directory.services.minute import go_round
from directory.worker import Worker
from tests.builders import SetClock, a_submission, parts_for, plant_office, submit


class Refusing(NullTransport):
    """A mail server that answers every message with *failure*."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    def send(self, *_: object, **__: object) -> Accepted:
        raise self.failure


WRONG_PASSWORD = OurFailure("auth", 535, "5.7.8 Bad credentials")


def mails(parts: Parts, kind: AlarmKind | None = None) -> Sequence[Delivery]:
    with parts.db.reading() as session:
        found = session.scalars(
            sa.select(Delivery)
            .where(deliveries.c.kind == DeliveryKind.ALARM)
            .order_by(deliveries.c.id)
        ).all()
    return [it for it in found if kind is None or it.inputs["alarm"] == kind.value]


def watch(parts: Parts, *, free_mb: int | None = None) -> None:
    with parts.db.writing() as session:
        alarms.watch(session, settings=parts.settings, now=parts.now(), free_mb=free_mb)


def standing(parts: Parts) -> list[AlarmKind]:
    with parts.db.reading() as session:
        return [kind for kind, _ in alarms.standing(session)]


def send_all(parts: Parts) -> None:
    Worker(parts, NullTransport()).run_once()


def test_p8_a_refusal_of_us_is_an_alarm_at_once(office: Parts) -> None:
    submit(office)
    Worker(office, Refusing(WRONG_PASSWORD)).run_once()

    [mail] = mails(office)
    assert mail.recipient == "desk@institute.example"
    assert mail.inputs["alarm"] == "mail.refused_us"
    assert "auth 535" in mail.inputs["what"]
    # What the server said may quote an address; it is in the log of tries, not in the mail.
    assert "credentials" not in mail.inputs["what"]


def refuse(parts: Parts) -> None:
    """One more refusal is noticed, and what alarms there are leave."""
    told = {"server": "mail.example:25", "reply": "auth 535"}
    with parts.db.writing() as session:
        kind, now = AlarmKind.REFUSED_US, parts.now()
        alarms.sound(session, kind, told, settings=parts.settings, now=now)
    send_all(parts)


def test_an_alarm_is_mailed_once_an_hour_at_most(office: Parts, clock: SetClock) -> None:
    for minutes in (0, 10, 49):  # at 12:00, 12:10 and 12:59
        clock.advance(minutes=minutes)
        refuse(office)
    assert len(mails(office)) == 1

    clock.advance(minutes=1)
    refuse(office)
    assert len(mails(office)) == 2


def test_no_alarm_is_added_while_the_last_one_still_waits(office: Parts, clock: SetClock) -> None:
    submit(office)
    for _ in range(30):
        Worker(office, Refusing(WRONG_PASSWORD)).run_once()
        clock.advance(hours=2)

    assert len(mails(office, AlarmKind.REFUSED_US)) == 1


def test_p8_mail_that_waits_four_hours_is_an_alarm(office: Parts, clock: SetClock) -> None:
    submit(office)
    clock.advance(hours=4)
    watch(office)
    assert mails(office) == []

    clock.advance(seconds=1)
    watch(office)

    [mail] = mails(office)
    assert mail.inputs["alarm"] == "queue.old"
    assert "2026-11-23 04:00 UTC" in mail.inputs["what"]
    assert standing(office) == [AlarmKind.QUEUE_OLD]

    send_all(office)
    watch(office)
    assert standing(office) == []


def test_an_alarm_that_waits_is_no_reason_for_another(office: Parts, clock: SetClock) -> None:
    submit(office)
    clock.advance(hours=5)
    watch(office)
    with office.db.writing() as session:
        for it in session.scalars(sa.select(Delivery)):
            if it.kind is not DeliveryKind.ALARM:
                it.cancelled(clock.at, "")
    clock.advance(hours=5)
    watch(office)

    assert len(mails(office, AlarmKind.QUEUE_OLD)) == 1
    assert AlarmKind.QUEUE_OLD not in standing(office)


def test_an_alarm_seen_by_many_workers_at_once_is_one_mail(office: Parts, clock: SetClock) -> None:
    def all_look() -> None:
        together = threading.Barrier(4)

        def work() -> None:
            together.wait()
            go_round(office)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    submit(office)
    clock.advance(hours=5)
    all_look()
    [first] = mails(office, AlarmKind.QUEUE_OLD)
    assert first.id is not None

    # And of an alarm that is known already, whose row there is no need to make.
    Worker(office, NullTransport()).run_once(only=[first.id])
    clock.advance(hours=1)
    all_look()
    assert len(mails(office, AlarmKind.QUEUE_OLD)) == 2


@pytest.mark.parametrize("jump", [timedelta(days=2), timedelta(hours=-3)])
def test_f23_a_clock_that_jumps_neither_floods_nor_silences(
    office: Parts, clock: SetClock, jump: timedelta
) -> None:
    refuse(office)
    clock.at += jump
    refuse(office)
    clock.at -= jump
    refuse(office)
    refuse(office)
    assert 2 <= len(mails(office)) <= 3  # one for each jump at most

    clock.advance(hours=1)
    refuse(office)
    assert 3 <= len(mails(office)) <= 4


def test_a_ledger_that_does_not_balance_is_an_alarm_until_it_does(office: Parts) -> None:
    enquiry = submit(office)
    with office.db.writing() as session:
        for it in session.scalars(sa.select(Delivery)):
            it.cancelled(office.now(), "by mistake")
    watch(office)

    [mail] = mails(office)
    assert mail.inputs["alarm"] == "ledger.unbalanced"
    assert "1 received ≠" in mail.inputs["what"]

    with office.db.writing() as session:
        session.get_one(Enquiry, enquiry.id).needs_attention("looked at")
    watch(office)
    assert standing(office) == []
    with office.db.reading() as session:
        assert ledger.read(session).balances


def test_p8_when_nobody_is_left_to_mail_the_enquiry_needs_attention_and_is_an_alarm(
    office: Parts,
) -> None:
    enquiry = submit(office, a_submission("not-sure", email=None, reply_by=ReplyBy.NONE))
    Worker(office, Refusing(PermanentFailure("rcpt", 550, "5.1.1 No such mailbox"))).run_once()

    with office.db.reading() as session:
        assert session.get_one(Enquiry, enquiry.id).attention == "undeliverable"
    assert AlarmKind.UNDELIVERABLE in standing(office)
    [mail] = mails(office, AlarmKind.UNDELIVERABLE)
    assert enquiry.ref in mail.inputs["what"]


def test_a_desk_without_a_mailbox_is_an_alarm(office: Parts) -> None:
    with office.db.writing() as session:
        desk = department_by_slug(session, "enquiry-desk")
        desk.owner_email = "head@institute.example"
        for point in desk.points:
            point.routing = False
            point.state = type(point.state).SUSPENDED
    watch(office)

    assert standing(office) == [AlarmKind.DESK]
    assert [mail.recipient for mail in mails(office)] == ["head@institute.example"]


def test_p9_a_message_that_cannot_be_built_is_parked_and_an_alarm(office: Parts) -> None:
    submit(office)
    with office.db.writing() as session:
        broken = session.scalars(
            sa.select(Delivery).where(deliveries.c.kind == DeliveryKind.ROUTED)
        ).one()
        broken.inputs = {}
    send_all(office)

    [mail] = mails(office)
    assert mail.inputs["alarm"] == "mail.parked"
    assert "compose: KeyError" in mail.inputs["what"]
    assert str(broken.id) in mail.inputs["fix"]


def test_an_alarm_that_cannot_be_built_raises_no_other(office: Parts, clock: SetClock) -> None:
    watch(office, free_mb=10)
    with office.db.writing() as session:
        session.scalars(sa.select(Delivery)).one().inputs = {"alarm": "disk.low"}
    send_all(office)
    clock.advance(hours=3)

    with office.db.reading() as session:
        assert session.scalars(sa.select(Delivery)).one().state is DeliveryState.FAILED
    assert standing(office) == [AlarmKind.DISK]


def test_a_disk_nearly_full_is_an_alarm(office: Parts) -> None:
    watch(office, free_mb=alarms.DISK_LOW_MB)
    assert mails(office) == []

    watch(office, free_mb=alarms.DISK_LOW_MB - 1)
    assert [mail.inputs["alarm"] for mail in mails(office)] == ["disk.low"]


def test_what_nobody_can_see_to_be_over_is_over_when_it_was_not_seen_for_two_hours(
    office: Parts, clock: SetClock
) -> None:
    submit(office)
    Worker(office, Refusing(WRONG_PASSWORD)).run_once()
    send_all(office)
    watch(office)
    assert standing(office) == [AlarmKind.REFUSED_US]

    clock.advance(hours=2)
    watch(office)
    assert standing(office) == []


def test_alarms_go_to_whom_the_settings_name_else_to_who_owns_the_desk(
    database_url: str, tmp_path: Path, clock: SetClock
) -> None:
    named = ("one@ops.example", "two@ops.example")
    parts = parts_for(tmp_path, database_url, clock, mail={"alarms": list(named)})
    with parts.db.writing() as session:
        plant_office(session)
    watch(parts, free_mb=1)
    assert {mail.recipient for mail in mails(parts)} == set(named)
    parts.let_go()


@pytest.mark.parametrize(
    ("changes", "recipient"),
    [
        ({"owner_email": "owner@institute.example"}, "owner@institute.example"),
        ({"backup_email": "deputy@institute.example"}, "deputy@institute.example"),
        ({}, "desk@institute.example"),
    ],
)
def test_without_settings_alarms_go_to_the_desks_owner_deputy_or_mailbox(
    office: Parts, changes: dict[str, str], recipient: str
) -> None:
    with office.db.writing() as session:
        desk = department_by_slug(session, "enquiry-desk")
        for name, value in changes.items():
            setattr(desk, name, value)
    watch(office, free_mb=1)

    assert [mail.recipient for mail in mails(office)] == [recipient]


def test_an_alarm_reads_as_a_mail_that_no_machine_answers(office: Parts) -> None:
    watch(office, free_mb=7)
    [mail] = mails(office)
    message = email.message_from_bytes(compose(mail), policy=email.policy.default)

    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Enquiry-Kind"] == "alarm"
    assert message["Reply-To"] is None
    assert str(message["Subject"]).startswith("Alarm: The disk is nearly full: 7 MB")
    text = message.get_body(("plain",))
    assert text is not None and "503" in text.get_content()


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_alarm_says_what_and_what_to_do_in_both_languages(kind: AlarmKind) -> None:
    facts = dict.fromkeys(
        ("server", "reply", "reason", "id", "ref", "since", "count", "ledger", "desk", "sent"), "x"
    ) | {"within_s": 1, "free_mb": 1}
    words = ALARMS[kind].filled(facts)

    for texts in (words.what, words.fix):
        assert set(texts) == {"en", "zh-Hans"}
        assert all(text and "{" not in text for text in texts.values())


def test_while_mail_is_paused_nothing_is_claimed_and_then_all_is_sent(office: Parts) -> None:
    submit(office)
    with office.db.writing() as session:
        duties.switch_on(session, duties.MAIL_PAUSED, now=office.now(), by="ops", reason="move")
    assert Worker(office, NullTransport()).run_once().processed == 0

    with office.db.writing() as session:
        duties.switch_off(session, duties.MAIL_PAUSED)
    assert Worker(office, NullTransport()).run_once().processed == 2
