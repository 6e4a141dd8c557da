"""What differs between two versions of the rules, told rule by rule."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from directory.domain.errors import Conflict
from directory.domain.routing import RuleSet


class ChangeKind(StrEnum):
    """A rule that only stands elsewhere was moved; one that also says something else changed."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What became of one rule, example or waiver (``what``) from the older set to the newer.

    ``id`` is the rule's, the example's name, or the waiver's code with its rule ("code:rule").
    ``before`` and ``after`` are places counted from 1, None where it does not stand; ``moved``
    says that it changed place among those that were there before. ``fields`` has what differs as
    a rule file has it, each before and after, None for what is not said.
    """

    kind: ChangeKind
    what: str
    id: str
    before: int | None
    after: int | None
    moved: bool = False
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "kind": self.kind.value,
            "what": self.what,
            "id": self.id,
            "before": self.before,
            "after": self.after,
            "moved": self.moved,
            "fields": {
                name: {"before": old, "after": new} for name, (old, new) in self.fields.items()
            },
        }


def diff_rules(older: RuleSet, newer: RuleSet) -> list[RuleChange]:
    """From *older* to *newer*: rules, then examples, then waivers.

    Within each what was removed comes first, in its old order, then the rest in the new one. As
    few rules as can be are said to have moved: one that goes from the end to the top moves past
    the others, and they do not move past it.
    """
    return [
        *_diff("rule", older, newer, ordered=True),
        *_diff("example", older, newer),
        *_diff("waiver", older, newer),
    ]


Written = dict[str, dict[str, Any]]


def _by(key: str, written: Iterable[dict[str, Any]]) -> Written:
    return {it[key]: it for it in written}


def _diff(
    what: str, before: RuleSet, after: RuleSet, *, ordered: bool = False
) -> Iterable[RuleChange]:
    older, newer = _entries(before, what), _entries(after, what)
    was = {id: position for position, id in enumerate(older, 1)}
    is_ = {id: position for position, id in enumerate(newer, 1)}
    for id, position in was.items():
        if id not in is_:
            yield RuleChange(kind=ChangeKind.REMOVED, what=what, id=id, before=position, after=None)
    stayed = _stayed([was[id] for id in is_ if id in was]) if ordered else set(was.values())
    for id, position in is_.items():
        place = was.get(id)
        if place is None:
            yield RuleChange(kind=ChangeKind.ADDED, what=what, id=id, before=None, after=position)
            continue
        fields = _fields(older[id], newer[id])
        moved = place not in stayed
        if fields or moved:
            yield RuleChange(
                kind=ChangeKind.CHANGED if fields else ChangeKind.MOVED,
                what=what,
                id=id,
                before=place,
                after=position,
                moved=moved,
                fields=fields,
            )


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        key: (old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    }


def _stayed(places: Sequence[int]) -> set[int]:
    """The longest run of *places* that still follow one another: the others moved past them."""
    ends: list[int] = []  # the least place that a run of each length can end with
    at: list[int] = []  # where in *places* that is
    before: list[int | None] = []
    for number, place in enumerate(places):
        length = bisect_left(ends, place)
        before.append(at[length - 1] if length else None)
        if length == len(ends):
            ends.append(place)
            at.append(number)
        else:
            ends[length], at[length] = place, number
    found: set[int] = set()
    step: int | None = at[-1] if at else None
    while step is not None:
        found.add(places[step])
        step = before[step]
    return found


# Two sets that began as one


def merge_rules(base: RuleSet, ours: RuleSet, theirs: RuleSet) -> RuleSet:
    """*theirs* with what *ours* changed since both were *base*; the version of *ours*.

    What only one side touched is taken from that side, places included. Raises Conflict, naming
    them, where both changed or moved the same one differently: which is meant, people say.
    """
    clashes: list[str] = []
    merged: dict[str, Written] = {}
    for what in ("rule", "example", "waiver"):
        was, own, other = (_entries(rules, what) for rules in (base, ours, theirs))
        merged[what] = _merge(what, was, own, other, clashes)
    moved = [
        {it.id for it in diff_rules(base, side) if it.what == "rule" and it.moved}
        for side in (ours, theirs)
    ]
    both = moved[0] & moved[1]
    if _order(ours, both) != _order(theirs, both):
        clashes += sorted(f"the place of rule “{id}”" for id in both)
    if clashes:
        raise Conflict(f"Both sides changed {', '.join(dict.fromkeys(clashes))}")
    rules = merged["rule"]
    placed = [rule.id for rule in theirs.rules if rule.id in rules]
    for number, rule in enumerate(ours.rules):
        new = rule.id in rules and rule.id not in placed
        if not new and rule.id not in moved[0]:
            continue
        if rule.id in placed:
            placed.remove(rule.id)
        before = [it.id for it in ours.rules[:number] if it.id in placed]
        placed.insert(placed.index(before[-1]) + 1 if before else 0, rule.id)
    return RuleSet.read(
        ours.version,
        [rules[id] for id in placed],
        examples=list(merged["example"].values()),
        waivers=list(merged["waiver"].values()),
    )


def _entries(rules: RuleSet, what: str) -> Written:
    if what == "rule":
        return _by("id", rules.write())
    if what == "example":
        return _by("name", [it.write() for it in rules.examples])
    return {it.name: it.write() for it in rules.waivers}


def _merge(what: str, base: Written, ours: Written, theirs: Written, clashes: list[str]) -> Written:
    found: Written = {}
    for id in dict.fromkeys([*theirs, *ours]):
        was, own, other = base.get(id), ours.get(id), theirs.get(id)
        taken = other if own == was else own
        if own != was and other not in (was, own):
            clashes.append(f"{what} “{id}”")
        if taken is not None:
            found[id] = taken
    return found


def _order(rules: RuleSet, ids: set[str]) -> list[int]:
    return [number for number, rule in enumerate(rules.rules) if rule.id in ids]
