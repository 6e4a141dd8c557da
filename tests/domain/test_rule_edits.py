"""Rules as an editor changes them, one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from directory.domain import rule_edits as edits
from directory.domain.conditions import RuleInvalid
from directory.domain.errors import InvalidValue, NotFound
from directory.domain.routing import RuleSet, Waiver

EXAMPLE = {"name": "gate", "enquiry": {"topic": "b"}, "expect": "media", "rule": "b"}


def a_rule(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "when": {"topic": [id]}, "send_to": "media"} | more


SET = RuleSet.read(
    0,
    [a_rule("a"), a_rule("b"), a_rule("c"), {"id": "last", "send_to": "desk"}],
    examples=[EXAMPLE],
    waivers=[{"code": "rule.overlap", "rule": "b", "reason": "on purpose"}],
)


def ids(rules: RuleSet) -> str:
    return " ".join(rule.id for rule in rules.rules)


@pytest.mark.parametrize(
    ("place", "order"),
    [
        (None, "a b c x last"),
        (1, "x a b c last"),
        (3, "a b x c last"),
        (99, "a b c x last"),
        (0, "x a b c last"),
    ],
)
def test_a_new_rule_stands_where_it_was_put_and_never_behind_the_last(place, order):
    assert ids(edits.add_rule(SET, a_rule("x"), place=place)) == order


@pytest.mark.parametrize(
    ("id", "place", "order"),
    [
        ("a", 2, "b a c last"),
        ("c", 1, "c a b last"),
        ("a", 9, "b c a last"),
        ("b", 2, "a b c last"),
    ],
)
def test_a_rule_is_moved_to_its_new_place_and_the_last_stays_last(id, place, order):
    assert ids(edits.move_rule(SET, id, place)) == order


def test_a_removed_rule_takes_the_waivers_about_it_with_it():
    left = edits.remove_rule(SET, "b")

    assert (ids(left), left.waivers) == ("a c last", ())
    # What it was to do is still wanted: that it is not done any more is for publishing to say.
    assert left.examples == SET.examples


def test_examples_and_waivers_follow_a_rule_to_its_new_id():
    changed = edits.change_rule(SET, "b", a_rule("gate", tags=["gate"]))

    assert ids(changed) == "a gate c last"
    assert [it.rule for it in (*changed.examples, *changed.waivers)] == ["gate", "gate"]
    assert changed.rules[1].outcome.tags == ("gate",)


@pytest.mark.parametrize(
    "edit",
    [
        lambda: edits.remove_rule(SET, "last"),
        lambda: edits.move_rule(SET, "last", 1),
        lambda: edits.change_rule(SET, "last", a_rule("last")),
    ],
    ids=["removed", "moved", "given a condition"],
)
def test_the_last_rule_stays_last_and_catches_everything(edit):
    with pytest.raises(InvalidValue) as refused:
        edit()
    assert refused.value.code == "rule.no_fallback"


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda: edits.add_rule(SET, a_rule("a")), RuleInvalid),
        (lambda: edits.add_rule(SET, {"id": "x", "send_to": "media"}), RuleInvalid),
        (lambda: edits.add_rule(SET, a_rule("x", when={"tpoic": []})), RuleInvalid),
        (lambda: edits.change_rule(SET, "a", a_rule("b")), RuleInvalid),
        (lambda: edits.change_rule(SET, "a", {"id": "a", "send_to": "media"}), RuleInvalid),
        (lambda: edits.change_rule(SET, "x", a_rule("x")), NotFound),
        (lambda: edits.remove_rule(SET, "x"), NotFound),
        (lambda: edits.move_rule(SET, "x", 1), NotFound),
        (lambda: edits.keep_example(SET, EXAMPLE | {"rule": "x"}), NotFound),
        (lambda: edits.keep_example(SET, {"name": "x"}), RuleInvalid),
        (lambda: edits.release_example(SET, "x"), NotFound),
        (lambda: edits.waive(SET, Waiver(code="rule.unused", rule="x", reason="so")), NotFound),
        (lambda: edits.withdraw_waiver(SET, "rule.overlap"), NotFound),
    ],
)
def test_an_edit_that_leaves_no_set_or_names_nothing_is_refused(edit, error):
    with pytest.raises(error):
        edit()


def test_an_example_and_a_waiver_of_the_same_name_are_replaced_where_they_stand():
    other = {"name": "other", "enquiry": {}, "expect": "desk"}
    kept = edits.keep_example(edits.keep_example(SET, other), EXAMPLE | {"expect": "desk"})
    waived = edits.waive(SET, Waiver(code="rule.overlap", rule="b", reason="asked twice"))

    assert [(it.name, it.expect) for it in kept.examples] == [("gate", "desk"), ("other", "desk")]
    assert [(it.name, it.reason) for it in waived.waivers] == [("rule.overlap:b", "asked twice")]
    assert edits.release_example(kept, "gate").examples == kept.examples[1:]
    assert edits.withdraw_waiver(waived, "rule.overlap:b").waivers == ()


def test_a_file_takes_the_place_of_everything():
    replaced = edits.replace_all(SET, [{"id": "last", "send_to": "media"}], examples=[])

    assert (ids(replaced), replaced.examples, replaced.waivers) == ("last", (), ())
