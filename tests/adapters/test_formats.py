"""Files out and in: what any program reads, and what nobody can smuggle through."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from vobject.base import readOne

from directory.adapters.formats import FORMATS, Entry, Reading, Row, Site, Writing, cells_of
from directory.adapters.formats.encodings import encoding_of
from directory.adapters.formats.schema_org import organization, safe_json
from directory.adapters.formats.tables import guarded, read_csv, unguarded, write_csv
from directory.adapters.formats.vcard import Version, card_of, read_vcards, write_card
from directory.domain.columns import NUMERIC_COLUMNS, in_order, is_column, set_columns
from directory.domain.contacts import ContactPoint, Department, PointKind
from directory.domain.errors import InvalidValue
from directory.domain.hours import OpeningHours
from directory.domain.text import clean
from tests.builders import MONDAY_NOON, a_department, a_mailbox, a_phone, a_topic

SITE = Site(
    base_url="https://contact.institute.example",
    name={"en": "Institute; of, Things", "zh-Hans": "研究所"},
    timezone="Asia/Shanghai",
    default_country="CN",
    now=MONDAY_NOON,
)
# A machine that does other things besides is no finding.
unhurried = settings(deadline=None)

# What programs take for the beginning of a formula, and what they swallow before it.
RISKY = "=+-@＝＋－＠\t\r\0"
SEEN_FIRST = st.sampled_from(["", "'", "''", " ", "\u200b", "\xa0", "\n", "\ufeff"])

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
nasty = st.one_of(
    any_text,
    st.builds(
        lambda a, b, c: a + b + c, SEEN_FIRST, st.sampled_from(list(RISKY + ",;|\\\"'\n")), any_text
    ),
)


# What the directory keeps: it refuses controls and trims the rest.
_letters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
kept_text = (
    st.one_of(
        st.text(_letters | st.just("\n"), min_size=1, max_size=60),
        st.builds(
            lambda a, b, c: a + b + c,
            st.sampled_from(["", "'", "x\n"]),
            st.sampled_from(list("=+-@＝,;|\\\"'^")),
            st.text(_letters, max_size=20),
        ),
    )
    .map(clean)
    .filter(bool)
)
kept_line = kept_text.map(lambda text: clean(" ".join(text.split("\n")))).filter(bool)


def names(header: Any) -> list[str]:
    return list(header)


def rows_of(content: bytes, format: str, **how: Any) -> list[Row]:
    read = FORMATS[format].read
    assert read is not None
    return list(read(io.BytesIO(content), Reading(**how), names))


def written(entry: Entry, format: str, **how: Any) -> bytes:
    write = FORMATS[format].write
    assert write is not None
    columns = in_order(cells_of(entry), private=entry.private)
    return "".join(write([entry], SITE, Writing(columns=columns, total=1, **how))).encode()


def taken(row: Row) -> Department:
    """A department made of nothing but *row*."""
    made = Department(slug="made", name={}, updated_at=MONDAY_NOON)
    skip = {"id", "updated_at", "verified_on", "status", "topics", "parent", "deputy", "successor"}
    cells = {column: text for column, text in row.cells.items() if column not in skip}
    set_columns(made, cells, region="CN", find=lambda slug: made.id, now=MONDAY_NOON)
    return made


def an_entry(department: Department, **around: Any) -> Entry:
    hours = OpeningHours.parse(department.hours, "Asia/Shanghai") if department.hours else None
    return Entry(department, hours=hours, reply_days=2, **around)


def called(name: dict[str, str], **changes: Any) -> Department:
    made = a_department("X", **changes)
    made.name = name
    return made


def media(**changes: Any) -> Department:
    values: dict[str, Any] = {
        "short_name": {"en": "PR"},
        "other_names": ["Press | Office", "Pressestelle, neu"],
        "summary": {"en": "Pictures; facts,\nand dates.", "zh-Hans": "图片与资料。"},
        "hours": "Mo-Fr 08:30-12:00,13:00-18:00; PH off",
        "points": [
            a_phone("+86 25 0345 5170", position=1, label={"en": "Desk", "zh-Hans": "前台"}),
            a_phone("+44 20 7946 0123 ext. 12", position=2),
            a_phone("+44 20 7946 0124", kind=PointKind.FAX, position=3),
            a_phone("+86 138 0000 0000", kind=PointKind.MOBILE, position=4),
            ContactPoint(kind=PointKind.SERVICE, value="95588", position=5),
            a_mailbox("media@institute.example", position=6),
            a_mailbox("press@institute.example", position=7),
            ContactPoint(kind=PointKind.WEBSITE, value="https://media.example/a;b,c", position=8),
            ContactPoint(
                kind=PointKind.PHYSICAL,
                position=9,
                address={
                    "country": "SG",
                    "postcode": "119077",
                    "lines": {
                        "en": ["Level 3, Block A", "21 Lower Kent Ridge"],
                        "zh-Hans": ["肯特岗"],
                    },
                    "locality": {},
                    "region": {},
                    "lat": 1.29,
                    "lon": 103.77,
                },
            ),
            ContactPoint(
                kind=PointKind.POSTAL,
                position=10,
                address={
                    "country": "GB",
                    "postcode": "SW1A 1AA",
                    "lines": {"en": ["PO Box 1"]},
                    "locality": {"en": "London"},
                    "region": {},
                },
            ),
        ],
    }
    return a_department("Media", **(values | changes))


# ------------------------------------------------------------------ formulas


@unhurried
@given(nasty)
def test_any_text_comes_back_from_a_guarded_cell(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert unguarded(guarded(text, raw=True), raw=True) == text


@unhurried
@given(nasty)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    cell = guarded(text)

    assert not cell.startswith(tuple(RISKY))
    assert not cell.lstrip(" \n\xa0\u200b\ufeff").startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("'=1+1", "''=1+1"),
        ("  @SUM(A1)", "'  @SUM(A1)"),
        ("＝１", "'＝１"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\0x", "'\0x"),
        ("-", "'-"),
        ("+44 20 7946 0123", "'+44 20 7946 0123"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_run_has_one_apostrophe(text: str, cell: str) -> None:
    assert guarded(text) == cell


@unhurried
@given(st.lists(st.tuples(nasty, nasty, nasty), min_size=1, max_size=4))
def test_any_text_comes_back_from_csv(lines: list[tuple[str, str, str]]) -> None:
    columns = ["slug", "name_en", "notes"]
    rows = [dict(zip(columns, line, strict=True)) for line in lines]

    text = "".join(write_csv(columns, rows))

    table = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(table) == len(rows) + 1
    back = [dict(zip(columns, map(unguarded, line), strict=True)) for line in table[1:]]
    assert back == rows


@unhurried
@given(nasty)
def test_a_row_of_ours_is_read_as_it_was_written(text: str) -> None:
    assume(text.strip())
    content = "".join(write_csv(["slug", "notes"], [{"slug": "x", "notes": text}])).encode()

    [row] = rows_of(content, "csv")

    assert row.cells["notes"] == text


def test_a_number_keeps_its_sign() -> None:
    row = {"slug": "x", "lat": "-33.8", "sort": "-1"}
    text = "".join(write_csv(["slug", "lat", "sort"], [row], numeric=NUMERIC_COLUMNS))

    assert text == "\ufeffslug,lat,sort\r\nx,-33.8,-1\r\n"


def test_raw_has_neither_mark_nor_guard() -> None:
    text = "".join(write_csv(["slug", "phone"], [{"slug": "x", "phone": "+44 1"}], raw=True))

    assert text == "slug,phone\r\nx,+44 1\r\n"


# ------------------------------------------------------------------ tables in


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_table_is_read_however_it_was_saved(encoding: str, delimiter: str, ends: str) -> None:
    lines = [
        delimiter.join(["slug", "name_en", "name_zh_hans", "summary_zh_hans"]),
        delimiter.join(["lib", "Library", "图书馆", '"第一行\n第二行"']),
        "",
        delimiter.join(["media", '"Press, and; ""Media"""', "新闻宣传部", "-"]),
    ]

    first, second = rows_of(ends.join(lines).encode(encoding), "csv")

    assert (first.number, second.number) == (2, 4)
    assert first.cells["name_zh_hans"] == "图书馆"
    assert first.cells["summary_zh_hans"] == "第一行\n第二行"
    assert second.cells["name_en"] == 'Press, and; "Media"'
    assert second.cells["summary_zh_hans"] is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark_is_known_by_its_zeros(codec: str) -> None:
    content = "slug,name_en\r\nlibrary,The Library of the Institute\r\n".encode(codec)

    assert encoding_of(io.BytesIO(content)) == codec
    assert rows_of(content, "csv")[0].cells["slug"] == "library"


def test_a_hint_of_excel_is_no_row() -> None:
    [row] = rows_of("sep=;\r\nslug;name_en\r\nlib;Library\r\n".encode("utf-8-sig"), "csv")

    assert (row.number, row.cells) == (2, {"slug": "lib", "name_en": "Library"})


def test_a_cell_too_many_is_said() -> None:
    [row] = rows_of(b"slug,name_en\nlib,Library,surplus\n", "csv")

    assert row.problem is not None
    assert row.problem[2].code == "import.too_many_cells"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_table_is_said(content: bytes) -> None:
    with pytest.raises(InvalidValue, match="no record"):
        rows_of(content, "csv")


def test_a_workbook_that_would_unpack_to_gigabytes_is_refused() -> None:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("x", "w") as part:
        for _ in range(600):
            part.write(bytes(1_000_000))
    with pytest.raises(InvalidValue) as refused:
        rows_of(out.getvalue(), "xlsx")
    assert refused.value.code == "import.too_big"


@pytest.mark.parametrize("format", ["xlsx", "json", "toml"])
def test_what_is_no_such_file_is_said(format: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        rows_of(b'PK\x03\x04 not really \x00\xff { [[ "', format)
    assert refused.value.code == "import.unreadable"


def test_a_workbook_holds_texts_and_no_formulas() -> None:
    from openpyxl import load_workbook

    department = a_department("Sums", notes="=1+1", summary={"en": "'=2"})
    entry = an_entry(department, private=True)
    pack = FORMATS["xlsx"].pack
    assert pack is not None
    content = pack([entry], SITE, Writing(columns=in_order(cells_of(entry), private=True)))

    sheet = load_workbook(io.BytesIO(content)).worksheets[0]
    assert {cell.data_type for line in sheet.iter_rows() for cell in line} <= {"s", "n"}
    [row] = rows_of(content, "xlsx")
    assert (row.cells["notes"], row.cells["summary_en"]) == ("=1+1", "'=2")


# ------------------------------------------------------------------ cards


def physical_lines(text: str) -> list[bytes]:
    return text.encode().split(b"\r\n")


@unhurried
@given(kept_line, kept_text, st.lists(kept_line, max_size=3))
def test_a_card_carries_any_text_and_nothing_else(name: str, note: str, kept: list[str]) -> None:
    assume(not note.startswith(("Hours: ", "办公时间：")))
    department = called({"en": name}, summary={"en": note}, other_names=kept)

    text = write_card(card_of(an_entry(department), SITE))

    for line in physical_lines(text):
        assert len(line) <= 75
        line.decode()  # folded between characters
    assert text.count("BEGIN:VCARD") - (name + note + "".join(kept)).count("BEGIN:VCARD") <= 1
    [row] = read_vcards(io.BytesIO(text.encode()), Reading())
    assert row.problem is None
    assert row.cells["name_en"] == name
    assert row.cells["summary_en"] == note
    assert taken(row).other_names == kept


@unhurried
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_can_begin_a_property(name: str, label: str) -> None:
    """Not even one that the directory would have refused."""
    hostile = f"{name}\r\nTEL:999\n\u2028TEL:999\x85{label}"
    department = media()
    department.name = {"en": hostile}
    department.points[0].label = {"en": hostile, "zh-Hans": hostile}

    lines = write_card(card_of(an_entry(department), SITE)).replace("\r\n ", "").split("\r\n")

    assert all("\n" not in line and "\r" not in line for line in lines)
    assert not any(line.startswith("TEL:") for line in lines)
    assert [line for line in lines if line.partition(";")[0].endswith("TEL")] == lines_of(lines)


def lines_of(lines: list[str]) -> list[str]:
    return [line for line in lines if ";VALUE=uri;TYPE=" in line]


@pytest.mark.parametrize("version", ["4.0", "3.0"])
@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_cards_are_read_back_by_vobject(version: Version, language: str) -> None:
    entry = an_entry(media())

    text = write_card(card_of(entry, SITE, version=version, language=language))

    card = readOne(text)
    assert card.version.value == version
    name = "Media" if version == "4.0" or language == "en" else "Media处"
    assert card.fn.value == name
    numbers = [tel.value for tel in card.contents["tel"]]
    if version == "4.0":
        assert numbers[1] == "tel:+44-20-7946-0123;ext=12"
        assert numbers[4] == "tel:95588;phone-context=+86"
    else:
        assert numbers[1] == "+44 20 7946 0123 x12"
        assert card.n.value.family == name
    assert [mail.value for mail in card.contents["email"]] == [
        "media@institute.example",
        "press@institute.example",
    ]
    assert card.uid.value == f"urn:uuid:{entry.department.id}"
    address = card.contents["adr"][0].value
    assert address.code == "119077"
    if version == "4.0" or language == "en":
        assert address.street == ["Level 3, Block A", "21 Lower Kent Ridge"]
        assert card.contents["note"][0].value == "Pictures; facts,\nand dates."


def test_a_semicolon_of_a_number_is_not_escaped() -> None:
    text = write_card(card_of(an_entry(media()), SITE))

    assert 'TEL;VALUE=uri;TYPE="voice,work";PREF=2:tel:+44-20-7946-0123;ext=12\r\n' in text
    assert 'TEL;VALUE=uri;TYPE="fax,work";PREF=3:tel:+44-20-7946-0124\r\n' in text
    assert "GEO;ALTID=3:geo:1.29,103.77\r\n" in text


@pytest.mark.parametrize("format", ["vcf", "jcard"])
def test_what_a_card_carries_comes_back(format: str) -> None:
    department = media()
    [row] = rows_of(written(an_entry(department), format), format)

    back = taken(row)

    assert back.name == department.name
    assert back.short_name == department.short_name
    assert back.other_names == department.other_names
    assert back.summary == department.summary
    assert back.hours == department.hours
    assert back.languages == department.languages
    reached = [(p.kind, p.value, p.extension, p.label) for p in department.points if p.value]
    found = [(p.kind, p.value, p.extension, p.label) for p in back.points if p.value]
    assert sorted(found, key=str) == sorted(reached, key=str)
    addresses = {p.kind: p.address for p in back.points if p.address}
    assert addresses == {p.kind: p.address for p in department.points if p.address}
    assert row.cells["updated_at"] == "2026-11-23T04:00:00+00:00"


def test_jcard_is_as_rfc_7095_has_it() -> None:
    [card] = json.loads(written(an_entry(media()), "jcard"))

    assert card[0] == "vcard"
    assert card[1][0] == ["version", {}, "text", "4.0"]
    found = {(name, json.dumps(params)): (kind, values) for name, params, kind, *values in card[1]}
    tel = json.dumps({"type": ["voice", "work"], "pref": "2"})
    assert found["tel", tel] == ("uri", ["tel:+44-20-7946-0123;ext=12"])
    assert ["rev", {}, "timestamp", "2026-11-23T04:00:00Z"] in card[1]


PHONE_CARD = """\
BEGIN:VCARD\r
VERSION:2.1\r
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E5=9B=BE=E4=B9=A6=E9=A6=86;;;;\r
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E5=9B=BE=\r
=E4=B9=A6=E9=A6=86\r
TEL;WORK;FAX:+86 25 8345 5109\r
TEL;CELL:138 0013 8000\r
EMAIL;INTERNET:lib@institute.example\r
X-QQ:10001\r
END:VCARD\r
"""


def test_a_phone_s_own_card_is_read() -> None:
    [row] = rows_of(PHONE_CARD.encode(), "vcf")

    assert row.cells == {
        "name_zh_hans": "图书馆",
        "fax": "+86 25 8345 5109",
        "mobile": "138 0013 8000",
        "email": "lib@institute.example",
    }
    assert row.values == {"vcard": ["X-QQ:10001"]}


def test_unknown_properties_leave_only_with_what_is_private() -> None:
    department = media(extra={"vcard": ["X-QQ;TYPE=work:1;2,3", "not a property\r\nTEL:999"]})

    public = write_card(card_of(an_entry(department), SITE))
    private = write_card(card_of(an_entry(department, private=True), SITE))

    assert "X-QQ" not in public
    assert "\r\nX-QQ;TYPE=work:1;2,3\r\n" in private
    assert "999" not in private


def test_a_card_that_breaks_off_is_said() -> None:
    whole, broken = rows_of(b"BEGIN:VCARD\nFN:A\nEND:VCARD\nBEGIN:VCARD\nFN:B\n", "vcf")

    assert whole.problem is None
    assert broken.problem is not None and broken.problem[2].code == "import.bad_record"


# ------------------------------------------------------------------ documents


@unhurried
@given(kept_line, kept_text)
def test_any_text_comes_back_from_toml_and_json(name: str, note: str) -> None:
    entry = an_entry(called({"en": name}, other_names=[name], notes=note), private=True)

    for format in ("toml", "json", "jsonl"):
        [row] = rows_of(written(entry, format), format)
        assert row.problem is None
        assert (row.cells["name_en"], row.cells.get("notes")) == (name, note)
    # By another's reader too.
    [table] = tomllib.loads(written(entry, "toml").decode())["departments"]
    assert table["name"] == {"en": name}
    assert table["other_names"] == [name]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "toml"])
def test_what_a_document_carries_comes_back(format: str) -> None:
    department = media(
        exceptions=[{"from": "2026-10-01", "to": "2026-10-08", "reason": {"en": "Day"}}]
    )
    [row] = rows_of(written(an_entry(department, private=True), format), format)

    back = taken(row)

    for attribute in ("name", "short_name", "summary", "hours", "languages", "exceptions"):
        assert getattr(back, attribute) == getattr(department, attribute), attribute
    reached = {
        (p.kind, p.value, p.extension, json.dumps(p.address, sort_keys=True)) for p in back.points
    }
    if format in {"json", "jsonl"}:  # the API lists no websites
        department.points = [p for p in department.points if p.kind is not PointKind.WEBSITE]
    assert reached == {
        (p.kind, p.value, p.extension, json.dumps(p.address, sort_keys=True))
        for p in department.points
    }


@pytest.mark.parametrize(
    "content",
    [
        '[{"slug":"a","name":{"en":"A"}},{"slug":"b","name":{"en":"B"}}]',
        '{"items":[{"slug":"a"},{"slug":"b"}],"total":2,"next":null}',
        '{"total":2,"items":[{"slug":"a"} ,\n {"slug":"b"}]}',
        '\ufeff [ {"slug":"a"}, {"slug":"b"} ] ',
    ],
)
def test_a_list_of_departments_is_found(content: str) -> None:
    assert [row.cells["slug"] for row in rows_of(content.encode(), "json")] == ["a", "b"]


def test_a_long_list_is_read_piece_by_piece() -> None:
    items = [{"slug": f"d{n}", "summary": {"en": "x" * (n % 700)}} for n in range(2_000)]
    content = json.dumps({"items": items}).encode()

    assert [row.cells["slug"] for row in rows_of(content, "json")] == [it["slug"] for it in items]


def test_a_header_inside_a_string_is_no_table() -> None:
    content = '[[departments]]\nslug = "a"\nname = {en = "A"}\nnotes = """\n[[departments]]\n"""\n'
    [row] = rows_of(content.encode(), "toml")

    assert row.cells["notes"] == "[[departments]]\n"


def test_an_unknown_key_is_named() -> None:
    [row] = rows_of(b'{"slug":"a","fone":"1"}', "json")

    assert row.problem is not None
    assert row.problem[0] == "fone"


# ------------------------------------------------------------------ schema.org


def test_the_terms_are_those_of_schema_org() -> None:
    department = media()
    entry = an_entry(department, topics=(a_topic("press", department),), parent="administration")

    value = organization(entry, SITE, "zh-Hans")

    assert value["@id"] == "https://contact.institute.example/zh-hans/departments/media"
    assert (value["name"], value["alternateName"][0]) == ("Media处", "Media")
    assert value["parentOrganization"]["@id"].endswith("/zh-hans/departments/administration")
    voice, extended, fax, *_ = value["contactPoint"]
    assert voice["telephone"] == "+862503455170"
    assert extended["telephone"] == "+442079460123 ext. 12"
    assert fax["faxNumber"] == "+442079460124" and "telephone" not in fax
    assert voice["hoursAvailable"][0] == {
        "@type": "OpeningHoursSpecification",
        "dayOfWeek": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
        "opens": "08:30",
        "closes": "12:00",
    }
    assert value["contactPoint"][-1]["contactType"] == "Press事项"
    assert value["address"][0]["addressCountry"] == "SG"
    assert value["location"][0]["geo"]["latitude"] == 1.29


@unhurried
@given(any_text)
def test_no_text_ends_the_script_it_stands_in(text: str) -> None:
    shown = safe_json({"name": f"</script><!--{text}"})

    assert "<" not in shown
    assert json.loads(shown)["name"] == f"</script><!--{text}"


def test_a_whole_directory_is_one_document() -> None:
    write = FORMATS["jsonld"].write
    assert write is not None
    entries = [an_entry(media()), an_entry(a_department("Parking"))]

    value = json.loads("".join(write(entries, SITE, Writing(language="en"))))

    assert value["@type"] == "ResearchOrganization"
    assert [it["name"] for it in value["department"]] == ["Media", "Parking"]


# ------------------------------------------------------------------ columns


def test_the_columns_of_a_table_are_the_contract_s_and_then_the_further_ones() -> None:
    columns = in_order(cells_of(an_entry(media(), private=True)), private=True)

    assert columns[:5] == ["id", "slug", "parent", "status", "sort"]
    assert columns[40:47] == [
        *("reply_days", "verified_on", "updated_at"),
        *("routing_email", "backup_email", "owner_email", "notes"),
    ]
    assert {"service", "postal_street_en", "phone_label_en"} <= set(columns)
    assert all(map(is_column, columns))


def test_reading_stops_for_no_reader(tmp_path: Any) -> None:
    """The file may be read twice, and is left open."""
    path = tmp_path / "x.csv"
    path.write_text("slug,name_en\na,A\n")
    with path.open("rb") as file:
        for _ in range(2):
            file.seek(0)
            assert len(list(read_csv(file, Reading(), columns=names))) == 1
        assert not file.closed


def test_stamps_are_utc() -> None:
    department = media(updated_at=datetime(2026, 11, 23, 4, 0, 0, 5, tzinfo=UTC))

    assert cells_of(an_entry(department))["updated_at"] == "2026-11-23T04:00:00.000005+00:00"
