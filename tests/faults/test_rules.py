"""Enquiries sent by many processes while the rules change under them.

What must hold is in PROMISES: P16, under F31.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import decisions, enquiries, rule_sets
from directory.adapters.queries import rules_of_version
from directory.domain.conditions import Facts
from directory.domain.enquiry import Decision, Enquiry
from directory.domain.errors import Unavailable
from directory.domain.routing import RuleSet, decide
from directory.domain.rule_edits import replace_all
from directory.domain.values import EmailAddress
from directory.parts import Parts
from directory.services.rule_drafts import change_draft, open_draft
from directory.services.rules import Publication, examine, publish_draft, publish_file
from tests.builders import a_submission, parts_for, submit
from tests.faults.processes import an_event, process_of
from tests.support import eventually

T = TypeVar("T")

PROCESSES = 20
VERSIONS = 200
PAUSE_S = 0.4
MESSAGES = ("May I park at the gate?", "I write for a newspaper", "我想参观实验室")


def a_version(number: int) -> list[dict[str, Any]]:
    """Rules that differ from the version before in everything, and say which version they are."""
    departments = ("media", "parking", "admissions")
    mark = {"tags": [f"v{number}"], "target_days": number}
    return [
        {
            "id": f"gate-{number}",
            "name": {"en": f"Gate {number}", "zh-Hans": f"大门{number}"},
            "when": {"words": {"any": ["gate", "大门"]}},
            "send_to": departments[number % 3],
            **mark,
        },
        {
            "id": f"visit-{number}",
            "name": {"en": f"Visit {number}", "zh-Hans": f"来访{number}"},
            "when": {"words": {"any": ["visit", "参观"]}},
            "send_to": departments[(number + 1) % 3],
            **mark,
        },
        {"id": f"desk-{number}", "send_to": "enquiry-desk"},
    ]


def publish(parts: Parts, number: int) -> None:
    """Make version *number* the one that decides, by every tenth a draft as an editor would."""
    how = {
        "settings": parts.settings,
        "reason": f"version {number}",
        "by": "wei@x.example",
        "now": parts.now(),
    }
    if number % 10:
        done = patiently(
            parts,
            lambda session: publish_file(session, RuleSet.read(0, a_version(number)), **how),
        )
    else:
        done = publish_as_draft(parts, number, how)
    assert done.rules.version == number


def publish_as_draft(parts: Parts, number: int, how: dict[str, Any]) -> Publication:
    """As the command line does: the draft kept, examined apart, then published."""
    by, now = how["by"], how["now"]
    patiently(parts, lambda session: open_draft(session, desk="enquiry-desk", by=by, now=now))
    draft = patiently(
        parts,
        lambda session: change_draft(
            session, lambda rules: replace_all(rules, a_version(number)), by=by, now=now
        ),
    )
    with parts.db.reading() as session:
        seen = examine(session, draft.rules, settings=parts.settings, now=now)
    return patiently(
        parts, lambda session: publish_draft(session, "draft", **how, examination=seen)
    )


def patiently(parts: Parts, act: Callable[[Session], T]) -> T:
    """Do *act* in a transaction of its own, again where twenty others did not let it write."""
    until = time.monotonic() + 60
    while True:
        try:
            with parts.db.writing() as session:
                return act(session)
        except Unavailable:
            if time.monotonic() > until:
                raise


def send_all_day(root: Path, url: str, name: int, published: Any) -> None:
    """What a process does: one enquiry after the other until told, and one more after that."""
    parts = parts_for(root, url, None)
    number, last = 0, False
    while not last:
        # Visitors leave one another some air: what is tried is the order of things, not a load.
        last = published.wait(PAUSE_S)
        number += 1
        submission = a_submission(
            "not-sure",
            message=MESSAGES[number % len(MESSAGES)],
            email=EmailAddress(f"visitor-{name}@example.com"),
            form_token=f"process {name}, form {number}",
        )
        eventually(lambda form=submission: submit(parts, form), within=60)
        if number == 1:
            (root / f"began-{name}").touch()
    parts.let_go()


@contextmanager
def twenty(root: Path, url: str) -> Iterator[Callable[[], list[int | None]]]:
    """So many processes that send; called, it ends them and gives their exit codes."""
    published = an_event()
    started = [process_of(send_all_day, root, url, name, published) for name in range(PROCESSES)]

    def end() -> list[int | None]:
        published.set()
        for process in started:
            process.join(60)
        return [process.exitcode for process in started]

    try:
        for process in started:
            process.start()
        eventually(
            lambda: len(list(root.glob("began-*"))) == PROCESSES,
            within=60,
            what="every process sends",
        )
        yield end
    finally:
        for process in started:
            process.kill()
            process.join(10)


# Ten seconds on a machine of its own, and minutes beside everything else.
@pytest.mark.timeout(400)
def test_every_enquiry_sent_while_rules_change_is_decided_by_exactly_one_version(
    office: Parts, database_url: str, tmp_path: Path
) -> None:
    parts = parts_for(tmp_path, database_url, None)
    with twenty(tmp_path, database_url) as end:
        for number in range(2, VERSIONS + 2):
            publish(parts, number)
        assert end() == [0] * PROCESSES

    with parts.db.reading() as session:
        decided = session.execute(
            sa.select(Enquiry, Decision)
            .join(Decision, decisions.c.enquiry_id == enquiries.c.id)
            .order_by(enquiries.c.id)
        ).all()
        began = dict(
            session.execute(sa.select(rule_sets.c.version, rule_sets.c.effective_at)).all()
        )
        sets = {version: rules_of_version(session, version) for version in began}
        now = parts.now()
        routes = {
            version: parts.published_with(session, rules, now).routes
            for version, rules in sets.items()
        }
    parts.let_go()

    assert len({enquiry.id for enquiry, _ in decided}) == len(decided) >= PROCESSES * 2
    for enquiry, decision in decided:
        rules = sets[decision.rule_set]
        assert began[rules.version] <= enquiry.received_at
        assert told(decision) == told(decided_anew(enquiry, rules, routes[rules.version]))
        assert enquiry.tags == decision.outcome.get("tags", [])
        if decision.rule_set > 1 and decision.reason == "rule":
            assert enquiry.tags == [f"v{decision.rule_set}"]
            assert decision.rule_id is not None
            assert decision.rule_id.endswith(f"-{decision.rule_set}")
    # They did race: many versions decided something, and the last decided what came last.
    versions = {decision.rule_set for _, decision in decided}
    assert len(versions) > VERSIONS / 10
    last = {}
    for enquiry, decision in decided:
        last[enquiry.form_token.partition(",")[0]] = decision.rule_set
    assert set(last.values()) == {VERSIONS + 1}


def decided_anew(enquiry: Enquiry, rules: RuleSet, routes: Any) -> Decision:
    facts = Facts(
        topic=enquiry.topic,
        department=enquiry.chosen_department,
        reply_language=enquiry.reply_language,
        country=enquiry.country,
        text=f"{enquiry.subject}\n{enquiry.message}",
        at=enquiry.received_at,
    )
    return decide(facts, rules, routes)


def told(decision: Decision) -> list[Any]:
    """All that a decision says of where and why."""
    return [
        decision.rule_set,
        decision.reason,
        decision.department_id,
        decision.contact_point_id,
        decision.recipient,
        decision.rule,
        decision.rule_id,
        decision.rule_name,
        decision.why,
        decision.trace,
        decision.passed_over,
        decision.outcome,
    ]
