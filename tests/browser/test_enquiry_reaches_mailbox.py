"""The main job, whole: from what a visitor types to the mail in the department's mailbox."""

from __future__ import annotations

import email
import email.policy
import itertools
import re
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import urlsplit

import pytest

from tests.browser.test_public_pages import fill, findings
from tests.support import eventually

TYPED = {
    "en": {
        "message": "We grow perovskite cells in Leiden.\nMay we visit your clean room?",
        "subject": "Perovskite cells",
        "name": "Wang Lei",
        "organisation": "Leiden Thin Films",
    },
    "zh-hans": {
        "message": "我们研究钙钛矿薄膜电池。\n能否参观贵院的洁净室？",
        "subject": "钙钛矿电池",
        "name": "王磊",
        "organisation": "莱顿薄膜公司",
    },
}
RECEIPT = {"en": "We received your enquiry", "zh-hans": "已收到您的咨询"}
NAMES = {"en": "International Cooperation", "zh-hans": "国际合作部"}


# Nobody is sent more than three receipts a day, so each enquiry has a visitor of its own.
visitors = (f"visitor-{number}@example.com" for number in itertools.count(1))


def send(page, lang):
    """Fill in the form that *page* shows and press Send: the reference, and who sent it."""
    visitor = next(visitors)
    fill(page, **TYPED[lang], email=visitor)
    page.click(".send button")
    return sent_from(page), visitor


def form_of(demo, lang):
    return f"{demo.url}/{lang}/enquiries/new?topic=cooperation"


def sent_from(page):
    """The reference the page shows once the form that was just sent is kept."""
    page.wait_for_url("**/e/*?sent=1")
    return page.locator("#reference").inner_text()


def parsed(source: bytes) -> EmailMessage:
    mail = email.message_from_bytes(source, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def texts_of(mail):
    """Every word a reader of *mail* may see, in whichever part."""
    parts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join([str(mail["Subject"]), str(mail["From"]), str(mail["To"]), *parts])


def words_typed(lang):
    """Patterns of the words typed; the visitor's own address is in To."""
    typed = " ".join(TYPED[lang].values())
    if lang == "en":
        # "your" is ours as well as theirs.
        return {rf"\b{word}\b" for word in re.findall("[A-Za-z]{4,}", typed)} - {r"\byour\b"}
    return set(re.findall("[\u4e00-\u9fff]{2,}", typed))


def check_the_departments_mail(routed, ref, visitor, lang):
    """As PROMISES have it: to the department, in our own name, answerable to the visitor."""
    name, sender = parseaddr(str(routed["From"]))
    assert sender.endswith("@institute.example")
    assert visitor not in str(routed["From"])
    assert TYPED[lang]["name"] in name
    assert parseaddr(str(routed["To"]))[1] == "rdd@jitri.org"
    assert parseaddr(str(routed["Reply-To"]))[1] == visitor
    assert routed["X-Enquiry-Ref"] == ref
    assert ref in str(routed["Subject"])
    body = routed.get_body(("plain",)).get_content()
    for line in TYPED[lang]["message"].splitlines():
        assert f"| {line}" in body


def check_the_receipt(receipt, ref, visitor, lang):
    """In the visitor's language, and without a word the visitor typed."""
    assert parseaddr(str(receipt["To"])) == ("", visitor)
    assert receipt["X-Enquiry-Ref"] == ref
    assert RECEIPT[lang] in str(receipt["Subject"])
    assert receipt["Content-Language"].lower() == lang
    said = texts_of(receipt)
    assert ref in said
    assert NAMES[lang] in said
    assert [text for text in words_typed(lang) if re.search(text, said)] == []


def status_link(receipt):
    body = receipt.get_body(("plain",)).get_content()
    return re.search(r"^https?://\S+/e/\S+", body, re.MULTILINE).group()


def check_what_a_stranger_sees(open_page, demo, receipt, visitor, lang):
    """The link of the receipt, opened by somebody else: how far it has come, and who wrote not."""
    link = status_link(receipt)
    assert link.startswith(demo.url)
    page = open_page(link)
    eventually(lambda: _reloaded_status(page) == "routed", within=15, what="the mail is accepted")

    seen = page.content()
    assert NAMES[lang] in page.locator(".dest .who").inner_text()
    assert [text for text in TYPED[lang].values() if text.splitlines()[0] in seen] == []
    assert visitor not in seen
    assert "•••" not in seen


def _reloaded_status(page):
    page.reload()
    return page.get_attribute("#status", "data-status")


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize(
    ("width", "dark", "javascript"),
    [(390, False, True), (390, True, False), (1280, True, True), (1280, False, False)],
    ids=["narrow", "narrow, dark, no script", "wide, dark", "wide, no script"],
)
def test_an_enquiry_is_in_the_departments_mailbox_within_seconds(
    demo, open_page, lang, width, dark, javascript
):
    page = open_page(form_of(demo, lang), width=width, dark=dark, javascript=javascript)
    ref, visitor = send(page, lang)
    listed = demo.both_mails(ref)

    assert listed["routed"]["envelope_to"] == ["rdd@jitri.org"]
    assert listed["routed"]["envelope_from"].endswith("@institute.example")
    assert listed["acknowledgement"]["envelope_to"] == [visitor]
    check_the_departments_mail(parsed(demo.source(listed["routed"])), ref, visitor, lang)
    receipt = parsed(demo.source(listed["acknowledgement"]))
    check_the_receipt(receipt, ref, visitor, lang)
    check_what_a_stranger_sees(open_page, demo, receipt, visitor, lang)


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_the_keyboard_alone_reaches_the_mailbox(demo, open_page, lang):
    page = open_page(form_of(demo, lang))
    visitor = next(visitors)
    typed = TYPED[lang] | {"email": visitor}
    page.keyboard.press("Tab")  # "Skip to content"
    page.keyboard.press("Enter")
    for name in ("message", "subject", "name", "email", "organisation"):
        _tab_to(page, f"f-{name}")
        page.keyboard.insert_text(typed[name])
    _tab_to(page, "", text=page.locator(".send button").inner_text())
    page.keyboard.press("Enter")
    ref = sent_from(page)

    listed = demo.both_mails(ref)
    check_the_departments_mail(parsed(demo.source(listed["routed"])), ref, visitor, lang)


def _tab_to(page, wanted, text=""):
    """Press Tab until the control with this id, or with this text, has the focus."""
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "[document.activeElement.id, document.activeElement.innerText || '']"
        )
        if (text and focused[1] == text) or (wanted and focused[0] == wanted):
            return
    pytest.fail(f"Tab does not lead to {wanted or text}")


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_after_sending_is_anything_axe_objects_to(demo, open_page, width, dark, lang):
    page = open_page(form_of(demo, lang), width=width, dark=dark)
    ref, _ = send(page, lang)
    wrong = {"confirmation": findings(page)}

    receipt = parsed(demo.source(demo.both_mails(ref)["acknowledgement"]))
    page.goto(status_link(receipt))
    wrong["status"] = findings(page)
    page.goto(f"{demo.url}/dev/mailbox?lang={lang}")
    wrong["mailbox"] = findings(page)
    page.click("tbody a >> nth=0")
    page.wait_for_selector("pre.code")
    wrong["mail"] = findings(page)

    assert {where: found for where, found in wrong.items() if found} == {}


def test_the_mailbox_page_lists_the_mail_and_shows_it(demo, open_page):
    page = open_page(form_of(demo, "en"))
    ref, _ = send(page, "en")
    demo.both_mails(ref)
    page.goto(f"{demo.url}/dev/mailbox")
    row = page.locator("tbody tr", has_text=ref).filter(has_text="rdd@jitri.org")
    row.locator("a").click()

    assert ref in page.locator("h1").inner_text()
    assert "| We grow perovskite cells in Leiden." in page.locator("pre").first.inner_text()


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_the_same_leaves_by_any_mail_server(mailing_demo, mail_server, open_page, lang):
    page = open_page(form_of(mailing_demo, lang))
    ref, visitor = send(page, lang)

    def arrived():
        mails = [(taken.recipients, parsed(taken.content)) for taken in mail_server.messages]
        about = {mail["X-Enquiry-Kind"]: (to, mail) for to, mail in mails if _is_about(mail, ref)}
        return about if len(about) == 2 else None

    about = eventually(arrived, within=15, what=f"two mails about {ref}")
    to, routed = about["routed"]
    assert to == ("rdd@jitri.org",)
    check_the_departments_mail(routed, ref, visitor, lang)
    to, receipt = about["acknowledgement"]
    assert to == (visitor,)
    check_the_receipt(receipt, ref, visitor, lang)
    check_what_a_stranger_sees(open_page, mailing_demo, receipt, visitor, lang)


def _is_about(mail, ref):
    return mail["X-Enquiry-Ref"] == ref


@pytest.mark.parametrize("path", ["", ".json", "/1", "/1.eml"])
def test_there_is_no_mailbox_to_look_into_once_mail_leaves(mailing_demo, open_page, path):
    page = open_page(f"{mailing_demo.url}/en/")
    answer = page.request.get(f"{mailing_demo.url}/dev/mailbox{path}")

    assert answer.status == 404
    assert urlsplit(answer.url).path == f"/dev/mailbox{path}"
