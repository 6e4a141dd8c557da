"""Changes of the directory that would leave enquiries without anybody to read them are refused.

The same proof that stands before a publication stands behind every change a person makes: closing
a department, taking away a mailbox, moving a topic. What evidence does to a mailbox is a fact and
is never refused; the proof then says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from directory.domain.analysis import Report, RuleFinding
from directory.domain.conditions import Routes
from directory.domain.errors import Conflict, NotFound
from directory.domain.routing import RuleSet
from directory.services.proofs import prove_arrival_in, whole_directory
from directory.services.rules import standing_rules
from directory.settings import Settings

# Set on a session while somebody further out will prove the whole.
_WATCHED: Final = "nobody_stranded"

# The rules whose reach a change may spoil, by their ids.
Asked = Callable[[RuleSet], Collection[str]]


class WouldStrand(Conflict):
    """A change that would leave enquiries without a live mailbox that have one now.

    ``finding`` is the first of what would be wrong; its example is such an enquiry.
    """

    def __init__(self, finding: RuleFinding) -> None:
        self.finding = finding
        super().__init__(self.text("en"))

    def text(self, language: str) -> str:
        shown = {key: value for key, value in self.finding.example.items() if key != "at"}
        example = " ".join(f"{key}={_plain(value)}" for key, value in shown.items())
        if language.startswith("zh"):
            return (
                f"不能这样修改，否则会有咨询无人受理：{self.finding.text['zh-Hans']}。\n"
                f"例如：{example}\n请指定接替者"
            )
        return (
            f"This would leave enquiries with nobody to answer them: {self.finding.text['en']}\n"
            f"For example: {example}\nName a successor to take its place"
        )


def _plain(value: Any) -> str:
    return f"“{value}”" if isinstance(value, str) and " " in value else str(value)


@contextmanager
def nobody_stranded(
    session: Session,
    *,
    settings: Settings,
    now: datetime,
    asked: Asked | None = None,
) -> Iterator[None]:
    """Do what is inside, and prove that no enquiry lost its way by it.

    Raises WouldStrand at the end, and then the caller's transaction is not to be committed. Only
    what was in order before and is not any more counts. Within another's watch this one leaves
    the proof to it, so that an import proves once. Before there is a desk nothing is asked.
    """
    if session.info.get(_WATCHED):
        yield
        return
    try:
        before = _standing(session, settings, now)
    except NotFound:
        before = []
    session.info[_WATCHED] = True
    try:
        yield
    finally:
        del session.info[_WATCHED]
    if before:
        session.flush()
        _compare(before, _standing(session, settings, now), settings, now, asked)


_Standing = Sequence[tuple[RuleSet, Routes]]


def _standing(session: Session, settings: Settings, now: datetime) -> _Standing:
    """The rules that decide, now and later, each with the directory as it is."""
    found = standing_rules(session, desk=settings.site.desk, now=now)
    return [(rules, whole_directory(session, rules, settings=settings)) for rules, _ in found]


def _compare(
    before: _Standing, after: _Standing, settings: Settings, now: datetime, asked: Asked | None
) -> None:
    def prove(rules: RuleSet, routes: Routes) -> Report:
        reach = asked(rules) if asked else ()
        return prove_arrival_in(routes, rules, settings=settings, now=now, asked=reach)

    known: set[tuple[Any, ...]] | None = None
    for rules, routes in after:
        errors = [it for it in prove(rules, routes).errors if _is_old(it, before)]
        if errors and known is None:
            known = {_name(it) for was in before for it in prove(*was).errors}
        for finding in errors:
            if _name(finding) not in (known or ()):
                raise WouldStrand(finding)


def _name(finding: RuleFinding) -> tuple[Any, ...]:
    """What makes two findings the same, whatever they say of it."""
    kind = finding.code.partition(".")[0]
    if finding.rule is not None:
        return kind, finding.rule
    department = finding.example.get("department")
    return kind, None, department, None if department else finding.example.get("topic")


def _is_old(finding: RuleFinding, before: _Standing) -> bool:
    """Whether there were such enquiries before: what is new took nothing from anybody."""
    if finding.code.startswith("cover."):
        return False  # a circle alone costs nobody a mailbox; what it does cost is found as well
    if finding.rule is not None:
        return any(rule.id == finding.rule for rules, _ in before for rule in rules.rules)
    department, topic = finding.example.get("department"), finding.example.get("topic")
    if department:
        return any(
            department in routes.targets and routes.targets[department].active
            for _, routes in before
        )
    return any(topic in routes.topics for _, routes in before)
