"""What comes with every answer, whatever it is; and which requests get none."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from directory.adapters.db import allowances, enquiries
from directory.parts import Parts
from tests.builders import parts_for, plant_office
from tests.web.conftest import client_of
from tests.web.pages import SITE, TYPED, Page, send, shown_form

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def break_down() -> None:
    """A view with a mistake of ours in it, which quotes what somebody typed."""
    raise RuntimeError("MARK-secret")


@pytest.fixture
def client(quick_office: Parts) -> FlaskClient:
    made = client_of(quick_office)
    made.application.add_url_rule("/en/broken", "broken", break_down)
    return made


ANSWERS: dict[str, Any] = {
    "home": lambda c: c.get("/en/"),
    "redirect": lambda c: c.get("/"),
    "slash": lambda c: c.get("/en/departments"),
    "departments": lambda c: c.get("/zh-hans/departments/"),
    "department": lambda c: c.get("/en/departments/parking"),
    "topics": lambda c: c.get("/en/topics"),
    "which topic": lambda c: c.get("/en/enquiries/new"),
    "form": lambda c: c.get("/en/enquiries/new?topic=permits"),
    "sent": lambda c: send(c),
    "status": lambda c: c.get(send(c).location),
    "refused form": lambda c: send(c, message=""),
    "theme": lambda c: c.post("/theme", data={"theme": "dark", "next": "/en/"}),
    "privacy": lambda c: c.get("/en/privacy"),
    "mailbox": lambda c: c.get("/dev/mailbox"),
    "mailbox json": lambda c: c.get("/dev/mailbox.json"),
    "static": lambda c: c.get("/static/app.css"),
    "not modified": lambda c: c.get(
        "/static/app.css", headers={"If-None-Match": c.get("/static/app.css").headers["ETag"]}
    ),
    "head": lambda c: c.head("/en/"),
    "options": lambda c: c.options("/en/enquiries"),
    "400": lambda c: c.get("/en/", headers={"Host": "evil.example"}),
    "403": lambda c: c.post("/en/enquiries", headers={"Sec-Fetch-Site": "cross-site"}),
    "404": lambda c: c.get("/en/nothing"),
    "404 for a program": lambda c: c.get("/nothing", headers={"Accept": "application/json"}),
    "405": lambda c: c.delete("/en/"),
    "413": lambda c: c.post("/en/enquiries", data=b"x" * (513 * 1024)),
    "500": lambda c: c.get("/en/broken"),
    "500 for a program": lambda c: c.get("/en/broken", headers={"Accept": "application/json"}),
}


@pytest.fixture
def answer(client: FlaskClient, request: pytest.FixtureRequest) -> TestResponse:
    response = ANSWERS[request.param](client)
    assert isinstance(response, TestResponse)
    return response


@pytest.mark.parametrize("answer", ANSWERS, indirect=True)
def test_every_answer_has_the_policy_and_its_company(answer):
    headers = answer.headers

    assert headers.getlist("Content-Security-Policy") == [POLICY]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Server" not in headers and "X-Powered-By" not in headers
    # A promise to browsers that only a site on https can keep.
    assert "Strict-Transport-Security" not in headers
    looks_like_a_page_of_ours(answer)


def looks_like_a_page_of_ours(answer: TestResponse) -> None:
    """It says its charset and language, and asks nobody else for anything."""
    if answer.mimetype != "text/html" or not answer.data:
        assert answer.mimetype != "text/html" or answer.status_code in {200, 301, 302, 303, 304}
        return
    assert answer.content_type == "text/html; charset=utf-8"
    assert "Cache-Control" in answer.headers
    page = Page(answer)
    if answer.status_code in {301, 302, 303, 308}:
        return  # words of the library for programs that do not follow; no browser shows them
    assert page.one("html").attributes["lang"] in {"en", "zh-Hans"}
    assert len(page.all("h1")) >= 1
    assert not page.all("[style], style, [onclick], [onload]")
    for node in page.all("[src], link[href], form[action]"):
        address = str(
            node.attributes.get("src")
            or node.attributes.get("href")
            or node.attributes.get("action")
        )
        if "canonical" in str(node.attributes.get("rel")) or node.attributes.get("hreflang"):
            continue
        assert address.startswith(("/", "data:")) and not address.startswith("//"), address


@pytest.mark.parametrize(
    ("name", "status"),
    [("400", 400), ("403", 403), ("404", 404), ("405", 405), ("413", 413), ("500", 500)],
)
def test_an_error_is_a_page_with_a_way_to_reach_a_person_and_without_a_trace(client, name, status):
    response = ANSWERS[name](client)
    page = Page(response)

    assert response.status_code == status
    assert response.headers["Cache-Control"] == "no-store"
    assert "Traceback" not in page.text and "MARK" not in page.text
    assert "oops" not in page.text.lower()
    assert len(page.title) > 5


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_error_pages_speak_the_language_of_the_address_and_show_the_desks_number(client, lang):
    page = Page(client.get(f"/{lang}/nothing"))

    assert page.one("html").attributes["lang"].lower() == lang
    assert "+86 25 0345 5100" in page.text


def test_a_mistake_of_ours_is_logged_with_a_number_and_without_what_was_typed(client, capsys):
    assert client.get("/en/broken").status_code == 500

    said = "".join(capsys.readouterr())
    assert "request.failed" in said and "RuntimeError" in said
    assert "MARK" not in said


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("/nothing", 404, "not-found"), ("/en/broken", 500, "error"), ("/en/", 405, "not-allowed")],
)
def test_a_program_gets_a_problem_document(client, path, status, kind):
    asked = client.delete if status == 405 else client.get
    response = asked(path, headers={"Accept": "application/json"})

    assert response.content_type == "application/problem+json"
    told = response.get_json()
    assert (told["status"], told["type"]) == (status, f"/problems/{kind}")
    assert set(told) == {"type", "title", "status", "detail", "instance", "errors"}
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", told["instance"])


@pytest.mark.parametrize(("language", "title"), [("zh-CN", "此地址没有内容"), ("en", "nothing")])
def test_a_problem_speaks_the_language_asked_for(client, language, title):
    headers = {"Accept": "application/problem+json", "Accept-Language": language}

    told = client.get("/nothing", headers=headers)

    assert told.headers["Content-Language"] == ("zh-Hans" if language == "zh-CN" else "en")
    assert title in told.get_json()["title"] or language == "zh-CN"
    assert told.get_json()["title"].isascii() is (language == "en")


# https


def test_on_https_browsers_are_told_to_stay_there_and_cookies_too(tmp_path, sqlite_url, clock):
    secure = parts_for(tmp_path, sqlite_url, clock, site={"base_url": f"https://{SITE}"})
    with secure.db.writing() as session:
        plant_office(session)
    client = client_of(secure)

    response = send(client)

    assert "max-age=" in response.headers["Strict-Transport-Security"]
    cookies = response.headers.getlist("Set-Cookie")
    cookies += client.post("/theme", data={"theme": "dark"}).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    secure.let_go()


def test_reading_pages_sets_no_cookie(client):
    for path in ("/en/", "/", "/en/departments/parking", "/en/enquiries/new?topic=permits"):
        assert client.get(path).headers.getlist("Set-Cookie") == []


# Hosts (S21)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (SITE, 200),
        (f"{SITE}:8443", 200),
        (SITE.upper(), 200),
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("evil.example", 400),
        (f"{SITE}.evil.example", 400),
        (f"evil.example#{SITE}", 400),
        (f"user@{SITE}", 400),
        ("", 400),
    ],
)
def test_only_our_own_names_are_answered(client, host, status):
    assert client.get("/en/", headers={"Host": host}).status_code == status


def test_in_production_loopback_names_are_no_names_of_ours(tmp_path, sqlite_url, clock):
    real = parts_for(
        tmp_path,
        sqlite_url,
        clock,
        env="production",
        secret_key="a-long-random-key-of-production-0123456789",
        site={"base_url": f"http://{SITE}", "hosts": ["other.example"]},
    )
    with real.db.writing() as session:
        plant_office(session)
    client = client_of(real)

    def status(host: str) -> int:
        return client.get("/en/", headers={"Host": host}).status_code

    assert [status(host) for host in (SITE, "other.example")] == [200, 200]
    assert [status(host) for host in ("127.0.0.1", "localhost", "evil.example")] == [400] * 3
    real.let_go()


def test_links_are_made_from_the_configuration_and_never_from_the_request(client):
    page = client.get(
        "/en/", headers={"Host": "127.0.0.1:9999", "X-Forwarded-Host": "evil.example"}
    )

    text = page.get_data(as_text=True)
    assert "evil.example" not in text and ":9999" not in text
    assert f'href="http://{SITE}/en/"' in text
    assert "evil.example" not in str(page.headers)


# Forms from elsewhere (S10)


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": f"http://{SITE}"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": f"http://{SITE}.evil.example"}, False),
        ({"Origin": f"https://{SITE}"}, False),
        ({"Origin": "null"}, False),
        # The browser's own word counts more than one that could be borrowed.
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"http://{SITE}"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
    ],
    ids=str,
)
def test_a_form_is_taken_from_our_own_pages_only(quick_office, headers, taken):
    client = client_of(quick_office)
    fields = shown_form(client) | TYPED

    response = client.post("/en/enquiries", data=fields, headers=headers)

    assert response.status_code == (303 if taken else 403)
    theme = client.post("/theme", data={"theme": "dark"}, headers=headers)
    assert theme.status_code == (303 if taken else 403)
    with quick_office.db.reading() as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(enquiries))
    assert count == int(taken)


# Proxies (S22)


def networks_counted(parts: Parts) -> int:
    """From how many places the enquiries came, as the limits see it."""
    with parts.db.reading() as session:
        return len(set(session.scalars(sa.select(allowances.c.key))))


def test_a_forwarded_address_is_believed_from_a_trusted_proxy_and_from_nobody_else(
    tmp_path, sqlite_url, clock
):
    def places(trusted: list[str]) -> int:
        parts = parts_for(
            tmp_path, sqlite_url, clock, site={"trusted_proxies": trusted}, enquiry={"ack": False}
        )
        with parts.db.writing() as session:
            session.execute(sa.delete(allowances))
        client = client_of(parts)
        client.environ_base["REMOTE_ADDR"] = "10.0.0.7"
        for number in range(3):
            fields = shown_form(client) | TYPED
            forwarded = {"X-Forwarded-For": f"203.0.{number}.9"}
            assert client.post("/en/enquiries", data=fields, headers=forwarded).status_code == 303
        try:
            return networks_counted(parts)
        finally:
            parts.let_go()

    parts = parts_for(tmp_path, sqlite_url, clock)
    with parts.db.writing() as session:
        plant_office(session)
    parts.let_go()
    # One key for the address and one for its network, each time.
    assert places(["10.0.0.0/8"]) == 6
    assert places(["10.0.0.7"]) == 6
    assert places(["192.0.2.1"]) == 2
    assert places([]) == 2


def test_an_added_forwarded_address_does_not_make_another_visitor(tmp_path, sqlite_url, clock):
    """The proxy appends what it saw; what stands before was the client's own invention."""
    parts = parts_for(
        tmp_path, sqlite_url, clock, site={"trusted_proxies": ["10.0.0.7"]}, enquiry={"ack": False}
    )
    with parts.db.writing() as session:
        plant_office(session)
    client = client_of(parts)
    client.environ_base["REMOTE_ADDR"] = "10.0.0.7"
    for invented in ("198.51.100.1", "198.51.100.2"):
        fields = shown_form(client) | TYPED
        forwarded = {"X-Forwarded-For": f"{invented}, 203.0.113.9"}
        assert client.post("/en/enquiries", data=fields, headers=forwarded).status_code == 303

    assert networks_counted(parts) == 2
    parts.let_go()


def test_a_prefix_that_a_trusted_proxy_takes_away_is_put_before_every_address(
    tmp_path, sqlite_url, clock
):
    parts = parts_for(
        tmp_path,
        sqlite_url,
        clock,
        site={"trusted_proxies": ["10.0.0.7"], "base_url": f"http://{SITE}/contact"},
    )
    with parts.db.writing() as session:
        plant_office(session)
    client = client_of(parts)
    client.environ_base["REMOTE_ADDR"] = "10.0.0.7"
    behind = {"X-Forwarded-Prefix": "/contact"}

    page = Page(client.get("/en/enquiries/new?topic=permits", headers=behind))

    assert page.one("form#enquiry").attributes["action"] == "/contact/en/enquiries"
    sent = client.post("/en/enquiries", data=page.values() | TYPED, headers=behind)
    assert sent.status_code == 303 and sent.location.startswith("/contact/e/")
    parts.let_go()


# Sizes (S24)


@pytest.mark.parametrize(
    "body",
    [
        {"data": b"message=" + b"x" * (512 * 1024)},
        {"data": b"&" * 1000},
        {"data": b"&".join(b"f%d=x" % n for n in range(201))},
        {"data": {f"f{n}": "x" for n in range(201)}, "content_type": "multipart/form-data"},
        {
            "data": b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
            + b"x" * (513 * 1024)
            + b"\r\n--b--\r\n",
            "content_type": "multipart/form-data; boundary=b",
        },
    ],
    ids=["body", "empty fields", "fields", "parts", "part"],
)
def test_too_much_is_refused_before_it_is_read(client, body):
    body.setdefault("content_type", "application/x-www-form-urlencoded")

    response = client.post("/en/enquiries", **body)

    assert response.status_code == 413
    assert "+86 25 0345 5100" in response.get_data(as_text=True)


def test_a_text_many_times_too_long_still_comes_back_whole_with_its_error(client):
    text = "字" * 40_000

    page = Page(send(client, message=text))

    assert page.status == 422
    assert page.values()["message"] == text


def test_a_form_may_come_in_parts_too(client):
    fields = shown_form(client) | TYPED

    response = client.post("/en/enquiries", data=fields, content_type="multipart/form-data")

    assert response.status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "/en/departments/%00",
        "/en/departments/a%00b",
        "/en/departments/%ff%fe",
        "/en/enquiries/new?topic=%00",
        "/en/enquiries/new?department=%00",
        "/en/enquiries/new?topic=permits&subject=%00&from=%00",
        "/e/%00",
        "/e/00000000-%00",
        "/dev/mailbox/%00.eml",
        "/dev/mailbox/..%2f..%2fsecret_key.eml",
        "/%00",
        "/en/?lang=%00",
    ],
)
def test_an_odd_address_is_never_a_mistake_of_ours(office, path):
    assert client_of(office).get(path).status_code < 500


@pytest.mark.parametrize("field", [*TYPED, "form_token", "from", "shown", "leave_blank", "action"])
def test_an_odd_character_in_any_field_is_never_a_mistake_of_ours(office, field):
    client = client_of(office)

    for odd in ("a\0b", "\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe", "x" * 4000):
        fields = shown_form(client) | TYPED | {field: odd}
        assert client.post("/en/enquiries", data=fields).status_code < 500
