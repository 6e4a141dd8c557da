"""A mailbox answers a question, and a visitor reports a mistake, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from directory.domain.delivery import Delivery, DeliveryKind
from directory.services.contacts import amend_department
from directory.services.trust import sweep
from directory.settings import load_settings
from tests.browser.conftest import serving
from tests.browser.test_public_pages import findings, overflowing

SLUGS = ("london-liaison", "media", "technology-demand")


@pytest.fixture(scope="module")
def links(_sqlite_template, tmp_path_factory):
    """Where the questions to mailboxes of the sample institution lead, by department."""
    root = tmp_path_factory.mktemp("asked")
    found = {}

    def enter_mailboxes(session):
        settings = load_settings(root / "config" / "directory.toml", environ={}, env="test")
        now = datetime.now(UTC)
        for slug in SLUGS:
            cells = {"email": f"new-{slug}@institute.example"}
            amend_department(session, slug, cells, settings=settings, now=now, by="editor")
        session.flush()
        sweep(session, settings=settings, now=now)
        for mail in session.scalars(sa.select(Delivery)):
            if mail.kind is DeliveryKind.VERIFICATION:
                slug = mail.inputs["page_url"].rpartition("/")[2]
                found[slug] = (mail.inputs["verify_url"], mail.inputs["unsubscribe_url"])

    with serving(_sqlite_template, root, enter_mailboxes):
        yield found


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_here_is_in_anybodys_way(links, open_page, width, dark, lang):
    link, stop = links["media"]
    page = open_page(f"{link}?do=change", width=width, dark=dark)
    asking = page.url.partition("?")[0]
    wrong = {}
    for url in (asking, f"{asking}?do=change", stop, f"{asking[:-8]}00000000", f"{link}0"):
        page.goto(f"{url}{'&' if '?' in url else '?'}lang={lang}")
        if found := findings(page):
            wrong[url] = found
        if overflowing(page):
            wrong[f"{url} sticks out"] = width
    assert wrong == {}


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_change_is_proposed_in_two_presses(links, open_page, javascript):
    slug = "technology-demand" if javascript else "london-liaison"
    page = open_page(f"{links[slug][0]}?do=change", javascript=javascript)

    page.click("form[data-action=change] button")
    assert page.locator("#f-what-error").is_visible()
    page.select_option("#f-what", "phone")
    page.fill("#f-correct", "025 8345 5111")
    page.click("form[data-action=change] button")

    assert page.locator("h1").inner_text() == "Thank you"
    assert "done=proposed" in page.url
    page.goto(links[slug][0])
    assert page.locator("h1").inner_text() == "This link no longer works"


def test_a_visitor_reports_a_mistake_with_the_keyboard_alone(site, open_page):
    page = open_page(f"{site}/en/departments/media")
    page.locator("a[href$='/report']").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#f-what")
    page.locator("#f-what").focus()
    page.keyboard.press("ArrowDown")
    page.locator("#f-correct").focus()
    page.keyboard.type("025 8345 5190")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.wait_for_url("**/report?sent=1")
    assert page.locator("h1").inner_text() == "Thank you"
