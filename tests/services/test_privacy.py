"""What is personal leaves: when asked, and by itself when its time is over (P19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import attempts, deliveries, enquiries, metadata, proposals
from directory.adapters.queries import (
    decisions_of,
    deliveries_of,
    department_by_slug,
    enquiry_by_ref,
    events_of,
)
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.errors import Conflict
from directory.domain.trust import Proposal, ProposalSource
from directory.domain.values import EmailAddress, PhoneNumber
from directory.parts import Parts
from directory.services import deliveries as tries
from directory.services import inbox, minute, privacy
from directory.services.enquiries import Sender
from directory.services.history import about, verify
from directory.services.inbound import take_in
from directory.services.moves import reroute_enquiry
from directory.services.visitors import add_message, ask_for_link, correct_address
from directory.supervisor import transport_of
from directory.worker import Worker
from tests.builders import MONDAY_NOON, a_submission, parts_for, plant_office, submit

SOMEBODY = Sender("an address", "a network")

# Each is found nowhere but in what one person wrote, or what others wrote of that person.
NEEDLES = (
    "Zebulon",
    "zebulon.quirk",
    "Quirkworks",
    "purple hovercraft",
    "Hovercraft subject",
    "62345678",
    "6234 5678",
    "second thought",
    "quirk.page",
    "tell mister Q",
    "he rang twice",
    "eels again",
)


def given(parts: Parts) -> dict[str, Any]:
    with parts.db.reading() as session:
        published = parts.published(session, parts.now())
    return {
        "published": published,
        "settings": parts.settings,
        "signer": parts.signer,
        "now": parts.now(),
    }


def a_life(parts: Parts) -> Enquiry:
    """An enquiry to which everything happened that leaves words somewhere."""
    enquiry = submit(
        parts,
        a_submission(
            "permits",
            name="Zebulon Quirk",
            subject="Hovercraft subject",
            message="My purple hovercraft is full of eels.",
            organisation="Quirkworks",
            email=EmailAddress("zebulon.quirk@example.com"),
            phone=PhoneNumber.parse("+65 6234 5678", region="SG"),
            phone_typed="6234 5678",
            source="http://contact.institute.example/en/quirk.page",
        ),
        sender=SOMEBODY,
    )
    Worker(parts, transport_of(parts)).run_once()
    with parts.db.writing() as session:
        found = enquiry_by_ref(session, enquiry.ref)
        correct_address(
            session,
            found,
            EmailAddress("zebulon.quirk2@example.com"),
            sender=SOMEBODY,
            **given(parts),
        )
        add_message(session, found, "A second thought of mine.", **given(parts))
        more = {"note": "Please tell mister Q", "reason": "he rang twice", **given(parts)}
        reroute_enquiry(session, enquiry.ref, "admissions", by="li@institute.example", **more)
        ask_for_link(
            session,
            enquiry.ref,
            "zebulon.quirk2@example.com",
            signer=parts.signer,
            sender=SOMEBODY,
            now=parts.now(),
        )
    minute.go_round(parts)
    Worker(parts, transport_of(parts)).run_once()
    with parts.db.writing() as session:
        log = parts.signer.log_address(enquiry.ref, mailbox=parts.settings.log_mailbox)
        text = f"From: zebulon.quirk2@example.com\r\nTo: {log}\r\nSubject: Re\r\n\r\neels again\r\n"
        take_in(
            session,
            text.encode(),
            source="pipe",
            envelope_from="zebulon.quirk2@example.com",
            envelope_to=log,
            now=parts.now(),
        )
        session.execute(
            sa.update(attempts).values(text="250 queued for <zebulon.quirk2@example.com>")
        )
        session.execute(
            sa.update(deliveries)
            .where(deliveries.c.state == DeliveryState.ACCEPTED)
            .values(smtp_reply="250 queued for <zebulon.quirk2@example.com>")
        )
    sorted_in(parts)
    return enquiry


def sorted_in(parts: Parts) -> None:
    """Sort what came in, as a worker does."""
    assert inbox.work_off(parts) >= 1


def everything(parts: Parts, folder: Path) -> bytes:
    """Every value of every table, and for SQLite every byte of its files."""
    told: list[bytes] = []
    with parts.db.reading() as session:
        for table in metadata.sorted_tables:
            for row in session.connection().execute(sa.select(table)):
                told += [it if isinstance(it, bytes) else str(it).encode() for it in row]
    if parts.db.is_sqlite:
        assert parts.db.url.database
        path = Path(parts.db.url.database)
        files = [path, *path.parent.glob(f"{path.name}-*")]
        assert path in files
        told += [file.read_bytes() for file in files]
    return b"\n".join(told)


def left_of(parts: Parts, folder: Path) -> list[str]:
    held = everything(parts, folder)
    return [needle for needle in NEEDLES if needle.encode() in held]


def erase(parts: Parts, ref: str, **more: Any) -> bool:
    with parts.db.writing() as session:
        found = enquiry_by_ref(session, ref)
        done = privacy.erase(session, found, why="asked", by="visitor", **given(parts), **more)
    privacy.forget_traces(parts.db, now=parts.now())
    return done


def kept(parts: Parts, ref: str) -> Enquiry:
    with parts.db.reading() as session:
        found = enquiry_by_ref(session, ref)
        session.expunge(found)
        return found


def test_p19_after_erasure_no_byte_of_the_person_is_left_anywhere(office, tmp_path, capfd):
    ref = a_life(office).ref
    assert left_of(office, tmp_path) == list(NEEDLES)  # or the test would prove nothing

    assert erase(office, ref)

    assert left_of(office, tmp_path) == []
    logged = "".join(capfd.readouterr())
    assert "enquiry.erased" in logged
    assert [needle for needle in NEEDLES if needle in logged] == []


def test_a_log_that_somebody_reads_is_emptied_once_they_are_done(sqlite_url, tmp_path, clock):
    office = parts_for(tmp_path, sqlite_url, clock)
    with office.db.writing() as session:
        plant_office(session)
    ref = submit(office, a_submission(name="Zebulon Quirk")).ref
    with office.db.reading() as reader:
        assert enquiry_by_ref(reader, ref).name == "Zebulon Quirk"
        with office.db.writing() as session:
            found = enquiry_by_ref(session, ref)
            privacy.erase(session, found, why="asked", by="visitor", **given(office))
        assert privacy.forget_traces(office.db, now=office.now()) is False
    assert "Zebulon" in left_of(office, tmp_path)

    minute.go_round(office)

    assert left_of(office, tmp_path) == []
    office.let_go()


def test_what_names_nobody_stays_and_its_history_still_verifies(office, tmp_path):
    before = a_life(office)

    erase(office, before.ref)

    after = kept(office, before.ref)
    assert (after.topic, after.received_at, after.topic_label) == (
        "permits",
        MONDAY_NOON,
        before.topic_label,
    )
    assert (after.erased_at, after.erased_why) == (office.now(), "asked")
    with office.db.reading() as session:
        [first, *_] = decisions_of(session, after)
        assert first.trace and first.recipient == "parking@institute.example"
        types = [it.type for it in events_of(session, about(after))]
        assert {"received", "added", "rerouted", "erased"} <= set(types)
        assert verify(session).broken == []


def test_every_mailbox_that_had_it_is_asked_once_to_delete_it(office):
    ref = a_life(office).ref
    erase(office, ref)
    Worker(office, transport_of(office)).run_once()

    with office.db.reading() as session:
        mails = deliveries_of(session, enquiry_by_ref(session, ref))
        had = {it.recipient for it in mails if it.kind is DeliveryKind.ROUTED and it.accepted_at}
        asked = [it for it in mails if it.kind is DeliveryKind.NOTICE and it.content]
        assert sorted(it.recipient for it in asked) == sorted(had)
        assert had == {"parking@institute.example", "admissions@institute.example"}
        assert {it.state for it in asked} == {DeliveryState.ACCEPTED}


def test_a_blanked_note_that_no_erasure_names_breaks_the_history(office):
    enquiry = a_life(office)
    with office.db.writing() as session:
        session.execute(sa.text("UPDATE event SET note = '' WHERE type = 'rerouted'"))

    with office.db.reading() as session:
        assert verify(session).broken == [about(enquiry)]


def test_nothing_of_it_is_sent_any_more_and_nothing_can_be_tried_again(office):
    enquiry = submit(office)
    assert erase(office, enquiry.ref) and not erase(office, enquiry.ref)

    with office.db.writing() as session:
        mails = deliveries_of(session, enquiry_by_ref(session, enquiry.ref))
        assert {it.state for it in mails} == {DeliveryState.CANCELLED}
        for mail in mails:
            with pytest.raises(Conflict):
                tries.retry(session, mail, now=office.now(), by="x")
    assert Worker(office, transport_of(office)).run_once().processed == 0


def test_erasing_a_person_reaches_all_they_sent_and_leaves_others_alone(office, tmp_path):
    refs = [a_life(office).ref]
    address = EmailAddress("Zebulon.Quirk2@EXAMPLE.com")
    again = a_submission(form_token="another", name="Zebulon Q", email=address)
    refs.append(submit(office, again).ref)
    other = submit(office, a_submission(form_token="a third"))
    with office.db.writing() as session:
        take_in(
            session,
            b"From: Zebulon.Quirk2@example.com\r\n\r\neels again\r\n",
            source="pipe",
            envelope_from=None,
            envelope_to="contact@institute.example",
            now=office.now(),
        )
        session.add(
            Proposal(
                id=7,
                department_id=department_by_slug(session, "parking").id,
                source=ProposalSource.PUBLIC,
                what="hours",
                correct="9 to 5",
                email="zebulon.quirk2@example.com",
                language="en",
                at=office.now(),
            )
        )

    with office.db.writing() as session:
        address = EmailAddress("zebulon.quirk2@example.com")
        done = privacy.erase_person(session, address, by="admin", **given(office))
    privacy.forget_traces(office.db, now=office.now())

    assert sorted(done.refs) == sorted(refs) and done.reports == 1 and done.mails >= 1
    assert left_of(office, tmp_path) == []
    assert kept(office, other.ref).name == "Li Wei"
    with office.db.reading() as session:
        assert session.scalar(sa.select(proposals.c.correct)) == "9 to 5"


# By itself


def answered(parts: Parts) -> Enquiry:
    enquiry = submit(parts)
    Worker(parts, transport_of(parts)).run_once()
    with parts.db.writing() as session:
        enquiry_by_ref(session, enquiry.ref).answered(parts.now())
    return enquiry


def test_what_was_answered_is_closed_after_a_month_without_news_and_blank_a_year_later(
    office, clock
):
    enquiry = answered(office)

    clock.advance(days=29)
    minute.go_round(office)
    assert kept(office, enquiry.ref).status is EnquiryStatus.ANSWERED
    clock.advance(days=2)
    minute.go_round(office)
    closed = kept(office, enquiry.ref)
    assert (closed.status, closed.closed_at) == (EnquiryStatus.CLOSED, clock.at)

    clock.advance(days=364)
    minute.go_round(office)
    assert kept(office, enquiry.ref).name == "Li Wei"
    clock.advance(days=2)
    minute.go_round(office)
    after = kept(office, enquiry.ref)
    assert (after.name, after.email, after.message) == ("", "", "")
    assert (after.status, after.erased_why) == (EnquiryStatus.CLOSED, "retention")
    with office.db.reading() as session:
        kinds = {it.kind for it in deliveries_of(session, after)}
    assert DeliveryKind.NOTICE not in kinds  # the mail itself said when to delete it


def test_news_puts_off_the_closing(office, clock):
    enquiry = answered(office)
    clock.advance(days=20)
    with office.db.writing() as session:
        found = enquiry_by_ref(session, enquiry.ref)
        add_message(session, found, "One thing more", **given(office))

    clock.advance(days=20)
    minute.go_round(office)

    assert kept(office, enquiry.ref).status is EnquiryStatus.ANSWERED


@pytest.mark.parametrize("status", ["received", "routed", "taken", "held"])
def test_what_nobody_answered_is_never_deleted_by_itself(office, clock, status):
    enquiry = submit(office)
    with office.db.writing() as session:
        enquiry_by_ref(session, enquiry.ref).status = EnquiryStatus(status)

    clock.advance(days=2_000)
    minute.go_round(office)

    assert kept(office, enquiry.ref).message


def test_it_is_done_once_a_day_however_often_anybody_looks(office, clock, monkeypatch):
    done = []
    monkeypatch.setattr(privacy, "tidy", lambda *_, **__: done.append(1) or privacy.Tidied(0, 0))

    for _ in range(3):
        minute.go_round(office)
    clock.advance(days=1, minutes=1)
    for _ in range(3):
        minute.go_round(office)

    assert len(done) == 2


def test_more_than_one_batch_is_done_in_the_next_minutes(office, clock, monkeypatch):
    monkeypatch.setattr(privacy, "BATCH", 2)
    for number in range(5):
        submit(office, a_submission(form_token=f"form {number}"))
    with office.db.writing() as session:
        for enquiry in session.scalars(sa.select(Enquiry)):
            enquiry.closed(office.now())
    clock.advance(days=366)

    counts = []
    for _ in range(4):
        minute.go_round(office)
        with office.db.reading() as session:
            wanted = sa.select(sa.func.count()).where(enquiries.c.erased_at.is_(None))
            counts.append(session.scalar(wanted))

    assert counts == [3, 1, 0, 0]
