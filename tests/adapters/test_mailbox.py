from __future__ import annotations

import multiprocessing
import os
import signal
import smtplib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTPUTF8
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from directory.adapters.compose import compose
from directory.adapters.mail import open_transport
from directory.adapters.mailbox import keep_message, read_mailbox, read_message, serve_mailbox
from directory.domain.errors import NotFound
from tests.adapters.mails import a_routed_delivery, an_acknowledgement

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CONTENT = b"Subject: x\r\n\r\n.\r\nbody\r\n"


def test_a_kept_message_is_the_bytes_sent_below_its_envelope(tmp_path):
    kept = keep_message(
        tmp_path, "a@example.org", ["b@example.org", "c@example.org"], CONTENT, now=NOON
    )

    assert read_message(tmp_path, kept) == (
        b"Return-Path: <a@example.org>\r\n"
        b"Delivered-To: b@example.org\r\nDelivered-To: c@example.org\r\n" + CONTENT
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"{kept}.eml"]


@pytest.mark.parametrize("durable", [True, False])
def test_the_mailbox_lists_the_newest_first(tmp_path, durable):
    ids = [
        keep_message(
            tmp_path,
            "a@x.example",
            ["b@x.example"],
            CONTENT,
            now=NOON + timedelta(seconds=n),
            durable=durable,
        )
        for n in range(5)
    ]

    assert [item.id for item in read_mailbox(tmp_path)] == ids[::-1]
    assert [item.id for item in read_mailbox(tmp_path, limit=2)] == ids[:-3:-1]


def test_an_item_says_what_a_person_looks_for(tmp_path):
    delivery = a_routed_delivery(subject="成绩单")
    kept = keep_message(
        tmp_path, delivery.envelope_sender, [delivery.recipient], compose(delivery), now=NOON
    )

    [item] = read_mailbox(tmp_path)
    assert item.as_json() == {
        "id": kept,
        "received_at": "2026-11-23T12:00:00+00:00",
        "envelope_from": "bounce+r1-x@institute.example",
        "envelope_to": ["admissions@institute.example"],
        "from": "Li Wei via Institute Contact <contact@institute.example>",
        "to": "Admissions Office <admissions@institute.example>",
        "reply_to": "Li Wei <liwei@example.com>",
        "subject": "[ENQ-7K4M-2QXD] Apply to study: 成绩单",
        "kind": "routed",
        "ref": "ENQ-7K4M-2QXD",
    }


def test_what_a_message_does_not_say_is_null(tmp_path):
    keep_message(tmp_path, "", ["b@x.example"], b"\r\nno header at all\r\n", now=NOON)

    [item] = read_mailbox(tmp_path)
    assert item.envelope_from == ""
    assert (item.from_, item.to, item.subject, item.kind, item.ref) == (None,) * 5


def test_a_mailbox_that_is_not_there_yet_is_empty(tmp_path):
    assert read_mailbox(tmp_path / "mail") == []


def test_files_that_are_none_of_ours_are_left_alone(tmp_path):
    (tmp_path / "notes.eml").write_bytes(CONTENT)
    (tmp_path / ".20261123T120000.000000-00000000.part").write_bytes(b"half")

    assert read_mailbox(tmp_path) == []


@pytest.mark.parametrize(
    "message_id",
    [
        "../secret",
        "..%2fsecret",
        "20261123T120000.000000-00000000/../../secret",
        "20261123T120000.000000-00000000",
        "20261123T120000.000000-0000000g",
        "20261123T120000.000000-00000000\n",
        "",
        "\x00",
        "notes",
    ],
)
def test_only_the_mailboxs_own_messages_can_be_read(tmp_path, message_id):
    folder = tmp_path / "mail"
    folder.mkdir()
    (tmp_path / "secret.eml").write_bytes(b"secret")
    (folder / "notes.eml").write_bytes(b"notes")

    with pytest.raises(NotFound):
        read_message(folder, message_id)


# The server


def _serve(folder: Path, port: int, pipe: Connection) -> None:
    serve_mailbox(folder, "127.0.0.1", port, ready=pipe.send)


def start_mailbox(folder: Path) -> tuple[SpawnProcess, int]:
    """A mailbox in a process of its own, and its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, 0, theirs))
    process.start()
    assert ours.poll(30)
    return process, ours.recv()


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The folder and port of one mailbox for all tests here: each looks at what came last."""
    folder = tmp_path_factory.mktemp("mailbox") / "mail"
    process, port = start_mailbox(folder)
    yield folder, port
    process.kill()
    process.join()


def test_mail_sent_to_the_loopback_mailbox_is_found_in_it(mailbox):
    folder, port = mailbox
    transport = open_transport(f"smtp://127.0.0.1:{port}")
    for delivery in (a_routed_delivery(message=".\n..\n."), an_acknowledgement()):
        content = compose(delivery)
        accepted = transport.send(delivery.envelope_sender, delivery.recipient, content)
        newest = read_mailbox(folder)[0]

        assert accepted.queue_id == newest.id
        assert newest.envelope_from == delivery.envelope_sender
        assert newest.envelope_to == (delivery.recipient,)
        assert read_message(folder, newest.id).endswith(b"\r\n" + content)
    transport.close()


def test_the_loopback_mailbox_takes_addresses_beyond_ascii(mailbox):
    folder, port = mailbox
    message = EmailMessage(policy=SMTPUTF8)
    message["To"] = "招生@example.org"
    message.set_content("x\n")
    transport = open_transport(f"smtp://127.0.0.1:{port}")
    transport.send("a@example.org", "招生@example.org", bytes(message))
    transport.close()

    item = read_mailbox(folder)[0]
    assert item.envelope_to == ("招生@example.org",)
    assert item.to == "招生@example.org"


def test_the_loopback_mailbox_keeps_a_message_for_several_once(mailbox):
    folder, port = mailbox
    before = len(read_mailbox(folder))
    with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as client:
        client.sendmail("a@example.org", ["b@example.org", "c@example.org"], CONTENT)

    item, *others = read_mailbox(folder)
    assert len(others) == before
    assert item.envelope_to == ("b@example.org", "c@example.org")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loopback_mailbox_ends_when_told_and_frees_its_port(tmp_path, number):
    process, port = start_mailbox(tmp_path / "mail")
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(10)

    assert process.exitcode == 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert listener.getsockname()[1] == port


def test_a_port_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serve_mailbox(tmp_path / "mail", "127.0.0.1", port)
