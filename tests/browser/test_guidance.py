"""What helps a visitor before anything is sent: topics suggested while a few words are typed."""

from __future__ import annotations

import pytest

from tests.browser.test_public_pages import findings, overflowing
from tests.support import eventually

DESCRIBED = {"en": "our delegation wants a guided tour", "zh-hans": "代表团来访"}


def offers(page):
    return page.locator("#suggestions button").all_inner_texts()


def test_topics_are_suggested_while_one_describes_it_and_said_once(site, open_page):
    page = open_page(f"{site}/en/enquiries/new")
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    page.type("#f-message", DESCRIBED["en"], delay=10)

    eventually(lambda: len(offers(page)) == 2)
    eventually(lambda: page.inner_text("#live") == "1 suggestion")
    assert offers(page)[0].startswith("Visits and events")
    assert asked == ["POST"]
    assert page.url == f"{site}/en/enquiries/new"


def test_a_suggestion_leads_on_with_the_words_typed(site, open_page):
    page = open_page(f"{site}/en/enquiries/new")
    page.type("#f-message", DESCRIBED["en"])
    eventually(lambda: len(offers(page)) == 2)
    page.get_by_role("button", name="Visits and events").click()

    eventually(lambda: page.locator("#destination").count() == 1)
    assert page.get_attribute("#destination", "data-department") == "events"
    assert page.input_value("#f-message") == DESCRIBED["en"]
    assert "delegation" not in page.url


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_without_script_the_button_asks_for_topics(site, open_page, lang):
    page = open_page(f"{site}/{lang}/enquiries/new", javascript=False)
    page.fill("#f-message", DESCRIBED[lang])
    page.press("#f-message", "Enter")

    assert page.input_value("#f-message") == DESCRIBED[lang]
    page.click("#suggestions button[value=visits]")
    assert page.get_attribute("#destination", "data-department") == "events"
    assert page.input_value("#f-message") == DESCRIBED[lang]


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_suggestions_have_nothing_axe_objects_to(site, open_page, width, dark, lang):
    page = open_page(f"{site}/{lang}/enquiries/new", width=width, dark=dark)
    page.type("#f-message", DESCRIBED[lang])
    eventually(lambda: len(offers(page)) == 2)

    assert findings(page) == []
    assert not overflowing(page)


def test_the_topics_stay_when_no_answer_comes(site, open_page):
    page = open_page(f"{site}/en/enquiries/new")
    page.route("**/en/enquiries", lambda route: route.fulfill(status=503, body="busy"))
    with page.expect_response("**/en/enquiries"):
        page.type("#f-message", DESCRIBED["en"])

    assert offers(page) == []
    assert page.input_value("#f-message") == DESCRIBED["en"]
    assert page.locator("#topic-choice input[name=topic]").count() == 7
