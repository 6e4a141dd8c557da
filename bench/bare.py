"""The named alternative: one Flask view, SQL by hand, and a loop that mails. Nothing else.

It writes what ``directory`` writes for an enquiry (enquiry, decision, two outbox rows, event; one
synchronised commit) and sends two mails of about the same size. It checks nothing, shows nothing,
knows one department and one worker, and repeats a mail when it is killed. The web process is
``gunicorn bench.bare:app``, the loop ``python -m bench.bare``; both are told where by
BARE_DATABASE (a path, or a postgresql:// URL) and BARE_SMTP_PORT.
"""

from __future__ import annotations

import html
import json
import os
import secrets
import signal
import smtplib
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from flask import Flask, redirect, request
from werkzeug import Response

SCHEMA = """
CREATE TABLE enquiry (
    id {id} PRIMARY KEY, ref TEXT NOT NULL UNIQUE, form_token TEXT NOT NULL UNIQUE,
    received_at TEXT NOT NULL, language TEXT NOT NULL, topic TEXT NOT NULL, subject TEXT NOT NULL,
    message TEXT NOT NULL, name TEXT NOT NULL, organisation TEXT NOT NULL, email TEXT NOT NULL,
    phone TEXT NOT NULL, country TEXT NOT NULL, reply_language TEXT NOT NULL,
    status TEXT NOT NULL);
CREATE INDEX enquiry_received_at ON enquiry (received_at);
CREATE TABLE decision (
    id {id} PRIMARY KEY, enquiry_id BIGINT NOT NULL REFERENCES enquiry, at TEXT NOT NULL,
    recipient TEXT NOT NULL, reason TEXT NOT NULL, trace TEXT NOT NULL);
CREATE INDEX decision_enquiry_id ON decision (enquiry_id);
CREATE TABLE outbox (
    id {id} PRIMARY KEY, enquiry_id BIGINT NOT NULL REFERENCES enquiry, kind TEXT NOT NULL,
    recipient TEXT NOT NULL, state TEXT NOT NULL, due_at TEXT NOT NULL, sent_at TEXT);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'queued';
CREATE INDEX outbox_enquiry_id ON outbox (enquiry_id);
CREATE TABLE event (
    id {id} PRIMARY KEY, at TEXT NOT NULL, subject TEXT NOT NULL, type TEXT NOT NULL,
    after TEXT NOT NULL);
CREATE INDEX event_subject ON event (subject);
"""
DEPARTMENT = "desk@department.example"
SENDER = "contact@service.example"
BATCH = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

app = Flask(__name__)
_local = threading.local()


class Connection:
    """sqlite3 or psycopg, as far as either is needed here."""

    def __init__(self, database: str) -> None:
        self._postgres = database.startswith("postgresql:")
        if self._postgres:
            import psycopg

            self._inner: Any = psycopg.connect(database, autocommit=True)
        else:
            self._inner = sqlite3.connect(database, timeout=30, isolation_level=None)
            self._inner.execute("PRAGMA journal_mode = WAL")
            self._inner.execute("PRAGMA synchronous = FULL")

    def begin(self) -> None:
        self._inner.execute("BEGIN" if self._postgres else "BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._inner.execute("COMMIT")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        if self._postgres:
            statement = statement.replace("?", "%s")
        return self._inner.execute(statement, values)

    def make(self) -> None:
        """The tables, in an empty database."""
        for statement in SCHEMA.format(id="BIGINT" if self._postgres else "INTEGER").split(";"):
            if statement.strip():
                self._inner.execute(statement)


def connection() -> Connection:
    """This thread's connection."""
    if not hasattr(_local, "connection"):
        _local.connection = Connection(os.environ["BARE_DATABASE"])
    found: Connection = _local.connection
    return found


@app.post("/enquiries")
def send() -> Response:
    """Keep the form, queue two mails, answer with a reference."""
    form = request.form
    moment = datetime.now(UTC)
    now = moment.isoformat()
    number = int(moment.timestamp() * 1000) << 20 | secrets.randbits(20)
    ref = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    trace = json.dumps([{"rule": 1, "matched": True, "why": f"topic is {form['topic']}"}])
    db = connection()
    db.begin()
    db.execute(
        "INSERT INTO enquiry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            ref,
            form["form_token"],
            now,
            "en",
            form["topic"],
            form["subject"],
            form["message"],
            form["name"],
            form["organisation"],
            form["email"],
            form["phone"],
            form["country"],
            form["reply_language"],
            "received",
        ),
    )
    db.execute(
        "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?)",
        (number, number, now, DEPARTMENT, "topic", trace),
    )
    db.execute(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, NULL), (?, ?, ?, ?, ?, ?, NULL)",
        (
            *(number, number, "routed", DEPARTMENT, "queued", now),
            *(number + 1, number, "receipt", form["email"], "queued", now),
        ),
    )
    db.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
        (number, now, ref, "received", json.dumps({"to": DEPARTMENT})),
    )
    db.commit()
    return redirect(f"/e/{ref}?sent=1", 303)


# The loop

_FOOT = (
    "You are reading this because somebody used our contact form. Reply to this message and your "
    "answer goes to them directly. Details are kept for 365 days after the enquiry is closed."
)
_STYLE = "font:16px/1.5 sans-serif;color:#1b1f24;margin:0;padding:0"
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC',sans-serif"
_ROW = (
    f'<tr><td style="{_FONT};font-size:14px;line-height:20px;padding:4px 16px 4px 0;'
    'vertical-align:top;text-align:left;white-space:nowrap;color:#57606a">{}</td>'
    f'<td style="{_FONT};font-size:14px;line-height:20px;padding:4px 0;vertical-align:top;'
    'text-align:left;color:#1b1f24">{}</td></tr>'
)


def compose(kind: str, number: int, e: dict[str, Any]) -> EmailMessage:
    """The mail to the department, or the receipt."""
    message = EmailMessage(policy=policy.SMTP)
    facts = [("Reference", e["ref"]), ("Topic", e["topic"]), ("Received", e["received_at"])]
    if kind == "routed":
        message["From"] = f"{e['name']} via Service <{SENDER}>"
        message["To"] = DEPARTMENT
        message["Reply-To"] = e["email"]
        message["Subject"] = f"{e['ref']} {e['subject']}"
        facts += [
            ("Name", e["name"]),
            ("Organisation", e["organisation"]),
            ("E-mail", e["email"]),
            ("Phone", e["phone"]),
            ("Country", e["country"]),
            ("Reply in", e["reply_language"]),
        ]
        said = e["message"]
    else:
        message["From"] = f"Service <{SENDER}>"
        message["To"] = e["email"]
        message["Subject"] = f"{e['ref']} We have received your enquiry"
        facts += [("Status", f"https://service.example/e/{e['ref']}")]
        said = (
            "Thank you. Your enquiry is with the department that answers it, and you can see on "
            "the page below where it stands. You need not write again. " * 2
        )
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{number}@service.example>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Enquiry-Ref"] = e["ref"]
    lines = "\n".join(f"{label:<14}{value}" for label, value in facts)
    message.set_content(f"{said}\n\n{lines}\n\n-- \n{_FOOT}\n", cte="quoted-printable")
    rows = "\n".join(_ROW.format(label, html.escape(str(value))) for label, value in facts)
    paragraphs = html.escape(said).replace("\n", "<br>\n")
    message.add_alternative(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{e["ref"]}</title>'
        f'</head>\n<body style="{_STYLE}">\n<p style="{_STYLE}">{paragraphs}</p>\n'
        f'<table style="border-collapse:collapse;{_STYLE}">\n{rows}\n</table>\n'
        f'<p style="{_STYLE};font-size:13px;color:#57606a">{_FOOT}</p>\n</body></html>\n',
        subtype="html",
        cte="quoted-printable",
    )
    return message


def deliver() -> None:
    """Send what is queued over one connection, each mail's result committed before the next."""
    db = connection()
    server: smtplib.SMTP | None = None
    while True:
        due = db.execute(
            "SELECT o.id, o.kind, o.recipient, e.ref, e.received_at, e.topic, e.subject, "
            "e.message, e.name, e.organisation, e.email, e.phone, e.country, e.reply_language "
            "FROM outbox o JOIN enquiry e ON e.id = o.enquiry_id "
            "WHERE o.state = 'queued' ORDER BY o.due_at LIMIT ?",
            (BATCH,),
        ).fetchall()
        if not due:
            time.sleep(0.05)
            continue
        for number, kind, recipient, *rest in due:
            names = [
                "ref",
                "received_at",
                "topic",
                "subject",
                "message",
                "name",
                "organisation",
                "email",
                "phone",
                "country",
                "reply_language",
            ]
            message = compose(kind, number, dict(zip(names, rest, strict=True)))
            if server is None:
                server = smtplib.SMTP("127.0.0.1", int(os.environ["BARE_SMTP_PORT"]))
            server.send_message(message, SENDER, [recipient])
            db.begin()
            db.execute(
                "UPDATE outbox SET state = 'sent', sent_at = ? WHERE id = ?",
                (datetime.now(UTC).isoformat(), number),
            )
            db.commit()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    deliver()
