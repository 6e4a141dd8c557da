"""Nothing stays unanswered in silence, and nobody is told more than was said they would be."""

from __future__ import annotations

from datetime import datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.compose import compose
from directory.adapters.db import deliveries, departments
from directory.adapters.queries import (
    deliveries_of,
    department_by_slug,
    enquiry_by_ref,
    events_of,
)
from directory.domain.answering import Step
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Enquiry, ReplyBy
from directory.parts import Parts
from directory.services import reminders
from directory.services.history import about
from directory.services.moves import reroute_enquiry
from directory.services.staff import holder_of_token
from tests.builders import MONDAY_NOON, SetClock, a_submission, submit

WEDNESDAY_NINE = MONDAY_NOON + timedelta(days=1, hours=21)
THURSDAY_NINE = WEDNESDAY_NINE + timedelta(days=1)


def an_enquiry(parts: Parts, nth: str = "1", **changes: Any) -> Enquiry:
    """With its department since now."""
    made = submit(parts, a_submission("permits", form_token=nth, **changes))
    with parts.db.writing() as session:
        for delivery in deliveries_of(session, made):
            delivery.succeeded(parts.now(), "250 ok")
        enquiry_by_ref(session, made.ref).accepted_by_department(parts.now())
    return made


def minute(parts: Parts) -> int:
    """What a worker does about once a minute; how many reminders it sent."""
    now = parts.now()
    with parts.db.writing() as session:
        reminders.plan(session, settings=parts.settings, now=now)
    with parts.db.writing() as session:
        return reminders.remind(session, settings=parts.settings, signer=parts.signer, now=now)


def mails(parts: Parts) -> list[Delivery]:
    with parts.db.reading() as session:
        found = list(
            session.scalars(
                sa.select(Delivery)
                .where(deliveries.c.kind == DeliveryKind.REMINDER)
                .order_by(deliveries.c.id)
            )
        )
        session.expunge_all()
    return found


def sent_to(parts: Parts) -> list[str]:
    return sorted(it.recipient for it in mails(parts))


def run_until(parts: Parts, clock: SetClock, end: datetime) -> None:
    """A worker that looks every hour."""
    while clock.at < end:
        minute(parts)
        clock.advance(hours=1)


def act(parts: Parts, enquiry: Enquiry, **changes: Any) -> None:
    with parts.db.writing() as session:
        kept = enquiry_by_ref(session, enquiry.ref)
        for name, value in changes.items():
            getattr(kept, name)(value)


# Steps


def test_a_department_that_does_not_answer_is_reminded_its_deputy_told_and_then_the_desk(
    office: Parts, clock: SetClock
):
    enquiry = an_enquiry(office)

    run_until(office, clock, WEDNESDAY_NINE)
    assert sent_to(office) == []
    minute(office)
    assert sent_to(office) == ["parking@institute.example"]
    clock.at = THURSDAY_NINE
    minute(office)
    assert sent_to(office)[:2] == ["admissions@institute.example", "parking@institute.example"]
    run_until(office, clock, MONDAY_NOON + timedelta(days=30))

    assert sent_to(office) == [
        "admissions@institute.example",
        *["desk@institute.example"] * 3,
        *["parking@institute.example"] * 2,
    ]
    with office.db.reading() as session:
        kept = enquiry_by_ref(session, enquiry.ref)
        told = [e.after["step"] for e in events_of(session, about(kept)) if e.type == "reminded"]
    assert (kept.attention, kept.remind_at, kept.reminders) == ("unanswered", None, Step.LAST)
    assert told == [1, 2, 3, 4, 5]


def test_what_waits_in_one_mailbox_comes_in_one_mail(office: Parts, clock: SetClock):
    for n in range(3):
        an_enquiry(office, nth=str(n))
    minute(office)
    clock.at = WEDNESDAY_NINE

    assert minute(office) == 1

    [mail] = mails(office)
    assert len(mail.inputs["items"]) == 3
    assert minute(office) == 0


@pytest.mark.parametrize("answered", ["answered", "closed"])
def test_what_was_answered_or_closed_is_not_reminded_of(
    office: Parts, clock: SetClock, answered: str
):
    enquiry = an_enquiry(office)
    minute(office)
    act(office, enquiry, **{answered: clock.advance(hours=2)})

    run_until(office, clock, MONDAY_NOON + timedelta(days=10))

    assert mails(office) == []


def test_one_that_is_open_again_is_reminded_of_again(office: Parts, clock: SetClock):
    enquiry = an_enquiry(office)
    minute(office)
    with office.db.reading() as session:
        stood = enquiry_by_ref(session, enquiry.ref).standing()
    act(office, enquiry, answered=clock.at)
    act(office, enquiry, stand_again=stood)

    minute(office)
    clock.at = WEDNESDAY_NINE

    assert minute(office) == 1


@pytest.mark.parametrize("nobody", ["no answer wanted", "test"])
def test_where_nobody_waits_for_an_answer_nobody_is_reminded(
    office: Parts, clock: SetClock, nobody: str
):
    wish = {"reply_by": ReplyBy.NONE} if nobody == "no answer wanted" else {}
    enquiry = an_enquiry(office, **wish)
    if nobody == "test":
        with office.db.writing() as session:
            enquiry_by_ref(session, enquiry.ref).test = True

    run_until(office, clock, MONDAY_NOON + timedelta(days=10))

    assert mails(office) == []


def test_after_a_move_the_other_department_is_reminded_as_if_for_the_first_time(
    office: Parts, clock: SetClock
):
    enquiry = an_enquiry(office)
    clock.at = WEDNESDAY_NINE - timedelta(hours=1)
    minute(office)
    with office.db.writing() as session:
        moved = reroute_enquiry(
            session,
            enquiry.ref,
            "media",
            by="someone@x.example",
            published=office.published(session, clock.at),
            settings=office.settings,
            signer=office.signer,
            now=clock.at,
        )
        assert moved.delivery is not None
        session.flush()
        moved.delivery.succeeded(clock.at, "250 ok")
        moved.enquiry.accepted_by_department(clock.at)
    minute(office)
    run_until(office, clock, THURSDAY_NINE + timedelta(minutes=30))

    # Media has no deputy: for it the desk is told.
    assert sent_to(office) == ["desk@institute.example", *["media@institute.example"] * 2]


def test_a_clock_that_jumps_and_comes_back_sends_no_reminder_twice(office: Parts, clock: SetClock):
    an_enquiry(office)
    minute(office)
    clock.at = THURSDAY_NINE
    minute(office)
    clock.at = MONDAY_NOON
    for _ in range(5):
        minute(office)
        clock.advance(hours=3)

    assert sent_to(office) == ["parking@institute.example"]


def test_mail_that_is_not_with_the_department_yet_is_not_followed_by_more(
    office: Parts, clock: SetClock
):
    submit(office, a_submission("permits"))
    run_until(office, clock, THURSDAY_NINE + timedelta(hours=1))

    assert sent_to(office) == ["admissions@institute.example"]


# The mail


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_a_reminder_says_what_waits_and_holds_no_word_of_the_visitors(
    office: Parts, clock: SetClock, language: str
):
    with office.db.writing() as session:
        department_by_slug(session, "parking").languages = [language]
    an_enquiry(office, message="SECRET WORDS", name="Li Wei")
    minute(office)
    clock.at = WEDNESDAY_NINE
    minute(office)

    [mail] = mails(office)
    message = message_from_bytes(compose(mail), policy=policy.default)
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    whole = str(message)

    assert message["Auto-Submitted"] == "auto-generated"
    assert "SECRET" not in whole and "Li Wei" not in text
    assert f"{mail.inputs['items'][0]['action_url']}?do=done" in text
    said = {"en": "Waits for an answer", "zh-Hans": "等待答复"}[language]
    assert said in str(message["Subject"]) and message["Content-Language"] == language


def test_whoever_stands_in_can_act_by_the_link_in_the_reminder(office: Parts, clock: SetClock):
    enquiry = an_enquiry(office)
    run_until(office, clock, THURSDAY_NINE + timedelta(minutes=1))
    deputy = next(it for it in mails(office) if it.recipient.startswith("admissions"))
    token = deputy.inputs["items"][0]["action_url"].rpartition("/")[2]

    with office.db.reading() as session:
        holder = holder_of_token(
            session, office.signer, token, clock.at, desk=office.settings.site.desk
        )

    assert (holder.address, holder.enquiry.ref) == ("admissions@institute.example", enquiry.ref)


# How long answers take


def test_usual_answer_times_are_measured_from_answers_and_only_from_enough_of_them(
    office: Parts, clock: SetClock
):
    def measure() -> tuple[float | None, int]:
        for _ in range(3):
            with office.db.writing() as session:
                reminders.measure(session, settings=office.settings, now=clock.at)
        clock.advance(hours=2)
        with office.db.reading() as session:
            row = session.execute(
                sa.select(departments.c.typical_days, departments.c.typical_of).where(
                    departments.c.slug == "parking"
                )
            ).one()
        return row.typical_days, row.typical_of

    with office.db.reading() as session:
        version = department_by_slug(session, "parking").version
    for n in range(19):
        enquiry = an_enquiry(office, nth=f"first {n}")
        act(office, enquiry, answered=clock.at + timedelta(hours=24))
    assert measure() == (None, 0)
    act(office, an_enquiry(office, nth="one more"), answered=clock.at + timedelta(hours=24))

    days, of = measure()

    assert of == 20 and days == pytest.approx(1.0)
    with office.db.reading() as session:
        assert department_by_slug(session, "parking").version == version
