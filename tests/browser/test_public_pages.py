"""The public pages as people meet them: wide and narrow, both languages, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support import eventually

PAGES = (
    "",
    "departments/",
    "departments/international-cooperation",
    "departments/london-liaison",
    "departments/london-liaison/report",
    "departments/london-liaison/report?sent=1",
    "topics",
    "enquiries/new",
    "enquiries/new?go=1",
    "enquiries/new?topic=cooperation",
    "enquiries/new?department=media",
    "privacy",
    "accessibility",
    "no-such-page",
)
FORM = "/en/enquiries/new?topic=cooperation"


def findings(page):
    """What axe objects to, as (rule, where)."""
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(rule["id"], node["target"]) for rule in violations for node in rule["nodes"]]


def overflowing(page):
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def fill(page, **values):
    for field, value in values.items():
        page.fill(f"#f-{field}", value)


def posts(page):
    """The bodies of the forms *page* sends from now on, as they are sent."""
    sent = []
    page.on(
        "request",
        lambda request: sent.append(request.post_data) if request.method == "POST" else None,
    )
    return sent


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_has_anything_axe_objects_to_or_that_sticks_out(site, open_page, width, dark, lang):
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
def test_a_screen_320_pixels_wide_is_enough(site, open_page, lang):
    page = open_page(f"{site}/{lang}/", width=320)
    wide = []
    for path in PAGES:
        page.goto(f"{site}/{lang}/{path}")
        if overflowing(page):
            wide.append(path)

    assert wide == []


def test_a_page_is_three_requests_and_small(site, open_page):
    page = open_page(f"{site}/en/")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}{FORM}")
    page.wait_for_load_state("networkidle")

    assert len(asked) <= 3


def test_an_error_page_still_names_a_number_and_a_mailbox(site, open_page):
    page = open_page(f"{site}/en/no-such-page")

    assert page.locator("main .facts a[href^='tel:']").is_visible()
    assert page.locator("main .facts a[href^='mailto:']").is_visible()


def test_errors_are_listed_focused_and_tied_to_their_fields(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="", name="Li Wei", email="liwei.example.com")
    page.click(".send button")

    summary = page.locator("#error-summary")
    assert page.title().startswith("Error: ")
    assert page.evaluate("document.activeElement.id") == "error-summary"
    assert summary.locator("a").all_inner_texts() == [
        "Enter your message",
        "Enter an email address with an @ sign, like name@example.com",
    ]
    assert page.input_value("#f-email") == "liwei.example.com"
    assert "f-email-error" in page.get_attribute("#f-email", "aria-describedby")
    assert page.get_attribute("#f-email", "aria-invalid") == "true"

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "f-email"


def test_an_enquiry_is_sent_with_the_keyboard_alone(site, open_page):
    page = open_page(f"{site}{FORM}")
    page.focus("#f-message")
    page.keyboard.type("Can you test welded joints?")
    page.keyboard.press("Tab")
    page.keyboard.type("Joints")
    page.keyboard.press("Tab")
    page.keyboard.type("Li Wei")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # by phone
    page.keyboard.press("ArrowLeft")  # by email
    page.keyboard.press("Tab")
    page.keyboard.type("liwei@example.com")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/e/*?sent=1")

    assert page.locator("#reference").inner_text().startswith("ENQ-")
    assert page.evaluate("document.activeElement.id") == "sent"
    assert findings(page) == []


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_enter_in_a_text_field_sends_and_does_not_switch_the_language(site, open_page, javascript):
    page = open_page(f"{site}{FORM}", javascript=javascript)
    fill(page, message="Hello", name="Li Wei", email="liwei@example.com")
    page.press("#f-name", "Enter")
    page.wait_for_url("**/e/*?sent=1")

    assert page.locator("html").get_attribute("lang") == "en"


def test_an_impatient_press_sends_once_and_says_that_it_is_sending(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Hello", name="Li Wei", email="liwei@example.com")
    sent = posts(page)
    said = page.evaluate(
        """() => {
          const button = document.querySelector(".send button");
          button.click(); button.click(); button.click();
          return button.textContent;
        }"""
    )
    page.wait_for_url("**/e/*?sent=1")

    assert said == "Send to International CooperationSending…"
    assert len(sent) == 1


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_another_department_is_shown_before_it_is_sent_to_and_nothing_typed_is_lost(
    site, open_page, javascript
):
    page = open_page(f"{site}{FORM}", javascript=javascript)
    fill(page, message="Hello\nthere", name="Li Wei", email="not yet")
    page.click("#destination a")
    page.select_option("#f-department", "london-liaison")
    page.click("#change button")

    assert page.get_attribute("#destination", "data-department") == "london-liaison"
    assert page.input_value("#f-message") == "Hello\nthere"
    assert page.input_value("#f-email") == "not yet"


def test_a_choice_not_shown_yet_is_shown_when_send_is_pressed(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Hello", name="Li Wei", email="liwei@example.com")
    page.click("#destination a")
    page.select_option("#f-topic", "press")
    page.click(".send button")
    page.wait_for_selector("#destination[data-department=media]")

    assert page.locator(".send button").inner_text() == "Send to Media"


def test_the_other_language_keeps_what_was_typed(site, open_page):
    page = open_page(f"{site}{FORM}", javascript=False)
    fill(page, message="Hello", email="liwei@")
    page.click("header button[lang=zh-Hans]")

    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert page.input_value("#f-message") == "Hello"
    assert page.input_value("#f-email") == "liwei@"


def test_a_draft_is_kept_in_the_tab_without_the_address_and_gone_once_sent(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="A long story", name="Li Wei", email="liwei@example.com")
    eventually(lambda: page.evaluate("sessionStorage.length === 1"))
    page.reload()

    assert page.locator("#draft").inner_text() == "We kept your draft. Discard"
    assert page.input_value("#f-message") == "A long story"
    assert page.input_value("#f-email") == ""
    assert "liwei@" not in page.evaluate("JSON.stringify(sessionStorage)")

    page.fill("#f-email", "liwei@example.com")
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_discarded_draft_leaves_the_form_as_it_was(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Never mind")
    eventually(lambda: page.evaluate("sessionStorage.length === 1"))
    page.reload()
    page.click("#draft-discard")

    assert page.input_value("#f-message") == ""
    assert page.locator("#draft").is_hidden()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_likely_slip_in_an_address_is_offered_and_not_applied(site, open_page):
    page = open_page(f"{site}{FORM}")
    page.fill("#f-email", "liwei@gmial.com")
    page.press("#f-email", "Tab")

    assert "Did you mean liwei@gmail.com?" in page.locator("#email-suggest").inner_text()
    assert page.input_value("#f-email") == "liwei@gmial.com"
    page.click("#email-suggest [data-use]")
    assert page.input_value("#f-email") == "liwei@gmail.com"


def test_a_number_is_copied_and_the_page_says_so(site, open_page):
    page = open_page(
        f"{site}/en/departments/international-cooperation",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page.click(".way .copy >> nth=0")
    eventually(lambda: page.locator("#live").text_content() == "Copied")

    assert page.evaluate("navigator.clipboard.readText()") == "+86 25 8345 5189"


def test_a_fax_is_never_a_link(site, open_page):
    page = open_page(f"{site}/en/departments/international-cooperation")
    fax = page.locator(".way", has_text="Fax")

    assert "+86 25 8345 5109" in fax.inner_text()
    assert fax.locator("a").count() == 0


def test_times_are_told_in_the_readers_own_zone_too(site, open_page):
    address = f"{site}/en/departments/international-cooperation"
    there = open_page(address, timezone_id="Asia/Shanghai")
    far = open_page(address, timezone_id="Europe/London")

    assert there.locator(".now .local").count() == 0
    assert "your time)" in far.locator(".now .local").inner_text()


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_dark_can_be_chosen_and_stays(site, open_page, javascript):
    page = open_page(f"{site}/en/", javascript=javascript)
    page.click(".theme button[value=dark]")
    page.wait_for_selector("html[data-theme=dark]")
    page.goto(f"{site}/en/topics")

    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.get_attribute(".theme button[value=dark]", "aria-pressed") == "true"


def test_changing_the_light_loses_nothing_typed(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Hello", email="liwei@example.com")
    page.click(".theme button[value=dark]")
    page.wait_for_selector("html[data-theme=dark]")

    assert page.input_value("#f-email") == "liwei@example.com"


def test_without_script_nothing_is_shown_that_needs_it(site, open_page):
    page = open_page(f"{site}/en/departments/international-cooperation", javascript=False)

    assert page.locator(".copy:visible").count() == 0
    page.goto(f"{site}/en/")
    assert page.locator("details:not([open])").count() == 0


def test_a_department_prints_on_one_sheet_without_buttons(site, open_page):
    page = open_page(f"{site}/en/departments/international-cooperation")
    page.emulate_media(media="print")
    sheet = page.pdf(prefer_css_page_size=True)

    assert sheet.count(b"/Type /Page\n") + sheet.count(b"/Type /Page ") == 1
    assert page.locator("button:visible, .button:visible, header nav:visible").count() == 0
    assert page.locator("text=国际合作部 >> visible=true").count() == 1


def test_a_thumb_finds_every_target(site, open_page):
    """44 CSS pixels, links inside sentences aside (WCAG 2.5.8 lets those be)."""
    page = open_page(f"{site}/en/", width=390, has_touch=True, is_mobile=True)
    small = {}
    for path in PAGES:
        page.goto(f"{site}/en/{path}")
        if found := page.evaluate(
            """() => [...document.querySelectorAll("a, button, select, summary, .choice, .option")]
              .filter(e => e.offsetWidth > 1 && !e.closest(".vh, .skip")
                && getComputedStyle(e).display !== "inline"
                && e.getBoundingClientRect().height < 43.9)
              .map(e => e.outerHTML.slice(0, 90))"""
        ):
            small[path] = found

    assert small == {}


def test_the_country_of_a_number_is_asked_for_once_there_is_a_number(site, open_page):
    page = open_page(f"{site}{FORM}")

    assert page.locator("#f-country").is_hidden()
    page.fill("#f-phone", "025 8345 5189")
    assert page.locator("#f-country").is_visible()


def test_who_wants_no_reply_is_promised_none(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Just to say thanks.", name="Li Wei")
    page.check("input[name=reply_by][value=none]")
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    told = page.locator("#main").inner_text()

    assert "If you hear nothing" not in told
    assert "xpected by" not in told
    assert page.locator(".steps b").all_inner_texts() == [
        "Received",
        "With International Cooperation",
        "Closed",
    ]


def test_back_after_sending_finds_the_same_form_and_what_was_sent_is_not_sent_twice(
    site, open_page
):
    page = open_page(f"{site}{FORM}")
    typed = {"message": "Once is enough", "name": "Li Wei", "email": "liwei@example.com"}
    fill(page, **typed)
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    first = page.locator("#reference").inner_text()

    page.go_back()
    fill(page, **typed)
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    assert page.locator("#reference").inner_text() == first

    page.go_back()
    fill(page, **typed | {"message": "One thing more"})
    page.click(".send button")
    assert first in page.locator("#error-summary").inner_text()
    assert page.input_value("#f-message") == "One thing more"
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    assert page.locator("#reference").inner_text() != first


def test_on_paper_the_reference_stands_beside_the_address_to_follow_it(site, open_page):
    page = open_page(f"{site}{FORM}")
    fill(page, message="Hello", name="Li Wei", email="liwei@example.com")
    page.click(".send button")
    page.wait_for_url("**/e/*?sent=1")
    assert page.locator(".paper").is_hidden()
    page.emulate_media(media="print")

    assert page.locator(".paper").inner_text() == page.url.removesuffix("?sent=1")
    assert page.locator("#reference").is_visible()
    assert page.locator("button:visible, .aside section:visible").count() == 0
