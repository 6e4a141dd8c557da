"""The command line: what it prints where, and how it ends."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from directory import __version__
from directory.adapters import migrations
from directory.adapters.db import Database
from directory.adapters.queries import department_by_slug, events_of, version_of_directory
from directory.domain.delivery import DeliveryKind
from tests.commands import KEY
from tests.faults.smtp_server import Say, SmtpServer, no_server

# The frame


def test_the_version_is_the_programs(bare):
    assert bare("version").out == f"{__version__}\n"
    assert bare("version", "--json").json == {"version": __version__}


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("department", "show"),
        ("department", "list", "--colour"),
        ("mail", "retry"),
        ("enquiry", "list", "--status", "lost"),
        ("rules", "try", "--reply-language", "fr"),
        ("version", "--lang", "fr"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_ends_with_two_and_says_why(run, arguments):
    done = run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("department", "show", "gone"),
        ("department", "set", "gone", "notes=x"),
        ("enquiry", "show", "ENQ-0000-0000"),
        ("mail", "retry", "1"),
        ("mail", "preview", "routed", "--ref", "ENQ-0000-0000"),
        ("rules", "try", "--topic", "gone"),
        ("rules", "try", "--department", "gone"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_ends_with_four(run, arguments):
    done = run(*arguments)

    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("directory: ") and "Traceback" not in done.err


def test_a_configuration_that_cannot_be_used_ends_with_three_and_offers_a_remedy(bare, tmp_path):
    path = tmp_path / "directory.toml"
    path.write_text('[site]\nbase_ulr = "x"\n')

    done = bare("config", "show", "--config", str(path))

    assert (done.code, done.out) == (3, "")
    assert "did you mean “base_url”?" in done.err
    assert bare("config", "show", "--config", str(tmp_path / "none")).code == 3


def test_a_database_that_cannot_be_reached_ends_with_six(bare):
    for arguments in (("department", "list"), ("db", "current"), ("worker", "--once"), ("serve",)):
        done = bare(*arguments, DATABASE__URL="postgresql://postgres@127.0.0.1:1/x", SECRET_KEY=KEY)
        assert (done.code, done.out) == (6, ""), arguments


def test_errors_speak_the_language_asked_for(run):
    done = run("department", "set", "parking", "phone=abc", "--lang", "zh-Hans")

    assert done.code == 2
    assert "phone" in done.err


# Departments


def test_departments_are_listed_shown_and_given_as_the_api_has_them(run):
    listed = run("department", "list")
    assert (listed.code, listed.err) == (0, "")
    assert "parking  Parking\n" in listed.out
    assert "parking  Parking处\n" in run("department", "list", "--lang", "zh-Hans").out

    items = run("department", "list", "--json").json
    assert items["total"] == 4
    parking = next(item for item in items["items"] if item["slug"] == "parking")
    assert parking["phones"][0]["e164"] == "+862503455180"
    assert parking["emails"][0]["address"] == "parking@institute.example"
    assert parking["topics"] == ["permits"]

    shown = run("department", "show", "parking")
    assert "phone=+86 25 0345 5180\n" in shown.out and "deputy=admissions\n" in shown.out
    assert run("department", "show", "parking", "--json").json == parking


def test_a_department_is_added_changed_and_closed(run, office):
    added = run("department", "add", "library", "name_en=Library", "phone=025 0345 5190")
    assert added.code == 0
    assert "+ phone=+86 25 0345 5190\n" in added.out

    changed = run("department", "set", "library", "phone=025 0345 5191", "name_zh_hans=图书馆")
    assert sorted(changed.out.splitlines()) == [
        "+ name_zh_hans=图书馆",
        "+ phone=+86 25 0345 5191",
        "- phone=+86 25 0345 5190",
    ]
    assert run("department", "set", "library", "phone=025 0345 5191").out == "= nothing changed\n"
    asked = run("department", "close", "library", "--successor", "media")
    assert (asked.code, "--yes" in asked.err) == (5, True)

    closed = run("department", "close", "library", "--successor", "media", "--yes")

    assert closed.out == "closed library, succeeded by media\n"
    with office.db.reading() as session:
        library = department_by_slug(session, "library")
        assert library.successor_id == department_by_slug(session, "media").id
    assert "library" not in run("department", "list").out
    assert "library  Library  (closed)" in run("department", "list", "--all").out


def test_who_changed_a_department_and_why_is_kept(run, office):
    run("department", "set", "parking", "notes=x", "--as", "chen@x.example", "--reason", "asked")

    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
        event = events_of(session, f"department:{parking.id}")[-1]
    assert (event.by, event.note, event.after) == ("chen@x.example", "asked", {"notes": "x"})


def test_a_dry_run_shows_the_difference_and_keeps_nothing(run, office):
    done = run("department", "set", "parking", "notes=changed", "--dry-run")

    assert done.out == "+ notes=changed\n"
    assert "nothing was changed" in done.err
    assert run("department", "set", "parking", "notes=x", "--dry-run", "--quiet").err == ""
    with office.db.reading() as session:
        assert department_by_slug(session, "parking").notes == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("set", "parking", "phone=123/456"), 2, "phone"),
        (("set", "parking", "colour=red"), 2, "There is no column “colour”"),
        (("set", "parking", "novalue"), 2, "column=value"),
        (("set", "parking", "slug=media"), 2, "is used by Media"),
        (("add", "media", "name_en=Media"), 2, "is used by Media"),
        (("add", "library"), 2, "needs a name"),
        (("set", "parking", "parent=parking"), 2, "cannot be inside itself"),
        (("set", "enquiry-desk", "email=-"), 5, "needs a mailbox"),
        (("set", "enquiry-desk", "slug=desk"), 5, "keeps its name"),
        (("close", "enquiry-desk", "--successor", "media", "--yes"), 5, "cannot be closed"),
        (("close", "parking", "--successor", "parking", "--yes"), 5, "cannot take over"),
        (("close", "parking", "--successor", "gone", "--yes"), 4, "no department “gone”"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_change_that_would_break_a_rule_is_refused_and_keeps_nothing(
    run, office, arguments, code, said
):
    with office.db.reading() as session:
        before = version_of_directory(session)

    done = run("department", *arguments)

    assert (done.code, done.out) == (code, "")
    assert said in done.err
    with office.db.reading() as session:
        assert version_of_directory(session) == before


# Enquiries and mail


def test_enquiries_are_listed_without_texts_and_shown_with_all(run, ref):
    listed = run("enquiry", "list")
    assert listed.out.startswith(f"{ref}  ") and "parking" in listed.out
    assert "Li Wei" not in listed.out and "gate" not in listed.out
    assert run("enquiry", "list", "--status", "closed").out == ""
    assert run("enquiry", "list", "--department", "media", "--json").json["items"] == []

    shown = run("enquiry", "show", ref.lower())
    assert "| May I park at the gate?" in shown.out
    assert "· 1. Newspapers: topic is not Not sure" in shown.out
    assert "✓ the topic’s department: topic is Permits" in shown.out

    told = run("enquiry", "show", ref, "--json").json
    assert (told["ref"], told["status"]) == (ref, "received")
    assert told["destination"]["department"] == "parking"
    assert {delivery["kind"] for delivery in told["deliveries"]} == {"routed", "acknowledgement"}
    assert told["events"][0]["type"] == "received"


def test_the_queue_is_shown_sent_and_tried_again(run, ref, installed):
    queued = run("mail", "queue", "--json").json["items"]
    assert {item["status"] for item in queued} == {"queued"}
    assert {item["ref"] for item in queued} == {ref}

    with no_server() as url:
        deferred = run("worker", "--once", MAIL__URL=url)
    assert (deferred.code, deferred.out) == (1, "processed 2, deferred 2, failed 0\n")
    assert run("worker", "--once", "--json").json == {"processed": 0, "deferred": 0, "failed": 0}

    assert run("mail", "retry", "--all").out == "retried 2\n"
    sent = run("worker", "--once")

    assert (sent.code, sent.out) == (0, "processed 2, deferred 0, failed 0\n")
    assert run("mail", "queue").out == "the queue is empty\n"
    assert len(list((installed.parent.parent / "var" / "mail").glob("*.eml"))) == 2
    again = run("mail", "retry", queued[0]["id"])
    assert (again.code, "nothing to try again" in again.err) == (5, True)


def test_a_refusal_for_good_is_told_by_the_exit_code(run, ref):
    with SmtpServer(recipients={"parking@institute.example": Say("550 5.1.1 No")}) as server:
        done = run("worker", "--once", MAIL__URL=server.url)

        assert (done.code, done.out) == (1, "processed 3, deferred 0, failed 1\n")
        got = {recipient for message in server.messages for recipient in message.recipients}
    # Passed on to the deputy within the same run.
    assert got == {"admissions@institute.example", "liwei@example.com"}
    assert run("enquiry", "show", ref, "--json").json["attention"] == "refused"


@pytest.mark.parametrize("kind", ["routed", "copy", "acknowledgement"])
def test_a_message_can_be_looked_at_before_one_is_sent(run, ref, kind):
    made_up = run("mail", "preview", kind)
    real = run("mail", "preview", kind, "--ref", ref, "--json").json

    assert "Subject: " in made_up.out and "X-Enquiry-Kind: " + kind in made_up.out
    headers = dict(real["headers"])
    assert headers["X-Enquiry-Ref"] == ref
    assert ("May I park at the gate?" in real["body"]) is (kind != "acknowledgement")
    assert "<html" in run("mail", "preview", kind, "--html").out
    assert run("mail", "queue", "--json").json["total"] == 2  # nothing was added or sent


@pytest.mark.parametrize("kind", DeliveryKind)
def test_every_kind_of_message_can_be_looked_at(run, kind):
    shown = run("mail", "preview", kind.value)

    assert shown.code == 0
    assert f"X-Enquiry-Kind: {kind.value}" in shown.out
    assert "<html" in run("mail", "preview", kind.value, "--html").out


def test_a_trial_message_shows_what_the_mail_server_says(run):
    with SmtpServer() as server:
        done = run("mail", "test", "me@example.com", MAIL__URL=server.url)
        assert done.code == 0 and "250" in done.out
        assert server.messages[0].recipients == ("me@example.com",)
    with no_server() as url:
        assert run("mail", "test", "me@example.com", MAIL__URL=url).code == 6
    assert run("mail", "test", "not an address").code == 2


# Rules


def test_rules_are_listed_in_order_and_given_as_a_rule_file_has_them(run):
    lines = run("rules", "list").out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["1. newspapers", "2. desk"]
    assert "报社" in run("rules", "list", "--lang", "zh-Hans").out

    told = run("rules", "list", "--json").json
    assert told["version"] == 1
    assert [rule["id"] for rule in told["rules"]] == ["newspapers", "desk"]


def test_an_enquiry_can_be_tried_on_the_rules(run):
    text = ("--message", "I write for a newspaper")
    tried = run("rules", "try", "--topic", "not-sure", *text)
    assert tried.out == (
        "✓ 1. Newspapers: topic is Not sure and mentions “newspaper”\n→ media (rule 1)\n"
    )

    from_stdin = run("rules", "try", "--topic", "not-sure", "--message", "-", stdin="报社", **{})
    assert from_stdin.out.endswith("→ media (rule 1)\n")
    assert run("rules", "try", "--topic", "permits").out.endswith("→ parking (topic)\n")
    told = run("rules", "try", "--department", "media", "--json").json
    assert told["destination"]["department"] == "media"
    assert told["destination"]["reason"] == "department"
    assert told["recipient"] == "media@institute.example"


# Configuration and database


def test_the_configuration_is_shown_with_its_origins_and_without_its_secrets(run, installed):
    done = run("config", "show", "--origin", MAIL__URL="smtp://u:hush@127.0.0.1:2525")
    assert done.code == 0
    assert 'site.timezone = "Asia/Shanghai"  # file' in done.out
    assert 'mail.url = "smtp://u:•••@127.0.0.1:2525"  # env' in done.out
    assert 'site.desk = "enquiry-desk"  # default' in done.out
    assert "hush" not in done.out and KEY not in done.out
    assert run("config", "show", "--json").json["site.desk"]["value"] == "enquiry-desk"
    assert run("config", "path").out == f"{installed}\n"


def test_a_configuration_is_checked_as_production_would(bare, installed):
    assert bare("config", "check", "--config", str(installed)).code == 3
    good = bare("config", "check", "--config", str(installed), SECRET_KEY=KEY)
    assert (good.code, good.out) == (0, f"ok {installed}\n")
    wrong = bare(
        "config", "check", "--config", str(installed), SECRET_KEY=KEY, MAIL__URL="telnet://x"
    )
    assert (wrong.code, "mail.url" in wrong.err) == (3, True)


def test_the_database_is_brought_to_this_release(run, database_url):
    newest = migrations.newest()
    assert run("db", "current").out == f"{newest} (newest {newest})\n"
    database = Database(database_url)
    migrations.downgrade(database, "base")
    assert run("db", "current").code == 1
    refused = run("serve", "--port", "0")
    assert (refused.code, "directory db upgrade" in refused.err) == (3, True)
    assert run("worker", "--once").code == 3

    done = run("db", "upgrade", "--json")

    assert done.json == {"before": None, "after": newest, "broken_examples": []}
    assert run("db", "upgrade").out == f"{newest} → {newest}\n"
    assert migrations.current(database) == newest
    database.dispose()


# Starting


@pytest.mark.parametrize("verb", ["demo", "serve"])
def test_a_port_in_use_ends_with_five_and_offers_another(run, verb, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(
            verb, "--port", port, *(["--dir", str(tmp_path / "d")] if verb == "demo" else [])
        )

    assert (done.code, done.out) == (5, "")
    assert f"port {port}" in done.err and "--port 0" in done.err


def test_a_demo_mails_nobody_off_this_machine_unless_told_whom(bare, tmp_path):
    done = bare(
        "demo",
        "--port",
        "0",
        "--dir",
        str(tmp_path / "d"),
        MAIL__URL="smtp://mail.institute.example",
    )

    assert (done.code, done.out) == (3, "")
    assert "--mail-to" in done.err


def test_init_writes_what_serve_starts_from(bare, tmp_path):
    done = bare("init", str(tmp_path), "--desk-email", "desk@x.example")

    assert done.code == 0
    config = tmp_path / "config" / "directory.toml"
    assert done.out.splitlines()[0] == f"wrote {config}"
    key = tmp_path / "var" / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert bare("config", "check", "--config", str(config)).code == 0
    shown = bare("department", "show", "enquiry-desk", "--config", str(config))
    assert "email=desk@x.example\n" in shown.out
    tried = bare("rules", "try", "--topic", "not-sure", "--config", str(config), "--json")
    assert tried.json["recipient"] == "desk@x.example"


def test_init_overwrites_nothing_unless_told_to_and_never_the_key(bare, tmp_path):
    bare("init", str(tmp_path))
    config = tmp_path / "config" / "directory.toml"
    config.write_text("# mine\n" + config.read_text())
    key = (tmp_path / "var" / "secret_key").read_bytes()

    again = bare("init", str(tmp_path))

    assert (again.code, again.out) == (5, "")
    assert "--yes" in again.err and config.read_text().startswith("# mine")
    assert bare("init", str(tmp_path), "--yes").code == 0
    assert not config.read_text().startswith("# mine")
    assert (tmp_path / "var" / "secret_key").read_bytes() == key


def test_init_with_the_sample_has_the_real_record_and_its_topic(bare, tmp_path):
    assert bare("init", str(tmp_path), "--sample").code == 0

    config = str(tmp_path / "config" / "directory.toml")
    real = bare("department", "show", "international-cooperation", "--config", config, "--json")
    assert real.json["phones"][0]["e164"] == "+862583455189"
    assert real.json["phones"][1] | {"kind": "fax"} == real.json["phones"][1]
    assert real.json["phones"][1]["e164"] == "+862583455109"
    assert real.json["emails"][0]["address"] == "rdd@jitri.org"
    assert real.json["topics"] == ["cooperation"]
    tried = bare("rules", "try", "--topic", "cooperation", "--config", config, "--json")
    assert tried.json["recipient"] == "rdd@jitri.org"


def test_init_refuses_a_desk_address_that_is_none(bare, tmp_path):
    done = bare("init", str(tmp_path), "--desk-email", "desk")

    assert (done.code, done.out) == (2, "")
    assert not (tmp_path / "config").exists()


def test_flasks_own_command_line_knows_the_same_commands(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "directory", "config", "path"],
        cwd=tmp_path,
        env=dict(os.environ) | {"DIRECTORY_SECRET_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout) == (4, "")
    assert "No configuration file" in said.stderr
