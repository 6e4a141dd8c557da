"""Reads that pages and workers need; those on a hot path use an index on either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters import duties, limits, outbox
from directory.adapters.db import (
    Database,
    allowances,
    decisions,
    deliveries,
    departments,
    enquiries,
    events,
    rule_sets,
)
from directory.adapters.queries import (
    attempts_of,
    children_of,
    current_rules,
    deliveries_of,
    department_by_slug,
    department_rows,
    enquiry_by_ref,
    enquiry_by_token,
    enquiry_rows,
    is_mailbox_of_ours,
    load_published,
    moves_of_rules,
    moves_of_topics,
    parents_of,
    published_key,
    queue,
    topic_by_code,
    wrote_before,
)
from directory.domain.contacts import DepartmentStatus
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.errors import NotFound
from directory.domain.values import EmailAddress
from directory.parts import Parts
from directory.services.history import record
from tests.builders import MONDAY_NOON, a_department, a_submission, submit

# Query plans


@contextmanager
def statements(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """Every statement sent within the block, with its values."""
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def plans(db: Database, session: Session, act: Callable[[], Any]) -> list[str]:
    """How the database carries out each statement of *act*."""
    with statements(db) as sent:
        act()
    found = []
    for statement, values in sent:
        if statement.lstrip()[:6].upper() not in {"SELECT", "UPDATE", "DELETE"}:
            continue
        one = values[0] if isinstance(values, list) else values  # as it is for each of many
        explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
        rows = session.connection().exec_driver_sql(explain + statement, one).all()
        found.append("\n".join(str(row[-1]) for row in rows))
    assert found
    return found


def look_at(session: Session) -> dict[str, Callable[[], Any]]:
    """What a visitor's request or a worker asks for, each time anew."""
    claim = {
        "owner": "me",
        "now": MONDAY_NOON,
        "lease": timedelta(seconds=60),
        "backoff_s": (10.0, 3600.0),
        "jitter": 0.2,
        "limit": 10,
    }
    enquiry = session.scalars(sa.select(Enquiry)).first()
    assert enquiry is not None
    hour = MONDAY_NOON - timedelta(hours=1)
    return {
        "claim": lambda: outbox.claim_due(session, **claim),  # type: ignore[arg-type]
        "next wait": lambda: outbox.next_due(session),
        "held": lambda: outbox.held(session, 1, owner="me"),
        "still held": lambda: outbox.still_held(session, 1, owner="me"),
        "renewal": lambda: outbox.renew(session, [1, 2], owner="me", until=MONDAY_NOON),
        "by reference": lambda: enquiry_by_ref(session, enquiry.ref),
        "by token": lambda: enquiry_by_token(session, "anything"),
        "mail of an enquiry": lambda: deliveries_of(session, enquiry),
        "allowances used": lambda: limits.used(session, {"a": hour, "b": hour}),
        "first allowance": lambda: limits.first_use(session, "a", since=hour),
        "allowances forgotten": lambda: limits.forget(session, now=MONDAY_NOON),
        "own mailbox": lambda: is_mailbox_of_ours(session, "x@x.example"),
        "wrote before": lambda: wrote_before(session, EmailAddress("X@x.example"), but=1),
        "before a claim": lambda: duties.before_a_claim(session),
        "department": lambda: department_by_slug(session, "parking"),
        "what decides": lambda: published_key(session, MONDAY_NOON),
        "last event": lambda: record(session, "enquiry:X", "told", now=MONDAY_NOON),
        "moves of rules": lambda: moves_of_rules(session, ["r1", "r2"], since=hour),
        "moves of topics": lambda: moves_of_topics(session, since=hour),
    }


# Of one row, or as many as there are versions of the rules: nothing to look up.
SMALL = ("directory_version", "rule_set")
# Put together by the statement itself, and no tables.
MADE = ("SCAN each_enquiry", "SCAN kind_0", "SCAN kind_1", "SCAN kind_2")


@pytest.fixture
def crowded(office: Parts) -> Parts:
    """With so many rows that a plan tells what it would be in a grown installation."""
    enquiry = submit(office)
    many = 3000
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking").id
        ids = range(1, many + 1)
        base = dict(
            session.execute(sa.select(enquiries).where(enquiries.c.id == enquiry.id)).one()._mapping
        )
        session.execute(
            sa.insert(enquiries),
            [
                base
                | {"id": n, "ref": f"R{n:07}", "form_token": f"t{n}", "email": f"v{n}@x.example"}
                for n in ids
            ],
        )
        decision = dict(session.execute(sa.select(decisions)).one()._mapping)
        session.execute(
            sa.insert(decisions),
            [decision | {"id": n, "enquiry_id": n, "rule_id": f"r{n}"} for n in ids],
        )
        mail = dict(session.execute(sa.select(deliveries).limit(1)).one()._mapping)
        session.execute(
            sa.insert(deliveries),
            [mail | {"id": n, "enquiry_id": n, "state": "accepted"} for n in ids],
        )
        session.execute(
            sa.insert(allowances),
            [{"id": n, "key": f"k{n}", "at": MONDAY_NOON} for n in ids],
        )
        event = dict(session.execute(sa.select(events).limit(1)).one()._mapping)
        session.execute(
            sa.insert(events), [event | {"id": n, "subject": f"enquiry:{n}"} for n in ids]
        )
        assert parking
    with office.db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return office


def test_no_hot_path_looks_anything_up_by_reading_a_whole_table(crowded):
    db = crowded.db
    whole = []
    with db.writing() as session:
        if not db.is_sqlite:
            # Small tables are read whole whatever there is; this asks whether there is another way.
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for name, act in look_at(session).items():
            for plan in plans(db, session, act):
                whole += [(name, line) for line in plan.splitlines() if reads_whole(line)]
        session.rollback()

    assert whole == []


def reads_whole(line: str) -> bool:
    """Whether a line of a plan of either database goes through a table without an index."""
    if line in MADE or any(table in line for table in SMALL) or "CONSTANT ROW" in line:
        return False
    # SQLite calls it a search, too, where it goes through all to find the least.
    sqlite = line.startswith(("SCAN", "SEARCH")) and "USING" not in line
    return sqlite or "Seq Scan" in line


def test_claiming_reads_only_what_is_still_to_be_sent(crowded):
    with crowded.db.writing() as session:
        found = plans(crowded.db, session, look_at(session)["claim"])
        session.rollback()

    [claimable] = [plan for plan in found if "ix_delivery_state_due_at" in plan]
    assert claimable.count("ix_delivery_state_due_at") == 3  # queued, deferred, sending
    if crowded.db.is_sqlite:
        assert claimable.count("TEMP B-TREE") <= 1  # leases stand in no order of their own


# Departments


def test_the_tree_is_read_parents_first_in_the_order_given(session):
    top, other = a_department("Top", position=2), a_department("Other", position=1)
    session.add_all([top, other])
    session.flush()
    below = [
        a_department("B", parent_id=top.id, position=2),
        a_department("A", parent_id=top.id, position=2),
        a_department("First", parent_id=top.id, position=1),
    ]
    session.add_all(below)
    session.flush()
    session.add(a_department("Deep", parent_id=below[1].id))
    session.flush()

    rows = department_rows(session)

    assert [(row.depth, row.slug) for row in rows] == [
        (0, "other"),
        (0, "top"),
        (1, "first"),
        (1, "a"),
        (2, "deep"),
        (1, "b"),
    ]
    deep = department_by_slug(session, "deep")
    assert [row.slug for row in parents_of(session, deep)] == ["top", "a"]
    assert [row.slug for row in children_of(session, top)] == ["first", "a", "b"]


def test_below_a_closed_department_its_parts_stand_at_the_top(session):
    closed = a_department("Closed", status=DepartmentStatus.CLOSED)
    session.add(closed)
    session.flush()
    session.add(a_department("Part", parent_id=closed.id))
    session.flush()

    assert [(row.depth, row.slug) for row in department_rows(session)] == [(0, "part")]
    assert len(department_rows(session, active_only=False)) == 2


@pytest.mark.parametrize(
    "look",
    [
        lambda session: department_by_slug(session, "gone"),
        lambda session: topic_by_code(session, "gone"),
        lambda session: enquiry_by_ref(session, "00000000"),
    ],
    ids=["department", "topic", "enquiry"],
)
def test_what_is_not_there_is_said_to_be_not_there(session, look):
    with pytest.raises(NotFound):
        look(session)
    assert enquiry_by_token(session, "gone") is None


# What decides


def test_rules_whose_time_has_not_come_do_not_decide_yet(office):
    soon = MONDAY_NOON + timedelta(hours=1)
    with office.db.writing() as session:
        session.execute(
            sa.insert(rule_sets).values(
                version=2,
                rules=[{"id": "all", "send_to": "media"}],
                author="",
                reason="",
                published_at=MONDAY_NOON,
                effective_at=soon,
            )
        )

    with office.db.reading() as session:
        assert office.published(session, MONDAY_NOON).rules.version == 1
        assert office.published(session, soon).rules.version == 2
        assert current_rules(session, MONDAY_NOON).version == 1


def test_what_decides_is_loaded_once_for_a_version(office):
    with office.db.reading() as session:
        first = office.published(session, MONDAY_NOON)
        with statements(office.db) as sent:
            assert office.published(session, MONDAY_NOON) is first
    assert len(sent) == 1

    with office.db.writing() as session:
        department_by_slug(session, "parking").notes = "changed"
    with office.db.reading() as session:
        assert office.published(session, MONDAY_NOON) is not first


def test_without_a_desk_nothing_can_decide(db):
    with db.reading() as session, pytest.raises(NotFound, match=r"\[site\] desk"):
        load_published(session, (0, 0), desk="nowhere", country_names={}, hours_of=lambda _: None)


def test_a_department_no_rule_names_can_be_chosen_with_its_deputies(office):
    with office.db.writing() as session:
        deputy = a_department("Unnamed deputy")
        session.add(deputy)
        session.flush()
        session.add(a_department("Unnamed", deputy_id=deputy.id, points=[]))

    with office.db.reading() as session:
        published = office.published(session, MONDAY_NOON)
        assert "unnamed" not in published.routes.targets
        routes = published.routes_with(session, "unnamed")
    assert routes.targets["unnamed"].deputy == "unnamed-deputy"
    assert routes.targets["unnamed-deputy"].mailbox == "unnamed-deputy@institute.example"


def test_a_closed_deputy_receives_nothing(office):
    with office.db.writing() as session:
        closed = a_department("Closed", status=DepartmentStatus.CLOSED)
        session.add(closed)
        session.flush()
        parking = department_by_slug(session, "parking")
        parking.deputy_id = closed.id
        parking.points[0].state = "suspended"

    enquiry = submit(office)

    with office.db.reading() as session:
        assert deliveries_of(session, enquiry)[0].recipient == "desk@institute.example"


# Lists


def test_enquiries_are_listed_newest_first_by_status_and_department(office, clock):
    refs = []
    for number, topic in enumerate(["permits", "apply", "permits"]):
        enquiry = submit(office, a_submission(topic, form_token=f"t{number}"))
        refs.append(enquiry.ref)
        clock.advance(minutes=1)
    with office.db.writing() as session:
        enquiry_by_ref(session, refs[2]).status = EnquiryStatus.CLOSED

    with office.db.reading() as session:
        assert [row.ref for row in enquiry_rows(session)] == refs[::-1]
        assert [row.ref for row in enquiry_rows(session, department="parking")] == refs[2::-2]
        assert [row.ref for row in enquiry_rows(session, status=EnquiryStatus.CLOSED)] == refs[2:]
        assert len(enquiry_rows(session, limit=1)) == 1


def test_the_queue_shows_what_is_not_accepted_yet_and_what_failed(office):
    enquiry = submit(office)
    with office.db.writing() as session:
        routed, receipt = deliveries_of(session, enquiry)
        routed.state = "accepted"
        receipt.state = "failed"

    with office.db.reading() as session:
        [row] = queue(session)
        assert (row.ref, row.kind, row.state) == (enquiry.ref, "acknowledgement", "failed")
        assert attempts_of(session, [row.id]) == []


def test_ours_is_ours_in_any_capitals(office):
    with office.db.reading() as session:
        assert is_mailbox_of_ours(session, "Parking@institute.example")
        assert not is_mailbox_of_ours(session, "liwei@example.com")


def test_no_name_is_taken_for_a_pattern_or_a_piece_of_sql(office):
    with office.db.reading() as session:
        for text in ["%", "park_ng", "' OR 1=1 --", '"', "\\"]:
            with pytest.raises(NotFound):
                department_by_slug(session, text)
            assert enquiry_by_token(session, text) is None
        assert session.scalar(sa.select(sa.func.count()).select_from(departments)) == 4
