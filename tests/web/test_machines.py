"""What search engines, browsers and finders of weaknesses ask for."""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree import ElementTree

import pytest

from directory.web import errors, machines, problems
from tests.builders import MONDAY_NOON, a_department
from tests.web.conftest import client_of
from tests.web.pages import Page, words

NAMES = {
    "s": "http://www.sitemaps.org/schemas/sitemap/0.9",
    "x": "http://www.w3.org/1999/xhtml",
    "o": "http://a9.com/-/spec/opensearch/1.1/",
}
BASE = "http://contact.institute.example"


def read(response) -> ElementTree.Element:
    assert response.status_code == 200
    return ElementTree.fromstring(response.data)  # noqa: S314 (written by us)


def test_the_sitemap_names_every_page_in_every_language_with_all_its_alternates(client):
    tree = read(client.get("/sitemap.xml"))
    found = {url.findtext("s:loc", None, NAMES): url for url in tree.findall("s:url", NAMES)}

    for slug in ("parking", "admissions", "media", "enquiry-desk"):
        addresses = {
            "en": f"{BASE}/en/departments/{slug}",
            "zh-Hans": f"{BASE}/zh-hans/departments/{slug}",
        }
        for address in addresses.values():
            links = found[address].findall("x:link", NAMES)
            assert {link.get("hreflang"): link.get("href") for link in links} == addresses | {
                "x-default": addresses["en"]
            }
            assert found[address].findtext("s:lastmod", None, NAMES) == "2026-11-23"
    for address in found:
        assert client.get(str(address).removeprefix(BASE)).status_code == 200


def test_a_closed_department_is_in_no_sitemap(client, office):
    with office.db.writing() as session:
        session.add(a_department("Old", status="closed"))

    assert "departments/old" not in client.get("/sitemap.xml").text


def test_a_sitemap_of_very_many_is_a_list_of_parts(client, monkeypatch):
    monkeypatch.setattr(machines, "DEPARTMENTS_A_SITEMAP", 3)
    index = read(client.get("/sitemap.xml"))
    parts = [str(loc.text) for loc in index.findall("s:sitemap/s:loc", NAMES)]

    assert parts == [f"{BASE}/sitemap-1.xml", f"{BASE}/sitemap-2.xml"]
    listed = [
        loc.text
        for part in parts
        for loc in read(client.get(part.removeprefix(BASE))).findall("s:url/s:loc", NAMES)
    ]
    assert len(listed) == len(set(listed)) == 2 * (5 + 4)
    for number in (0, 3):
        assert client.get(f"/sitemap-{number}.xml").status_code == 404


def test_robots_keep_out_of_what_is_one_person_s_or_staff_s(quick):
    text = quick.get("/robots.txt").text

    for path in ("/e/", "/a/", "/v/", "/u/", "/admin/", "/embed/"):
        assert f"Disallow: {path}\n" in text
    assert f"Sitemap: {BASE}/sitemap.xml\n" in text


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_browser_can_search_here_from_its_address_bar(quick, lang):
    link = Page(quick.get(f"/{lang}/")).one("link[rel=search]").attributes
    response = quick.get(link["href"])
    told = read(response)

    assert link["type"] == "application/opensearchdescription+xml" == response.mimetype
    assert len(told.findtext("o:ShortName", "", NAMES)) <= 16
    template = told.find("o:Url", NAMES).get("template")
    assert template == f"{BASE}/{lang}/search?q={{searchTerms}}"
    search = quick.get(template.removeprefix(BASE).replace("{searchTerms}", "parking"))
    assert search.status_code == 200


def test_security_txt_says_whom_to_tell_for_less_than_a_year(client):
    response = client.get("/.well-known/security.txt")
    fields = dict(line.split(": ", 1) for line in response.text.splitlines())
    expires = datetime.fromisoformat(fields["Expires"].replace("Z", "+00:00"))

    assert response.content_type == "text/plain; charset=utf-8"
    assert fields["Contact"] == "mailto:desk@institute.example"
    assert 30 < (expires - MONDAY_NOON).days < 365
    assert fields["Preferred-Languages"] == "en, zh"
    assert fields["Canonical"] == f"{BASE}/.well-known/security.txt"
    footer = Page(client.get("/en/")).all(".small-print a")
    assert "/.well-known/security.txt" in [link.attributes["href"] for link in footer]


def test_an_old_browser_finds_its_icon(quick):
    response = quick.get("/favicon.ico")

    assert response.mimetype == "image/x-icon"
    assert response.data[:4] == b"\0\0\1\0"


# Problems


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_every_type_of_problem_is_a_page(quick, lang):
    for type in {*errors.TYPES.values(), "error", "origin-not-allowed", "precondition"}:
        page = Page(quick.get(f"/problems/{type}?lang={lang}"))
        assert page.status == 200
        assert str(page.one("html").attributes["lang"]).lower() == lang
        assert words(page.one("code")) == f"/problems/{type}"
    assert quick.get("/problems/nonsense").status_code == 404


def test_a_problem_leads_to_its_page(quick):
    answer = quick.get("/en/nothing", headers={"Accept": "application/json"})

    assert quick.get(answer.json["type"], headers={"Accept": "text/html"}).status_code == 200


def test_every_kind_of_problem_is_told_in_both_languages(quick_office):
    app = client_of(quick_office).application
    told = {}
    for lang in ("en", "zh-hans"):
        with app.test_request_context(f"/{lang}/"):
            told[lang] = problems.problems()

    for type, problem in told["en"].items():
        chinese = told["zh-hans"][type]
        for text in (chinese.title, chinese.meaning, chinese.remedy):
            assert re.search("[\u4e00-\u9fff]", text), (type, text)
        assert problem.status == chinese.status
