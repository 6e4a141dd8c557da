"""Mail whose mailbox was suspended, or whose department closed, while it waited to be sent."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters import ledger
from directory.adapters.db import slug_history
from directory.adapters.queries import (
    deliveries_of,
    department_by_slug,
    events_of,
    unreachable,
    version_of_directory,
)
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.delivery import DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import PermanentFailure, TemporaryFailure
from directory.domain.ledger import Account
from directory.parts import Parts
from directory.services import redirects
from directory.services.history import about
from directory.services.rules import publish_rules
from directory.worker import Worker
from tests.adapters.test_compose import read, text_of
from tests.adapters.test_queries import statements
from tests.builders import OFFICE_RULES, a_submission, submit
from tests.faults.test_worker import Played
from tests.services.test_moves import decided, move, routed, suspend
from tests.services.test_outcomes import release, rule


def ask(parts: Parts, topic: str = "permits", **changes: Any) -> Enquiry:
    """One that causes one mail."""
    values = {"email": None, "reply_by": ReplyBy.NONE} | changes
    return submit(parts, a_submission(topic, **values))


def close(parts: Parts, slug: str, successor: str) -> None:
    with parts.db.writing() as session:
        department = department_by_slug(session, slug)
        department.status = DepartmentStatus.CLOSED
        department.successor_id = department_by_slug(session, successor).id


def work(parts: Parts, act: Any = None) -> list[str]:
    """Let a worker send everything due; who it was sent to."""
    transport = Played(act)
    Worker(parts, transport).run_once()
    return [recipient.partition("@")[0] for recipient, _ in transport.taken]


def told(parts: Parts, enquiry: Enquiry) -> list[str]:
    with parts.db.reading() as session:
        return [event.type for event in events_of(session, about(enquiry))]


def test_a_mailbox_suspended_meanwhile_is_not_sent_what_waited_for_it(office):
    enquiry = ask(office)
    suspend(office, "parking")

    assert work(office) == ["admissions"]

    before, after = routed(office, enquiry)
    first, second = decided(office, enquiry)
    assert (before.state, before.reason) == (DeliveryState.CANCELLED, "Parking takes no mail now")
    assert (before.attempts, after.state) == (0, DeliveryState.ACCEPTED)
    assert before.message_id != after.message_id
    assert (first.reason, first.by, second.reason, second.by) == ("topic", "", "topic", "system")
    assert (second.passed_over, second.at) == (["parking"], office.now())
    with office.db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        event = events_of(session, about(enquiry))[1]
    assert (kept.status, kept.department_id) == (EnquiryStatus.ROUTED, second.department_id)
    assert told(office, enquiry) == ["received", "redirected", "routed"]
    assert event.before == {"department": "parking", "delivery": str(before.id)}
    assert event.after == {"department": "admissions", "delivery": str(after.id)}
    assert "Why you: it is for Parking, which cannot take mail now." in text_of(read(after))


def test_a_department_closed_meanwhile_hands_on_to_its_successor(office):
    enquiry = ask(office)
    close(office, "parking", "media")

    assert work(office) == ["media"]
    assert decided(office, enquiry)[-1].passed_over == ["parking"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_department_the_visitor_chose_is_known_by_its_new_name_and_by_its_heir(office, renamed):
    enquiry = ask(office, "", department="media")
    with office.db.writing() as session:
        media = department_by_slug(session, "media")
        media.status = DepartmentStatus.CLOSED
        media.successor_id = department_by_slug(session, "admissions").id
        if renamed:
            session.add(media)
            media.slug = "press"
            session.execute(
                sa.insert(slug_history).values(
                    slug="media", department_id=media.id, until=office.now()
                )
            )

    assert work(office) == ["admissions"]
    assert decided(office, enquiry)[-1].reason == "department"


def test_it_is_decided_by_the_rules_of_now(office):
    enquiry = ask(office)
    suspend(office, "parking")
    elsewhere = {**OFFICE_RULES[0], "when": {"topic": ["permits"]}, "copy": ["admissions"]}
    with office.db.writing() as session:
        publish_rules(session, [elsewhere, OFFICE_RULES[1]], reason="x", by="x", now=office.now())

    assert work(office) == ["media"]

    last = decided(office, enquiry)[-1]
    assert (last.reason, last.rule_id, last.rule_set) == ("rule", "newspapers", 2)
    assert last.outcome == {}  # a copy would be sent twice, by two decisions


def test_the_books_follow_a_move_a_redirect_and_a_release(office):
    rule(office, when={"topic": ["apply"]}, hold=True)
    held = ask(office, "apply", form_token="held")
    moved, waiting = ask(office, form_token="moved"), ask(office, form_token="waiting")
    move(office, moved, "media")
    release(office, held)
    suspend(office, "parking")
    assert waiting.ref and len(work(office)) == 3

    with office.db.reading() as session:
        kept, anew = ledger.read(session), ledger.count_anew(session)
    assert kept == anew and kept.balances
    assert kept[Account.WAITING] == 3


def test_rules_that_changed_alone_do_not_move_what_waits(office):
    enquiry = ask(office)
    rule(office, send_to="media")

    assert work(office) == ["parking"]
    assert len(decided(office, enquiry)) == 1


def test_a_mailbox_that_came_back_in_time_gets_its_mail(office):
    ask(office)
    suspend(office, "parking")
    with office.db.writing() as session:
        for point in department_by_slug(session, "parking").points:
            point.state = PointState.VERIFIED

    assert work(office) == ["parking"]


def test_several_in_one_batch_are_looked_at_one_by_one(office):
    for number in range(3):
        ask(office, form_token=f"permits {number}")
        ask(office, "apply", form_token=f"apply {number}")
    suspend(office, "parking")

    assert sorted(work(office)) == ["admissions"] * 6


def test_what_was_tried_before_goes_elsewhere_too_once_its_mailbox_is_suspended(office, clock):
    enquiry = ask(office)

    def not_now(recipient: str, _: Any) -> None:
        raise TemporaryFailure("rcpt", 450, "4.2.0 Later")

    assert work(office, not_now) == []
    [tried] = routed(office, enquiry)
    suspend(office, "parking")
    clock.advance(hours=1)

    assert work(office) == ["admissions"]

    before, after = routed(office, enquiry)
    assert (before.state, before.attempts) == (DeliveryState.CANCELLED, 1)
    assert (before.message_id, before.recipient) == (tried.message_id, tried.recipient)
    assert (after.attempts, after.recipient) == (1, "admissions@institute.example")


def test_what_was_tried_is_sent_the_same_bytes_while_its_mailbox_is_read_by_anybody(office, clock):
    with office.db.writing() as session:
        [media] = department_by_slug(session, "media").points
        media.value = "parking@institute.example"  # one mailbox of two departments
    enquiry = ask(office)
    work(office, lambda *_: (_ for _ in ()).throw(TemporaryFailure("dot", 451, "Later")))
    close(office, "parking", "media")
    clock.advance(hours=1)

    assert work(office) == ["parking"]

    [delivery] = routed(office, enquiry)
    assert (delivery.state, delivery.attempts) == (DeliveryState.ACCEPTED, 2)


def test_without_anybody_else_the_desk_is_still_tried(office):
    ask(office, "not-sure")
    suspend(office, "enquiry-desk")

    assert work(office) == ["desk"]


def test_what_a_person_sent_there_goes_to_who_stands_in_and_not_back(office):
    enquiry = ask(office, "not-sure")
    move(office, enquiry, "parking", note="Yours")
    suspend(office, "parking")

    assert work(office) == ["admissions"]

    last = decided(office, enquiry)[-1]
    assert (last.reason, last.why["en"]) == ("fallback", "Parking takes no mail now")
    text = text_of(read(routed(office, enquiry)[-1]))
    assert "Passed on to you by Enquiry Desk (chen@institute.example), who wrote:\n| Yours" in text


def test_what_another_mailbox_refused_does_not_go_back_there(office, clock):
    enquiry = ask(office)
    work(office, refusing("parking", then="hold"))
    assert [d.recipient.partition("@")[0] for d in routed(office, enquiry)] == [
        "parking",
        "admissions",
    ]
    suspend(office, "admissions")
    clock.advance(hours=1)

    assert work(office) == ["desk"]


def refusing(name: str, *, then: str) -> Any:
    """A server that refuses *name* for good and *then* is too busy for the others."""

    def act(recipient: str, _: Any) -> None:
        if recipient.startswith(f"{name}@"):
            raise PermanentFailure("rcpt", 550, "5.1.1 No such mailbox")
        raise TemporaryFailure("connect", 421, then)

    return act


def test_a_copy_for_a_mailbox_that_is_suspended_is_given_up_and_passed_to_nobody(office):
    rule(office, copy=["media"])
    enquiry = ask(office)
    suspend(office, "media")

    assert work(office) == ["parking"]

    with office.db.reading() as session:
        states = [(d.kind.value, d.state.value) for d in deliveries_of(session, enquiry)]
        kept = session.get_one(Enquiry, enquiry.id)
    assert states == [("routed", "accepted"), ("copy", "cancelled")]
    assert (kept.attention, told(office, enquiry)[1:]) == ("", ["copy_cancelled", "routed"])


def test_a_batch_of_nothing_but_cancelled_copies_does_not_end_the_round(office, clock):
    rule(office, copy=["media"])
    for number in range(15):
        ask(office, form_token=f"t{number}")
    work(office, lambda recipient, _: hold_back(recipient))
    suspend(office, "media")
    clock.advance(hours=1)

    assert work(office) == ["parking"] * 15


def hold_back(recipient: str) -> None:
    raise TemporaryFailure("connect", 421, "busy")


def test_one_that_cannot_be_decided_is_sent_as_it_was_and_stops_no_other(office, monkeypatch):
    poison, sound = ask(office, form_token="one"), ask(office, form_token="two")
    suspend(office, "parking")
    again = redirects.decide_again

    def choke(session: Any, enquiry: Enquiry, **more: Any) -> Any:
        if enquiry.id == poison.id:
            enquiry.attention = "half done"
            raise RuntimeError("a broken condition")
        return again(session, enquiry, **more)

    monkeypatch.setattr(redirects, "decide_again", choke)

    assert sorted(work(office)) == ["admissions", "parking"]

    assert [d.state for d in routed(office, poison)] == [DeliveryState.ACCEPTED]
    assert len(routed(office, sound)) == 2
    with office.db.reading() as session:
        assert session.get_one(Enquiry, poison.id).attention == ""


def test_a_worker_asks_who_takes_no_mail_only_where_the_directory_changed(office):
    worker = Worker(office, Played())

    def questions(number: int) -> int:
        ask(office, form_token=f"t{number}")
        with statements(office.db) as sent:
            worker.send_due(office.now())
        return len([it for it, _ in sent if "contact_point.state" in it])

    first, second = questions(1), questions(2)
    suspend(office, "media")

    assert (first, second, questions(3)) == (1, 0, 1)


@pytest.mark.parametrize("kind", [PointKind.EMAIL, PointKind.VOICE])
def test_only_mailboxes_count_as_unreachable(office, kind):
    with office.db.writing() as session:
        for slug in ("parking", "media"):
            for point in department_by_slug(session, slug).points:
                if point.kind is kind:
                    point.state = PointState.RETIRED

    with office.db.reading() as session:
        found = unreachable(session, version_of_directory(session), None)
        assert len(found.mailboxes) == (2 if kind is PointKind.EMAIL else 0)
