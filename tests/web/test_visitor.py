"""What a visitor can still do with an enquiry, from its page."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from directory.adapters import ledger
from directory.adapters.db import additions, deliveries, enquiries, link_requests
from directory.adapters.queries import deliveries_of, enquiry_by_ref, events_of
from directory.domain.delivery import Attempt, Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.errors import PermanentFailure
from directory.parts import Parts
from directory.services import minute
from directory.services.deliveries import record_failure
from directory.services.enquiries import RECEIPTS_A_DAY
from directory.services.history import about, verify
from directory.services.moves import reroute_enquiry, undo_move
from directory.services.visitors import ADDITIONS_A_DAY, CORRECTIONS
from directory.supervisor import transport_of
from directory.worker import Worker
from tests.web.conftest import client_of
from tests.web.pages import Page, send, words

PRIVATE = ("Li Wei", "liwei", "8345 5189", "north gate", "Parking on Friday", "Example Trading")


class Visitor:
    """One enquiry, the browser that sent it, and what became of it."""

    def __init__(self, parts: Parts, **changes: Any) -> None:
        self.parts = parts
        self.browser = client_of(parts)
        self.where = send(self.browser, **changes).location.partition("?")[0]

    def elsewhere(self) -> FlaskClient:
        return client_of(self.parts)

    def page(self, browser: FlaskClient | None = None, **query: str) -> Page:
        return Page((browser or self.browser).get(self.where, query_string=query))

    def do(
        self, act: str, browser: FlaskClient | None = None, lang: str = "", **fields: str
    ) -> TestResponse:
        """Open the form of *act* and press its button."""
        browser = browser or self.browser
        query = {"do": act} | ({"lang": lang} if lang else {})
        form = self.page(browser, **query).one(f'form[data-act="{act}"]')
        nonce = form.css_first('[name="nonce"]').attributes["value"]
        return browser.post(str(form.attributes["action"]), data={"nonce": nonce} | fields)

    @property
    def enquiry(self) -> Enquiry:
        with self.parts.db.reading() as session:
            [ref] = session.scalars(sa.select(enquiries.c.ref))
            found = enquiry_by_ref(session, ref)
            session.expunge(found)
            return found

    def mails(self, *kinds: DeliveryKind) -> list[Delivery]:
        with self.parts.db.reading() as session:
            found = deliveries_of(session, self.enquiry)
            return [it for it in found if it.kind in kinds or not kinds]

    def read(self, delivery: Delivery) -> EmailMessage:
        """The mail of *delivery* once a worker sent it."""
        with self.parts.db.reading() as session:
            content = session.scalar(
                sa.select(deliveries.c.content).where(deliveries.c.id == delivery.id)
            )
        assert content is not None, delivery.reason
        return message_from_bytes(content, policy=policy.default)  # type: ignore[return-value]

    def link_in_mail(self) -> str:
        """The path of the link in the newest mail to the visitor."""
        self.deliver()
        text = said(self.read(self.mails(DeliveryKind.LINK)[-1]))
        found = re.search(r"https?://[^/\s]+(/e/\S+)", text)
        assert found, text
        return found[1]

    def deliver(self) -> None:
        Worker(self.parts, transport_of(self.parts)).run_once()

    def events(self) -> list[str]:
        with self.parts.db.reading() as session:
            return [it.type for it in events_of(session, about(self.enquiry))]

    def change(self, **values: Any) -> None:
        with self.parts.db.writing() as session:
            found = enquiry_by_ref(session, self.enquiry.ref)
            for name, value in values.items():
                setattr(found, name, value)


def said(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


@pytest.fixture
def visitor(office: Parts) -> Visitor:
    return Visitor(office)


def offered(page: Page) -> list[str]:
    return [str(it.attributes["data-act"]) for it in page.all("#acts a")]


# Looking


def test_the_page_offers_what_is_possible_and_no_more(visitor):
    assert offered(visitor.page()) == ["email", "add", "withdraw", "export", "erase"]
    assert offered(visitor.page(visitor.elsewhere())) == ["add", "withdraw", "export", "erase"]

    visitor.change(status=EnquiryStatus.ANSWERED)
    assert offered(visitor.page()) == ["add", "export", "erase"]
    visitor.change(status=EnquiryStatus.CLOSED)
    assert offered(visitor.page()) == ["export", "erase"]


def test_who_left_no_address_cannot_be_asked_by_mail_and_is_not_offered_it(office):
    visitor = Visitor(office, reply_by="phone", email="")

    assert offered(visitor.page()) == ["add", "withdraw"]
    assert visitor.page(do="erase").all("form[data-act]") == []


def test_who_just_sent_it_is_told_where_to_correct_the_address(visitor):
    page = visitor.page(sent="1")

    assert page.one('a[href$="?do=email"]:not([data-act])').text() == "Wrong address? Correct it"
    assert visitor.page(visitor.elsewhere(), sent="1").all('a[href$="?do=email"]') == []


def test_the_books_balance_whatever_a_visitor_does(visitor, office):
    for act, fields in (("add", {"message": "More"}), ("withdraw", {}), ("erase", {})):
        assert visitor.do(act, **fields).status_code == 303
        with office.db.reading() as session:
            assert ledger.read(session) == ledger.count_anew(session)
    link = visitor.link_in_mail()
    form = Page(visitor.browser.get(link)).one("form[data-act]")
    nonce = form.css_first('[name="nonce"]').attributes["value"]
    visitor.browser.post(str(form.attributes["action"]), data={"nonce": nonce})

    with office.db.reading() as session:
        assert ledger.read(session) == ledger.count_anew(session)


@pytest.mark.parametrize("act", ["add", "withdraw", "email", "export", "erase"])
def test_no_form_shows_another_browser_the_person_or_the_words(visitor, act):
    text = visitor.page(visitor.elsewhere(), do=act).text

    assert [word for word in PRIVATE if word in text] == []


@pytest.mark.parametrize("act", ["add", "withdraw", "email", "export", "erase"])
def test_looking_at_a_form_or_its_address_changes_nothing(visitor, act):
    before = visitor.enquiry.version, len(visitor.mails()), visitor.events()

    for method in ("GET", "HEAD"):
        response = visitor.browser.open(f"{visitor.where}/{act}", method=method)
        assert (response.status_code, response.location) == (302, f"{visitor.where}?do={act}")
        visitor.browser.open(f"{visitor.where}?do={act}", method=method)

    assert (visitor.enquiry.version, len(visitor.mails()), visitor.events()) == before
    assert visitor.browser.get(f"{visitor.where}/steal").status_code == 404


@pytest.mark.parametrize("act", ["add", "withdraw", "email", "export", "erase"])
def test_no_act_is_done_without_the_nonce_of_this_page(office, act):
    visitor = Visitor(office)
    fields = {"message": "More", "email": "new@example.com"}
    strange = office.signer.sign_value("visitor nonce", ["00000000", "page"], office.now())

    for nonce in ("", "x" * 40, strange):
        response = visitor.browser.post(f"{visitor.where}/{act}", data={"nonce": nonce} | fields)
        assert response.status_code == 403
    from_afar = visitor.browser.post(
        f"{visitor.where}/{act}", data=fields, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert from_afar.status_code == 403
    assert visitor.events() == ["received"]


def test_a_forged_link_is_not_found_whatever_is_asked_of_it(visitor):
    forged = visitor.where[:-1] + ("0" if visitor.where[-1] != "0" else "1")

    for path in (forged, f"{forged}/add", f"{forged}/erase"):
        assert visitor.browser.get(path, follow_redirects=True).status_code == 404
        assert visitor.browser.post(path, data={}).status_code in {404, 405}


# Adding


@pytest.mark.parametrize(("lang", "told"), [("en", "Added."), ("zh-hans", "已补充。")])
def test_what_is_added_reaches_the_mailbox_that_has_it_in_the_same_thread(visitor, lang, told):
    visitor.deliver()
    response = visitor.do(
        "add", visitor.elsewhere(), lang, message="The plate is 苏A12345.\r\nThanks"
    )

    assert response.status_code == 303
    assert told in Page(visitor.browser.get(response.location)).text
    visitor.deliver()
    [mail] = visitor.mails(DeliveryKind.ADDITION)
    message = visitor.read(mail)
    [routed] = visitor.mails(DeliveryKind.ROUTED)
    assert mail.state is DeliveryState.ACCEPTED and mail.recipient == "parking@institute.example"
    assert message["In-Reply-To"] == routed.message_id
    assert str(message["Reply-To"]) == "liwei@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "| The plate is 苏A12345.\n| Thanks" in said(message)
    assert visitor.events() == ["received", "routed", "added"]


@pytest.mark.parametrize("text", ["", "   ", "x" * 5001, "a\0b"])
def test_an_addition_is_checked_as_a_message_is_and_kept_as_typed(visitor, text):
    response = visitor.do("add", message=text)

    page = Page(response)
    assert page.status == 422
    assert page.errors[0][0] == "f-message"
    assert page.one("#f-message").text().strip() == text.replace("\0", "\ufffd").strip()
    assert visitor.events() == ["received"]


def test_pressed_twice_it_is_added_once_and_after_a_few_a_day_no_more(visitor, clock):
    for _ in range(2):
        assert visitor.do("add", message="Once").status_code == 303
    assert len(visitor.mails(DeliveryKind.ADDITION)) == 1

    for number in range(ADDITIONS_A_DAY - 1):
        assert visitor.do("add", message=f"Number {number}").status_code == 303
    refused = visitor.do("add", message="One too many")
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    assert "One too many" in Page(refused).one("#f-message").text()

    clock.advance(days=1, minutes=1)
    assert visitor.do("add", message="The day after").status_code == 303


def test_nothing_is_added_to_what_nobody_reads_any_more(visitor):
    form = visitor.page(do="add").one('form[data-act="add"]')
    nonce = form.css_first('[name="nonce"]').attributes["value"]
    visitor.change(status=EnquiryStatus.CLOSED)

    response = visitor.browser.post(
        str(form.attributes["action"]), data={"nonce": nonce, "message": "Too late"}
    )

    assert response.status_code == 409
    assert visitor.events() == ["received"]


def test_what_was_added_goes_with_the_enquiry_when_it_is_passed_on(visitor, office):
    visitor.do("add", message="The plate is SU-A 12345")
    passed_on(office, visitor)
    visitor.deliver()

    mail = visitor.mails(DeliveryKind.ROUTED)[-1]
    assert mail.recipient == "admissions@institute.example"
    assert "| The plate is SU-A 12345" in said(visitor.read(mail))


def test_an_addition_that_is_refused_is_not_lost_but_needs_attention(visitor, office):
    visitor.deliver()
    visitor.do("add", message="And the south gate?")
    [mail] = visitor.mails(DeliveryKind.ADDITION)
    failure = PermanentFailure("rcpt", 550, "5.1.1 No such mailbox")
    with office.db.writing() as session:
        found = session.get_one(Delivery, mail.id)
        record_failure(
            session,
            found,
            failure,
            Attempt.that_failed(found.id, failure, at=office.now(), seconds=0.1, server="m:25"),
            published=office.published(session, office.now()),
            settings=office.settings,
            signer=office.signer,
            now=office.now(),
        )

    assert visitor.enquiry.attention == "addition_failed"
    assert visitor.events()[-1] == "addition_failed"


def passed_on(office: Parts, visitor: Visitor) -> None:
    with office.db.writing() as session:
        reroute_enquiry(
            session,
            visitor.enquiry.ref,
            "admissions",
            by="parking@institute.example",
            published=office.published(session, office.now()),
            settings=office.settings,
            signer=office.signer,
            now=office.now(),
        )


def test_what_waits_for_a_department_that_passed_it_on_is_not_sent_there(visitor, office):
    visitor.deliver()
    visitor.do("add", message="The plate is SU-A 12345")
    passed_on(office, visitor)
    visitor.deliver()

    assert [it.state for it in visitor.mails(DeliveryKind.ADDITION)] == [DeliveryState.CANCELLED]
    assert "| The plate is SU-A 12345" in said(visitor.read(visitor.mails(DeliveryKind.ROUTED)[-1]))


def test_what_was_added_during_a_move_comes_back_with_it(visitor, office):
    visitor.deliver()
    passed_on(office, visitor)
    visitor.do("add", message="The plate is SU-A 12345")
    with office.db.writing() as session:
        undo_move(
            session,
            enquiry_by_ref(session, visitor.enquiry.ref),
            by="parking@institute.example",
            published=office.published(session, office.now()),
            settings=office.settings,
            signer=office.signer,
            now=office.now(),
        )
    visitor.deliver()

    again = visitor.mails(DeliveryKind.ROUTED)[-1]
    assert again.recipient == "parking@institute.example"
    assert "| The plate is SU-A 12345" in said(visitor.read(again))


# Withdrawing


def test_withdrawn_before_anybody_has_it_nothing_is_mailed_at_all(visitor):
    response = visitor.do("withdraw", visitor.elsewhere())

    page = Page(visitor.browser.get(response.location))
    assert "Withdrawn. Nobody answers it" in page.text
    assert page.one("#status").attributes["data-status"] == "withdrawn"
    assert words(page.one('#status [aria-current="step"] b')) == "Withdrawn"
    assert {it.state for it in visitor.mails()} == {DeliveryState.CANCELLED}
    assert visitor.mails(DeliveryKind.NOTICE) == []
    assert visitor.events() == ["received", "withdrawn"]
    assert offered(page) == ["export", "erase"]


def test_withdrawn_later_the_department_is_told_once(visitor):
    visitor.deliver()
    visitor.do("withdraw")
    visitor.deliver()

    [notice] = visitor.mails(DeliveryKind.NOTICE)
    message = visitor.read(notice)
    assert notice.recipient == "parking@institute.example"
    assert "withdrew this enquiry" in said(message)
    again = visitor.browser.post(
        f"{visitor.where}/withdraw",
        data={"nonce": visitor.page(do="export").one('[name="nonce"]').attributes["value"]},
    )
    assert again.status_code == 409
    assert len(visitor.mails(DeliveryKind.NOTICE)) == 1


# Correcting the address


def test_the_address_is_corrected_where_it_was_written_and_the_old_link_is_spent(visitor):
    visitor.deliver()
    before = visitor.where
    response = visitor.do("email", email="li.wei@example.com")

    assert response.status_code == 303
    visitor.where = response.location.partition("?")[0]
    page = Page(visitor.browser.get(response.location))
    assert page.status == 200 and "Corrected." in page.text
    assert visitor.browser.get(before).status_code == 410
    assert visitor.enquiry.email == "li.wei@example.com"
    visitor.deliver()
    receipts = visitor.mails(DeliveryKind.ACKNOWLEDGEMENT)
    assert [it.recipient for it in receipts] == ["liwei@example.com", "li.wei@example.com"]
    assert visitor.where in said(visitor.read(receipts[-1]))
    [notice] = visitor.mails(DeliveryKind.NOTICE)
    assert "Answer to li.wei@example.com" in " ".join(said(visitor.read(notice)).split())
    assert str(visitor.read(notice)["Reply-To"]) == "li.wei@example.com"
    assert before != visitor.where


def test_a_receipt_that_still_waits_never_goes_to_the_mistyped_address(visitor):
    visitor.do("email", email="li.wei@example.com")

    states = {it.recipient: it.state for it in visitor.mails(DeliveryKind.ACKNOWLEDGEMENT)}
    assert states == {
        "liwei@example.com": DeliveryState.CANCELLED,
        "li.wei@example.com": DeliveryState.QUEUED,
    }


@pytest.mark.parametrize("text", ["", "li.wei", "a@b", "a@example.com, b@example.com"])
def test_an_address_is_checked_as_the_form_checks_it(visitor, text):
    page = Page(visitor.do("email", email=text))

    assert page.status == 422 and page.errors[0][0] == "f-email"
    assert visitor.enquiry.email == "liwei@example.com"


def test_nobody_corrects_it_from_another_browser_or_after_half_an_hour(visitor, clock):
    nonce = visitor.page(do="add").one('[name="nonce"]').attributes["value"]
    fields = {"nonce": nonce, "email": "thief@example.com"}

    for browser in (visitor.elsewhere(), visitor.browser):
        response = browser.post(f"{visitor.where}/email", data=fields)
        assert response.status_code == 422
        clock.advance(minutes=31)
    assert visitor.enquiry.email == "liwei@example.com"


def test_correcting_is_no_way_to_mail_the_world(visitor):
    for number in range(CORRECTIONS):
        response = visitor.do("email", email=f"somebody{number}@example.com")
        visitor.where = response.location.partition("?")[0]

    refused = visitor.do("email", email="one.more@example.com")

    assert refused.status_code == 429
    assert len(visitor.mails(DeliveryKind.ACKNOWLEDGEMENT)) <= CORRECTIONS + 1


# Asking for the data


def test_the_data_are_given_out_to_whoever_has_the_mail(visitor):
    visitor.deliver()
    visitor.do("add", message="And the south gate?")
    response = visitor.do("export", visitor.elsewhere())
    assert response.status_code == 303
    link = visitor.link_in_mail()
    stranger = visitor.elsewhere()

    page = Page(stranger.get(link))
    assert page.status == 200 and [word for word in PRIVATE if word in page.text] == []
    form = page.one('form[data-act="export"]')
    nonce = form.css_first('[name="nonce"]').attributes["value"]
    packed = stranger.post(str(form.attributes["action"]), data={"nonce": nonce})

    assert packed.mimetype == "application/zip"
    assert packed.headers["Cache-Control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(packed.get_data()))
    [told] = json.loads(archive.read("enquiries.json"))["enquiries"]
    assert (told["name"], told["email"]) == ("Li Wei", "liwei@example.com")
    assert [it["message"] for it in told["added"]] == ["And the south gate?"]
    assert "部门" in archive.read("README.txt").decode()
    mails = [name for name in archive.namelist() if name.startswith("mails/")]
    assert len(mails) == 2
    # The department's own links are in no mail that leaves.
    assert not any(b"/a/" in archive.read(name) for name in mails)


def test_a_link_for_the_data_deletes_nothing_and_the_other_way_round(visitor):
    visitor.do("export")
    link = visitor.link_in_mail()

    assert visitor.browser.get(link.replace("/export", "/erase")).status_code == 404
    assert visitor.browser.post(link.replace("/export", "/erase")).status_code == 404
    assert visitor.browser.get(link.replace("/export", "/add")).status_code == 404


def test_a_link_to_confirm_ends_after_three_days(visitor, clock):
    visitor.do("erase")
    link = visitor.link_in_mail()

    clock.advance(days=3, minutes=1)
    assert visitor.browser.get(link).status_code == 410
    assert Page(visitor.browser.get(link)).one('a[href$="/status-link"]')


def test_no_address_gets_more_than_three_such_mails_a_day(visitor, clock):
    for _ in range(5):
        assert visitor.do("erase").status_code == 303

    assert len(visitor.mails(DeliveryKind.ACKNOWLEDGEMENT, DeliveryKind.LINK)) == RECEIPTS_A_DAY
    clock.advance(days=1, minutes=1)
    visitor.do("erase")
    assert len(visitor.mails(DeliveryKind.ACKNOWLEDGEMENT, DeliveryKind.LINK)) == RECEIPTS_A_DAY + 1


# Deleting


@pytest.mark.parametrize(
    ("lang", "told"), [("en", "as you asked"), ("zh-hans", "个人信息已应您的要求于")]
)
def test_details_are_deleted_once_it_is_confirmed(visitor, office, lang, told):
    visitor.deliver()
    visitor.do("add", message="And the south gate?")
    visitor.do("erase")
    link = visitor.link_in_mail()
    for _ in range(3):  # a scanner
        visitor.elsewhere().get(link)
    assert visitor.enquiry.name == "Li Wei"
    browser = visitor.elsewhere()
    form = Page(browser.get(f"{link}?lang={lang}")).one('form[data-act="erase"]')
    nonce = form.css_first('[name="nonce"]').attributes["value"]
    response = browser.post(str(form.attributes["action"]), data={"nonce": nonce})

    page = Page(browser.get(response.location))
    assert page.status == 200 and told in words(page.one("#erased"))
    assert offered(page) == [] and Page(visitor.browser.get(visitor.where)).all("#written") == []
    assert browser.get(link).status_code == 410
    visitor.deliver()
    found = visitor.enquiry
    assert (found.name, found.email, found.message, found.phone) == ("", "", "", "")
    assert (found.topic, found.status) == ("permits", EnquiryStatus.WITHDRAWN)
    [notice] = visitor.mails(DeliveryKind.NOTICE)
    asked = visitor.read(notice)
    assert "please delete the mails" in said(asked)
    assert not [word for word in PRIVATE if word in asked.as_string()]
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(additions)) == 0
        assert verify(session).broken == []


def test_a_departments_links_end_with_the_details(visitor, office):
    visitor.deliver()
    [routed] = visitor.mails(DeliveryKind.ROUTED)
    link = re.search(r"http://[^/]+(/a/[^?\s]+)", said(visitor.read(routed)))
    assert link
    visitor.do("erase")
    confirm = visitor.link_in_mail()
    form = Page(visitor.browser.get(confirm)).one('form[data-act="erase"]')
    nonce = form.css_first('[name="nonce"]').attributes["value"]
    visitor.browser.post(str(form.attributes["action"]), data={"nonce": nonce})

    page = Page(visitor.elsewhere().get(link[1]))

    assert page.status == 410 and "details of the enquiry were deleted" in page.text


# A lost link


def lose(visitor: Visitor, ref: str, email: str, lang: str = "en") -> TestResponse:
    return visitor.elsewhere().post(f"/{lang}/status-link", data={"ref": ref, "email": email})


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_lost_link_is_mailed_if_they_match_and_nobody_is_told_whether_they_do(visitor, lang):
    ref = visitor.enquiry.ref.lower()
    answers = {
        lose(visitor, *asked, lang).get_data()
        for asked in [
            (f"enq {ref}", "LiWei@example.com"),
            (ref, "somebody.else@example.com"),
            ("ENQ-0000-0000", "liwei@example.com"),
            ("", "no address"),
        ]
    }
    assert len(answers) == 1
    assert visitor.mails(DeliveryKind.LINK) == []

    minute.go_round(visitor.parts)
    minute.go_round(visitor.parts)

    assert visitor.link_in_mail() == visitor.where
    [mail] = visitor.mails(DeliveryKind.LINK)
    assert mail.recipient == "liwei@example.com"
    text = visitor.read(mail).as_string()
    assert not [word for word in PRIVATE if word in text.replace("liwei@example.com", "")]
    with visitor.parts.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(link_requests)) == 0


def test_lost_links_count_with_the_receipts_of_the_day(visitor):
    for _ in range(5):
        lose(visitor, visitor.enquiry.ref, "liwei@example.com")
    minute.go_round(visitor.parts)

    assert len(visitor.mails(DeliveryKind.LINK)) == RECEIPTS_A_DAY - 1


# When it is late


@pytest.mark.parametrize(
    ("lang", "late", "ring"),
    [("en", "We reminded Parking on", "You can ring"), ("zh-hans", "提醒Parking处", "您可以致电")],
)
def test_later_than_usual_says_whom_we_reminded_and_whom_to_ring(visitor, clock, lang, late, ring):
    visitor.deliver()
    assert visitor.page().all("#late") == []
    for _ in range(8):
        clock.advance(hours=12)
        minute.go_round(visitor.parts)

    text = words(visitor.page(visitor.elsewhere(), lang=lang).one("#late"))
    assert late in text and ring in text and "25 0345 5180" in text


def test_with_nobody_reminded_yet_it_still_says_whom_to_ring(visitor, clock):
    clock.at = visitor.enquiry.answer_by + timedelta(minutes=1)

    text = words(visitor.page().one("#late"))
    assert text.startswith("Later than usual") and "reminded" not in text and "ring" in text


def test_a_department_sees_on_its_page_what_was_added(visitor):
    visitor.deliver()
    visitor.do("add", message="And the south gate?")
    visitor.deliver()
    [mail] = visitor.mails(DeliveryKind.ADDITION)
    link = re.search(r"http://[^/]+(/a/\S+)", said(visitor.read(mail)))
    assert link

    page = Page(visitor.elsewhere().get(link[1], follow_redirects=True))

    assert [words(it) for it in page.all("blockquote")][1] == "And the south gate?"
