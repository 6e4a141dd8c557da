"""A database with many enquiries of the past, to put through two rule sets."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.rule_sets import DEPARTMENTS, NOW, TOPICS, enquiries, rule_set
from directory.adapters import migrations
from directory.adapters.db import Database
from directory.adapters.db import enquiries as table
from directory.domain.contacts import ContactPoint, Department, PointKind, PointState, Topic
from directory.domain.ids import new_id
from directory.domain.routing import RuleSet
from directory.services.replay import Replay
from directory.services.rule_trials import as_published
from directory.settings import load_settings

COUNT = 10_000


def replayed(folder: Path, size: int, seed: int) -> tuple[float, float, str]:
    """Seconds of processor time for replaying 10,000 enquiries on two sets of *size* rules, and
    for reading the same rows alone; and a line on what was found."""
    settings = load_settings(
        {"site": {"base_url": "http://localhost", "desk": "desk"}}, environ={}, env="test"
    )
    db = Database(f"sqlite:///{folder}/replay.db")
    migrations.upgrade(db)
    _fill(db, size)
    old = rule_set(size, seed=seed)
    reading = _reading(db)
    with db.reading() as session:
        sets = [
            as_published(session, rules, settings=settings, now=NOW)
            for rules in (old, _changed(old))
        ]
        replay = Replay(session, *sets, count=COUNT)
        begun = time.process_time()
        moved = sum(1 for _ in replay)
        seconds = time.process_time() - begun
    db.dispose()
    return seconds, reading, f"{replay.tally.replayed:,} replayed, {moved:,} moved"


def _changed(rules: RuleSet) -> RuleSet:
    """As an editor leaves them: every fiftieth sends elsewhere, and the first two change places."""
    first, second, *others = rules.ordinary
    changed = [
        replace(rule, send_to=DEPARTMENTS[n % len(DEPARTMENTS)]) if n % 50 == 0 else rule
        for n, rule in enumerate(others)
    ]
    return replace(rules, version=0, rules=(second, first, *changed, rules.rules[-1]))


def _reading(db: Database) -> float:
    with db.reading() as session:
        begun = time.process_time()
        rows = session.execute(
            sa.select(table).order_by(table.c.received_at.desc()).limit(COUNT),
            execution_options={"yield_per": 500},
        )
        assert sum(1 for _ in rows) == COUNT
        return time.process_time() - begun


def _fill(db: Database, size: int) -> None:
    with db.writing() as session:
        made = [_department(slug) for slug in ("desk", *DEPARTMENTS)]
        session.add_all(made)
        session.flush()
        session.add_all(
            Topic(code=code, label={"en": code}, department_id=made[n + 1].id, position=n)
            for n, code in enumerate(TOPICS)
        )
        session.flush()
        rows: list[dict[str, Any]] = []
        for n, facts in enumerate(enquiries(COUNT, size)):
            rows.append(
                _PLAIN
                | {
                    "id": new_id(facts.at or NOW) + n,
                    "ref": f"{n:08d}",
                    "form_token": f"form {n}",
                    "received_at": facts.at,
                    "topic": facts.topic,
                    "chosen_department": facts.department,
                    "message": facts.text,
                    "country": facts.country if len(facts.country) == 2 else "",
                    "reply_language": facts.reply_language,
                    "source": facts.source,
                    "department_id": made[0].id,
                }
            )
        known = {column.name for column in table.c}
        session.connection().execute(
            sa.insert(table), [{k: v for k, v in row.items() if k in known} for row in rows]
        )


_PLAIN: dict[str, Any] = {
    "body_hash": "0" * 64,
    "language": "en",
    "topic_label": {},
    "subject": "",
    "name": "Li Wei",
    "organisation": "",
    "reply_by": "email",
    "email": "liwei@example.com",
    "phone": "",
    "phone_extension": "",
    "phone_typed": "",
    "consent": "",
    "origin": "",
    "answers": {},
    "tags": [],
    "shown": "",
    "form_version": 1,
    "status": "routed",
    "attention": "",
    "test": False,
    "version": 1,
    "link_version": 1,
}


def _department(slug: str) -> Department:
    mailbox = ContactPoint(
        kind=PointKind.EMAIL,
        value=f"{slug}@institute.example",
        typed="",
        position=1,
        state=PointState.VERIFIED,
    )
    return Department(
        slug=slug,
        name={"en": slug.capitalize(), "zh-Hans": slug},
        hours="Mo-Fr 09:00-17:00",
        points=[mailbox],
        created_at=NOW,
        updated_at=NOW,
    )
