"""Mail as it comes back: reports of mail systems, notices of programs, answers of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from directory.parts import Parts
from directory.services import inbox
from tests.builders import SetClock

DAEMON = "MAILER-DAEMON@mx.example.net"


def dsn(
    to: str,
    recipient: str = "parking@institute.example",
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <parking@institute.example>: no such user",
    more: str = "",
    returned: str = "",
    original: str = "",
) -> bytes:
    """A delivery status notification (RFC 3464) as Postfix writes it."""
    given = f"Original-Recipient: rfc822;{original}\n" if original else ""
    return f"""\
Return-Path: <>
From: {DAEMON} (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <20261123.1@mx.example.net>
Date: Mon, 23 Nov 2026 12:01:00 +0800
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="b1/mx.example.net"

This is a MIME-encapsulated message.

--b1/mx.example.net
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--b1/mx.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Mon, 23 Nov 2026 12:00:00 +0800

{given}Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mail.institute.example
Diagnostic-Code: {diagnostic}
{more}
--b1/mx.example.net
Content-Type: message/rfc822

{returned or "Subject: gone"}

--b1/mx.example.net--
""".replace("\n", "\r\n").encode()


def a_letter(
    to: str,
    *,
    sender: str = "Chen Hui <chenhui@institute.example>",
    subject: str = "Re: your question",
    text: str = "You may park at gate 2.",
    **headers: str,
) -> bytes:
    """A message that a person could have written; *headers* with "_" for "-"."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return f"""\
From: {sender}
To: {to}
Subject: {subject}
Message-ID: <answer.1@mail.institute.example>
Date: Mon, 23 Nov 2026 14:00:00 +0800
{more}MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{text}
""".replace("\n", "\r\n").encode()


def come_back(
    parts: Parts,
    content: bytes,
    to: str = "",
    *,
    sender: str | None = "",
    work: bool = True,
) -> bool:
    """Let *content* arrive, a second after whatever was before, and be sorted."""
    if isinstance(parts.now, SetClock):
        parts.now.advance(seconds=1)
    new = inbox.receive(parts, content, source="pipe", envelope_from=sender, envelope_to=to)
    if work:
        while inbox.work_off(parts):
            pass
    return new


# What programs write when nobody is there, by what tells them.
AUTOMATIC: Mapping[str, dict[str, Any]] = {
    "RFC 3834": {"Auto_Submitted": "auto-replied"},
    "RFC 3834 with a word more": {"Auto_Submitted": "auto-replied; vacation"},
    "generated": {"Auto_Submitted": "auto-generated"},
    "Exchange": {"X_Auto_Response_Suppress": "All"},
    "Precedence": {"Precedence": "bulk"},
    "auto_reply": {"Precedence": "auto_reply"},
    "a list": {"List_Id": "<all.institute.example>"},
    "one may unsubscribe": {"List_Unsubscribe": "<https://x.example>"},
    "X-Autoreply": {"X_Autoreply": "yes"},
    "English": {"subject": "Automatic reply: your question"},
    "out of office": {"subject": "Out of Office: back on Monday"},
    "after Re": {"subject": "Re: Auto: out of the office until 3 December"},
    "Chinese": {"subject": "自动回复：停车咨询"},
    "Chinese, encoded": {"subject": "=?utf-8?B?6Ieq5Yqo5Zue5aSN77ya5YGc6L2m?="},
    "Chinese, in GB 2312": {"subject": "=?gb2312?B?19S2r7vYuLSjusTjusM=?="},
    "traditional": {"subject": "自動回覆: 您好"},
    "absent": {"subject": "不在办公室"},
    "German": {"subject": "Automatische Antwort: Frage"},
    "French": {"subject": "Réponse automatique : question"},
    "no-reply": {"sender": "no-reply@institute.example"},
}
