"""Enquiries passed on: once, with their history, and what that tells of rules and topics."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from directory.adapters.links import Signer
from directory.adapters.queries import decisions_of, deliveries_of, department_by_slug, events_of
from directory.domain.analysis import Usage
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus
from directory.domain.errors import (
    Conflict,
    InvalidValue,
    LinkRefused,
    NotFound,
    TemporaryFailure,
)
from directory.domain.ids import new_id
from directory.domain.routing import RuleSet
from directory.parts import Parts
from directory.services.history import about
from directory.services.moves import (
    Moved,
    action_version,
    misrouted_topics,
    reroute_enquiry,
    usage,
)
from directory.services.rules import publish_rules
from tests.adapters.test_compose import read, text_of
from tests.builders import MONDAY_NOON, OFFICE_RULES, a_submission, submit
from tests.services.test_deliveries import NO, accept, fail, look, the


def move(parts: Parts, enquiry: Enquiry, slug: str, **more: Any) -> Moved:
    """Pass *enquiry* on as somebody at Parking would."""
    values = {"by": "chen@institute.example"} | more
    with parts.db.writing() as session:
        return reroute_enquiry(
            session,
            enquiry.ref,
            slug,
            published=parts.published(session, parts.now()),
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
            **values,
        )


def routed(parts: Parts, enquiry: Enquiry) -> list[Delivery]:
    with parts.db.reading() as session:
        return [d for d in deliveries_of(session, enquiry) if d.kind is DeliveryKind.ROUTED]


def decided(parts: Parts, enquiry: Enquiry) -> list[Decision]:
    with parts.db.reading() as session:
        return decisions_of(session, enquiry)


def suspend(parts: Parts, *slugs: str) -> None:
    with parts.db.writing() as session:
        for slug in slugs:
            for point in department_by_slug(session, slug).points:
                if point.kind is PointKind.EMAIL:
                    point.state = PointState.SUSPENDED


# Moving


def test_a_move_adds_a_decision_and_one_mail_and_keeps_what_was(office, clock):
    enquiry = submit(office)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))
    clock.advance(hours=1)

    moved = move(office, enquiry, "media", note="About the press car park", reason="not ours")

    kept, _, told = look(office.db, enquiry)
    first, second = decided(office, enquiry)
    before, after = routed(office, enquiry)
    assert (moved.department.slug, moved.to_desk, moved.repeated) == ("media", False, False)
    assert (first.reason, first.rule_set) == ("topic", 1) and first.trace
    assert (second.reason, second.by, second.at) == (
        "moved",
        "chen@institute.example",
        office.now(),
    )
    assert (second.recipient, second.passed_over) == ("media@institute.example", [])
    assert second.rule_set == 1 and kept.department_id == second.department_id
    assert (kept.status, kept.routed_at) == (EnquiryStatus.RECEIVED, None)
    assert kept.answer_by == enquiry.answer_by
    assert before.state is DeliveryState.ACCEPTED
    assert (after.state, after.recipient) == (DeliveryState.QUEUED, "media@institute.example")
    assert told == ["received", "routed", "rerouted"]
    with office.db.reading() as session:
        event = events_of(session, about(kept))[-1]
    assert (event.by, event.note) == ("chen@institute.example", "not ours")
    assert (event.before["department"], event.before["status"]) == ("parking", "routed")
    assert (event.after["department"], event.after["delivery"]) == ("media", str(after.id))


def test_the_next_readers_mail_says_who_passed_it_on_in_the_same_thread(office):
    enquiry = submit(office)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))
    move(office, enquiry, "media", note="About the press car park")
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))

    move(office, enquiry, "admissions", by="li@institute.example")

    first, second, third = routed(office, enquiry)
    message = read(second)
    assert (
        "Passed on to you by Parking (chen@institute.example), who wrote:\n"
        "| About the press car park\n\n"
    ) in text_of(message)
    assert message["In-Reply-To"] == message["References"] == first.message_id
    message = read(third)
    assert (
        "Passed on to you by Media (li@institute.example).\nBefore that it was with Parking.\n\n"
    ) in text_of(message)
    assert message["References"].split() == [first.message_id, second.message_id]
    assert message["Message-ID"] == third.message_id not in {first.message_id, second.message_id}
    assert message["Reply-To"] == "Li Wei <liwei@example.com>"


def test_a_reader_of_chinese_reads_chinese_names(office):
    with office.db.writing() as session:
        department_by_slug(session, "media").languages = ["zh-Hans"]
    enquiry = submit(office)

    move(office, enquiry, "media", note="请处理")

    text = text_of(read(routed(office, enquiry)[-1]))
    assert "由Parking处（chen@institute.example）转交给您，附言：\n| 请处理\n\n" in text


def test_what_was_not_sent_yet_is_sent_nowhere_but_to_the_new_department(office):
    enquiry = submit(office)

    move(office, enquiry, "media")

    before, after = routed(office, enquiry)
    assert (before.state, before.reason) == (DeliveryState.CANCELLED, "passed on to media")
    assert after.inputs.get("references") is None
    receipt = the(office, enquiry, DeliveryKind.ACKNOWLEDGEMENT)
    assert receipt.state is DeliveryState.QUEUED


def test_what_is_being_sent_is_left_alone_and_tells_nothing_of_the_new_department(office):
    enquiry = submit(office)
    with office.db.writing() as session:
        deliveries_of(session, enquiry)[0].claimed("worker", office.now() + timedelta(minutes=1))

    move(office, enquiry, "media")

    before, _ = routed(office, enquiry)
    assert before.state is DeliveryState.SENDING
    accept(office, before)
    kept, _, told = look(office.db, enquiry)
    assert (kept.status, told) == (EnquiryStatus.RECEIVED, ["received", "rerouted"])
    accept(office, routed(office, enquiry)[-1])
    assert look(office.db, enquiry)[0].status is EnquiryStatus.ROUTED


@pytest.mark.parametrize("failure", [NO, TemporaryFailure("rcpt", 450, "4.2.0 Later")])
def test_what_was_being_sent_and_failed_is_not_tried_again_nor_passed_to_a_deputy(office, failure):
    enquiry = submit(office)
    with office.db.writing() as session:
        deliveries_of(session, enquiry)[0].claimed("worker", office.now() + timedelta(minutes=1))
    move(office, enquiry, "media")

    fail(office, routed(office, enquiry)[0], failure)

    kept, _, _ = look(office.db, enquiry)
    before, after = routed(office, enquiry)
    assert before.state in {DeliveryState.CANCELLED, DeliveryState.FAILED}
    assert before.attempts == 1
    assert (after.state, after.recipient) == (DeliveryState.QUEUED, "media@institute.example")
    assert kept.attention == ""


def test_an_answer_that_was_promised_stays_promised(office):
    enquiry = submit(office)
    with office.db.writing() as session:
        department_by_slug(session, "media").reply_days = 30

    move(office, enquiry, "media")

    assert look(office.db, enquiry)[0].answer_by == enquiry.answer_by


@pytest.mark.parametrize("note", ["x" * 2_001, "bell \x07", "half \ud800"])
def test_a_note_that_no_mail_can_carry_is_refused_and_nothing_moved(office, note):
    enquiry = submit(office)

    with pytest.raises(InvalidValue):
        move(office, enquiry, "media", note=note)

    assert len(routed(office, enquiry)) == 1


def test_a_department_without_a_live_mailbox_is_passed_over_and_named(office):
    suspend(office, "parking")
    enquiry = submit(office, a_submission("not-sure"))

    moved = move(office, enquiry, "parking")

    decision = decided(office, enquiry)[-1]
    assert (moved.department.slug, decision.passed_over) == ("admissions", ["parking"])
    text = text_of(read(routed(office, enquiry)[-1]))
    assert "It was meant for Parking, which has no mailbox that takes mail now." in text


# Pressed twice, seen too late


@pytest.mark.parametrize("version", [None, 1])
def test_the_same_move_pressed_twice_is_one(office, version):
    enquiry = submit(office)
    first = move(office, enquiry, "media", version=version)

    again = move(office, enquiry, "media", version=version)

    assert again.repeated and again.delivery is not None and first.delivery is not None
    assert (again.delivery.id, again.department.slug) == (first.delivery.id, "media")
    assert len(decided(office, enquiry)) == len(routed(office, enquiry)) == 2


def test_the_same_move_many_times_at_once_is_one(office):
    enquiry = submit(office)
    gate = threading.Barrier(6)
    repeated: list[bool] = []

    def press() -> None:
        gate.wait()
        repeated.append(move(office, enquiry, "media", version=1).repeated)

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(repeated) == [False] + [True] * 5
    assert len(decided(office, enquiry)) == len(routed(office, enquiry)) == 2


def test_two_moves_at_the_same_moment_are_one_and_a_conflict(office):
    enquiry = submit(office)
    gate = threading.Barrier(2)
    went: list[str] = []

    def press(slug: str) -> None:
        gate.wait()
        try:
            went.append(move(office, enquiry, slug, version=1).department.slug)
        except Conflict:
            went.append("refused")

    threads = [threading.Thread(target=press, args=(slug,)) for slug in ("media", "admissions")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert "refused" in went and len(set(went)) == 2
    assert len(routed(office, enquiry)) == 2


def test_a_move_by_what_was_seen_before_something_changed_is_refused(office):
    enquiry = submit(office)
    accept(office, the(office, enquiry, DeliveryKind.ROUTED))

    with pytest.raises(Conflict):
        move(office, enquiry, "media", version=1)

    assert len(routed(office, enquiry)) == 1


@pytest.mark.parametrize(
    "status", [EnquiryStatus.HELD, EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN]
)
def test_what_is_held_or_over_is_not_passed_on(office, status):
    enquiry = submit(office)
    with office.db.writing() as session:
        session.get_one(Enquiry, enquiry.id).status = status

    with pytest.raises(Conflict, match=status.value):
        move(office, enquiry, "media")

    assert [d.state for d in routed(office, enquiry)] == [DeliveryState.QUEUED]


def test_it_goes_to_no_unknown_nor_closed_department_nor_where_it_is(office):
    with office.db.writing() as session:
        media, desk = (department_by_slug(session, it) for it in ("media", "enquiry-desk"))
        media.status, media.successor_id = DepartmentStatus.CLOSED, desk.id
    enquiry = submit(office)

    with pytest.raises(NotFound):
        move(office, enquiry, "nowhere")
    with pytest.raises(Conflict, match="“enquiry-desk” took over"):
        move(office, enquiry, "media")
    with pytest.raises(Conflict, match="is with “parking” already"):
        move(office, enquiry, "parking")


def test_it_is_not_passed_to_one_whose_mail_comes_back_here(office):
    suspend(office, "parking")
    enquiry = submit(office, a_submission("apply"))  # with Admissions, Parking's deputy

    with pytest.raises(Conflict, match="mail for “parking” comes to “admissions” now"):
        move(office, enquiry, "parking")


# To the desk


def test_after_two_moves_the_third_goes_to_the_desk_and_says_so(office):
    enquiry = submit(office)
    move(office, enquiry, "media")
    move(office, enquiry, "admissions")

    third = move(office, enquiry, "parking")

    assert (third.department.slug, third.to_desk) == ("enquiry-desk", True)
    assert decided(office, enquiry)[-1].facts["asked"] == "parking"
    text = " ".join(text_of(read(routed(office, enquiry)[-1])).split())
    assert "It was meant for Parking. After two moves it comes to the desk" in text
    assert "Before that it was with Parking, Media." in text
    again = move(office, enquiry, "parking")
    assert (again.repeated, again.department.slug) == (True, "enquiry-desk")


def test_the_desk_sends_it_where_it_says_even_where_it_was_meant_to_go(office):
    enquiry = submit(office)
    for slug in ("media", "admissions", "parking"):
        move(office, enquiry, slug)

    fourth = move(office, enquiry, "parking", by="desk@institute.example")

    assert (fourth.department.slug, fourth.to_desk, fourth.repeated) == ("parking", False, False)
    assert len(routed(office, enquiry)) == 5


# Links


def test_the_old_mailboxs_links_are_spent_and_the_visitors_stays_good(office):
    enquiry = submit(office)
    signer: Signer = office.signer
    status = signer.status_token(enquiry.ref, enquiry.link_version)
    before = signer.action_token(enquiry.ref, 1, action_version(decided(office, enquiry)))

    move(office, enquiry, "media")

    kept, _, _ = look(office.db, enquiry)
    version = action_version(decided(office, enquiry))
    assert signer.read_status_token(status, kept.link_version).symbols == enquiry.ref
    with pytest.raises(LinkRefused) as refused:
        signer.read_action_token(before, version)
    assert refused.value.reason == "revoked"
    position = routed(office, enquiry)[-1].position
    after = signer.action_token(enquiry.ref, position, version)
    assert signer.read_action_token(after, version).recipient == position


# What moves tell


def decided_again(parts: Parts, enquiry: Enquiry, **changes: Any) -> None:
    """Another decision on *enquiry*, as the first but for *changes*."""
    with parts.db.writing() as session:
        first = decisions_of(session, enquiry)[0]
        values = {
            "id": new_id(parts.now() + timedelta(seconds=1)),
            "reason": first.reason,
            "department_id": first.department_id,
            "contact_point_id": None,
            "recipient": first.recipient,
            "rule_set": 1,
            "enquiry_id": enquiry.id,
            "at": parts.now(),
        }
        session.add(Decision(**(values | changes)))


def ask(parts: Parts, number: int, **changes: Any) -> Enquiry:
    """An enquiry that the rule "newspapers" decides."""
    values = {"topic": "not-sure", "message": "For a newspaper"} | changes
    return submit(parts, a_submission(form_token=f"t{number}", email=None, **values))


def used(parts: Parts) -> dict[str, tuple[int, int]]:
    with parts.db.reading() as session:
        return {it.rule: (it.decided, it.moved) for it in usage(session, parts.now())}


def test_a_rule_is_known_by_how_many_it_decided_and_how_many_were_passed_on(office):
    asked = [ask(office, number) for number in range(4)]
    submit(office, a_submission("gone", form_token="fallback", email=None))
    decided_again(office, asked[0], reason="moved")
    decided_again(office, asked[1], reason="moved")
    decided_again(office, asked[1], reason="moved")

    assert used(office) == {"newspapers": (4, 2), "desk": (1, 0)}


def test_what_a_rule_decided_longer_ago_does_not_count(office, clock):
    ask(office, 1)
    clock.advance(days=91)
    ask(office, 2)

    assert used(office)["newspapers"] == (1, 0)


def test_a_decision_that_another_replaced_before_anything_was_sent_counts_for_neither(office):
    enquiry = ask(office, 1)
    decided_again(office, enquiry, reason="fallback", rule_id="desk")
    decided_again(office, enquiry, id=new_id(office.now()) * 2, reason="moved")

    assert used(office) == {"newspapers": (0, 0), "desk": (1, 1)}


def test_a_deputy_that_passes_it_on_tells_of_the_rule_all_the_same(office):
    enquiry = ask(office, 1)
    decided_again(office, enquiry, reason="fallback", by="system")
    decided_again(office, enquiry, id=new_id(office.now()) * 2, reason="moved")

    assert used(office)["newspapers"] == (1, 1)


def test_a_move_that_was_taken_back_tells_of_nothing(office):
    enquiry, other = ask(office, 1), ask(office, 2)
    for number, reason in enumerate(["moved", "undone"]):
        decided_again(office, enquiry, id=new_id(office.now()) * 2 + number, reason=reason)
    for number, reason in enumerate(["moved", "undone", "moved"]):
        decided_again(office, other, id=new_id(office.now()) * 2 + 10 + number, reason=reason)

    assert used(office)["newspapers"] == (2, 1)
    with office.db.reading() as session:
        [topic] = misrouted_topics(session, office.now())
    assert (topic.decided, topic.moved) == (2, 1)


def test_a_rule_stands_since_its_condition_last_changed(office, clock):
    other = [{**OFFICE_RULES[0], "send_to": "parking"}, OFFICE_RULES[1]]
    clock.advance(days=10)
    publish(office, other)
    with office.db.reading() as session:
        assert {it.since for it in usage(session, office.now())} == {MONDAY_NOON}

    narrowed = [{**OFFICE_RULES[0], "when": {"topic": ["not-sure"]}}, OFFICE_RULES[1]]
    at = clock.advance(days=10)
    publish(office, narrowed)
    with office.db.reading() as session:
        since = {it.rule: it.since for it in usage(session, office.now())}
    assert since == {"newspapers": at, "desk": MONDAY_NOON}


def test_of_a_draft_only_rules_that_are_published_as_they_are_have_a_use(office):
    ask(office, 1)
    draft = RuleSet.read(
        0,
        [
            {**OFFICE_RULES[0], "when": {"topic": ["permits"]}},
            {**OFFICE_RULES[0], "id": "new"},
            OFFICE_RULES[1],
        ],
    )

    with office.db.reading() as session:
        assert usage(session, office.now(), draft) == [Usage("desk", MONDAY_NOON, 0, 0)]


def test_topics_are_known_by_how_many_of_their_enquiries_were_passed_on(office, clock):
    old = ask(office, 0, topic="apply")
    decided_again(office, old, reason="moved")
    clock.advance(days=91)
    for number in range(1, 4):
        ask(office, number, topic="permits")
    moved = ask(office, 4, topic="permits")
    decided_again(office, moved, reason="moved")
    decided_again(office, moved, reason="moved", id=new_id(office.now()) * 2)
    ask(office, 5, topic="apply")

    with office.db.reading() as session:
        permits, apply = misrouted_topics(session, office.now())
    assert (permits.key, permits.decided, permits.moved) == ("permits", 4, 1)
    assert permits.share == pytest.approx(0.25)
    assert (apply.key, apply.decided, apply.moved) == ("apply", 1, 0)


def publish(parts: Parts, values: list[dict[str, Any]]) -> RuleSet:
    with parts.db.writing() as session:
        return publish_rules(session, values, reason="try", by="chen@x.example", now=parts.now())
