"""Messages shown or sent to see what they look like; nothing is stored."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from sqlalchemy.orm import Session

from directory.adapters.catalogue import gettext
from directory.adapters.compose import ReminderItem, compose
from directory.adapters.queries import Published, decisions_of, enquiry_by_ref
from directory.domain.alarms import ALARMS, AlarmKind
from directory.domain.conditions import Facts
from directory.domain.contacts import ContactPoint, Department, PointKind, Topic, localised
from directory.domain.delivery import DeliveryKind
from directory.domain.enquiry import Addition, Decision, Enquiry
from directory.domain.errors import NotFound
from directory.domain.routing import decide
from directory.domain.trust import Challenge
from directory.domain.values import EmailAddress, Reference
from directory.parts import Parts
from directory.services.contacts import answer_by
from directory.services.letters import Letters
from directory.services.post import Post

_SAMPLE_REF = "7K4M2QXD"
_SAMPLE = {
    "en": ("Li Wei", "May we visit your laboratory in March?"),
    "zh-Hans": ("李伟", "请问三月份能否参观贵院实验室？"),
}


def preview(parts: Parts, kind: str, *, ref: str | None, language: str) -> bytes:
    """The message *kind* as it would be sent for the enquiry *ref*, or for a made-up one.

    RFC 5322 bytes. Raises NotFound for a reference or a topic that is not there.
    """
    now = parts.now()
    with parts.db.reading() as session:
        published = parts.published(session, now)
        topic: Topic | None
        if ref is None:
            enquiry, decision, department, topic = _made_up(
                session, parts, published, language, now
            )
        else:
            enquiry = enquiry_by_ref(session, Reference.parse(ref).symbols)
            decision = decisions_of(session, enquiry)[-1]
            department = session.get_one(Department, decision.department_id)
            topic = published.topic(enquiry.topic)
        post = Post(parts.settings, parts.signer, published, enquiry, topic)
        letters = Letters(session, parts.settings, now=now)
        match DeliveryKind(kind):
            case DeliveryKind.ROUTED:
                delivery = post.to_department(department, decision, position=1, now=now)
            case DeliveryKind.COPY:
                mailbox = ContactPoint(kind=PointKind.EMAIL, value=_mailbox(department))
                delivery = post.copy(department, mailbox, department, decision, position=3, now=now)
            case DeliveryKind.ACKNOWLEDGEMENT:
                delivery = post.receipt(department, position=2, now=now)
            case DeliveryKind.ADDITION:
                text = _SAMPLE[language][1]
                addition = Addition(enquiry_id=enquiry.id, at=now, message=text)
                delivery = post.note(
                    "added",
                    department,
                    _mailbox(department),
                    position=4,
                    now=now,
                    addition=addition,
                )
            case DeliveryKind.NOTICE:
                delivery = post.note(
                    "withdrawn", department, _mailbox(department), position=4, now=now
                )
            case DeliveryKind.LINK:
                delivery = post.link("erase", department, position=4, now=now, closes_at=now)
            case DeliveryKind.VERIFICATION:
                challenge = _made_up_challenge(department, now)
                delivery = letters.question(department, challenge, reminder=0)
            case DeliveryKind.REMINDER:
                delivery = letters.reminder(
                    department, _mailbox(department), [_made_up_item(enquiry, parts, now)]
                )
            case DeliveryKind.ALARM:
                words = ALARMS[AlarmKind.DISK].filled({"free_mb": 120})
                [delivery, *_] = letters.alarm(words, kind=AlarmKind.DISK.value, since=now)
            case DeliveryKind.CHANGE_NOTICE:
                [delivery, *_] = letters.change_notices(
                    department,
                    before=_mailbox(department),
                    after="new@institute.example",
                    by="editor@institute.example",
                    reason="",
                )
    return compose(delivery)


def _mailbox(department: Department) -> str:
    return department.mailbox.value if department.mailbox else "department@institute.example"


def _made_up_item(enquiry: Enquiry, parts: Parts, now: datetime) -> ReminderItem:
    token = parts.signer.action_token(enquiry.ref, 1, 1)
    return {
        "reference": Reference(enquiry.ref).display(parts.settings.enquiry.reference_prefix),
        "topic_label": localised(enquiry.topic_label, enquiry.language)[0],
        "received_at": enquiry.received_at.isoformat(),
        "answer_by": (enquiry.answer_by or now).isoformat(),
        "overdue": True,
        "overdue_days": 1,
        "answering": "",
        "taken_by": "",
        "action_url": f"{parts.settings.site.base_url}/a/{token}",
    }


def _made_up_challenge(department: Department, now: datetime) -> Challenge:
    return Challenge(
        symbols=_SAMPLE_REF,
        department_id=department.id,
        contact_point_id=department.id,
        address=_mailbox(department),
        sent_at=now,
        remind_at=None,
    )


def _made_up(
    session: Session, parts: Parts, published: Published, language: str, now: datetime
) -> tuple[Enquiry, Decision, Department, Topic]:
    topic = next(iter(published.topics.values()), None)
    if topic is None:
        raise NotFound("There is no topic to make an example with")
    name, message = _SAMPLE[language]
    decision = decide(Facts(topic=topic.code), published.rules, published.routes)
    department = published.department_of(session, decision)
    enquiry = Enquiry(
        ref=_SAMPLE_REF,
        received_at=now,
        form_token="",
        body_hash="",
        language=language,
        topic=topic.code,
        topic_label=topic.label,
        message=message,
        name=name,
        email="liwei@example.com",
        reply_language=language,
        answer_by=answer_by(department, topic, settings=parts.settings, received=now),
    )
    return enquiry, decision, department, topic


def trial_message(parts: Parts, recipient: EmailAddress, *, language: str) -> tuple[str, bytes]:
    """A message that says it is a test: its envelope sender and RFC 5322 bytes."""
    site = parts.settings.site
    sender = parts.settings.mail.from_
    message = EmailMessage(policy=SMTP)
    name = localised(site.name, language)[0]
    message["From"] = f'"{name}" <{sender}>' if name.isascii() else sender
    message["To"] = recipient.ascii
    message["Subject"] = gettext(language, "Test message")
    message["Date"] = format_datetime(parts.now())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(
        gettext(
            language,
            "This message shows that the contact service can send mail. Nobody needs to answer it.",
        )
        + f"\n\n{site.base_url}\n",
        cte="quoted-printable",
    )
    return sender, message.as_bytes()
