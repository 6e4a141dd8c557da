"""The search page: what it shows, what it never shows, and that nothing typed breaks it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from directory.domain.contacts import Department, DepartmentStatus
from directory.parts import Parts
from tests.builders import a_department, a_mailbox, a_phone


def results(client: FlaskClient, query: str, lang: str = "en", **more: str) -> str:
    """The text of #results for *query*."""
    response = client.get(f"/{lang}/search", query_string={"q": query, **more})
    assert response.status_code == 200
    [inside] = re.findall(
        r'<div id="results"[^>]*>(.*)</div>\s*</main>', response.get_data(as_text=True), re.S
    )
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inside)).split())


def said(client: FlaskClient, query: str, lang: str = "en") -> str:
    """What #live is to say of it."""
    page = client.get(f"/{lang}/search", query_string={"q": query}).get_data(as_text=True)
    [words] = re.findall(r'id="results" data-said="([^"]*)"', page)
    return unescape(words)


def test_a_department_is_shown_with_both_names_and_its_phone(client):
    text = results(client, "parking")

    assert "1 department" in text
    assert "Parking处" in text
    assert "+86 25 0345 5180" in text


def test_a_single_exact_hit_is_shown_and_not_opened(client):
    response = client.get("/en/search?q=Parking")

    assert response.status_code == 200
    assert 'href="/en/departments/parking"' in response.get_data(as_text=True)


def test_topics_lead_to_the_form_and_say_who_answers(client):
    page = client.get("/en/search?q=permits").get_data(as_text=True)

    assert "topic=permits" in page
    assert said(client, "permits") == "1 department, 1 topic"
    assert said(client, "permits", "zh-hans") == "1 个部门，1 个事项"


def test_nothing_found_leads_on_with_the_words(client):
    page = client.get("/en/search?q=xyzzy").get_data(as_text=True)

    assert "Nothing matches “xyzzy”" in page
    assert "/en/enquiries/new?department=enquiry-desk&amp;subject=xyzzy" in page
    assert 'href="/en/departments/"' in page
    assert said(client, "xyzzy") == "Nothing found"
    assert "没有与“xyzzy”匹配的结果" in results(client, "xyzzy", "zh-hans")


def test_what_comes_near_says_so(client):
    assert "these come near" in results(client, "parkign")
    assert "these come near" not in results(client, "park")


@pytest.mark.parametrize("number", ["025 0345 5180", "+86 25 0345 5180", "0345-5180"])
def test_who_rang_me(client, number):
    text = results(client, number)

    assert "This number is ours: Parking" in text
    assert "+86 25 0345 5180" in text


def test_a_number_that_is_not_ours_is_no_proof_and_names_the_desk(client):
    text = results(client, "+44 20 7946 0999")

    assert "Not in our public directory" in text
    assert "That alone does not prove a fraud." in text
    assert "hang up and ring +86 25 0345 5100" in text
    assert "仅凭这一点不能断定是诈骗" in results(client, "+44 20 7946 0999", "zh-hans")


def test_a_number_kept_for_ourselves_is_as_if_it_were_not_there(client, office):
    with office.db.writing() as session:
        session.add(
            a_department(
                "Vault",
                points=[
                    a_phone("+86 25 0345 5999", public=False),
                    a_mailbox("hidden@institute.example", public=False, routing=True),
                ],
            )
        )

    assert results(client, "+86 25 0345 5999") == results(client, "+86 25 0345 5998")
    assert "Vault" not in results(client, "hidden")


def test_a_reference_says_where_it_opens_and_nothing_of_the_enquiry(client):
    text = results(client, "enq 7k4m 2qxd")

    assert "ENQ-7K4M-2QXD is the reference of an enquiry" in text
    assert "link in your receipt" in text
    assert "has a slip in it" in results(client, "ENQ-7K4M-2QXE")


def test_a_closed_department_is_found_under_its_successor(client, office):
    with office.db.writing() as session:
        media = session.query(Department).filter_by(slug="media").one()
        parking = session.query(Department).filter_by(slug="parking").one()
        media.status, media.successor_id = DepartmentStatus.CLOSED, parking.id

    text = results(client, "media")

    assert "Parking" in text
    assert "Also known as: Media" in text


def test_long_lists_are_turned_page_by_page(quick: FlaskClient, quick_office: Parts):
    with quick_office.db.writing() as session:
        session.add_all(
            a_department(f"Laboratory {n:02d}", slug=f"lab-{n}", points=[]) for n in range(45)
        )
    page = quick.get("/en/search?q=laboratory").get_data(as_text=True)
    assert "45 departments" in page
    assert 'href="/en/search?q=laboratory&amp;page=2" rel="next"' in page

    names = [
        name
        for at in ("1", "2", "3")
        for name in re.findall(r"Laboratory \d\d(?!处)", results(quick, "laboratory", page=at))
    ]

    assert names == [f"Laboratory {n:02d}" for n in range(45)]
    for odd in ("0", "-1", "x", "99999", "2.5", "²"):
        assert "Laboratory 00" in results(quick, "laboratory", page=odd)
    assert "Previous page" in results(quick, "laboratory", page="9")


@pytest.mark.parametrize(
    "query",
    [
        '"', "a* OR b", "NEAR(a b, 3)", "'; DROP TABLE x; --", "%", "_", "\\", "{{ 7*7 }}", "\x0b",
        "<script>alert(1)</script>", "😀👨‍👩‍👧", "\u202e", "a " * 5_000, "招" * 3_400, "x" * 10_000,
        "9" * 10_000, "☎2503455180", "a & b | c", "0" * 20, "+", "٠١٢٣٤٥٦٧٨٩",
    ],
)  # fmt: skip
def test_nothing_that_can_be_typed_breaks_the_page(quick, query):
    response = quick.get("/en/search", query_string={"q": query})

    assert response.status_code == 200
    assert "<script>alert" not in response.get_data(as_text=True)
    assert len(response.data) < 150_000


def test_bytes_that_are_no_text_and_no_query_at_all_are_answered(quick):
    assert quick.get("/en/search?q=%ff%fe%ed%a0%80").status_code == 200
    assert quick.get("/en/search?q=a%00b").status_code in {200, 400}
    assert quick.get("/en/search?q=a&q=b&page=1&page=2&x[]=1").status_code == 200
    empty = quick.get("/en/search")
    assert empty.status_code == 200
    assert 'id="results" data-said=""' in empty.get_data(as_text=True)


def test_the_page_is_for_people_and_not_for_search_engines(quick):
    page = quick.get("/en/search?q=media").get_data(as_text=True)

    assert 'name="robots" content="noindex"' in page
    assert 'hreflang="zh-Hans" href="http://contact.institute.example/zh-hans/search"' in page
    assert 'href="/zh-hans/search?q=media"' in page


@pytest.mark.parametrize("path", ["/en/", "/en/search?q=media", "/en/no-such-page"])
def test_the_box_works_without_script(quick, path):
    page = quick.get(path).get_data(as_text=True)

    assert re.search(r'<form class="search" role="search" method="get" action="/en/search">', page)
    assert re.search(r'<label for="f-q">[^<]+</label>', page)
    assert re.search(r'<input[^>]* id="f-q" name="q"', page)
