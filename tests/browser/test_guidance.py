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


# Where it goes, while the form is being filled in


def goes_to(page):
    return page.get_attribute("#destination", "data-department")


def test_where_it_goes_follows_the_topic_and_is_said_once(site, open_page):
    page = open_page(f"{site}/en/enquiries/new?topic=cooperation")
    page.fill("#f-message", "Forty of us would like to come")
    page.click("#destination a[href='#change']")
    page.focus("#f-topic")
    page.select_option("#f-topic", "visits")

    eventually(lambda: goes_to(page) == "events")
    eventually(lambda: page.inner_text("#live") == "Goes to Events and Visits")
    assert page.inner_text("h1") == "Write to Events and Visits"
    assert page.title().startswith("Write to Events and Visits · ")
    assert page.inner_text(".send .button") == "Send to Events and Visits"
    assert page.input_value("input[name=shown]") == "events"
    assert page.input_value("#f-message") == "Forty of us would like to come"
    assert page.evaluate("document.activeElement.id") == "f-topic"
    # And what this topic asks besides.
    assert page.locator("input[name=answer]").count() == 3


def test_words_that_lead_elsewhere_are_told_before_anything_is_sent(site, open_page):
    page = open_page(f"{site}/en/enquiries/new?topic=not-sure")
    assert page.get_attribute("#destination", "data-certain") == "false"
    assert "What you write may still change this." in page.inner_text("#destination")
    page.type("#f-message", "I am a journalist")

    eventually(lambda: goes_to(page) == "media")
    assert "Because topic is" in page.inner_text("#destination")
    assert page.evaluate("document.activeElement.id") == "f-message"
    page.type("#f-message", "'s neighbour")
    assert page.input_value("#f-message") == "I am a journalist's neighbour"

    page.fill("#f-name", "Li Wei")
    page.fill("#f-email", "liwei@example.com")
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    assert "instead" not in page.inner_text("main")


def test_words_that_cannot_matter_are_not_asked_about(site, open_page):
    page = open_page(f"{site}/en/enquiries/new?topic=press")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.type("#f-message", "An interview")
    page.clock.run_for(3_000)

    assert page.get_attribute("#destination", "data-certain") == "true"
    assert asked == []


def test_an_input_method_that_is_composing_asks_nothing_yet(site, open_page):
    page = open_page(f"{site}/zh-hans/enquiries/new?topic=not-sure")
    page.clock.install()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.focus("#f-message")
    client = page.context.new_cdp_session(page)
    for text in ("j", "ji", "ji z", "ji zhe"):
        client.send(
            "Input.imeSetComposition",
            {"text": text, "selectionStart": len(text), "selectionEnd": len(text)},
        )
    page.clock.run_for(2_000)
    assert asked == []

    client.send("Input.insertText", {"text": "记者"})
    page.clock.run_for(700)
    eventually(lambda: goes_to(page) == "media")
    assert page.input_value("#f-message") == "记者"


def test_nothing_is_lost_when_no_answer_comes(site, open_page):
    page = open_page(f"{site}/en/enquiries/new?topic=not-sure")
    page.route("**/enquiries?part=where", lambda route: route.fulfill(status=503, body="busy"))
    with page.expect_response("**/enquiries?part=where"):
        page.type("#f-message", "I am a journalist")
    assert goes_to(page) == "enquiry-desk"
    page.fill("#f-name", "Li Wei")
    page.fill("#f-email", "liwei@example.com")
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")

    # Shown the desk, sent to Media: said, and why.
    told = " ".join(page.inner_text("main").split())
    assert "We sent it to Media instead, because" in told
    assert "“journalist” (rule “Journalists”)." in told


def test_a_topic_changed_just_before_send_is_shown_first_when_no_answer_came(site, open_page):
    page = open_page(f"{site}/en/enquiries/new?topic=press")
    page.route("**/enquiries?part=where", lambda route: route.fulfill(status=503, body="busy"))
    page.fill("#f-message", "May we come?")
    page.click("#destination a[href='#change']")
    with page.expect_response("**/enquiries?part=where"):
        page.select_option("#f-topic", "visits")
    page.fill("#f-name", "Li Wei")
    page.fill("#f-email", "liwei@example.com")
    page.click(".send button")
    page.wait_for_url("**/enquiries#destination")

    assert goes_to(page) == "events"
    assert page.input_value("#f-message") == "May we come?"


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_form_that_changed_has_nothing_axe_objects_to(site, open_page, width, dark, lang):
    page = open_page(f"{site}/{lang}/enquiries/new?topic=not-sure", width=width, dark=dark)
    page.click("#destination a[href='#change']")
    page.select_option("#f-topic", "visits")
    eventually(lambda: goes_to(page) == "events")

    assert findings(page) == []
    assert not overflowing(page)
