"""What came in, where it went, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from directory.domain.errors import Conflict
from directory.domain.numbers import PhoneNumber
from directory.domain.values import EmailAddress

# The number of the form a visitor filled in; raised when fields or their meaning change, so that
# an enquiry can be read as it was meant.
FORM_VERSION = 1


class EnquiryStatus(StrEnum):
    """Where an enquiry stands. "Needs attention" is a flag beside it, not a status."""

    RECEIVED = "received"
    ROUTED = "routed"
    TAKEN = "taken"
    ANSWERED = "answered"
    CLOSED = "closed"
    HELD = "held"
    WITHDRAWN = "withdrawn"


# What an act can be taken back to, beside states and words.
_INSTANTS = ("routed_at", "taken_at", "first_answer_at", "closed_at")
# What tells who wrote what: blanked when the details are deleted. The hash of the body, too, which
# whoever knows the rest could try words against.
_PERSONAL = (
    "body_hash",
    "message",
    "name",
    "subject",
    "organisation",
    "email",
    "phone",
    "phone_extension",
    "phone_typed",
    "country",
    "source",
    "taken_by",
)
_OPEN = frozenset({EnquiryStatus.RECEIVED, EnquiryStatus.ROUTED, EnquiryStatus.TAKEN})


class ReplyBy(StrEnum):
    EMAIL = "email"
    PHONE = "phone"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a visitor sent, checked: every field is right or absent.

    ``topic`` is a code or "", ``department`` a slug or ""; never both empty. ``language`` is the
    page's, ``reply_language`` "en", "zh-Hans" or "any". ``phone_typed`` is the number as typed.
    ``country`` is the visitor's hint (ISO 3166-1 alpha-2 or ""). ``source`` is the page the
    visitor came from (the form's ``from``), ``origin`` its site. ``answers`` has the answer to the
    topic's extra question by the question's code. ``form_token`` is the idempotency key, and
    ``shown`` the department slug the destination panel named.
    """

    form_token: str
    language: str
    message: str
    name: str
    topic: str = ""
    department: str = ""
    subject: str = ""
    organisation: str = ""
    reply_by: ReplyBy = ReplyBy.EMAIL
    email: EmailAddress | None = None
    phone: PhoneNumber | None = None
    phone_typed: str = ""
    country: str = ""
    reply_language: str = "any"
    consent: str = ""
    source: str = ""
    origin: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule made of an enquiry, in both languages.

    ``rule`` is the rule's id and ``position`` its place, counted from 1; None and 0 for the steps
    after the rules (the department chosen, the topic's, the desk). One with a ``last`` stands for
    all rules from ``position`` to there, of which none matched.
    """

    rule: str | None
    position: int
    name: dict[str, str]
    matched: bool
    why: dict[str, str]
    last: int = 0

    def to_json(self) -> dict[str, Any]:
        written = {
            "rule": self.position or None,
            "id": self.rule,
            "name": self.name,
            "matched": self.matched,
            "why": self.why,
        }
        return written | {"last": self.last} if self.last else written


@dataclass(eq=False, kw_only=True)
class Decision:
    """Where an enquiry was sent, by which rules, and what every rule had to say.

    Never edited: a later move is another Decision. ``reason`` is "rule", "department", "topic",
    "fallback" or, for a move by a person, "moved", and "undone" for one taken back. ``rule`` is the
    position of the rule that decided, None where none did. ``passed_over`` names departments whose
    own mailbox was not live, so that their deputy or the desk received it. ``outcome`` is what the
    rule does besides (copies, tags …), ``facts`` what the rules went by and the enquiry does not
    tell: which departments were open, whether the visitor wrote before.
    """

    reason: str
    department_id: UUID
    contact_point_id: UUID | None
    recipient: str
    rule_set: int
    rule: int | None = None
    rule_id: str | None = None
    rule_name: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    by: str = ""
    id: int = 0
    enquiry_id: int = 0


def action_version(decided: Sequence[Decision]) -> int:
    """The version that links in mail to departments are signed with, from all decisions.

    Every move raises it, and so spends what was sent before. The visitor's own link has the
    enquiry's ``link_version``, which a move leaves alone. A move taken back before its mail was
    sent spent nothing: no link of its version exists.
    """
    turns = sum(decision.reason in {"moved", "undone"} for decision in decided)
    unsent = sum(
        decision.reason == "undone" and bool(decision.facts.get("unsent")) for decision in decided
    )
    return 1 + turns - 2 * unsent


def moves_that_stand(decided: Sequence[Decision]) -> list[Decision]:
    """The moves among all decisions on one enquiry that nobody took back, the first first."""
    standing: list[Decision] = []
    for decision in decided:
        if decision.reason == "moved":
            standing.append(decision)
        elif decision.reason == "undone" and standing:
            standing.pop()
    return standing


@dataclass(eq=False, kw_only=True)
class Enquiry:
    """One enquiry: an immutable snapshot of what was sent, and where it stands now.

    ``ref`` holds the eight symbols of the reference without prefix. ``form_token`` is the
    idempotency key and ``body_hash`` tells the same body from another sent with it. ``version``
    rises with every change of state; ``link_version`` when its links are spent.
    ``answer_by`` is the instant (UTC) an answer is due, ``first_answer_at`` when there first was
    evidence of one. ``erased_at`` is when its details were deleted, ``erased_why`` "asked" or
    "retention".
    """

    ref: str
    received_at: datetime
    form_token: str
    body_hash: str
    language: str
    message: str
    name: str
    topic: str = ""
    topic_label: dict[str, str] = field(default_factory=dict)
    chosen_department: str = ""
    subject: str = ""
    organisation: str = ""
    reply_by: ReplyBy = ReplyBy.EMAIL
    email: str = ""
    phone: str = ""
    phone_extension: str = ""
    phone_typed: str = ""
    country: str = ""
    reply_language: str = "any"
    consent: str = ""
    source: str = ""
    origin: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    shown: str = ""
    form_version: int = FORM_VERSION
    status: EnquiryStatus = EnquiryStatus.RECEIVED
    attention: str = ""
    test: bool = False
    department_id: UUID | None = None
    answer_by: datetime | None = None
    routed_at: datetime | None = None
    taken_by: str = ""
    taken_at: datetime | None = None
    closed_at: datetime | None = None
    first_answer_at: datetime | None = None
    remind_at: datetime | None = None
    reminders: int = 0
    answer_days: float | None = None
    version: int = 1
    link_version: int = 1
    erased_at: datetime | None = None
    erased_why: str = ""
    # Of the ledger: where it was counted last.
    account: str = ""
    id: int = 0

    def accepted_by_department(self, at: datetime) -> bool:
        """The department's mail was accepted by its server; True when that is news."""
        if self.status is not EnquiryStatus.RECEIVED:
            return False
        self.status = EnquiryStatus.ROUTED
        self.routed_at = at
        self.version += 1
        return True

    @property
    def is_open(self) -> bool:
        """Whether a department is still to answer it."""
        return self.status in _OPEN

    def came_back(self) -> bool:
        """The department's mail was accepted and then returned; True when that is news."""
        if self.status is not EnquiryStatus.ROUTED:
            return False
        self.status, self.routed_at = EnquiryStatus.RECEIVED, None
        self.version += 1
        return True

    def answered(self, at: datetime) -> bool:
        """There is evidence of an answer at *at*; True when that is news.

        One that is held, closed or withdrawn stays so: an answer seen later does not reopen it.
        Whoever answered has seen to whatever needed attention.
        """
        if self.first_answer_at is None:
            self.first_answer_at = at
            self.version += 1
        if not self.is_open:
            return False
        self.status, self.attention = EnquiryStatus.ANSWERED, ""
        self.remind_at = None
        self.version += 1
        return True

    def taken(self, by: str, at: datetime) -> None:
        """*by*, a person or a mailbox, has it from *at* on, whoever had it before.

        Also one that was answered: there is more to say. Raises Conflict for one that is held,
        closed or withdrawn.
        """
        if not self.is_open and self.status is not EnquiryStatus.ANSWERED:
            raise Conflict(f"an enquiry that is {self.status.value} cannot be taken")
        self.status, self.taken_by, self.taken_at = EnquiryStatus.TAKEN, by, at
        self.version += 1

    def closed(self, at: datetime) -> None:
        """Nothing more is expected of anybody.

        Raises Conflict for one that is held or withdrawn.
        """
        if self.status in {EnquiryStatus.HELD, EnquiryStatus.WITHDRAWN}:
            raise Conflict(f"an enquiry that is {self.status.value} cannot be closed")
        self.status, self.attention, self.closed_at = EnquiryStatus.CLOSED, "", at
        self.remind_at = None
        self.version += 1

    def withdrawn(self, at: datetime) -> None:
        """The visitor wants no answer any more.

        Raises Conflict for one that is closed or withdrawn already.
        """
        if self.status in {EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN}:
            raise Conflict(f"an enquiry that is {self.status.value} cannot be withdrawn")
        self.status, self.attention, self.closed_at = EnquiryStatus.WITHDRAWN, "", at
        self.remind_at = None
        self.version += 1

    def erased(self, at: datetime, why: str) -> None:
        """Everything in it that tells who wrote what is blank from now on; *why* in one word.

        What was asked and of whom, when, and where it went stay. One that was still open is
        withdrawn: without words there is nothing to answer.
        """
        if self.status not in {EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN}:
            self.withdrawn(at)
        for name in _PERSONAL:
            setattr(self, name, "")
        self.answers = {}
        self.erased_at, self.erased_why = at, why
        self.version += 1

    def standing(self) -> dict[str, Any]:
        """Where it stands, so that :meth:`stand_again` can put it back there."""
        told: dict[str, Any] = {"status": self.status.value, "attention": self.attention}
        told["taken_by"] = self.taken_by
        for name in _INSTANTS:
            instant: datetime | None = getattr(self, name)
            told[name] = instant.isoformat() if instant else None
        return told

    def stand_again(self, told: dict[str, Any]) -> None:
        """Put back what *told*, made by :meth:`standing`, says."""
        self.status, self.attention = EnquiryStatus(told["status"]), told["attention"]
        self.taken_by = told["taken_by"]
        for name in _INSTANTS:
            text = told[name]
            setattr(self, name, datetime.fromisoformat(text) if text else None)
        self.version += 1

    def needs_attention(self, reason: str) -> None:
        """Put it on the list an admin looks at first, with *reason* in one word or sentence."""
        self.attention = reason
        self.version += 1


@dataclass(eq=False, kw_only=True)
class Addition:
    """What the visitor wrote after the enquiry was sent; it never changes."""

    enquiry_id: int
    at: datetime
    message: str
    id: int = 0


@dataclass(eq=False, kw_only=True)
class Event:
    """What happened to one subject, who did it, and what it was before and after.

    Append only and chained: ``digest`` covers this event and the digest of the one before it on
    the same subject, so that none can be changed, dropped or slipped in unseen. ``subject`` is
    "enquiry:7K4M2QXD", "department:<uuid>" and so on. No personal data: those stay in the record.
    """

    at: datetime
    subject: str
    type: str
    by: str = ""
    note: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    previous: str = ""
    digest: str = ""
    id: int = 0
