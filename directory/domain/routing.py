"""Where an enquiry goes: ordered rules, the first match wins, the last catches all.

``decide`` is pure, total and deterministic: it is given the facts, the published rules and the
routes, and reads neither a clock nor a database. It always names a department, and says of every
rule it tried why that fired or did not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID

from directory.domain.contacts import Localised, localised
from directory.domain.enquiry import Decision, Finding
from directory.domain.errors import DirectoryError

Why = dict[str, str]


class RuleInvalid(DirectoryError):
    """A rule that cannot be read; the message names the rule and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an enquiry when it is decided; a preview knows less than a submission.

    ``text`` is subject and message together. ``complete`` is False while the visitor may still
    change the words.
    """

    topic: str = ""
    department: str = ""
    reply_language: str = "any"
    country: str = ""
    text: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A department as routing sees it.

    ``mailbox`` is the address of its live mailbox, "" when it has none; ``last_mailbox`` the
    address it had even so, for a desk whose every mailbox is suspended is still the desk.
    ``deputy`` is a slug, ``backup_email`` an address; either may be "".
    """

    id: UUID
    slug: str
    name: Localised
    mailbox: str = ""
    mailbox_id: UUID | None = None
    last_mailbox: str = ""
    deputy: str = ""
    backup_email: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRoute:
    """A topic as routing sees it: its label, and the slug of the department that answers it."""

    code: str
    label: Localised
    department: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The part of the directory that rules can name: departments by slug, topics by code."""

    targets: Mapping[str, Target]
    topics: Mapping[str, TopicRoute]
    desk: str
    countries: Mapping[str, Localised] = field(default_factory=dict)

    def department_name(self, slug: str) -> Localised:
        """Its name in every language, or the slug where there is no such department."""
        return self.targets[slug].name if slug in self.targets else {"en": slug}

    def topic_label(self, code: str) -> Localised:
        """Its label in every language, or the code where there is no such topic."""
        return self.topics[code].label if code in self.topics else {"en": code}


class Condition(Protocol):
    """One thing that must hold of an enquiry.

    ``key`` is its word in a rule file. ``examine`` says whether it holds and why. ``may`` and
    ``must`` say whether it could hold, or must, whatever words are still typed.
    """

    key: ClassVar[str]

    @classmethod
    def read(cls, value: Any) -> Self: ...
    def write(self) -> Any: ...
    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]: ...
    def may(self, facts: Facts, routes: Routes) -> bool: ...
    def must(self, facts: Facts, routes: Routes) -> bool: ...


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise RuleInvalid(f"“{key}” needs a list of texts, not {value!r}")
    return tuple(value)


def _listing(names: Iterable[Localised], language: str) -> str:
    joiner = " or " if language == "en" else "或"
    return joiner.join(localised(name, language)[0] for name in names)


@dataclass(frozen=True, slots=True)
class _OneOf:
    """The facts' own word is one of ``values``."""

    values: tuple[str, ...]
    key: ClassVar[str] = ""
    en: ClassVar[str] = ""
    zh: ClassVar[str] = ""

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_texts(value, cls.key))

    def write(self) -> list[str]:
        return list(self.values)

    def actual(self, facts: Facts) -> str:
        raise NotImplementedError

    def named(self, value: str, routes: Routes) -> Localised:
        return {"en": value}

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        held = self.actual(facts) in self.values
        names = [self.named(value, routes) for value in self.values]
        return held, {
            "en": f"{self.en} {'is' if held else 'is not'} {_listing(names, 'en')}",
            "zh-Hans": f"{self.zh}{'是' if held else '不是'}{_listing(names, 'zh-Hans')}",
        }

    def may(self, facts: Facts, routes: Routes) -> bool:
        return self.actual(facts) in self.values

    must = may


class TopicIs(_OneOf):
    """The topic chosen is one of these codes."""

    __slots__ = ()
    key, en, zh = "topic", "topic", "咨询事项"

    def actual(self, facts: Facts) -> str:
        return facts.topic

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.topic_label(value)


class DepartmentIs(_OneOf):
    """The department the visitor chose is one of these slugs."""

    __slots__ = ()
    key, en, zh = "department", "department chosen", "所选部门"

    def actual(self, facts: Facts) -> str:
        return facts.department

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.department_name(value)


_LANGUAGE_NAMES: dict[str, Localised] = {
    "en": {"en": "English", "zh-Hans": "英文"},
    "zh-Hans": {"en": "Chinese", "zh-Hans": "中文"},
    "any": {"en": "either", "zh-Hans": "均可"},
}


class ReplyLanguageIs(_OneOf):
    """The visitor wants the answer in one of these languages ("any": they do not mind)."""

    __slots__ = ()
    key, en, zh = "reply_language", "reply language", "回复语言"

    def actual(self, facts: Facts) -> str:
        return facts.reply_language

    def named(self, value: str, routes: Routes) -> Localised:
        return _LANGUAGE_NAMES.get(value, {"en": value})


class CountryIs(_OneOf):
    """The visitor's country is one of these (ISO 3166-1 alpha-2)."""

    __slots__ = ()
    key, en, zh = "country", "country", "国家或地区"

    def actual(self, facts: Facts) -> str:
        return facts.country

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.countries.get(value, {"en": value})


# Scripts written without spaces: a word there is found wherever its characters stand together.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")


def fold(text: str) -> str:
    """*text* as words are compared: width and case folded, white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    folded = re.escape(fold(word))
    if _UNSPACED.search(word):
        return re.compile(folded)
    return re.compile(rf"(?<!\w){folded}(?!\w)")


@dataclass(frozen=True, slots=True)
class Mentions:
    """Subject or message have any, or all, of these words.

    Whole words in scripts with spaces, anywhere in those without; case and width do not count.
    ``language`` says which language the words belong to; it is for the editor of the rule.
    """

    words: tuple[str, ...]
    every: bool = False
    language: str = ""
    key: ClassVar[str] = "words"

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, dict) or len({"any", "all"} & value.keys()) != 1:
            raise RuleInvalid("“words” needs either “any” or “all” with a list of words")
        if unknown := value.keys() - {"any", "all", "language"}:
            raise RuleInvalid(f"“words” does not know {', '.join(sorted(unknown))}")
        every = "all" in value
        words = _texts(value["all" if every else "any"], "words")
        return cls(words, every, str(value.get("language", "")))

    def write(self) -> dict[str, Any]:
        written: dict[str, Any] = {"all" if self.every else "any": list(self.words)}
        if self.language:
            written["language"] = self.language
        return written

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        text = fold(facts.text)
        found = [word for word in self.words if _pattern(word).search(text)]
        held = len(found) == len(self.words) if self.every else bool(found)
        shown = found if held else [word for word in self.words if word not in found]
        if held or self.every:
            joined = {"en": " and ", "zh-Hans": "和"}
        else:
            joined = {"en": " or ", "zh-Hans": "或"}
        verb = {"en": "mentions", "zh-Hans": "提到"}
        if not held:
            verb = {"en": "does not mention", "zh-Hans": "未提到"}
        return held, {
            "en": f"{verb['en']} {joined['en'].join(f'“{w}”' for w in shown)}",
            "zh-Hans": f"{verb['zh-Hans']}{joined['zh-Hans'].join(f'“{w}”' for w in shown)}",
        }

    def may(self, facts: Facts, routes: Routes) -> bool:
        return True if not facts.complete else self.examine(facts, routes)[0]

    def must(self, facts: Facts, routes: Routes) -> bool:
        return False if not facts.complete else self.examine(facts, routes)[0]


def _together(reasons: Sequence[Why]) -> Why:
    """Several reasons that hold at once, as one sentence."""
    return {
        "en": " and ".join(why["en"] for why in reasons),
        "zh-Hans": "，且".join(why["zh-Hans"] for why in reasons),
    }


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these conditions holds; none at all also does."""

    parts: tuple[Condition, ...]
    key: ClassVar[str] = "all"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_parts(value, cls.key))

    def write(self) -> list[Any]:
        return [write_condition(part) for part in self.parts]

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        reasons: list[Why] = []
        for part in self.parts:
            held, why = part.examine(facts, routes)
            if not held:
                return False, why
            reasons.append(why)
        return True, _together(reasons)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return all(part.may(facts, routes) for part in self.parts)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return all(part.must(facts, routes) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these conditions holds."""

    parts: tuple[Condition, ...]
    key: ClassVar[str] = "any"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_parts(value, cls.key))

    def write(self) -> list[Any]:
        return [write_condition(part) for part in self.parts]

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        reasons: list[Why] = []
        for part in self.parts:
            held, why = part.examine(facts, routes)
            if held:
                return True, why
            reasons.append(why)
        return False, _together(reasons)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return any(part.may(facts, routes) for part in self.parts)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return any(part.must(facts, routes) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """This condition does not hold."""

    part: Condition
    key: ClassVar[str] = "not"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(read_condition(value))

    def write(self) -> Any:
        return write_condition(self.part)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        # The inner reason already says how it stands ("topic is not Media").
        held, why = self.part.examine(facts, routes)
        return not held, why

    def may(self, facts: Facts, routes: Routes) -> bool:
        return not self.part.must(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return not self.part.may(facts, routes)


# A new condition is a class and its entry here.
CONDITIONS: dict[str, type[Condition]] = {
    kind.key: kind
    for kind in (
        TopicIs,
        DepartmentIs,
        ReplyLanguageIs,
        CountryIs,
        Mentions,
        AllOf,
        AnyOf,
        Not,
    )
}


def read_condition(value: Any) -> Condition:
    """One condition from its place in a rule file: ``{topic = ["apply"]}``. Raises RuleInvalid."""
    if not isinstance(value, dict) or len(value) != 1:
        raise RuleInvalid(f"a condition is one name with its value, not {value!r}")
    [(key, inner)] = value.items()
    if key not in CONDITIONS:
        raise RuleInvalid(f"there is no condition “{key}”; known are {', '.join(CONDITIONS)}")
    return CONDITIONS[key].read(inner)


def write_condition(condition: Condition) -> dict[str, Any]:
    """The condition as it stands in a rule file."""
    return {condition.key: condition.write()}


def _parts(value: Any, key: str) -> tuple[Condition, ...]:
    if not isinstance(value, list):
        raise RuleInvalid(f"“{key}” needs a list of conditions")
    return tuple(read_condition(item) for item in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """If ``when`` holds, ``send_to`` (a department's slug) answers. None holds always."""

    id: str
    name: Localised
    when: Condition | None
    send_to: str

    KEYS: ClassVar[frozenset[str]] = frozenset({"id", "name", "when", "send_to"})

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """A rule as a rule file has it. Raises RuleInvalid, naming the rule."""
        try:
            if unknown := value.keys() - cls.KEYS:
                raise RuleInvalid(f"there is no “{min(unknown)}” in a rule")
            if missing := {"id", "send_to"} - value.keys():
                raise RuleInvalid(f"“{min(missing)}” is missing")
            when = read_condition(value["when"]) if value.get("when") else None
        except RuleInvalid as error:
            raise RuleInvalid(f"rule “{value.get('id', '?')}”: {error}") from error
        name = value.get("name") or {"en": str(value["id"])}
        return cls(id=str(value["id"]), name=dict(name), when=when, send_to=str(value["send_to"]))

    def write(self) -> dict[str, Any]:
        """The rule as a rule file has it."""
        written: dict[str, Any] = {"id": self.id, "name": self.name}
        if self.when is not None:
            written["when"] = write_condition(self.when)
        return written | {"send_to": self.send_to}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A published version of the rules: ordered, the last one without a condition.

    ``version`` counts from 1.
    """

    version: int
    rules: tuple[RoutingRule, ...]

    @classmethod
    def read(cls, version: int, values: Sequence[Mapping[str, Any]]) -> Self:
        """The rules of a rule file, in order. Raises RuleInvalid; needs a last rule for all."""
        rules = tuple(RoutingRule.read(value) for value in values)
        seen: set[str] = set()
        for position, rule in enumerate(rules, 1):
            if rule.id in seen:
                raise RuleInvalid(f"rule “{rule.id}” stands twice")
            seen.add(rule.id)
            if rule.when is None and position < len(rules):
                raise RuleInvalid(f"rule “{rule.id}” has no condition but is not the last")
        if not rules or rules[-1].when is not None:
            raise RuleInvalid("there must be a last rule that catches everything")
        return cls(version, rules)

    def write(self) -> list[dict[str, Any]]:
        """The rules as a rule file has them."""
        return [rule.write() for rule in self.rules]


_MATCHED = {"en": "all conditions hold", "zh-Hans": "条件全部满足"}
_CHOSEN: Localised = {"en": "the department chosen", "zh-Hans": "所选部门"}
_TOPIC: Localised = {"en": "the topic’s department", "zh-Hans": "事项对应的部门"}
_NOTHING: Why = {"en": "nothing else decided", "zh-Hans": "其他规则均未决定"}


def decide(facts: Facts, rules: RuleSet, routes: Routes) -> Decision:
    """Send an enquiry where the first matching rule says; total, whatever the facts.

    Order: ordinary rules, the department the visitor chose, the topic's department, the last
    rule. A department without a live mailbox passes to its deputy, then to the desk; those passed
    over are named. The trace lists every step tried.
    """
    trace: list[Finding] = []
    ordinary, last = rules.rules[:-1], rules.rules[-1]
    for position, rule in enumerate(ordinary, 1):
        assert rule.when is not None  # RuleSet.read: only the last rule has no condition
        matched, why = rule.when.examine(facts, routes)
        trace.append(Finding(rule.id, position, rule.name, matched, why))
        if matched and rule.send_to in routes.targets:
            return _arrive("rule", rule.send_to, trace, rules, routes, rule=rule)
    if facts.department in routes.targets:
        name = routes.department_name(facts.department)
        trace.append(Finding(None, 0, _CHOSEN, True, _is("department chosen", "所选部门", name)))
        return _arrive("department", facts.department, trace, rules, routes)
    topic = routes.topics.get(facts.topic)
    if topic is not None and topic.department in routes.targets:
        trace.append(Finding(None, 0, _TOPIC, True, _is("topic", "咨询事项", topic.label)))
        return _arrive("topic", topic.department, trace, rules, routes)
    trace.append(Finding(last.id, len(rules.rules), last.name, True, _NOTHING))
    target = last.send_to if last.send_to in routes.targets else routes.desk
    return _arrive("fallback", target, trace, rules, routes, rule=last)


def _is(en: str, zh: str, name: Localised) -> Why:
    return {
        "en": f"{en} is {localised(name, 'en')[0]}",
        "zh-Hans": f"{zh}是{localised(name, 'zh-Hans')[0]}",
    }


def _arrive(
    reason: str,
    slug: str,
    trace: list[Finding],
    rules: RuleSet,
    routes: Routes,
    *,
    rule: RoutingRule | None = None,
) -> Decision:
    """From the department meant to a mailbox that is read: itself, its deputies, the desk."""
    passed_over: list[str] = []
    department = routes.targets[slug]
    address, mailbox_id = department.mailbox, department.mailbox_id
    if not address:
        passed_over.append(department.slug)
        address, mailbox_id = department.backup_email, None
    # Deputies may name one another in a ring; each is asked once.
    while not address and department.deputy and department.deputy not in passed_over:
        if department.deputy not in routes.targets:
            break
        department = routes.targets[department.deputy]
        address, mailbox_id = department.mailbox, department.mailbox_id
        if not address:
            passed_over.append(department.slug)
            address, mailbox_id = department.backup_email, None
    if not address:
        department = routes.targets[routes.desk]
        address = department.mailbox or department.backup_email or department.last_mailbox
        mailbox_id = department.mailbox_id
    found = trace[-1]
    return Decision(
        reason=reason,
        department_id=department.id,
        contact_point_id=mailbox_id,
        recipient=address,
        rule_set=rules.version,
        rule=found.position if reason == "rule" else None,
        rule_id=rule.id if rule else None,
        rule_name=dict(found.name),
        why=found.why,
        trace=[finding.to_json() for finding in trace],
        passed_over=passed_over,
    )


def may_change(facts: Facts, rules: RuleSet, routes: Routes) -> bool:
    """Whether words still to be typed may send this enquiry elsewhere than ``decide`` says now.

    *facts* should not be ``complete``: with complete facts nothing may change.
    """
    now = decide(facts, rules, routes)
    for rule in rules.rules[:-1]:
        assert rule.when is not None
        if rule.send_to not in routes.targets:
            continue
        if rule.when.must(facts, routes):
            return False
        if rule.when.may(facts, routes):
            elsewhere = routes.targets[rule.send_to].id != now.department_id
            if elsewhere or rule.id == now.rule_id:
                return True
    return False
