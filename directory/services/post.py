"""The mail an enquiry causes: every input of each message, fixed when the delivery is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from directory.adapters.catalogue import gettext
from directory.adapters.compose import (
    AcknowledgementInputs,
    AddedMessage,
    ChosenBy,
    CopyInputs,
    LinkInputs,
    Mailbox,
    NoteInputs,
    PassedOn,
    RoutedInputs,
)
from directory.adapters.links import Signer
from directory.adapters.queries import Published
from directory.domain.contacts import (
    PHONE_KINDS,
    ContactPoint,
    Department,
    PointKind,
    Topic,
    localised,
)
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Addition, Decision, Enquiry
from directory.domain.ids import new_id
from directory.domain.numbers import PhoneNumber
from directory.domain.questions import answered, question_of
from directory.domain.values import EmailAddress, Reference
from directory.services.contacts import language_of, place_in_zone
from directory.settings import Settings


class Post:
    """Makes the deliveries of one enquiry: every input of each message, fixed here and now."""

    def __init__(
        self,
        settings: Settings,
        signer: Signer,
        published: Published,
        enquiry: Enquiry,
        topic: Topic | None,
        *,
        added: Sequence[Addition] = (),
    ) -> None:
        """*added* is what the visitor wrote since: whoever is sent the enquiry is sent it, too."""
        self._added = added
        self._settings = settings
        self._signer = signer
        self._published = published
        self._enquiry = enquiry
        self._topic = topic
        self._reference = Reference(enquiry.ref).display(settings.enquiry.reference_prefix)

    def to_department(
        self,
        department: Department,
        decision: Decision,
        *,
        position: int,
        now: datetime,
        link_version: int = 1,
        passed_on: PassedOn | None = None,
        references: Sequence[str] = (),
    ) -> Delivery:
        """The routed mail: what the visitor wrote, to the mailbox that answers.

        *link_version* is that of the links in it (``domain.enquiry.action_version``). *passed_on*
        says how it came from another department, *references* are the Message-IDs of the mails it
        was in there.
        """
        language = language_of(department, self._settings)
        inputs = self._routed(department, decision, language)
        token = self._signer.action_token(self._enquiry.ref, position, link_version)
        inputs["action_url"] = f"{self._settings.site.base_url}/a/{token}"
        if passed_on is not None:
            inputs["passed_on"] = passed_on
        if references:
            inputs["references"] = list(references)
        return self._delivery(
            DeliveryKind.ROUTED,
            decision.recipient,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
            contact_point_id=decision.contact_point_id,
        )

    def copy(
        self,
        receiver: Department,
        mailbox: ContactPoint,
        answering: Department,
        decision: Decision,
        *,
        position: int,
        now: datetime,
    ) -> Delivery:
        """The same to a mailbox of *receiver*, for information; *answering* answers."""
        language = language_of(receiver, self._settings)
        inputs: CopyInputs = {
            **self._routed(receiver, decision, language),
            "answering": localised(answering.name, language)[0],
            "answering_slug": answering.slug,
        }
        return self._delivery(
            DeliveryKind.COPY,
            mailbox.value,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=receiver,
            contact_point_id=mailbox.id,
        )

    def _routed(self, department: Department, decision: Decision, language: str) -> RoutedInputs:
        enquiry, settings = self._enquiry, self._settings
        chosen: ChosenBy = {"reason": decision.reason}  # type: ignore[typeddict-item]
        if decision.reason == "rule":
            chosen["id"] = decision.rule_id or ""
            chosen["position"] = decision.rule or 0
            chosen["name"] = localised(decision.rule_name, language)[0]
            chosen["why"] = localised(decision.why, language)[0]
        if enquiry.email:
            reply_to: list[Mailbox] = [{"name": enquiry.name, "address": enquiry.email}]
            if settings.copies_answers:
                # The answer goes there too, and marks the enquiry answered by itself.
                log = self._signer.log_address(enquiry.ref, mailbox=settings.log_mailbox)
                reply_to.append({"name": "", "address": log})
        else:
            reply_to = self._desk_mailbox(language)
        inputs: RoutedInputs = {
            **self._common(department, language),  # type: ignore[typeddict-item]
            "reply_to": reply_to,
            "from_style": settings.mail.from_style,
            "department_slug": department.slug,
            "topic_code": enquiry.topic,
            "list_domain": settings.site.host,
            "chosen_by": chosen,
            "subject": enquiry.subject,
            "message": enquiry.message,
            "message_language": enquiry.language,
            "name": enquiry.name,
            "organisation": enquiry.organisation,
            "reply_by": enquiry.reply_by.value,
            "email": enquiry.email,
            "phone": _number_to_ring(enquiry, language),
            "reply_language": enquiry.reply_language,
            "received_at": enquiry.received_at.isoformat(),
            "retention_days": settings.privacy.retention_days,
        }
        if enquiry.answers:
            asked = question_of(self._topic.question) if self._topic else None
            inputs["answers"] = [list(pair) for pair in answered(asked, enquiry.answers, language)]
        if enquiry.tags:
            inputs["tags"] = list(enquiry.tags)
        if self._added:
            inputs["added"] = [_added(it) for it in self._added]
        if decision.passed_over and decision.reason not in {"moved", "undone"}:
            name = self._published.routes.department_name(decision.passed_over[0])
            inputs["covers_for"] = localised(name, language)[0]
        return inputs

    def receipt(self, department: Department, *, position: int, now: datetime) -> Delivery:
        """The acknowledgement to the visitor, without a word the visitor typed."""
        enquiry = self._enquiry
        language = enquiry.language if enquiry.reply_language == "any" else enquiry.reply_language
        inputs: AcknowledgementInputs = {  # type: ignore[typeddict-item]
            **self._common(department, language),
            "reply_to": self._public_mailbox(department, language),
            "department_phone": _phone(department, language),
            "status_url": status_url(enquiry, settings=self._settings, signer=self._signer),
        }
        return self._delivery(
            DeliveryKind.ACKNOWLEDGEMENT,
            enquiry.email,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
        )

    def note(
        self,
        what: Literal["added", "withdrawn", "address", "erased"],
        department: Department,
        recipient: str,
        *,
        position: int,
        now: datetime,
        contact_point_id: Any = None,
        routed: Delivery | None = None,
        link_version: int = 1,
        references: Sequence[str] = (),
        addition: Addition | None = None,
    ) -> Delivery:
        """To *recipient*, a mailbox of *department* that has the enquiry: what the visitor did.

        *routed* is the mail in which it was sent there; links in it have *link_version*.
        """
        language = language_of(department, self._settings)
        enquiry = self._enquiry
        url = ""
        if routed is not None and what in {"added", "address"}:
            token = self._signer.action_token(enquiry.ref, routed.position, link_version)
            url = f"{self._settings.site.base_url}/a/{token}"
        reply_to = self._desk_mailbox(language)
        if enquiry.email and what != "erased":
            reply_to = [{"name": "", "address": enquiry.email}]
            if self._settings.copies_answers:
                log = self._signer.log_address(enquiry.ref, mailbox=self._settings.log_mailbox)
                reply_to.append({"name": "", "address": log})
        inputs: NoteInputs = {
            **self._common(department, language),  # type: ignore[typeddict-item]
            "reply_to": reply_to,
            "what": what,
            "department_slug": department.slug,
            "list_domain": self._settings.site.host,
            "reply_by": enquiry.reply_by.value,
            "email": "" if what == "erased" else enquiry.email,
            "message": addition.message if addition else "",
            "message_language": enquiry.language if addition else "",
            "sent_at": now.isoformat(),
            "references": list(references),
            "action_url": url,
        }
        return self._delivery(
            DeliveryKind.ADDITION if what == "added" else DeliveryKind.NOTICE,
            recipient,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
            contact_point_id=contact_point_id,
        )

    def link(
        self,
        what: Literal["status", "export", "erase"],
        department: Department,
        *,
        position: int,
        now: datetime,
        closes_at: datetime | None = None,
    ) -> Delivery:
        """To the visitor: the link to the page, or to one that confirms *what* was asked for."""
        enquiry, base = self._enquiry, self._settings.site.base_url
        language = enquiry.language if enquiry.reply_language == "any" else enquiry.reply_language
        if what == "status":
            url = status_url(enquiry, settings=self._settings, signer=self._signer)
        else:
            token = self._signer.confirmation_token(
                what, enquiry.ref, position, enquiry.link_version
            )
            url = f"{base}/e/{token}/{what}"
        inputs: LinkInputs = {
            **self._common(department, language),  # type: ignore[typeddict-item]
            "reply_to": self._public_mailbox(department, language),
            "what": what,
            "url": url,
            "closes_at": closes_at.isoformat() if closes_at else None,
        }
        return self._delivery(
            DeliveryKind.LINK,
            enquiry.email,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
        )

    def _common(self, department: Department, language: str) -> Any:
        settings, enquiry = self._settings, self._enquiry
        return {
            "service_name": localised(settings.site.name, language)[0],
            "from_address": settings.mail.from_,
            "reference": self._reference,
            "topic_label": localised(enquiry.topic_label, language)[0],
            "department_name": localised(department.name, language)[0],
            "answer_by": enquiry.answer_by.isoformat() if enquiry.answer_by else None,
            "timezone": department.timezone or settings.site.timezone,
            "place": place_in_zone(department, settings, language),
        }

    def _delivery(
        self,
        kind: DeliveryKind,
        recipient: str,
        language: str,
        inputs: dict[str, Any],
        *,
        position: int,
        now: datetime,
        department: Department,
        contact_point_id: Any = None,
    ) -> Delivery:
        delivery_id = new_id(now)
        return Delivery(
            id=delivery_id,
            enquiry_id=self._enquiry.id,
            kind=kind,
            position=position,
            recipient=EmailAddress(recipient).ascii,
            department_id=department.id,
            contact_point_id=contact_point_id,
            language=language,
            message_id=f"<{self._enquiry.ref}.{position}@{self._settings.site.host}>",
            envelope_sender=self._signer.envelope_sender(
                kind, delivery_id, now, domain=self._settings.bounce_domain
            ),
            created_at=now,
            due_at=now,
            inputs=inputs,
        )

    def _public_mailbox(self, department: Department, language: str) -> list[Mailbox]:
        for point in department.public_points(PointKind.EMAIL):
            if point.live:
                return [{"name": localised(department.name, language)[0], "address": point.value}]
        return self._desk_mailbox(language)

    def _desk_mailbox(self, language: str) -> list[Mailbox]:
        desk = self._published.routes.targets[self._published.desk]
        address = desk.mailbox or desk.last_mailbox or self._settings.mail.from_
        return [{"name": localised(desk.name, language)[0], "address": address}]


def _added(addition: Addition) -> AddedMessage:
    return {"at": addition.at.isoformat(), "message": addition.message}


def status_url(enquiry: Enquiry, *, settings: Settings, signer: Signer) -> str:
    """The visitor's page, whole."""
    return f"{settings.site.base_url}/e/{signer.status_token(enquiry.ref, enquiry.link_version)}"


def _number_to_ring(enquiry: Enquiry, language: str) -> str:
    """The visitor's number as it is dialled; as typed, too, where its country was a guess."""
    if not enquiry.phone:
        return enquiry.phone_typed
    number = PhoneNumber(enquiry.phone, enquiry.phone_extension).display(language)
    if enquiry.country or enquiry.phone_typed.startswith(("+", "＋", "00")):
        return number
    return gettext(language, "%(number)s (typed %(typed)s)") % {
        "number": number,
        "typed": enquiry.phone_typed,
    }


def _phone(department: Department, language: str) -> str:
    for point in department.public_points(*PHONE_KINDS - {PointKind.FAX}):
        if point.kind is PointKind.SERVICE:
            return point.value
        return PhoneNumber(point.value, point.extension).display(language)
    return ""
