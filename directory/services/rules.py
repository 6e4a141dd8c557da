"""The published rules: read, checked against the directory, published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import departments, rule_sets
from directory.domain.contacts import DepartmentStatus
from directory.domain.errors import NotFound
from directory.domain.routing import RuleSet
from directory.services.history import record


def publish_rules(
    session: Session,
    values: Sequence[Mapping[str, Any]],
    *,
    reason: str,
    by: str,
    now: datetime,
) -> RuleSet:
    """Make *values*, the rules of a rule file, the rules that decide from *now* on.

    A new version beside the old ones, which stay as they were. Raises RuleInvalid, and NotFound
    for a rule that sends to no active department.
    """
    version = (session.scalar(sa.select(sa.func.max(rule_sets.c.version))) or 0) + 1
    rules = RuleSet.read(version, values)
    active = set(
        session.scalars(
            sa.select(departments.c.slug).where(departments.c.status == DepartmentStatus.ACTIVE)
        )
    )
    for rule in rules.rules:
        if rule.send_to not in active:
            raise NotFound(f"rule “{rule.id}” sends to “{rule.send_to}”, which is no department")
    session.execute(
        sa.insert(rule_sets).values(
            version=version,
            rules=rules.write(),
            author=by,
            reason=reason,
            published_at=now,
            effective_at=now,
        )
    )
    record(
        session,
        f"rules:{version}",
        "published",
        now=now,
        by=by,
        note=reason,
        after={"version": version, "rules": [rule.id for rule in rules.rules]},
        first=True,
    )
    return rules
