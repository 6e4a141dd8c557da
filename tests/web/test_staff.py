"""Links in routed mails: they show and never act, their buttons act once, and can take it back."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from directory.adapters.db import deliveries, enquiries, events
from directory.adapters.links import Signer
from directory.adapters.queries import decisions_of, deliveries_of, enquiry_by_ref
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, action_version
from directory.parts import Parts
from directory.services.rules import publish_rules
from tests.builders import OFFICE_RULES, a_submission, submit
from tests.web.conftest import client_of
from tests.web.pages import SITE, Page

TEXT = "May I park at the gate? I have 报社 papers with me."


def accepted(parts: Parts, enquiry: Enquiry) -> None:
    """As after a worker's round: the department's server took its mail."""
    with parts.db.writing() as session:
        for delivery in deliveries_of(session, enquiry):
            if delivery.state is DeliveryState.QUEUED:
                delivery.succeeded(parts.now(), "250 ok")
        kept = enquiry_by_ref(session, enquiry.ref)
        kept.accepted_by_department(parts.now())


def an_enquiry(parts: Parts, **changes: Any) -> Enquiry:
    made = submit(parts, a_submission("permits", **{"message": TEXT, **changes}))
    accepted(parts, made)
    return made


def link(parts: Parts, enquiry: Enquiry, nth: int = -1) -> str:
    """The path of the link in the latest mail to a department."""
    with parts.db.reading() as session:
        routed = [it for it in deliveries_of(session, enquiry) if it.kind is DeliveryKind.ROUTED]
    return str(routed[nth].inputs["action_url"]).removeprefix(f"http://{SITE}")


def opened(client: FlaskClient, path: str, doing: str = "take") -> tuple[str, Page]:
    response = client.get(f"{path}?do={doing}")
    assert response.status_code == 303
    at = str(response.headers["Location"])
    return at, Page(client.get(at))


def carried(page: Page) -> dict[str, str]:
    """What the forms of *page* carry unseen."""
    return {
        name: str(page.all(f"form[data-action] input[name={name}]")[0].attributes["value"])
        for name in ("nonce", "version")
    }


def press(client: FlaskClient, at: str, page: Page, doing: str, **typed: str) -> TestResponse:
    return client.post(at.partition("?")[0], data={**carried(page), "do": doing, **typed})


def kept(parts: Parts, enquiry: Enquiry) -> Enquiry:
    with parts.db.reading() as session:
        found = enquiry_by_ref(session, enquiry.ref)
        session.expunge(found)
    return found


def everything(parts: Parts) -> list[Any]:
    """All that acting could change."""
    with parts.db.reading() as session:
        return [
            session.execute(sa.select(table)).all() for table in (enquiries, deliveries, events)
        ]


def routed(parts: Parts, enquiry: Enquiry) -> list[tuple[str, str]]:
    with parts.db.reading() as session:
        return [
            (it.recipient, it.state.value)
            for it in deliveries_of(session, enquiry)
            if it.kind is DeliveryKind.ROUTED
        ]


# A link read is not a link used


def test_p14_scanners_that_open_every_link_change_nothing_and_a_person_still_can(client, office):
    path = link(office, an_enquiry(office))
    before = everything(office)

    for _ in range(20):
        for doing in ("take", "wrong", "done"):
            scanner = client_of(office)
            response = scanner.get(f"{path}?do={doing}", follow_redirects=True)
            assert response.status_code == 200
            assert scanner.head(f"{path}?do={doing}").status_code == 303
    assert everything(office) == before

    at, page = opened(client, path)
    assert press(client, at, page, "take").status_code == 303
    assert everything(office) != before


def test_a_link_is_exchanged_for_an_address_without_its_token(client, office):
    path = link(office, an_enquiry(office))

    response = client.get(f"{path}?do=wrong")

    symbols = path.removeprefix("/a/")[:8]
    assert response.headers["Location"] == f"/a/{symbols}?do=wrong"
    cookie = response.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Lax", f"Path=/a/{symbols}", "Max-Age=1800"):
        assert part in cookie
    assert path.rpartition("-")[2] not in cookie
    assert response.headers["Cache-Control"] == "no-store"


def test_without_the_cookie_the_page_says_how_to_allow_it_and_shows_nothing(client, office):
    enquiry = an_enquiry(office)

    response = client.get(f"/a/{enquiry.ref}")

    assert response.status_code == 200
    assert "allow them for this site" in Page(response).text
    assert "park at the gate" not in response.text


def test_the_form_that_was_linked_stands_first(client, office):
    path = link(office, an_enquiry(office))

    def order(doing: str) -> list[str]:
        _, page = opened(client, path, doing)
        return [str(it.attributes["data-action"]) for it in page.all("form[data-action]")]

    assert order("take") == ["take", "wrong", "done"]
    assert order("done") == ["done", "take", "wrong"]
    assert order("nonsense") == ["take", "wrong", "done"]


def test_the_page_shows_the_enquiry_and_whom_one_acts_as_in_either_language(client, office):
    at, page = opened(client, link(office, an_enquiry(office)))
    chinese = Page(client.get(at.partition("?")[0] + "?lang=zh-hans"))

    assert "parking@institute.example" in page.one(".aside").text()
    assert TEXT in page.one("blockquote").text()
    assert "Nobody has taken it yet." in page.one("#stands").text()
    assert chinese.one("html").attributes["lang"] == "zh-Hans"
    assert "尚无人接手" in chinese.one("#stands").text()


# Acts


def test_taking_it_says_so_to_colleagues_and_leaves_the_link_for_done(client, office, clock):
    enquiry = an_enquiry(office)
    path = link(office, enquiry)
    at, page = opened(client, path)

    response = press(client, at, page, "take", name="Chen Hui")

    assert response.status_code == 303
    mine = Page(client.get(response.headers["Location"]))
    assert "You have it. Reply in your mail program." in mine.text
    after = kept(office, enquiry)
    assert (after.status, after.taken_by) == (EnquiryStatus.TAKEN, "Chen Hui")

    clock.advance(minutes=4)
    _, colleague = opened(client_of(office), path)
    assert "Taken by Chen Hui 4 minutes ago." in colleague.one("#stands").text()
    at, page = opened(client, path, "done")
    assert press(client, at, page, "done", how="phone").status_code == 303
    after = kept(office, enquiry)
    assert (after.status, after.first_answer_at) == (EnquiryStatus.ANSWERED, clock.at)


def test_done_without_an_answer_closes_it(client, office, clock):
    enquiry = an_enquiry(office)
    at, page = opened(client, link(office, enquiry), "done")

    press(client, at, page, "done", how="none")

    after = kept(office, enquiry)
    assert (after.status, after.closed_at) == (EnquiryStatus.CLOSED, clock.at)
    assert after.first_answer_at is None


def test_a_button_pressed_twice_acts_once_and_a_stale_page_is_answered_as_it_stands(client, office):
    enquiry = an_enquiry(office)
    at, page = opened(client, link(office, enquiry))

    first = press(client, at, page, "take", name="Chen Hui")
    again = press(client, at, page, "done", how="none")

    assert (first.status_code, again.status_code) == (303, 409)
    shown = Page(again)
    assert "changed meanwhile" in shown.text and "Taken by Chen Hui" in shown.text
    assert kept(office, enquiry).status is EnquiryStatus.TAKEN
    assert press(client, at, shown, "done", how="none").status_code == 303


@pytest.mark.parametrize("doing", ["take", "done"])
def test_an_act_can_be_taken_back_for_ten_minutes(client, office, clock, doing):
    enquiry = an_enquiry(office)
    before = kept(office, enquiry)
    at, page = opened(client, link(office, enquiry))
    press(client, at, page, doing, name="Chen Hui", how="none")

    clock.advance(minutes=10)
    undone = press(client, at, Page(client.get(at)), "undo")

    assert undone.status_code == 303
    after = kept(office, enquiry)
    assert after.standing() == before.standing()
    assert after.version > before.version


def test_after_ten_minutes_nothing_is_taken_back(client, office, clock):
    enquiry = an_enquiry(office)
    at, page = opened(client, link(office, enquiry))
    press(client, at, page, "take")
    shown = Page(client.get(at))

    clock.advance(minutes=10, seconds=1)
    late = press(client, at, shown, "undo")

    assert late.status_code == 409
    assert kept(office, enquiry).status is EnquiryStatus.TAKEN
    assert not Page(client.get(at)).all("form[data-action=undo]")


# Wrong department


def test_passing_it_on_spends_the_links_of_the_old_mail_and_sends_one_to_the_new(client, office):
    enquiry = an_enquiry(office)
    old = link(office, enquiry)
    at, page = opened(client, old, "wrong")

    response = press(client, at, page, "wrong", department="media", note="They write for a paper")

    shown = Page(client.get(response.headers["Location"]))
    assert "is with Media now" in shown.text
    assert routed(office, enquiry) == [
        ("parking@institute.example", "accepted"),
        ("media@institute.example", "queued"),
    ]
    assert client_of(office).get(old).status_code == 410
    _, theirs = opened(client_of(office), link(office, enquiry))
    assert "media@institute.example" in theirs.text


def test_the_departments_its_words_speak_for_are_offered_first(client, office):
    enquiry = an_enquiry(office, message="How do I apply? I would like to apply this autumn.")
    _, page = opened(client, link(office, enquiry), "wrong")

    groups = [str(it.attributes["label"]) for it in page.all("#f-department optgroup")]
    first = page.all("#f-department optgroup")[0]

    assert groups == ["Its words speak for", "All departments"]
    assert "Admissions" in first.text()
    assert "I don’t know: Enquiry Desk" in page.one("#f-department").text()


def test_a_move_whose_mail_still_waits_is_taken_back_as_if_it_never_was(client, office):
    enquiry = an_enquiry(office)
    old = link(office, enquiry)
    at, page = opened(client, old, "wrong")
    press(client, at, page, "wrong", department="media")

    undone = press(client, at, Page(client.get(at)), "undo")

    assert undone.status_code == 303
    assert routed(office, enquiry) == [
        ("parking@institute.example", "accepted"),
        ("media@institute.example", "cancelled"),
    ]
    assert kept(office, enquiry).status is EnquiryStatus.ROUTED
    opened(client_of(office), old)  # the old mail's link is as good as before


def test_a_move_whose_mail_was_sent_is_taken_back_with_a_new_mail(client, office):
    enquiry = an_enquiry(office)
    old = link(office, enquiry)
    at, page = opened(client, old, "wrong")
    press(client, at, page, "wrong", department="media")
    theirs = link(office, enquiry)
    accepted(office, enquiry)

    undone = press(client, at, Page(client.get(at)), "undo")

    assert Page(client.get(undone.headers["Location"])).one("h1")
    assert routed(office, enquiry) == [
        ("parking@institute.example", "accepted"),
        ("media@institute.example", "accepted"),
        ("parking@institute.example", "queued"),
    ]
    assert client_of(office).get(theirs).status_code == 410
    assert client_of(office).get(old).status_code == 410
    opened(client_of(office), link(office, enquiry))
    with office.db.reading() as session:
        assert action_version(decisions_of(session, enquiry)) == 3


# What is refused


def test_a_department_that_does_not_exist_is_refused_with_what_was_typed(client, office):
    enquiry = an_enquiry(office)
    at, page = opened(client, link(office, enquiry), "wrong")

    response = press(client, at, page, "wrong", department="nowhere", note="my note")

    assert response.status_code == 422
    assert "Choose one of the options" in Page(response).text
    assert "my note" in Page(response).one("#f-note").text()
    assert kept(office, enquiry).status is EnquiryStatus.ROUTED


@pytest.mark.parametrize("forged", ["version", "recipient", "enquiry", "symbol"])
def test_s12_a_link_of_another_enquiry_recipient_version_or_hand_is_404(client, office, forged):
    enquiry = an_enquiry(office)
    token = link(office, enquiry).removeprefix("/a/")
    signer: Signer = office.signer
    bad = {
        "version": signer.action_token(enquiry.ref, 1, 7),
        "recipient": signer.action_token(enquiry.ref, 9, 1),
        "enquiry": signer.action_token("22222222", 1, 1),
        "symbol": token[:-1] + ("0" if token[-1] != "0" else "1"),
    }[forged]

    assert client.get(f"/a/{bad}").status_code == 404


def test_a_status_link_opens_no_staff_page_and_the_other_way_round(client, office):
    enquiry = an_enquiry(office)
    status = office.signer.status_token(enquiry.ref, 1)

    assert client.get(f"/a/{status}").status_code == 404
    assert client.get(link(office, enquiry).replace("/a/", "/e/")).status_code == 404


@pytest.mark.parametrize("missing", ["nonce", "cookie", "do"])
def test_s10_a_form_that_is_not_from_the_page_does_nothing(client, office, missing):
    enquiry = an_enquiry(office)
    at, page = opened(client, link(office, enquiry))
    data = {**carried(page), "do": "take"}
    status = {"nonce": 403, "cookie": 422, "do": 400}[missing]
    if missing == "cookie":
        client = client_of(office)
    else:
        del data[missing]

    response = client.post(at.partition("?")[0], data=data)

    assert response.status_code == status
    assert kept(office, enquiry).status is EnquiryStatus.ROUTED


def test_a_closed_enquirys_link_opens_for_thirty_days_more(client, office, clock):
    enquiry = an_enquiry(office)
    path = link(office, enquiry)
    at, page = opened(client, path, "done")
    press(client, at, page, "done", how="none")

    clock.advance(days=30)
    _, shown = opened(client_of(office), path)
    assert "Closed on" in shown.text and not shown.all("form[data-action]")
    clock.advance(seconds=1)

    assert client_of(office).get(path).status_code == 410


def test_a_copy_for_information_and_a_receipt_have_no_links(office):
    with_copy = {"id": "copied", "when": {"topic": ["permits"]}, "send_to": "parking"}
    with office.db.writing() as session:
        publish_rules(
            session,
            [with_copy | {"copy": ["media"]}, *OFFICE_RULES],
            reason="test",
            by="admin@x.example",
            now=office.now(),
        )
    enquiry = submit(office, a_submission("permits"))
    with office.db.reading() as session:
        links = {it.kind: "action_url" in it.inputs for it in deliveries_of(session, enquiry)}

    assert links == {
        DeliveryKind.ROUTED: True,
        DeliveryKind.COPY: False,
        DeliveryKind.ACKNOWLEDGEMENT: False,
    }
