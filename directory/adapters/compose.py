"""A delivery's inputs to the bytes that are sent: RFC 5322 header, RFC 2045 parts.

Everything a message says stands in the delivery itself, fixed when it was made, so composing it
needs no database and gives the same bytes whenever it is done.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Mailbox(TypedDict):
    """One address with the name shown beside it; ``name`` may be empty."""

    name: str
    address: str


class ChosenBy(TypedDict):
    """Why an enquiry came to the department, as the decision has it.

    ``reason`` is the API's "destination.reason". The rest only with "rule": ``id`` and
    ``position`` (from 1) of the rule, its ``name`` in the reader's language, and ``why``, the
    finding in words ("topic is Apply to study").
    """

    reason: Literal["rule", "department", "topic", "fallback"]
    id: NotRequired[str]
    position: NotRequired[int]
    name: NotRequired[str]
    why: NotRequired[str]


class CommonInputs(TypedDict):
    """What every message needs. Names and labels are in the delivery's ``language``.

    ``reference`` as shown ("ENQ-7K4M-2QXD"). ``timezone`` is an IANA name, ``place`` its city in
    the reader's language ("Nanjing", "南京"). Instants are RFC 3339 with an offset.
    """

    service_name: str
    from_address: str
    reply_to: list[Mailbox]
    reference: str
    topic_label: str
    department_name: str
    answer_by: str | None
    timezone: str
    place: str


class RoutedInputs(CommonInputs):
    """The mail to a department.

    ``reply_to`` is the visitor, or the desk where the visitor left no address. ``email`` and
    ``phone`` (as displayed) may be empty. ``message_language`` is the language the visitor wrote
    in as far as known, else "". ``list_domain`` is what List-Id ends in: the host of the base
    URL. ``retention_days`` counts from closing.
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


class AcknowledgementInputs(CommonInputs):
    """The receipt to the visitor, without anything the visitor typed.

    ``reply_to`` is the department's public mailbox, else the desk. ``department_phone`` as
    displayed, may be empty. ``status_url`` is whole.
    """

    department_phone: str
    status_url: str
