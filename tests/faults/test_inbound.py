"""The whole service beside a mail system: bounces handed over, answers fetched (F30, P11)."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.adapters.imap_server import PASSWORD, USER, ImapServer
from tests.faults.serving import Service, running
from tests.returned import a_letter, dsn
from tests.support import eventually, free_port
from tests.web.pages import TYPED


def mails(service: Service, kind: str = "routed") -> list[dict[str, Any]]:
    """What was sent of one kind, the newest first."""
    items = json.loads(service.get("/dev/mailbox.json").body)["items"]
    return [item for item in items if item["kind"] == kind]


def shown(service: Service, status: str) -> str | None:
    """Where the visitor's page says the enquiry stands."""
    return service.page(status).one("#status").attributes["data-status"]


def hand_over(port: int, content: bytes, to: str) -> int:
    with smtplib.LMTP("127.0.0.1", port, local_hostname="mail") as client:
        client.ehlo()
        client.mail("")
        client.rcpt(to)
        return client.data(content)[0]


def answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        return sock.recv(3) == b"220"


def test_f30_bounces_and_answers_find_their_enquiry_through_the_running_service(
    tmp_path: Path,
) -> None:
    """A bounce by LMTP goes to the desk; an answer in a mailbox, read by IMAP, ends the wait."""
    port = free_port()
    with ImapServer() as inbox:
        environ = {
            "DIRECTORY_INBOUND__LMTP": f"127.0.0.1:{port}",
            "DIRECTORY_INBOUND__IMAP": (
                f"imap://{USER}:{quote(PASSWORD)}@127.0.0.1:{inbox.port}/INBOX"
            ),
            "DIRECTORY_DELIVERY__SWEEP_S": "0.5",
        }
        folder = str(tmp_path / "kept")
        arguments = ["demo", "--port", "0", "--dir", folder]
        with running(arguments, tmp_path / "log", **environ) as demo:
            typed = demo.form() | TYPED | {"topic": "cooperation", "country": ""}
            sent = demo.ask("POST", "/en/enquiries", typed)
            status = sent.location.partition("?")[0]
            first = eventually(lambda: mails(demo) and mails(demo)[0], within=40)
            log_address = first["reply_to"].rpartition(", ")[2]
            assert log_address.startswith("log+")

            eventually(lambda: shown(demo, status) == "routed", within=40)

            # Killed and started again, it takes what comes all the same.
            for pid in demo.children():
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: answers(port) and demo.up, within=40, what="all are back")
            [to], bounced = first["envelope_to"], first["envelope_from"]
            assert hand_over(port, dsn(bounced, to), bounced) == 250
            assert hand_over(port, dsn(bounced, to), bounced) == 250  # a repeat changes nothing

            instead = eventually(lambda: len(mails(demo)) > 1 and mails(demo)[0], within=40)
            assert instead["envelope_to"] != first["envelope_to"]

            answer = a_letter(
                f"Li Wei <liwei@example.com>, {log_address}",
                sender=instead["envelope_to"][0],
                In_Reply_To="<x@y.example>",
            )
            inbox.add(b"Delivered-To: " + log_address.encode() + b"\r\n" + answer)

            eventually(lambda: shown(demo, status) == "answered", within=40)
            assert inbox.flags == {1: {"\\Seen"}}
            assert len(mails(demo)) == 2 and len(mails(demo, "acknowledgement")) == 1
            assert not demo.events("inbound.not_sorted")
