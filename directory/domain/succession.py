"""Rules with other names in them: one takes another's place wherever it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from directory.domain.routing import RuleSet


@dataclass(frozen=True, slots=True)
class Succession:
    """Who takes whose place, old name to new.

    ``targets`` are departments (slugs) and mailboxes (addresses) that rules send to;
    ``departments`` and ``topics`` those that rules ask for.
    """

    targets: Mapping[str, str] = field(default_factory=dict)
    departments: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)

    def of(self, rules: RuleSet) -> RuleSet:
        """*rules* after it, kept examples too; the very same where nothing is named.

        What the conditions of installed packages name is theirs and stays.
        """
        before = rules.write()
        after = [self._rule(rule) for rule in before]
        examples = [self._example(example.write()) for example in rules.examples]
        if after == before and examples == [example.write() for example in rules.examples]:
            return rules
        changed = RuleSet.read(rules.version, after, examples=examples)
        return replace(changed, waivers=rules.waivers)

    def naming(self, rules: RuleSet) -> list[str]:
        """The ids of *rules* that name what is succeeded."""
        return [rule.id for rule in rules.rules if self._rule(rule.write()) != rule.write()]

    def _rule(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        written = dict(rule)
        written["send_to"] = self.targets.get(rule["send_to"], rule["send_to"])
        if "copy" in rule:
            # Whoever answers needs no copy.
            copies = [to for to in _each(rule["copy"], self.targets) if to != written["send_to"]]
            written.pop("copy")
            if copies:
                written["copy"] = copies
        if "when" in rule:
            written["when"] = self._condition(rule["when"])
        return written

    def _condition(self, condition: Mapping[str, Any]) -> dict[str, Any]:
        [(key, value)] = condition.items()
        match key:
            case "all" | "any":
                value = [self._condition(part) for part in value]
            case "not":
                value = self._condition(value)
            case "topic":
                value = _each(value, self.topics)
            case "department":
                value = _each(value, self.departments)
            case "open":
                value = self.departments.get(value, value)
        return {key: value}

    def _example(self, example: Mapping[str, Any]) -> dict[str, Any]:
        enquiry = dict(example["enquiry"])
        for name, names in (("topic", self.topics), ("department", self.departments)):
            if name in enquiry:
                enquiry[name] = names.get(enquiry[name], enquiry[name])
        expected = self.targets.get(example["expect"], example["expect"])
        return {**example, "enquiry": enquiry, "expect": expected}


def _each(names: list[str], taken: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(taken.get(name, name) for name in names))
