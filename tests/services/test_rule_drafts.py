"""Rules being written: by whom, from where, and never over one another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from directory.adapters.db import Database
from directory.adapters.queries import events_of
from directory.domain.errors import Conflict, InvalidValue, NotFound
from directory.domain.routing import RuleSet, Waiver
from directory.domain.rule_edits import (
    add_rule,
    change_rule,
    keep_example,
    move_rule,
    release_example,
    remove_rule,
    waive,
    withdraw_waiver,
)
from directory.parts import Parts
from directory.services.rule_drafts import (
    Draft,
    change_draft,
    discard_draft,
    draft_called,
    drafts,
    open_draft,
    rebase_draft,
)
from directory.services.rules import publish_rules
from tests.builders import OFFICE_RULES

WEI = "wei@x.example"
CHEN = "chen@x.example"
VISITS: dict[str, Any] = {
    "id": "visits",
    "name": {"en": "Visits", "zh-Hans": "来访"},
    "when": {"words": {"any": ["visit"]}},
    "send_to": "media",
}


def begin(parts: Parts, name: str = "draft", by: str = WEI) -> Draft:
    with parts.db.writing() as session:
        return open_draft(session, name, desk="enquiry-desk", by=by, now=parts.now())


def change(parts: Parts, edit: Callable[[RuleSet], RuleSet], by: str = WEI, **more: Any) -> Draft:
    with parts.db.writing() as session:
        return change_draft(session, edit, by=by, now=parts.now(), **more)


def look(parts: Parts, name: str = "draft") -> Draft:
    with parts.db.reading() as session:
        return draft_called(session, name)


def happened(parts: Parts, name: str = "draft") -> list[Any]:
    with parts.db.reading() as session:
        return events_of(session, f"rules:draft:{name}")


def test_a_draft_begins_as_what_is_published_and_decides_nothing(office):
    begin(office)
    change(office, partial(add_rule, value=VISITS, place=1))

    draft = look(office)

    assert (draft.base_version, draft.version, draft.author) == (1, 2, WEI)
    assert [rule.id for rule in draft.rules.rules] == ["visits", "newspapers", "desk"]
    with office.db.reading() as session:
        assert office.published(session, office.now()).rules.write() == OFFICE_RULES


def test_before_anything_is_published_a_draft_is_a_last_rule_to_the_desk(db: Database, clock):
    with db.writing() as session:
        draft = open_draft(session, desk="enquiry-desk", by=WEI, now=clock())

    assert [(rule.when, rule.send_to) for rule in draft.rules.rules] == [(None, "enquiry-desk")]
    assert draft.base_version == 0


def test_every_edit_is_kept_and_its_history_says_who_did_what(office):
    begin(office)
    example = {"name": "a visit", "enquiry": {"message": "a visit"}, "expect": "media"}
    change(office, partial(add_rule, value=VISITS), reason="asked by Media")
    change(office, partial(move_rule, id="visits", place=1), by=CHEN)
    change(office, partial(change_rule, id="visits", value=VISITS | {"hold": True}))
    change(office, partial(keep_example, value=example))
    change(
        office,
        partial(waive, waiver=Waiver(code="words.one_language", rule="visits", reason="known")),
    )

    draft = look(office)
    assert draft.rules.rules[0].outcome.hold
    assert [it.name for it in (*draft.rules.examples, *draft.rules.waivers)] == [
        "a visit",
        "words.one_language:visits",
    ]

    change(office, partial(release_example, name="a visit"))
    change(office, partial(withdraw_waiver, name="words.one_language:visits"))
    change(office, partial(remove_rule, id="visits"))

    events = happened(office)
    assert look(office).rules.write() == OFFICE_RULES
    assert [(it.type, it.by) for it in events[:3]] == [
        ("opened", WEI),
        ("changed", WEI),
        ("changed", CHEN),
    ]
    assert events[1].note == "asked by Media"
    told = [(it.after["changes"][0]["kind"], it.after["changes"][0]["what"]) for it in events[1:]]
    assert told == [
        ("added", "rule"),
        ("moved", "rule"),
        ("changed", "rule"),
        ("added", "example"),
        ("added", "waiver"),
        ("removed", "example"),
        ("removed", "waiver"),
        ("removed", "rule"),
    ]
    assert events[3].after["changes"][0]["fields"] == {"hold": {"before": None, "after": True}}


def test_what_another_saved_meanwhile_is_not_overwritten(office):
    seen = begin(office)
    change(office, partial(add_rule, value=VISITS), by=CHEN)

    with pytest.raises(Conflict, match="Somebody else"):
        change(office, partial(remove_rule, id="newspapers"), expected=seen.version)
    with office.db.writing() as session, pytest.raises(Conflict, match="Somebody else"):
        discard_draft(session, by=WEI, now=office.now(), expected=seen.version)

    assert [rule.id for rule in look(office).rules.rules] == ["newspapers", "visits", "desk"]
    assert len(happened(office)) == 2


def test_two_who_save_in_the_same_moment_do_not_both_succeed(office):
    begin(office)
    if office.db.is_sqlite:
        # One writer at a time: the second reads what the first has written.
        seen = look(office).version
        change(office, partial(add_rule, value=VISITS), expected=seen)
        with pytest.raises(Conflict):
            change(office, partial(remove_rule, id="newspapers"), expected=seen)
        return

    def after_another(rules: RuleSet) -> RuleSet:
        change(office, partial(add_rule, value=VISITS), by=CHEN)
        return remove_rule(rules, "newspapers")

    with pytest.raises(Conflict, match="Somebody else"):
        change(office, after_another)

    assert [rule.id for rule in look(office).rules.rules] == ["newspapers", "visits", "desk"]


def test_an_edit_that_is_refused_or_changes_nothing_leaves_no_trace(office):
    begin(office)
    with pytest.raises(InvalidValue):
        change(office, partial(remove_rule, id="desk"))
    same = change(office, partial(move_rule, id="newspapers", place=1))

    assert same.version == look(office).version == 1
    assert [it.type for it in happened(office)] == ["opened"]


def test_several_drafts_live_beside_one_another(office):
    begin(office)
    begin(office, "summer", by=CHEN)
    change(office, partial(add_rule, value=VISITS), name="summer")

    with office.db.reading() as session:
        assert [(it.name, len(it.rules.rules)) for it in drafts(session)] == [
            ("draft", 2),
            ("summer", 3),
        ]
    with pytest.raises(Conflict, match="already"):
        begin(office, "summer")
    with pytest.raises(Conflict, match="1 to 40"):
        begin(office, "x" * 41)


def test_a_draft_that_was_thrown_away_is_gone_and_its_history_stays(office):
    begin(office)
    with office.db.writing() as session:
        discard_draft(session, by=CHEN, now=office.now(), reason="not needed")

    with pytest.raises(NotFound):
        look(office)
    assert [(it.type, it.by, it.note) for it in happened(office)][1:] == [
        ("discarded", CHEN, "not needed")
    ]
    begin(office)
    assert [it.type for it in happened(office)] == ["opened", "discarded", "opened"]


def test_of_a_whole_file_taken_in_the_history_names_some_and_counts_the_rest(office):
    begin(office)
    many = [VISITS | {"id": f"rule-{number}"} for number in range(130)]

    def take_in(rules: RuleSet) -> RuleSet:
        for value in many:
            rules = add_rule(rules, value)
        return rules

    change(office, take_in)

    told = happened(office)[1].after
    assert (len(told["changes"]), told["more"]) == (100, 30)


def test_what_was_published_meanwhile_is_taken_into_the_draft(office):
    begin(office)
    change(office, partial(add_rule, value=VISITS))
    tours = VISITS | {"id": "tours", "when": {"words": {"any": ["tour"]}}}
    published(office, [tours, *OFFICE_RULES])

    with office.db.writing() as session:
        draft = rebase_draft(session, desk="enquiry-desk", by=CHEN, now=office.now())

    assert draft == look(office)
    assert (draft.base_version, draft.version, draft.author) == (2, 3, CHEN)
    assert [it.id for it in draft.rules.rules] == ["tours", "newspapers", "visits", "desk"]
    assert (happened(office)[-1].type, happened(office)[-1].after["base_version"]) == ("rebased", 2)
    with office.db.writing() as session:
        again = rebase_draft(session, desk="enquiry-desk", by=WEI, now=office.now())
    assert (again, len(happened(office))) == (draft, 3)


def test_what_both_changed_is_named_and_the_draft_stays_as_it_was(office):
    begin(office)
    change(office, partial(change_rule, id="newspapers", value=VISITS | {"id": "newspapers"}))
    published(office, [OFFICE_RULES[0] | {"hold": True}, OFFICE_RULES[1]])
    before = look(office)

    with office.db.writing() as session, pytest.raises(Conflict, match="rule “newspapers”"):
        rebase_draft(session, desk="enquiry-desk", by=WEI, now=office.now())
    with office.db.writing() as session, pytest.raises(Conflict, match="Somebody else"):
        rebase_draft(session, desk="enquiry-desk", by=WEI, now=office.now(), expected=1)

    assert look(office) == before


def published(parts: Parts, values: list[dict[str, Any]]) -> None:
    with parts.db.writing() as session:
        publish_rules(session, values, reason="meanwhile", by=CHEN, now=parts.now())
