"""Rules published: a new version beside the old ones, checked against the directory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import rule_sets
from directory.adapters.queries import decisions_of, events_of
from directory.domain.conditions import RuleInvalid
from directory.domain.contacts import DepartmentStatus
from directory.domain.errors import NotFound
from directory.domain.routing import RuleSet
from directory.parts import Parts
from directory.services.rules import publish_rules
from tests.builders import MONDAY_NOON, OFFICE_RULES, a_department, a_submission, submit

ALL_TO_MEDIA: list[dict[str, Any]] = [{"id": "all", "name": {"en": "All"}, "send_to": "media"}]


def publish(parts: Parts, values: list[dict[str, Any]]) -> RuleSet:
    with parts.db.writing() as session:
        return publish_rules(session, values, reason="try", by="chen@x.example", now=parts.now())


def test_a_publication_is_a_new_version_and_the_old_ones_stay_as_they_were(office):
    published = publish(office, ALL_TO_MEDIA)

    assert published.version == 2
    with office.db.reading() as session:
        rows = session.execute(sa.select(rule_sets).order_by(rule_sets.c.version)).all()
        [event] = events_of(session, "rules:2")
    assert [row.rules for row in rows] == [OFFICE_RULES, ALL_TO_MEDIA]
    assert (rows[1].author, rows[1].reason) == ("chen@x.example", "try")
    assert (event.type, event.by, event.note) == ("published", "chen@x.example", "try")


def test_the_next_enquiry_goes_by_the_new_rules_and_the_last_one_stays_decided(office, clock):
    before = submit(office, a_submission("gone", form_token="before"))
    clock.advance(seconds=1)
    publish(office, ALL_TO_MEDIA)

    after = submit(office, a_submission("gone", form_token="after"))

    with office.db.reading() as session:
        [old], [new] = decisions_of(session, before), decisions_of(session, after)
    assert (old.rule_set, old.recipient) == (1, "desk@institute.example")
    assert (new.rule_set, new.recipient) == (2, "media@institute.example")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([{"id": "all", "send_to": "gone"}], NotFound),
        ([{"id": "all", "send_to": "closed"}], NotFound),
        ([{"id": "all", "send_to": "media", "when": {"topic": ["x"]}}], RuleInvalid),
        ([], RuleInvalid),
    ],
    ids=["gone", "closed", "no last", "none"],
)
def test_rules_that_lead_nowhere_are_refused_and_the_old_ones_decide_on(office, values, error):
    with office.db.writing() as session:
        session.add(a_department("Closed", status=DepartmentStatus.CLOSED))

    with pytest.raises(error):
        publish(office, values)

    with office.db.reading() as session:
        later = MONDAY_NOON + timedelta(days=1)
        assert office.published(session, later).rules.version == 1
