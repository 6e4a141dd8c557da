"""Two versions of the rules held beside one another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.conditions import RuleInvalid
from directory.domain.errors import Conflict
from directory.domain.routing import RuleSet
from directory.domain.rule_changes import ChangeKind, RuleChange, diff_rules, merge_rules


def a_set(ids: str, *, last: str = "desk", **more: Any) -> RuleSet:
    """One rule for each letter, and the last."""
    values = [{"id": id, "when": {"topic": [id]}, "send_to": "media"} for id in ids]
    return RuleSet.read(1, [*values, {"id": "last", "send_to": last}], **more)


def told(changes: list[RuleChange]) -> list[tuple[str, str, int | None, int | None]]:
    return [(it.kind.value, it.id, it.before, it.after) for it in changes]


def test_equal_sets_differ_in_nothing():
    assert diff_rules(a_set("abc"), a_set("abc")) == []


def test_what_is_new_gone_or_elsewhere_is_named_with_its_places():
    changes = diff_rules(a_set("abcd"), a_set("dabe"))

    assert told(changes) == [
        ("removed", "c", 3, None),
        ("moved", "d", 4, 1),
        ("added", "e", None, 4),
    ]


def test_a_rule_that_changed_says_what_in_it_did_and_whether_it_also_moved():
    older, newer = a_set("ab"), a_set("ba", last="media")
    rules = list(newer.write())
    rules[0] |= {"when": {"topic": ["x"]}, "hold": True}

    [b, last] = diff_rules(older, RuleSet.read(2, rules))

    assert (b.kind, b.moved, b.before, b.after) == (ChangeKind.CHANGED, True, 2, 1)
    assert b.fields == {
        "when": ({"topic": ["b"]}, {"topic": ["x"]}),
        "hold": (None, True),
    }
    assert (last.kind, last.moved) == (ChangeKind.CHANGED, False)
    assert last.to_json()["fields"] == {"send_to": {"before": "desk", "after": "media"}}


def test_examples_and_waivers_are_part_of_it():
    example = {"name": "gate", "enquiry": {"topic": "a"}, "expect": "media"}
    waiver = {"code": "rule.overlap", "rule": "a", "reason": "on purpose"}
    older = a_set("a", examples=[example], waivers=[waiver])
    newer = a_set("a", examples=[example | {"expect": "desk"}])

    changes = diff_rules(older, newer)

    assert [(it.what, it.kind.value, it.id) for it in changes] == [
        ("example", "changed", "gate"),
        ("waiver", "removed", "rule.overlap:a"),
    ]
    assert changes[0].fields == {"expect": ("media", "desk")}


@pytest.mark.parametrize(
    "more",
    [
        {"examples": [{"name": "x", "enquiry": {}, "expect": "desk"}] * 2},
        {"waivers": [{"code": "rule.overlap", "rule": "a", "reason": "so"}] * 2},
    ],
    ids=["example", "waiver"],
)
def test_a_name_that_stands_twice_is_refused_for_no_one_could_say_which(more):
    with pytest.raises(RuleInvalid, match="stands twice"):
        a_set("a", **more)


orders = st.permutations("abcdefg").map("".join)


@given(orders, orders, st.text("abcdefg", max_size=3))
def test_applying_what_is_told_to_the_older_gives_the_newer(before, after, gone):
    older = a_set(before)
    newer = a_set("".join(letter for letter in after if letter not in gone))
    changes = diff_rules(older, newer)

    ids = [rule.id for rule in older.rules]
    for change in changes:
        if change.kind is not ChangeKind.ADDED:
            ids.remove(change.id)
    for change in changes:
        if change.after is not None:
            ids.insert(change.after - 1, change.id)

    assert ids == [rule.id for rule in newer.rules]


@given(orders)
def test_as_few_rules_as_can_be_are_said_to_have_moved(after):
    moved = diff_rules(a_set("abcdefg"), a_set(after))

    in_order = max(
        size
        for size in range(8)
        for kept in combinations(after, size)
        if sorted(kept) == list(kept)
    )
    assert len(moved) == 7 - in_order


# Two who began from the same


def test_what_only_one_side_changed_is_taken_from_that_side():
    base = a_set("abcd")
    ours = a_set("xabd", last="media")  # x added at the top, c removed, the last sends elsewhere
    theirs = a_set("abcyd")  # y added before d
    more = [rule | {"hold": True} if rule["id"] == "a" else rule for rule in theirs.write()]

    merged = merge_rules(base, ours, RuleSet.read(2, more))

    assert [rule.id for rule in merged.rules] == ["x", "a", "b", "y", "d", "last"]
    assert merged.rules[1].outcome.hold
    assert merged.rules[-1].send_to == "media"


def test_examples_and_waivers_of_both_sides_are_kept():
    def with_example(name: str) -> RuleSet:
        example = {"name": name, "enquiry": {}, "expect": "desk"}
        return a_set("a", examples=[example], waivers=[{"code": name, "reason": "so"}])

    merged = merge_rules(a_set("a"), with_example("ours"), with_example("theirs"))

    assert [it.name for it in merged.examples] == ["theirs", "ours"]
    assert [it.code for it in merged.waivers] == ["theirs", "ours"]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (a_set("ab", last="media"), a_set("ab", last="parking"), "rule “last”"),
        (a_set("b"), RuleSet.read(1, [r | {"hold": True} for r in a_set("ab").write()]), "“a”"),
    ],
    ids=["changed twice", "removed and changed"],
)
def test_what_both_changed_differently_is_for_people_to_say(ours, theirs, said):
    with pytest.raises(Conflict, match=said):
        merge_rules(a_set("ab"), ours, theirs)


@given(orders, orders, st.text("abcdefg", max_size=2))
def test_a_side_that_did_nothing_leaves_the_other_as_it_is(before, after, gone):
    base, changed = a_set(before), a_set("".join(it for it in after if it not in gone))

    assert merge_rules(base, base, changed).write() == changed.write()
    assert merge_rules(base, changed, base).write() == changed.write()
