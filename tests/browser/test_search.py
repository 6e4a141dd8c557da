"""Searching as one types, by hand and by input method."""

from __future__ import annotations

import pytest

from tests.browser.test_public_pages import findings, overflowing
from tests.support import eventually


def text_of(page, selector):
    return page.inner_text(selector).strip()


def test_the_list_follows_the_typing_and_is_said_once(site, open_page):
    page = open_page(f"{site}/en/")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.type("#f-q", "london", delay=20)

    eventually(lambda: "London Liaison Office" in text_of(page, "#results"))
    eventually(lambda: text_of(page, "#live") == "1 department")

    assert [url.partition("?")[2] for url in asked if "/search" in url] == ["q=london"]
    assert page.url == f"{site}/en/"


def test_an_input_method_is_waited_for(site, open_page):
    page = open_page(f"{site}/zh-hans/search")
    page.clock.install()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.focus("#f-q")
    client = page.context.new_cdp_session(page)
    for text in ("h", "he", "he z", "he zuo"):
        client.send(
            "Input.imeSetComposition",
            {"text": text, "selectionStart": len(text), "selectionEnd": len(text)},
        )
    page.clock.run_for(2_000)
    assert asked == []

    client.send("Input.insertText", {"text": "合作"})
    page.clock.run_for(700)

    eventually(lambda: "国际合作部" in text_of(page, "#results"))
    assert page.url.endswith("/zh-hans/search?q=%E5%90%88%E4%BD%9C")
    assert len(asked) == 1


def test_emptying_the_box_empties_the_list(site, open_page):
    page = open_page(f"{site}/en/search?q=london")
    page.fill("#f-q", "")

    eventually(lambda: text_of(page, "#results") == "")
    assert page.input_value("#f-q") == ""


def test_without_script_the_button_asks(site, open_page):
    page = open_page(f"{site}/en/", javascript=False)
    page.fill("#f-q", "02583455189")
    page.press("#f-q", "Enter")

    assert page.url == f"{site}/en/search?q=02583455189"
    assert "This number is ours" in text_of(page, "#results")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("query", ["a", "london", "xyzzy", "83455189", "12345678", "ENQ-7K4M-2QXD"])
def test_every_answer_is_accessible_and_fits(site, open_page, width, query):
    page = open_page(f"{site}/en/search?q={query}", width=width)

    assert findings(page) == []
    assert not overflowing(page)
