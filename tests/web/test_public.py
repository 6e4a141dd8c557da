"""Pages anybody may read: where "/" leads, both languages, and the way back from the theme."""

from __future__ import annotations

import pytest

from tests.builders import parts_for
from tests.web.conftest import client_of
from tests.web.pages import SITE, Page


@pytest.mark.parametrize(
    ("headers", "query", "cookie", "to"),
    [
        ({}, "", "", "/en/"),
        ({"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "", "", "/zh-hans/"),
        ({"Accept-Language": "zh-TW"}, "", "", "/zh-hans/"),
        ({"Accept-Language": "en-GB,en;q=0.9,zh;q=0.8"}, "", "", "/en/"),
        ({"Accept-Language": "fr,de"}, "", "", "/en/"),
        ({"Accept-Language": "fr,zh;q=0.5"}, "", "", "/zh-hans/"),
        ({"Accept-Language": "zh"}, "?lang=en", "", "/en/"),
        ({}, "?lang=zh-hans", "en", "/zh-hans/"),
        ({"Accept-Language": "en"}, "", "zh-hans", "/zh-hans/"),
        ({}, "?lang=xx", "", "/en/"),
    ],
)
def test_the_first_page_is_in_the_language_asked_for_chosen_or_preferred(
    quick, headers, query, cookie, to
):
    if cookie:
        headers = headers | {"Cookie": f"directory_lang={cookie}"}
    asking = quick.application.test_client(use_cookies=False)

    response = asking.get(f"/{query}", headers=headers | {"Host": SITE})

    assert (response.status_code, response.location) == (302, to)
    assert {name.strip() for name in response.headers["Vary"].split(",")} >= {
        "Accept-Language",
        "Cookie",
    }


@pytest.mark.parametrize("path", ["/zh", "/zh-cn", "/cn"])
def test_other_names_for_chinese_lead_there_for_good(quick, path):
    response = quick.get(path)

    assert (response.status_code, response.location) == (301, "/zh-hans/")


PAGES = ["", "departments/", "departments/parking", "topics", "privacy", "accessibility"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_public_page_names_itself_and_its_other_language(quick, lang, path):
    response = quick.get(f"/{lang}/{path}")

    page = Page(response)
    assert page.status == 200
    assert page.one("html").attributes["lang"].lower() == lang
    assert len(page.all("h1")) == 1 and page.one("#main") and page.one("#live")
    canonical = page.one('link[rel="canonical"]').attributes["href"]
    assert canonical == f"http://{SITE}/{lang}/{path}"
    alternates = {
        node.attributes["hreflang"]: node.attributes["href"]
        for node in page.all('link[rel="alternate"][hreflang]')
    }
    assert alternates == {
        "en": f"http://{SITE}/en/{path}",
        "zh-Hans": f"http://{SITE}/zh-hans/{path}",
        "x-default": f"http://{SITE}/en/{path}",
    }
    assert response.headers.getlist("Link")
    other = {"en": "zh-hans", "zh-hans": "en"}[lang]
    assert any(
        str(node.attributes.get("href")).startswith(f"/{other}/{path}")
        for node in page.all("header a[hreflang]")
    )


@pytest.mark.parametrize("path", [*PAGES, "enquiries/new", "nothing"])
def test_the_desks_number_and_hours_stand_at_the_foot_of_every_page(quick, path):
    page = Page(quick.get(f"/en/{path}"))

    foot = page.one("footer").text()
    assert "+86 25 0345 5100" in foot and "Mon to Fri" in foot
    assert page.one('footer a[href^="tel:"]').attributes["href"] == "tel:+86-25-0345-5100"


@pytest.mark.parametrize("path", ["en/departments/gone", "fr/", "en/departments/Parking/x", "x"])
def test_what_is_not_there_is_a_page_that_says_so(quick, path):
    page = Page(quick.get(f"/{path}"))

    assert page.status == 404
    assert "+86 25 0345 5100" in page.text


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("/en/departments/", "/en/departments/"),
        ("/en/?q=1", "/en/?q=1"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil.example", "/"),
        ("/en/\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_choosing_a_theme_leads_back_to_our_own_page_and_nowhere_else(quick, asked, back):
    response = quick.post("/theme", data={"theme": "dark", "next": asked})

    assert (response.status_code, response.location) == (303, back)
    assert Page(quick.get("/en/")).one("html").attributes["data-theme"] == "dark"


def test_a_theme_that_is_none_is_refused(quick):
    assert quick.post("/theme", data={"theme": "plaid"}).status_code == 400


def test_the_mailbox_of_a_demo_is_closed_once_mail_leaves_by_smtp(quick_office, sqlite_url, clock):
    real = parts_for(
        quick_office.settings.root, sqlite_url, clock, mail={"url": "smtp://127.0.0.1:1"}
    )
    paths = ("/dev/mailbox", "/dev/mailbox.json", "/dev/mailbox/x.eml")

    assert [client_of(real).get(path).status_code for path in paths] == [404] * 3
    assert [client_of(quick_office).get(path).status_code for path in paths] == [200, 200, 404]
    real.let_go()
