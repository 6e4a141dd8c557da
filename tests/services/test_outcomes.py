"""What a rule does besides choosing the department: copies, targets, tags, held mail, receipts."""

from __future__ import annotations

from typing import Any

import pytest

from directory.adapters.compose import compose
from directory.adapters.queries import (
    decisions_of,
    deliveries_of,
    department_by_slug,
    events_of,
)
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import Conflict, NotFound
from directory.domain.values import EmailAddress
from directory.parts import Parts
from directory.services.enquiries import facts_kept, facts_of, release_enquiry
from directory.services.history import about
from directory.services.rules import publish_rules
from tests.adapters.test_compose import read, text_of
from tests.builders import OFFICE_RULES, a_mailbox, a_submission, submit
from tests.services.test_deliveries import NO, fail, look, the


def rule(parts: Parts, *, when: Any = None, send_to: str = "parking", **actions: Any) -> None:
    """Publish one rule that catches "permits", or *when*, and does *actions*."""
    caught = {
        "id": "caught",
        "name": {"en": "Caught", "zh-Hans": "命中"},
        "when": when or {"topic": ["permits"]},
        "send_to": send_to,
        **actions,
    }
    with parts.db.writing() as session:
        publish_rules(
            session, [caught, OFFICE_RULES[1]], reason="try", by="x@x.example", now=parts.now()
        )


def copies(parts: Parts, enquiry: Enquiry) -> list[Delivery]:
    with parts.db.reading() as session:
        return [d for d in deliveries_of(session, enquiry) if d.kind is DeliveryKind.COPY]


def received(parts: Parts, enquiry: Enquiry) -> dict[str, Any]:
    """What the first event tells."""
    with parts.db.reading() as session:
        return events_of(session, about(enquiry))[0].after


def release(parts: Parts, enquiry: Enquiry, **more: Any) -> Enquiry:
    values = {"by": "chen@x.example", "reason": "a real visitor"} | more
    with parts.db.writing() as session:
        return release_enquiry(
            session,
            enquiry.ref,
            published=parts.published(session, parts.now()),
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
            **values,
        )


# Facts


def test_a_rule_may_go_by_page_site_and_answers_and_all_are_kept(office):
    rule(
        office,
        when={
            "all": [
                {"source": ["/visit"]},
                {"origin": ["https://www.institute.example"]},
                {"answer": {"people": "many"}},
            ]
        },
        send_to="media",
    )
    submission = a_submission(
        source="/visit/map", origin="https://www.institute.example", answers={"people": "many"}
    )

    enquiry = submit(office, submission)

    with office.db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        assert decisions_of(session, kept)[0].rule_id == "caught"
    assert (kept.origin, kept.answers) == (submission.origin, {"people": "many"})
    now = office.now()
    assert facts_kept(kept, at=now, returning=True) == facts_of(submission, at=now, returning=True)


@pytest.mark.parametrize(("hour", "to"), [(0, "parking"), (12, "media")])
def test_opening_hours_are_judged_when_the_form_is_sent(office, clock, hour, to):
    rule(office, when={"not": {"open": "enquiry-desk"}}, send_to="media")
    clock.advance(hours=hour)  # from noon in Shanghai to midnight

    enquiry = submit(office)

    with office.db.reading() as session:
        [decision] = decisions_of(session, enquiry)
    assert decision.recipient == f"{to}@institute.example"
    assert decision.facts["open"] == {"enquiry-desk": to == "parking"}


def test_who_wrote_before_is_known_again_by_the_address(office):
    rule(office, when={"returning": True}, send_to="media")
    got = []
    for number, email in enumerate(["Li@example.com", "li@example.com", "Li@example.com", None]):
        address = EmailAddress(email) if email else None
        submission = a_submission(form_token=f"t{number}", email=address, reply_by=ReplyBy.NONE)
        with office.db.reading() as session:
            [decision] = decisions_of(session, submit(office, submission))
        got.append((decision.rule_id, decision.facts["returning"]))

    assert got == [(None, False), (None, False), ("caught", True), (None, None)]


def test_what_was_held_as_suspect_makes_nobody_known(office):
    rule(office, when={"returning": True}, send_to="media")
    submit(office, a_submission(form_token="spam"), held="honeypot")

    with office.db.reading() as session:
        [decision] = decisions_of(session, submit(office))
    assert decision.facts["returning"] is False


def test_nobody_is_looked_up_where_no_rule_asks(office, monkeypatch):
    monkeypatch.setattr("directory.services.enquiries.wrote_before", None)

    assert submit(office).ref


# Targets, tags, receipts


def test_a_rule_sets_the_days_until_an_answer_is_due(office):
    rule(office, target_days=5)

    enquiry = submit(office)

    # Monday noon in Shanghai and five working days.
    assert enquiry.answer_by is not None
    assert enquiry.answer_by.date().isoformat() == "2026-11-30"


def test_tags_are_kept_and_stand_in_the_mail(office):
    rule(office, tags=["press", "来访"])

    enquiry = submit(office)

    with office.db.reading() as session:
        assert session.get_one(Enquiry, enquiry.id).tags == ["press", "来访"]
        message = read(deliveries_of(session, enquiry)[0])
    assert message["X-Enquiry-Tags"] == "press, 来访"
    assert "press, 来访" in text_of(message)


def test_a_rule_may_want_no_receipt(office):
    rule(office, acknowledge=False)

    kinds = [d.kind for d in look(office.db, submit(office))[1]]

    assert kinds == [DeliveryKind.ROUTED]


# Copies


def test_who_shall_know_gets_a_mail_of_its_own_that_says_so(office):
    rule(office, copy=["media", "desk@institute.example"])

    enquiry = submit(office, a_submission(subject="Gate"))

    media, desk = copies(office, enquiry)
    assert [media.recipient, desk.recipient] == [
        "media@institute.example",
        "desk@institute.example",
    ]
    _, mail, _ = look(office.db, enquiry)
    assert [d.message_id for d in mail] == [
        f"<{enquiry.ref}.{n}@contact.institute.example>" for n in (1, 2, 3, 4)
    ]
    assert len({d.envelope_sender for d in mail}) == 4
    message = read(media)
    assert text_of(message).startswith("Copy for information: Parking answers.\n")
    assert message["Reply-To"] == read(mail[0])["Reply-To"] == "Li Wei <liwei@example.com>"
    assert received(office, enquiry)["copies"] == ["media", "desk@institute.example"]


def test_a_copy_is_in_its_readers_language(office):
    with office.db.writing() as session:
        department_by_slug(session, "media").languages = ["zh-Hans"]
    rule(office, copy=["media"])

    [media] = copies(office, submit(office))

    assert text_of(read(media)).startswith("抄送供知悉：由Parking处负责答复。\n")


def test_no_mailbox_is_written_to_twice_nor_the_one_that_answers(office):
    with office.db.writing() as session:
        [point] = department_by_slug(session, "media").points
        point.value = "Admissions@institute.example"
    rule(
        office,
        copy=["parking", "parking@institute.example", "admissions", "media", "enquiry-desk"],
    )

    enquiry = submit(office)

    assert [d.recipient for d in copies(office, enquiry)] == [
        "admissions@institute.example",
        "desk@institute.example",
    ]
    assert received(office, enquiry)["not_copied"] == [
        "parking",
        "parking@institute.example",
        "media",
    ]


def test_who_covers_for_the_one_that_answers_gets_no_copy_beside_its_mail(office):
    with office.db.writing() as session:
        for point in department_by_slug(session, "parking").points:
            if point.kind is PointKind.EMAIL:
                point.state = PointState.SUSPENDED
    rule(office, copy=["admissions"])  # the deputy of Parking

    enquiry = submit(office)

    assert the(office, enquiry, DeliveryKind.ROUTED).recipient == "admissions@institute.example"
    assert copies(office, enquiry) == []


@pytest.mark.parametrize("how", ["suspended", "closed"])
def test_nobody_stands_in_for_who_cannot_take_a_copy(office, how):
    with office.db.writing() as session:
        media = department_by_slug(session, "media")
        media.points.append(a_mailbox("second@institute.example"))
    rule(office, copy=["media", "second@institute.example"])
    with office.db.writing() as session:
        media = department_by_slug(session, "media")
        media.deputy_id = department_by_slug(session, "admissions").id
        if how == "closed":
            media.status = DepartmentStatus.CLOSED
        for point in media.points:
            point.state = PointState.SUSPENDED if how == "suspended" else point.state

    enquiry = submit(office)

    assert copies(office, enquiry) == []
    assert received(office, enquiry)["not_copied"] == ["media", "second@institute.example"]


def test_a_copy_that_is_refused_is_only_recorded(office):
    rule(office, copy=["media"])
    enquiry = submit(office)

    fail(office, copies(office, enquiry)[0], NO)

    kept, mail, told = look(office.db, enquiry)
    assert (kept.attention, kept.status) == ("", EnquiryStatus.RECEIVED)
    assert [d.state for d in mail] == [
        DeliveryState.QUEUED,
        DeliveryState.QUEUED,
        DeliveryState.FAILED,
    ]
    assert told == ["received", "copy_failed"]


def test_after_a_refusal_the_deputys_mail_has_a_number_no_copy_has(office):
    rule(office, copy=["media"])
    enquiry = submit(office)

    fail(office, the(office, enquiry, DeliveryKind.ROUTED), NO)

    _, mail, _ = look(office.db, enquiry)
    assert len({d.message_id for d in mail}) == len(mail) == 4


# Held and released


def test_a_rule_may_hold_an_enquiry_and_says_which_it_was(office):
    rule(office, hold=True, copy=["media"])

    enquiry = submit(office)

    kept, mail, told = look(office.db, enquiry)
    assert (kept.status, kept.attention) == (EnquiryStatus.HELD, "held by rule caught")
    assert (mail, told) == ([], ["received"])


def test_what_was_suspected_keeps_that_reason(office):
    rule(office, hold=True)

    assert submit(office, held="honeypot").attention == "honeypot"


def test_a_released_enquiry_goes_out_as_if_it_were_new(office, clock):
    rule(office, hold=True, copy=["media"], tags=["press"], target_days=5)
    enquiry = submit(office)
    promised = enquiry.answer_by
    clock.advance(hours=5)

    release(office, enquiry)

    kept, mail, told = look(office.db, enquiry)
    with office.db.reading() as session:
        first, second = decisions_of(session, kept)
        event = events_of(session, about(kept))[-1]
    assert (kept.status, kept.attention, kept.tags) == (EnquiryStatus.RECEIVED, "", ["press"])
    assert [(d.kind.value, d.recipient, d.state.value) for d in mail] == [
        ("routed", "parking@institute.example", "queued"),
        ("acknowledgement", "liwei@example.com", "queued"),
        ("copy", "media@institute.example", "queued"),
    ]
    assert kept.answer_by == promised
    assert told == ["received", "released"]
    assert (first.by, second.by, second.at) == ("", "chen@x.example", office.now())
    assert (event.by, event.note) == ("chen@x.example", "a real visitor")
    assert (event.before["status"], event.after["status"]) == ("held", "received")
    assert compose(mail[0])


def test_a_released_enquiry_is_decided_by_the_rules_and_the_directory_of_now(office):
    rule(office, hold=True)
    enquiry = submit(office)
    rule(office, send_to="media")

    released = release(office, enquiry)

    with office.db.reading() as session:
        first, second = decisions_of(session, enquiry)
    assert (first.rule_set, second.rule_set) == (2, 3)
    assert second.recipient == "media@institute.example"
    assert released.department_id == second.department_id


def test_what_the_honeypot_caught_can_be_released_too_and_its_sender_is_no_old_acquaintance(office):
    rule(office, when={"returning": True}, send_to="media")
    enquiry = submit(office, held="honeypot")

    release(office, enquiry)

    assert the(office, enquiry, DeliveryKind.ROUTED).recipient == "parking@institute.example"


def test_a_receipt_of_a_released_enquiry_counts_with_the_others_of_the_day(office):
    for number in range(3):
        submit(office, a_submission(form_token=f"t{number}"))
    rule(office, hold=True)
    enquiry = submit(office, a_submission(form_token="held"))

    release(office, enquiry)

    assert [d.kind for d in look(office.db, enquiry)[1]] == [DeliveryKind.ROUTED]


def test_only_what_is_held_can_be_released_and_only_once(office):
    rule(office, hold=True)
    enquiry = submit(office)
    release(office, enquiry)

    with pytest.raises(Conflict):
        release(office, enquiry)
    with pytest.raises(NotFound), office.db.writing() as session:
        release_enquiry(
            session,
            "00000000",
            by="x",
            published=office.published(session, office.now()),
            settings=office.settings,
            signer=office.signer,
            now=office.now(),
        )

    assert len(look(office.db, enquiry)[1]) == 2
