"""A delivery's inputs to the bytes that are sent: RFC 5322 header, RFC 2045 parts.

Everything a message says stands in the delivery itself, fixed when it was made, so composing it
needs no database and gives the same bytes whenever it is done.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from directory.adapters import mime
from directory.adapters.catalogue import gettext
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.when import format_when
from directory.domain.wrap import WIDTH, columns, pad, wrap

FROM_NAME = 40
"""Characters of a visitor's name shown in From."""

SUBJECT_FROM_MESSAGE = 60
"""Characters of the message that stand in for a missing subject."""

PREHEADER = 100
"""Characters of the message that a list of mails may show below the subject."""

_LINK = re.compile(r"\S*(?:://|www\.)\S*", re.IGNORECASE)
_DOT_IN_A_WORD = re.compile(r"(?<=\w)\.(?=\w{2})")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # part of names in Persian, of signs in Indic scripts


class Mailbox(TypedDict):
    """One address with the name shown beside it; ``name`` may be empty."""

    name: str
    address: str


class ChosenBy(TypedDict):
    """Why an enquiry came to the department, as the decision has it.

    ``reason`` is the decision's. The rest only with "rule": ``id`` and ``position`` (from 1) of
    the rule, its ``name`` in the reader's language, and ``why``, the finding in words ("topic is
    Apply to study").
    """

    reason: Literal["rule", "department", "topic", "fallback", "moved", "undone"]
    id: NotRequired[str]
    position: NotRequired[int]
    name: NotRequired[str]
    why: NotRequired[str]


class PassedOn(TypedDict):
    """How an enquiry came from another department. Names are in the reader's language.

    ``by`` is who did it (an address, or ""), ``note`` what they wrote to the next reader, or "";
    ``departments`` had it before, the first first. ``meant_for`` is the department it was meant
    for where that is another, "" else: either it was moved twice and comes to the desk
    (``to_desk``), or no mailbox there takes mail.
    """

    by: str
    note: str
    departments: list[str]
    meant_for: str
    to_desk: bool


class LetterInputs(TypedDict):
    """What every message needs. Names and labels are in the delivery's ``language``.

    ``timezone`` is an IANA name, ``place`` its city in the reader's language ("Nanjing", "南京").
    Instants are RFC 3339 with an offset.
    """

    service_name: str
    from_address: str
    reply_to: list[Mailbox]
    department_name: str
    timezone: str
    place: str


class CommonInputs(LetterInputs):
    """What mail about an enquiry needs; ``reference`` as shown ("ENQ-7K4M-2QXD")."""

    reference: str
    topic_label: str
    answer_by: str | None


class AddedMessage(TypedDict):
    """What the visitor wrote later, and when."""

    at: str
    message: str


class RoutedInputs(CommonInputs):
    """The mail to a department.

    ``reply_to`` is the visitor, or the desk where the visitor left no address. ``email`` and
    ``phone`` (as displayed) may be empty. ``message_language`` is the language the visitor wrote
    in as far as known, else "". ``list_domain`` is what List-Id ends in: the host of the base
    URL. ``retention_days`` counts from closing. ``answers`` are the topic's extra question and what
    the visitor answered, in words. ``tags`` are those of the rule. ``covers_for`` names the
    department it was for, where that could not take it. ``passed_on`` and ``references``, the
    Message-IDs of the earlier mails to departments, are there after a move. ``action_url`` is the
    recipient's own link, whole; a copy has none. ``added`` is what the visitor wrote since.
    """

    from_style: Literal["visitor-via", "service"]
    department_slug: str
    topic_code: str
    list_domain: str
    chosen_by: ChosenBy
    subject: str
    message: str
    message_language: str
    name: str
    organisation: str
    reply_by: Literal["email", "phone", "none"]
    email: str
    phone: str
    reply_language: Literal["en", "zh-Hans", "any"]
    received_at: str
    retention_days: int
    answers: NotRequired[list[list[str]]]
    tags: NotRequired[list[str]]
    covers_for: NotRequired[str]
    passed_on: NotRequired[PassedOn]
    references: NotRequired[list[str]]
    action_url: NotRequired[str]
    added: NotRequired[list[AddedMessage]]


class CopyInputs(RoutedInputs):
    """The same mail to who only shall know of it; the department ``answering`` is another.

    ``answering`` is its name in the reader's language, ``answering_slug`` its slug.
    """

    answering: str
    answering_slug: str


class AcknowledgementInputs(CommonInputs):
    """The receipt to the visitor, without anything the visitor typed.

    ``reply_to`` is the department's public mailbox, else the desk. ``department_phone`` as
    displayed, may be empty. ``status_url`` is whole.
    """

    department_phone: str
    status_url: str


class NoteInputs(CommonInputs):
    """To the mailbox that has an enquiry: what the visitor did since.

    ``what`` it was; ``message`` is what an addition says, "" else; ``sent_at`` when it was written.
    ``email`` is where an answer goes now, "" where none is wanted by mail. ``references`` are the
    Message-IDs of the earlier mails. ``action_url`` is the recipient's own link, "" where there is
    nothing to do. An "erased" one has nothing of the visitor's in it.
    """

    what: Literal["added", "withdrawn", "address", "erased"]
    department_slug: str
    list_domain: str
    reply_by: Literal["email", "phone", "none"]
    email: str
    message: str
    message_language: str
    sent_at: str
    references: list[str]
    action_url: str


class LinkInputs(CommonInputs):
    """To the visitor: a link asked for, without anything the visitor typed.

    ``what`` it opens: the status page, or the page that gives the data out or deletes them until
    ``closes_at``. ``url`` is whole.
    """

    what: Literal["status", "export", "erase"]
    url: str
    closes_at: str | None


class Saying(TypedDict):
    """Words and the language they are in, "" where they have none (a number, an address)."""

    lang: str
    text: str


class ShownRow(TypedDict):
    """One detail as the public sees it: its name for the reader, and what stands there.

    ``column`` is the department's column that holds it.
    """

    column: str
    label: str
    texts: list[Saying]


class VerificationInputs(LetterInputs):
    """The question to a mailbox whether what we show of its department is right.

    ``reminder`` is 0 for the first mail, then 1 and 2. ``list_domain`` is the host of the base
    URL. ``verify_url`` and ``unsubscribe_url`` are whole, and open until ``closes_at`` and for
    ever.
    """

    reminder: int
    rows: list[ShownRow]
    list_domain: str
    verify_url: str
    unsubscribe_url: str
    page_url: str
    first_sent_at: str
    closes_at: str
    every_days: int


class ChangeNoticeInputs(LetterInputs):
    """To the old and the new mailbox: enquiries go elsewhere from now on.

    ``new_address`` is "" when the department has no mailbox of its own any more. ``by`` is who
    changed it, ``reason`` why, as typed.
    """

    list_domain: str
    old_address: str
    new_address: str
    by: str
    reason: str
    changed_at: str
    page_url: str


class AlarmInputs(LetterInputs):
    """To the operators: ``what`` is wrong with the service, ``since`` when, and the ``fix``."""

    list_domain: str
    alarm: str
    what: str
    fix: str
    since: str


class ReminderItem(TypedDict):
    """One enquiry that waits: ``answering`` is who has it, where that is not the reader."""

    reference: str
    topic_label: str
    received_at: str
    answer_by: str
    overdue: bool
    overdue_days: int
    answering: str
    taken_by: str
    action_url: str


class ReminderInputs(LetterInputs):
    """To a mailbox: what waits there for an answer, or with a department it stands in for."""

    list_domain: str
    items: list[ReminderItem]


def compose(delivery: Delivery) -> bytes:
    """The message of *delivery*, to be kept and sent as it is.

    7-bit, lines ended with CRLF; UTF-8 stands in the header only where an address has letters
    beyond ASCII. Raises whatever is wrong with the inputs: the caller parks the delivery.
    """
    match delivery.kind:
        case DeliveryKind.ROUTED | DeliveryKind.COPY:
            return _routed(delivery, cast(RoutedInputs, delivery.inputs))
        case DeliveryKind.ACKNOWLEDGEMENT:
            return _acknowledgement(delivery, cast(AcknowledgementInputs, delivery.inputs))
        case DeliveryKind.VERIFICATION:
            return _verification(delivery, cast(VerificationInputs, delivery.inputs))
        case DeliveryKind.CHANGE_NOTICE:
            return _change_notice(delivery, cast(ChangeNoticeInputs, delivery.inputs))
        case DeliveryKind.ALARM:
            return _alarm(delivery, cast(AlarmInputs, delivery.inputs))
        case DeliveryKind.REMINDER:
            return _reminder(delivery, cast(ReminderInputs, delivery.inputs))
        case DeliveryKind.ADDITION | DeliveryKind.NOTICE:
            return _note(delivery, cast(NoteInputs, delivery.inputs))
        case DeliveryKind.LINK:
            return _link(delivery, cast(LinkInputs, delivery.inputs))


def _routed(delivery: Delivery, m: RoutedInputs) -> bytes:
    about = _one_line(m["subject"]) or shortened(m["message"], SUBJECT_FROM_MESSAGE)
    page = {
        "m": m,
        "lang": delivery.language,
        "about": about,
        "preheader": shortened(m["message"].partition("\n")[0], PREHEADER),
        "sent": _when(m, m["received_at"], delivery.language),
        "deadline": _when(m, m["answer_by"], delivery.language),
        "added": [
            {"when": _when(m, it["at"], delivery.language), "message": it["message"]}
            for it in m.get("added", ())
        ],
    }
    words = _words(delivery, page, "routed")
    sender = m["service_name"]
    if m["from_style"] == "visitor-via" and (visitor := name_for_from(m["name"])):
        _ = partial(gettext, delivery.language)
        sender = _("%(name)s via %(service)s") % {"name": visitor, "service": sender}
    department = _one_line(m["department_name"])
    header = [
        *_common_header(delivery, m, sender, department, words["subject"]),
        mime.token("X-Enquiry-Ref", m["reference"]),
        mime.token("Auto-Submitted", "auto-generated"),
        mime.list_id(department, f"{m['department_slug']}.{m['list_domain']}"),
        mime.unstructured("X-Enquiry-Department", _answering_slug(m)),
        mime.unstructured("X-Enquiry-Topic", m["topic_code"] or "none"),
        mime.unstructured("X-Enquiry-Rule", m["chosen_by"].get("id") or m["chosen_by"]["reason"]),
    ]
    if tags := m.get("tags"):
        header.append(mime.unstructured("X-Enquiry-Tags", ", ".join(map(_one_line, tags))))
    if references := m.get("references"):
        header.append(mime.token("In-Reply-To", references[-1]))
        header.append(mime.token("References", *references))
    return _message(delivery, header, page | words, "routed")


def _answering_slug(m: RoutedInputs) -> str:
    return str(m.get("answering_slug") or m["department_slug"])


def _acknowledgement(delivery: Delivery, m: AcknowledgementInputs) -> bytes:
    page = {
        "m": m,
        "lang": delivery.language,
        "deadline": _when(m, m["answer_by"], delivery.language),
    }
    words = _words(delivery, page)
    header = [
        *_common_header(delivery, m, m["service_name"], "", words["subject"]),
        mime.token("X-Enquiry-Ref", m["reference"]),
        mime.token("Auto-Submitted", "auto-replied"),
    ]
    return _message(delivery, header, page | words)


def _note(delivery: Delivery, m: NoteInputs) -> bytes:
    page = {"m": m, "lang": delivery.language, "sent": _when(m, m["sent_at"], delivery.language)}
    words = _words(delivery, page, "note")
    department = _one_line(m["department_name"])
    header = [
        *_common_header(delivery, m, m["service_name"], department, words["subject"]),
        mime.token("X-Enquiry-Ref", m["reference"]),
        mime.token("Auto-Submitted", "auto-generated"),
        mime.list_id(department, f"{m['department_slug']}.{m['list_domain']}"),
    ]
    if references := m["references"]:
        header.append(mime.token("In-Reply-To", references[-1]))
        header.append(mime.token("References", *references))
    return _message(delivery, header, page | words, "note")


def _link(delivery: Delivery, m: LinkInputs) -> bytes:
    page = {
        "m": m,
        "lang": delivery.language,
        "closes": _when(m, m["closes_at"], delivery.language),
    }
    words = _words(delivery, page)
    header = [
        *_common_header(delivery, m, m["service_name"], "", words["subject"]),
        mime.token("X-Enquiry-Ref", m["reference"]),
        mime.token("Auto-Submitted", "auto-replied"),
    ]
    return _message(delivery, header, page | words)


def _verification(delivery: Delivery, m: VerificationInputs) -> bytes:
    page = {
        "m": m,
        "lang": delivery.language,
        "closes": _when(m, m["closes_at"], delivery.language),
        "first_sent": _when(m, m["first_sent_at"], delivery.language),
    }
    words = _words(delivery, page)
    header = [
        *_directory_header(delivery, m, words["subject"], m["list_domain"]),
        # RFC 8058: whoever wants no more of these is rid of them by one press, with no page.
        mime.token("List-Unsubscribe", f"<{m['unsubscribe_url']}>"),
        mime.token("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]
    return _message(delivery, header, page | words)


def _change_notice(delivery: Delivery, m: ChangeNoticeInputs) -> bytes:
    page = {
        "m": m,
        "lang": delivery.language,
        "changed": _when(m, m["changed_at"], delivery.language),
    }
    words = _words(delivery, page)
    header = _directory_header(delivery, m, words["subject"], m["list_domain"])
    return _message(delivery, header, page | words)


def _alarm(delivery: Delivery, m: AlarmInputs) -> bytes:
    page = {"m": m, "lang": delivery.language, "since": _when(m, m["since"], delivery.language)}
    words = _words(delivery, page)
    header = [
        *_directory_header(delivery, m, words["subject"], m["list_domain"]),
        mime.token("X-Enquiry-Alarm", m["alarm"]),
    ]
    return _message(delivery, header, page | words)


def _reminder(delivery: Delivery, m: ReminderInputs) -> bytes:
    rows = [
        {
            **item,
            "received": _when(m, item["received_at"], delivery.language),
            "due": _when(m, item["answer_by"], delivery.language),
        }
        for item in m["items"]
    ]
    page = {"m": m, "lang": delivery.language, "rows": rows}
    words = _words(delivery, page)
    header = _directory_header(delivery, m, words["subject"], m["list_domain"])
    return _message(delivery, header, page | words)


def _directory_header(
    delivery: Delivery, m: LetterInputs, subject: str, list_domain: str
) -> list[str]:
    """The header of mail that the directory itself has reason to send."""
    return [
        *_common_header(delivery, m, m["service_name"], m["department_name"], subject),
        mime.token("Auto-Submitted", "auto-generated"),
        mime.list_id("", f"directory.{list_domain}"),
    ]


def _common_header(
    delivery: Delivery, m: LetterInputs, sender: str, recipient: str, subject: str
) -> list[str]:
    # The day as it is where the service is, which is what a reader expects beside the subject.
    sent = delivery.created_at.astimezone(ZoneInfo(m["timezone"]))
    header = [
        mime.addresses("From", [(_one_line(sender), m["from_address"])]),
        mime.addresses("To", [(_one_line(recipient), delivery.recipient)]),
    ]
    if m["reply_to"]:
        replies = [(_one_line(to["name"]), to["address"]) for to in m["reply_to"]]
        header.append(mime.addresses("Reply-To", replies))
    return [
        *header,
        mime.unstructured("Subject", subject),
        mime.token("Date", format_datetime(sent)),
        mime.token("Message-ID", delivery.message_id),
        mime.token("X-Auto-Response-Suppress", "All"),
        mime.token("X-Enquiry-Kind", delivery.kind.value),
        mime.token("Content-Language", delivery.language),
    ]


def _words(delivery: Delivery, page: dict[str, Any], name: str = "") -> dict[str, Any]:
    """The sentences and facts that more than one part of the message has.

    *name* is that of the templates, where it is not the kind of the delivery.
    """
    template = _template(delivery.language, f"_{name or delivery.kind.value}_words.txt")
    return {
        name: value
        for name, value in vars(template.make_module(page)).items()
        if not name.startswith("_")
    }


def _message(delivery: Delivery, header: list[str], page: dict[str, Any], name: str = "") -> bytes:
    language, name = delivery.language, name or delivery.kind.value
    # Made from the Message-ID, so that composing twice gives the same bytes.
    digest = hashlib.sha256(delivery.message_id.encode()).hexdigest()[:24]
    return mime.alternative(
        header,
        _template(language, f"{name}.txt").render(page),
        _template(language, f"{name}.html").render(page),
        boundary=f"=_{digest}",
    )


# What stands in the lines


def name_for_from(name: str) -> str:
    """A visitor's name as it may stand in a From we sign: no address, link or trick in it.

    Mail programs show this name and little else, so it must not read as an address of somebody
    ("bank.example"), turn the text around it (bidirectional controls) or be long enough to push
    our own name out of sight. May come out empty.
    """
    name = unicodedata.normalize("NFC", name)
    name = _LINK.sub(" ", name)
    name = "".join(" " if _unwanted(character) else character for character in name)
    name = _DOT_IN_A_WORD.sub(". ", name)
    return " ".join(name.split())[:FROM_NAME].rstrip()


def shortened(text: str, limit: int) -> str:
    """*text* in one line of at most *limit* characters, cut between words where there are any."""
    line = _one_line(text)
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    space = cut.rfind(" ")
    return f"{(cut[:space] if space > limit // 2 else cut).rstrip()}…"


def _unwanted(character: str) -> bool:
    if character in '@<>"' or character in _JOINERS:
        return character not in _JOINERS
    return unicodedata.category(character) in _INVISIBLE


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _when(m: LetterInputs, instant: str | None, language: str) -> str:
    if not instant:
        return ""
    return format_when(
        datetime.fromisoformat(instant), ZoneInfo(m["timezone"]), m["place"], language
    )


# Templates


@cache
def _template(language: str, name: str) -> Template:
    """A template in one language, compiled at its first use in a process."""
    return _environment(language, html=name.endswith(".html")).get_template(f"mail/{name}")


@cache
def _environment(language: str, *, html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_templates_folder()),
        autoescape=html,  # noqa: S701  off for text parts alone, which have no markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    # Not Jinja's own i18n extension, which takes three calls to each of these.
    environment.globals["_"] = partial(_sentence, language, html)
    environment.filters |= {
        "wrap": wrap,
        "breaks": _breaks,
        "in_columns": in_columns,
        "in_lines": in_lines,
    }
    return environment


def _sentence(language: str, html: bool, text: str, /, **values: Any) -> str:
    """*text* in *language* with *values* in place, in HTML escaped unless they are Markup."""
    found = gettext(language, text)
    if not values:
        return Markup(found) if html else found  # noqa: S704  our own sentence
    return Markup(found) % values if html else found % values  # noqa: S704


def _templates_folder() -> Path:
    """Beside the package in a checkout, inside it in an installed wheel."""
    inside = Path(__file__).parent.parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "templates"


def _breaks(text: str) -> Markup:
    return Markup("<br>\n").join(text.split("\n"))


def in_lines(facts: Sequence[tuple[str, str]]) -> str:
    """Labels and values, one pair a line, the values below one another."""
    width = max(columns(label) for label, _ in facts) + 2
    return "\n".join(
        f"{pad(label, width)}{line}" if not number else f"{' ' * width}{line}"
        for label, value in facts
        for number, line in enumerate(wrap(value, width=WIDTH - width).split("\n"))
    )


def in_columns(facts: Sequence[tuple[str, str]]) -> str:
    """Labels and values, two pairs a line where all of them fit, else one."""
    rows = [facts[n : n + 2] for n in range(0, len(facts), 2)]
    left = max(columns(label) for label, _ in facts[::2]) + 2
    middle = max(columns(value) for _, value in facts[::2]) + 2
    right = max((columns(label) for label, _ in facts[1::2]), default=0) + 2
    if any("\n" in value for _, value in facts):
        return in_lines(facts)
    lines = [
        pad(label, left)
        + (pad(value, middle) if rest else value)
        + "".join(f"{pad(other, right)}{beside}" for other, beside in rest)
        for (label, value), *rest in rows
    ]
    return "\n".join(lines) if max(map(columns, lines)) <= WIDTH else in_lines(facts)
