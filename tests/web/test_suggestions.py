"""Topics suggested on the page where one is chosen, and by the API."""

from __future__ import annotations

import pytest

from tests.web.pages import Page, words

API = "/api/v1/topic-suggestions"


def describe(client, text: str, lang: str = "en", **more: str) -> Page:
    fields = {"action": "suggest", "message": text, **more}
    return Page(client.post(f"/{lang}/enquiries", data=fields))


def offered(page: Page) -> list[str]:
    return [str(node.attributes["value"]) for node in page.all("#suggestions button[name=topic]")]


@pytest.mark.parametrize(
    ("lang", "text"),
    [("en", "where to get a parking permit"), ("zh-hans", "怎么申请 parking permit")],
)
def test_a_few_words_bring_the_topics_they_may_be_about(client, lang, text):
    page = describe(client, text, lang)

    assert page.status == 200
    assert offered(page) == ["permits"]
    assert page.one("#f-message").attributes["value"] == text
    # And the whole list stands where it stood.
    assert len(page.all("#topic-choice input[name=topic]")) == 3


def test_what_was_described_goes_on_into_the_message_and_stands_in_no_address(client):
    page = describe(client, "a parking permit, please", subject="Gate", **{"from": "/visit"})
    form = page.one("#suggestions form")
    fields = {
        str(field.attributes["name"]): str(field.attributes["value"])
        for field in form.css("input[type=hidden]")
    }

    answer = Page(
        client.post(str(form.attributes["action"]), data=fields | {"topic": offered(page)[0]})
    )

    assert form.attributes["method"] == "post"
    assert answer.status == 200 and answer.errors == []
    values = answer.values()
    assert (values["topic"], values["message"]) == ("permits", "a parking permit, please")
    assert (values["subject"], values["from"]) == ("Gate", "/visit")
    assert answer.one("#destination").attributes["data-department"] == "parking"


@pytest.mark.parametrize("text", ["a parking permit", "what will the weather be"])
def test_none_of_these_is_always_among_them_and_leads_to_the_desk(client, text):
    page = describe(client, text)

    [rest] = page.all("#suggestions button[name=department]")
    assert rest.attributes["value"] == "enquiry-desk"
    fields = {"action": "change", "message": text, "department": "enquiry-desk"}
    answer = Page(client.post("/en/enquiries", data=fields))
    assert answer.one("#destination").attributes["data-department"] == "enquiry-desk"
    assert answer.values()["message"] == text


def test_unsure_it_says_so_and_names_no_topic(client):
    page = describe(client, "what will the weather be")

    assert offered(page) == []
    assert "We cannot tell from these words" in words(page.one("#suggestions"))


def test_nothing_described_is_said_beside_the_field(client):
    page = describe(client, "  ")

    assert page.status == 422
    assert page.errors == [("f-message", "Enter your message")]
    assert page.one("#f-message").attributes["aria-invalid"] == "true"


def test_the_language_switch_keeps_what_was_described(client):
    page = describe(client, "a parking permit")

    switch = page.one("button[form=describe][name=action]")
    assert switch.attributes["formaction"] == "/zh-hans/enquiries"
    assert switch.attributes["value"] == "suggest"


def test_words_are_kept_by_no_cache(client):
    fields = {"action": "suggest", "message": "a parking permit"}

    assert client.post("/en/enquiries", data=fields).headers["Cache-Control"] == "no-store"


# The API


def test_the_api_suggests_the_same(client):
    answer = client.post(API, json={"message": "a parking permit", "email": "not yet wri"})

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    body = answer.get_json()
    [found] = body["suggestions"]
    assert (found["topic"], body["in_scope"]) == ("permits", True)
    assert found["label"] == {"en": "Permits", "zh-Hans": "Permits事项"}
    assert 0 < found["score"] <= 1


@pytest.mark.parametrize("body", [{}, {"message": None}, {"message": "", "topic": "apply"}])
def test_the_api_needs_no_field_at_all(client, body):
    assert client.post(API, json=body).get_json() == {"suggestions": [], "in_scope": True}


def test_the_api_says_what_is_no_field_of_an_enquiry(client):
    answer = client.post(API, json={"message": 5, "mesage": "permit"})

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    told = {(it["pointer"], it["code"]) for it in answer.get_json()["errors"]}
    assert told == {("/message", "field.text"), ("/mesage", "field.unknown")}


@pytest.mark.parametrize(("body", "status"), [("[]", 400), ("{", 400), ("{}", 415)])
def test_the_api_takes_one_json_object(client, body, status):
    kind = "text/plain" if status == 415 else "application/json"

    assert client.post(API, data=body, content_type=kind).status_code == status


def test_switched_off_there_is_no_box_and_nothing_answers(quick, quick_office):
    off = quick_office.settings.features.model_copy(update={"suggestions": False})
    quick_office.settings = quick_office.settings.model_copy(update={"features": off})

    assert quick.post(API, json={}).status_code == 404
    assert describe(quick, "a parking permit").status == 404
    page = Page(quick.get("/en/enquiries/new"))
    assert page.all("#describe") == [] and page.all("#topic-choice") != []


def test_pages_elsewhere_may_ask(client):
    answer = client.options(API)

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
