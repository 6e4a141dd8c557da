"""What comes back by mail: what was taken in, and what a report or a reply says.

Pure: how a message is read is :mod:`directory.adapters.inbound`, what follows from it
:mod:`directory.services.inbound`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# Evidence older than this no longer counts against a mailbox, nor does a report of an older mail.
EVIDENCE_COUNTS_DAYS = 30

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
# RFC 3463: refusals that tell of the message, of us or of the server, and not of the mailbox.
_OUR_ADDRESS = frozenset({(1, 7), (1, 8), (1, 9)})
_OUR_MESSAGE = frozenset({(2, 3), (2, 4), (3, 4)})
_NOT_OF_THE_MAILBOX = frozenset({5, 6, 7})


class IncomingState(StrEnum):
    """``NEW`` is to be sorted; ``HELD`` waits for a person; ``DONE`` is what it was good for."""

    NEW = "new"
    DONE = "done"
    HELD = "held"


class IncomingKind(StrEnum):
    """What a message turned out to be."""

    BOUNCE = "bounce"
    REPORT = "report"
    AUTOMATIC = "automatic"
    ANSWER = "answer"
    ADDITION = "addition"
    OURS = "ours"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a delivery status report says of one recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Status:
    """An enhanced status code (RFC 3463), "5.1.1" as (5, 1, 1)."""

    klass: int
    subject: int
    detail: int

    @classmethod
    def find(cls, text: str) -> Status | None:
        """The first one that stands in *text*; an IP address is none."""
        found = _STATUS.search(text)
        return cls(*map(int, found.groups())) if found else None

    @property
    def speaks_of_the_mailbox(self) -> bool:
        """Whether a refusal with this status tells that the mailbox is at fault.

        Not where it names our address, the message or its size, the protocol, or a policy:
        refusing one mail as unwanted says nothing of who reads the others.
        """
        pair = (self.subject, self.detail)
        return (
            self.subject not in _NOT_OF_THE_MAILBOX
            and pair not in _OUR_ADDRESS
            and pair not in _OUR_MESSAGE
        )

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What a report says of one recipient.

    ``recipients`` are the addresses it names it by, the original and the final one; ``status`` is
    None where none can be read; ``text`` is the other server's reply, cut to 500 characters, and
    ``server`` its name.
    """

    action: Action
    status: Status | None
    recipients: tuple[str, ...] = ()
    text: str = ""
    server: str = ""


@dataclass(eq=False, kw_only=True)
class Incoming:
    """One message that was taken in for one recipient, its bytes as they came.

    ``envelope_from`` is "" for the empty sender and None where nobody said; ``envelope_to`` is ""
    where nobody said. ``digest`` is the same for a repeat. ``size`` counts the octets that came,
    of which ``content`` may be the beginning; it is None once it was forgotten. ``due_at`` is when
    to sort it, ``tries`` how often that was begun. ``enquiry_id`` is what it belongs to, or, of
    one that is held, seems to.
    """

    received_at: datetime
    source: str
    envelope_from: str | None
    envelope_to: str
    digest: str
    size: int
    content: bytes | None
    due_at: datetime
    state: IncomingState = IncomingState.NEW
    tries: int = 0
    kind: str = ""
    reason: str = ""
    enquiry_id: int | None = None
    delivery_id: int | None = None
    sorted_at: datetime | None = None
    id: int = 0

    def done(self, kind: IncomingKind, now: datetime, reason: str = "") -> None:
        """It is what *kind* says, and all that follows from that was done."""
        self.state, self.kind, self.reason, self.sorted_at = IncomingState.DONE, kind, reason, now

    def held(self, reason: str, now: datetime, kind: IncomingKind = IncomingKind.UNKNOWN) -> None:
        """It fits nothing; *reason* in one word, for whoever looks at it."""
        self.state, self.kind, self.reason, self.sorted_at = IncomingState.HELD, kind, reason, now
