"""A department's page in all its states, on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from directory.adapters.queries import department_by_slug
from directory.domain.contacts import ContactPoint, Department, PointKind
from directory.parts import Parts
from tests.builders import MONDAY_NOON, a_department, a_mailbox, a_phone
from tests.web.pages import Page, words


def keep(office: Parts, *departments: Department) -> None:
    with office.db.writing() as session:
        session.add_all(departments)


def amend(office: Parts, slug: str, **changes: object) -> None:
    with office.db.writing() as session:
        found = department_by_slug(session, slug)
        for attribute, value in changes.items():
            setattr(found, attribute, value)


def page(client, slug, lang="en"):
    shown = Page(client.get(f"/{lang}/departments/{slug}"))
    assert shown.status == 200
    return shown


def way(shown, label):
    [row] = [row for row in shown.all(".way") if words(row.css_first("dt")) == label]
    return row


# Open now


@pytest.mark.parametrize(
    ("hours_later", "en", "zh"),
    [
        (0, "Open now until 17:30 in Shanghai", "现在办公 至 17:30（上海时间）"),
        (
            7,
            "Closed now · opens Tue 09:00, Shanghai time",
            "现在休息 · 周二 9:00 开始办公（上海时间）",
        ),
        (
            18,
            "Closed now · opens 09:00, Shanghai time",
            "现在休息 · 今天 9:00 开始办公（上海时间）",
        ),
    ],
)
def test_it_says_whether_somebody_is_there_and_where_that_is(
    client, office, clock, hours_later, en, zh
):
    keep(office, a_department("Guards", hours="Mo-Fr 09:00-17:30"))
    clock.advance(hours=hours_later)

    assert words(page(client, "guards").one(".now")) == en
    assert words(page(client, "guards", "zh-hans").one(".now")) == zh


def test_a_page_kept_while_open_does_not_stay_open_after_closing(client, office, clock):
    keep(office, a_department("Guards", hours="Mo-Fr 09:00-17:30"))

    assert "Open now" in page(client, "guards").text
    clock.advance(hours=5, minutes=29)
    assert "Open now" in page(client, "guards").text
    clock.advance(minutes=1)
    assert "Closed now" in page(client, "guards").text


def test_coming_closures_stand_under_the_hours(client, office):
    away = {
        "from": "2026-12-07",
        "to": "2026-12-08",
        "reason": {"en": "Stocktaking", "zh-Hans": "盘点"},
    }
    keep(office, a_department("Stores", hours="Mo-Fr 09:00-17:30", exceptions=[away]))

    hours = words(page(client, "stores").all(".aside section")[0])
    assert "Closed: Mon 7 to Tue 8 Dec 2026 (Stocktaking)." in hours
    assert "Shanghai time, UTC+8." in hours


# Closed for a time


def closed_today(**changes):
    away = {"from": "2026-11-20", "to": "2026-11-27", "reason": {"en": "Moving house"}}
    return a_department("Stores", exceptions=[away], **changes)


def deputise(office, slug, deputy):
    with office.db.writing() as session:
        found, other = department_by_slug(session, slug), department_by_slug(session, deputy)
        found.deputy_id = other.id


def test_one_closed_for_a_time_says_until_when_why_and_who_answers(client, office):
    keep(office, closed_today())
    deputise(office, "stores", "admissions")

    banner = words(page(client, "stores").one(".notice"))
    assert banner == (
        "Closed until the end of Fri 27 Nov 2026: Moving house "
        "Until then, please turn to Admissions."
    )
    assert (
        page(client, "stores").one(".notice a").attributes["href"] == "/en/departments/admissions"
    )
    chinese = words(page(client, "stores", "zh-hans").one(".notice"))
    assert "暂停办公至2026年11月27日（周五）" in chinese
    assert "Moving house 仅有英文" in chinese


def test_while_the_deputy_is_closed_too_the_desk_answers(client, office):
    away = [{"from": "2026-11-23", "to": "2026-11-23", "reason": {}}]
    keep(office, closed_today())
    deputise(office, "stores", "admissions")
    amend(office, "admissions", exceptions=away)

    assert "please turn to Enquiry Desk" in words(page(client, "stores").one(".notice"))


def test_the_banner_goes_with_the_last_day(client, office, clock):
    keep(office, closed_today())

    clock.at = MONDAY_NOON + timedelta(days=4, hours=11, minutes=59)  # Friday 23:59 in Shanghai
    assert page(client, "stores").all(".notice")
    clock.advance(minutes=1)
    assert not page(client, "stores").all(".notice")


def test_one_that_was_merged_leads_to_who_took_over(client, office):
    with office.db.writing() as session:
        heir = department_by_slug(session, "admissions")
        session.add(a_department("Old", status="closed", successor_id=heir.id))

    for path in ("", ".vcf", ".json"):
        response = client.get(f"/zh-hans/departments/old{path}")
        assert (response.status_code, response.location) == (
            301,
            f"/zh-hans/departments/admissions{path}",
        )


# Texts in one language only


def only_english() -> Department:
    made = a_department(
        "Boats",
        summary={"en": "We lend boats."},
        not_here={"en": "Bicycles are lent by Parking."},
        points=[
            a_phone("+86 25 0345 5100", label={"en": "Jetty"}, note={"en": "Ring twice"}),
            ContactPoint(
                kind=PointKind.PHYSICAL,
                position=3,
                address={
                    "lines": {"en": ["Jetty 1"]},
                    "locality": {"en": "Nanjing", "zh-Hans": "南京市"},
                    "country": "CN",
                },
            ),
        ],
    )
    made.name = {"en": "Boats"}
    return made


def test_what_stands_in_one_language_is_marked_in_the_other(client, office):
    keep(office, only_english())
    shown = page(client, "boats", "zh-hans")

    assert shown.one("h1").attributes["lang"] == "en"
    for selector in (".lead", ".not-here"):
        assert shown.one(f"{selector} [lang=en]")
        assert "仅有英文" in words(shown.one(selector))
    row = way(shown, "Jetty 仅有英文")
    assert "Ring twice 仅有英文" in words(row)
    address = shown.one("address")
    assert address.attributes["lang"] == "en"
    assert words(address) == "Jetty 1Nanjing, China"
    assert "仅有" not in shown.title and shown.title.startswith("Boats")


def test_nothing_is_marked_where_both_languages_are_there(client):
    assert not page(client, "parking").all(".only")
    assert not page(client, "parking", "zh-hans").all(".only")


def test_departments_named_among_what_others_do_are_links(client, office):
    keep(office, only_english())

    [link] = page(client, "boats").one(".not-here").css("a")
    assert (words(link), link.attributes["href"]) == ("Parking", "/en/departments/parking")


def test_markup_in_a_text_stays_text(client, office):
    text = {"en": "<b>Parking</b> & <script>alert(1)</script>"}
    keep(office, a_department("Odd", summary=text, not_here=text))
    shown = page(client, "odd")

    assert words(shown.one(".not-here")) == text["en"]
    assert not shown.all(".not-here b, main script")


# Ways


def test_an_address_says_piece_by_piece_what_it_is(client):
    shown = page(client, "parking")

    address = shown.one(".h-card address.p-adr.h-adr")
    pieces = {node.attributes["class"]: words(node) for node in address.css("span")}
    assert pieces == {
        "p-street-address": "Gate 1",
        "p-locality": "Nanjing",
        "p-region": "Jiangsu",
        "p-country-name": "China",
    }
    assert [words(line) for line in shown.all(".way .copy")]
    assert way(shown, "Visit").css_first(".copy").attributes["data-copy"] == (
        "Gate 1\nNanjing, Jiangsu, China"
    )
    chinese = page(client, "parking", "zh-hans")
    assert way(chinese, "来访地址").css_first(".copy").attributes["data-copy"] == (
        "中国江苏省南京市\n一号门"
    )


@pytest.mark.parametrize(
    ("number", "note"),
    [
        ("+86 400 810 8888", "Only from mainland China"),
        ("+44 800 111 1111", "Free of charge from United Kingdom"),
        ("+44 909 879 0000", "Calls cost more than usual"),
        ("+86 25 0345 5100", ""),
    ],
)
def test_a_number_says_who_reaches_it_and_what_it_costs(client, office, number, note):
    keep(office, a_department("Rings", points=[a_phone(number)]))

    notes = [words(it) for it in way(page(client, "rings"), "Phone").css(".note")]
    assert notes[1:] == ([note] if note else [])


def test_a_short_number_says_where_it_works(client, office):
    point = ContactPoint(kind=PointKind.SERVICE, value="12345", typed="12345")
    keep(office, a_department("Rings", points=[point]))

    assert "仅限中国大陆拨打" in words(page(client, "rings", "zh-hans").one(".way"))


@pytest.mark.parametrize("value", ["https://lab.example/en", "javascript:alert(1)"])
def test_only_an_address_of_the_web_becomes_a_link(client, office, value):
    point = ContactPoint(kind=PointKind.WEBSITE, value=value, typed=value)
    keep(office, a_department("Lab", points=[point]))

    links = [node.attributes["href"] for node in page(client, "lab").all(".way a")]
    assert links == ([value] if value.startswith("https") else [])


def test_one_that_does_not_publish_its_number_says_so(client, office):
    points = [a_phone("+86 25 0345 5177", public=False), a_mailbox("quiet@institute.example")]
    keep(office, a_department("Quiet", points=points))
    shown = page(client, "quiet")

    assert "We do not publish a phone number" in shown.text
    assert "5177" not in shown.text


def test_one_without_any_way_leaves_the_form_and_the_desk(client, office):
    keep(office, a_department("Bare", points=[]))
    shown = page(client, "bare")

    assert shown.one(".go .button").attributes["href"] == "/en/enquiries/new?department=bare"
    assert "+86 25 0345 5100" in words(shown.one("main .after"))


def test_details_not_checked_for_long_say_since_when(client, office):
    long_ago = MONDAY_NOON - timedelta(days=400)
    points = [a_mailbox("old@institute.example", verified_at=long_ago)]
    keep(office, a_department("Dusty", points=points))

    assert words(page(client, "dusty").one(".checked")).startswith("Not checked since 19 Oct 2025")
    assert "checked by the department on 23 Nov 2026" in words(
        page(client, "parking").one(".checked")
    )


# Around it


def test_topics_and_inner_departments_lead_on(client, office):
    with office.db.writing() as session:
        above = department_by_slug(session, "parking")
        session.add(a_department("Bicycles", parent_id=above.id))
    links = [node.attributes["href"] for node in page(client, "parking").all(".aside .rows a")]

    assert links == ["/en/departments/bicycles", "/en/enquiries/new?topic=permits"]


def inner(session: Session, count: int) -> None:
    above = department_by_slug(session, "parking")
    for number in range(count):
        session.add(
            a_department(f"Bay {number:03}", parent_id=above.id, position=number, points=[])
        )


def test_a_long_directory_is_shown_a_level_and_a_page_at_a_time(client, office):
    with office.db.writing() as session:
        inner(session, 230)

    home = Page(client.get("/en/"))
    assert words(home.one(".units + .after")) == "All 234 departments"
    assert "230 departments inside" in home.text
    shown = page(client, "parking")
    assert len(shown.all(".aside .rows a")) == 50 + 2
    assert words(shown.all(".aside .rows a")[50]) == "180 more"
    first = Page(client.get("/en/departments/?parent=parking"))
    assert len(first.all(".tree > li")) == 100
    assert words(first.one(".pager")) == "Page 1 of 3 Next page"
    assert words(first.one("h1")) == "Inside Parking"
    last = client.get("/en/departments/?parent=parking&page=3")
    assert len(Page(last).all(".tree > li")) == 30
    canonical = Page(last).one("link[rel=canonical]").attributes["href"]
    assert canonical == "http://contact.institute.example/en/departments/?parent=parking&page=3"
    top = Page(client.get("/en/departments/"))
    assert len(top.all(".tree > li")) == 4


@pytest.mark.parametrize("query", ["page=0", "page=4", "page=x", "page=01", "parent=nobody"])
def test_a_page_of_the_list_that_is_not_there_is_not_found(client, query):
    assert client.get(f"/en/departments/?{query}").status_code == 404


def test_one_whose_parent_was_closed_stands_at_the_top(client, office):
    with office.db.writing() as session:
        inner(session, 201)
        department_by_slug(session, "parking").status = "closed"

    assert len(Page(client.get("/en/departments/")).all(".tree > li")) == 100
