"""The visitor's page: where the enquiry is, and nothing that another reader should not see."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import enquiries
from directory.adapters.queries import enquiry_by_ref
from directory.domain.enquiry import EnquiryStatus
from directory.parts import Parts
from directory.services.moves import reroute_enquiry
from directory.supervisor import transport_of
from directory.worker import Worker
from tests.builders import parts_for
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, words

PRIVATE = ("Li Wei", "liwei", "8345 5189", "north gate", "Parking on Friday", "Example Trading")


@pytest.fixture
def where(office: Parts) -> str:
    """The page of one enquiry, without the panel of having just been sent."""
    return send(client_of(office)).location.partition("?")[0]


def change(parts: Parts, **values: Any) -> None:
    with parts.db.writing() as session:
        [ref] = session.scalars(sa.select(enquiries.c.ref))
        found = enquiry_by_ref(session, ref)
        for name, value in values.items():
            setattr(found, name, value)


@pytest.mark.parametrize("path", ["", "?sent=1", "?lang=zh-hans", "?sent=1&lang=en"])
def test_another_browser_sees_neither_the_person_nor_the_words(office, where, path):
    response = client_of(office).get(where + path)

    text = response.get_data(as_text=True)
    assert response.status_code == 200
    assert [word for word in PRIVATE if word in text] == []
    assert Page(response).all("#written") == []


def test_it_is_kept_by_no_cache_and_no_search_engine(office, where):
    response = client_of(office).get(where)

    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert response.headers["Referrer-Policy"] == "same-origin"
    page = Page(response)
    assert page.one('meta[name="robots"]').attributes["content"] == "noindex"
    assert page.all('link[rel="canonical"]') == []


def test_the_browser_that_sent_it_shows_the_words_for_half_an_hour(office, clock):
    client = client_of(office)
    location = send(client).location
    page = Page(client.get(location))

    written = words(page.one("#written"))
    assert "May I park at the north gate?" in written and "Li Wei" in written
    assert "liwei@example.com" not in page.text and "l•••@example.com" in page.text
    assert "Your enquiry was sent" in page.title

    clock.advance(minutes=31)
    assert Page(client.get(location)).all("#written") == []


def test_the_cookie_of_one_enquiry_opens_no_other(office):
    one, other = client_of(office), client_of(office)
    send(one)
    location = send(other, message="Another question").location.partition("?")[0]

    assert Page(one.get(location)).all("#written") == []


def test_the_panel_says_the_reference_the_department_and_when(office):
    client = client_of(office)
    page = Page(client.get(send(client).location))

    reference = words(page.one("#reference"))
    assert len(reference) == 13 and reference.startswith("ENQ-")
    assert page.one("#sent").attributes["role"] == "status"
    text = words(page.one("#main"))
    assert "Parking" in text and "+86 25 0345 5180" in text
    assert "Wed 25 Nov 2026" in text and "UTC+8" in text


@pytest.mark.parametrize(
    ("status", "shown", "step"),
    [
        (EnquiryStatus.RECEIVED, "received", "Received"),
        (EnquiryStatus.HELD, "received", "Received"),
        (EnquiryStatus.ROUTED, "routed", "With Parking"),
        (EnquiryStatus.TAKEN, "taken", "With Parking"),
        (EnquiryStatus.ANSWERED, "answered", "Answered"),
        (EnquiryStatus.CLOSED, "closed", "Closed"),
    ],
)
def test_every_status_has_its_step_and_held_looks_received(office, where, status, shown, step):
    change(office, status=status)

    page = Page(client_of(office).get(where))

    assert page.one("#status").attributes["data-status"] == shown
    assert words(page.one('#status [aria-current="step"] b')) == step
    assert "held" not in words(page.one("#main")).lower()


def test_once_the_mail_server_took_it_the_page_says_so_in_those_words(office, where):
    Worker(office, transport_of(office)).run_once()

    page = Page(client_of(office).get(where))

    assert page.one("#status").attributes["data-status"] == "routed"
    text = words(page.one("#status"))
    assert "mail server accepted it" in text and "delivered" not in text.lower()


@pytest.mark.parametrize(
    ("query", "lang"), [("", "en"), ("?lang=zh-hans", "zh-Hans"), ("?lang=xx", "en")]
)
def test_it_speaks_the_language_of_the_enquiry_unless_asked_for_another(office, where, query, lang):
    assert Page(client_of(office).get(where + query)).one("html").attributes["lang"] == lang


def test_reading_it_changes_nothing(office, where):
    def state() -> Any:
        with office.db.reading() as session:
            return session.execute(sa.select(enquiries)).all()

    before = state()
    client = client_of(office)
    for _ in range(2):
        client.get(where)
        client.head(where)
    assert state() == before


# Links that are none


def altered(token: str, place: int) -> str:
    other = "1" if token[place] == "0" else "0"
    return token[:place] + other + token[place + 1 :]


def test_an_altered_link_is_like_one_that_never_was(office, where):
    client = client_of(office)
    token = where.removeprefix("/e/")

    for place in (0, 9, 10, len(token) - 1):
        assert client.get(f"/e/{altered(token, place)}").status_code == 404
    for odd in ("x", token[:-1], token + "0", token[:8], "0" * 36, token.replace("-", "-1-", 1)):
        assert client.get(f"/e/{odd}").status_code == 404


def test_a_reference_alone_opens_nothing(office, where):
    client = client_of(office)
    ref = where.removeprefix("/e/")[:8]

    for path in (f"/e/{ref}", f"/e/ENQ-{ref}", f"/e/{ref}-"):
        assert client.get(path).status_code == 404


def test_the_link_of_one_enquiry_does_not_open_another(office, where):
    client = client_of(office)
    other = send(client, message="Another question").location[3:].partition("?")[0]
    token = where.removeprefix("/e/")

    assert client.get(f"/e/{token[:8]}{other[8:]}").status_code == 404


def test_a_revoked_link_is_gone_and_says_where_to_turn(office, where):
    change(office, link_version=2)

    response = client_of(office).get(where)

    assert response.status_code == 410
    text = response.get_data(as_text=True)
    assert "+86 25 0345 5100" in text
    assert [word for word in PRIVATE if word in text] == []


def test_a_link_made_with_an_older_key_opens_as_long_as_the_key_is_listed(
    office, where, database_url, tmp_path, clock
):
    def status(*keys: str) -> int:
        parts = parts_for(tmp_path, database_url, clock, secret_key=list(keys))
        try:
            return client_of(parts).get(where).status_code
        finally:
            parts.let_go()

    old = office.settings.secret_key[0].get_secret_value()
    assert status("a-new-key-0123456789-abcdefghijk", old) == 200
    assert status("a-new-key-0123456789-abcdefghijk") == 404


def test_links_and_addresses_stand_in_no_log(office, where, capsys):
    client = client_of(office)
    token = where.removeprefix("/e/")
    capsys.readouterr()

    client.get(f"/e/{altered(token, 12)}")
    client.get("/e/x")
    send(client, name="")

    said = "".join(capsys.readouterr())
    assert token[9:] not in said and altered(token, 12)[9:] not in said
    assert [word for word in (*PRIVATE, TYPED["email"]) if word in said] == []


def pass_on(parts: Parts, slug: str) -> None:
    with parts.db.writing() as session:
        [ref] = session.scalars(sa.select(enquiries.c.ref))
        reroute_enquiry(
            session,
            ref,
            slug,
            by="chen@institute.example",
            note="A car, not a coach",
            published=parts.published(session, parts.now()),
            settings=parts.settings,
            signer=parts.signer,
            now=parts.now(),
        )


def test_a_visitor_sees_who_has_it_after_a_move_and_nobodys_name(office, where, clock):
    Worker(office, transport_of(office)).run_once()
    clock.advance(hours=1)
    pass_on(office, "media")
    clock.advance(hours=1)
    pass_on(office, "admissions")

    page = Page(client_of(office).get(where))

    assert page.one("#status").attributes["data-status"] == "received"
    steps = [words(step) for step in page.all("#status li b")]
    assert steps[:4] == [
        "Received",
        "Passed on to Media",
        "Passed on to Admissions",
        "With Admissions",
    ]
    assert words(page.one('#status [aria-current="step"] b')) == "Passed on to Admissions"
    assert "Admissions" in words(page.one("section.sent"))
    text = words(page.one("#main"))
    assert "chen" not in text and "coach" not in text

    Worker(office, transport_of(office)).run_once()
    page = Page(client_of(office).get(where))
    assert words(page.one('#status [aria-current="step"] b')) == "With Admissions"
    chinese = words(Page(client_of(office).get(where + "?lang=zh-hans")).one("#status"))
    assert "已改由Media处处理" in chinese and "已转交Admissions处" in chinese
