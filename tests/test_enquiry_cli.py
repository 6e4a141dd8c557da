"""Enquiries at the command line: shown with their tags and reasons, passed on, released."""

from __future__ import annotations

import pytest

from directory.adapters.queries import enquiry_by_ref, topic_by_code
from directory.domain.enquiry import EnquiryStatus
from directory.domain.values import Reference


def test_an_enquiry_is_passed_on_once_and_shows_its_way(run, ref):
    first = run("enquiry", "reroute", ref, "media", "--note", "Yours", "--as", "li@x.example")
    again = run("enquiry", "reroute", ref, "media", "--as", "li@x.example", "--json")
    shown = run("enquiry", "show", ref)
    routing = run("enquiry", "show", ref, "--json").json["routing"]

    assert (first.code, first.out) == (0, f"{ref}  → media\n")
    assert (again.json["repeated"], again.json["to"]) == (True, "media@institute.example")
    assert "→ media@institute.example (moved: Parking passed it on)" in shown.out
    assert "✓ the topic’s department" in shown.out  # why it went to Parking is still told
    assert [(it["by"], it["reason"]) for it in routing["decisions"]] == [
        (None, "topic"),
        ("li@x.example", "moved"),
    ]


def test_the_third_move_says_that_it_goes_to_the_desk(run, ref):
    run("enquiry", "reroute", ref, "media")
    run("enquiry", "reroute", ref, "admissions")

    third = run("enquiry", "reroute", ref, "media", "--json")

    assert (third.json["department"], third.json["to_desk"]) == ("enquiry-desk", True)
    assert "goes to the desk" in third.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("REF", "nowhere"), 4),
        (("ENQ-0000-0000", "media"), 4),
        (("nonsense", "media"), 2),
        (("REF", "parking"), 5),
        (("REF", "media", "--version", "7"), 5),
    ],
)
def test_a_move_that_cannot_be_made_says_why_and_moves_nothing(run, ref, arguments, code):
    refused = run("enquiry", "reroute", *(ref if it == "REF" else it for it in arguments))

    assert (refused.code, refused.out) == (code, "") and refused.err
    assert run("enquiry", "show", ref, "--json").json["destination"]["department"] == "parking"


def test_topics_are_listed_by_how_often_they_were_passed_on(run, ref):
    assert run("enquiry", "misrouted").out == "  0%  0 of 1  permits\n"
    run("enquiry", "reroute", ref, "media")

    assert run("enquiry", "misrouted").out == "100%  1 of 1  permits\n"
    told = run("enquiry", "misrouted", "--json").json
    assert told == {"topics": [{"topic": "permits", "received": 1, "moved": 1, "share": 1.0}]}


def test_a_dry_run_of_a_move_tells_where_it_would_go(run, ref):
    tried = run("enquiry", "reroute", ref, "media", "--dry-run")

    assert tried.out == f"{ref}  → media\n"
    assert run("enquiry", "show", ref, "--json").json["destination"]["department"] == "parking"


def test_a_held_enquiry_is_released_once(run, ref, office):
    with office.db.writing() as session:
        enquiry_by_ref(session, Reference.parse(ref).symbols).status = EnquiryStatus.HELD

    released = run("enquiry", "release", ref, "--reason", "a real visitor", "--json")
    again = run("enquiry", "release", ref)

    assert (released.json["status"], released.json["department"]) == ("received", "parking")
    assert again.code == 5 and "not held" in again.err


def test_tags_are_listed_and_shown(run, ref, office):
    with office.db.writing() as session:
        enquiry_by_ref(session, Reference.parse(ref).symbols).tags = ["press", "来访"]

    assert run("enquiry", "list").out.rstrip().endswith("#press  #来访")
    assert run("enquiry", "list", "--json").json["items"][0]["tags"] == ["press", "来访"]
    assert "tags            press, 来访" in run("enquiry", "show", ref).out
    assert run("enquiry", "show", ref, "--json").json["tags"] == ["press", "来访"]


def test_a_trace_is_told_in_full_and_says_when_the_directory_changed(run, ref, office):
    whole = run("enquiry", "show", ref, "--trace", "--json")
    assert [it["id"] for it in whole.json["routing"]["trace"]] == ["newspapers", None]
    assert whole.err == ""

    with office.db.writing() as session:
        topic_by_code(session, "permits").label = {"en": "Car parks", "zh-Hans": "停车场"}

    later = run("enquiry", "show", ref, "--trace")
    assert "topic is Car parks" in later.out and "has changed since" in later.err
    assert "topic is Permits" in run("enquiry", "show", ref).out
