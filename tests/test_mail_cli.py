"""What comes back, at the command line: a mail system's pipe, and the list of what fits nothing."""

from __future__ import annotations

import io
import os
import smtplib
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.adapters.db import Database, incoming
from directory.adapters.queries import deliveries_of, enquiry_by_ref
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.values import Reference
from directory.services import inbound, inbox
from tests.commands import KEY
from tests.faults.serving import ENVIRON
from tests.returned import a_letter, dsn
from tests.services.test_deliveries import accept
from tests.support import free_port


@pytest.fixture
def routed(office, ref) -> Delivery:
    """The mail of one enquiry to its department, accepted."""
    with office.db.reading() as session:
        enquiry = enquiry_by_ref(session, Reference.parse(ref).symbols)
        sent = [d for d in deliveries_of(session, enquiry) if d.kind is DeliveryKind.ROUTED]
    accept(office, sent[0])
    return sent[0]


def rows(db: Database) -> list[sa.Row]:
    with db.reading() as session:
        return list(session.execute(sa.select(incoming).order_by(incoming.c.id)))


def test_a_bounce_through_the_pipe_is_kept_and_sorted_at_once(run, ref, routed, office):
    report = dsn(routed.envelope_sender)

    done = run(
        *("mail", "receive", "--sender", "<>", "--recipient", routed.envelope_sender, "--json"),
        stdin=report,
    )
    again = run(
        *("mail", "receive", "--sender", "", "--recipient", routed.envelope_sender, "--json"),
        stdin=report,
    )

    assert (done.code, done.json) == (0, {"kept": 1, "repeats": 0})
    assert (again.code, again.json) == (0, {"kept": 0, "repeats": 1})
    shown = run("enquiry", "show", ref, "--json").json
    assert (shown["status"], shown["attention"]) == ("received", "bounced")
    assert [row.envelope_from for row in rows(office.db)] == [""]


@pytest.mark.parametrize(
    ("environ", "sender", "recipient"),
    [
        ({"SENDER": "a@b.example", "RECIPIENT": "c@d.example"}, "a@b.example", "c@d.example"),
        (
            {"SENDER": "MAILER-DAEMON", "RECIPIENT": "c@d", "ORIGINAL_RECIPIENT": "e@f.example"},
            "",
            "e@f.example",
        ),
        ({}, None, ""),
    ],
)
def test_the_envelope_is_told_as_mail_systems_tell_it(
    run, office, monkeypatch, environ, sender, recipient
):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert run("mail", "receive", stdin=a_letter("x@y.example")).code == 0

    [row] = rows(office.db)
    assert (row.envelope_from, row.envelope_to) == (sender, recipient)


def test_one_message_for_several_is_kept_for_each(run, office):
    to = ("--recipient", "a@b.example", "--recipient", "c@d.example")

    assert run("mail", "receive", *to, "--json", stdin=a_letter("x")).json["kept"] == 2

    assert {row.envelope_to for row in rows(office.db)} == {"a@b.example", "c@d.example"}


def test_what_cannot_be_kept_stays_with_the_mail_system(run, bare, installed, monkeypatch):
    """Exit 75, EX_TEMPFAIL: whatever is wrong, also what would be wrong with no other command."""
    letter = a_letter("x@y.example", text="SECRET")
    arguments = ("mail", "receive")

    def locked(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    broken = bare(*arguments, "--config", "nowhere.toml", stdin=letter)
    unsafe = bare(*arguments, "--config", str(installed), stdin=letter, ENV="production")
    no_database = run(*arguments, stdin=letter, DATABASE__URL="postgresql://127.0.0.1:1/x")
    monkeypatch.setattr(inbox, "receive", locked)
    ours = run(*arguments, stdin=letter)

    for ended in (broken, unsafe, no_database, ours):
        assert (ended.code, ended.out) == (75, "")
        assert "not kept" in ended.err and "SECRET" not in ended.err


def test_what_cannot_be_sorted_is_kept_all_the_same(run, office, monkeypatch):
    def broken(*_: object, **__: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(inbox, "work_off", broken)

    assert run("mail", "receive", stdin=a_letter("x@y.example")).code == 0

    assert rows(office.db)[0].state == "new"


def test_a_message_is_read_as_it_streams_and_cut_where_it_is_too_long(monkeypatch):
    """Seen to fail with a plain read(), which keeps all of it in memory."""

    class Long(io.RawIOBase):
        left = 40_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            count = min(len(buffer), self.left)
            buffer[:count] = b"x" * count
            self.left -= count
            return count

    from directory.cli import inbound as command

    monkeypatch.setattr(command.sys, "stdin", io.TextIOWrapper(io.BufferedReader(Long())))
    tracemalloc.start()
    content, size = command._read(inbound.KEPT)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (len(content), size) == (inbound.KEPT, 40_000_000)
    assert most < 30_000_000


def test_the_pipe_works_as_a_program(sqlite_url, tmp_path: Path) -> None:
    environ = {
        **ENVIRON,
        "DIRECTORY_DATABASE__URL": sqlite_url,
        "DIRECTORY_SECRET_KEY": KEY,
        "SENDER": "",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from directory.cli import main; main()"),
            *("mail", "receive", "--recipient", "a@b.example"),
        ],
        input=a_letter("x@y.example"),
        capture_output=True,
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        timeout=60,
    )

    db = Database(sqlite_url)
    kept = rows(db)
    db.dispose()
    assert (done.returncode, done.stdout) == (0, b"")
    assert [row.envelope_to for row in kept] == ["a@b.example"]


def test_what_fits_nothing_is_listed_without_its_words(run, ref):
    run("mail", "receive", "--sender", "a@b.example", stdin=a_letter("x", subject=f"Re: [{ref}]"))

    listed = run("mail", "queue", "--holding")
    as_json = run("mail", "queue", "--holding", "--json").json["items"]

    assert ref in listed.out and "no address of ours" in listed.out
    assert "a@b.example" not in listed.out and "park" not in listed.out
    assert [(it["ref"], it["source"], it["reason"]) for it in as_json] == [
        (ref, "pipe", "no address of ours")
    ]
    assert "nothing" not in listed.out


def test_what_is_held_can_be_looked_at_and_seen_to(run, office):
    letter = a_letter("x", text="hello there")
    run("mail", "receive", "--sender", "a@b.example", stdin=letter)
    [item] = run("mail", "queue", "--holding", "--json").json["items"]

    assert run("mail", "queue", "--show", item["id"]).out == letter.decode().replace("\r", "")
    done = run("mail", "queue", "--discard", item["id"], "--as", "li@x.example")

    assert (done.code, done.out) == (0, f"discarded {item['id']}\n")
    [row] = rows(office.db)
    assert (row.state, row.reason, row.content) == ("done", "discarded by li@x.example", None)
    for option in ("--show", "--discard"):
        assert run("mail", "queue", option, item["id"]).code == 4


def test_an_empty_list_says_so(run):
    assert run("mail", "queue", "--holding").out == "nothing is held\n"


def test_mail_is_taken_in_by_a_process_of_its_own(sqlite_url, tmp_path: Path) -> None:
    """For those who start web and workers by themselves."""
    port = free_port()
    environ = {
        **ENVIRON,
        "DIRECTORY_DATABASE__URL": sqlite_url,
        "DIRECTORY_SECRET_KEY": KEY,
        "DIRECTORY_INBOUND__LMTP": f"127.0.0.1:{port}",
    }
    program = [sys.executable, "-c", "from directory.cli import main; main()", "worker"]
    with subprocess.Popen(
        [*program, "--inbound"],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
                client.ehlo()
                assert client.sendmail("", ["a\x00@b.example"], a_letter("x")) == {}
        finally:
            process.terminate()
        assert process.wait(20) == 0

    db = Database(sqlite_url)
    [row] = rows(db)
    db.dispose()
    assert (row.source, row.envelope_from, row.envelope_to) == ("lmtp", "", "a@b.example")


def test_with_nothing_to_take_mail_in_by_there_is_nothing_to_do(run):
    assert run("worker", "--inbound").code == 3


# Replacing a mailbox


def test_a_mailbox_is_replaced_once_somebody_says_yes(run, ref):
    old, new = "parking@institute.example", "cars@institute.example"

    unsure = run("mail", "replace", old, new)
    tried = run("mail", "replace", old, new, "--dry-run")
    assert (unsure.code, unsure.out) == (5, "")
    assert f"+ {ref}: sent to {new}" in unsure.err and "--yes" in unsure.err
    assert f"+ {ref}: sent to {new}" in tried.out
    assert run("department", "show", "parking", "--json").json["emails"][0]["address"] == old

    done = run("mail", "replace", old, new, "--yes", "--reason", "closed", "--json")

    assert (done.code, done.json["sent_again"], done.json["rules"]) == (0, [ref], [])
    assert done.json["departments"] == [{"slug": "parking", "columns": ["email"]}]
    assert run("department", "show", "parking", "--json").json["emails"][0]["address"] == new
    kinds = [it["kind"] for it in run("mail", "queue", "--json").json["items"]]
    assert kinds.count("verification") == 1  # the new mailbox is asked
    assert run("mail", "replace", old, new, "--yes").code == 4
