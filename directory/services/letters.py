"""Mail the directory has reason of its own to send: questions to mailboxes, notices of a change.

As for an enquiry's mail every input is fixed when the delivery is made; the worker composes and
sends it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.catalogue import gettext
from directory.adapters.compose import (
    AlarmInputs,
    ChangeNoticeInputs,
    LetterInputs,
    Mailbox,
    ReminderInputs,
    ReminderItem,
    Saying,
    ShownRow,
    VerificationInputs,
)
from directory.adapters.db import departments
from directory.adapters.links import CROCKFORD, Signer
from directory.domain.alarms import AlarmWords
from directory.domain.columns import slots_of
from directory.domain.contacts import (
    ADDRESS_KINDS,
    LANGUAGES,
    ContactPoint,
    Department,
    PointKind,
    localised,
)
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.hours_words import in_words
from directory.domain.ids import new_id
from directory.domain.numbers import PhoneNumber
from directory.domain.trust import Challenge
from directory.domain.values import EmailAddress, PostalAddress
from directory.services.contacts import hours_of, language_of, place_of
from directory.settings import Settings

_LABELS = {
    PointKind.VOICE: "Phone",
    PointKind.FAX: "Fax",
    PointKind.MOBILE: "Mobile",
    PointKind.TEXT: "Text messages",
    PointKind.SERVICE: "Service number",
    PointKind.EMAIL: "Email",
    PointKind.PHYSICAL: "Visit",
    PointKind.POSTAL: "Post",
    PointKind.WEBSITE: "Website",
}


# What the public sees


def shown_rows(
    department: Department, language: str, *, settings: Settings, now: datetime
) -> list[ShownRow]:
    """What visitors see of *department*, in both languages; labels in *language*."""
    rows = [
        _row("name", "Department", language, _both(department.name)),
        _row("summary", "What it does", language, _both(department.summary)),
    ]
    for point, slot in slots_of(department, private=False):
        if point.shown:
            row = _row(slot.column, _LABELS[point.kind], language, _values(point))
            row["label"] = localised(point.label, language)[0] or row["label"]
            rows.append(row)
    if hours := hours_of(department, settings=settings):
        today = now.astimezone(ZoneInfo(hours.timezone)).date()
        said = {tag: in_words(hours, tag, today) for tag in LANGUAGES}
        rows.append(_row("hours", "Hours", language, _both(said)))
    return [row for row in rows if row["texts"]]


def _row(column: str, label: str, language: str, texts: list[Saying]) -> ShownRow:
    return {"column": column, "label": gettext(language, label), "texts": texts}


def _both(said: dict[str, str]) -> list[Saying]:
    """One line per language, or a single one where they are the same and need none."""
    found: list[Saying] = [
        {"lang": tag, "text": text} for tag in LANGUAGES if (text := said.get(tag, ""))
    ]
    if len(found) == len(LANGUAGES) and len({it["text"] for it in found}) == 1:
        return [{"lang": "", "text": found[0]["text"]}]
    return found


def _values(point: ContactPoint) -> list[Saying]:
    if point.kind in ADDRESS_KINDS:
        address = PostalAddress.from_parts(point.address)
        return _both(
            {
                tag: "\n".join(address.compact(tag))
                for tag in LANGUAGES
                if address.language_for(tag) == tag
            }
        )
    if point.kind in {PointKind.EMAIL, PointKind.SERVICE, PointKind.WEBSITE}:
        return [{"lang": "", "text": point.value}]
    number = PhoneNumber(point.value, point.extension)
    return _both({tag: number.display(tag) for tag in LANGUAGES})


# The messages


class Letters:
    """Makes deliveries that no enquiry caused; whoever has reason for them stores them."""

    def __init__(self, session: Session, settings: Settings, *, now: datetime) -> None:
        self._session = session
        self._settings = settings
        self._now = now
        self._signer = Signer(*(key.get_secret_value() for key in settings.secret_key))

    def question(self, department: Department, challenge: Challenge, *, reminder: int) -> Delivery:
        """The challenge, or its reminder number *reminder*, to the mailbox it is about."""
        language = language_of(department, self._settings)
        base = self._settings.site.base_url
        token = self._signer.verification_token(challenge.symbols, challenge.version)
        stop = self._signer.unsubscribe_token(challenge.symbols)
        inputs: VerificationInputs = {
            **self._common(department, language),
            "reminder": reminder,
            "rows": shown_rows(department, language, settings=self._settings, now=self._now),
            "list_domain": self._settings.site.host,
            "verify_url": f"{base}/v/{token}",
            "unsubscribe_url": f"{base}/u/{stop}",
            "page_url": self._page(department, language),
            "first_sent_at": challenge.sent_at.isoformat(),
            "closes_at": challenge.closes_at.isoformat(),
            "every_days": self._settings.verify.every_days,
        }
        return self._post(
            DeliveryKind.VERIFICATION,
            challenge.address,
            language,
            dict(inputs),
            department,
            name=f"{challenge.symbols}.{reminder + 1}",
            contact_point_id=challenge.contact_point_id,
        )

    def change_notices(
        self, department: Department, *, before: str, after: str, by: str, reason: str
    ) -> list[Delivery]:
        """One each to the old and the new mailbox. None where there was no mailbox before."""
        if not before or before == after:
            return []
        language = language_of(department, self._settings)
        inputs: ChangeNoticeInputs = {
            **self._common(department, language),
            "list_domain": self._settings.site.host,
            "old_address": before,
            "new_address": after,
            "by": by,
            "reason": reason,
            "changed_at": self._now.isoformat(),
            "page_url": self._page(department, language),
        }
        return [
            self._post(
                DeliveryKind.CHANGE_NOTICE,
                address,
                language,
                dict(inputs),
                department,
                name=f"{new_symbols()}.{number}",
            )
            for number, address in enumerate(filter(None, (before, after)), 1)
            if not EmailAddress(address).is_no_reply
        ]

    def alarm(self, words: AlarmWords, *, kind: str, since: datetime) -> list[Delivery]:
        """To each operator: what is wrong since when, and the fix. None where nobody is known."""
        desk = self._desk_department()
        if desk is None:
            return []
        language = language_of(desk, self._settings)
        inputs: AlarmInputs = {
            **self._common(desk, language),
            "reply_to": [],
            "list_domain": self._settings.site.host,
            "alarm": kind,
            "what": localised(words.what, language)[0],
            "fix": localised(words.fix, language)[0],
            "since": since.isoformat(),
        }
        symbols = new_symbols()
        return [
            self._post(
                DeliveryKind.ALARM,
                address,
                language,
                dict(inputs),
                desk,
                name=f"{symbols}.{number}",
            )
            for number, address in enumerate(self._operators(desk), 1)
        ]

    def reminder(self, reader: Department, address: str, items: Sequence[ReminderItem]) -> Delivery:
        """What waits for an answer, to *address*, a mailbox of *reader* or one it named."""
        language = language_of(reader, self._settings)
        inputs: ReminderInputs = {
            **self._common(reader, language),
            "list_domain": self._settings.site.host,
            "items": list(items),
        }
        return self._post(
            DeliveryKind.REMINDER,
            address,
            language,
            dict(inputs),
            reader,
            name=f"{new_symbols()}.1",
        )

    def _operators(self, desk: Department) -> list[str]:
        mailbox = desk.mailbox.value if desk.mailbox else ""
        known = self._settings.mail.alarms or (desk.owner_email or desk.backup_email or mailbox,)
        return list(dict.fromkeys(filter(None, known)))

    def _common(self, department: Department, language: str) -> LetterInputs:
        settings = self._settings
        return {
            "service_name": localised(settings.site.name, language)[0],
            "from_address": settings.mail.from_,
            "reply_to": self._desk(language),
            # One line, whatever was stored once: it stands in the subject.
            "department_name": " ".join(localised(department.name, language)[0].split()),
            "timezone": department.timezone or settings.site.timezone,
            "place": place_of(department, language),
        }

    def _desk_department(self) -> Department | None:
        return self._session.scalar(
            sa.select(Department).where(departments.c.slug == self._settings.site.desk)
        )

    def _desk(self, language: str) -> list[Mailbox]:
        desk = self._desk_department()
        if desk is None or desk.mailbox is None:
            return []
        name = localised(desk.name, language)[0]
        return [{"name": name, "address": desk.mailbox.value}]

    def _page(self, department: Department, language: str) -> str:
        base = self._settings.site.base_url
        return f"{base}/{language.lower()}/departments/{department.slug}"

    def _post(
        self,
        kind: DeliveryKind,
        recipient: str,
        language: str,
        inputs: dict[str, Any],
        department: Department,
        *,
        name: str,
        contact_point_id: Any = None,
    ) -> Delivery:
        now = self._now
        delivery_id = new_id(now)
        return Delivery(
            id=delivery_id,
            kind=kind,
            recipient=EmailAddress(recipient).ascii,
            department_id=department.id,
            contact_point_id=contact_point_id,
            language=language,
            message_id=f"<{name}@{self._settings.site.host}>",
            envelope_sender=self._signer.envelope_sender(
                kind, delivery_id, now, domain=self._settings.bounce_domain
            ),
            created_at=now,
            due_at=now,
            inputs=inputs,
        )


def new_symbols() -> str:
    """Eight of Crockford's symbols, 40 random bits: enough to tell apart, no secret."""
    return "".join(secrets.choice(CROCKFORD) for _ in range(8))
