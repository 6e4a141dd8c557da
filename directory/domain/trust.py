"""How the directory learns that it is wrong: mailboxes asked, mistakes reported.

Nothing here changes a contact by itself but a confirmation; everything else proposes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# P12: a mailbox an admin entered gets one challenge and two reminders, and then silence.
REMINDERS = 2
REMIND_AFTER = timedelta(days=7)
# How long the link of a challenge opens; the last reminder is then a week old.
CHALLENGE_OPEN = timedelta(days=30)


class ProposalStatus(StrEnum):
    """``OPEN`` waits for an editor."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class ProposalSource(StrEnum):
    """Who says so: anybody on the public page, or the mailbox of the department itself."""

    PUBLIC = "public"
    MAILBOX = "mailbox"


@dataclass(eq=False, kw_only=True)
class Proposal:
    """Somebody says that something about a department is wrong, and perhaps what is right.

    ``what`` is which detail, ``correct`` what should stand there, both as typed. ``cells`` are
    columns with new values where the proposal says it so precisely that it can be applied.
    ``email`` may be empty; it is for asking back and is shown to editors only.
    """

    department_id: UUID
    source: ProposalSource
    what: str
    correct: str = ""
    cells: dict[str, str] = field(default_factory=dict)
    email: str = ""
    language: str = "en"
    at: datetime | None = None
    status: ProposalStatus = ProposalStatus.OPEN
    decided_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""
    id: int = 0


@dataclass(eq=False, kw_only=True)
class Challenge:
    """A mailbox was asked whether what the public sees of its department is right.

    ``symbols`` name it in its link (eight of Crockford's base 32). ``reminders`` counts those
    sent; ``version`` rises when its links are to end. It is answered once: by ``answered_at`` and
    ``answer`` ("confirmed", "proposed"), or ends unanswered after ``CHALLENGE_OPEN``.
    """

    symbols: str
    department_id: UUID
    contact_point_id: UUID
    address: str
    sent_at: datetime
    remind_at: datetime | None
    reminders: int = 0
    version: int = 1
    answered_at: datetime | None = None
    answer: str = ""
    id: int = 0

    @property
    def closes_at(self) -> datetime:
        """When its link stops to open."""
        return self.sent_at + CHALLENGE_OPEN

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be answered."""
        return self.answered_at is None and now < self.closes_at

    def asked(self, now: datetime) -> None:
        """It is on its way for the first time."""
        self.sent_at, self.remind_at = now, now + REMIND_AFTER

    def put_off(self, now: datetime) -> None:
        """The next reminder waits a day: the last mail has not arrived yet."""
        self.remind_at = now + timedelta(days=1)

    def given_up(self) -> None:
        """No reminder follows; its link still opens until its time is over."""
        self.remind_at = None

    def reminded(self, now: datetime) -> None:
        """One more reminder is on its way; after the last there is no next."""
        self.reminders += 1
        self.remind_at = now + REMIND_AFTER if self.reminders < REMINDERS else None

    def answered(self, now: datetime, answer: str) -> None:
        """Somebody who reads the mailbox answered."""
        self.answered_at, self.answer, self.remind_at = now, answer, None
