"""Rules are held against the directory as it is; no change of it leaves an enquiry to nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from directory.adapters.queries import (
    current_rules,
    decisions_of,
    department_by_slug,
    events_of,
    topic_by_code,
)
from directory.domain.analysis import Report
from directory.domain.conditions import Facts
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.errors import Conflict, NotFound
from directory.domain.routing import RuleSet, decide, facts_from
from directory.parts import Parts
from directory.services import imports
from directory.services.contacts import (
    amend_department,
    amend_topic,
    close_department,
    restore_department,
    suspend_mailbox,
)
from directory.services.enquiries import submit_enquiry
from directory.services.import_files import FileSource, Options
from directory.services.proofs import examine_rules, whole_directory
from directory.services.rule_trials import as_published
from directory.services.rules import publish_rules, standing_rules
from directory.services.safeguard import WouldStrand
from tests.builders import MONDAY_NOON, OFFICE_RULES, a_department, a_mailbox, a_submission, a_topic

WHO: dict[str, Any] = {"by": "chen@x.example"}


def rules_now(parts: Parts) -> RuleSet:
    with parts.db.reading() as session:
        return current_rules(session, parts.now(), desk=parts.settings.site.desk)


def report(parts: Parts, rules: RuleSet | None = None) -> Report:
    with parts.db.reading() as session:
        return examine_rules(
            session, rules or rules_now(parts), settings=parts.settings, now=parts.now()
        )


def codes(found: Report) -> list[tuple[str, str]]:
    return [(it.code, it.severity.value) for it in found.findings]


def change(parts: Parts, act: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """One use-case in a transaction of its own."""
    with parts.db.writing() as session:
        return act(session, *arguments, settings=parts.settings, now=parts.now(), **(WHO | more))


def publish(parts: Parts, *ordinary: dict[str, Any]) -> None:
    """*ordinary* rules before those of the office, published as they are."""
    with parts.db.writing() as session:
        publish_rules(session, [*ordinary, *OFFICE_RULES], reason="more", now=parts.now(), **WHO)


PRESS = {"id": "press", "when": {"country": ["GB"]}, "send_to": "media@institute.example"}


# Examining


def test_a_sound_directory_has_nothing_to_be_said_of(office: Parts) -> None:
    found = report(office)

    assert found.findings == ()
    assert found.to_json() == {
        "ok": True,
        "summary": {
            "en": "Every enquiry reaches a live mailbox",
            "zh-Hans": "每份咨询都能送达有效邮箱",
        },
        "findings": [],
    }


def test_the_whole_directory_decides_as_what_is_published_does(office: Parts) -> None:
    publish(office, PRESS, {"id": "open", "when": {"open": "enquiry-desk"}, "send_to": "parking"})
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        parking.points[0].away_until = office.now() + timedelta(days=1)
        department_by_slug(session, "media").points[0].become(PointState.SUSPENDED)
        session.add(a_department("Library", points=[a_mailbox("l@x.example", position=2)]))
    asked = [
        Facts(topic=topic, department=department, country=country, text=text, at=at)
        for topic in ("permits", "apply", "not-sure", "")
        for department in ("", "library", "media", "parking")
        for country in ("", "GB")
        for text in ("", "a newspaper")
        for at in (MONDAY_NOON, MONDAY_NOON + timedelta(hours=12))
    ]
    with office.db.reading() as session:
        published = office.published(session, office.now())
        whole = whole_directory(session, published.rules, settings=office.settings)
        for facts in asked:
            routes = published.routes_with(session, facts.department)
            there, here = (decide(facts, published.rules, it) for it in (routes, whole))
            assert (here.recipient, here.department_id, here.passed_over) == (
                there.recipient,
                there.department_id,
                there.passed_over,
            )


def test_without_a_desk_nothing_can_be_proven(db: Any, tmp_path: Path) -> None:
    from tests.builders import rules, settings_for

    with db.reading() as session, pytest.raises(NotFound):
        examine_rules(session, rules(), settings=settings_for(tmp_path), now=MONDAY_NOON)


def test_evidence_is_never_refused_and_is_found(office: Parts) -> None:
    with office.db.writing() as session:
        department_by_slug(session, "media").points[0].become(PointState.SUSPENDED)

    found = report(office)

    assert codes(found) == [("target.suspended", "error")]
    assert found.findings[0].rule == "newspapers"
    with office.db.reading() as session:
        facts = facts_from(found.findings[0].example)
        published = office.published(session, office.now())
        assert decide(facts, published.rules, published.routes).passed_over == ["media"]


def test_a_rule_that_decided_nothing_for_ninety_days_is_found(office: Parts) -> None:
    office.now.advance(days=89)  # type: ignore[attr-defined]
    assert report(office).findings == ()

    office.now.advance(days=1)  # type: ignore[attr-defined]
    assert codes(report(office)) == [("rule.unused", "warning")]


# Refused, or done with a successor


def test_a_mailbox_that_a_rule_needs_is_not_taken_away(office: Parts) -> None:
    with pytest.raises(WouldStrand) as refused:
        change(office, amend_department, "media", {"email": "-"})

    finding = refused.value.finding
    assert (finding.code, finding.rule) == ("target.no_mailbox", "newspapers")
    lines = refused.value.text("en").splitlines()
    assert lines[0].startswith("This would leave enquiries with nobody to answer them: Rule “News")
    assert lines[1].startswith("For example: topic=not-sure message=“")
    assert "newspaper" in lines[1] or "报社" in lines[1]
    assert refused.value.text("zh-Hans").startswith("不能这样修改")
    with office.db.reading() as session:
        mailbox = department_by_slug(session, "media").mailbox
        assert mailbox is not None and mailbox.value == "media@institute.example"
    assert report(office).findings == ()


def test_a_successor_takes_over_what_rules_sent_to_a_mailbox(office: Parts) -> None:
    before = rules_now(office).version

    change(
        office, amend_department, "media", {"email": "-"}, successor="parking", reason="they left"
    )

    after = rules_now(office)
    assert after.version == before + 1
    assert [rule.send_to for rule in after.rules] == ["parking", "enquiry-desk"]
    with office.db.reading() as session:
        [published] = events_of(session, f"rules:{after.version}")
        assert (published.note, published.by) == ("they left", "chen@x.example")
    assert report(office).findings == ()


def test_a_successor_takes_over_the_topics_of_a_mailbox(office: Parts) -> None:
    with pytest.raises(WouldStrand, match="Topic “Apply” belongs to “Admissions”"):
        change(office, suspend_mailbox, "admissions")

    change(office, suspend_mailbox, "admissions", successor="media", reason="full")

    with office.db.reading() as session:
        admissions = department_by_slug(session, "admissions")
        topic = topic_by_code(session, "apply")
        assert admissions.points[0].state is PointState.SUSPENDED
        assert topic.department_id == department_by_slug(session, "media").id
        [moved] = events_of(session, f"topic:{topic.id}")
        assert (moved.before, moved.after) == (
            {"department": "admissions"},
            {"department": "media"},
        )


def test_a_mailbox_with_a_deputy_may_go(office: Parts) -> None:
    change(office, suspend_mailbox, "parking")
    assert codes(report(office)) == [("target.suspended", "warning")]

    with pytest.raises(WouldStrand):  # now it is Parking's, too
        change(office, amend_department, "admissions", {"email": "-"})


def test_a_deputy_whom_a_topic_needs_stays(office: Parts) -> None:
    change(office, suspend_mailbox, "parking")

    with pytest.raises(WouldStrand, match="Topic “Permits”"):
        change(office, amend_department, "parking", {"deputy": "-"})


def test_the_desk_keeps_its_mailbox(office: Parts) -> None:
    with pytest.raises(Conflict, match="The desk needs a mailbox"):
        change(office, suspend_mailbox, "enquiry-desk")
    with pytest.raises(Conflict, match="no live mailbox to suspend"):
        change(office, suspend_mailbox, "parking")
        change(office, suspend_mailbox, "parking")


@pytest.mark.parametrize("successor", ["media", "parking"])
def test_a_successor_must_be_another_that_is_read(office: Parts, successor: str) -> None:
    with office.db.writing() as session:
        department_by_slug(session, "parking").points[0].become(PointState.SUSPENDED)

    with pytest.raises(Conflict, match=f"“{successor}”"):
        change(office, suspend_mailbox, "media", successor=successor)


def test_closing_takes_the_rules_along(office: Parts) -> None:
    publish(
        office,
        {
            "id": "chosen",
            "when": {"all": [{"department": ["media"]}, {"not": {"open": "media"}}]},
            "send_to": "enquiry-desk",
            "copy": ["media", "parking"],
        },
        PRESS,
    )

    change(office, close_department, "media", successor="parking", reason="merged")

    chosen, press, newspapers, _ = rules_now(office).write()
    assert chosen["when"] == {"all": [{"department": ["parking"]}, {"not": {"open": "parking"}}]}
    assert chosen["copy"] == ["parking"]
    assert (press["send_to"], newspapers["send_to"]) == ("parking", "parking")


def test_rules_follow_a_department_and_a_mailbox_to_new_names(office: Parts) -> None:
    publish(office, PRESS)

    change(office, amend_department, "media", {"slug": "press", "email": "press@institute.example"})

    assert [rule.send_to for rule in rules_now(office).rules] == [
        "press@institute.example",
        "press",
        "enquiry-desk",
    ]
    assert "target" not in {code.partition(".")[0] for code, _ in codes(report(office))}


def test_rules_that_wait_for_their_time_take_the_successor_along(office: Parts) -> None:
    from directory.adapters.db import rule_sets

    publish(office, PRESS)
    later = office.now() + timedelta(days=3)
    with office.db.writing() as session:
        session.execute(
            rule_sets.update().where(rule_sets.c.version == 2).values(effective_at=later)
        )

    change(office, close_department, "media", successor="parking")

    with office.db.reading() as session:
        standing = standing_rules(session, desk=office.settings.site.desk, now=office.now())
        sent = [([rule.send_to for rule in rules.rules], begins) for rules, begins in standing]
    assert sent == [
        (["parking", "enquiry-desk"], None),
        (["parking", "parking", "enquiry-desk"], later),
    ]


def test_a_topic_is_not_moved_to_whom_nobody_reads(office: Parts) -> None:
    with office.db.writing() as session:
        session.add(a_department("Attic", points=[]))

    with pytest.raises(WouldStrand, match="Topic “Permits” belongs to “Attic”"):
        change(office, amend_topic, "permits", department="attic")

    changed = change(office, amend_topic, "permits", department="media", reason="moved")
    assert changed == {"department": ("parking", "media")}


def test_a_topic_that_rules_ask_for_is_switched_off_with_a_successor(office: Parts) -> None:
    with pytest.raises(WouldStrand, match="it asks for the topic “not-sure”") as refused:
        change(office, amend_topic, "not-sure", active=False)
    assert refused.value.finding.code == "rule.unreachable"

    change(office, amend_topic, "not-sure", active=False, successor="apply")

    newspapers = rules_now(office).write()[0]
    assert newspapers["when"]["all"][0] == {"topic": ["apply"]}
    assert change(office, amend_topic, "permits", active=False) == {"active": ("true", "false")}
    with pytest.raises(Conflict):
        change(office, amend_topic, "not-sure", active=False, successor="permits")


def test_what_was_amiss_before_hinders_nobody(office: Parts) -> None:
    with office.db.writing() as session:
        department_by_slug(session, "media").points[0].become(PointState.SUSPENDED)

    change(office, amend_department, "media", {"name_en": "Press", "email2": "-"})
    change(office, amend_department, "parking", {"slug": "car-park"})

    assert ("target.suspended", "error") in codes(report(office))


def test_a_restore_that_takes_the_mailbox_away_is_refused(office: Parts) -> None:
    with office.db.writing() as session:
        session.add(a_department("Attic", points=[]))
    change(office, amend_department, "attic", {"summary_en": "Under the roof"})
    with office.db.reading() as session:
        attic = department_by_slug(session, "attic")
        first = events_of(session, f"department:{attic.id}")[-1].id
    change(office, amend_department, "attic", {"email": "attic@institute.example"})
    change(office, amend_topic, "permits", department="attic")

    with pytest.raises(WouldStrand):
        change(office, restore_department, "attic", first)


# Imports


def bring(parts: Parts, content: str) -> imports.Batch:
    import io

    with parts.db.writing() as session:
        source = FileSource(io.BytesIO(content.encode()), "departments.csv", Options())
        return imports.apply(session, source, settings=parts.settings, now=parts.now(), **WHO)


def test_an_import_that_takes_the_last_mailbox_away_is_refused_as_a_whole(office: Parts) -> None:
    with pytest.raises(WouldStrand):
        bring(office, "slug,name_en,email\nlibrary,Library,l@x.example\nmedia,Media,-\n")

    with office.db.reading() as session, pytest.raises(NotFound):
        department_by_slug(session, "library")


def test_an_import_is_proven_once_and_only_where_it_has_to_be(
    office: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from directory.services import safeguard

    asked: list[int] = []
    original = safeguard.whole_directory

    def counted(*arguments: Any, **more: Any) -> Any:
        asked.append(1)
        return original(*arguments, **more)

    monkeypatch.setattr(safeguard, "whole_directory", counted)
    rows = "".join(f"office-{n},Office {n},o{n}@x.example,,\n" for n in range(30))
    closing = "".join(f"old-{n},Old {n},,closed,media\n" for n in range(3))
    bring(office, f"slug,name_en,email,status,successor\n{rows}{closing}")
    assert len(asked) == 2

    change(office, amend_department, "media", {"summary_en": "The press"})
    assert len(asked) == 2


# At once


def test_two_changes_at_once_are_held_against_one_another(office: Parts) -> None:
    with office.db.writing() as session:
        session.add(a_department("Attic"))
    refused: list[BaseException] = []

    def move() -> None:
        try:
            change(office, amend_topic, "permits", department="attic")
        except WouldStrand as error:
            refused.append(error)

    other = threading.Thread(target=move)
    with office.db.writing() as session:
        # Nobody needs it yet; whether somebody does meanwhile is for the second to see.
        suspend_mailbox(session, "attic", settings=office.settings, now=office.now(), **WHO)
        other.start()
        other.join(timeout=0.3)
    other.join()

    assert len(refused) == 1
    assert codes(report(office)) == [("target.suspended", "warning")]


# In every order


class Lost(Exception):
    """Ends a trial; nothing of it is kept."""


@contextmanager
def a_trial(parts: Parts) -> Iterator[Session]:
    """A transaction that is undone."""
    try:
        with parts.db.writing() as session:
            yield session
            raise Lost
    except Lost:
        return


def close_media(session: Session, **more: Any) -> None:
    close_department(session, "media", successor="parking", **more)


def close_parking(session: Session, **more: Any) -> None:
    close_department(session, "parking", successor="admissions", **more)


def suspend_parking(session: Session, **more: Any) -> None:
    suspend_mailbox(session, "parking", **more)


def suspend_media_for_admissions(session: Session, **more: Any) -> None:
    suspend_mailbox(session, "media", successor="admissions", **more)


def suspend_admissions(session: Session, **more: Any) -> None:
    suspend_mailbox(session, "admissions", **more)


def retire_media(session: Session, **more: Any) -> None:
    amend_department(session, "media", {"email": "-"}, **more)


def retire_admissions_for_media(session: Session, **more: Any) -> None:
    amend_department(session, "admissions", {"email": "-"}, successor="media", **more)


def retire_desk(session: Session, **more: Any) -> None:
    amend_department(session, "enquiry-desk", {"email": "-"}, **more)


def no_deputy(session: Session, **more: Any) -> None:
    amend_department(session, "parking", {"deputy": "-"}, **more)


def delete_apply(session: Session, **more: Any) -> None:
    amend_topic(session, "apply", active=False, **more)


def delete_not_sure(session: Session, **more: Any) -> None:
    amend_topic(session, "not-sure", active=False, successor="permits", **more)


def move_apply(session: Session, **more: Any) -> None:
    amend_topic(session, "apply", department="parking", **more)


ACTS = (
    close_media,
    close_parking,
    suspend_parking,
    suspend_media_for_admissions,
    suspend_admissions,
    retire_media,
    retire_admissions_for_media,
    retire_desk,
    no_deputy,
    delete_apply,
    delete_not_sure,
    move_apply,
)
_TOKENS = count()


def play(parts: Parts, acts: Sequence[Callable[..., None]]) -> list[str]:
    """Try *acts* one after another, and after each submit one of every kind of enquiry."""
    refused = []
    with a_trial(parts) as session:
        now = parts.now()
        for act in acts:
            now += timedelta(minutes=1)
            try:
                with session.begin_nested():
                    act(session, settings=parts.settings, now=now, **WHO)
            except Conflict as conflict:
                refused.append(f"{act.__name__}: {conflict}")
            session.expire_all()
            everybody_is_answered(parts, session, now)
    return refused


def everybody_is_answered(parts: Parts, session: Session, now: Any) -> None:
    rules = current_rules(session, now, desk=parts.settings.site.desk)
    published = as_published(session, rules, settings=parts.settings, now=now)
    desk = department_by_slug(session, "enquiry-desk")
    for code, topic in published.topics.items():
        for text in ("May I park at the gate?", "I write for a newspaper."):
            enquiry = submit_enquiry(
                session,
                a_submission(code, message=text, form_token=f"form-{next(_TOKENS)}"),
                published=published,
                settings=parts.settings,
                signer=parts.signer,
                now=now,
            )
            [decision] = decisions_of(session, enquiry)
            answering = published.department_of(session, decision)
            live = {p.value for p in answering.points if p.kind is PointKind.EMAIL and p.live}
            assert decision.recipient in live, (code, text, decision.recipient)
            assert answering.status is DepartmentStatus.ACTIVE
            # And it is not the desk that answers for want of anybody else.
            meant_for_desk = topic.department_id == desk.id and decision.reason == "topic"
            assert (answering.id == desk.id) is meant_for_desk, (code, text, decision.passed_over)


@pytest.mark.parametrize(
    "acts",
    [
        (close_parking, suspend_parking, retire_media, delete_apply),
        (close_media, suspend_admissions, retire_admissions_for_media, delete_not_sure),
    ],
    ids=["without successors", "with successors"],
)
def test_closing_suspending_retiring_and_deleting_in_every_order_leaves_nobody_alone(
    office: Parts, acts: Sequence[Callable[..., None]]
) -> None:
    refused = [play(office, order) for order in permutations(acts)]

    assert len(refused) == 24
    assert any(refused) and not all(len(it) == len(acts) for it in refused)


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(acts=st.lists(st.sampled_from(ACTS), min_size=3, max_size=8, unique=True))
def test_whatever_is_done_to_the_directory_everybody_is_answered(
    office: Parts, acts: list[Callable[..., None]]
) -> None:
    play(office, acts)
    # Nothing of a trial is kept.
    assert rules_now(office).version == 1


def test_enquiries_in_between_reach_somebody_who_reads_them(office: Parts) -> None:
    with office.db.writing() as session:
        session.add(a_topic("visits", department_by_slug(session, "media"), position=4))

    refused = play(office, [retire_media, suspend_media_for_admissions, close_media])

    assert [it.partition(":")[0] for it in refused] == ["retire_media"]
