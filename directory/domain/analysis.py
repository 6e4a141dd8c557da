"""What can be proven of a rule set: dead rules, overlaps, a way to a live mailbox for all.

Exact over everything finite that rules ask for: topics, departments, languages, countries, pages,
answers, and the hours at which departments really are open together in the coming year. Words are
free of one another, but for those that contain others; what an installed package's condition
makes of an enquiry is anybody's guess, and free as well.

Every finding comes with an enquiry that was put through ``decide`` and shows it. Where none could
be written it says so, and is for information only unless it is certain all the same; where finding
out would take too long (see ``domain/proving.py``) that is said.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from directory.domain import analysis_words as say
from directory.domain.arrivals import Arrivals
from directory.domain.conditions import (
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    IsOpen,
    Mentions,
    ReplyLanguageIs,
    Routes,
    TopicIs,
    fold,
    is_unspaced,
)
from directory.domain.enquiry import Decision
from directory.domain.examining import Examination
from directory.domain.report import Report, RuleFinding, Severity, Usage
from directory.domain.routing import RuleSet
from directory.domain.space import PRESENT, Box
from directory.domain.specimens import OPENINGS

__all__ = ["Report", "RuleFinding", "Severity", "Usage", "analyse", "prove_arrival"]

UNUSED_DAYS: Final = 90
# A rule is said to be moved often from so many decided on, and this share of them.
OFTEN_FROM: Final = 5
OFTEN_SHARE: Final = 0.2
# So many pairs are tried for an example of an overlap before none is given.
_PAIRS_TRIED: Final = 200


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
    work = Examination(rules, routes, at=at, languages=languages, countries=countries)
    return _report(
        work,
        [
            *_dead_rules(work),
            *_overlaps(work),
            *Arrivals(work).findings(),
            *_words(work),
            *_used(work, usage),
        ],
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
    work = Examination(rules, routes, at=at, languages=languages, countries=countries)
    arrivals = Arrivals(work, errors_only=True)
    return _report(work, [*arrivals.findings(), *_dead_rules(work, asked)])


def _report(work: Examination, findings: Iterable[RuleFinding]) -> Report:
    """*findings* in order, and their sum in one sentence."""
    order = list(Severity)
    ordered = sorted(
        findings,
        key=lambda it: (
            order.index(it.severity),
            work.order.get(it.rule or "", len(work.order)),
            it.code,
        ),
    )
    lost = [
        it
        for it in ordered
        if it.severity is Severity.ERROR and it.code.partition(".")[0] in {"route", "target"}
    ]
    return Report(tuple(ordered), say.not_live(lost[0].text) if lost else say.LIVE)


def _dead_rules(work: Examination, ids: Collection[str] | None = None) -> Iterator[RuleFinding]:
    """Rules that decide nothing, whatever is asked; only those of *ids* when given."""
    if ids is None:
        work.look_at_all()
    else:
        for id in ids:
            work.decided_by(work.order[id])
    for place in sorted(work.unsettled):
        yield RuleFinding(
            code="rule.unreachable",
            severity=Severity.INFO,
            text=say.unsettled(work.rules[place].name),
            rule=work.rules[place].id,
        )
    for place, covering in work.covered.items():
        yield _covered_rule(work, place, covering) if covering else _impossible(work, place)


def _covered_rule(work: Examination, place: int, covering: Sequence[int]) -> RuleFinding:
    rule = work.rules[place]

    def shows(facts: Facts, decision: Decision) -> bool:
        return 0 < (decision.rule or 0) <= place and work.matches(place, facts)

    def examples() -> Iterator[dict[str, Any]]:
        shared = [(other, both) for other in covering for both in work.both(other, place)]
        for other, both in shared:
            yield from work.examples(work.left_of(both, work.prover.first[other]))
        # Others before these may be just as much in the way.
        for _, both in shared:
            yield from work.examples(both)

    return work.finding(
        "rule.unreachable",
        Severity.ERROR,
        say.covered(rule.name, work.names(covering)),
        examples(),
        shows,
        rule=rule,
        covered_by=covering,
        certain=True,
    )


def _impossible(work: Examination, place: int) -> RuleFinding:
    rule = work.rules[place]
    closed = [
        work.routes.department_name(part.department)
        for part in work.parts(place)
        if isinstance(part, IsOpen) and not _tells_hours(work, part.department)
    ]
    unknown = _unknown(work, place)
    text = (
        say.never_open(rule.name, closed)
        if closed and not unknown
        else say.impossible(rule.name, unknown)
    )
    return work.finding(
        "rule.unreachable",
        Severity.ERROR,
        text,
        work.examples({}),
        lambda facts, decision: decision.rule_id != rule.id,
        rule=rule,
        certain=True,
    )


def _tells_hours(work: Examination, slug: str) -> bool:
    target = work.routes.targets.get(slug)
    return target is not None and target.hours is not None


def _unknown(work: Examination, place: int) -> list[tuple[str, str, str]]:
    """What the rule asks for and nobody can choose."""
    offered = {slug for slug, target in work.routes.targets.items() if target.active}
    choices: Mapping[type[Condition], tuple[str, str, Collection[str]]] = {
        TopicIs: ("topic", "咨询事项", work.routes.topics),
        DepartmentIs: ("department", "部门", offered),
        ReplyLanguageIs: ("reply language", "回复语言", {*work.languages, "any"}),
        CountryIs: ("country", "国家或地区", work.countries),
    }
    found: dict[tuple[str, str, str], None] = {}
    for part in work.parts(place):
        if (choice := choices.get(type(part))) is None:
            continue
        en, zh, known = choice
        for value in part.values:  # type: ignore[attr-defined]
            if value not in known:
                found[en, zh, value] = None
    return list(found)


def _overlaps(work: Examination) -> Iterator[RuleFinding]:
    """Rules some of whose enquiries an earlier rule decides otherwise."""
    work.look_at_all()
    outcomes: dict[str, int] = {}
    same: list[int] = []
    for place in work.prover.rule_of:
        rule = work.rules[place]
        told = json.dumps([rule.send_to, rule.outcome.to_json()], sort_keys=True)
        same.append(outcomes.setdefault(told, len(outcomes)))
    of_outcome = [0] * len(outcomes)
    for number, outcome in enumerate(same):
        of_outcome[outcome] |= 1 << number
    for place in work.reached:
        first = work.prover.first[place]
        if first == work.prover.first[place + 1]:
            continue
        if finding := _overlap(work, place, ~of_outcome[same[first]]):
            yield finding


def _overlap(work: Examination, place: int, other: int) -> RuleFinding | None:
    """What boxes in *other*, before the rule, take of it."""
    prover, upto = work.prover, work.prover.first[place]
    met = serious = otherwise = 0
    for box in work.closed(place):
        meeting = prover.meeting(box, upto) & other
        if not meeting:
            continue
        met |= meeting
        apart = ~prover.around(box, upto, words=False) & ~prover.inside(box, upto)
        by_words = prover.needing if prover.needs_word(box) else 0
        serious |= meeting & apart & ~by_words
        otherwise |= meeting & ~by_words
    if not met:
        return None
    earlier = work.rules_of(met)
    rule = work.rules[place]
    tried = 0
    undecided = False

    def shows(facts: Facts, decision: Decision) -> bool:
        decided = (decision.rule or 0) - 1
        return decided in earlier and work.matches(place, facts)

    def examples() -> Iterator[dict[str, Any]]:
        nonlocal tried, undecided
        for one in earlier:
            for both in work.both(one, place):
                tried += 1
                if tried > _PAIRS_TRIED:
                    undecided = True
                    return
                if (left := work.left_of(both, prover.first[one])) is not None:
                    undecided = True  # there are such enquiries, whatever text they need
                    yield from work.examples(left)

    words = say.overlap if serious else say.exception if otherwise else say.by_words
    finding = work.finding(
        "rule.overlap",
        Severity.WARNING if serious else Severity.INFO,
        words(rule.name, work.names(earlier)),
        examples(),
        shows,
        rule=rule,
        covered_by=earlier,
    )
    # Rules that do as this one does may come before all of them: then nothing differs.
    return finding if finding.example or undecided else None


def _words(work: Examination) -> Iterator[RuleFinding]:
    """Words of one language alone, and words that two rules look for."""
    work.look_at_all()
    for place in sorted(work.reached):
        if finding := _one_language(work, place):
            yield finding
        if finding := _repeated(work, place):
            yield finding


def _one_language(work: Examination, place: int) -> RuleFinding | None:
    boxes = work.boxes[place]
    spoken: set[str] = set()
    languages = {
        fold(word): part.language or _script(word)
        for part in work.parts(place)
        if isinstance(part, Mentions)
        for word in part.words
    }
    for box in boxes:
        words = work.space.words(box)
        if not words:
            return None
        spoken |= {languages[fold(word)] for word in words}
    if "" in spoken or not spoken:
        return None
    missing = {
        tag: rest
        for tag in work.languages
        if tag not in spoken
        and tag in OPENINGS
        and (rest := _written_in(work, tag, boxes)) is not None
    }
    if not missing:
        return None
    rule = work.rules[place]
    return work.finding(
        "words.one_language",
        Severity.WARNING,
        say.one_language(rule.name, list(missing)),
        (
            fields
            for tag, box in missing.items()
            for opening in OPENINGS[tag]
            for fields in work.examples(box, message=opening)
        ),
        lambda facts, decision: facts.language in missing and not work.matches(place, facts),
        rule=rule,
    )


def _written_in(work: Examination, tag: str, boxes: Sequence[Box]) -> Box | None:
    """What is asked beside words, where somebody who writes in *tag* can meet it."""
    for box in boxes:
        if not work.space.admits(box, "text_language", tag):
            continue
        if any(work.space.admits(box, "reply_language", reply) for reply in (tag, "any")):
            return {at: mask for at, mask in box.items() if at < work.space.words_from}
    return None


def _repeated(work: Examination, place: int) -> RuleFinding | None:
    upto = work.prover.first[place]
    found = 0
    words: dict[str, None] = {}
    for box in work.boxes[place]:
        for at, mask in box.items():
            if at < work.space.words_from or mask != PRESENT:
                continue
            if work.space.names[at][0] != "word":
                continue
            sharing = work.prover.having(at, upto)
            if not sharing or (whole := work.space.closed(box)) is None:
                continue
            sharing &= work.prover.meeting(whole, upto)
            if sharing:
                words[work.space.names[at][1]] = None
                found |= sharing
    if not found:
        return None
    rule, earlier = work.rules[place], work.rules_of(found)
    shared = {fold(word) for word in words}

    def examples() -> Iterator[dict[str, Any]]:
        for other in earlier:
            for both in work.both(other, place):
                if not shared.isdisjoint(map(fold, work.space.words(both))):
                    yield from work.examples(both)

    return work.finding(
        "words.repeated",
        Severity.WARNING,
        say.repeated(list(words), rule.name, work.names(earlier)),
        examples(),
        lambda facts, decision: (
            work.matches(place, facts) and any(work.matches(other, facts) for other in earlier)
        ),
        rule=rule,
        covered_by=earlier,
    )


def _used(work: Examination, usage: Iterable[Usage]) -> Iterator[RuleFinding]:
    """Rules that decide nothing, and rules whose enquiries are moved on."""
    work.look_at_all()
    places = {rule.id: place for place, rule in enumerate(work.rules)}
    for use in usage:
        place = places.get(use.rule)
        if place is None or place not in work.reached:
            continue
        rule = work.rules[place]
        if not use.decided and use.since <= work.at - timedelta(days=UNUSED_DAYS):
            code, text = "rule.unused", say.unused(rule.name, UNUSED_DAYS)
        elif use.decided >= OFTEN_FROM and use.moved >= OFTEN_SHARE * use.decided:
            code = "rule.often_moved"
            text = say.often_moved(rule.name, use.decided, use.moved)
        else:
            continue
        yield work.finding(
            code,
            Severity.WARNING,
            text,
            work.examples(work.reached[place]),
            work.decides(rule),
            rule=rule,
        )


def _script(word: str) -> str:
    """The language a word without one is taken to be of; "" for a number, which is of any."""
    if is_unspaced(word):
        return "zh-Hans"
    return "en" if any(letter.isalpha() for letter in word) else ""
