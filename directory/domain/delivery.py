"""One message to one recipient: its states, how long to wait between tries, when to give up.

Pure: who claims what and when is :mod:`directory.adapters.outbox`, the conversation itself is
:mod:`directory.adapters.mail`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from directory.domain.errors import (
    DeliveryFailure,
    OurFailure,
    PermanentFailure,
    TemporaryFailure,
)

REASON_LENGTH = 500
"""Characters kept of a server's reply, which RFC 5321 lets run to any number of lines."""

_ENHANCED = re.compile(r"\A[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
_BEFORE_A_RECIPIENT = frozenset({"connect", "ehlo", "starttls", "auth", "mail"})
_SHARE_OF_REAL_TRYING = 0.8


class DeliveryState(StrEnum):
    """Where a delivery stands; "accepted" is the mail server's word, never "delivered"."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = (DeliveryState.QUEUED, DeliveryState.DEFERRED)
"""Claimed when due. A "sending" row is claimed too once its lease has lapsed."""

SETTLED = (DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.CANCELLED)
"""Nothing happens to these by itself."""


class DeliveryKind(StrEnum):
    """What the message is, as X-Enquiry-Kind says it."""

    ROUTED = "routed"
    COPY = "copy"
    ACKNOWLEDGEMENT = "acknowledgement"
    VERIFICATION = "verification"
    CHANGE_NOTICE = "change_notice"
    ALARM = "alarm"
    REMINDER = "reminder"
    # What a visitor adds, to the mailbox that has the enquiry; and what else it must know of it.
    ADDITION = "addition"
    NOTICE = "notice"
    # To the visitor: a link asked for.
    LINK = "link"


TO_VISITORS = frozenset({DeliveryKind.ACKNOWLEDGEMENT, DeliveryKind.LINK})
"""Sent to an address nobody verified."""


class Outcome(StrEnum):
    """What one attempt came to."""

    ACCEPTED = "accepted"
    TEMPORARY = "temporary"
    OURS = "ours"
    PERMANENT = "permanent"

    @classmethod
    def of(cls, failure: DeliveryFailure) -> Outcome:
        """The outcome that *failure* stands for; an alarm goes with OURS."""
        if isinstance(failure, PermanentFailure):
            return cls.PERMANENT
        return cls.OURS if isinstance(failure, OurFailure) else cls.TEMPORARY


@dataclass(eq=False, kw_only=True)
class Delivery:
    """One message to one recipient, from the enquiry's transaction to its end.

    ``inputs`` is everything the message is composed from, Date included, as JSON
    (:mod:`directory.adapters.compose` has the shapes); with ``message_id`` and
    ``envelope_sender`` it is fixed when the delivery is made. ``content`` is composed from it
    once, before the first try, and every try sends those bytes. ``position`` is the recipient's
    number within the enquiry, from 1. ``reason`` is the last reply, "compose: …" or "send: …" for a
    message that could not be built or handed over, or why it was cancelled; ``smtp_reply`` is the
    reply that accepted it. Instants are UTC.
    """

    kind: DeliveryKind
    recipient: str
    language: str
    message_id: str
    envelope_sender: str
    created_at: datetime
    due_at: datetime
    inputs: dict[str, Any]
    enquiry_id: int | None = None
    position: int = 1
    department_id: UUID | None = None
    contact_point_id: UUID | None = None
    content: bytes | None = None
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = None
    accepted_at: datetime | None = None
    reason: str = ""
    smtp_reply: str = ""
    id: int | None = None

    def claimed(self, owner: str, until: datetime) -> None:
        """*owner* (a token of one worker's one claim) may send this until *until*.

        The claim lapses by itself, so a killed worker leaves nothing to clean up.
        """
        self.state = DeliveryState.SENDING
        self.lease_owner = owner
        self.lease_until = until

    def renewed(self, until: datetime) -> None:
        """The same owner is still at it."""
        self.lease_until = until

    def put_back(self, now: datetime) -> None:
        """Give up the claim without a try, for a worker that was told to stop: due at once."""
        self._settle(DeliveryState.DEFERRED if self.attempts else DeliveryState.QUEUED)
        self.due_at = now

    def succeeded(self, now: datetime, reply: str) -> None:
        """The mail server said *reply* ("250 …") after the dot: the message is theirs now."""
        self._settle(DeliveryState.ACCEPTED)
        self.attempts += 1
        self.accepted_at = now
        self.smtp_reply = reply[:REASON_LENGTH]
        self.reason = ""

    def deferred(self, now: datetime, delay: timedelta, failure: DeliveryFailure) -> None:
        """Try again *delay* after *now*."""
        self._settle(DeliveryState.DEFERRED)
        self.attempts += 1
        self.due_at = now + delay
        self.reason = str(failure)[:REASON_LENGTH]

    def failed(self, now: datetime, failure: DeliveryFailure) -> None:
        """The last word: a permanent refusal, or one more temporary one after the days allowed."""
        self._settle(DeliveryState.FAILED)
        self.attempts += 1
        self.due_at = now
        self.reason = str(failure)[:REASON_LENGTH]

    def parked(self, now: datetime, error: Exception, *, during: str = "compose") -> None:
        """The message could not be built, or not be handed over: our mistake, and nobody's refusal.

        *during* is "compose" or "send". Only the kind of error is kept: its text may quote what
        the visitor wrote.
        """
        self._settle(DeliveryState.FAILED)
        self.due_at = now
        self.reason = f"{during}: {type(error).__name__}"

    def cancelled(self, now: datetime, why: str) -> None:
        """Not to be sent any more, because of *why*."""
        self._settle(DeliveryState.CANCELLED)
        self.due_at = now
        self.reason = why[:REASON_LENGTH]

    def bounced(self, now: datetime, why: str) -> None:
        """It was accepted, and then returned by a machine farther on, which said *why*."""
        self._settle(DeliveryState.FAILED)
        self.due_at = now
        self.reason = f"bounced: {why}"[:REASON_LENGTH]

    def retried(self, now: datetime) -> None:
        """Somebody pressed "Retry": due at once; the days allowed still count from the start.

        A message that could not be built has no bytes yet and is composed anew.
        """
        self._settle(DeliveryState.QUEUED)
        self.due_at = now

    def held_by(self, owner: str) -> bool:
        """Whether *owner*'s claim still stands; a result is written only then.

        The time is not looked at: a lease that lapsed but that nobody took since is still the
        only one, and its result the only news there is.
        """
        return self.state is DeliveryState.SENDING and self.lease_owner == owner

    def is_given_up(self, now: datetime, *, after: timedelta, backoff_s: Sequence[float]) -> bool:
        """Whether one more temporary failure at *now* is the last.

        Age alone would hurry messages to failure when the clock jumps days ahead, or when the
        workers were off for a week: the waits between the tries really made must add up to
        most of *after* too. (Not to all: each try itself may take minutes.)
        """
        waited = waited_so_far(self.attempts + 1, backoff_s)
        return now - self.created_at >= after and waited >= after * _SHARE_OF_REAL_TRYING

    def _settle(self, state: DeliveryState) -> None:
        self.state = state
        self.lease_owner = None
        self.lease_until = None


@dataclass(eq=False, kw_only=True)
class Attempt:
    """One try of one delivery. Rows are added and never changed.

    ``seconds`` is how long it took; ``server`` the host and port asked; ``stage`` where it ended
    (:class:`~directory.domain.errors.DeliveryFailure`; "dot" when accepted); ``code`` the SMTP
    reply code, 0 when there was none; ``text`` what came with it.
    """

    delivery_id: int
    at: datetime
    seconds: float
    server: str
    stage: str
    code: int
    text: str
    outcome: Outcome
    id: int | None = field(default=None)

    @classmethod
    def that_failed(
        cls,
        delivery_id: int,
        failure: DeliveryFailure,
        *,
        at: datetime,
        seconds: float,
        server: str,
    ) -> Attempt:
        """The row for a try that ended in *failure*."""
        return cls(
            delivery_id=delivery_id,
            at=at,
            seconds=seconds,
            server=server,
            stage=failure.stage,
            code=failure.code,
            text=failure.reply,
            outcome=Outcome.of(failure),
        )


def refusal(stage: str, code: int, reply: str) -> DeliveryFailure:
    """What a server's *code* and *reply* at *stage* mean for the message.

    ``stage`` is "connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data" or "dot"; ``code``
    is 0 where no reply came. 5yz before the recipient was named speaks of us and is tried again
    with an alarm. From then on it is final for the recipient, except for a full mailbox: 552
    (RFC 5321) and X.2.2 (RFC 3463) empty themselves. All else is worth another try.
    """
    if not 500 <= code <= 599:
        return TemporaryFailure(stage, code, reply)
    if stage in _BEFORE_A_RECIPIENT:
        return OurFailure(stage, code, reply)
    enhanced = _ENHANCED.match(reply)
    if code == 552 or (enhanced and enhanced.groups() == ("2", "2")):
        return TemporaryFailure(stage, code, reply)
    return PermanentFailure(stage, code, reply)


def retry_delay(
    attempts: int, backoff_s: Sequence[float], jitter: float, chance: float
) -> timedelta:
    """How long to wait after the *attempts*-th failed try, from 1.

    The waits are *backoff_s* in turn, then its last for ever, each made shorter or longer by up
    to the part *jitter* so that a crowd deferred together does not come back together. *chance*
    is a random number from [0, 1).
    """
    nominal = backoff_s[min(max(attempts, 1), len(backoff_s)) - 1]
    return timedelta(seconds=nominal * (1 + jitter * (2 * chance - 1)))


def waited_so_far(attempts: int, backoff_s: Sequence[float]) -> timedelta:
    """The waits that follow *attempts* tries, added up without their jitter."""
    listed = min(attempts, len(backoff_s))
    return timedelta(seconds=sum(backoff_s[:listed]) + (attempts - listed) * backoff_s[-1])


def farthest_due(now: datetime, backoff_s: Sequence[float], jitter: float) -> datetime:
    """No wait begun by *now* ends later; what is due after it counts as due now.

    Such a row was written before the clock went back, and would be stranded for as long as the
    clock went back.
    """
    return now + timedelta(seconds=max(backoff_s) * (1 + jitter))
