"""Where an enquiry goes: ordered rules, the first match wins, the last catches all.

``decide`` is pure, total and deterministic: it is given the facts, the published rules and the
routes, and reads neither a clock nor a database. It always names a department, and says of the
rules it tried why each fired or did not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID

from directory.domain.conditions import (
    Condition,
    Facts,
    IsOpen,
    IsReturning,
    Routes,
    RuleInvalid,
    Target,
    TextLanguageIs,
    Why,
    read_condition,
    within,
    write_condition,
)
from directory.domain.contacts import Localised, localised
from directory.domain.enquiry import Decision, Finding
from directory.domain.rule_index import RuleIndex

# Up to here every rule tried is kept with the enquiry. Of a longer list those that came close are,
# and the rest is counted: ten thousand reasons would be read by nobody and stored a million times.
FULL_TRACE = 50
CLOSE_KEPT = 20
MOST_COPIES = 10
LONGEST_ID = 80


# What a rule does


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What else happens to an enquiry beside going to its department.

    ``copy`` are departments (slugs) or mailboxes (addresses) that receive it for information,
    ``target_days`` the answer target in working days where the rule sets one, ``hold`` keeps it
    from being sent until a person has looked at it, ``acknowledge`` False sends no receipt.
    """

    copy: tuple[str, ...] = ()
    target_days: int | None = None
    tags: tuple[str, ...] = ()
    hold: bool = False
    acknowledge: bool = True

    def to_json(self) -> dict[str, Any]:
        """What differs from sending it plainly on; {} where nothing does."""
        plain = type(self)()
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name in self.__slots__
            if (value := getattr(self, name)) != getattr(plain, name)
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As ``to_json`` wrote it."""
        return cls(
            copy=tuple(value.get("copy", ())),
            target_days=value.get("target_days"),
            tags=tuple(value.get("tags", ())),
            hold=bool(value.get("hold", False)),
            acknowledge=bool(value.get("acknowledge", True)),
        )


class Action(ABC):
    """One thing a rule does beside choosing the department.

    ``key`` is its word in a rule file. New ones are a class and an entry in ``ACTIONS``;
    installed packages bring theirs by the entry point group ``directory.actions``.
    """

    key: ClassVar[str]

    @classmethod
    @abstractmethod
    def read(cls, value: Any) -> Self:
        """From its value in a rule file. Raises RuleInvalid."""

    @abstractmethod
    def write(self) -> Any:
        """Its value in a rule file."""

    @abstractmethod
    def apply(self, outcome: Outcome) -> Outcome:
        """*outcome* with this done as well."""

    def sentence(self, routes: Routes) -> Why:
        """What it does, in words."""
        said = f"{self.key}: {self.write()}"
        return {"en": said, "zh-Hans": said}

    def recipients(self) -> tuple[str, ...]:
        """The departments (slugs) and mailboxes (addresses) it writes to."""
        return ()


def _names(value: Any, key: str, most: int) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise RuleInvalid(f"“{key}” needs a list of texts, not {value!r}")
    if len(value) > most:
        raise RuleInvalid(f"“{key}” has more than {most}")
    return tuple(dict.fromkeys(value))


def _yes_or_no(value: Any, key: str) -> bool:
    if not isinstance(value, bool):
        raise RuleInvalid(f"“{key}” is true or false, not {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Copy(Action):
    """These departments or mailboxes receive it too, for information."""

    to: tuple[str, ...]
    key: ClassVar[str] = "copy"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_names(value, cls.key, MOST_COPIES))

    def write(self) -> list[str]:
        return list(self.to)

    def apply(self, outcome: Outcome) -> Outcome:
        return replace(outcome, copy=tuple(dict.fromkeys((*outcome.copy, *self.to))))

    def sentence(self, routes: Routes) -> Why:
        names = [routes.department_name(to) for to in self.to]
        return {
            "en": f"copy {', '.join(localised(name, 'en')[0] for name in names)}",
            "zh-Hans": f"抄送{'、'.join(localised(name, 'zh-Hans')[0] for name in names)}",
        }

    def recipients(self) -> tuple[str, ...]:
        return self.to


@dataclass(frozen=True, slots=True)
class TargetDays(Action):
    """An answer is due within so many working days."""

    days: int
    key: ClassVar[str] = "target_days"

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 365:
            raise RuleInvalid(f"“target_days” is a number of working days, not {value!r}")
        return cls(value)

    def write(self) -> int:
        return self.days

    def apply(self, outcome: Outcome) -> Outcome:
        return replace(outcome, target_days=self.days)

    def sentence(self, routes: Routes) -> Why:
        days = "1 working day" if self.days == 1 else f"{self.days} working days"
        return {"en": f"answer within {days}", "zh-Hans": f"{self.days}个工作日内答复"}


@dataclass(frozen=True, slots=True)
class Tags(Action):
    """It carries these words in lists and mails."""

    tags: tuple[str, ...]
    key: ClassVar[str] = "tags"

    @classmethod
    def read(cls, value: Any) -> Self:
        tags = _names(value, cls.key, 10)
        if any(len(tag) > 40 or "\n" in tag or "\r" in tag for tag in tags):
            raise RuleInvalid("“tags” are words of one line and at most 40 letters")
        return cls(tags)

    def write(self) -> list[str]:
        return list(self.tags)

    def apply(self, outcome: Outcome) -> Outcome:
        return replace(outcome, tags=tuple(dict.fromkeys((*outcome.tags, *self.tags))))

    def sentence(self, routes: Routes) -> Why:
        return {
            "en": f"tag {', '.join(f'“{tag}”' for tag in self.tags)}",
            "zh-Hans": f"标记{'、'.join(f'“{tag}”' for tag in self.tags)}",
        }


@dataclass(frozen=True, slots=True)
class Hold(Action):
    """It waits until a person releases it."""

    hold: bool
    key: ClassVar[str] = "hold"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_yes_or_no(value, cls.key))

    def write(self) -> bool:
        return self.hold

    def apply(self, outcome: Outcome) -> Outcome:
        return replace(outcome, hold=self.hold)

    def sentence(self, routes: Routes) -> Why:
        if self.hold:
            return {"en": "hold it until somebody releases it", "zh-Hans": "暂存，待人工放行"}
        return {"en": "do not hold it", "zh-Hans": "不暂存"}


@dataclass(frozen=True, slots=True)
class Acknowledge(Action):
    """Whether the visitor gets a receipt by mail."""

    acknowledge: bool
    key: ClassVar[str] = "acknowledge"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_yes_or_no(value, cls.key))

    def write(self) -> bool:
        return self.acknowledge

    def apply(self, outcome: Outcome) -> Outcome:
        return replace(outcome, acknowledge=self.acknowledge)

    def sentence(self, routes: Routes) -> Why:
        if self.acknowledge:
            return {"en": "send a receipt", "zh-Hans": "发送回执"}
        return {"en": "send no receipt", "zh-Hans": "不发送回执"}


# A new action is a class and its entry here.
ACTIONS: dict[str, type[Action]] = {
    kind.key: kind for kind in (Copy, TargetDays, Tags, Hold, Acknowledge)
}


# Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """If ``when`` holds, ``send_to`` answers: a department's slug, or a mailbox's address.

    A ``when`` of None holds always. ``actions`` are done besides.
    """

    id: str
    name: Localised
    when: Condition | None
    send_to: str
    actions: tuple[Action, ...] = ()

    KEYS: ClassVar[frozenset[str]] = frozenset({"id", "name", "when", "send_to"})

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """A rule as a rule file has it. Raises RuleInvalid, naming the rule."""
        try:
            if unknown := value.keys() - cls.KEYS - ACTIONS.keys():
                raise RuleInvalid(f"there is no “{min(unknown)}” in a rule")
            if missing := {"id", "send_to"} - value.keys():
                raise RuleInvalid(f"“{min(missing)}” is missing")
            id = value["id"]
            if not isinstance(id, str) or not id.strip() or len(id) > LONGEST_ID:
                raise RuleInvalid(f"“id” is a text of 1 to {LONGEST_ID} letters")
            if not isinstance(value["send_to"], str) or not value["send_to"]:
                raise RuleInvalid("“send_to” is a department’s slug or a mailbox’s address")
            when = read_condition(value["when"]) if value.get("when") else None
            actions = tuple(ACTIONS[key].read(value[key]) for key in ACTIONS if key in value)
            name = value.get("name") or {"en": id}
            if not isinstance(name, Mapping):
                raise RuleInvalid("“name” has a text for each language")
        except RuleInvalid as error:
            raise RuleInvalid(f"rule “{value.get('id', '?')}”: {error}") from error
        return cls(id=id, name=dict(name), when=when, send_to=value["send_to"], actions=actions)

    def write(self) -> dict[str, Any]:
        """The rule as a rule file has it."""
        written: dict[str, Any] = {"id": self.id, "name": self.name}
        if self.when is not None:
            written["when"] = write_condition(self.when)
        written["send_to"] = self.send_to
        return written | {action.key: action.write() for action in self.actions}

    @property
    def outcome(self) -> Outcome:
        """What its actions come to."""
        outcome = Outcome()
        for action in self.actions:
            outcome = action.apply(outcome)
        return outcome

    @property
    def recipients(self) -> tuple[str, ...]:
        """The departments (slugs) and mailboxes (addresses) it writes to, the first to answer."""
        return (self.send_to, *(to for action in self.actions for to in action.recipients()))

    def sentence(self, routes: Routes) -> Why:
        """The rule in words: "If topic is Visits, send to Events and answer within 1 day"."""
        asked = self.when.sentence(routes) if self.when else None
        done = [action.sentence(routes) for action in self.actions]
        to = routes.department_name(self.send_to)
        return {
            "en": (f"If {asked['en']}, send to " if asked else "Send everything else to ")
            + ", ".join([localised(to, "en")[0], *(said["en"] for said in done)]),
            "zh-Hans": (f"如果{asked['zh-Hans']}，则转至" if asked else "其余一律转至")
            + "，".join([localised(to, "zh-Hans")[0], *(said["zh-Hans"] for said in done)]),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An enquiry whose way is kept with the rules, so that no later change moves it unseen.

    ``enquiry`` has the form's fields, and "at" and "returning" where they count; ``expect`` is
    the slug of the department it must reach, ``rule`` the id of the rule that must send it there,
    None where any may.
    """

    name: str
    enquiry: Mapping[str, Any]
    expect: str
    rule: str | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """As a rule file has it. Raises RuleInvalid, naming the example."""
        name = str(value.get("name", "?"))
        if unknown := value.keys() - {"name", "enquiry", "expect", "rule"}:
            raise RuleInvalid(f"example “{name}”: there is no “{min(unknown)}” in an example")
        if missing := {"name", "enquiry", "expect"} - value.keys():
            raise RuleInvalid(f"example “{name}”: “{min(missing)}” is missing")
        if not isinstance(value["enquiry"], Mapping):
            raise RuleInvalid(f"example “{name}”: “enquiry” has the fields of the form")
        try:
            facts_from(value["enquiry"])
        except RuleInvalid as error:
            raise RuleInvalid(f"example “{name}”: {error}") from error
        rule = value.get("rule")
        return cls(
            name=name,
            enquiry=dict(value["enquiry"]),
            expect=str(value["expect"]),
            rule=None if rule is None else str(rule),
        )

    def write(self) -> dict[str, Any]:
        """As a rule file has it."""
        written = {"name": self.name, "enquiry": dict(self.enquiry), "expect": self.expect}
        return written if self.rule is None else written | {"rule": self.rule}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A warning that was looked at and accepted: which, of which rule, and why."""

    code: str
    reason: str
    rule: str | None = None

    @property
    def name(self) -> str:
        """What it accepts: the warning's code, and its rule where it is about one."""
        return f"{self.code}:{self.rule}" if self.rule else self.code

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """As a rule file has it. Raises RuleInvalid."""
        if unknown := value.keys() - {"code", "rule", "reason"}:
            raise RuleInvalid(f"there is no “{min(unknown)}” in a waiver")
        if not value.get("code") or not str(value.get("reason", "")).strip():
            raise RuleInvalid("a waiver needs the code of a warning and a reason")
        rule = value.get("rule")
        return cls(
            code=str(value["code"]),
            reason=str(value["reason"]).strip(),
            rule=None if rule is None else str(rule),
        )

    def write(self) -> dict[str, Any]:
        """As a rule file has it."""
        written = {"code": self.code, "rule": self.rule, "reason": self.reason}
        return {key: value for key, value in written.items() if value is not None}


@dataclass(frozen=True)
class RuleSet:
    """A version of the rules: ordered, the last one without a condition.

    ``version`` counts from 1; 0 is a draft. Versions never change, so that what was worked out of
    one is good for as long as the process lives.
    """

    version: int
    rules: tuple[RoutingRule, ...]
    examples: tuple[Example, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @classmethod
    def read(
        cls,
        version: int,
        values: Sequence[Mapping[str, Any]],
        *,
        examples: Sequence[Mapping[str, Any]] = (),
        waivers: Sequence[Mapping[str, Any]] = (),
    ) -> Self:
        """The rules of a rule file, in order. Raises RuleInvalid; needs a last rule for all."""
        return cls(
            version,
            tuple(RoutingRule.read(value) for value in values),
            tuple(Example.read(value) for value in examples),
            tuple(Waiver.read(value) for value in waivers),
        ).checked()

    def checked(self) -> Self:
        """These rules, if they can be a version. Raises RuleInvalid."""
        for what, names in (
            ("rule", [rule.id for rule in self.rules]),
            ("example", [example.name for example in self.examples]),
            ("waiver", [waiver.name for waiver in self.waivers]),
        ):
            [(name, count)] = Counter(names).most_common(1) or [("", 0)]
            if count > 1:
                raise RuleInvalid(f"{what} “{name}” stands twice")
        for rule in self.rules[:-1]:
            if rule.when is None:
                raise RuleInvalid(f"rule “{rule.id}” has no condition but is not the last")
        if not self.rules or self.rules[-1].when is not None:
            raise RuleInvalid("there must be a last rule that catches everything")
        return self

    def write(self) -> list[dict[str, Any]]:
        """The rules as a rule file has them."""
        return [rule.write() for rule in self.rules]

    @property
    def ordinary(self) -> tuple[RoutingRule, ...]:
        """All but the last, which catches what is left."""
        return self.rules[:-1]

    @cached_property
    def index(self) -> RuleIndex:
        """Which rules can match at all, found without trying each."""
        return RuleIndex([rule.when for rule in self.ordinary])

    @cached_property
    def opening_departments(self) -> frozenset[str]:
        """The departments whose opening hours the rules ask for."""
        return frozenset(part.department for part in self._conditions() if isinstance(part, IsOpen))

    @cached_property
    def asks_returning(self) -> bool:
        """Whether any rule asks if the visitor wrote before."""
        return any(isinstance(part, IsReturning) for part in self._conditions())

    @cached_property
    def asks_language(self) -> bool:
        """Whether any rule asks for the language of the text."""
        return any(isinstance(part, TextLanguageIs) for part in self._conditions())

    def _conditions(self) -> Iterator[Condition]:
        for rule in self.ordinary:
            assert rule.when is not None  # read: only the last rule has no condition
            yield from within(rule.when)


# Deciding

_CHOSEN: Localised = {"en": "the department chosen", "zh-Hans": "所选部门"}
_TOPIC: Localised = {"en": "the topic’s department", "zh-Hans": "事项对应的部门"}
_NOTHING: Why = {"en": "nothing else decided", "zh-Hans": "其他规则均未决定"}


def decide(facts: Facts, rules: RuleSet, routes: Routes) -> Decision:
    """Send an enquiry where the first matching rule says; total, whatever the facts.

    Order: ordinary rules, the department the visitor chose, the topic's department, the last
    rule. A department without a live mailbox passes to its deputy, then to the desk; those passed
    over are named. So does a rule whose target is gone: what it was meant to catch goes to the
    desk rather than to whichever rule comes next. The trace lists every step tried, of a long
    list of rules those that came close.
    """
    close: list[int] = []
    for position in rules.index.candidates(facts):
        rule = rules.rules[position - 1]
        assert rule.when is not None
        if rule.when.holds(facts, routes):
            trace = _trace(facts, rules, routes, position, close)
            return _arrive("rule", rule.send_to, trace, facts, rules, routes, rule=rule)
        close.append(position)
    trace = _trace(facts, rules, routes, len(rules.rules), close)
    reason, send_to, finding = _after_the_rules(facts, rules, routes)
    trace.append(finding)
    last = rules.rules[-1] if reason == "fallback" else None
    return _arrive(reason, send_to, trace, facts, rules, routes, rule=last)


def expand(facts: Facts, rules: RuleSet, routes: Routes) -> list[Finding]:
    """Every rule's finding up to the one that decides: the trace with nothing summarised."""
    findings: list[Finding] = []
    for position, rule in enumerate(rules.ordinary, 1):
        findings.append(_finding(rule, position, facts, routes))
        if findings[-1].matched:
            return findings
    return [*findings, _after_the_rules(facts, rules, routes)[2]]


def _after_the_rules(facts: Facts, rules: RuleSet, routes: Routes) -> tuple[str, str, Finding]:
    """What decides where no rule does: the reason, where to, and the step's finding."""
    if facts.department in routes.targets and routes.targets[facts.department].active:
        name = routes.department_name(facts.department)
        said = _is("department chosen", "所选部门", name)
        return "department", facts.department, Finding(None, 0, _CHOSEN, True, said)
    topic = routes.topics.get(facts.topic)
    if topic is not None and topic.department in routes.targets:
        said = _is("topic", "咨询事项", topic.label)
        return "topic", topic.department, Finding(None, 0, _TOPIC, True, said)
    last = rules.rules[-1]
    return "fallback", last.send_to, Finding(last.id, len(rules.rules), last.name, True, _NOTHING)


def _is(en: str, zh: str, name: Localised) -> Why:
    return {
        "en": f"{en} is {localised(name, 'en')[0]}",
        "zh-Hans": f"{zh}是{localised(name, 'zh-Hans')[0]}",
    }


def _finding(rule: RoutingRule, position: int, facts: Facts, routes: Routes) -> Finding:
    assert rule.when is not None
    matched, why = rule.when.examine(facts, routes)
    return Finding(rule.id, position, rule.name, matched, why)


def _trace(
    facts: Facts, rules: RuleSet, routes: Routes, end: int, close: Sequence[int]
) -> list[Finding]:
    """The findings of the rules up to *end* (of all ordinary ones, where that is the last).

    *close* are those before it that could have matched and did not.
    """
    deciding = end < len(rules.rules)
    shown: Sequence[int] = range(1, end + deciding)
    if end > FULL_TRACE:
        shown = [*close[:CLOSE_KEPT], end] if deciding else close[:CLOSE_KEPT]
    findings: list[Finding] = []
    following = 1
    for position in shown:
        if position > following:
            findings.append(_passed_over(following, position - 1))
        findings.append(_finding(rules.rules[position - 1], position, facts, routes))
        following = position + 1
    if following < end and not deciding:
        findings.append(_passed_over(following, end - 1))
    return findings


def _passed_over(first: int, last: int) -> Finding:
    count = last - first + 1
    if count == 1:
        name = {"en": f"Rule {first}", "zh-Hans": f"第{first}条规则"}
    else:
        name = {"en": f"Rules {first} to {last}", "zh-Hans": f"第{first}至{last}条规则"}
    why = {
        "en": "its conditions do not hold" if count == 1 else f"none of these {count} rules holds",
        "zh-Hans": f"这{count}条规则的条件均不成立",
    }
    return Finding(None, first, name, False, why, last=last)


class _Arrival(NamedTuple):
    """A mailbox that is read, and who did not have one on the way there."""

    department: Target
    address: str
    mailbox_id: UUID | None
    passed_over: list[str]


def arrive(send_to: str, routes: Routes, at: datetime | None = None) -> _Arrival:
    """From the department or mailbox meant to one that is read: its own, its deputies', the desk's.

    A closed department leads to its successor. Each is asked once, for deputies may name one
    another in a ring.
    """
    passed_over: list[str] = []
    if "@" in send_to:
        named = routes.mailboxes.get(send_to)
        if named is None:
            passed_over.append(send_to)
            return _at_desk(routes, passed_over)
        owner = routes.targets.get(named.department)
        if named.live and owner is not None and owner.active:
            return _Arrival(owner, named.address, named.id, passed_over)
        passed_over.append(send_to)
        send_to = named.department
    asked: set[str] = set()
    away: _Arrival | None = None
    while send_to and send_to not in asked:
        asked.add(send_to)
        department = routes.targets.get(send_to)
        if department is None:
            if not passed_over:
                passed_over.append(send_to)
            break
        if not department.active:
            passed_over.append(department.slug)
            send_to = department.successor
            continue
        is_away = bool(at and department.away_until and at < department.away_until)
        if department.mailbox and not is_away:
            return _Arrival(department, department.mailbox, department.mailbox_id, passed_over)
        if department.mailbox and away is None:
            # Read again one day, which is better than the desk where there is no deputy.
            own = (department.mailbox, department.mailbox_id)
            away = _Arrival(department, *own, list(passed_over))
        passed_over.append(department.slug)
        if department.backup_email:
            return _Arrival(department, department.backup_email, None, passed_over)
        send_to = department.deputy
    return away or _at_desk(routes, passed_over)


def _at_desk(routes: Routes, passed_over: list[str]) -> _Arrival:
    desk = routes.targets[routes.desk]
    address = desk.mailbox or desk.backup_email or desk.last_mailbox
    return _Arrival(desk, address, desk.mailbox_id, passed_over)


def _arrive(
    reason: str,
    send_to: str,
    trace: list[Finding],
    facts: Facts,
    rules: RuleSet,
    routes: Routes,
    *,
    rule: RoutingRule | None = None,
) -> Decision:
    arrival = arrive(send_to, routes, facts.at)
    found = trace[-1]
    return Decision(
        reason=reason,
        department_id=arrival.department.id,
        contact_point_id=arrival.mailbox_id,
        recipient=arrival.address,
        rule_set=rules.version,
        rule=found.position if reason == "rule" else None,
        rule_id=rule.id if rule else None,
        rule_name=dict(found.name),
        why=found.why,
        trace=[finding.to_json() for finding in trace],
        passed_over=arrival.passed_over,
        outcome=rule.outcome.to_json() if rule else {},
        facts=_noted(facts, rules, routes),
    )


def _noted(facts: Facts, rules: RuleSet, routes: Routes) -> dict[str, Any]:
    """What the rules went by and the enquiry itself does not tell."""
    noted: dict[str, Any] = {}
    if rules.asks_language:
        noted["text_language"] = facts.language
    if rules.opening_departments:
        noted["open"] = {
            slug: IsOpen(slug).holds(facts, routes) for slug in sorted(rules.opening_departments)
        }
    if rules.asks_returning:
        noted["returning"] = facts.returning
    return noted


def may_change(facts: Facts, rules: RuleSet, routes: Routes) -> bool:
    """Whether what is still unknown may send this enquiry elsewhere than ``decide`` says now.

    Unknown are the words while *facts* are not complete, and whether the visitor wrote before
    where nobody looked.
    """
    now = decide(facts, rules, routes)
    for position in rules.index.candidates(facts, whatever=True):
        rule = rules.rules[position - 1]
        assert rule.when is not None
        if rule.when.must(facts, routes):
            return False
        if rule.when.may(facts, routes):
            there = arrive(rule.send_to, routes, facts.at)
            elsewhere = (there.department.id, there.address) != (now.department_id, now.recipient)
            if elsewhere or rule.id == now.rule_id:
                return True
    return False


# Facts from elsewhere


def facts_from(fields: Mapping[str, Any]) -> Facts:
    """The facts of an enquiry given by the names of the form's fields.

    Besides these "at" (RFC 3339), "origin", "answers" and "returning"; what is unknown to routing
    (name, email …) is left aside. Raises RuleInvalid for an "at" that is no instant with a zone.
    """
    at: datetime | None = None
    if stated := fields.get("at"):
        try:
            at = stated if isinstance(stated, datetime) else datetime.fromisoformat(str(stated))
        except ValueError as error:
            raise RuleInvalid(f"“at” is no time: {stated!r}") from error
        if at.tzinfo is None:
            raise RuleInvalid(f"“at” needs its offset from UTC: {stated!r}")
    answers = fields.get("answers") or {}
    if not isinstance(answers, Mapping):
        raise RuleInvalid("“answers” has the answer to each question’s code")
    returning = fields.get("returning")
    source = str(fields.get("source") or fields.get("from") or "")
    return Facts(
        topic=str(fields.get("topic") or ""),
        department=str(fields.get("department") or ""),
        reply_language=str(fields.get("reply_language") or "any"),
        country=str(fields.get("country") or "").upper(),
        text=f"{fields.get('subject') or ''}\n{fields.get('message') or ''}",
        at=at,
        source=source,
        origin=str(fields.get("origin") or "") or origin_of(source),
        answers={str(code): str(value) for code, value in answers.items()},
        returning=returning if isinstance(returning, bool) else None,
    )


def origin_of(url: str) -> str:
    """The site *url* belongs to: scheme and host, with a port where it names one; "" for none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".casefold()
