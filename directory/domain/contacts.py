"""Departments, the ways to reach them, and the topics people write about.

Plain records: ``adapters/db.py`` lays them over their tables. Names follow schema.org
(Organization, ContactPoint) and FHIR (ContactPoint: one value each, with a state).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from directory.domain.errors import Conflict, InvalidValue

LANGUAGES = ("en", "zh-Hans")

# A text in every language it is written in: {"en": "Library", "zh-Hans": "图书馆"}.
Localised = dict[str, str]


def localised(text: Mapping[str, str], language: str) -> tuple[str, str]:
    """*text* in *language*, or in another it has; and the language it then is in.

    ("", *language*) when it stands in none: a page shows nothing rather than a placeholder.
    """
    if found := text.get(language):
        return found, language
    for other, found in text.items():
        if found:
            return found, other
    return "", language


class DepartmentStatus(StrEnum):
    """``ACTIVE`` departments take enquiries; a ``CLOSED`` one points to its successor."""

    ACTIVE = "active"
    CLOSED = "closed"


class PointKind(StrEnum):
    """What a contact point is. The words are those of the API and of vCard's TYPE."""

    VOICE = "voice"
    FAX = "fax"
    MOBILE = "mobile"
    TEXT = "text"
    SERVICE = "service"
    EMAIL = "email"
    PHYSICAL = "physical"
    POSTAL = "postal"
    WEBSITE = "website"


PHONE_KINDS = frozenset(
    {PointKind.VOICE, PointKind.FAX, PointKind.MOBILE, PointKind.TEXT, PointKind.SERVICE}
)
ADDRESS_KINDS = frozenset({PointKind.PHYSICAL, PointKind.POSTAL})


class PointState(StrEnum):
    """How far a contact point can be trusted, moved by evidence.

    A mailbox is *live*, and takes mail, in the first four states.
    """

    PROPOSED = "proposed"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    SUSPECT = "suspect"
    SUSPENDED = "suspended"
    RETIRED = "retired"


LIVE_STATES = frozenset(
    {PointState.PROPOSED, PointState.VERIFYING, PointState.VERIFIED, PointState.SUSPECT}
)


# Where each state may go. A changed value is PROPOSED again, whatever was known of the old one;
# evidence leads down, and only a check by its mailbox or an editor leads up. RETIRED is the end:
# a value taken back is another record, so that what was retired keeps its own history.
_MAY_BECOME: Mapping[PointState, frozenset[PointState]] = {
    PointState.PROPOSED: frozenset(PointState),
    PointState.VERIFYING: frozenset(PointState),
    PointState.VERIFIED: frozenset(PointState) - {PointState.VERIFYING},
    PointState.SUSPECT: frozenset(PointState) - {PointState.VERIFYING},
    PointState.SUSPENDED: frozenset(PointState) - {PointState.VERIFYING, PointState.SUSPECT},
    PointState.RETIRED: frozenset({PointState.RETIRED}),
}


@dataclass(eq=False, kw_only=True)
class ContactPoint:
    """One way to reach a department: one value, never a list.

    ``value`` is E.164 for numbers ("+862583455189"; the bare digits for kind service), the
    address for e-mail, the URL for a website, and empty for the two kinds of postal address,
    whose parts stand in ``address`` (lines, locality and region per language, postcode, country,
    lat, lon). ``typed`` keeps what was entered, to show it back to whoever entered it.
    ``routing`` marks the mailbox that receives enquiries; it need not be ``public``.
    """

    kind: PointKind
    value: str = ""
    extension: str = ""
    typed: str = ""
    address: dict[str, Any] = field(default_factory=dict)
    label: Localised = field(default_factory=dict)
    languages: list[str] = field(default_factory=list)
    note: Localised = field(default_factory=dict)
    public: bool = True
    routing: bool = False
    position: int = 0
    state: PointState = PointState.PROPOSED
    verified_at: datetime | None = None
    verified_by: str = ""
    verified_how: str = ""
    due_at: datetime | None = None
    away_until: datetime | None = None
    id: UUID = field(default_factory=uuid4)
    department_id: UUID | None = None

    @property
    def live(self) -> bool:
        """Whether mail may still be sent here."""
        return self.state in LIVE_STATES

    @property
    def shown(self) -> bool:
        """Whether visitors see it.

        A suspended mailbox does not take mail any more, so nobody is sent there; a suspect one
        still does, and its number or address beside it is no worse for it.
        """
        suspended = self.kind is PointKind.EMAIL and self.state is PointState.SUSPENDED
        return self.public and self.state is not PointState.RETIRED and not suspended

    def become(self, state: PointState) -> None:
        """Go to *state*. Raises Conflict where no way leads there from the present one."""
        if state not in _MAY_BECOME[self.state]:
            raise Conflict(f"{self.value or self.kind} is {self.state} and cannot become {state}")
        self.state = state

    def changed(self) -> None:
        """It has another value: what was known of the old one is not known of this."""
        self.become(PointState.PROPOSED)
        self.verified_at, self.verified_by, self.verified_how = None, "", ""
        self.due_at = None

    def verified(self, now: datetime, *, how: str, by: str, due: datetime) -> None:
        """Somebody who knows said at *now* that it is right; to be asked again at *due*.

        *how* is "mailbox" (its own, or that of its department) or "editor", *by* who.
        """
        self.become(PointState.VERIFIED)
        self.verified_at, self.verified_how, self.verified_by = now, how, by
        self.due_at = due

    def asked(self, again: datetime) -> None:
        """Its mailbox was asked; to be asked again at *again*.

        What was verified stays so meanwhile: its date tells how long ago that was.
        """
        if self.state is PointState.PROPOSED:
            self.become(PointState.VERIFYING)
        self.due_at = again


@dataclass(eq=False, kw_only=True)
class Department:
    """A part of the institution that can be reached and can answer.

    ``id`` is for ever; ``slug`` is an attribute with a history. ``hours`` is a weekly schedule
    in the opening_hours syntax of OpenStreetMap, read in ``timezone`` (an IANA name, empty for
    the site's own). ``reply_days`` is the answer target in working days, None for the site's.
    ``typical_days`` is how many its answers took of late, measured on ``typical_of`` of them.
    ``deputy_id`` or ``backup_email`` takes its mail when its own mailbox cannot. ``extra`` keeps
    what an import brought and we have no field for: "vcard" is a list of vCard content lines.
    """

    slug: str
    name: Localised
    short_name: Localised = field(default_factory=dict)
    other_names: list[str] = field(default_factory=list)
    summary: Localised = field(default_factory=dict)
    not_here: Localised = field(default_factory=dict)
    status: DepartmentStatus = DepartmentStatus.ACTIVE
    hours: str = ""
    exceptions: list[dict[str, Any]] = field(default_factory=list)
    timezone: str = ""
    languages: list[str] = field(default_factory=list)
    reply_days: int | None = None
    typical_days: float | None = None
    typical_of: int = 0
    backup_email: str = ""
    owner_email: str = ""
    notes: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    version: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None
    id: UUID = field(default_factory=uuid4)
    parent_id: UUID | None = None
    successor_id: UUID | None = None
    deputy_id: UUID | None = None
    points: list[ContactPoint] = field(default_factory=list)

    @property
    def mailbox(self) -> ContactPoint | None:
        """The live mailbox its enquiries go to: one marked for routing, else the first public."""
        mailboxes = [p for p in self.points if p.kind is PointKind.EMAIL and p.live]
        return min(mailboxes, key=lambda p: (not p.routing, not p.public, p.position), default=None)

    def public_points(self, *kinds: PointKind) -> list[ContactPoint]:
        """What visitors may see, in order; only of *kinds* when some are given."""
        shown = [p for p in self.points if p.shown and (not kinds or p.kind in kinds)]
        return sorted(shown, key=lambda p: p.position)


def check_tree(
    department: Department, parent_id: UUID | None, parents: Mapping[UUID, UUID | None]
) -> None:
    """Refuse a *parent_id* below which *department* already stands.

    *parents* maps every department's id to its parent's. Raises InvalidValue "parent.cycle".
    """
    above = parent_id
    while above is not None:
        if above == department.id:
            raise InvalidValue("parent.cycle", dept=localised(department.name, "en")[0])
        above = parents.get(above)


@dataclass(eq=False, kw_only=True)
class Topic:
    """What a visitor says the question is about.

    ``code`` is stable and stands in addresses. ``reply_days`` overrides the department's answer
    target (working days). ``acknowledge`` False sends no receipt.
    """

    code: str
    label: Localised
    hint: Localised = field(default_factory=dict)
    group: Localised = field(default_factory=dict)
    department_id: UUID | None = None
    reply_days: int | None = None
    question: dict[str, Any] | None = None
    acknowledge: bool = True
    sensitive: bool = False
    active: bool = True
    position: int = 0
    version: int = 1
    id: UUID = field(default_factory=uuid4)


def by_position(topics: Iterable[Topic]) -> list[Topic]:
    """Topics as a form lists them."""
    return sorted(topics, key=lambda topic: (topic.position, topic.code))
