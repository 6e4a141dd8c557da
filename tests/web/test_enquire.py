"""The enquiry form: shown, changed, sent; without a script and without a cookie."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from directory.adapters.db import deliveries, enquiries
from directory.adapters.queries import enquiry_by_ref, topic_by_code
from directory.domain.enquiry import EnquiryStatus
from directory.parts import Parts
from directory.supervisor import transport_of
from directory.worker import Worker
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, shown_form, words


def stored(parts: Parts) -> int:
    with parts.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(enquiries)) or 0


def goes_to(page: Page) -> str:
    return str(page.one("#destination").attributes["data-department"])


# Shown


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_without_a_topic_the_first_question_is_what_it_is_about(quick, lang):
    page = Page(quick.get(f"/{lang}/enquiries/new"))

    assert page.status == 200 and page.all("form#enquiry") == []
    offered = [node.attributes["value"] for node in page.all("input[name=topic]")]
    assert offered == ["permits", "apply", "not-sure"]
    assert not [node for node in page.all("input[name=topic]") if "checked" in node.attributes]
    assert page.one("#f-topic")


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_going_on_without_a_choice_says_so_beside_the_question(quick, lang):
    page = Page(quick.get(f"/{lang}/enquiries/new?go=1"))

    said = {"en": "Choose what your enquiry is about", "zh-hans": "请选择咨询事项"}[lang]
    assert (page.status, page.errors) == (422, [("f-topic", said)])


@pytest.mark.parametrize(
    ("query", "department"),
    [
        ("topic=permits", "parking"),
        ("department=media", "media"),
        ("topic=permits&department=media", "media"),
        ("topic=not-sure", "enquiry-desk"),
    ],
)
def test_the_form_says_first_where_it_goes(quick, query, department):
    page = Page(quick.get(f"/en/enquiries/new?{query}"))

    assert goes_to(page) == department
    panels = page.all("form#enquiry [data-department]")
    assert [node.attributes["data-department"] for node in panels] == [department] * 2
    assert page.values()["shown"] == department


def test_a_link_may_bring_a_subject_and_where_it_came_from_along(quick):
    page = Page(quick.get("/en/enquiries/new?topic=permits&subject=A%20space&from=/visit"))

    values = page.values()
    assert (values["subject"], values["from"]) == ("A space", "/visit")
    assert (values["topic"], values["reply_by"], values["reply_language"]) == (
        *("permits", "email", "en"),
    )


def test_a_link_to_a_topic_that_is_gone_says_so_and_keeps_the_form(quick):
    page = Page(quick.get("/en/enquiries/new?topic=gone"))

    assert page.errors == [("f-topic", "That topic no longer exists. Choose another")]
    assert goes_to(page) == "enquiry-desk"


def test_controls_help_a_phone_and_a_password_manager(quick):
    page = Page(quick.get("/en/enquiries/new?topic=permits"))

    told = {
        name: page.one(f"#f-{name}").attributes.get("autocomplete")
        for name in ("message", "subject", "name", "email", "phone", "organisation")
    }
    assert told == {
        "message": "off",
        "subject": "off",
        "name": "name",
        "email": "email",
        "phone": "tel",
        "organisation": "organization",
    }
    assert page.one("#f-email").attributes["autocapitalize"] == "off"
    assert "novalidate" in page.one("form#enquiry").attributes
    assert page.all("form#enquiry [required]") == []
    for name in ("message", "subject", "name", "email", "phone", "organisation", "country"):
        assert len(page.all(f"label[for=f-{name}]")) == 1


def test_a_form_with_words_in_it_is_kept_by_no_cache_and_an_empty_one_by_the_browser_alone(quick):
    first = quick.get("/en/enquiries/new?topic=permits")
    second = quick.get("/en/enquiries/new?topic=permits")

    # The Back button brings it again with its token, so that what was sent is known as sent.
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert send(quick, name="").headers["Cache-Control"] == "no-store"
    assert Page(first).values()["form_token"] != Page(second).values()["form_token"]


def test_the_address_forms_are_posted_to_leads_back_to_the_form(quick):
    response = quick.get("/en/enquiries")

    assert (response.status_code, response.location) == (302, "/en/enquiries/new")


# Changed


def test_showing_where_it_goes_keeps_everything_typed_and_stores_nothing(quick_office):
    client = client_of(quick_office)
    fields = shown_form(client) | TYPED | {"action": "change", "topic": "apply", "name": ""}

    page = Page(client.post("/en/enquiries", data=fields))

    assert (page.status, page.errors, goes_to(page)) == (200, [], "admissions")
    shown = page.values()
    assert {name: shown[name] for name in TYPED} == TYPED | {"topic": "apply", "name": ""}
    assert shown["form_token"] == fields["form_token"]
    assert stored(quick_office) == 0


def test_the_language_switch_is_a_change_that_keeps_everything_typed(quick):
    fields = shown_form(quick) | TYPED | {"action": "change"}

    page = Page(quick.post("/zh-hans/enquiries", data=fields))

    assert page.one("html").attributes["lang"] == "zh-Hans"
    shown = page.values()
    assert {name: shown[name] for name in TYPED} == TYPED


def test_words_that_would_send_it_elsewhere_are_told_before_it_is_sent(quick):
    fields = shown_form(quick, topic="not-sure") | TYPED
    fields |= {"action": "change", "topic": "not-sure", "message": "I write for a newspaper"}

    page = Page(quick.post("/en/enquiries", data=fields))

    assert goes_to(page) == "media"
    assert "Because topic is Not sure and mentions “newspaper”." in words(page.one("#destination"))


# Sent


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_sending_leads_to_the_reference_and_the_mail_arrives(office, lang):
    client = client_of(office)

    response = send(client, lang)

    assert response.status_code == 303
    assert response.location.startswith("/e/") and response.location.endswith("?sent=1")
    assert response.headers["Cache-Control"] == "no-store"
    reference = words(Page(client.get(response.location)).one("#reference"))
    assert str(Worker(office, transport_of(office)).run_once()) == (
        "processed 2, deferred 0, failed 0"
    )
    items = client.get("/dev/mailbox.json").get_json()["items"]
    by_kind = {item["kind"]: item for item in items}
    assert by_kind["routed"]["envelope_to"] == ["parking@institute.example"]
    assert "liwei@example.com" in by_kind["routed"]["reply_to"]
    assert by_kind["acknowledgement"]["envelope_to"] == ["liwei@example.com"]
    assert {item["ref"] for item in items} == {reference}
    # From our own domain, whoever wrote (P13).
    assert all("@institute.example" in item["from"] for item in items)
    assert all(item["envelope_from"].endswith("@institute.example") for item in items)


def test_pressing_send_twice_is_one_enquiry_and_one_answer(office):
    client = client_of(office)
    fields = shown_form(client) | TYPED

    first, second = (client.post("/en/enquiries", data=fields) for _ in range(2))

    assert first.location == second.location and first.status_code == second.status_code == 303
    assert stored(office) == 1


def test_pressing_send_again_a_day_later_shows_what_the_first_press_did(office, clock):
    client = client_of(office)
    fields = shown_form(client) | TYPED
    first = client.post("/en/enquiries", data=fields)
    clock.advance(days=3)

    again = client.post("/en/enquiries", data=fields)

    assert (again.status_code, again.location) == (303, first.location)
    assert stored(office) == 1


def test_a_form_that_is_right_costs_one_transaction(office):
    client = client_of(office)
    fields = shown_form(client) | TYPED
    begun: list[bool] = []

    def note(connection: sa.Connection) -> None:
        begun.append(bool(connection.get_execution_options().get("reading")))

    sa.event.listen(office.db.engine, "begin", note)
    try:
        assert client.post("/en/enquiries", data=fields).status_code == 303
    finally:
        sa.event.remove(office.db.engine, "begin", note)

    assert begun == [False]


def test_a_topic_that_went_while_the_form_was_written_is_refused_and_a_new_one_is_taken(office):
    client = client_of(office)
    fields = shown_form(client) | TYPED
    with office.db.writing() as session:  # as another process does it
        topic_by_code(session, "permits").code = "passes"

    gone = client.post("/en/enquiries", data=fields)
    assert (gone.status_code, stored(office)) == (422, 0)
    assert Page(gone).one("#f-topic-error")

    with office.db.writing() as session:
        topic_by_code(session, "passes").code = "permits"
    assert client.post("/en/enquiries", data=fields).status_code == 303


def test_two_people_who_write_the_same_words_are_two_enquiries(office):
    assert send(client_of(office)).location != send(client_of(office)).location
    assert stored(office) == 2


def test_what_a_program_filled_in_is_held_and_looks_like_success(quick_office):
    client = client_of(quick_office)

    response = send(client, leave_blank="http://spam.example")

    assert response.status_code == 303
    page = Page(client.get(response.location))
    assert page.one("#status").attributes["data-status"] == "received"
    with quick_office.db.reading() as session:
        [ref] = session.scalars(sa.select(enquiries.c.ref))
        assert enquiry_by_ref(session, ref).status is EnquiryStatus.HELD
        assert session.scalar(sa.select(sa.func.count()).select_from(deliveries)) == 0


def test_fields_that_the_form_does_not_have_change_nothing(quick_office):
    client = client_of(quick_office)
    extra = {
        "status": "closed",
        "id": "1",
        "department_id": "x",
        "test": "1",
        "held": "",
        "ref": "X",
    }

    assert send(client, **extra).status_code == 303

    with quick_office.db.reading() as session:
        [row] = session.execute(sa.select(enquiries))
    assert (row.status, row.test, len(row.ref)) == (EnquiryStatus.RECEIVED, False, 8)


def test_an_enquiry_for_another_than_the_form_showed_says_so_on_the_next_page(
    quick_office: Parts,
) -> None:
    client: FlaskClient = client_of(quick_office)
    fields = shown_form(client, topic="not-sure") | TYPED
    fields |= {"topic": "not-sure", "message": "I write for a newspaper", "shown": "enquiry-desk"}

    response = client.post("/en/enquiries", data=fields)

    text = client.get(response.location).get_data(as_text=True)
    assert "We sent it to Media instead, because" in text
