"""A rule set under examination: which rules decide, and examples put through ``decide``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from directory.domain import analysis_words as say
from directory.domain.conditions import Condition, Facts, Routes, Why, within
from directory.domain.contacts import Localised
from directory.domain.enquiry import Decision
from directory.domain.proving import Prover
from directory.domain.report import RuleFinding, Severity
from directory.domain.routing import RoutingRule, RuleSet, decide, facts_from
from directory.domain.rule_index import bits
from directory.domain.space import Box, Space, Unsettled, meet
from directory.domain.specimens import OPENINGS, enquiries

# Ten thousand rules on words alone all meet one another: nobody reads, and no memory holds, all
# pairs of them.
MOST_EARLIER: Final = 200
_FEW: Final = 5

# Whether an enquiry and what became of it show what is said.
Shows = Callable[[Facts, Decision], bool]


class Examination:
    """*rules* in *routes*, judged at *at*; rules are named by their place, counted from 0.

    ``reached`` has for each rule that decides anything a box of enquiries that it decides, and
    ``covered`` for the others the rules before them that take all of theirs; ``unsettled`` are
    those of which that could not be found out. Each is looked at when first asked about.
    """

    def __init__(
        self,
        rules: RuleSet,
        routes: Routes,
        *,
        at: datetime,
        languages: Collection[str],
        countries: Collection[str],
    ) -> None:
        self.rule_set, self.routes, self.at = rules, routes, at
        self.rules = rules.ordinary
        self.last = rules.rules[-1]
        self.languages, self.countries = tuple(languages), tuple(countries)
        self.order = {rule.id: place for place, rule in enumerate(rules.rules)}
        self.unsettled: set[int] = set()
        self.reached: dict[int, Box] = {}
        self.covered: dict[int, tuple[int, ...]] = {}
        self._all_seen = False

    @cached_property
    def space(self) -> Space:
        """The enquiries that the rules tell apart."""
        written = [*(tag for tag in self.languages if tag in OPENINGS), *OPENINGS]
        return Space(
            [rule.when for rule in self.rules if rule.when is not None],
            self.routes,
            at=self.at,
            languages=self.languages,
            countries=self.countries,
            text_languages=list(dict.fromkeys(written)),
        )

    @cached_property
    def boxes(self) -> list[list[Box]]:
        """What each rule describes."""
        return [
            self._boxes_of(place, rule.when)
            for place, rule in enumerate(self.rules)
            if rule.when is not None
        ]

    @cached_property
    def prover(self) -> Prover:
        """Answers questions about all boxes at once."""
        return Prover(self.space, self.boxes)

    @property
    def every(self) -> int:
        """How many boxes there are."""
        return len(self.prover.boxes)

    def _boxes_of(self, place: int, when: Condition) -> list[Box]:
        try:
            return self.space.boxes(when)
        except Unsettled:
            self.unsettled.add(place)
            return []

    def look_at_all(self) -> None:
        """Whether each rule ever decides, those that do not out of the way of later ones."""
        if not self._all_seen:
            self._all_seen = True
            for place in range(len(self.rules)):
                self._look_at(place)
                if place in self.covered:
                    self.prover.leave_out(place)

    def decided_by(self, place: int) -> Box | None:
        """Enquiries that the rule decides, None where it decides none.

        Where that could not be settled, some that it describes.
        """
        if not self._all_seen and place not in self.reached:
            self._look_at(place)
        if place in self.unsettled:
            return next(iter(self.closed(place)), {})
        return self.reached.get(place)

    def _look_at(self, place: int) -> None:
        """Whether the rule ever decides; if not, which earlier ones see to that."""
        boxes = self.boxes[place]
        if place in self.unsettled:
            return
        try:
            found = self.prover.settle(boxes, self.prover.first[place])
        except Unsettled:
            self.unsettled.add(place)
            return
        if isinstance(found, dict):
            self.reached[place] = found
        else:
            self.covered[place] = tuple(found)

    def finding(
        self,
        code: str,
        severity: Severity,
        text: Why,
        examples: Iterable[dict[str, Any]],
        shows: Shows,
        *,
        rule: RoutingRule | None = None,
        covered_by: Sequence[int] = (),
        certain: bool = False,
    ) -> RuleFinding:
        """The finding with the first of *examples* that *shows* it.

        Without one it is for information only, unless it is *certain*: words and languages count
        as free of one another and installed conditions as free to hold, so that what is never so
        of these enquiries is never so at all, and what is so of one need not be.
        """
        example: dict[str, Any] | None = None
        for fields in examples:
            facts = facts_from(fields)
            if shows(facts, decide(facts, self.rule_set, self.routes)):
                example = fields
                break
        return RuleFinding(
            code=code,
            severity=severity if certain or example is not None else Severity.INFO,
            text=text if example is not None else say.no_example(text),
            rule=rule.id if rule else None,
            covered_by=tuple(self.rules[place].id for place in covered_by),
            example=example or {},
        )

    def examples(self, box: Box | None, **given: Any) -> Iterator[dict[str, Any]]:
        """Enquiries of *box*, the plainest first, with *given* fields; none of None."""
        closed = self.space.closed(box) if box is not None else None
        if closed is not None:
            yield from enquiries(self.space, closed, **given)

    def left_of(self, box: Box, upto: int | None = None) -> Box | None:
        """A part of *box* that none of the first *upto* boxes takes, or no rule; None for nothing.

        Where that cannot be settled all of *box*: examples of it tell, or fail to.
        """
        try:
            return self.prover.left_of(box, self.every if upto is None else upto)
        except Unsettled:
            return box

    def named(self, slug: str) -> Localised:
        """The name of a department, or of the mailbox that an address is."""
        if (mailbox := self.routes.mailboxes.get(slug)) and "@" in slug:
            owner = self.routes.department_name(mailbox.department)
            return {tag: f"{name} ({slug})" for tag, name in owner.items()}
        return self.routes.department_name(slug)

    def names(self, places: Sequence[int]) -> list[Localised]:
        """The names of the rules *places*; of as many as are ever given, the first few."""
        if len(places) < MOST_EARLIER:
            return [self.rules[place].name for place in places]
        return [*(self.rules[place].name for place in places[:_FEW]), say.MANY_MORE]

    def decides(self, rule: RoutingRule) -> Shows:
        """That *rule* decides shows it."""
        return lambda facts, decision: decision.rule_id == rule.id

    def parts(self, place: int) -> Iterator[Condition]:
        """Every condition in the rule."""
        when = self.rules[place].when
        assert when is not None  # RuleSet.read: only the last rule has no condition
        yield from within(when)

    def matches(self, place: int, facts: Facts) -> bool:
        """Whether the rule's condition holds, whichever rule decides."""
        when = self.rules[place].when
        assert when is not None
        return when.holds(facts, self.routes)

    def closed(self, place: int) -> list[Box]:
        """What the rule describes, with what words bring with them."""
        closed = (self.space.closed(box) for box in self.boxes[place])
        return [box for box in closed if box is not None]

    def both(self, one: int, other: int) -> Iterator[Box]:
        """What two rules have in common, box by box."""
        for first in self.closed(one):
            for second in self.closed(other):
                both = meet(first, second)
                if both is not None and (closed := self.space.closed(both)) is not None:
                    yield closed

    def rules_of(self, boxes: int) -> list[int]:
        """The rules of *boxes*, in their order; no more than the first ``MOST_EARLIER``."""
        found: dict[int, None] = {}
        for number in bits(boxes):
            found[self.prover.rule_of[number - 1]] = None
            if len(found) == MOST_EARLIER:
                break
        return list(found)
