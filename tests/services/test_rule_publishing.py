"""A draft becomes the rules that decide: looked at first, with a reason, by one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import departments, rule_sets
from directory.adapters.queries import (
    decisions_of,
    department_by_slug,
    events_of,
    rules_of_version,
)
from directory.domain.conditions import RuleInvalid
from directory.domain.contacts import DepartmentStatus, PointState
from directory.domain.errors import Conflict, NotFound
from directory.domain.routing import RuleSet, Waiver
from directory.domain.rule_edits import add_rule, change_rule, keep_example, replace_all
from directory.parts import Parts
from directory.services.contacts import close_department
from directory.services.rule_drafts import (
    change_draft,
    draft_called,
    drafts,
    open_draft,
)
from directory.services.rules import (
    Examination,
    Publication,
    RulesRefused,
    VersionState,
    examine,
    publish_draft,
    publish_file,
    rollback_rules,
    rules_named,
    versions,
)
from tests.builders import MONDAY_NOON, OFFICE_RULES, a_department, a_submission, submit

WEI = "wei@x.example"
VISITS: dict[str, Any] = {
    "id": "visits",
    "name": {"en": "Visits", "zh-Hans": "来访"},
    "when": {"words": {"any": ["visit", "参观"]}},
    "send_to": "media",
}
ONE_LANGUAGE = VISITS | {"when": {"words": {"any": ["visit"], "language": "en"}}}
A_VISIT = {"name": "a visit", "enquiry": {"topic": "apply", "message": "a visit"}}


def draft(parts: Parts, *edits: Callable[[RuleSet], RuleSet]) -> None:
    with parts.db.writing() as session:
        if not drafts(session):
            open_draft(session, desk="enquiry-desk", by=WEI, now=parts.now())
        for edit in edits:
            change_draft(session, edit, by=WEI, now=parts.now())


def publish(parts: Parts, **more: Any) -> Publication:
    with parts.db.writing() as session:
        return publish_draft(
            session,
            "draft",
            **({"settings": parts.settings, "reason": "try", "by": WEI, "now": parts.now()} | more),
        )


def back(parts: Parts, version: int, **more: Any) -> Publication:
    with parts.db.writing() as session:
        return rollback_rules(
            session,
            version,
            **(
                {"settings": parts.settings, "reason": "back", "by": WEI, "now": parts.now()} | more
            ),
        )


def looked_at(parts: Parts) -> Examination:
    with parts.db.reading() as session:
        return examine(
            session, draft_called(session).rules, settings=parts.settings, now=parts.now()
        )


def deciding(parts: Parts, at: datetime | None = None) -> int:
    with parts.db.reading() as session:
        return parts.published(session, at or parts.now()).rules.version


def close(parts: Parts, slug: str) -> None:
    """As if nobody had asked the rules."""
    with parts.db.writing() as session:
        department_by_slug(session, slug).status = DepartmentStatus.CLOSED


def test_a_draft_that_was_found_right_decides_from_then_on_and_is_no_draft_any_more(office, clock):
    draft(office, partial(add_rule, value=VISITS, place=1))
    before = submit(office, a_submission("apply", message="a visit", form_token="before"))
    clock.advance(seconds=1)

    done = publish(office, reason="Media receives visitors")

    after = submit(office, a_submission("apply", message="a visit", form_token="after"))
    assert (done.rules.version, done.superseded, deciding(office)) == (2, (), 2)
    with office.db.reading() as session:
        [old], [new] = decisions_of(session, before), decisions_of(session, after)
        [event] = events_of(session, "rules:2")
        assert drafts(session) == []
        assert events_of(session, "rules:draft:draft")[-1].after == {"version": 2}
    assert (old.rule_set, old.recipient) == (1, "admissions@institute.example")
    assert (new.rule_set, new.rule_id, new.recipient) == (2, "visits", "media@institute.example")
    assert (event.type, event.by, event.note) == ("published", WEI, "Media receives visitors")


def test_errors_refuse_it_with_what_was_found_in_both_languages_and_nothing_changes(office):
    never = VISITS | {"id": "never", "when": {"all": [VISITS["when"], {"topic": ["apply"]}]}}
    draft(office, partial(add_rule, value=VISITS), partial(add_rule, value=never))

    with pytest.raises(RulesRefused) as refused:
        publish(office, waive=[])

    errors = [it for it in refused.value.findings if it.severity == "error"]
    assert [(it.code, it.rule, it.covered_by) for it in errors] == [
        ("rule.unreachable", "never", ("visits",))
    ]
    assert "rule.unreachable:never" in str(refused.value)
    assert "规则不能发布" in refused.value.text("zh-Hans")
    assert errors[0].text["zh-Hans"] in refused.value.text("zh-Hans")
    assert deciding(office) == 1
    with office.db.reading() as session:
        assert draft_called(session).version == 3


def test_an_error_cannot_be_waived(office):
    close(office, "media")
    draft(office)

    with pytest.raises(RulesRefused):
        publish(office)
    with pytest.raises(NotFound, match="no warning"):
        publish(
            office, waive=[Waiver(code="target.closed", rule="newspapers", reason="never mind")]
        )


def test_a_warning_is_waived_by_name_with_a_reason_that_stays_with_the_version(office):
    draft(office, partial(add_rule, value=ONE_LANGUAGE))
    with pytest.raises(RulesRefused) as refused:
        publish(office)
    assert [(it.code, it.rule) for it in refused.value.findings] == [
        ("words.one_language", "visits")
    ]

    waiver = Waiver(code="words.one_language", rule="visits", reason="only the English site")
    publish(office, waive=[waiver])

    with office.db.reading() as session:
        assert rules_of_version(session, 2).waivers == (waiver,)
        assert events_of(session, "rules:2")[0].after["waived"] == [waiver.write()]
    # The next draft begins with it, and need not be told again.
    draft(office, partial(change_rule, id="visits", value=ONE_LANGUAGE | {"tags": ["visit"]}))
    assert publish(office).rules.waivers == (waiver,)


def test_a_waiver_is_of_one_rule_and_says_nothing_of_another(office):
    other = ONE_LANGUAGE | {"id": "tours", "when": {"words": {"any": ["tour"], "language": "en"}}}
    draft(office, partial(add_rule, value=ONE_LANGUAGE), partial(add_rule, value=other))

    with pytest.raises(RulesRefused) as refused:
        publish(office, waive=[Waiver(code="words.one_language", rule="visits", reason="English")])

    assert [it.rule for it in refused.value.findings] == ["tours"]


def test_examples_must_hold_or_be_released_with_a_reason(office):
    draft(
        office,
        partial(keep_example, value=A_VISIT | {"expect": "admissions"}),
        partial(add_rule, value=VISITS),
    )

    with pytest.raises(RulesRefused) as refused:
        publish(office)
    [broken] = refused.value.examples
    assert (broken.department, broken.rule) == ("media", "visits")
    assert "“admissions”" in broken.text["en"] and "“media”" in broken.text["zh-Hans"]

    with pytest.raises(RuleInvalid, match="say why"):
        publish(office, release={"a visit": " "})
    with pytest.raises(NotFound, match="no example"):
        publish(office, release={"another": "because"})
    done = publish(office, release={"a visit": "Media does it now"})

    assert done.rules.examples == ()
    with office.db.reading() as session:
        told = events_of(session, "rules:2")[0].after
    assert told["released"] == [{"name": "a visit", "reason": "Media does it now"}]


def test_an_example_may_name_the_rule_that_must_send_it_there(office):
    expected = A_VISIT | {"expect": "media", "rule": "newspapers"}
    draft(office, partial(add_rule, value=VISITS), partial(keep_example, value=expected))

    with pytest.raises(RulesRefused, match="by rule “newspapers”"):
        publish(office)

    draft(office, partial(keep_example, value=expected | {"rule": "visits"}))
    assert publish(office).rules.examples[0].rule == "visits"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"reason": "  "}, RuleInvalid),
        ({"effective_from": MONDAY_NOON}, RuleInvalid),
        ({"expected": 7}, Conflict),
    ],
    ids=["no reason", "a time past", "changed since"],
)
def test_what_cannot_be_published_leaves_everything_as_it_was(office, more, error):
    draft(office, partial(add_rule, value=VISITS))

    with pytest.raises(error):
        publish(office, **more)

    assert deciding(office) == 1
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(rule_sets)) == 1
        assert len(drafts(session)) == 1


def test_what_was_examined_must_still_be_what_is_there(office):
    draft(office, partial(add_rule, value=VISITS))
    seen = looked_at(office)
    draft(office, partial(change_rule, id="visits", value=VISITS | {"send_to": "parking"}))
    with pytest.raises(Conflict, match="changed since they were examined"):
        publish(office, examination=seen)

    seen = looked_at(office)
    with office.db.writing() as session:
        department_by_slug(session, "parking").points[0].state = PointState.SUSPECT
    with pytest.raises(Conflict, match="directory was changed"):
        publish(office, examination=seen)

    seen = looked_at(office)
    assert publish_meanwhile(office) == 2
    with pytest.raises(Conflict, match="version 2 was published since"):
        publish(office, examination=seen)
    assert deciding(office) == 2


def publish_meanwhile(parts: Parts) -> int:
    """Somebody else publishes meanwhile."""
    with parts.db.writing() as session:
        rules = RuleSet.read(0, [VISITS, *OFFICE_RULES])
        return publish_file(
            session, rules, settings=parts.settings, reason="x", by="chen", now=parts.now()
        ).rules.version


def test_of_two_who_publish_at_once_one_is_told_to_look_again(office):
    for name in ("one", "two"):
        with office.db.writing() as session:
            open_draft(session, name, desk="enquiry-desk", by=WEI, now=office.now())
            change_draft(
                session,
                partial(add_rule, value=VISITS | {"id": name, "tags": [name]}),
                name,
                by=WEI,
                now=office.now(),
            )
    told: dict[str, Any] = {}

    def one(name: str) -> None:
        with office.db.writing() as session:
            told[name] = publish_draft(
                session, name, settings=office.settings, reason=name, by=WEI, now=office.now()
            ).rules.version

    errors = at_once(partial(one, "one"), partial(one, "two"))

    [refusal] = [error for error in errors if error]
    assert list(told.values()) == [2]
    assert isinstance(refusal, Conflict) and "version 2 was published since" in str(refusal)
    with office.db.reading() as session:
        assert [it.version for it in versions(session, office.now())] == [2, 1]
        assert len(drafts(session)) == 1


# From a time to come


def test_rules_may_begin_later_and_until_then_the_old_ones_decide(office):
    tomorrow = MONDAY_NOON + timedelta(days=1)
    draft(office, partial(add_rule, value=VISITS))

    done = publish(office, effective_from=tomorrow)

    assert done.effective_at == tomorrow
    assert [deciding(office, at) for at in (MONDAY_NOON, tomorrow)] == [1, 2]
    with office.db.reading() as session:
        assert [(it.version, it.state) for it in versions(session, MONDAY_NOON)] == [
            (2, VersionState.SCHEDULED),
            (1, VersionState.PUBLISHED),
        ]
        assert [it.state for it in versions(session, tomorrow)] == [
            VersionState.PUBLISHED,
            VersionState.PAST,
        ]
        assert events_of(session, "rules:2")[0].after["effective_at"] == tomorrow.isoformat()


def test_a_newer_version_says_which_scheduled_one_will_never_decide(office):
    tomorrow, in_two_days = (MONDAY_NOON + timedelta(days=days) for days in (1, 2))
    draft(office, partial(add_rule, value=VISITS))
    publish(office, effective_from=tomorrow)
    draft(office, partial(change_rule, id="visits", value=VISITS | {"tags": ["later"]}))
    later = publish(office, effective_from=in_two_days)
    draft(office, partial(change_rule, id="visits", value=VISITS | {"tags": ["now"]}))

    now = publish(office, reason="at once after all")

    # The second begins before the third does, and decides in between.
    assert (later.superseded, now.superseded) == ((), (2, 3))
    assert deciding(office, in_two_days + timedelta(days=1)) == 4
    with office.db.reading() as session:
        assert [it.state for it in versions(session, in_two_days)] == [
            VersionState.PUBLISHED,
            VersionState.SUPERSEDED,
            VersionState.SUPERSEDED,
            VersionState.PAST,
        ]
        superseded = events_of(session, "rules:3")[-1]
    assert (superseded.type, superseded.after) == ("superseded", {"by": 4})
    assert superseded.note == "at once after all"


# Back again


def test_an_older_version_is_published_anew_and_nothing_is_lost(office):
    draft(office, partial(add_rule, value=VISITS, place=1))
    publish(office)

    done = back(office, 1, reason="visitors complained")

    assert (done.rules.version, done.rules.write()) == (3, OFFICE_RULES)
    with office.db.reading() as session:
        assert [it.reason for it in versions(session, office.now())] == [
            "visitors complained",
            "try",
            "to begin with",
        ]
        assert events_of(session, "rules:3")[0].after["rolled_back_to"] == 1
        assert rules_of_version(session, 2).rules[0].id == "visits"


def test_going_back_passes_the_same_gate(office):
    draft(office, partial(replace_all, values=OFFICE_RULES[1:]))
    publish(office)
    close(office, "media")

    with pytest.raises(RulesRefused) as refused:
        back(office, 1)

    assert [it.code for it in refused.value.findings] == ["target.closed"]
    assert deciding(office) == 2


@pytest.mark.parametrize(("version", "error"), [(1, Conflict), (9, NotFound)])
def test_there_is_no_way_back_to_what_is_newest_or_never_was(office, version, error):
    with pytest.raises(error):
        back(office, version)


# Names


def test_sets_are_found_by_what_people_call_them(office):
    draft(office, partial(add_rule, value=VISITS))

    def named(which: str) -> int:
        with office.db.reading() as session:
            found = rules_named(session, which, desk="enquiry-desk", now=office.now())
        return len(found.rules)

    assert [named(it) for it in ("published", "newest", "1", "draft", "draft:draft")] == [
        *(2, 2, 2, 3, 3)
    ]
    for unknown in ("9", "draft:summer", "yesterday"):
        with pytest.raises(NotFound):
            named(unknown)


def test_warnings_of_a_file_are_waived_once_in_the_name_of_who_takes_it_in(office):
    rules = RuleSet.read(0, [ONE_LANGUAGE, *OFFICE_RULES])
    with office.db.writing() as session:
        done = publish_file(
            session, rules, settings=office.settings, reason="taken in", by=WEI, now=office.now()
        )
    with office.db.reading() as session:
        [waived] = events_of(session, "rules:2")[0].after["waived"]
    assert done.rules.waivers == ()
    assert waived == {"code": "words.one_language", "rule": "visits", "reason": "taken in"}

    broken = replace(
        rules,
        examples=RuleSet.read(
            0, rules.write(), examples=[A_VISIT | {"expect": "parking"}]
        ).examples,
    )
    with office.db.writing() as session, pytest.raises(RulesRefused):
        publish_file(
            session, broken, settings=office.settings, reason="x", by=WEI, now=office.now()
        )
    assert deciding(office) == 2


def test_publishing_keeps_the_directory_as_it_is(office):
    with office.db.reading() as session:
        before = session.execute(sa.select(departments).order_by(departments.c.slug)).all()
    draft(office, partial(add_rule, value=VISITS))
    publish(office)
    with office.db.reading() as session:
        after = session.execute(sa.select(departments).order_by(departments.c.slug)).all()
    assert before == after


def test_of_one_who_closes_and_one_who_publishes_at_once_neither_is_right_alone(office):
    """Events is closed while a rule that names it is published: one of them is told."""
    with office.db.writing() as session:
        session.add(a_department("Events"))
    draft(office, partial(add_rule, value=VISITS | {"send_to": "events"}))
    seen = looked_at(office)
    together = threading.Barrier(2)

    def closes() -> None:
        with office.db.writing() as session:
            together.wait()
            close_department(
                session,
                "events",
                successor="media",
                settings=office.settings,
                now=office.now(),
                by=WEI,
            )

    def publishes() -> None:
        together.wait()
        publish(office, examination=seen)

    errors = at_once(closes, publishes)

    assert all(error is None or isinstance(error, Conflict) for error in errors)
    with office.db.reading() as session:
        published = office.published(session, office.now())
        closed = department_by_slug(session, "events").status is DepartmentStatus.CLOSED
    named = any(rule.send_to == "events" for rule in published.rules.rules)
    assert closed and not named
    # Where the rule was first it was published, and follows the department.
    sends = [rule.send_to for rule in published.rules.rules if rule.id == "visits"]
    assert sends == ([] if errors[1] else ["media"])


def at_once(*acts: Callable[[], Any]) -> list[BaseException | None]:
    """What each raised."""
    raised: list[BaseException | None] = [None] * len(acts)

    def run(number: int) -> None:
        try:
            acts[number]()
        except Exception as error:
            raised[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
