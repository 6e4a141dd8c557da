"""Whether every enquiry has a live mailbox of whom it is meant for, as the rules send it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from directory.domain import analysis_words as say
from directory.domain.conditions import DepartmentIs, Mailbox, Target, Why
from directory.domain.enquiry import Decision
from directory.domain.examining import Examination
from directory.domain.report import RuleFinding, Severity
from directory.domain.routing import RoutingRule, arrive
from directory.domain.space import Box


class Arrivals:
    """Where the enquiries of *work* end; with *errors_only*, looking for nothing less."""

    def __init__(self, work: Examination, *, errors_only: bool = False) -> None:
        self._work = work
        self._errors_only = errors_only
        targets = work.routes.targets.values()
        self._live = {target.mailbox for target in targets if target.active}
        self._live |= {target.backup_email for target in targets if target.active}
        self._live |= {it.address for it in work.routes.mailboxes.values() if self._is_live(it)}
        self._live.discard("")
        self._told: set[str] = set()  # departments whose mailbox was spoken of
        self._unverified: set[str] = set()  # mailboxes that were
        self._unshown: set[str] = set()  # and those of which that may be so

    def findings(self) -> Iterator[RuleFinding]:
        """Whatever keeps an enquiry from a live and verified mailbox of whom it is meant for."""
        if not self._errors_only:
            self._work.look_at_all()
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
        for place, rule in enumerate(self._work.rules):
            if self._errors_only and not self._is_troubled(rule):
                continue
            if (box := self._work.decided_by(place)) is not None:
                yield rule, box
        if not self._errors_only or self._is_troubled(self._work.last):
            space = self._work.space
            rest = self._work.left_of({**space.only("topic", ""), **space.only("department", "")})
            if rest is not None:
                yield self._work.last, rest

    def _is_troubled(self, rule: RoutingRule) -> bool:
        """Whether anything of where the rule sends to could be an error."""
        for to in rule.recipients:
            target = self._work.routes.targets.get(to)
            fine = bool(target and target.active and target.mailbox)
            if not (to in self._live if "@" in to else fine):
                return True
        return False

    def _targets(self, rule: RoutingRule, box: Box) -> Iterator[RuleFinding]:
        """Whom the rule writes to and who cannot be written to."""
        for to in rule.recipients:
            copy = to != rule.send_to
            mailbox = self._work.routes.mailboxes.get(to)
            owner = mailbox.department if mailbox else to
            target = self._work.routes.targets.get(owner)
            name = self._work.named(to)
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
                arrival = arrive(to, self._work.routes, self._work.at)
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
            yield self._work.finding(
                code,
                severity,
                text,
                self._work.examples(box),
                self._work.decides(rule),
                rule=rule,
                certain=True,
            )

    def _only_desk(self, send_to: str) -> bool:
        """Whether nobody but the desk, which is not asked for, receives what goes to *send_to*."""
        routes = self._work.routes
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
            self._work.examples(box),
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
        arrival = arrive(send_to, self._work.routes, self._work.at)
        if arrival.address not in self._live:
            return self._work.finding(
                "route.none",
                Severity.ERROR,
                lost,
                examples,
                lambda facts, decision: way(decision) and decision.recipient not in self._live,
                rule=rule,
            )
        if self._is_fine(arrival.address, arrival.department):
            return None
        found = self._work.finding(
            "route.none",
            Severity.WARNING,
            say.unverified(arrival.department.name, arrival.address),
            examples,
            lambda facts, decision: way(decision) and decision.recipient == arrival.address,
            rule=rule,
        )
        if found.example:
            self._unverified.add(arrival.address)
        elif arrival.address in self._unshown:
            return None
        self._unshown.add(arrival.address)
        return found

    def _is_fine(self, address: str, department: Target) -> bool:
        """Whether nothing is to be said of a mailbox that is live: verified, or told already."""
        if self._errors_only or address in self._unverified:
            return True
        if address == department.mailbox:
            return department.verified
        if (mailbox := self._work.routes.mailboxes.get(address)) is not None:
            return mailbox.verified
        return True  # one to stand in, which is nobody's entry in the directory

    def _topics(self) -> Iterator[RuleFinding]:
        """Topics whose own department cannot be reached, where no rule takes their enquiries."""
        routes = self._work.routes
        for topic in routes.topics.values():
            known = routes.targets.get(topic.department)
            meant = topic.department if known is not None else self._work.last.send_to
            alone = self._only_desk(topic.department)
            arrival = arrive(meant, routes, self._work.at)
            fine = arrival.address in self._live and self._is_fine(
                arrival.address, arrival.department
            )
            if fine and not alone:
                continue
            way = {
                **self._work.space.only("topic", topic.code),
                **self._work.space.only("department", ""),
            }
            if (left := self._work.left_of(way)) is None:
                continue
            found = self._arrival(
                meant,
                self._work.examples(left),
                lambda decision: decision.reason in {"topic", "fallback"},
                say.lost(topic=topic.label),
            )
            if found:
                yield found
            if alone and (found is None or found.severity is not Severity.ERROR):
                self._told.add(topic.department)
                yield self._work.finding(
                    "route.none",
                    Severity.ERROR,
                    say.topic_only_desk(topic.label, known.name if known else None),
                    self._work.examples(left),
                    lambda facts, decision: decision.reason in {"topic", "fallback"},
                )

    def _chosen(self) -> Iterator[RuleFinding]:
        """Departments that visitors choose themselves."""
        routes = self._work.routes
        for slug, target in routes.targets.items():
            if not target.active:
                continue
            arrival = arrive(slug, routes, self._work.at)
            suspended = not target.mailbox and bool(target.last_mailbox)
            fine = arrival.address in self._live and self._is_fine(
                arrival.address, arrival.department
            )
            if fine and (not suspended or self._errors_only or slug in self._told):
                continue
            left, given = self._choosing(slug)
            if left is None:
                continue
            written = list(self._work.examples(left, **given))
            found = self._arrival(
                slug,
                written,
                lambda decision: decision.reason == "department",
                say.lost(department=target.name),
            )
            if found:
                yield found
            if suspended and slug not in self._told and arrival.address in self._live:
                yield self._work.finding(
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
            return self._work.left_of(self._work.space.only("department", slug)), {}
        return self._stand_in[2], {"department": slug}

    @cached_property
    def _stand_in(self) -> tuple[str, frozenset[str], Box | None]:
        """The department that stands for those no rule names; those that rules name; and what no
        rule takes of the first.
        """
        named = frozenset(
            value
            for place in range(len(self._work.rules))
            for part in self._work.parts(place)
            if type(part) is DepartmentIs
            for value in part.values
        )
        own = self._work.space.allowed({}, "department")
        one = next((slug for slug in own if slug and slug not in named), "")
        left = self._work.left_of(self._work.space.only("department", one)) if one else None
        return one, named, left

    def _rings(self) -> Iterator[RuleFinding]:
        """Departments that stand in for one another in a circle."""
        targets = self._work.routes.targets
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
            yield self._work.finding(
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
        space = self._work.space
        left, given = self._choosing(slug)
        yield from self._work.examples(left, **given)
        for topic in self._work.routes.topics.values():
            if topic.department == slug:
                way = {**space.only("topic", topic.code), **space.only("department", "")}
                yield from self._work.examples(self._work.left_of(way))
        for place, rule in enumerate(self._work.rules):
            if rule.send_to == slug:
                yield from self._work.examples(self._work.decided_by(place))

    def _is_live(self, mailbox: Mailbox) -> bool:
        owner = self._work.routes.targets.get(mailbox.department)
        return bool(mailbox.live and owner is not None and owner.active)
