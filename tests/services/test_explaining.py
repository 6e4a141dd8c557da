"""Why an enquiry went where it went, told again later with what was known then."""

from __future__ import annotations

from typing import Any

import pytest

from directory.adapters.queries import decisions_of, department_by_slug, rules_of_version
from directory.domain.enquiry import Decision, Enquiry
from directory.domain.routing import FULL_TRACE
from directory.parts import Parts
from directory.services.explaining import Explanation, by_the_rules, explain
from directory.services.rules import publish_rules
from tests.builders import OFFICE_RULES, a_submission, submit
from tests.services.test_moves import move, suspend
from tests.services.test_outcomes import rule


def explained(parts: Parts, enquiry: Enquiry) -> tuple[Decision, Explanation]:
    with parts.db.reading() as session:
        decision = by_the_rules(decisions_of(session, enquiry))
        rules = rules_of_version(session, decision.rule_set)
        published = parts.published_with(session, rules, parts.now())
        return decision, explain(session, enquiry, decision, published)


def many_rules(parts: Parts, count: int, *, last: dict[str, Any]) -> None:
    """Publish *count* rules that match nothing, and *last* after them."""
    nothing = [
        {
            "id": f"r{n}",
            "name": {"en": f"Rule {n}"},
            "when": {"country": ["AQ"]},
            "send_to": "media",
        }
        for n in range(1, count + 1)
    ]
    values = [*nothing, last, OFFICE_RULES[1]]
    with parts.db.writing() as session:
        publish_rules(session, values, reason="try", by="x", now=parts.now())


CAUGHT = {
    "id": "caught",
    "name": {"en": "Caught", "zh-Hans": "命中"},
    "when": {"topic": ["permits"]},
    "send_to": "media",
}


def test_what_was_summarised_is_told_rule_by_rule(office):
    many_rules(office, FULL_TRACE + 10, last=CAUGHT)
    enquiry = submit(office)

    decision, told = explained(office, enquiry)

    assert len(decision.trace) == 2 and decision.trace[0]["last"] == FULL_TRACE + 10
    assert len(told.trace) == FULL_TRACE + 11
    assert told.trace[-1] == decision.trace[-1]
    assert [it["matched"] for it in told.trace] == [False] * (FULL_TRACE + 10) + [True]
    assert not told.changed


def test_it_is_the_version_of_then_that_explains(office):
    enquiry = submit(office)
    rule(office, send_to="media")

    decision, told = explained(office, enquiry)

    assert decision.rule_set == 1
    assert told.trace == decision.trace and not told.changed


def test_a_move_is_no_rules_doing_and_leaves_the_explanation(office):
    enquiry = submit(office)
    move(office, enquiry, "media")

    decision, told = explained(office, enquiry)

    assert decision.reason == "topic" and told.trace == decision.trace


@pytest.mark.parametrize("hour", [0, 12])
def test_hours_that_were_changed_since_count_as_they_were(office, clock, hour):
    rule(office, when={"open": "enquiry-desk"}, send_to="media")
    clock.advance(hours=hour)  # from noon to midnight in Shanghai
    enquiry = submit(office)
    with office.db.writing() as session:
        department_by_slug(session, "enquiry-desk").hours = "off" if hour == 0 else "24/7"

    decision, told = explained(office, enquiry)

    assert [it["matched"] for it in told.trace] == [it["matched"] for it in decision.trace]
    assert told.changed


def test_who_wrote_before_and_in_which_language_count_as_they_were(office):
    rule(office, when={"all": [{"returning": True}, {"text_language": ["en"]}]}, send_to="media")
    words = "May I park my car at the north gate of the institute on Friday morning, please?"
    enquiry = submit(office, a_submission(form_token="first", message=words))
    later = submit(office, a_submission(form_token="second", message=words))

    for asked, matched in ((enquiry, False), (later, True)):
        decision, told = explained(office, asked)
        assert told.trace[0]["matched"] is decision.trace[0]["matched"] is matched
        assert not told.changed


def test_what_the_detector_said_then_counts(office):
    rule(office, when={"text_language": ["fr"]}, send_to="media")
    enquiry = submit(office)
    with office.db.writing() as session:
        kept = session.get_one(Decision, decisions_of(session, enquiry)[0].id)
        kept.facts = {"text_language": "fr"}

    assert explained(office, enquiry)[1].trace[0]["matched"] is True


def test_a_mailbox_that_takes_no_mail_since_is_a_change(office):
    enquiry = submit(office)
    assert not explained(office, enquiry)[1].changed

    suspend(office, "parking")

    assert explained(office, enquiry)[1].changed
