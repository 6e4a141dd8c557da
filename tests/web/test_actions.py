"""Links out of mails show and never act; what their pages do, and reports of mistakes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from directory.adapters.db import challenges, events, objections, proposals
from directory.adapters.queries import department_by_slug
from directory.domain.contacts import PointState
from directory.domain.trust import Challenge, Proposal
from directory.parts import Parts
from directory.services.proposals import REPORTS_AN_HOUR
from tests.services.test_contacts import amend, close
from tests.services.test_trust import NEW, asked, days, happened, questions
from tests.web.conftest import client_of
from tests.web.pages import SITE, Page


def link(parts: Parts, name: str = "verify_url") -> str:
    """The path out of the mail to a mailbox just entered."""
    asked(parts)
    url = questions(parts)[0].inputs[name]
    return str(url).removeprefix(f"http://{SITE}")


def follow(client: FlaskClient, path: str) -> str:
    """Open the link as a browser does; the address it leads to."""
    response = client.get(path)
    assert response.status_code == 303
    return str(response.headers["Location"])


def nonce_on(page: Page) -> str:
    return str(page.all("input[name=nonce]")[0].attributes["value"])


def opened(client: FlaskClient, parts: Parts) -> tuple[str, dict[str, str]]:
    """The page of the link, and what its forms carry."""
    at = follow(client, link(parts))
    return at, {"nonce": nonce_on(Page(client.get(at)))}


def kept(parts: Parts) -> dict[str, Any]:
    """All that acting on a link could change."""
    with parts.db.reading() as session:
        challenge = session.execute(sa.select(challenges)).one()
        return {
            "challenge": challenge._asdict(),
            "proposals": session.execute(sa.select(proposals)).all(),
            "objections": session.execute(sa.select(objections)).all(),
            "events": session.scalar(sa.select(sa.func.count()).select_from(events)),
            "points": [
                (point.state, point.verified_at)
                for point in department_by_slug(session, "parking").points
            ],
        }


# The link


def test_a_link_is_exchanged_for_an_address_without_its_token(client, office):
    path = link(office)

    response = client.get(path)

    assert response.status_code == 303
    symbols = path.removeprefix("/v/")[:8]
    assert response.headers["Location"] == f"/v/{symbols}"
    cookie = response.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Lax", f"Path=/v/{symbols}", "Max-Age=1800"):
        assert part in cookie
    assert path.rpartition("-")[2] not in cookie
    assert response.headers["Cache-Control"] == "no-store"


def test_which_form_the_link_meant_travels_along(quick, quick_office):
    path = link(quick_office)
    assert follow(quick, f"{path}?do=change").endswith("?do=change")
    assert follow(quick, f"{path}?do=anything").endswith(path[3:11])
    page = Page(quick.get(follow(quick, f"{path}?do=change")))
    assert [form.attributes.get("data-action") for form in page.all("main form")] == [
        "change",
        "correct",
    ]


def test_scanners_that_open_everything_change_nothing(client, office):
    path, stop = link(office), questions(office)[0].inputs["unsubscribe_url"]
    before = kept(office)

    for method in ("HEAD", "GET"):
        for query in ("", "?do=correct", "?do=change"):
            client.open(path + query, method=method)
            client.open(path[:11] + query, method=method)
        client.open(path[:11] + "?done=confirmed", method=method)
        client.open(stop.removeprefix(f"http://{SITE}"), method=method)

    assert kept(office) == before


def test_a_browser_without_cookies_is_told_how_to_allow_them(quick, quick_office):
    path = link(quick_office)
    for address in (path[:11], "/v/00000000"):
        page = Page(client_of(quick_office).get(address))
        assert page.status == 200
        assert "allow them" in page.text
        assert "Parking" not in page.text


def test_the_cookie_of_one_link_opens_no_other(quick, quick_office):
    at = follow(quick, link(quick_office))
    cookie = quick.get_cookie("directory_v", path=at)
    assert cookie is not None
    with quick_office.db.writing() as session:
        other = session.scalars(sa.select(Challenge)).one()
        other.symbols = "00000000"
    elsewhere = client_of(quick_office)
    elsewhere.set_cookie("directory_v", cookie.value)
    assert "allow them" in elsewhere.get("/v/00000000").text


@pytest.mark.parametrize("change", ["last", "first", "middle", "short", "long", "purpose"])
def test_a_forged_link_leads_nowhere(quick, quick_office, change):
    path = link(quick_office)
    forged = {
        "last": path[:-1] + ("0" if path[-1] != "0" else "1"),
        "first": "/v/" + ("0" if path[3] != "0" else "1") + path[4:],
        "middle": path[:20] + ("0" if path[20] != "0" else "1") + path[21:],
        "short": path[:-1],
        "long": path + "0",
        "purpose": "/v/" + questions(quick_office)[0].inputs["unsubscribe_url"].rpartition("/")[2],
    }[change]
    for method in ("GET", "HEAD", "POST"):
        assert quick.open(forged, method=method).status_code == 404


def check_gone(response: TestResponse) -> Page:
    page = Page(response)
    assert page.status == 410
    assert page.all("a[href$='/departments/parking/report']")
    return page


def test_an_expired_link_says_what_it_was_and_how_to_get_on(quick, quick_office):
    path = link(quick_office)
    days(quick_office, 30)
    assert "Parking" in check_gone(quick.get(path)).text


def test_a_link_ends_with_the_mailbox_it_was_for(quick, quick_office):
    path = link(quick_office)
    amend(quick_office, "parking", email="other@institute.example")
    check_gone(quick.get(path))


def test_a_revoked_link_is_gone(quick, quick_office):
    path = link(quick_office)
    with quick_office.db.writing() as session:
        session.scalars(sa.select(Challenge)).one().version = 2
    check_gone(quick.get(path))


# The page


@pytest.mark.parametrize(("lang", "words"), [("en", "All correct"), ("zh-hans", "全部正确")])
def test_it_shows_what_visitors_see_in_both_languages(quick, quick_office, lang, words):
    page = Page(quick.get(f"{follow(quick, link(quick_office))}?lang={lang}"))
    for detail in ("Parking处", NEW, "+86 25 0345 5180", "Gate 1", "一号门", words):
        assert detail in page.text
    assert page.one("html").attributes["lang"] == {"en": "en", "zh-hans": "zh-Hans"}[lang]
    assert len(page.all("h1")) == 1


def test_all_correct_verifies_what_is_shown(client, office):
    at, carried = opened(client, office)

    response = client.post(at, data=carried | {"do": "correct"})

    assert response.status_code == 303
    thanks = Page(client.get(response.headers["Location"]))
    assert (thanks.status, "checked today" in thanks.text) == (200, True)
    with office.db.reading() as session:
        points = department_by_slug(session, "parking").public_points()
    assert {(p.state, p.verified_how) for p in points} == {(PointState.VERIFIED, "mailbox")}
    page = Page(client.get("/en/departments/parking"))
    assert "Details checked by the department on" in page.text


def test_a_change_becomes_a_proposal_and_nothing_else(client, office):
    at, carried = opened(client, office)

    response = client.post(
        at, data=carried | {"do": "change", "what": "phone", "correct": "025 8345 5111"}
    )

    assert response.status_code == 303
    assert "An editor has your change" in client.get(response.headers["Location"]).text
    with office.db.reading() as session:
        proposal = session.scalars(sa.select(Proposal)).one()
    assert (proposal.source, proposal.email) == ("mailbox", NEW)
    assert proposal.cells == {"phone": "025 8345 5111"}
    assert "0345 5180" in client.get("/en/departments/parking").text


def test_an_answered_link_is_spent(client, office):
    at, carried = opened(client, office)
    path = questions(office)[0].inputs["verify_url"].removeprefix(f"http://{SITE}")
    client.post(at, data=carried | {"do": "correct"})

    for response in (
        client.get(path),
        client.get(at),
        client.post(at, data=carried | {"do": "correct"}),
        client.post(at, data=carried | {"do": "change", "what": "phone"}),
    ):
        check_gone(response)
    assert happened(office).count("confirmed") == 1


def test_a_change_says_which_detail(quick, quick_office):
    at, carried = opened(quick, quick_office)
    typed = {"do": "change", "what": " ", "correct": "025 8345 5111"}

    page = Page(quick.post(at, data=carried | typed))

    assert page.status == 422
    assert page.errors == [("f-what", "Tell us which detail is wrong")]
    assert page.title.startswith("Error: ")
    assert page.one("#f-correct").text().strip() == "025 8345 5111"
    assert kept(quick_office)["proposals"] == []


@pytest.mark.parametrize(
    "nonce", ["", "nonsense", "A" * 60], ids=["none", "nonsense", "of the right length"]
)
def test_an_answer_without_the_pages_nonce_is_refused(quick, quick_office, nonce):
    at, _ = opened(quick, quick_office)
    before = kept(quick_office)
    response = quick.post(at, data={"do": "correct", "nonce": nonce})
    assert response.status_code == 403
    assert kept(quick_office) == before


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}],
)
def test_an_answer_from_another_site_is_refused(quick, quick_office, headers):
    at, carried = opened(quick, quick_office)
    response = quick.post(at, data=carried | {"do": "correct"}, headers=headers)
    assert response.status_code == 403
    assert happened(quick_office)[-1] == "asked"


def test_a_page_left_open_too_long_keeps_what_was_typed(quick, quick_office):
    at, carried = opened(quick, quick_office)
    typed = {"do": "change", "what": "phone", "correct": "025 8345 5111"}
    quick_office.now.advance(minutes=31)

    page = Page(quick.post(at, data=carried | typed))
    assert (page.status, page.one("#f-correct").text().strip()) == (422, "025 8345 5111")
    assert kept(quick_office)["proposals"] == []

    again = quick.post(at, data=typed | {"nonce": nonce_on(page)})
    assert again.status_code == 303


def test_a_post_to_the_link_itself_does_nothing(quick, quick_office):
    path = link(quick_office)
    assert quick.post(path, data={"do": "correct"}).status_code == 403
    assert happened(quick_office)[-1] == "asked"


def test_over_tls_the_cookie_is_for_tls_alone(sqlite_url, tmp_path, clock):
    from tests.builders import parts_for, plant_office

    parts = parts_for(tmp_path, sqlite_url, clock, site={"base_url": f"https://{SITE}"})
    with parts.db.writing() as session:
        plant_office(session)
    asked(parts)
    path = questions(parts)[0].inputs["verify_url"].removeprefix(f"https://{SITE}")
    cookie = client_of(parts).get(path, base_url=f"https://{SITE}").headers["Set-Cookie"]
    parts.let_go()
    assert cookie.startswith("__Secure-directory_v=")
    assert "Secure;" in cookie


# Unsubscribing


def test_one_click_needs_no_page_no_cookie_and_no_nonce(client, office):
    path = link(office, "unsubscribe_url")

    response = client.post(
        path,
        data={"List-Unsubscribe": "One-Click"},
        headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
    )

    assert response.status_code == 200
    assert happened(office)[-1] == "objected"
    assert "We will not ask again" in client.get(path).text
    again = client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert again.status_code == 200
    assert happened(office).count("objected") == 1


def test_a_person_presses_a_button_to_unsubscribe(quick, quick_office):
    path = link(quick_office, "unsubscribe_url")
    page = Page(quick.get(path))
    assert NEW in page.text

    assert quick.post(path).status_code == 403
    response = quick.post(path, data={"nonce": nonce_on(page)})

    assert (response.status_code, response.headers["Location"]) == (303, path)
    assert happened(quick_office)[-1] == "objected"


def test_a_forged_unsubscribing_link_stops_nothing(quick, quick_office):
    path = link(quick_office, "unsubscribe_url")
    forged = path[:-1] + ("0" if path[-1] != "0" else "1")
    for method in ("GET", "POST"):
        response = quick.open(forged, method=method, data={"List-Unsubscribe": "One-Click"})
        assert response.status_code == 404
    assert happened(quick_office)[-1] == "asked"


# Mistakes


REPORT = "/en/departments/parking/report"


def form_token(client: FlaskClient, path: str = REPORT) -> dict[str, str]:
    page = Page(client.get(path))
    return {"form_token": str(page.one("input[name=form_token]").attributes["value"])}


def reports(parts: Parts) -> list[Proposal]:
    with parts.db.reading() as session:
        return list(session.scalars(sa.select(Proposal)))


def test_the_page_of_a_department_leads_to_the_report(quick):
    page = Page(quick.get("/en/departments/parking"))
    assert page.all(f"a[href='{REPORT}']")


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_mistake_is_reported_without_cookie_or_script(client, office, lang):
    path = f"/{lang}/departments/parking/report"
    typed = {"what": "fax", "correct": "025 8345 5190", "email": "liwei@example.com"}

    response = client.post(path, data=form_token(client, path) | typed)

    assert (response.status_code, response.headers["Location"]) == (303, f"{path}?sent=1")
    assert Page(client.get(f"{path}?sent=1")).status == 200
    [kept] = reports(office)
    assert (kept.source, kept.what, kept.correct) == ("public", "fax", "025 8345 5190")
    assert (kept.email, kept.language) == (
        "liwei@example.com",
        {"en": "en", "zh-hans": "zh-Hans"}[lang],
    )


@pytest.mark.parametrize(
    ("lang", "text"), [("en", "Tell us which detail is wrong"), ("zh-hans", "请说明哪项信息有误")]
)
def test_a_report_without_a_detail_comes_back_with_all_that_was_typed(quick, lang, text):
    path = f"/{lang}/departments/parking/report"
    typed = {"what": "", "correct": "two\nlines", "email": "me@example.com"}

    page = Page(quick.post(path, data=form_token(quick, path) | typed))

    assert page.status == 422
    assert page.errors == [("f-what", text)]
    assert page.one("#f-what").attributes["aria-invalid"] == "true"
    assert page.one("#f-correct").text().strip() == "two\nlines"
    assert page.one("#f-email").attributes["value"] == "me@example.com"


def test_a_detail_in_words_of_ones_own_is_kept(quick, quick_office):
    typed = {"what": "the map <b>", "correct": "", "email": "no address"}
    page = Page(quick.post(REPORT, data=form_token(quick) | typed))
    assert page.errors[0][0] == "f-email"
    chosen = [o.text() for o in page.all("#f-what option") if "selected" in o.attributes]
    assert chosen == ["the map <b>"]

    quick.post(REPORT, data=form_token(quick) | typed | {"email": ""})
    assert [it.what for it in reports(quick_office)] == ["the map <b>"]


def test_the_detail_a_link_names_is_chosen(quick):
    page = Page(quick.get(f"{REPORT}?what=phone"))
    chosen = [o.attributes["value"] for o in page.all("#f-what option[selected]")]
    assert chosen == ["phone"]


def test_a_form_without_its_token_is_shown_again_and_not_kept(quick, quick_office):
    page = Page(quick.post(REPORT, data={"what": "phone", "form_token": "nonsense"}))
    assert page.status == 422
    assert "open for more than 24 hours" in page.errors[0][1]
    assert reports(quick_office) == []
    days(quick_office, 0)
    token = str(page.one("input[name=form_token]").attributes["value"])
    assert quick.post(REPORT, data={"what": "phone", "form_token": token}).status_code == 303


def test_a_program_that_fills_in_everything_sees_thanks_and_leaves_nothing(quick, quick_office):
    typed = {"what": "phone", "leave_blank": "buy now"}
    response = quick.post(REPORT, data=form_token(quick) | typed)
    assert response.status_code == 303
    assert reports(quick_office) == []


def test_a_network_that_reports_too_much_is_told_when_to_go_on(quick, quick_office):
    token = form_token(quick)
    for number in range(REPORTS_AN_HOUR):
        response = quick.post(REPORT, data=token | {"what": f"mistake {number}"})
        assert response.status_code == 303

    page = Page(response := quick.post(REPORT, data=token | {"what": "one more"}))

    assert page.status == 429
    assert int(response.headers["Retry-After"]) == 3600
    assert "one more" in page.text
    assert len(reports(quick_office)) == REPORTS_AN_HOUR


def test_a_report_from_another_site_is_refused(quick, quick_office):
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = quick.post(REPORT, data=form_token(quick) | {"what": "x"}, headers=headers)
    assert response.status_code == 403
    assert reports(quick_office) == []


# Old names


def test_old_addresses_move_for_good_to_where_the_department_is(client, office):
    amend(office, "parking", slug="car-park")
    for lang in ("en", "zh-hans"):
        for end in ("", "/report"):
            response = client.get(f"/{lang}/departments/parking{end}")
            assert response.status_code == 301
            assert response.headers["Location"] == f"/{lang}/departments/car-park{end}"
    close(office, "car-park", "media")
    for old in ("parking", "car-park"):
        response = client.get(f"/en/departments/{old}")
        assert response.headers["Location"] == "/en/departments/media"
    assert client.get("/en/departments/never-was").status_code == 404


def test_files_and_forms_of_an_old_name_are_those_of_the_new(quick, quick_office):
    amend(quick_office, "parking", slug="car-park")
    response = quick.get("/en/departments/parking.vcf")
    assert (response.status_code, response.headers["Location"]) == (
        301,
        "/en/departments/car-park.vcf",
    )
    page = Page(quick.get("/en/enquiries/new?department=parking"))
    assert page.status == 200
    assert page.one("#destination").attributes["data-department"] == "car-park"
    close(quick_office, "car-park", "media")
    page = Page(quick.get("/en/enquiries/new?department=parking"))
    assert page.one("#destination").attributes["data-department"] == "media"
    assert "Choose one of the options" in quick.get("/en/enquiries/new?department=x").text


def test_no_page_here_is_kept_by_anybody(quick, quick_office):
    at, _ = opened(quick, quick_office)
    stop = questions(quick_office)[0].inputs["unsubscribe_url"].removeprefix(f"http://{SITE}")
    for path in (at, stop, REPORT):
        response = quick.get(path)
        assert response.headers["Cache-Control"] == "no-store"
        assert re.search('<meta name="robots" content="noindex">', response.text)
