"""What happens to an enquiry when it is submitted: stored once, decided, its mail queued."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import allowances, decisions, deliveries, enquiries, events
from directory.adapters.queries import (
    decisions_of,
    deliveries_of,
    department_by_slug,
    events_of,
    topic_by_code,
)
from directory.domain.contacts import PointKind, PointState
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.errors import RateLimited
from directory.domain.values import EmailAddress, PhoneNumber
from directory.parts import Parts
from directory.services.enquiries import (
    AlreadySent,
    Sender,
    redeliver_to,
    submit_enquiry,
)
from directory.services.history import about
from directory.services.post import status_url
from tests.builders import MONDAY_NOON, SetClock, a_submission, parts_for, submit

HERE = Sender(address="a", network="n")


def recipients(parts: Parts, enquiry: Enquiry) -> dict[str, str]:
    """Who gets mail, by kind."""
    with parts.db.reading() as session:
        return {d.kind.value: d.recipient for d in deliveries_of(session, enquiry)}


def count(parts: Parts, table: sa.Table) -> int:
    with parts.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def amend(parts: Parts, slug: str, **changes: Any) -> None:
    """Change a department as another entry point would."""
    with parts.db.writing() as session:
        department = department_by_slug(session, slug)
        for name, value in changes.items():
            setattr(department, name, value)


def suspend_mailboxes(parts: Parts, *slugs: str) -> None:
    with parts.db.writing() as session:
        for slug in slugs:
            for point in department_by_slug(session, slug).points:
                if point.kind is PointKind.EMAIL:
                    point.state = PointState.SUSPENDED


# Stored, decided, queued


def test_an_enquiry_its_decision_and_its_mail_exist_together(office):
    enquiry = submit(office)

    with office.db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        [decision] = decisions_of(session, kept)
        to_department, receipt = deliveries_of(session, kept)
        [event] = events_of(session, about(kept))
        parking = department_by_slug(session, "parking")
    assert (kept.status, kept.attention) == (EnquiryStatus.RECEIVED, "")
    assert (decision.reason, decision.department_id) == ("topic", parking.id)
    assert decision.recipient == to_department.recipient == "parking@institute.example"
    assert (decision.rule_set, kept.department_id) == (1, parking.id)
    assert to_department.kind is DeliveryKind.ROUTED
    assert receipt.kind is DeliveryKind.ACKNOWLEDGEMENT
    assert receipt.recipient == "liwei@example.com"
    assert {d.state for d in (to_department, receipt)} == {DeliveryState.QUEUED}
    assert (event.type, event.after["department"]) == ("received", "parking")


def test_a_mail_says_whose_time_it_means_where_there_is_no_address_too(office):
    with_address = submit(office)
    without = submit(office, a_submission("apply", form_token="another form"))

    with office.db.reading() as session:
        places = [
            {delivery.inputs["place"] for delivery in deliveries_of(session, enquiry)}
            for enquiry in (with_address, without)
        ]
    assert places == [{"Nanjing"}, {"Shanghai"}]


def test_everything_typed_is_kept_as_it_was_sent(office):
    submission = a_submission(
        department="media",
        subject="车位",
        message="第一行\n第二行",
        name="李伟",
        organisation="Example Ltd",
        reply_by=ReplyBy.PHONE,
        phone=PhoneNumber.parse("025 8345 5189 转 808", region="CN"),
        phone_typed="025 8345 5189 转 808",
        country="CN",
        reply_language="any",
        language="zh-Hans",
        source="/visit",
        shown="parking",
    )

    enquiry = submit(office, submission)

    with office.db.reading() as session:
        kept = session.get_one(Enquiry, enquiry.id)
    assert (kept.message, kept.subject, kept.name) == ("第一行\n第二行", "车位", "李伟")
    assert (kept.phone, kept.phone_extension) == ("+862583455189", "808")
    assert kept.phone_typed == "025 8345 5189 转 808"
    assert (kept.topic, kept.chosen_department) == ("permits", "media")
    assert (kept.reply_by, kept.reply_language) == (ReplyBy.PHONE, "any")
    assert (kept.organisation, kept.country, kept.source) == ("Example Ltd", "CN", "/visit")
    assert kept.topic_label["zh-Hans"] == "Permits事项"
    assert (kept.shown, kept.consent, kept.received_at) == ("parking", "notice 1", MONDAY_NOON)


def test_nothing_is_stored_when_the_transaction_fails_at_its_end(office):
    class Crash(Exception):
        pass

    with pytest.raises(Crash), office.db.writing() as session:
        submit_enquiry(
            session,
            a_submission(),
            published=office.published(session, MONDAY_NOON),
            settings=office.settings,
            signer=office.signer,
            now=MONDAY_NOON,
            sender=HERE,
        )
        session.flush()
        raise Crash
    tables = (enquiries, decisions, deliveries, allowances)
    assert [count(office, table) for table in tables] == [0, 0, 0, 0]
    with office.db.reading() as session:
        assert set(session.scalars(sa.select(events.c.type))) == {"published"}


def test_the_answer_is_due_after_the_topics_days_else_the_departments_else_the_sites(office):
    by_department = submit(office, a_submission("apply", form_token="one"))
    by_site = submit(office, a_submission("permits", form_token="two"))

    # Monday noon in Shanghai and three, or two, working days; the day ends there.
    assert by_department.answer_by.date().isoformat() == "2026-11-26"
    assert by_site.answer_by.date().isoformat() == "2026-11-25"


# One submission, one enquiry (P4)


def test_a_form_sent_twice_is_one_enquiry(office):
    first = submit(office)
    again = submit(office)

    assert (again.id, again.ref) == (first.id, first.ref)
    assert [count(office, table) for table in (enquiries, decisions, deliveries)] == [1, 1, 2]


def test_a_form_sent_again_days_later_is_still_the_same_enquiry(office, clock):
    first = submit(office)
    clock.advance(days=30)

    assert submit(office).ref == first.ref


def test_a_used_form_with_another_text_is_refused_and_names_the_first(office):
    first = submit(office)

    with pytest.raises(AlreadySent) as refused:
        submit(office, a_submission(message="Something else"))

    assert refused.value.ref == first.ref
    assert count(office, enquiries) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"topic": "apply"},
        {"department": "media"},
        {"subject": "x"},
        {"name": "Wang"},
        {"organisation": "x"},
        {"reply_by": ReplyBy.NONE},
        {"email": EmailAddress("wang@example.com")},
        {"phone_typed": "123"},
        {"country": "GB"},
        {"reply_language": "any"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_change_in_any_field_makes_it_another_text(office, changed):
    submit(office)

    with pytest.raises(AlreadySent):
        submit(office, a_submission(**changed))


def test_the_same_form_many_times_at_once_is_one_enquiry(office):
    gate = threading.Barrier(8)
    refs: list[str] = []
    wrong: list[BaseException] = []

    def send() -> None:
        gate.wait()
        try:
            refs.append(submit(office, sender=HERE).ref)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(refs) == 8 and len(set(refs)) == 1
    assert [count(office, table) for table in (enquiries, decisions, deliveries)] == [1, 1, 2]


# Where it goes (P16)


def test_a_rule_that_matches_is_kept_with_its_version_and_all_findings(office):
    enquiry = submit(office, a_submission("not-sure", message="I write for a newspaper."))

    with office.db.reading() as session:
        [decision] = decisions_of(session, enquiry)
    assert (decision.reason, decision.rule, decision.rule_id) == ("rule", 1, "newspapers")
    assert decision.recipient == "media@institute.example"
    assert decision.why["en"] == "topic is Not sure and mentions “newspaper”"
    assert decision.trace[0]["matched"] is True


def test_a_topic_taken_away_meanwhile_still_reaches_the_desk(office):
    enquiry = submit(office, a_submission("gone"))

    assert recipients(office, enquiry)["routed"] == "desk@institute.example"


def test_a_department_without_a_live_mailbox_passes_to_its_deputy(office):
    suspend_mailboxes(office, "parking")

    enquiry = submit(office)

    with office.db.reading() as session:
        [decision] = decisions_of(session, enquiry)
    assert decision.recipient == "admissions@institute.example"
    assert decision.passed_over == ["parking"]


def test_without_any_live_mailbox_the_desks_last_one_is_still_tried(office):
    suspend_mailboxes(office, "parking", "admissions", "enquiry-desk")

    enquiry = submit(office)

    assert recipients(office, enquiry)["routed"] == "desk@institute.example"


def test_an_edit_of_the_directory_counts_for_the_next_enquiry_and_not_for_the_last(office):
    before = submit(office, a_submission(form_token="before"))
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        parking.points[0].value = "cars@institute.example"

    after = submit(office, a_submission(form_token="after"))

    assert recipients(office, before)["routed"] == "parking@institute.example"
    assert recipients(office, after)["routed"] == "cars@institute.example"


# The receipt (P12)


def test_no_receipt_without_an_address(office):
    enquiry = submit(office, a_submission(email=None, reply_by=ReplyBy.NONE))

    assert list(recipients(office, enquiry)) == ["routed"]


@pytest.mark.parametrize(
    "address",
    [
        "postmaster@example.com",
        "Abuse@example.com",
        "mailer-daemon@example.com",
        "no-reply@example.com",
        "contact@institute.example",
        "parking@institute.example",
        "Parking@institute.example",
    ],
)
def test_no_receipt_to_roles_to_nobody_and_to_ourselves(office, address):
    enquiry = submit(office, a_submission(email=EmailAddress(address)))

    assert list(recipients(office, enquiry)) == ["routed"]


def test_no_receipt_where_the_topic_wants_none(office):
    with office.db.writing() as session:
        topic_by_code(session, "permits").acknowledge = False

    assert list(recipients(office, submit(office))) == ["routed"]


def test_one_address_gets_three_receipts_a_day_however_it_is_spelt(office, clock):
    spellings = ["liwei@example.com", "LiWei@example.com", "LIWEI@EXAMPLE.COM", "liwei@example.com"]
    got = []
    for number, spelling in enumerate(spellings):
        # An address each time, an hour apart: no other limit is met.
        sender = Sender(address=f"a{number}", network=f"n{number}")
        submission = a_submission(form_token=f"t{number}", email=EmailAddress(spelling))
        got.append(
            "acknowledgement" in recipients(office, submit(office, submission, sender=sender))
        )
        clock.advance(hours=2)

    assert got == [True, True, True, False]

    clock.advance(hours=24)
    enquiry = submit(office, a_submission(form_token="next day"))
    assert "acknowledgement" in recipients(office, enquiry)


def test_many_forms_at_the_same_moment_bring_one_address_no_more_than_three_receipts(office):
    gate = threading.Barrier(8)
    got: list[bool] = []

    def ask(number: int) -> None:
        submission = a_submission(form_token=f"t{number}")
        gate.wait()
        got.append("acknowledgement" in recipients(office, submit(office, submission)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == [False] * 5 + [True] * 3


def test_above_the_soft_limit_an_enquiry_is_stored_and_sent_but_gets_no_receipt(office):
    limit = office.settings.enquiry.rate_per_hour
    got = []
    for number in range(limit + 1):
        submission = a_submission(
            form_token=f"t{number}", email=EmailAddress(f"visitor{number}@example.com")
        )
        got.append(set(recipients(office, submit(office, submission, sender=HERE))))

    assert got[:limit] == [{"routed", "acknowledgement"}] * limit
    assert got[limit] == {"routed"}


def test_above_the_hard_limit_a_network_is_refused_and_told_when_it_may_come_back(
    database_url, tmp_path, clock, office
):
    strict = parts_for(
        tmp_path, database_url, clock, enquiry={"rate_per_hour": 0, "refuse_per_hour": 2}
    )
    submit(strict, a_submission(form_token="one"), sender=Sender("a", "n"))
    clock.advance(minutes=20)
    submit(strict, a_submission(form_token="two"), sender=Sender("b", "n"))

    with pytest.raises(RateLimited) as refused:
        submit(strict, a_submission(form_token="three"), sender=Sender("c", "n"))
    assert (refused.value.count, refused.value.again_at) == (2, MONDAY_NOON + timedelta(hours=1))

    # Known already, so it is no further one; another network is none of this one's business.
    assert submit(strict, a_submission(form_token="one"), sender=Sender("a", "n"))
    assert submit(strict, a_submission(form_token="three"), sender=Sender("c", "other"))

    clock.at = refused.value.again_at
    assert submit(strict, a_submission(form_token="four"), sender=Sender("c", "n"))
    strict.let_go()


def test_a_suspect_enquiry_is_held_without_a_mail_to_anybody(office):
    enquiry = submit(office, held="honeypot")

    assert (enquiry.status, enquiry.attention) == (EnquiryStatus.HELD, "honeypot")
    assert recipients(office, enquiry) == {}


# What is fixed for the mail


def test_no_two_enquiries_share_a_message_id_or_an_envelope_sender(office):
    ids, senders = set(), set()
    for number in range(5):
        submission = a_submission(
            form_token=f"t{number}", email=EmailAddress(f"visitor{number}@example.com")
        )
        enquiry = submit(office, submission)
        with office.db.reading() as session:
            for delivery in deliveries_of(session, enquiry):
                ids.add(delivery.message_id)
                senders.add(delivery.envelope_sender)

    assert len(ids) == len(senders) == 10
    assert all(len(sender.partition("@")[0]) <= 64 for sender in senders)
    assert {sender.partition("@")[2] for sender in senders} == {"institute.example"}


def test_the_receipt_is_made_without_a_word_the_visitor_typed(office):
    enquiry = submit(
        office,
        a_submission(
            message="MARK-message",
            subject="MARK-subject",
            name="MARK-name",
            organisation="MARK-organisation",
            phone_typed="MARK-phone",
            source="MARK-source",
        ),
    )

    with office.db.reading() as session:
        _, receipt = deliveries_of(session, enquiry)
        told = repr(receipt.inputs)
    assert "MARK" not in told
    url = status_url(enquiry, settings=office.settings, signer=office.signer)
    assert url in told


def test_the_receipt_speaks_the_language_of_the_reply_else_of_the_page(office):
    def language(token: str, **changes: Any) -> str:
        enquiry = submit(office, a_submission(form_token=token, **changes))
        with office.db.reading() as session:
            return deliveries_of(session, enquiry)[1].language

    assert language("one", language="en", reply_language="zh-Hans") == "zh-Hans"
    assert language("two", language="zh-Hans", reply_language="any") == "zh-Hans"


def test_a_department_reads_its_mail_in_its_own_first_language(office):
    amend(office, "parking", languages=["fr", "zh-Hans", "en"])

    enquiry = submit(office)

    with office.db.reading() as session:
        assert deliveries_of(session, enquiry)[0].language == "zh-Hans"


def test_an_answer_by_phone_leaves_replies_to_the_desk(office):
    enquiry = submit(
        office,
        a_submission(
            email=None,
            reply_by=ReplyBy.PHONE,
            phone=PhoneNumber.parse("+44 20 7946 0123", region="CN"),
            phone_typed="+44 20 7946 0123",
        ),
    )

    with office.db.reading() as session:
        [routed] = deliveries_of(session, enquiry)
        assert routed.inputs["reply_to"][0]["address"] == "desk@institute.example"
        assert routed.inputs["phone"] == "+44 20 7946 0123"


# Passing on what was refused for good (P8)


def passed_on(parts: Parts, enquiry: Enquiry, *tried: str) -> str | None:
    with parts.db.writing() as session:
        kept = session.get_one(Enquiry, enquiry.id)
        again = redeliver_to(
            session,
            deliveries_of(session, kept)[0],
            kept,
            published=parts.published(session, parts.now()),
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
            tried=tried,
        )
        return again.recipient if again else None


def test_what_was_refused_goes_to_the_deputy_then_to_the_desk_then_nowhere(office):
    enquiry = submit(office)

    first = passed_on(office, enquiry, "parking@institute.example")
    second = passed_on(office, enquiry, "parking@institute.example", str(first))
    third = passed_on(office, enquiry, "parking@institute.example", str(first), str(second))

    assert (first, second, third) == (
        "admissions@institute.example",
        "desk@institute.example",
        None,
    )
    with office.db.reading() as session:
        trail = [d.recipient for d in decisions_of(session, enquiry)]
        ids = [d.message_id for d in deliveries_of(session, enquiry)]
    assert trail == ["parking@institute.example", first, second]
    assert len(set(ids)) == len(ids) == 4


def test_a_backup_address_comes_before_the_deputy(office):
    amend(office, "parking", backup_email="night-porter@institute.example")
    enquiry = submit(office)

    again = passed_on(office, enquiry, "parking@institute.example")

    assert again == "night-porter@institute.example"


def test_deputies_in_a_ring_end_at_the_desk(office: Parts, clock: SetClock) -> None:
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        department_by_slug(session, "admissions").deputy_id = parking.id
    suspend_mailboxes(office, "parking", "admissions")

    enquiry = submit(office)

    assert recipients(office, enquiry)["routed"] == "desk@institute.example"
    assert passed_on(office, enquiry, "desk@institute.example") is None
