"""A department's page in its rarer states, and a directory too long for one page, in a browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from directory.adapters.queries import department_by_slug
from tests.browser.conftest import serving
from tests.browser.test_public_pages import findings, overflowing
from tests.builders import a_department
from tests.invented import invent
from tests.support import eventually

PAGES = (
    "",
    "departments/",
    "departments/?page=2",
    "departments/?parent=administration",
    "departments/technology-demand",
    "departments/crowded",
    "departments/bare",
    "../problems/",
    "../problems/validation",
)


def change(session):
    """One closed for a while, in one language only; one with much inside; many others."""
    today = datetime.now(UTC).date()
    found = department_by_slug(session, "technology-demand")
    found.exceptions = [
        {
            "from": str(today - timedelta(2)),
            "to": str(today + timedelta(5)),
            "reason": {"en": "Moving to Building C"},
        }
    ]
    found.summary = {"en": found.summary["en"]}
    found.not_here = {"en": "Job applications go to Talent, visits to Events and Visits."}
    for point in found.points:
        if point.address:
            point.address = {**point.address, "lines": {"en": point.address["lines"]["en"]}}
        point.verified_at = datetime.now(UTC) - timedelta(500)
    crowded = a_department("Crowded")
    crowded.name = {"en": "Crowded"}
    session.add_all([crowded, a_department("Bare", points=[])])
    session.flush()
    for number in range(60):
        name = f"A part with a rather long name, number {number}"
        inner = a_department(f"Part {number}", parent_id=crowded.id, position=number, points=[])
        inner.name = {"en": name}
        session.add(inner)
    session.flush()
    invent(session, 250)


@pytest.fixture(scope="module")
def site(_sqlite_template, tmp_path_factory):
    with serving(_sqlite_template, tmp_path_factory.mktemp("states"), change) as address:
        yield address


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize(("width", "dark"), [(320, False), (390, True), (1280, False)])
def test_no_state_has_anything_axe_objects_to_or_that_sticks_out(
    site, open_page, width, dark, lang
):
    page = open_page(f"{site}/{lang}/", width=width, dark=dark)
    wrong = {}
    for path in PAGES:
        page.goto(f"{site}/{lang}/{path}")
        if found := findings(page):
            wrong[path] = found
        if overflowing(page):
            wrong[f"{path} sticks out"] = width

    assert wrong == {}


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("slug", ["technology-demand", "london-liaison", "crowded"])
def test_every_department_prints_on_one_sheet_with_its_address_and_its_code(
    site, open_page, slug, lang
):
    page = open_page(f"{site}/{lang}/departments/{slug}")
    page.emulate_media(media="print")
    sheet = page.pdf(prefer_css_page_size=True)

    assert sheet.count(b"/Type /Page\n") + sheet.count(b"/Type /Page ") == 1
    assert page.locator(f"text={site}/{lang}/departments/{slug} >> visible=true").count() == 1
    assert page.locator(".qr:visible").count() == 1
    assert page.locator("button:visible, .button:visible").count() == 0


def test_paper_says_it_in_the_other_language_too(site, open_page):
    page = open_page(f"{site}/en/departments/london-liaison")
    page.emulate_media(media="print")

    other = page.locator(".paper.other").inner_text()
    assert "伦敦联络处" in other and "周一至周四" in other
    assert f"{site}/zh-hans/departments/london-liaison" in other


def test_a_department_takes_three_requests_and_asks_for_no_picture(site, open_page):
    page = open_page(f"{site}/en/")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/en/departments/london-liaison")
    page.wait_for_load_state("networkidle")

    assert len(asked) <= 3
    assert page.locator("svg.qr:visible").count() == 1


def test_the_code_stays_dark_on_light_in_the_dark(site, open_page):
    page = open_page(f"{site}/en/departments/london-liaison", dark=True)
    colours = page.evaluate(
        """() => [getComputedStyle(document.querySelector(".qr")).backgroundColor,
                 getComputedStyle(document.querySelector(".qr path")).stroke]"""
    )

    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def test_an_address_is_copied_in_the_order_of_the_post(site, open_page):
    page = open_page(
        f"{site}/en/departments/london-liaison", permissions=["clipboard-read", "clipboard-write"]
    )
    page.locator(".way", has_text="Sample Square").locator(".copy").click()
    # Asked from outside: a page with our policy evaluates no text of anybody's, the test's neither.
    eventually(lambda: page.locator("#live").text_content() == "Copied", what="the copy")

    assert page.evaluate("navigator.clipboard.readText()") == (
        "Second Floor\n1 Sample Square\nLondon\nSW1A 1AA\nUnited Kingdom"
    )
