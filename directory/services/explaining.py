"""Why an enquiry went where it went, told again in full, with what was known then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from directory.adapters.queries import Published
from directory.domain.conditions import Facts, Routes
from directory.domain.enquiry import Decision, Enquiry
from directory.domain.hours import OpeningHours
from directory.domain.routing import decide, expand
from directory.services.enquiries import facts_kept


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every rule's finding, none summarised, as JSON; ``changed`` says what it is worth.

    It is True where names, opening hours or mailboxes differ from those of the decision, so that
    words of it are not those that were kept with it.
    """

    trace: list[dict[str, Any]]
    changed: bool


def by_the_rules(decided: Sequence[Decision]) -> Decision:
    """The decision in force as far as rules decided it: the one that has a trace."""
    return next((it for it in reversed(decided) if it.trace), decided[-1])


def explain(
    session: Session, enquiry: Enquiry, decision: Decision, published: Published
) -> Explanation:
    """What every rule made of *enquiry* when *decision* was made.

    *published* has the rules of its version with the directory of now. What the rules went by
    beside the enquiry (opening hours, the text's language, an earlier enquiry) was kept with the
    decision, and counts as it was then.
    """
    assert decision.at is not None  # kept
    rules = published.rules
    routes = published.routes_with(session, enquiry.chosen_department)
    facts = facts_kept(enquiry, at=decision.at, returning=decision.facts.get("returning"))
    if "text_language" in decision.facts:
        # What the detector said then, in the place where it is said once for all rules.
        vars(facts)["language"] = decision.facts["text_language"]
    as_then = _open_as_noted(facts, routes, decision.facts.get("open", {}))
    trace = [finding.to_json() for finding in expand(facts, rules, as_then)]
    again = decide(facts, rules, as_then)
    # A summary is worded by its place in the rules alone.
    told = [finding for finding in decision.trace if "last" not in finding]
    return Explanation(
        trace,
        changed=as_then is not routes
        or again.recipient != decision.recipient
        or any(finding not in trace for finding in told),
    )


def _open_as_noted(facts: Facts, routes: Routes, noted: Mapping[str, bool]) -> Routes:
    """*routes* with the departments open that were, whatever their hours say by now."""
    targets = dict(routes.targets)
    for slug, was_open in noted.items():
        target = targets.get(slug)
        if target is None or facts.at is None:
            continue
        if (target.hours is not None and target.hours.open_at(facts.at)) != was_open:
            hours = OpeningHours.parse("24/7" if was_open else "off", "UTC")
            targets[slug] = replace(target, hours=hours)
    if targets == routes.targets:
        return routes
    return replace(routes, targets=targets)
