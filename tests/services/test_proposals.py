"""What people say is wrong waits for an editor, who accepts it with history or refuses it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from directory.adapters.queries import department_by_slug, events_of
from directory.domain.contacts import PointKind, PointState
from directory.domain.errors import Conflict, InvalidValue, NotFound, RateLimited
from directory.domain.trust import Challenge, Proposal, ProposalStatus
from directory.parts import Parts
from directory.services.contacts import about_department
from directory.services.enquiries import Sender
from directory.services.proposals import (
    REPORTS_AN_HOUR,
    Report,
    accept_proposal,
    open_proposals,
    propose_from_mailbox,
    read_correct,
    read_what,
    refuse_proposal,
    report_mistake,
)
from tests.services.test_contacts import close, columns
from tests.services.test_trust import NEW, asked, happened

HERE = Sender(address="a", network="n")


def report(parts: Parts, what: str = "phone", correct: str = "025 8345 5111") -> Proposal:
    with parts.db.writing() as session:
        return report_mistake(
            session,
            department_by_slug(session, "parking"),
            Report(what, correct, "en"),
            settings=parts.settings,
            sender=HERE,
            now=parts.now(),
        )


def accept(parts: Parts, proposal: Proposal, **cells: str) -> dict[str, tuple[str, str]]:
    with parts.db.writing() as session:
        return accept_proposal(
            session,
            proposal.id,
            cells=cells,
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
        )


def test_a_report_changes_nothing_by_itself(office):
    before = columns(office, "parking")
    report(office)
    assert columns(office, "parking") == before
    assert happened(office) == ["proposed"]


def test_accepting_puts_it_into_the_department_with_history(office):
    changed = accept(office, report(office))

    assert changed == {"phone": ("+86 25 0345 5180", "+86 25 8345 5111")}
    with office.db.reading() as session:
        assert open_proposals(session) == []
        parking = department_by_slug(session, "parking")
        amended, accepted = events_of(session, about_department(parking))[1:]
    assert (amended.type, accepted.type) == ("amended", "proposal_accepted")
    assert amended.by == "editor@x.example"


def test_what_is_said_in_words_is_accepted_with_the_editors_own_cells(office):
    said = report(office, "the phone", "it ends in 11, I think")
    assert said.cells == {}

    changed = accept(office, said, phone="025 8345 5111")

    assert "phone" in changed


@pytest.mark.parametrize(
    ("what", "correct", "cells"),
    [
        ("fax", "025 8345 5190", {"fax": "025 8345 5190"}),
        ("hours", "Mo-Fr 08:00-12:00", {"hours": "Mo-Fr 08:00-12:00"}),
        ("hours", "in the morning", {}),
        ("name", "Car Park", {"name_en": "Car Park"}),
        ("phone", "not a number", {}),
        ("address", "Gate 2", {}),
        ("notes", "hello", {}),
        ("slug", "somewhere-else", {}),
        ("routing_email", "thief@example.com", {}),
        ("phone", "", {}),
    ],
)
def test_a_report_is_ready_to_apply_only_where_it_is_one_published_value(
    office, what, correct, cells
):
    assert report(office, what, correct).cells == cells


def test_trying_a_value_out_leaves_the_department_alone(office):
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        report_mistake(
            session,
            parking,
            Report("phone", "025 8345 5111", "en"),
            settings=office.settings,
            sender=HERE,
            now=office.now(),
        )
        assert not session.is_modified(parking)
    with office.db.reading() as session:
        assert len(department_by_slug(session, "parking").points) == 3


def test_it_is_decided_once(office):
    proposal = report(office)
    accept(office, proposal)
    with pytest.raises(Conflict, match="accepted"):
        accept(office, proposal)
    with pytest.raises(NotFound), office.db.writing() as session:
        refuse_proposal(session, 5, now=office.now(), by="editor", reason="no")


def test_refusing_wants_a_reason_and_changes_nothing(office):
    proposal = report(office)
    before = columns(office, "parking")
    with pytest.raises(Conflict, match="reason"), office.db.writing() as session:
        refuse_proposal(session, proposal.id, now=office.now(), by="editor", reason="")

    with office.db.writing() as session:
        refuse_proposal(session, proposal.id, now=office.now(), by="editor", reason="it is right")

    assert columns(office, "parking") == before
    with office.db.reading() as session:
        kept = session.get_one(Proposal, proposal.id)
    assert (kept.status, kept.reason) == (ProposalStatus.REFUSED, "it is right")


def test_nothing_is_changed_in_a_department_closed_meanwhile(office):
    proposal = report(office)
    close(office, "parking", "media")
    with pytest.raises(Conflict, match="closed"):
        accept(office, proposal)


def test_the_same_report_twice_is_one(office):
    assert report(office).id == report(office).id
    assert report(office, "fax").id != report(office).id


def test_one_network_reports_so_many_mistakes_an_hour(office):
    for number in range(REPORTS_AN_HOUR):
        report(office, f"mistake {number}")
    with pytest.raises(RateLimited):
        report(office, "one more")
    office.now.advance(hours=1, seconds=1)
    assert report(office, "one more").what == "one more"


def test_what_a_stranger_typed_stays_out_of_the_history(office):
    report(office, "call me", "Li Wei, 13800138000")
    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
        [event] = events_of(session, about_department(parking))
    assert "Li Wei" not in str((event.note, event.before, event.after))


def test_a_report_needs_to_say_what(office):
    for text in ("", "  ", "\u200b\n"):
        with pytest.raises(InvalidValue) as refused:
            read_what(text)
        assert refused.value.code == "what.required"
    assert read_what(" the fax ") == "the fax"
    with pytest.raises(InvalidValue, match="2000"):
        read_correct("字" * 2001)


# From the department's own mailbox


def propose(parts: Parts, what: str, correct: str) -> Proposal:
    challenge = asked(parts)
    with parts.db.writing() as session:
        return propose_from_mailbox(
            session,
            session.get_one(Challenge, challenge.id),
            Report(what, correct, "en"),
            settings=parts.settings,
            now=parts.now(),
        )


def test_a_mailbox_that_wants_a_change_is_proven_and_changes_nothing(office):
    propose(office, "phone", "025 8345 5111")

    assert columns(office, "parking")["phone"] == "+86 25 0345 5180"
    with office.db.reading() as session:
        points = department_by_slug(session, "parking").points
    states = {point.value: point.verified_how for point in points if point.verified_how}
    assert states == {NEW: "mailbox"}


def test_what_the_mailbox_said_is_checked_once_an_editor_accepts_it(office):
    proposal = propose(office, "phone", "025 8345 5111")
    accept(office, proposal)

    with office.db.reading() as session:
        [phone] = department_by_slug(session, "parking").public_points(PointKind.VOICE)
    assert (phone.state, phone.verified_by) == (PointState.VERIFIED, NEW)


def test_another_mailbox_it_names_is_asked_itself(office):
    proposal = propose(office, "email", "third@institute.example")
    accept(office, proposal)

    with office.db.reading() as session:
        found = department_by_slug(session, "parking").mailbox
        count = session.scalar(sa.select(sa.func.count()).select_from(Challenge))
    assert (found.value, found.state, count) == (
        "third@institute.example",
        PointState.PROPOSED,
        1,
    )
    assert found.due_at == office.now()
