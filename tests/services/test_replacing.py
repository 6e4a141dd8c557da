"""A mailbox replaced everywhere in one act: departments, rules, and the mail it did not get."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import deliveries
from directory.adapters.queries import current_rules, department_by_slug, events_of
from directory.domain.contacts import PointState
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import Conflict, InvalidValue, NotFound
from directory.parts import Parts
from directory.services.contacts import about_department, amend_department
from directory.services.replacing import Replacement, mail_to, replace_mailbox
from directory.services.rules import publish_rules
from tests.builders import OFFICE_RULES, a_submission, submit
from tests.services.test_deliveries import accept, fail, look, the
from tests.services.test_inbound import NO

OLD, NEW = "parking@institute.example", "cars@institute.example"


def put(parts: Parts, old: str = OLD, new: str = NEW, **changes: Any) -> Replacement:
    with parts.db.reading() as session:
        waiting = mail_to(session, old) if "@" in old else []
    with parts.db.writing() as session:
        return replace_mailbox(
            session,
            old,
            new,
            mail=waiting,
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
            by="li@x.example",
            reason=changes.pop("reason", "the old one was closed"),
        )


def recipients(parts: Parts, enquiry: Enquiry) -> list[tuple[str, str]]:
    mails = look(parts.db, enquiry)[1]
    return [(d.recipient, d.state.value) for d in mails if d.kind is DeliveryKind.ROUTED]


def test_every_department_that_has_it_gets_the_new_one_unverified_and_to_be_asked(office):
    with office.db.writing() as session:
        department_by_slug(session, "media").points[0].value = OLD
        department_by_slug(session, "admissions").backup_email = OLD

    done = put(office)

    assert [slug for slug, _ in done.departments] == ["admissions", "media", "parking"]
    with office.db.reading() as session:
        for slug in ("parking", "media"):
            point = department_by_slug(session, slug).points[0]
            assert (point.value, point.state) == (NEW, PointState.PROPOSED)
            assert (point.verified_at, point.due_at) == (None, office.now())
        assert department_by_slug(session, "admissions").backup_email == NEW
        parking = department_by_slug(session, "parking")
        event = events_of(session, about_department(parking))[-1]
        assert (event.type, event.by, event.note) == (
            "amended",
            "li@x.example",
            "the old one was closed",
        )
        notices = set(
            session.scalars(
                sa.select(deliveries.c.recipient).where(
                    deliveries.c.kind == DeliveryKind.CHANGE_NOTICE
                )
            )
        )
    assert notices == {OLD, NEW}


def test_rules_that_name_it_are_published_anew_with_the_reason(office):
    with office.db.writing() as session:
        rules = [{**OFFICE_RULES[0], "send_to": OLD}, OFFICE_RULES[1]]
        publish_rules(session, rules, reason="x", by="x", now=office.now())

    done = put(office)

    with office.db.reading() as session:
        decides = current_rules(session, office.now())
        [event] = events_of(session, f"rules:{decides.version}")
    assert done.rules == [decides.version]
    assert decides.rules[0].send_to == NEW
    assert (event.by, event.note) == ("li@x.example", "the old one was closed")


def test_where_no_rule_names_it_none_is_published(office):
    assert put(office).rules == []


def test_what_waits_goes_to_the_new_one_instead(office):
    enquiry = submit(office)

    done = put(office)

    assert done.sent_again == [enquiry.ref]
    assert recipients(office, enquiry) == [(OLD, "cancelled"), (NEW, "queued")]
    now, mails, told = look(office.db, enquiry)
    assert told[-1] == "sent_again"
    assert mails[-1].message_id != mails[0].message_id
    assert now.department_id == mails[0].department_id


def test_what_failed_there_is_sent_again_once_and_comes_back_from_who_stood_in(office):
    enquiry = submit(office)
    fail(office, the(office, enquiry, DeliveryKind.ROUTED), NO)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))

    put(office)
    put(office, NEW, "third@institute.example")

    assert recipients(office, enquiry) == [
        (OLD, "failed"),
        ("admissions@institute.example", "accepted"),
        (NEW, "cancelled"),
        ("third@institute.example", "queued"),
    ]
    now, mails, told = look(office.db, enquiry)
    assert (now.attention, now.department_id) == ("", mails[0].department_id)
    assert told.count("sent_again") == 2


@pytest.mark.parametrize("status", [EnquiryStatus.TAKEN, EnquiryStatus.ANSWERED])
def test_what_somebody_has_or_has_answered_is_not_sent_again(office, status):
    enquiry = submit(office)
    fail(office, the(office, enquiry, DeliveryKind.ROUTED), NO)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))
    with office.db.writing() as session:
        session.get_one(Enquiry, enquiry.id).status = status

    assert put(office).sent_again == []
    assert len(recipients(office, enquiry)) == 2


def test_what_was_accepted_there_stays_there(office):
    enquiry = submit(office)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))

    assert put(office).sent_again == []
    assert recipients(office, enquiry) == [(OLD, "accepted")]


def test_what_a_worker_is_just_sending_is_left_to_it(office):
    enquiry = submit(office)
    with office.db.writing() as session:
        delivery = session.get_one(Delivery, the(office, enquiry, DeliveryKind.ROUTED).id)
        delivery.claimed("worker", office.now())

    assert put(office).sent_again == []
    assert recipients(office, enquiry) == [(OLD, "sending")]

    fail(office, delivery, NO)
    assert recipients(office, enquiry)[-1] == (NEW, "queued")


def test_the_desks_mailbox_is_replaced_too_and_answers_go_there(office):
    enquiry = submit(office, a_submission("not-sure", email=None, reply_by=ReplyBy.NONE))

    put(office, "desk@institute.example", "hello@institute.example")

    [_, again] = look(office.db, enquiry)[1]
    assert (again.recipient, again.state) == ("hello@institute.example", DeliveryState.QUEUED)
    assert again.inputs["reply_to"][0]["address"] == "hello@institute.example"


def test_a_department_that_has_both_keeps_one(office):
    with office.db.writing() as session:
        amend_department(
            session, "parking", {"email2": NEW}, settings=office.settings, now=office.now(), by="x"
        )

    put(office)

    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
    live = [p.value for p in parking.points if p.live and "@" in p.value]
    assert live == [NEW]
    assert parking.mailbox is not None and parking.mailbox.value == NEW


@pytest.mark.parametrize("public", [True, False])
def test_the_mailbox_for_enquiries_stays_that(office, public):
    with office.db.writing() as session:
        if public:
            department_by_slug(session, "parking").points[0].routing = True
        else:
            amend_department(
                session,
                "parking",
                {"routing_email": "hidden@institute.example"},
                settings=office.settings,
                now=office.now(),
                by="x",
            )

    put(office, OLD if public else "hidden@institute.example")

    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
    assert parking.mailbox is not None
    assert (parking.mailbox.value, parking.mailbox.routing) == (NEW, True)
    assert parking.mailbox.public is public
    assert sum(p.value == NEW for p in parking.points if p.live) == 1


def test_a_suspended_mailbox_is_what_is_most_often_replaced(office):
    with office.db.writing() as session:
        department_by_slug(session, "parking").points[0].state = PointState.SUSPENDED

    put(office)

    with office.db.reading() as session:
        mailbox = department_by_slug(session, "parking").mailbox
    assert mailbox is not None and mailbox.value == NEW


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("nobody@institute.example", NEW, NotFound),
        (OLD, OLD.upper(), Conflict),
        (OLD, "no-reply@institute.example", Conflict),
        (OLD, "cars at institute", InvalidValue),
        ("cars", NEW, InvalidValue),
    ],
)
def test_what_cannot_be_replaced_is_said_and_changes_nothing(office, old, new, error):
    with pytest.raises(error):
        put(office, old, new)

    with office.db.reading() as session:
        assert department_by_slug(session, "parking").points[0].value == OLD
