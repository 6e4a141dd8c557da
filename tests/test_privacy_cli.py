"""Personal data at the command line: given out, deleted, and let go of when its time is over."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from directory.adapters.queries import enquiry_by_ref
from directory.domain.values import Reference


def name_of(office, ref):
    with office.db.reading() as session:
        return enquiry_by_ref(session, Reference.parse(ref).symbols).name


def test_an_enquiry_is_erased_once_and_only_when_it_is_certain(run, office, ref):
    unsure = run("enquiry", "erase", ref)
    dry = run("enquiry", "erase", ref, "--dry-run", "--json")
    assert (unsure.code, dry.code) == (5, 0) and "--yes" in unsure.err
    assert dry.json["erased"] is True and name_of(office, ref) == "Li Wei"

    done = run(
        "enquiry", "erase", ref, "--yes", "--reason", "asked by letter", "--as", "li@x.example"
    )
    again = run("enquiry", "erase", ref, "--yes", "--json")

    assert (done.code, done.out) == (0, f"{ref}  erased\n")
    assert (again.code, again.json["erased"]) == (0, False)
    assert name_of(office, ref) == ""
    shown = run("enquiry", "show", ref, "--json").json
    assert (shown["name"], shown["message"]) in {(None, None), ("", ""), (None, "")}
    event = next(it for it in shown["events"] if it["type"] == "erased")
    assert (event["by"], event["note"]) == ("li@x.example", "asked by letter")
    assert run("audit", "verify").code == 0


@pytest.mark.parametrize(("ref", "code"), [("ENQ-0000-0000", 4), ("nonsense", 2)])
def test_what_is_not_there_is_not_erased(run, office, ref, code):
    assert run("enquiry", "erase", ref, "--yes").code == code


def test_a_person_is_given_all_that_is_kept_and_then_has_it_deleted(run, office, ref, tmp_path):
    out = tmp_path / "given.zip"
    given = run("person", "export", "LiWei@Example.com", "--output", str(out))
    assert given.code == 0
    archive = zipfile.ZipFile(io.BytesIO(out.read_bytes()))
    [told] = json.loads(archive.read("enquiries.json"))["enquiries"]
    assert (told["ref"], told["name"]) == (ref, "Li Wei") and "README.txt" in archive.namelist()

    assert run("person", "erase", "liwei@example.com").code == 5
    done = run("person", "erase", "liwei@example.com", "--yes", "--json")

    assert done.json == {"enquiries": [ref], "reports": 0, "mails": 0}
    assert name_of(office, ref) == ""
    assert run("person", "export", "liwei@example.com", "--output", str(out)).code == 4
    assert run("person", "erase", "no address", "--yes").code == 2


def test_retention_is_run_and_run_again(run, office, ref):
    with office.db.writing() as session:
        found = enquiry_by_ref(session, Reference.parse(ref).symbols)
        found.received_at = found.received_at.replace(year=2020)
        found.closed(found.received_at)

    dry = run("retention", "run", "--dry-run", "--json")
    first, second = run("retention", "run", "--json"), run("retention", "run", "--json")

    assert dry.json == first.json == {"closed": 0, "erased": 1}
    assert second.json == {"closed": 0, "erased": 0}
    assert name_of(office, ref) == ""
