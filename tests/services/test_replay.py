"""What other rules would have done with what came in: told, and nothing else."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from directory.adapters.db import enquiries, metadata
from directory.adapters.queries import Published, department_by_slug
from directory.domain.routing import RuleSet
from directory.domain.values import EmailAddress
from directory.parts import Parts
from directory.services.replay import Moved, Replay, Tally
from directory.services.rule_trials import try_enquiry
from tests.builders import (
    MONDAY_NOON,
    OFFICE_RULES,
    a_mailbox,
    a_submission,
    submit,
)

GATE: dict[str, Any] = {
    "id": "gate",
    "name": {"en": "Gate", "zh-Hans": "大门"},
    "when": {"words": {"any": ["gate", "大门"]}},
    "send_to": "media",
}


def rules(*first: dict[str, Any]) -> RuleSet:
    return RuleSet.read(0, [*first, *OFFICE_RULES])


def sent(parts: Parts, topic: str, message: str, **more: Any) -> str:
    """The reference of an enquiry that came in just now."""
    token = f"form-{len(message)}-{message}-{more}"[:60]
    return submit(parts, a_submission(topic, message=message, form_token=token, **more)).ref


def replay(
    parts: Parts, new: RuleSet, old: RuleSet | None = None, **more: Any
) -> tuple[list[Moved], Tally]:
    now = parts.now()
    with parts.db.reading() as session:
        deciding: Published = parts.published(session, now)
        if old is not None:
            deciding = parts.published_with(session, old, now)
        found = Replay(session, deciding, parts.published_with(session, new, now), **more)
        return list(found), found.tally


def test_what_goes_elsewhere_is_named_with_both_ways_and_the_rules_responsible(office, clock):
    stays = sent(office, "apply", "May I apply?")
    clock.advance(seconds=1)
    goes = sent(office, "permits", "May I park at the gate?")

    moved, tally = replay(office, rules(GATE))

    [only] = moved
    assert stays not in [it.ref for it in moved]
    assert (only.ref, only.topic, only.changed) == (goes, "permits", ("department",))
    assert (only.old.department, only.old.reason, only.old.rule) == ("parking", "topic", None)
    assert (only.new.department, only.new.rule, only.new.rule_id) == ("media", 1, "gate")
    assert only.new.recipient == "media@institute.example"
    assert (tally.replayed, tally.moved, tally.elsewhere) == (2, 1, 1)
    assert tally.by_rule == {("", "gate"): 1}


def test_another_mailbox_and_another_treatment_count_as_well(office):
    with office.db.writing() as session:
        media = department_by_slug(session, "media")
        media.points.append(a_mailbox("press@institute.example", position=5))
    sent(office, "permits", "the gate")

    def changed(**more: Any) -> tuple[str, ...]:
        [moved], _ = replay(office, rules(GATE | more), old=rules(GATE))
        return moved.changed

    assert changed(send_to="press@institute.example") == ("mailbox",)
    assert changed(hold=True) == ("outcome",)
    assert changed(copy=["parking"]) == ("outcome",)
    assert changed(send_to="parking", tags=["gate"]) == ("department", "outcome")
    assert replay(office, rules(GATE | {"id": "other"}), old=rules(GATE))[0] == []


def test_an_enquiry_is_judged_as_it_came_in_and_when_it_did(office, clock):
    """Noon is within the desk's hours, and midnight is not."""
    during = sent(office, "apply", "by day", source="https://www.x.example/visit/map")
    clock.advance(hours=12)
    sent(office, "apply", "by night", source="https://www.x.example/visit/map")
    clock.advance(hours=12)
    asked = [{"open": "enquiry-desk"}, {"source": ["/visit"]}, {"not": {"country": ["CN"]}}]

    moved, _ = replay(office, rules(GATE | {"when": {"all": asked}}))

    assert [it.ref for it in moved] == [during]


def test_whether_somebody_wrote_before_is_as_it_was_then(office, clock):
    other = EmailAddress("another@example.com")
    refs = []
    for number, email in enumerate((None, other, None)):
        more = {"email": email} if email else {}
        refs.append(sent(office, "apply", f"number {number}", **more))
        clock.advance(minutes=1)

    returning, _ = replay(office, rules(GATE | {"when": {"returning": True}}))
    first_time, _ = replay(office, rules(GATE | {"when": {"returning": False}}))

    assert [it.ref for it in returning] == [refs[2]]
    assert [it.ref for it in first_time] == [refs[1], refs[0]]


def test_what_was_noted_with_the_decision_counts_more_than_what_is_left_of_the_past(office, clock):
    ref = sent(office, "apply", "once more")
    with office.db.writing() as session:
        [enquiry] = session.scalars(sa.select(enquiries.c.id)).all()
        session.execute(
            sa.text("UPDATE decision SET facts = :facts WHERE enquiry_id = :id"),
            {"facts": '{"returning": true}', "id": enquiry},
        )

    moved, _ = replay(office, rules(GATE | {"when": {"returning": True}}))

    assert [it.ref for it in moved] == [ref]


def test_tests_and_erased_enquiries_are_passed_over_and_the_last_ones_come_first(office, clock):
    refs = []
    for number in range(5):
        refs.append(sent(office, "permits", f"the gate, {number}"))
        clock.advance(minutes=1)
    with office.db.writing() as session:
        for ref, values in ((refs[4], {"test": True}), (refs[3], {"message": "", "subject": ""})):
            session.execute(sa.update(enquiries).where(enquiries.c.ref == ref).values(values))

    assert [it.ref for it in replay(office, rules(GATE))[0]] == [refs[2], refs[1], refs[0]]
    assert [it.ref for it in replay(office, rules(GATE), count=2)[0]] == [refs[2], refs[1]]


def test_it_says_how_far_it_is(office, clock):
    many(office, 230)
    told: list[tuple[int, int]] = []

    _, tally = replay(office, rules(GATE), count=220, progress=lambda *it: told.append(it))

    assert told == [(100, 220), (200, 220), (220, 220)]
    assert tally.replayed == 220


def test_nothing_is_stored_sent_or_changed(office):
    ref = sent(office, "permits", "the gate")
    before = everything(office)
    statements: list[str] = []

    @sa.event.listens_for(office.db.engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement.lstrip().split(None, 1)[0].upper())

    now = office.now()
    with office.db.reading() as session:
        deciding = office.published(session, now)
        draft = office.published_with(session, rules(GATE), now)
        [moved] = Replay(session, deciding, draft)
        try_enquiry(session, {"topic": "permits", "message": "the gate"}, deciding, draft)
        assert not (session.new or session.dirty or session.deleted)

    assert moved.ref == ref
    assert set(statements) <= {"SELECT", "BEGIN"}
    assert everything(office) == before


def everything(parts: Parts) -> dict[str, Sequence[Any]]:
    """Every row there is."""
    with parts.db.reading() as session:
        return {
            table.name: session.execute(sa.select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
        }


def many(parts: Parts, count: int) -> None:
    """*count* enquiries as the first one is, without their decisions."""
    sent(parts, "permits", "May I park? " + "A long story. " * 100)
    with parts.db.writing() as session:
        first = session.execute(sa.select(enquiries)).mappings().one()
        rows = [
            dict(first)
            | {
                "id": first["id"] + number,
                "ref": f"{number:08d}",
                "form_token": f"form {number}",
                "received_at": MONDAY_NOON + timedelta(seconds=number),
            }
            for number in range(1, count)
        ]
        session.connection().execute(sa.insert(enquiries), rows)


def test_memory_does_not_grow_with_how_many_are_looked_at(office):
    count = 3_000
    many(office, count)
    now = office.now()

    def peak(asked: int) -> int:
        with office.db.reading() as session:
            deciding = office.published(session, now)
            draft = office.published_with(session, rules(GATE), now)
            tracemalloc.start()
            found = Replay(session, deciding, draft, count=asked)
            for _ in found:
                raise AssertionError("nothing moves here")
            top = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert found.tally.replayed == asked
        return top

    peak(600)  # what is loaded once
    assert peak(count) < 1.5 * peak(600)


# One enquiry


def test_one_enquiry_goes_through_both_sets_with_every_rule_said(office):
    now = office.now()
    fields = {"topic": "not-sure", "message": "the gate", "at": now.isoformat()}
    with office.db.reading() as session:
        deciding = office.published(session, now)
        trial = try_enquiry(
            session, fields, deciding, office.published_with(session, rules(GATE), now)
        )

    assert trial.published.department.slug == "enquiry-desk"
    assert [it.matched for it in trial.published.trace] == [False, True]
    assert trial.draft is not None
    assert (trial.draft.department.slug, trial.draft.decision.rule_id) == ("media", "gate")
    assert [it.rule for it in trial.draft.trace] == ["gate"]


def test_the_trace_of_a_trial_names_every_rule_of_a_long_set_too(office):
    others = [GATE | {"id": f"r{n}", "when": {"words": {"any": [f"w{n}"]}}} for n in range(80)]
    now = office.now()
    with office.db.reading() as session:
        draft = office.published_with(session, rules(*others, GATE), now)
        trial = try_enquiry(session, {"message": "the gate"}, draft)

    assert len(trial.published.trace) == 81
    assert len(trial.published.decision.trace) < 81
