"""Enquiries passed on: once, with their history, and what that tells of rules and topics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from directory.adapters.queries import decisions_of
from directory.domain.analysis import Usage
from directory.domain.enquiry import Decision, Enquiry
from directory.domain.ids import new_id
from directory.domain.routing import RuleSet
from directory.parts import Parts
from directory.services.moves import misrouted_topics, usage
from directory.services.rules import publish_rules
from tests.builders import MONDAY_NOON, OFFICE_RULES, a_submission, submit

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
