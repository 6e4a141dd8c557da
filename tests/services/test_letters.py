"""What a mailbox reads when it is asked, and when its mail goes elsewhere."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from directory.adapters.queries import department_by_slug
from directory.domain.delivery import Delivery
from directory.services.letters import Letters, shown_rows
from tests.adapters.test_compose import Reader, read
from tests.services.test_contacts import amend, notices
from tests.services.test_trust import NEW, asked, days, questions, settle, swept


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(message: EmailMessage) -> Reader:
    part = message.get_body(("html",))
    assert part is not None
    assert len(part.get_content().encode()) < 30_000
    return Reader(part.get_content())


@pytest.fixture(params=["en", "zh-Hans"])
def question(office, request) -> Delivery:
    """The first question to a mailbox that reads either language."""
    with office.db.writing() as session:
        department_by_slug(session, "parking").languages = [request.param]
    asked(office)
    return questions(office)[0]


def test_a_question_shows_what_the_public_sees_in_both_languages(question):
    for shown in (text_of(read(question)), html_of(read(question)).text):
        for detail in ("Parking", "Parking处", NEW, "+86 25 0345 5180", "Gate 1", "一号门"):
            assert detail in shown


def test_a_question_is_addressed_as_mail_of_the_directory(question):
    message = read(question)

    assert message["From"].addresses[0].addr_spec == "contact@institute.example"
    assert message["To"].addresses[0].addr_spec == NEW
    assert message["Reply-To"].addresses[0].addr_spec == "desk@institute.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["List-Id"] == "<directory.contact.institute.example>"
    assert message["List-Unsubscribe"] == f"<{question.inputs['unsubscribe_url']}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-Enquiry-Kind"] == "verification"
    assert message["Content-Language"] == question.language
    assert message["X-Enquiry-Ref"] is None
    assert message["Sender"] is None


def test_its_links_stand_alone_on_their_lines_and_are_short_enough(question):
    lines = text_of(read(question)).splitlines()
    links = [line for line in lines if "://" in line]

    # As with an origin of 33 characters, of which this one has 32.
    assert [len(link) <= 82 for link in links] == [True] * 3
    assert all(link.startswith("http://contact.institute.example/") for link in links)
    assert [link.rpartition("?")[2] for link in links[:2]] == ["do=correct", "do=change"]
    assert all(len(line) <= 78 for line in lines if line not in links)
    assert set(links) == set(html_of(read(question)).links)


def test_a_reminder_says_that_it_is_one_and_which(office):
    asked(office)
    for _ in range(2):
        settle(office)
        days(office, 8)
        swept(office)

    first, second, third = (read(mail) for mail in questions(office))

    assert "Reminder" not in first["Subject"]
    assert second["Subject"] == third["Subject"] == "Reminder: is what we show of Parking right?"
    assert "One more reminder will follow" in text_of(second)
    assert "This is the last reminder" in text_of(third)
    assert first["Message-ID"] != second["Message-ID"]


def test_a_notice_says_who_changed_what_when_and_why(office):
    amend(office, "parking", email=NEW)

    for delivery in notices(office):
        message = read(delivery)
        assert message["Subject"] == "Mail for Parking goes elsewhere now"
        assert message["List-Unsubscribe"] is None
        for shown in (text_of(message), html_of(message).text):
            for detail in (
                "parking@institute.example",
                NEW,
                "editor@x.example",
                "they moved",
                "Mon 23 Nov 2026, 12:01",
            ):
                assert detail in shown


def test_what_an_editor_typed_is_no_markup_and_no_header(office):
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        parking.name = {"en": "<b>Parking</b>\nBcc: x@y.example"}
        [old, _] = Letters(session, office.settings, now=office.now()).change_notices(
            parking, before="a@x.example", after="b@x.example", by="<i>me</i>", reason="<u>why</u>"
        )
    message = read(old)
    assert message["Bcc"] is None
    assert {"b", "i", "u"}.isdisjoint(html_of(message).tags)
    assert "<u>why</u>" in html_of(message).text


def test_what_is_the_same_in_both_languages_is_said_once(office):
    with office.db.reading() as session:
        rows = shown_rows(
            department_by_slug(session, "parking"),
            "zh-Hans",
            settings=office.settings,
            now=office.now(),
        )
    shown = {row["column"]: (row["label"], row["texts"]) for row in rows}
    assert shown["phone"] == ("电话", [{"lang": "", "text": "+86 25 0345 5180"}])
    assert [text["lang"] for text in shown["address"][1]] == ["en", "zh-Hans"]
