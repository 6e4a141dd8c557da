"""Pages kept between requests: never stale, never another's, small to send."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest

from directory.adapters.queries import department_by_slug
from directory.web.fragments import Kept, Shelf
from tests.builders import MONDAY_NOON
from tests.web.conftest import client_of
from tests.web.pages import Page, shown_form

ZIPPED = {"Accept-Encoding": "gzip"}
PUBLIC = ("", "departments/", "departments/parking", "topics", "privacy", "accessibility")


def test_a_change_is_on_the_page_at_once_also_in_another_process(office):
    here, there = client_of(office), client_of(office)
    for client in (here, there):
        assert "Parking" in client.get("/en/departments/parking").text
    with office.db.writing() as session:
        department_by_slug(session, "parking").name = {"en": "Car park"}

    for client in (here, there):
        assert Page(client.get("/en/departments/parking")).title.startswith("Car park")
        assert "Car park" in client.get("/en/").text


def test_a_page_is_made_once(quick, quick_office, monkeypatch):
    quick.get("/en/departments/parking")
    monkeypatch.setattr("directory.web.public.department_view", lambda *_, **__: 1 / 0)

    assert quick.get("/en/departments/parking").status_code == 200
    assert quick.get("/zh-hans/departments/parking").status_code == 500


def test_who_has_the_page_is_not_sent_it_again(client):
    for path in (*PUBLIC, "departments/parking.vcf", "directory.csv"):
        first = client.get(f"/en/{path}")
        again = client.get(f"/en/{path}", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), path
        assert again.headers["ETag"] == first.headers["ETag"]
        assert "Content-Security-Policy" in again.headers


def test_after_a_change_the_same_tag_no_longer_holds(client, office):
    paths = ("/en/departments/parking", "/en/directory.vcf")
    tags = {path: client.get(path).headers["ETag"] for path in paths}
    with office.db.writing() as session:
        department_by_slug(session, "parking").name = {"en": "Car park"}

    for path, tag in tags.items():
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_each_browser_has_its_own_colours(quick, quick_office):
    dark = client_of(quick_office)
    dark.post("/theme", data={"theme": "dark", "next": "/en/"})

    for _ in range(2):
        assert 'data-theme="dark"' in dark.get("/en/").text
        assert "data-theme" not in quick.get("/en/").text
    assert "Cookie" in quick.get("/en/").headers["Vary"]


def test_what_somebody_adds_to_an_address_is_neither_kept_nor_shown_to_others(quick, quick_office):
    assert "x=MARK" in quick.get("/en/?x=MARK").text
    assert "MARK" not in quick.get("/en/").text
    shelf = quick_office.kept["shelf"]
    kept = len(shelf)
    for number in range(20):
        assert quick.get(f"/en/departments/parking?utm={number}").status_code == 200
    assert len(shelf) == kept


@pytest.mark.parametrize("path", PUBLIC)
def test_a_page_travels_compressed_and_is_the_same_page(client, path):
    plain, zipped = client.get(f"/en/{path}"), client.get(f"/en/{path}", headers=ZIPPED)

    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert client.get(f"/en/{path}", headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data


@pytest.mark.parametrize("name", ["app.css", "app.js"])
def test_a_static_file_travels_compressed_and_is_kept_for_ever_by_its_address(quick, name):
    address = next(
        str(node.attributes.get("href") or node.attributes.get("src"))
        for node in Page(quick.get("/en/")).all("link[rel=stylesheet], script[src]")
        if name in node.html
    )
    zipped, plain = quick.get(address, headers=ZIPPED), quick.get(address)

    assert gzip.decompress(zipped.data) == plain.data
    assert "immutable" in zipped.headers["Cache-Control"]
    assert "immutable" not in quick.get(f"/static/{name}").headers["Cache-Control"]
    assert quick.get("/static/../app.py").status_code == 404


def test_a_page_with_a_token_is_never_compressed(quick):
    token = shown_form(quick)["form_token"]
    response = quick.get("/en/enquiries/new?topic=permits", headers=ZIPPED)

    assert token and "Content-Encoding" not in response.headers


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_public_page_is_three_requests_and_at_most_sixty_kilobytes(client, lang):
    for path in PUBLIC:
        response = client.get(f"/{lang}/{path}", headers=ZIPPED)
        page = Page(client.get(f"/{lang}/{path}"))
        assets = {
            str(node.attributes.get("src") or node.attributes.get("href"))
            for node in page.all("script[src], img[src], link[rel=stylesheet], iframe, video")
        }
        total = len(response.data)
        total += sum(len(client.get(asset, headers=ZIPPED).data) for asset in assets)
        assert len(assets) <= 2, path
        assert total <= 60 * 1024, path


# The shelf itself


def kept(body: bytes = b"x" * 100, *, minutes: float = 60) -> Kept:
    return Kept(body, "tag", (), MONDAY_NOON, MONDAY_NOON + timedelta(minutes=minutes))


def test_the_shelf_is_bounded_and_the_least_lately_used_goes():
    shelf = Shelf(limit=250)
    shelf.put(1, "a", kept())
    shelf.put(1, "b", kept())
    assert shelf.get(1, "a", MONDAY_NOON)
    shelf.put(1, "c", kept())

    assert [shelf.get(1, key, MONDAY_NOON) is not None for key in "abc"] == [True, False, True]
    assert shelf.bytes == 200


def test_another_edition_clears_it():
    shelf = Shelf()
    shelf.put(1, "a", kept())

    assert shelf.get(2, "a", MONDAY_NOON) is None
    shelf.put(2, "b", kept())
    assert (len(shelf), shelf.bytes) == (1, 100)


def test_the_same_page_again_takes_no_more_room():
    shelf = Shelf()
    for _ in range(3):
        shelf.put(1, "a", kept())

    assert (len(shelf), shelf.bytes) == (1, 100)


def test_a_page_holds_from_when_it_was_made_to_when_it_ends():
    shelf = Shelf()
    shelf.put(1, "a", kept(minutes=5))

    for minutes, there in ((-1, False), (0, True), (4.9, True), (5, False)):
        at = MONDAY_NOON + timedelta(minutes=minutes)
        assert (shelf.get(1, "a", at) is not None) is there
