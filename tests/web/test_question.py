"""The extra question of a topic: asked with it, kept, mailed, and asked by rules."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from directory.adapters.db import enquiries
from directory.adapters.queries import topic_by_code
from directory.parts import Parts
from directory.services.rules import publish_rules
from directory.supervisor import transport_of
from directory.worker import Worker
from tests.builders import MONDAY_NOON, OFFICE_RULES
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, shown_form, words

CARS = {
    "code": "cars",
    "label": {"en": "How many cars?", "zh-Hans": "几辆车？"},
    "hint": {"en": "One is the rule"},
    "choices": [
        {"value": "1", "label": {"en": "one", "zh-Hans": "一辆"}},
        {"value": "2+", "label": {"en": "two or more", "zh-Hans": "两辆以上"}},
    ],
}
APPLICATION = {
    "code": "application",
    "label": {"en": "Number of your application", "zh-Hans": "申请编号"},
    "required": True,
}


@pytest.fixture
def asking_office(office: Parts) -> Parts:
    with office.db.writing() as session:
        topic_by_code(session, "permits").question = CARS
        topic_by_code(session, "apply").question = APPLICATION
    return office


@pytest.fixture
def asking(asking_office: Parts) -> FlaskClient:
    return client_of(asking_office)


def goes_to(page: Page) -> str:
    return str(page.one("#destination").attributes["data-department"])


def test_a_topic_asks_its_question_and_another_topic_does_not(asking):
    page = Page(asking.get("/en/enquiries/new?topic=permits"))

    group = page.one("fieldset[aria-labelledby=f-answer-legend]")
    assert words(group.css("legend")[0]) == "How many cars? (optional)"
    assert page.one("#f-answer-hint").text() == "One is the rule"
    assert [node.attributes["value"] for node in page.all("input[name=answer]")] == ["1", "2+"]
    assert page.one("input#f-answer").attributes["value"] == "1"
    assert Page(asking.get("/en/enquiries/new?topic=not-sure")).all("[name=answer]") == []


def test_a_question_without_choices_is_a_line_and_may_have_to_be_answered(asking):
    page = Page(asking.get("/zh-hans/enquiries/new?topic=apply"))
    assert words(page.one("label[for=f-answer]")) == "申请编号"

    refused = Page(send(asking, "zh-hans", topic="apply", answer=" "))

    assert refused.status == 422
    assert refused.errors == [("f-answer", "请回答此问题")]
    assert refused.one("#f-answer").attributes["aria-invalid"] == "true"


def test_an_answer_nobody_offered_is_refused_and_kept_as_sent(asking):
    page = Page(send(asking, topic="permits", answer="300"))

    assert page.errors == [("f-answer", "Choose one of the options")]


def test_the_answer_is_kept_mailed_and_shown_to_the_visitor(asking, asking_office):
    response = send(asking, "zh-hans", topic="permits", answer="2+")

    status = Page(asking.get(response.location))
    assert response.status_code == 303
    assert "几辆车？" in status.text and "两辆以上" in status.text
    with asking_office.db.reading() as session:
        assert session.scalars(sa.select(enquiries.c.answers)).one() == {"cars": "2+"}
    Worker(asking_office, transport_of(asking_office)).run_once()
    [routed] = [
        item
        for item in asking.get("/dev/mailbox.json").get_json()["items"]
        if item["kind"] == "routed"
    ]
    eml = asking.get(f"/dev/mailbox/{routed['id']}.eml").data
    text = message_from_bytes(eml, policy=policy.default).get_body(("plain",)).get_content()
    assert "How many cars? two or more" in " ".join(text.split())


def test_the_same_form_with_another_answer_is_another_text(asking):
    fields = shown_form(asking, topic="permits") | TYPED | {"topic": "permits"}
    first = asking.post("/en/enquiries", data=fields | {"answer": "1"})

    again = asking.post("/en/enquiries", data=fields | {"answer": "1"})
    changed = Page(asking.post("/en/enquiries", data=fields | {"answer": "2+"}))

    assert again.location == first.location
    assert changed.status == 422
    assert "already sent this form" in changed.errors[0][1]
    assert changed.one("#f-answer-2\\+").attributes.get("checked", "no") != "no"


def test_an_answer_is_to_the_question_it_was_given_to(asking):
    fields = shown_form(asking, topic="apply") | TYPED
    fields |= {"action": "change", "topic": "apply", "answer": "A-17", "answer_to": "application"}
    assert Page(asking.post("/en/enquiries", data=fields)).values()["answer"] == "A-17"

    fields |= {"topic": "permits"}
    page = Page(asking.post("/en/enquiries", data=fields))

    assert page.values()["answer_to"] == "cars"
    assert page.all("input[name=answer][checked]") == []


def test_an_answer_may_decide_where_it_goes(asking, asking_office):
    many = {"topic": ["permits"]}, {"answer": {"cars": ["2+"]}}
    with asking_office.db.writing() as session:
        publish_rules(
            session,
            [{"id": "many", "when": {"all": list(many)}, "send_to": "media"}, OFFICE_RULES[-1]],
            reason="test",
            by="test",
            now=MONDAY_NOON,
        )
    fields = shown_form(asking, topic="permits") | TYPED | {"topic": "permits", "answer": "2+"}

    shown = Page(asking.post("/en/enquiries", data=fields | {"action": "change"}))

    assert goes_to(shown) == "media"
    sent = Page(asking.get(asking.post("/en/enquiries", data=fields).location))
    assert sent.one("[data-department]").attributes["data-department"] == "media"
