"""Imports: what is shown is what is done, and what is done can be undone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import contact_points, departments, events, import_batches
from directory.adapters.extract import extract
from directory.adapters.queries import department_by_slug, events_of, topic_by_code
from directory.domain.contacts import Department, DepartmentStatus, PointKind, PointState
from directory.domain.errors import Conflict, InvalidValue, NotFound
from directory.parts import Parts
from directory.services import exports, imports
from directory.services.import_changes import Action, Change
from directory.services.import_files import FileSource, Options, PageSource, glance
from directory.services.import_plan import Plan
from directory.services.seed import plant, seed_folder
from tests.builders import SetClock, a_mailbox, a_submission, parts_for, submit

FORMATS = ["csv", "json", "jsonl", "vcf", "vcf 3.0", "jcard", "toml", "xlsx"]


def source(content: str | bytes, name: str = "departments.csv", **options: Any) -> FileSource:
    data = content.encode() if isinstance(content, str) else content
    return FileSource(io.BytesIO(data), name, Options(**options))


def look(office: Parts, content: Any, **how: Any) -> tuple[Plan, list[Change]]:
    given = content if not isinstance(content, str | bytes) else source(content)
    with office.db.reading() as session:
        plan = imports.preview(session, given, settings=office.settings, now=office.now(), **how)
        return plan, list(plan.changes())


def take(office: Parts, content: Any, **how: Any) -> imports.Batch:
    given = content if not isinstance(content, str | bytes) else source(content)
    with office.db.writing() as session:
        return imports.apply(
            session,
            given,
            settings=office.settings,
            now=office.now(),
            by="editor@institute.example",
            **how,
        )


def take_back(office: Parts, id: int) -> imports.Batch:
    with office.db.writing() as session:
        return imports.undo(
            session, id, settings=office.settings, now=office.now(), by="editor@institute.example"
        )


def exported(office: Parts, format: str, *, private: bool = True) -> bytes:
    with office.db.reading() as session:
        if format == "xlsx":
            return exports.pack_xlsx(
                session, settings=office.settings, private=private, closed=True
            )
        name, _, version = format.partition(" ")
        return "".join(
            exports.write(
                session,
                name,
                settings=office.settings,
                now=office.now(),
                private=private,
                closed=name not in {"vcf", "jcard"},
                version="3.0" if version else "4.0",
            )
        ).encode()


def everything(office: Parts) -> dict[str, list[Any]]:
    """All rows of the directory, but for the stamps that every change moves."""
    with office.db.reading() as session:
        return {
            table.name: sorted(
                (
                    tuple(
                        str(value)
                        for column, value in zip(row._fields, row, strict=True)
                        if column not in {"updated_at", "version"}
                    )
                    for row in session.execute(sa.select(table))
                ),
            )
            for table in (departments, contact_points)
        }


def found(office: Parts, slug: str) -> Department:
    with office.db.reading() as session:
        return department_by_slug(session, slug)


# ------------------------------------------------------------------ our own exports


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("format", FORMATS)
def test_our_own_export_changes_nothing(office: Parts, format: str, private: bool) -> None:
    with office.db.writing() as session:
        parking = department_by_slug(session, "parking")
        parking.points.append(a_mailbox("private@institute.example", public=False, routing=True))
        parking.points.append(a_mailbox("=1+1@institute.example", position=9))
        parking.notes = "-"
        parking.summary = {"en": "'=cmd|' /C calc'!A0\nnext line", "zh-Hans": "＝全角"}
    before = everything(office)
    content = exported(office, format, private=private)

    plan, changes = look(office, source(content, "export"))
    take(office, source(content, "export"))

    assert [change for change in changes if change.action is not Action.SAME] == []
    assert str(plan.tally) == "0 added, 0 changed, 4 same, 0 errors"
    assert everything(office) == before
    with office.db.reading() as session:
        assert imports.batches(session) == []


def test_the_whole_directory_is_one_seed_file(office: Parts) -> None:
    with office.db.reading() as session:
        text = exported(office, "toml").decode()
        text += "".join(exports.write_topics(session, "toml"))
        text += "".join(
            exports.rules_toml(session, now=office.now(), desk=office.settings.site.desk)
        )

    plan, _ = look(office, source(text, "seed.toml"))

    assert str(plan.tally) == "0 added, 0 changed, 8 same, 0 errors"
    assert text.count("[[departments]]") == 4
    assert text.count("[[topics]]") == 3
    assert text.count("[[rules]]") == 2


@pytest.fixture
def parts(database_url: str, tmp_path: Any) -> Iterator[Parts]:
    """An installation with nothing in its directory."""
    made = parts_for(tmp_path, database_url, SetClock())
    yield made
    made.let_go()


def test_the_sample_comes_back_whole_in_an_empty_directory(parts: Parts) -> None:
    content = (seed_folder() / "sample.toml").read_bytes()
    done = take(parts, source(content, "sample.toml"))
    assert str(done.tally) == "16 added, 1 changed, 0 same, 0 errors"
    with parts.db.reading() as session:
        assert (
            topic_by_code(session, "visits").department_id
            == department_by_slug(session, "events").id
        )
        talent = department_by_slug(session, "talent")
        assert talent.parent_id == department_by_slug(session, "administration").id
    plan, _ = look(parts, source(content, "sample.toml"))
    assert str(plan.tally) == "0 added, 0 changed, 17 same, 0 errors"


# ------------------------------------------------------------------ what is shown


SHEET = """\
slug,name_en,parent,phone,phone2,email,languages
parking,,,+86 25 0345 5181,,,
library,Library,reading-room,025 0345 5990,,library@institute.example,en|zh-Hans
reading-room,Reading Room,,,+44 20 7946 0123/24,,
archive,Archive,nowhere,,,not-an-address,
"""


def test_each_row_is_added_changed_same_or_wrong(office: Parts) -> None:
    plan, changes = look(office, SHEET.replace("reading-room,025", ",025"))

    assert [(c.action, c.subject) for c in changes] == [
        (Action.CHANGE, "parking"),
        (Action.ADD, "library"),
        (Action.ERROR, "reading-room"),
        (Action.ERROR, "archive"),
    ]
    assert changes[0].cells == {"phone": ("+86 25 0345 5180", "+86 25 0345 5181")}
    assert [problem.say() for change in changes for problem in change.problems] == [
        "Row 4, phone2: +44 20 7946 0123/24 holds two numbers",
        "Row 5, parent: “nowhere”: There is no department “nowhere”",
        "Row 5, email: not-an-address has no @ sign",
    ]
    assert changes[2].problems[0].say("zh-Hans").startswith("第 4 行 phone2：")
    assert changes[2].problems[0].code == "phone.two_numbers"
    assert str(plan.tally) == "1 added, 1 changed, 0 same, 2 errors"


def test_who_stands_below_a_row_that_cannot_be_taken_is_told(office: Parts) -> None:
    plan, changes = look(office, SHEET)
    take(office, SHEET)

    assert changes[-1].action is Action.ERROR
    assert changes[-1].problems[0].say() == "Row 3, parent: There is no department “reading-room”"
    assert found(office, "library").parent_id is None
    assert plan.tally.added == 1


def test_a_preview_changes_nothing(office: Parts) -> None:
    before = everything(office)

    look(office, SHEET)

    assert everything(office) == before


def test_an_empty_cell_leaves_and_a_dash_clears(office: Parts) -> None:
    take(office, "slug,name_en,phone,street_en,languages\nparking,,-,-,\n")

    parking = found(office, "parking")
    assert parking.name["en"] == "Parking"
    assert parking.languages == ["en", "zh-Hans"]
    assert parking.public_points(PointKind.VOICE) == []
    [address] = parking.public_points(PointKind.PHYSICAL)
    assert address.address["lines"] == {"zh-Hans": ["一号门"]}


def test_a_name_is_never_cleared_away(office: Parts) -> None:
    _, [change] = look(office, "slug,name_en,name_zh_hans\nlibrary,-,-\n")

    assert change.problems[0].code == "department.no_name"


def test_columns_are_known_by_what_people_call_them(office: Parts) -> None:
    content = (
        "部门名称;Telephone;传真;E-mail;Remark\n图书馆;025 0345 5990;;lib@institute.example;x\n"
    )

    with pytest.raises(InvalidValue, match="no column “Remark”"):
        look(office, content)
    plan, [change] = look(office, source(content, mapping={"Remark": ""}))

    assert change.subject == "tu-shu-guan"
    assert change.cells["phone"] == ("", "+86 25 0345 5990")
    assert plan.tally.added == 1


def test_a_misspelt_column_is_named_with_the_likely_one(office: Parts) -> None:
    with pytest.raises(InvalidValue, match=r"column “fone”\. Did you mean “phone”"):
        look(office, "slug,fone\nparking,1\n")


def test_a_table_without_names_is_refused(office: Parts) -> None:
    with pytest.raises(InvalidValue, match="looks like a department name"):
        look(office, "phone\n025 0345 5990\n")


def test_a_glance_shows_what_would_be_read() -> None:
    content = "名称;电话;Remark\n图书馆;025 0345 5990;x\n".encode("gb18030")

    shown = glance(io.BytesIO(content), "list.csv", Options())

    assert (shown.format, shown.encoding, shown.delimiter) == ("csv", "gb18030", ";")
    assert shown.columns == ["name_zh_hans", "phone", ""]
    assert shown.sample == [["图书馆", "025 0345 5990", "x"]]


def test_a_department_stands_in_one_row(office: Parts) -> None:
    _, changes = look(office, "slug,name_en\nlibrary,Library\nlibrary,Library again\n")

    assert changes[1].problems[0].say() == "Row 3: This department stands in row 2 already"


def test_nobody_stands_below_itself(office: Parts) -> None:
    content = "slug,parent\nparking,media\nmedia,parking\nadmissions,admissions\n"

    plan, changes = look(office, content)

    assert {problem.code for change in changes for problem in change.problems} == {"parent.cycle"}
    assert plan.tally.errors == 3


def test_a_parent_may_follow_its_child(office: Parts) -> None:
    take(office, "slug,name_en,parent\nroom,Room,house\nhouse,House,\nparking,,house\n")

    house = found(office, "house")
    assert found(office, "room").parent_id == house.id
    assert found(office, "parking").parent_id == house.id


def test_a_value_that_moved_keeps_what_is_known_of_it(office: Parts) -> None:
    """The first number taken out of a list does not make the second one unverified."""
    take(office, "slug,phone2\nparking,+86 25 0345 5190\n")
    with office.db.writing() as session:
        second = department_by_slug(session, "parking").public_points(PointKind.VOICE)[1]
        second.state = PointState.VERIFIED

    take(office, "slug,phone,phone2\nparking,+86 25 0345 5190,-\n")

    [left] = found(office, "parking").public_points(PointKind.VOICE)
    assert (left.id, left.state) == (second.id, PointState.VERIFIED)


def test_a_new_value_is_not_verified(office: Parts) -> None:
    take(office, "slug,email\nparking,new@institute.example\n")

    [mailbox] = found(office, "parking").public_points(PointKind.EMAIL)
    assert (mailbox.state, mailbox.verified_at) == (PointState.PROPOSED, None)


def test_the_desk_keeps_its_name_and_its_mailbox(office: Parts) -> None:
    desk = found(office, "enquiry-desk")
    _, changes = look(office, f"id,slug,email\n{desk.id},front,-\n")

    assert "keeps its name" in changes[0].problems[0].say()


# ------------------------------------------------------------------ conflicts


def test_what_was_edited_since_is_not_overwritten_unasked(office: Parts, clock: SetClock) -> None:
    content = exported(office, "csv").decode().replace("5180", "5181")
    clock.advance(hours=1)
    take(office, "slug,phone\nparking,+86 25 0345 5199\n")

    plan, changes = look(office, source(content))
    take(office, source(content))

    [conflict] = [change for change in changes if change.action is Action.CONFLICT]
    assert conflict.subject == "parking"
    assert plan.tally.conflicts == 1
    [phone] = found(office, "parking").public_points(PointKind.VOICE)
    assert phone.value == "+862503455199"

    take(office, source(content), overwrite=True)
    [phone] = found(office, "parking").public_points(PointKind.VOICE)
    assert phone.value == "+862503455181"


def test_nothing_is_applied_but_what_was_shown(office: Parts) -> None:
    content = "slug,phone\nparking,+86 25 0345 5181\n"
    plan, _ = look(office, content)
    take(office, "slug,phone\nparking,+86 25 0345 5199\n")
    before = everything(office)

    with pytest.raises(Conflict, match="look at it again"):
        take(office, content, expected=plan.digest)

    assert everything(office) == before


# ------------------------------------------------------------------ done and undone


def test_everything_is_put_back_as_one(office: Parts, clock: SetClock) -> None:
    take(office, "slug,phone2\nparking,+86 25 0345 5190\n")
    before = everything(office)
    clock.advance(hours=1)
    done = take(
        office,
        "slug,name_en,parent,phone,phone2,street_en,email,topics\n"
        "parking,Parking and Gates,works,+86 25 0345 5191,-,Gate 2,p@institute.example,permits\n"
        "media,,,,,,media2@institute.example,apply\n"
        "admissions,,,,,,,-\n"
        "works,Works,,025 0345 5992,,Gate 3,works@institute.example,\n",
    )
    assert str(done.tally) == "1 added, 3 changed, 0 same, 0 errors"
    assert everything(office) != before
    clock.advance(hours=1)

    undone = take_back(office, done.id)

    after = everything(office)
    assert after["department"] == before["department"]
    retired = [row for row in after["contact_point"] if row not in before["contact_point"]]
    assert all("retired" in row for row in retired)
    assert [row for row in before["contact_point"] if row not in after["contact_point"]] == []
    assert undone.state is imports.BatchState.UNDONE
    with office.db.reading() as session:
        assert topic_by_code(session, "apply").department_id == found(office, "admissions").id
    with pytest.raises(Conflict, match="nothing to undo"):
        take_back(office, done.id)


def test_history_says_which_import_it_was(office: Parts) -> None:
    done = take(office, "slug,phone\nparking,+86 25 0345 5181\n", reason="new exchange")

    with office.db.reading() as session:
        [event] = events_of(session, f"department:{found(office, 'parking').id}")
    assert event.note == f"import {done.id}: new exchange"
    assert event.before == {"phone": "+86 25 0345 5180"}
    assert event.after == {"phone": "+86 25 0345 5181"}
    assert event.by == "editor@institute.example"


def test_events_stay_one_chain(office: Parts) -> None:
    for number in (5181, 5182, 5183):
        take(office, f"slug,phone\nparking,+86 25 0345 {number}\nmedia,+86 25 0345 {number}\n")

    with office.db.reading() as session:
        rows = session.execute(sa.select(events).order_by(events.c.id)).all()
    chains: dict[str, str] = {}
    for row in rows:
        assert row.previous == chains.get(row.subject, "")
        chains[row.subject] = row.digest


def test_what_was_edited_since_the_import_is_not_undone(office: Parts) -> None:
    done = take(office, "slug,phone\nparking,+86 25 0345 5181\n")
    take(office, "slug,phone\nparking,+86 25 0345 5182\n")
    before = everything(office)

    with pytest.raises(Conflict, match="“parking” was edited since"):
        take_back(office, done.id)

    assert everything(office) == before


def test_what_is_in_use_since_the_import_is_not_taken_away(office: Parts) -> None:
    done = take(office, "slug,name_en,email\nlibrary,Library,lib@institute.example\n")
    take(office, "slug,deputy\nmedia,library\n")

    with pytest.raises(Conflict, match="“library” is in use"):
        take_back(office, done.id)

    assert found(office, "library").name == {"en": "Library"}


def test_a_department_with_an_enquiry_is_not_taken_away(office: Parts) -> None:
    done = take(office, "slug,name_en,email\nlibrary,Library,lib@institute.example\n")
    submit(office, a_submission(topic="", department="library"))

    with pytest.raises(Conflict, match="in use"):
        take_back(office, done.id)
    assert found(office, "library").status is DepartmentStatus.ACTIVE


def test_there_is_no_such_import(office: Parts) -> None:
    with pytest.raises(NotFound):
        take_back(office, 1)


def test_a_failure_in_the_middle_leaves_nothing(office: Parts) -> None:
    before = everything(office)

    def fail(change: Change) -> None:
        if change.subject == "library":
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="gone"):
        take(office, "slug,name_en,phone\nparking,,+86 25 0345 5181\nlibrary,Library,\n", tell=fail)

    assert everything(office) == before
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(import_batches)) == 0


# ------------------------------------------------------------------ closing


def test_missing_departments_stay_unless_asked(office: Parts) -> None:
    take(office, "slug,phone\nparking,+86 25 0345 5181\n")

    assert found(office, "media").status is DepartmentStatus.ACTIVE


def test_missing_departments_are_closed_into_what_stands_above(office: Parts) -> None:
    take(office, "slug,name_en,parent,email\ngate,Gate,parking,gate@institute.example\n")
    before = everything(office)
    content = "slug,name_en\nparking,\nenquiry-desk,\nadmissions,\nmedia,\n"

    plan, changes = look(office, content, options=Options(delete_missing=True))
    done = take(office, content, options=Options(delete_missing=True))

    assert str(plan.tally) == "0 added, 0 changed, 1 closed, 4 same, 0 errors"
    assert [change.subject for change in changes if change.action is Action.CLOSE] == ["gate"]
    gate = found(office, "gate")
    assert gate.status is DepartmentStatus.CLOSED
    assert gate.successor_id == found(office, "parking").id

    take_back(office, done.id)
    assert everything(office) == before


def test_who_has_nobody_above_is_not_closed(office: Parts) -> None:
    plan, changes = look(
        office,
        "slug,name_en\nparking,\nenquiry-desk,\nadmissions,\n",
        options=Options(delete_missing=True),
    )

    assert plan.tally.errors == 1
    assert changes[-1].subject == "media"
    assert "successor" in changes[-1].problems[0].say()


def test_a_row_may_close_its_department(office: Parts) -> None:
    content = "slug,status,successor\nparking,closed,admissions\nmedia,closed,admissions\n"

    _, changes = look(office, content)
    done = take(office, content)

    assert [change.action for change in changes] == [Action.CLOSE, Action.ERROR]
    assert "Rules name “media”: newspapers" in changes[1].problems[0].say()
    assert found(office, "parking").successor_id == found(office, "admissions").id
    with office.db.reading() as session:
        assert topic_by_code(session, "permits").department_id == found(office, "admissions").id
    take_back(office, done.id)
    assert found(office, "parking").status is DepartmentStatus.ACTIVE
    with office.db.reading() as session:
        assert topic_by_code(session, "permits").department_id == found(office, "parking").id


def test_nothing_of_a_row_with_an_error_is_taken(office: Parts) -> None:
    before = everything(office)

    done = take(
        office,
        "slug,name_en,phone,email,status,successor\n"
        "media,Press,025 0345 5999,wrong,closed,admissions\n"
        "parking,Gates,025 0345 5998,,closed,nobody\n",
    )

    assert done.tally.errors == 2
    assert everything(office) == before


# ------------------------------------------------------------------ uploads, pages, seeds


def test_an_upload_waits_and_is_applied_under_its_own_number(office: Parts) -> None:
    with office.db.writing() as session:
        kept = imports.keep_upload(
            session,
            b"slug,phone\nparking,+86 25 0345 5181\n",
            "list.csv",
            Options(),
            settings=office.settings,
            now=office.now(),
            by="editor@institute.example",
        )
    assert (kept.state, kept.tally.changed) == (imports.BatchState.PREVIEWED, 1)

    with office.db.writing() as session:
        done = imports.apply_upload(
            session,
            kept.id,
            settings=office.settings,
            now=office.now(),
            by="admin@institute.example",
        )

    assert (done.id, done.state) == (kept.id, imports.BatchState.APPLIED)
    assert take_back(office, done.id).state is imports.BatchState.UNDONE


def test_an_upload_is_forgotten_after_a_week(office: Parts, clock: SetClock) -> None:
    def keep() -> imports.Batch:
        with office.db.writing() as session:
            return imports.keep_upload(
                session,
                b"slug,phone\nparking,+86 25 0345 5181\n",
                "list.csv",
                Options(),
                settings=office.settings,
                now=office.now(),
                by="editor@institute.example",
            )

    keep()
    clock.advance(days=8)
    kept = keep()

    with office.db.reading() as session:
        assert [it.id for it in imports.batches(session)] == [kept.id]


PAGE = """
Parking
Tel: +86 25 0345 5180
Fax: +86 25 0345 5189
E-mail: parking@institute.example

Guest House
Tel: 025 0345 5995
E-mail: guests@institute.example
"""


def test_a_page_s_records_are_known_by_their_numbers(office: Parts) -> None:
    page = PageSource(extract(PAGE, region="CN", format="text"), "contact page")

    _, changes = look(office, page)
    take(office, page)

    assert [(change.action, change.subject) for change in changes] == [
        (Action.CHANGE, "parking"),
        (Action.ADD, "guest-house"),
    ]
    assert changes[0].cells == {"fax": ("", "+86 25 0345 5189")}
    plan, _ = look(office, page)
    assert plan.tally.same == 2


def test_topics_and_rules_of_a_seed_file_are_changed_and_put_back(office: Parts) -> None:
    text = """
[[topics]]
code = "permits"
label = { en = "Parking permits", zh-Hans = "停车证" }
department = "parking"
sort = 1

[[topics]]
code = "lost"
label = { en = "Lost and found" }
department = "enquiry-desk"

[[rules]]
id = "desk"
name = { en = "All", zh-Hans = "全部" }
send_to = "admissions"
"""
    plan, _ = look(office, source(text, "seed.toml"))
    done = take(office, source(text, "seed.toml"))

    assert str(plan.tally) == "1 added, 2 changed, 0 same, 0 errors"
    with office.db.reading() as session:
        assert topic_by_code(session, "permits").label["en"] == "Parking permits"
        assert [r.send_to for r in office.published(session, office.now()).rules.rules] == [
            "admissions"
        ]
    take_back(office, done.id)
    with office.db.reading() as session:
        assert topic_by_code(session, "permits").label["en"] == "Permits"
        with pytest.raises(NotFound):
            topic_by_code(session, "lost")
        rules = office.published(session, office.now() + timedelta(seconds=1)).rules.rules
        assert [rule.id for rule in rules] == ["newspapers", "desk"]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "toml"])
def test_topics_that_were_exported_change_nothing(office: Parts, format: str) -> None:
    with office.db.reading() as session:
        text = "".join(exports.write_topics(session, format))

    plan, _ = look(office, source(text, f"topics.{format}"))

    assert str(plan.tally) == "0 added, 0 changed, 3 same, 0 errors"


def test_a_table_of_topics_changes_only_what_it_names(office: Parts) -> None:
    take(office, "code,label_en,department\npermits,Permits to park,\napply,,media\n")

    with office.db.reading() as session:
        permits, apply = topic_by_code(session, "permits"), topic_by_code(session, "apply")
        assert permits.label == {"en": "Permits to park", "zh-Hans": "Permits事项"}
        assert apply.department_id == department_by_slug(session, "media").id
        assert apply.label["en"] == "Apply"


def test_unknown_properties_of_a_card_are_kept(office: Parts) -> None:
    parking = found(office, "parking")
    card = (
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:{parking.id}\r\nFN:Parking\r\n"
        "X-QQ:10001\r\nEND:VCARD\r\n"
    )

    take(office, source(card, "x.vcf"))

    assert found(office, "parking").extra == {"vcard": ["X-QQ:10001"]}
    assert b"X-QQ:10001\r\n" in exported(office, "vcf")
    assert b"X-QQ" not in exported(office, "vcf", private=False)


# ------------------------------------------------------------------ many


def test_more_than_a_chunk_is_added_found_and_undone(office: Parts) -> None:
    lines = ["slug,name_en,name_zh_hans,parent,phone,email"]
    for n in range(1_203):
        above = f"unit-{n + 1}" if n % 7 == 0 and n < 1_200 else "parking"
        lines.append(
            f"unit-{n},Unit {n},第{n}单位,{above},+86 25 8{n:07d},unit{n}@institute.example"
        )
    seen: list[tuple[int, int]] = []

    done = take(office, "\n".join(lines), progress=lambda at, total: seen.append((at, total)))

    assert str(done.tally) == "1203 added, 0 changed, 0 same, 0 errors"
    assert seen == [(500, 1203), (1000, 1203), (1203, 1203)]
    with office.db.reading() as session:
        assert exports.count(session) == 1_207
        rows = "".join(exports.write_csv(session, settings=office.settings, now=office.now()))
    assert rows.count("\r\n") == 1_208
    plan, _ = look(office, rows)
    assert str(plan.tally) == "0 added, 0 changed, 1207 same, 0 errors"
    assert found(office, "unit-0").parent_id == found(office, "unit-1").id
    take_back(office, done.id)
    with office.db.reading() as session:
        assert exports.count(session) == 4


def test_planting_is_another_way_to_the_same(parts: Parts) -> None:
    path = seed_folder() / "sample.toml"
    with parts.db.writing() as session:
        plant(session, path, settings=parts.settings, now=parts.now(), by="init")

    plan, _ = look(parts, source(path.read_bytes(), "sample.toml"))

    assert str(plan.tally) == "0 added, 0 changed, 17 same, 0 errors"


def test_a_topic_s_question_is_imported_whole_or_refused_with_what_is_wrong_in_it(office):
    good = 'question = {code = "cars", label = {en = "How many?"}}\n'
    bad = 'question = {code = "cars", label = "How many?"}\n'
    topic = '[[topics]]\ncode = "permits"\nlabel = {en = "Permits"}\ndepartment = "parking"\n'

    take(office, source(topic + good, "seed.toml"))
    plan, changes = look(office, source(topic + bad, "seed.toml"))

    with office.db.reading() as session:
        asked = topic_by_code(session, "permits").question
    assert asked == {"code": "cars", "label": {"en": "How many?"}}
    assert plan.tally.errors == 1
    [problem] = [it for change in changes for it in change.problems]
    assert (problem.column, problem.code) == ("question", "question.label")


# Rules on the way in


RULES_IN = """
[[rules]]
id = "gate"
name = { en = "Gate" }
when = { words = { any = ["gate", "大门"] } }
send_to = "media"

[[rules]]
id = "desk"
send_to = "enquiry-desk"

[[examples]]
name = "the gate"
enquiry = { message = "the gate" }
expect = "media"
"""


def test_examples_come_in_with_the_rules_and_go_when_that_is_undone(office: Parts) -> None:
    plan, changes = look(office, source(RULES_IN, "rules.toml"))
    done = take(office, source(RULES_IN, "rules.toml"))

    def kept() -> list[str]:
        with office.db.reading() as session:
            rules = office.published(session, office.now() + timedelta(seconds=1)).rules
        return [example.name for example in rules.examples]

    assert str(plan.tally) == "0 added, 1 changed, 0 same, 0 errors"
    assert {"gate", "newspapers", "example the gate"} <= changes[0].cells.keys()
    assert kept() == ["the gate"]
    take_back(office, done.id)
    assert kept() == []


def test_rules_with_errors_or_broken_examples_are_not_taken_in_with_the_rest(office: Parts) -> None:
    topic = '\n[[topics]]\ncode = "lost"\nlabel = { en = "Lost" }\ndepartment = "media"\n'
    never = RULES_IN.replace(
        '[[rules]]\nid = "desk"',
        '[[rules]]\nid = "never"\nsend_to = "parking"\n'
        'when = { all = [{ words = { any = ["gate"] } }, { topic = ["apply"] }] }\n'
        '[[rules]]\nid = "desk"',
    )
    before = everything(office)

    for rules in (never, RULES_IN.replace('expect = "media"', 'expect = "parking"')):
        with pytest.raises(Conflict, match="These rules cannot be published"):
            take(office, source(topic + rules, "seed.toml"))

    assert everything(office) == before
