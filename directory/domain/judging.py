"""Verdicts on single values: what a careful colleague would say before a number is published.

One function for the command line (``directory check``), the API (``/validate``), the import
preview and the fields of the admin pages, so that none of them is stricter than another. Nothing
is stored, and no network is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from directory.domain.errors import InvalidValue
from directory.domain.mailboxes import EmailAddress
from directory.domain.numbers import ServiceNumber, read


class ValueKind(StrEnum):
    """What a value is meant to be."""

    PHONE = "phone"
    FAX = "fax"
    EMAIL = "email"


class Judgement(StrEnum):
    """``WARNING`` may be kept after a second look; ``INVALID`` may not."""

    VALID = "valid"
    WARNING = "warning"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a value.

    ``code`` is the reason of an invalid one, None otherwise; ``params`` are what its sentence
    names. ``warnings`` are codes too. ``normalized`` is E.164, the bare digits of a service
    number, or the address; None when invalid. ``type`` is the use of the number's range
    ("fixed_line" … "service"), "unknown" for mail and for what is not known.
    """

    verdict: Judgement
    code: str | None
    warnings: tuple[str, ...]
    normalized: str | None
    extension: str
    type: str
    params: tuple[tuple[str, object], ...] = ()


# A fax machine on such a number is possible and unlikely.
_DOUBTFUL_FAX: Final = {
    "mobile": "fax.mobile",
    "toll_free": "fax.toll_free",
    "premium_rate": "fax.premium",
    "shared_cost": "fax.shared_cost",
    "pager": "fax.pager",
    "personal_number": "fax.personal_number",
    "voicemail": "fax.voicemail",
    "service": "fax.service",
}
_DOUBTFUL_PHONE: Final = {"premium_rate": "phone.premium", "pager": "phone.pager"}


def judge(
    kind: ValueKind,
    value: str,
    region: str = "",
    *,
    phones: Collection[str] = (),
    smtputf8: bool = False,
) -> Verdict:
    """Say whether *value* can be published as *kind*.

    *region* (ISO 3166-1 alpha-2) is where a number without a country code is dialled. *phones*
    are the E.164 numbers of the same record: a fax equal to one of them is doubted. *smtputf8*
    is whether we may send to local parts beyond ASCII.
    """
    match kind:
        case ValueKind.EMAIL:
            return _judge_mailbox(value, smtputf8)
        case ValueKind.PHONE | ValueKind.FAX:
            return _judge_number(kind, value, region, phones)
        case _:
            assert_never(kind)


def _judge_number(kind: ValueKind, value: str, region: str, phones: Collection[str]) -> Verdict:
    try:
        reading = read(value, region)
    except InvalidValue as refused:
        return _service_number(kind, value, region) or _invalid(refused)
    warnings: list[str] = []
    if reading.type == "unknown":
        warnings.append("phone.unknown_range")
    if reading.extension_inside:
        warnings.append("phone.ext_inside")
    if reading.perhaps_local:
        warnings.append("phone.area_code")
    doubtful = _DOUBTFUL_FAX if kind is ValueKind.FAX else _DOUBTFUL_PHONE
    if doubt := doubtful.get(reading.type):
        warnings.append(doubt)
    if kind is ValueKind.FAX and reading.e164 in phones:
        warnings.append("fax.same_as_phone")
    return _accepted(warnings, reading.e164, reading.extension, reading.type)


def _service_number(kind: ValueKind, value: str, region: str) -> Verdict | None:
    """The verdict on a short number such as 95588; None if *value* is none."""
    if len(value) > 40:  # no short number, however it is decorated
        return None
    try:
        number = ServiceNumber.parse(value, region=region)
    except InvalidValue:
        return None  # the caller has the better reason: what is wrong with it as a full number
    warnings = ["fax.service"] if kind is ValueKind.FAX else []
    return _accepted(warnings, number.digits, "", "service")


def _judge_mailbox(value: str, smtputf8: bool) -> Verdict:
    try:
        mailbox = EmailAddress.parse(value, smtputf8=True)
    except InvalidValue as refused:
        return _invalid(refused)
    warnings: list[str] = []
    if mailbox.smtputf8 and not smtputf8:
        warnings.append("email.smtputf8")
    if mailbox.likely_domain:
        warnings.append("email.domain_typo")
    if mailbox.unknown_ending:
        warnings.append("email.unknown_ending")
    if mailbox.is_reserved:
        warnings.append("email.reserved_domain")
    if mailbox.is_no_reply:
        warnings.append("email.no_reply")
    elif mailbox.is_personal:
        warnings.append("email.personal")
    return _accepted(warnings, str(mailbox), "", "unknown")


def _accepted(warnings: list[str], normalized: str, extension: str, type_: str) -> Verdict:
    verdict = Judgement.WARNING if warnings else Judgement.VALID
    return Verdict(verdict, None, tuple(warnings), normalized, extension, type_)


def _invalid(refused: InvalidValue) -> Verdict:
    return Verdict(
        Judgement.INVALID, refused.code, (), None, "", "unknown", tuple(refused.params.items())
    )
