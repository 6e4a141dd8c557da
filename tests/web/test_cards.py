"""A department, and all of them, as files; and what search engines read inside the pages."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
import vobject

from directory.adapters.qr import MOST_BYTES, qr_code, small_card
from directory.domain.contacts import Department
from directory.services.exports import site_of
from tests.builders import MONDAY_NOON, a_department, a_mailbox, a_phone, a_topic
from tests.web.pages import Page

# The terms of schema.org we use, looked up there (version 29.0): types, and what each may have.
THING = {"@id", "@type", "@context", "name", "alternateName", "description", "url", "sameAs"}
THING |= {"mainEntityOfPage"}
ORGANIZATION = THING | {
    "address", "contactPoint", "department", "location", "parentOrganization",
}  # fmt: skip
TERMS = {
    "Organization": ORGANIZATION,
    "ResearchOrganization": ORGANIZATION,
    "ContactPoint": THING
    | {
        "areaServed", "availableLanguage", "contactType", "email", "faxNumber",
        "hoursAvailable", "telephone",
    },
    "PostalAddress": THING
    | {"addressCountry", "addressLocality", "addressRegion", "postalCode", "streetAddress"},
    "OpeningHoursSpecification": THING
    | {"closes", "dayOfWeek", "opens", "validFrom", "validThrough"},
    "Place": THING | {"address", "geo"},
    "GeoCoordinates": THING | {"latitude", "longitude"},
}  # fmt: skip
SUFFIXES = {
    "vcf": "text/vcard; charset=utf-8",
    "jcard": "application/vcard+json",
    "json": "application/json; charset=utf-8",
}


def data_of(client, path: str) -> dict[str, Any]:
    script = Page(client.get(path)).one('script[type="application/ld+json"]')
    value = json.loads(script.text())
    assert isinstance(value, dict)
    return value


def unknown_terms(value: Any) -> list[str]:
    if isinstance(value, list):
        return [term for part in value for term in unknown_terms(part)]
    if not isinstance(value, dict):
        return []
    known = TERMS.get(value.get("@type", ""), set())
    here = [f"{value.get('@type')}.{key}" for key in value if key not in known]
    return here + unknown_terms(list(value.values()))


# One department


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_department_is_a_file_of_its_kind_that_any_site_may_read(client, suffix, lang):
    response = client.get(f"/{lang}/departments/parking.{suffix}")

    assert response.content_type == SUFFIXES[suffix]
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    name = "Parking" if lang == "en" else "Parking处"
    disposition = response.headers["Content-Disposition"]
    assert f'filename="parking.{suffix}"' in disposition
    assert f"filename*=UTF-8''{quote(name)}.{suffix}" in disposition
    assert client.get(f"/{lang}/departments/nobody.{suffix}").status_code == 404


@pytest.mark.parametrize("version", ["4.0", "3.0"])
def test_a_card_reads_back(client, version):
    card = client.get(f"/zh-hans/departments/parking.vcf?version={version}").text

    read = vobject.readOne(card)
    assert read.version.value == version
    assert "Parking处" in [it.value for it in read.contents["fn"]]
    assert read.tel.value in {"tel:+86-25-0345-5180", "+86 25 0345 5180"}
    assert read.email.value == "parking@institute.example"
    assert card.endswith("END:VCARD\r\n")


def test_a_version_or_a_code_that_is_not_made_is_refused(client):
    assert client.get("/en/departments/parking.vcf?version=2.1").status_code == 400
    assert client.get("/en/departments/parking/qr.svg?kind=wifi").status_code == 400


def test_a_jcard_is_the_same_card(client):
    name, properties = client.get("/en/departments/parking.jcard").json

    assert name == "vcard"
    assert ["fn", {"language": "en", "altid": "1", "pref": "1"}, "text", "Parking"] in properties
    assert [it[3] for it in properties if it[0] == "tel"] == ["tel:+86-25-0345-5180"]


def test_as_json_it_is_as_in_the_interface(client):
    found = client.get("/en/departments/parking.json").json

    assert (found["slug"], found["topics"]) == ("parking", ["permits"])
    assert found["phones"][0]["e164"] == "+862503455180"


# QR codes


@pytest.mark.parametrize("kind", ["vcard", "url"])
def test_a_code_is_a_drawing_that_says_what_it_is(client, kind):
    response = client.get(f"/en/departments/parking/qr.svg?kind={kind}")

    assert response.mimetype == "image/svg+xml"
    assert "<title>Parking</title>" in response.text
    assert "<script" not in response.text


def drawn(code: Any) -> list[str]:
    """The modules a path draws, as rows of "#" and "."."""
    rows = [["."] * code.size for _ in range(code.size)]
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", code.path):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            for step in range(int(values[0])):
                rows[int(y - 0.5)][int(x) + step] = "#"
            x += values[0]
    return ["".join(row) for row in rows]


def test_the_drawing_is_the_code_with_its_quiet_zone():
    import segno

    text = "http://contact.institute.example/en/departments/parking"
    expected = [
        "".join(".#"[module] for module in row)
        for row in segno.make_qr(text, error="l", encoding="utf-8").matrix_iter(border=4)
    ]

    assert drawn(qr_code(text)) == expected


def card_for(office, department: Department) -> str:
    return small_card(department, site_of(office.settings, MONDAY_NOON), "zh-Hans")


def test_the_card_in_a_code_is_whole_and_at_most_three_hundred_bytes(office):
    points = [a_phone("+86 25 0345 5180 ext. 12"), a_mailbox("parking@institute.example")]
    card = card_for(office, a_department("Parking; lost, found", points=points))
    read = vobject.readOne(card)

    assert len(card.encode()) <= MOST_BYTES
    assert read.fn.value == "Parking; lost, found处"
    assert read.tel.value == "+86 25 0345 5180 x12"
    assert all(len(line) <= 75 or "URL" in line for line in card.splitlines())


@pytest.mark.parametrize("length", [1, 20, 40, 60, 80, 200])
def test_however_long_the_name_the_code_holds_a_card_or_nothing(office, length):
    department = a_department("Parking", points=[a_phone("+86 25 0345 5180")])
    department.name = {"zh-Hans": "停" * length}
    card = card_for(office, department)

    assert len(card.encode()) <= MOST_BYTES
    assert (
        not card
        or card.endswith("TEL;TYPE=WORK,VOICE:+86 25 0345 5180\r\nEND:VCARD")
        or ("ORG" in card)
    )
    assert bool(card) is (length < 40)


def test_a_card_never_offers_a_fax_as_a_phone(office):
    points = [a_phone("+86 25 0345 5181", kind="fax"), a_mailbox("parking@institute.example")]

    assert "5181" not in card_for(office, a_department("Parking", points=points))


# In the pages


@pytest.mark.parametrize("path", ["/en/", "/zh-hans/", "/en/departments/parking"])
def test_pages_tell_search_engines_in_terms_that_exist(client, path):
    data = data_of(client, path)

    assert data["@context"] == "https://schema.org"
    assert data["@type"] == "ResearchOrganization"
    assert unknown_terms(data) == []


def test_a_department_is_told_with_its_numbers_address_and_topics(client):
    [found] = data_of(client, "/en/departments/parking")["department"]

    assert found["@id"] == "http://contact.institute.example/en/departments/parking"
    assert (found["name"], found["alternateName"]) == ("Parking", ["Parking处"])
    assert found["address"] == [
        {
            "@type": "PostalAddress",
            "streetAddress": "Gate 1",
            "addressLocality": "Nanjing",
            "addressRegion": "Jiangsu",
            "addressCountry": "CN",
        }
    ]
    points = found["contactPoint"]
    assert [point["telephone"] for point in points if "telephone" in point] == ["+862503455180"]
    assert [point["contactType"] for point in points if "contactType" in point] == ["Permits"]


def test_home_tells_how_the_institution_is_reached(client):
    data = data_of(client, "/zh-hans/")

    assert data["name"] == "研究所联系服务"
    assert data["alternateName"] == ["Institute Contact"]
    desk = [point for point in data["contactPoint"] if "telephone" in point]
    assert desk[0]["telephone"] == "+862503455100"
    assert desk[0]["hoursAvailable"][0]["opens"] == "09:00"
    assert len(data["department"]) == 4


def test_no_text_ends_the_script_it_stands_in(client, office):
    evil = "</script><script>alert(1)</script><!--"
    with office.db.writing() as session:
        session.add(a_department("Evil", summary={"en": evil}))
    [found] = data_of(client, "/en/departments/evil")["department"]

    assert found["description"] == evil
    assert "<script>alert" not in client.get("/en/departments/evil").text


# The whole directory


@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_the_directory_is_a_table_a_book_of_cards_and_a_list(client, lang):
    slugs = {"parking", "admissions", "media", "enquiry-desk"}
    table = client.get(f"/{lang}/directory.csv")
    cards = client.get(f"/{lang}/directory.vcf")
    listing = client.get(f"/{lang}/directory.json")

    assert table.content_type == "text/csv; charset=utf-8; header=present"
    assert table.data.startswith(b"\xef\xbb\xbf")
    assert {row["slug"] for row in csv.DictReader(io.StringIO(table.text[1:]))} == slugs
    assert cards.content_type == "text/vcard; charset=utf-8"
    assert len(list(vobject.readComponents(cards.text))) == len(slugs)
    assert {item["slug"] for item in listing.json["items"]} == slugs
    assert listing.json["total"] == len(slugs)
    for response in (table, cards, listing):
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client.get(f"/{lang}/directory.xml").status_code == 404


def test_a_look_at_the_headers_writes_nothing(client, monkeypatch):
    monkeypatch.setattr("directory.web.downloads._write", lambda *_: 1 / 0)

    response = client.head("/en/directory.csv")
    assert (response.status_code, response.data) == (200, b"")


def test_after_a_download_no_connection_is_held(client, office):
    response = client.get("/en/directory.csv")
    tag = response.headers["ETag"]
    assert response.data
    assert office.db.engine.pool.checkedout() == 0
    assert client.head("/en/directory.csv").status_code == 200
    assert office.db.engine.pool.checkedout() == 0
    assert client.get("/en/directory.csv", headers={"If-None-Match": tag}).status_code == 304
    assert office.db.engine.pool.checkedout() == 0
    response = client.get("/en/directory.csv")
    response.close()  # a visitor who went away
    assert office.db.engine.pool.checkedout() == 0


# What is not public


def test_nothing_that_is_not_public_leaves_by_any_of_these_doors(client, office):
    hidden = a_department(
        "Parking lot",
        slug="lot",
        notes="SECRET-notes",
        backup_email="secret-backup@institute.example",
        owner_email="secret-owner@institute.example",
        extra={"vcard": ["X-SECRET:yes"]},
        points=[
            a_mailbox("secret-routing@institute.example", routing=True, public=False),
            a_phone("+86 25 0345 5999", public=False, note={"en": "SECRET-line"}),
            a_phone("+86 25 0345 5998", state="retired"),
            a_mailbox("lot@institute.example", verified_by="secret-person@institute.example"),
        ],
    )
    with office.db.writing() as session:
        session.add(hidden)
        session.flush()
        session.add(a_topic("lots", hidden))
    paths = [
        *("", "topics", "departments/", "search?q=lot"),
        *(f"departments/lot{it}" for it in ("", ".vcf", ".vcf?version=3.0", ".jcard", ".json")),
        *("departments/lot/qr.svg", "directory.csv", "directory.vcf", "directory.json"),
    ]

    for lang in ("en", "zh-hans"):
        for path in paths:
            response = client.get(f"/{lang}/{path}")
            assert response.status_code == 200, path
            assert not re.search(r"secret|5999|5998", response.text, re.I), path
        for asked in ("02503455999", "SECRET-line", "secret-owner"):
            found = client.get(f"/{lang}/search", query_string={"q": asked}).text
            assert "departments/lot" not in found, asked
    assert "secret" not in client.get("/sitemap.xml").text
