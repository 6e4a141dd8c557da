"""What an editor does to rules that are being written: each edit gives a new set.

All raise NotFound for what does not stand in the set, RuleInvalid where the outcome could not be
read, and InvalidValue "rule.no_fallback" where it would leave no last rule for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from directory.domain.errors import InvalidValue, NotFound
from directory.domain.routing import Example, RoutingRule, RuleSet, Waiver

Written = Mapping[str, Any]


def add_rule(rules: RuleSet, value: Written, *, place: int | None = None) -> RuleSet:
    """With the rule *value* at *place* (from 1), which is never behind the last; else before it."""
    rule = RoutingRule.read(value)
    last = len(rules.rules) - 1
    at = last if place is None else min(max(place - 1, 0), last)
    return _read(rules, [*rules.rules[:at], rule, *rules.rules[at:]])


def change_rule(rules: RuleSet, id: str, value: Written) -> RuleSet:
    """With *value* in the place of the rule *id*. Examples and waivers follow a new id."""
    at = _place_of(rules, id)
    rule = RoutingRule.read(value)
    if at == len(rules.rules) - 1 and rule.when is not None:
        raise InvalidValue("rule.no_fallback")
    changed = _read(rules, [*rules.rules[:at], rule, *rules.rules[at + 1 :]])
    return replace(
        changed,
        examples=tuple(
            replace(it, rule=rule.id) if it.rule == id else it for it in changed.examples
        ),
        waivers=tuple(replace(it, rule=rule.id) if it.rule == id else it for it in changed.waivers),
    )


def remove_rule(rules: RuleSet, id: str) -> RuleSet:
    """Without the rule *id*, and without the waivers about it."""
    at = _place_of(rules, id)
    _leave_the_last(rules, at)
    left = _read(rules, [*rules.rules[:at], *rules.rules[at + 1 :]])
    return replace(left, waivers=tuple(it for it in left.waivers if it.rule != id))


def move_rule(rules: RuleSet, id: str, place: int) -> RuleSet:
    """With the rule *id* at *place*, counted from 1 and never behind the last."""
    at = _place_of(rules, id)
    _leave_the_last(rules, at)
    others = [rule for rule in rules.rules if rule.id != id]
    to = min(max(place - 1, 0), len(others) - 1)
    return _read(rules, [*others[:to], rules.rules[at], *others[to:]])


def replace_all(
    rules: RuleSet,
    values: Sequence[Written],
    *,
    examples: Sequence[Written] = (),
    waivers: Sequence[Written] = (),
) -> RuleSet:
    """What a rule file says, in the place of everything."""
    return RuleSet.read(rules.version, values, examples=examples, waivers=waivers)


def keep_example(rules: RuleSet, value: Written) -> RuleSet:
    """With the example *value*, in the place of one with the same name."""
    example = Example.read(value)
    if example.rule is not None:
        _place_of(rules, example.rule)
    others = [it for it in rules.examples if it.name != example.name]
    at = next((n for n, it in enumerate(rules.examples) if it.name == example.name), len(others))
    return replace(rules, examples=(*others[:at], example, *others[at:]))


def release_example(rules: RuleSet, name: str) -> RuleSet:
    """Without the example *name*."""
    left = tuple(it for it in rules.examples if it.name != name)
    if len(left) == len(rules.examples):
        raise NotFound(f"There is no example “{name}”")
    return replace(rules, examples=left)


def waive(rules: RuleSet, waiver: Waiver) -> RuleSet:
    """With *waiver*, in the place of one that waives the same."""
    if waiver.rule is not None:
        _place_of(rules, waiver.rule)
    others = [it for it in rules.waivers if it.name != waiver.name]
    at = next((n for n, it in enumerate(rules.waivers) if it.name == waiver.name), len(others))
    return replace(rules, waivers=(*others[:at], waiver, *others[at:]))


def withdraw_waiver(rules: RuleSet, name: str) -> RuleSet:
    """Without the waiver *name* (its code, or "code:rule")."""
    left = tuple(it for it in rules.waivers if it.name != name)
    if len(left) == len(rules.waivers):
        raise NotFound(f"There is no waiver “{name}”")
    return replace(rules, waivers=left)


def _place_of(rules: RuleSet, id: str) -> int:
    for at, rule in enumerate(rules.rules):
        if rule.id == id:
            return at
    raise NotFound(f"There is no rule “{id}”")


def _leave_the_last(rules: RuleSet, at: int) -> None:
    if at == len(rules.rules) - 1:
        raise InvalidValue("rule.no_fallback")


def _read(rules: RuleSet, changed: Sequence[RoutingRule]) -> RuleSet:
    """*rules* with *changed* in their place, checked as a set."""
    return replace(rules, rules=tuple(changed)).checked()
