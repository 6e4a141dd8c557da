"""Enquiries passed on to another department, and what that tells of the rules."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import rule_sets
from directory.adapters.queries import (
    MoveCount,
    current_rules,
    moves_of_rules,
    moves_of_topics,
)
from directory.domain.analysis import UNUSED_DAYS, Usage
from directory.domain.conditions import write_condition
from directory.domain.routing import RuleSet

# What moves tell of rules and topics is counted over as many days as an unused rule is known by.
COUNTED = timedelta(days=UNUSED_DAYS)


# What moves tell


def usage(session: Session, now: datetime, rules: RuleSet | None = None) -> list[Usage]:
    """What became in the last ninety days of the enquiries that each rule decided.

    Of the published rules, or of those of *rules*, a draft, that are published with the same
    condition: the others have decided nothing yet and are left out. ``since`` is exact up to ninety
    days back; what stood then has stood so for that long at least.
    """
    standing = _standing_since(session, rules or current_rules(session, now), now)
    counts = moves_of_rules(session, list(standing), since=now - COUNTED)
    found: list[Usage] = []
    for id, since in standing.items():
        count = counts.get(id) or MoveCount(id, 0, 0)
        found.append(Usage(id, since, count.decided, count.moved))
    return found


def misrouted_topics(session: Session, now: datetime) -> list[MoveCount]:
    """The topics of the last ninety days, those most often passed on first."""
    return moves_of_topics(session, since=now - COUNTED)


def _standing_since(session: Session, rules: RuleSet, now: datetime) -> dict[str, datetime]:
    """From when each of *rules* is published with its present condition, by its id."""
    left = {rule.id: write_condition(rule.when) if rule.when else None for rule in rules.rules}
    since: dict[str, datetime] = {}
    versions = (
        sa.select(rule_sets.c.effective_at, rule_sets.c.version)
        .where(rule_sets.c.effective_at <= now)
        .order_by(rule_sets.c.version.desc())
    )
    begun = now
    for effective_at, version in session.execute(versions).all():
        published = session.scalar(
            sa.select(rule_sets.c.rules).where(rule_sets.c.version == version)
        )
        # One that was to begin later than its successor never decided.
        begun = min(begun, effective_at)
        stood = {rule["id"]: rule.get("when") for rule in published or ()}
        left = {id: when for id, when in left.items() if id in stood and stood[id] == when}
        since.update(dict.fromkeys(left, begun))
        if not left or begun <= now - COUNTED:
            break
    return since
