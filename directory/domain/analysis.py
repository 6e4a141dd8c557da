"""What can be proven of a rule set: dead rules, overlaps, a way to a live mailbox for all.

Exact over everything finite that rules ask for: topics, departments, languages, countries, pages,
answers, and the hours at which departments really are open together in the coming year. Words are
free of one another, but for those that contain others; what an installed package's condition
makes of an enquiry is anybody's guess, and free as well.

Every finding comes with an enquiry that was put through ``decide`` and shows it. Where none could
be written, or where finding out would take too long (see ``domain/proving.py``), it says so and is
for information only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from directory.domain import analysis_words as say
from directory.domain.conditions import (
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    IsOpen,
    Mentions,
    ReplyLanguageIs,
    TopicIs,
    Why,
    fold,
    is_unspaced,
    within,
)
from directory.domain.contacts import Localised
from directory.domain.enquiry import Decision
from directory.domain.proving import Prover
from directory.domain.routing import (
    Routes,
    RoutingRule,
    RuleSet,
    Target,
    arrive,
    decide,
    facts_from,
)
from directory.domain.rule_index import bits
from directory.domain.space import PRESENT, Box, Space, Unsettled, meet
from directory.domain.specimens import OPENINGS, enquiries

UNUSED_DAYS: Final = 90
# A rule is said to be moved often from so many decided on, and this share of them.
OFTEN_FROM: Final = 5
OFTEN_SHARE: Final = 0.2
# So many pairs are tried for an example of an overlap before none is given.
_PAIRS_TRIED: Final = 200


class Severity(StrEnum):
    """Whether rules may be published: never with an error, with a warning if it is waived."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """One thing that is wrong, or may be.

    ``code`` is stable. ``rule`` is the id of the rule it is about, None where it is about none;
    ``covered_by`` the ids of the earlier rules that matter to it, in their order. ``text`` says it
    in both languages, ``example`` is an enquiry, by the form's field names and "at", that shows
    it.
    """

    code: str
    severity: Severity
    text: Why
    rule: str | None = None
    covered_by: tuple[str, ...] = ()
    example: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "rule": self.rule,
            "covered_by": list(self.covered_by),
            "text": self.text,
            "example": self.example,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What became of a rule's enquiries.

    ``since`` is the instant from which the rule stands as it does now, ``decided`` how many
    enquiries it sent in the last ninety days, ``moved`` how many of these were sent on.
    """

    rule: str
    since: datetime
    decided: int
    moved: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, the worst first, and one sentence that sums it up."""

    findings: tuple[RuleFinding, ...]
    summary: Why

    @property
    def ok(self) -> bool:
        """Whether the rules may be published as far as errors go."""
        return not self.errors

    @property
    def errors(self) -> tuple[RuleFinding, ...]:
        return tuple(it for it in self.findings if it.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[RuleFinding, ...]:
        return tuple(it for it in self.findings if it.severity is Severity.WARNING)

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "ok": self.ok,
            "summary": self.summary,
            "findings": [finding.to_json() for finding in self.findings],
        }


# Whether an enquiry and what became of it show what is said.
Shows = Callable[[Facts, Decision], bool]


def analyse(
    rules: RuleSet,
    routes: Routes,
    *,
    at: datetime,
    languages: Collection[str] = ("en", "zh-Hans"),
    countries: Collection[str] = (),
    usage: Iterable[Usage] = (),
) -> Report:
    """Everything that can be proven of *rules* in *routes*, judged at *at*.

    *routes* holds every department, closed ones too, every topic that is offered, and the
    mailboxes that rules name. *languages* are those of the site, *countries* those a visitor may
    choose (ISO 3166-1 alpha-2).
    """
    work = _Analysis(rules, routes, at=at, languages=languages, countries=countries)
    return work.report(
        [
            *work.dead_rules(),
            *work.overlaps(),
            *work.arrivals(),
            *work.words(),
            *work.used(usage),
        ]
    )


def prove_arrival(
    rules: RuleSet,
    routes: Routes,
    *,
    at: datetime,
    languages: Collection[str] = ("en", "zh-Hans"),
    countries: Collection[str] = (),
    asked: Collection[str] = (),
) -> Report:
    """The errors of :func:`analyse` that a change of the directory can bring about.

    Enquiries that find no live mailbox of whom they are meant for, and of the rules *asked* (by
    their ids) those that are never reached. Where nothing is amiss that takes milliseconds.
    """
    work = _Analysis(
        rules, routes, at=at, languages=languages, countries=countries, errors_only=True
    )
    return work.report([*work.arrivals(), *work.dead_rules(asked)])


class _Analysis:
    """One rule set under examination; rules are named by their place, counted from 0."""

    def __init__(
        self,
        rules: RuleSet,
        routes: Routes,
        *,
        at: datetime,
        languages: Collection[str],
        countries: Collection[str],
        errors_only: bool = False,
    ) -> None:
        self._set, self._routes, self._at = rules, routes, at
        self._rules = rules.ordinary
        self._last = rules.rules[-1]
        self._languages, self._countries = tuple(languages), tuple(countries)
        self._errors_only = errors_only
        self._order = {rule.id: place for place, rule in enumerate(rules.rules)}
        self._live = {t.mailbox for t in routes.targets.values() if t.active and t.mailbox}
        self._live |= {t.backup_email for t in routes.targets.values() if t.active}
        self._live |= {box.address for box in routes.mailboxes.values() if self._is_live(box)}
        self._live.discard("")
        self._unsettled: set[int] = set()
        # Of each rule that decides anything, a box of enquiries that it decides; of the others
        # those that come before it.
        self._reached: dict[int, Box] = {}
        self._covered: dict[int, tuple[int, ...]] = {}
        self._all_seen = False

    @cached_property
    def _space(self) -> Space:
        written = [*(tag for tag in self._languages if tag in OPENINGS), *OPENINGS]
        return Space(
            [rule.when for rule in self._rules if rule.when is not None],
            self._routes,
            at=self._at,
            languages=self._languages,
            countries=self._countries,
            text_languages=list(dict.fromkeys(written)),
        )

    @cached_property
    def _boxes(self) -> list[list[Box]]:
        return [
            self._boxes_of(place, rule.when)
            for place, rule in enumerate(self._rules)
            if rule.when is not None
        ]

    @cached_property
    def _prover(self) -> Prover:
        return Prover(self._space, self._boxes)

    @property
    def _every(self) -> int:
        return len(self._prover.boxes)

    def _is_live(self, mailbox: Any) -> bool:
        owner = self._routes.targets.get(mailbox.department)
        return bool(mailbox.live and owner is not None and owner.active)

    def _boxes_of(self, place: int, when: Condition) -> list[Box]:
        try:
            return self._space.boxes(when)
        except Unsettled:
            self._unsettled.add(place)
            return []

    def _look_at_all(self) -> None:
        """Whether each rule ever decides, those that do not out of the way of later ones."""
        if not self._all_seen:
            self._all_seen = True
            for place in range(len(self._rules)):
                self._look_at(place)
                if place in self._covered:
                    self._prover.leave_out(place)

    def _decided_by(self, place: int) -> Box | None:
        """Enquiries that the rule decides."""
        if not self._all_seen and place not in self._reached:
            self._look_at(place)
        return self._reached.get(place)

    def _look_at(self, place: int) -> None:
        """Whether the rule ever decides; if not, which earlier ones see to that."""
        boxes = self._boxes[place]
        if place in self._unsettled:
            return
        try:
            found = self._prover.settle(boxes, self._prover.first[place])
        except Unsettled:
            self._unsettled.add(place)
            return
        if isinstance(found, dict):
            self._reached[place] = found
        else:
            self._covered[place] = tuple(found)

    # ------------------------------------------------------------------ saying it

    def _finding(
        self,
        code: str,
        severity: Severity,
        text: Why,
        examples: Iterable[dict[str, Any]],
        shows: Shows,
        *,
        rule: RoutingRule | None = None,
        covered_by: Sequence[int] = (),
    ) -> RuleFinding:
        """The finding with the first of *examples* that *shows* it; information without one."""
        example: dict[str, Any] | None = None
        for fields in examples:
            facts = facts_from(fields)
            if shows(facts, decide(facts, self._set, self._routes)):
                example = fields
                break
        return RuleFinding(
            code=code,
            severity=severity if example is not None else Severity.INFO,
            text=text if example is not None else say.no_example(text),
            rule=rule.id if rule else None,
            covered_by=tuple(self._rules[place].id for place in covered_by),
            example=example or {},
        )

    def _examples(self, box: Box | None, **given: Any) -> Iterator[dict[str, Any]]:
        closed = self._space.closed(box) if box is not None else None
        if closed is not None:
            yield from enquiries(self._space, closed, **given)

    def _left_of(self, box: Box, upto: int | None = None) -> Box | None:
        """A part of *box* that no rule takes, as far as the bound allows to see."""
        try:
            return self._prover.left_of(box, self._every if upto is None else upto)
        except Unsettled:
            return None

    def _named(self, slug: str) -> Localised:
        if (mailbox := self._routes.mailboxes.get(slug)) and "@" in slug:
            owner = self._routes.department_name(mailbox.department)
            return {tag: f"{name} ({slug})" for tag, name in owner.items()}
        return self._routes.department_name(slug)

    def _rule_names(self, places: Iterable[int]) -> list[Localised]:
        return [self._rules[place].name for place in places]

    def report(self, findings: Iterable[RuleFinding]) -> Report:
        """*findings* in order, and their sum in one sentence."""
        order = list(Severity)
        ordered = sorted(
            findings,
            key=lambda it: (
                order.index(it.severity),
                self._order.get(it.rule or "", len(self._order)),
                it.code,
            ),
        )
        lost = [
            it
            for it in ordered
            if it.severity is Severity.ERROR and it.code.partition(".")[0] in {"route", "target"}
        ]
        return Report(tuple(ordered), say.not_live(lost[0].text) if lost else say.LIVE)

    # ------------------------------------------------------------------ rules never reached

    def dead_rules(self, ids: Collection[str] | None = None) -> Iterator[RuleFinding]:
        """Rules that decide nothing, whatever is asked; only those of *ids* when given."""
        if ids is None:
            self._look_at_all()
        else:
            for id in ids:
                self._decided_by(self._order[id])
        for place in sorted(self._unsettled):
            yield RuleFinding(
                code="rule.unreachable",
                severity=Severity.INFO,
                text=say.unsettled(self._rules[place].name),
                rule=self._rules[place].id,
            )
        for place, covering in self._covered.items():
            yield self._covered_rule(place, covering) if covering else self._impossible(place)

    def _covered_rule(self, place: int, covering: Sequence[int]) -> RuleFinding:
        rule = self._rules[place]

        def shows(facts: Facts, decision: Decision) -> bool:
            return 0 < (decision.rule or 0) <= place and self._matches(place, facts)

        def examples() -> Iterator[dict[str, Any]]:
            shared = [(other, both) for other in covering for both in self._both(other, place)]
            for other, both in shared:
                yield from self._examples(self._left_of(both, self._prover.first[other]))
            # Others before these may be just as much in the way.
            for _, both in shared:
                yield from self._examples(both)

        return self._finding(
            "rule.unreachable",
            Severity.ERROR,
            say.covered(rule.name, self._rule_names(covering)),
            examples(),
            shows,
            rule=rule,
            covered_by=covering,
        )

    def _impossible(self, place: int) -> RuleFinding:
        rule = self._rules[place]
        closed = [
            self._routes.department_name(part.department)
            for part in self._parts(place)
            if isinstance(part, IsOpen) and not self._tells_hours(part.department)
        ]
        unknown = self._unknown(place)
        text = (
            say.never_open(rule.name, closed)
            if closed and not unknown
            else say.impossible(rule.name, unknown)
        )
        return self._finding(
            "rule.unreachable",
            Severity.ERROR,
            text,
            self._examples({}),
            lambda facts, decision: decision.rule_id != rule.id,
            rule=rule,
        )

    def _tells_hours(self, slug: str) -> bool:
        target = self._routes.targets.get(slug)
        return target is not None and target.hours is not None

    def _parts(self, place: int) -> Iterator[Condition]:
        when = self._rules[place].when
        assert when is not None  # RuleSet.read: only the last rule has no condition
        yield from within(when)

    def _matches(self, place: int, facts: Facts) -> bool:
        when = self._rules[place].when
        assert when is not None
        return when.holds(facts, self._routes)

    def _unknown(self, place: int) -> list[tuple[str, str, str]]:
        """What the rule asks for and nobody can choose."""
        offered = {slug for slug, target in self._routes.targets.items() if target.active}
        choices: Mapping[type[Condition], tuple[str, str, Collection[str]]] = {
            TopicIs: ("topic", "咨询事项", self._routes.topics),
            DepartmentIs: ("department", "部门", offered),
            ReplyLanguageIs: ("reply language", "回复语言", {*self._languages, "any"}),
            CountryIs: ("country", "国家或地区", self._countries),
        }
        found: dict[tuple[str, str, str], None] = {}
        for part in self._parts(place):
            if (choice := choices.get(type(part))) is None:
                continue
            en, zh, known = choice
            for value in part.values:  # type: ignore[attr-defined]
                if value not in known:
                    found[en, zh, value] = None
        return list(found)

    # ------------------------------------------------------------------ overlaps

    def overlaps(self) -> Iterator[RuleFinding]:
        """Rules some of whose enquiries an earlier rule decides otherwise."""
        self._look_at_all()
        outcomes: dict[str, int] = {}
        same: list[int] = []
        for place in self._prover.rule_of:
            rule = self._rules[place]
            told = json.dumps([rule.send_to, rule.outcome.to_json()], sort_keys=True)
            same.append(outcomes.setdefault(told, len(outcomes)))
        of_outcome = [0] * len(outcomes)
        for number, outcome in enumerate(same):
            of_outcome[outcome] |= 1 << number
        for place in self._reached:
            first = self._prover.first[place]
            if first == self._prover.first[place + 1]:
                continue
            if finding := self._overlap(place, ~of_outcome[same[first]]):
                yield finding

    def _overlap(self, place: int, other: int) -> RuleFinding | None:
        """What boxes in *other*, before the rule, take of it."""
        prover, upto = self._prover, self._prover.first[place]
        met = serious = 0
        for box in self._closed(place):
            meeting = prover.meeting(box, upto) & other
            if not meeting:
                continue
            met |= meeting
            apart = ~prover.around(box, upto, words=False) & ~prover.inside(box, upto)
            if prover.needs_word(box):
                apart &= ~prover.needing
            serious |= meeting & apart
        if not met:
            return None
        earlier = self._rules_of(met)
        rule = self._rules[place]
        tried = 0
        undecided = False

        def shows(facts: Facts, decision: Decision) -> bool:
            decided = (decision.rule or 0) - 1
            return decided in earlier and self._matches(place, facts)

        def examples() -> Iterator[dict[str, Any]]:
            nonlocal tried, undecided
            for one in earlier:
                for both in self._both(one, place):
                    tried += 1
                    if tried > _PAIRS_TRIED:
                        undecided = True
                        return
                    if (left := self._left_of(both, prover.first[one])) is not None:
                        undecided = True  # there are such enquiries, whatever text they need
                        yield from self._examples(left)

        words = say.overlap if serious else say.exception
        finding = self._finding(
            "rule.overlap",
            Severity.WARNING if serious else Severity.INFO,
            words(rule.name, self._rule_names(earlier)),
            examples(),
            shows,
            rule=rule,
            covered_by=tuple(earlier),
        )
        # Rules that do as this one does may come before all of them: then nothing differs.
        return finding if finding.example or undecided else None

    def _closed(self, place: int) -> list[Box]:
        closed = (self._space.closed(box) for box in self._boxes[place])
        return [box for box in closed if box is not None]

    def _both(self, one: int, other: int) -> Iterator[Box]:
        """What two rules have in common, box by box."""
        for first in self._closed(one):
            for second in self._closed(other):
                both = meet(first, second)
                if both is not None and (closed := self._space.closed(both)) is not None:
                    yield closed

    def _rules_of(self, boxes: int) -> dict[int, None]:
        """The rules of *boxes*, in their order."""
        return dict.fromkeys(self._prover.rule_of[number - 1] for number in bits(boxes))

    # ------------------------------------------------------------------ where enquiries arrive

    def arrivals(self) -> Iterator[RuleFinding]:
        """Whatever keeps an enquiry from a live and verified mailbox of whom it is meant for."""
        self._told: set[str] = set()  # departments whose mailbox was spoken of
        self._unverified: set[str] = set()
        if not self._errors_only:
            self._look_at_all()
        lost: set[str] = set()
        for rule, box in self._deciding():
            yield from self._targets(rule, box)
            if rule.send_to not in lost and (found := self._rule_arrival(rule, box)):
                if found.severity is Severity.ERROR:
                    lost.add(rule.send_to)
                yield found
        yield from self._topics()
        yield from self._chosen()
        yield from self._rings()

    def _deciding(self) -> Iterator[tuple[RoutingRule, Box]]:
        """The rules that decide, each with enquiries that it does; where errors alone are wanted,
        those whose targets are not all in order.
        """
        for place, rule in enumerate(self._rules):
            if self._errors_only and not self._is_troubled(rule):
                continue
            if (box := self._decided_by(place)) is not None:
                yield rule, box
        if not self._errors_only or self._is_troubled(self._last):
            space = self._space
            rest = self._left_of({**space.only("topic", ""), **space.only("department", "")})
            if rest is not None:
                yield self._last, rest

    def _is_troubled(self, rule: RoutingRule) -> bool:
        """Whether anything of where the rule sends to could be an error."""
        for to in rule.recipients:
            target = self._routes.targets.get(to)
            fine = bool(target and target.active and target.mailbox)
            if not (to in self._live if "@" in to else fine):
                return True
        return False

    def _decides(self, rule: RoutingRule) -> Shows:
        return lambda facts, decision: decision.rule_id == rule.id

    def _targets(self, rule: RoutingRule, box: Box) -> Iterator[RuleFinding]:
        """Whom the rule writes to and who cannot be written to."""
        for to in rule.recipients:
            copy = to != rule.send_to
            mailbox = self._routes.mailboxes.get(to)
            owner = mailbox.department if mailbox else to
            target = self._routes.targets.get(owner)
            name = self._named(to)
            if target is None or not target.active:
                if "@" in to and mailbox is None:
                    text = say.closed(rule.name, say.plain(to), exists=False, copy=copy)
                    code = "target.no_mailbox"
                else:
                    text = say.closed(rule.name, name, exists=target is not None, copy=copy)
                    code = "target.closed"
                severity = Severity.ERROR
            elif mailbox.live if mailbox else target.mailbox:
                continue
            else:
                suspended = bool(mailbox or target.last_mailbox)
                code = "target.suspended" if suspended else "target.no_mailbox"
                arrival = arrive(to, self._routes, self._at)
                alone = self._only_desk(to)
                text = say.without_mailbox(
                    rule.name,
                    name,
                    suspended=suspended,
                    copy=copy,
                    caught_by=None if alone else arrival.department.name,
                )
                severity = Severity.ERROR if alone and not copy else Severity.WARNING
                self._told.add(owner)
            yield self._finding(
                code, severity, text, self._examples(box), self._decides(rule), rule=rule
            )

    def _only_desk(self, send_to: str) -> bool:
        """Whether nobody but the desk, which is not asked for, receives what goes to *send_to*."""
        routes = self._routes
        if (mailbox := routes.mailboxes.get(send_to)) is not None:
            send_to = mailbox.department
        asked: set[str] = set()
        while send_to and send_to not in asked:
            asked.add(send_to)
            target = routes.targets.get(send_to)
            if target is None:
                return True
            if target.active and (target.mailbox or target.backup_email):
                return False
            send_to = target.deputy if target.active else target.successor
        return True

    def _rule_arrival(self, rule: RoutingRule, box: Box) -> RuleFinding | None:
        return self._arrival(
            rule.send_to,
            self._examples(box),
            lambda decision: decision.rule_id == rule.id,
            say.lost(rule=rule.name),
            rule=rule,
        )

    def _arrival(
        self,
        send_to: str,
        examples: Iterable[dict[str, Any]],
        way: Callable[[Decision], bool],
        lost: Why,
        *,
        rule: RoutingRule | None = None,
    ) -> RuleFinding | None:
        """A finding where what is meant for *send_to* ends in no live mailbox, or in one that
        nobody verified and that was not spoken of.
        """
        arrival = arrive(send_to, self._routes, self._at)
        if arrival.address not in self._live:
            return self._finding(
                "route.none",
                Severity.ERROR,
                lost,
                examples,
                lambda facts, decision: way(decision) and decision.recipient not in self._live,
                rule=rule,
            )
        if self._is_fine(arrival.address, arrival.department):
            return None
        self._unverified.add(arrival.address)
        return self._finding(
            "route.none",
            Severity.WARNING,
            say.unverified(arrival.department.name, arrival.address),
            examples,
            lambda facts, decision: way(decision) and decision.recipient == arrival.address,
            rule=rule,
        )

    def _is_fine(self, address: str, department: Target) -> bool:
        """Whether nothing is to be said of a mailbox that is live: verified, or told already."""
        if self._errors_only or address in self._unverified:
            return True
        if address == department.mailbox:
            return department.verified
        if (mailbox := self._routes.mailboxes.get(address)) is not None:
            return mailbox.verified
        return True  # one to stand in, which is nobody's entry in the directory

    def _topics(self) -> Iterator[RuleFinding]:
        """Topics whose own department cannot be reached, where no rule takes their enquiries."""
        routes = self._routes
        for topic in routes.topics.values():
            known = routes.targets.get(topic.department)
            meant = topic.department if known is not None else self._last.send_to
            alone = self._only_desk(topic.department)
            arrival = arrive(meant, routes, self._at)
            fine = arrival.address in self._live and self._is_fine(
                arrival.address, arrival.department
            )
            if fine and not alone:
                continue
            way = {**self._space.only("topic", topic.code), **self._space.only("department", "")}
            if (left := self._left_of(way)) is None:
                continue
            found = self._arrival(
                meant,
                self._examples(left),
                lambda decision: decision.reason in {"topic", "fallback"},
                say.lost(topic=topic.label),
            )
            if found:
                yield found
            if alone and (found is None or found.severity is not Severity.ERROR):
                self._told.add(topic.department)
                yield self._finding(
                    "route.none",
                    Severity.ERROR,
                    say.topic_only_desk(topic.label, known.name if known else None),
                    self._examples(left),
                    lambda facts, decision: decision.reason in {"topic", "fallback"},
                )

    def _chosen(self) -> Iterator[RuleFinding]:
        """Departments that visitors choose themselves."""
        routes = self._routes
        for slug, target in routes.targets.items():
            if not target.active:
                continue
            arrival = arrive(slug, routes, self._at)
            suspended = not target.mailbox and bool(target.last_mailbox)
            fine = arrival.address in self._live and self._is_fine(
                arrival.address, arrival.department
            )
            if fine and (not suspended or self._errors_only or slug in self._told):
                continue
            left, given = self._choosing(slug)
            if left is None:
                continue
            written = list(self._examples(left, **given))
            found = self._arrival(
                slug,
                written,
                lambda decision: decision.reason == "department",
                say.lost(department=target.name),
            )
            if found:
                yield found
            if suspended and slug not in self._told and arrival.address in self._live:
                yield self._finding(
                    "target.suspended",
                    Severity.WARNING,
                    say.chosen_without_mailbox(target.name, arrival.department.name),
                    written,
                    lambda facts, decision, slug=slug: (  # type: ignore[misc]
                        decision.reason == "department" and slug in decision.passed_over
                    ),
                )

    def _choosing(self, slug: str) -> tuple[Box | None, dict[str, str]]:
        """Enquiries of those who choose the department that no rule takes, and what to put in."""
        if slug in self._stand_in[1]:
            return self._left_of(self._space.only("department", slug)), {}
        return self._stand_in[2], {"department": slug}

    @cached_property
    def _stand_in(self) -> tuple[str, frozenset[str], Box | None]:
        """The department that stands for those no rule names; those that rules name; and what no
        rule takes of the first.
        """
        named = frozenset(
            value
            for place in range(len(self._rules))
            for part in self._parts(place)
            if type(part) is DepartmentIs
            for value in part.values
        )
        own = self._space.allowed({}, "department")
        one = next((slug for slug in own if slug and slug not in named), "")
        left = self._left_of(self._space.only("department", one)) if one else None
        return one, named, left

    def _rings(self) -> Iterator[RuleFinding]:
        """Departments that stand in for one another in a circle."""
        targets = self._routes.targets
        done: set[str] = set()
        for start in targets:
            way: list[str] = []
            at = start
            while at in targets and targets[at].active and at not in done:
                done.add(at)
                way.append(at)
                at = targets[at].deputy
            if at not in way:
                continue
            ring = way[way.index(at) :]
            live = any(targets[slug].mailbox or targets[slug].backup_email for slug in ring)
            yield self._finding(
                "cover.cycle",
                Severity.WARNING if live else Severity.ERROR,
                say.ring([targets[slug].name for slug in ring], live=live),
                (fields for slug in ring for fields in self._for_department(slug)),
                lambda facts, decision, ring=ring: (  # type: ignore[misc]
                    not {targets[slug].id for slug in ring}.isdisjoint({decision.department_id})
                    or not set(ring).isdisjoint(decision.passed_over)
                ),
            )

    def _for_department(self, slug: str) -> Iterator[dict[str, Any]]:
        """Enquiries meant for the department: chosen, of its topics, or by a rule."""
        space = self._space
        left, given = self._choosing(slug)
        yield from self._examples(left, **given)
        for topic in self._routes.topics.values():
            if topic.department == slug:
                way = {**space.only("topic", topic.code), **space.only("department", "")}
                yield from self._examples(self._left_of(way))
        for place, rule in enumerate(self._rules):
            if rule.send_to == slug:
                yield from self._examples(self._decided_by(place))

    # ------------------------------------------------------------------ words

    def words(self) -> Iterator[RuleFinding]:
        """Words of one language alone, and words that two rules look for."""
        self._look_at_all()
        for place in sorted(self._reached):
            if finding := self._one_language(place):
                yield finding
            if finding := self._repeated(place):
                yield finding

    def _one_language(self, place: int) -> RuleFinding | None:
        boxes = self._boxes[place]
        spoken: set[str] = set()
        languages = {
            fold(word): part.language or _script(word)
            for part in self._parts(place)
            if isinstance(part, Mentions)
            for word in part.words
        }
        for box in boxes:
            words = self._space.words(box)
            if not words:
                return None
            spoken |= {languages[fold(word)] for word in words}
        if "" in spoken or not spoken:
            return None
        missing = {
            tag: rest
            for tag in self._languages
            if tag not in spoken
            and tag in OPENINGS
            and (rest := self._written_in(tag, boxes)) is not None
        }
        if not missing:
            return None
        rule = self._rules[place]
        return self._finding(
            "words.one_language",
            Severity.WARNING,
            say.one_language(rule.name, list(missing)),
            (
                fields
                for tag, box in missing.items()
                for opening in OPENINGS[tag]
                for fields in self._examples(box, message=opening)
            ),
            lambda facts, decision: facts.language in missing and not self._matches(place, facts),
            rule=rule,
        )

    def _written_in(self, tag: str, boxes: Sequence[Box]) -> Box | None:
        """What is asked beside words, where somebody who writes in *tag* can meet it."""
        for box in boxes:
            if not self._space.admits(box, "text_language", tag):
                continue
            if any(self._space.admits(box, "reply_language", reply) for reply in (tag, "any")):
                return {at: mask for at, mask in box.items() if at < self._space.words_from}
        return None

    def _repeated(self, place: int) -> RuleFinding | None:
        upto = self._prover.first[place]
        found: dict[int, None] = {}
        words: dict[str, None] = {}
        for box in self._boxes[place]:
            for at, mask in box.items():
                if at < self._space.words_from or mask != PRESENT:
                    continue
                if self._space.names[at][0] != "word":
                    continue
                sharing = self._prover.having(at, upto)
                if not sharing or (whole := self._space.closed(box)) is None:
                    continue
                sharing &= self._prover.meeting(whole, upto)
                if sharing:
                    words[self._space.names[at][1]] = None
                    found |= self._rules_of(sharing)
        if not found:
            return None
        rule, earlier = self._rules[place], sorted(found)
        shared = {fold(word) for word in words}

        def examples() -> Iterator[dict[str, Any]]:
            for other in earlier[:_PAIRS_TRIED]:
                for both in self._both(other, place):
                    if not shared.isdisjoint(map(fold, self._space.words(both))):
                        yield from self._examples(both)

        return self._finding(
            "words.repeated",
            Severity.WARNING,
            say.repeated(list(words), rule.name, self._rule_names(earlier)),
            examples(),
            lambda facts, decision: (
                self._matches(place, facts)
                and any(self._matches(other, facts) for other in earlier[:_PAIRS_TRIED])
            ),
            rule=rule,
            covered_by=earlier,
        )

    # ------------------------------------------------------------------ use

    def used(self, usage: Iterable[Usage]) -> Iterator[RuleFinding]:
        """Rules that decide nothing, and rules whose enquiries are moved on."""
        self._look_at_all()
        places = {rule.id: place for place, rule in enumerate(self._rules)}
        for use in usage:
            place = places.get(use.rule)
            if place is None or place not in self._reached:
                continue
            rule = self._rules[place]
            if not use.decided and use.since <= self._at - timedelta(days=UNUSED_DAYS):
                code, text = "rule.unused", say.unused(rule.name, UNUSED_DAYS)
            elif use.decided >= OFTEN_FROM and use.moved >= OFTEN_SHARE * use.decided:
                code = "rule.often_moved"
                text = say.often_moved(rule.name, use.decided, use.moved)
            else:
                continue
            yield self._finding(
                code,
                Severity.WARNING,
                text,
                self._examples(self._reached[place]),
                self._decides(rule),
                rule=rule,
            )


def _script(word: str) -> str:
    """The language a word without one is taken to be of; "" for a number, which is of any."""
    if is_unspaced(word):
        return "zh-Hans"
    return "en" if any(letter.isalpha() for letter in word) else ""
