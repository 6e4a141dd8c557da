"""Contact records as they stand on a web page or in a letter.

:func:`extract` proposes; nobody stores what it finds unseen. Each value comes with its place in
the input as it was given, so that whoever looks at the proposal sees where it was published.

The way: the page as a reader sees it (``page``, ``markup``), the details on it (``scan`` with
``mails``, ``numbers``, ``addresses`` and the labels of ``lexicon``), what belongs together
(``grouping``), what the page says to machines (``structured``). Every step is linear in the size
of the input.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

import phonenumbers

from directory.adapters.extract import numbers as found_numbers
from directory.adapters.extract import structured
from directory.adapters.extract.addresses import country_named_in
from directory.adapters.extract.grouping import Record, group
from directory.adapters.extract.mails import find_mails
from directory.adapters.extract.markup import looks_like_html, read_html
from directory.adapters.extract.numbers import Number
from directory.adapters.extract.page import Page, read_text
from directory.adapters.extract.scan import Item, scan
from directory.domain.judging import Judgement, ValueKind, judge
from directory.domain.numbers import PhoneNumber

__all__ = ["Contact", "Extraction", "FoundPhone", "FoundPlace", "extract"]

_PLAIN: Final = frozenset(("fixed_line", "fixed_line_or_mobile", "mobile"))


@dataclass(frozen=True, slots=True)
class FoundPhone:
    """A number of a record.

    ``e164`` is None if the number, as published, reaches nobody or is a short service number.
    ``kind``: "voice", "fax" or "mobile". ``published``: its text as it stands. ``verdict``:
    "valid", "warning" or "invalid", as :func:`directory.domain.judging.judge` says.
    """

    e164: str | None
    extension: str
    kind: str
    published: str
    verdict: str
    evidence: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A postal address on one line; ``country`` is ISO 3166-1 alpha-2, "" if unknown."""

    text: str
    country: str
    evidence: tuple[int, int]


@dataclass(slots=True)
class Contact:
    """Details that stand together. ``name`` is "" where none stands over them.

    ``emails`` are (address, evidence); ``languages`` BCP 47 tags or names, as the page's data
    gives them.
    """

    name: str = ""
    phones: list[FoundPhone] = field(default_factory=list)
    emails: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    addresses: list[FoundPlace] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As ``directory extract`` prints it; ``evidence``: phones, mails, then addresses."""
        return {
            "name": self.name or None,
            "phones": [
                {
                    "e164": it.e164,
                    "extension": it.extension,
                    "kind": it.kind,
                    "published": it.published,
                    "verdict": it.verdict,
                }
                for it in self.phones
            ],
            "emails": [address for address, _ in self.emails],
            "addresses": [
                {"text": it.text, "country": it.country or None} for it in self.addresses
            ],
            "languages": self.languages,
            "evidence": [
                list(place)
                for place in (
                    *(it.evidence for it in self.phones),
                    *(place for _, place in self.emails),
                    *(it.evidence for it in self.addresses),
                )
            ],
        }


@dataclass(frozen=True, slots=True)
class Extraction:
    """The records of a page. ``region``: where its numbers were dialled, "" if unknown."""

    contacts: tuple[Contact, ...]
    region: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"contacts": [it.to_json() for it in self.contacts]}


def extract(
    text: str,
    *,
    region: str | None = None,
    format: Literal["text", "html"] | None = None,
) -> Extraction:
    """The contact records in *text*.

    *region* (ISO 3166-1 alpha-2) is where numbers without a country code are dialled; without it
    the page's own numbers, data, addresses and mailboxes are asked. *format* None: markup if it
    has tags that pages are made of. Offsets count code points of *text*, ends excluded.
    """
    html = looks_like_html(text) if format is None else format == "html"
    page = read_html(text) if html else read_text(text)
    place = (region or "").upper() or _guess_region(page)
    found = scan(page, place)
    contacts = [_contact(page, record) for record in group(page, found)]
    _add_data(page, contacts, place)
    return Extraction(tuple(it for it in contacts if it.phones or it.emails or it.addresses), place)


def _contact(page: Page, record: Record) -> Contact:
    contact = Contact(name=_shown_name(record.name))
    phones = {it.number.e164 for it in record.items if it.kind == "voice" and it.number}
    seen: set[tuple[str, ...]] = set()
    for item in record.items:
        same = _identity(item)
        if same in seen:
            continue
        seen.add(same)
        place = item.evidence or page.evidence(item.start, item.end)
        if item.number is not None:
            verdict = _verdict(item.number, item.kind, item.number.e164 in phones)
            contact.phones.append(
                FoundPhone(
                    item.number.e164,
                    item.number.extension,
                    item.kind,
                    item.text.strip(),
                    verdict,
                    place,
                )
            )
        elif item.kind == "mail":
            contact.emails.append((item.address, place))
        else:
            contact.addresses.append(FoundPlace(item.text, item.country, place))
    return contact


def _identity(item: Item) -> tuple[str, ...]:
    """What two details of one record have in common if they are one."""
    if item.number is None:
        return item.kind, (item.address or item.text).casefold()
    return item.kind, item.number.e164 or item.text, item.number.extension


def _shown_name(name: str) -> str:
    return " ".join(name.split())[:200]


def _verdict(number: Number, kind: str, also_phone: bool) -> str:
    if number.e164 is None:
        return "valid" if number.service and kind != "fax" else "invalid"
    if number.type in _PLAIN and not (kind == "fax" and (also_phone or number.type == "mobile")):
        return Judgement.VALID.value  # what judge() would say, without reading it once more
    return _judged(number.e164, kind == "fax", also_phone)


@lru_cache(maxsize=20_000)
def _judged(e164: str, is_fax: bool, also_phone: bool) -> str:
    kind = ValueKind.FAX if is_fax else ValueKind.PHONE
    return judge(kind, e164, phones=(e164,) if also_phone else ()).verdict.value


# ------------------------------------------------------------------ where the page is from


def _guess_region(page: Page) -> str:
    """The country whose numbers the page most likely gives without its code, "" if unknown."""
    text = page.text[:200_000]
    votes: Counter[str] = Counter()
    for found in re.finditer(r"(?<![\w+])(?:\+|00)\s?\(?(\d[\d\s().-]{6,16})", text):
        number = found_numbers.reading("+" + found_numbers.digits_of(found[1]), "")
        if number is not None and number.type != "unknown":
            votes[PhoneNumber(number.e164).region] += 3
    if code := structured.country(page):
        votes[code] += 3
    for mail in find_mails(text, ""):
        votes[_country_of_domain(mail.address)] += 1
    if code := country_named_in(text):
        votes[code] += 2
    votes[_LANGUAGE_HOMES.get(page.language.lower(), "")] += 1
    votes[_script_home(text)] += 1
    votes.pop("", None)
    votes.pop("001", None)
    return votes.most_common(1)[0][0] if votes else ""


def _country_of_domain(address: str) -> str:
    ending = address.rpartition(".")[2].upper()
    code = {"UK": "GB"}.get(ending, ending)
    return code if len(ending) == 2 and code in phonenumbers.SUPPORTED_REGIONS else ""


_LANGUAGE_HOMES: Final = {
    "zh-cn": "CN", "zh-hans": "CN", "zh-tw": "TW", "zh-hk": "HK", "ja": "JP", "ko": "KR",
    "th": "TH", "he": "IL", "vi": "VN", "tr": "TR", "pl": "PL", "cs": "CZ", "hu": "HU",
    "el": "GR", "de-de": "DE", "de-at": "AT", "de-ch": "CH", "fr-fr": "FR", "en-gb": "GB",
    "en-us": "US", "ru": "RU", "uk": "UA",
}  # fmt: skip
_SCRIPTS: Final = (
    ("[\u3040-\u30ff]", "JP"),
    ("[\uac00-\ud7af]", "KR"),
    ("[\u0e00-\u0e7f]", "TH"),
    ("[\u0590-\u05ff]", "IL"),
    ("[电传话]", "CN"),
)


def _script_home(text: str) -> str:
    return next((code for letters, code in _SCRIPTS if re.search(letters, text)), "")


# ------------------------------------------------------------------ what the page says to machines


def _add_data(page: Page, contacts: list[Contact], region: str) -> None:
    """Take in from the page's data what the page does not show; the rest is known already."""
    known = _Known(contacts)
    for node in structured.nodes(page):
        given = Contact(name=_shown_name(node.name), languages=node.languages)
        for values, kind in ((node.voices, "voice"), (node.faxes, "fax")):
            for text, place in values:
                number = found_numbers.read_alone(text, region)
                given.phones.append(
                    FoundPhone(
                        number.e164,
                        number.extension,
                        kind,
                        text,
                        _verdict(number, kind, False),
                        place,
                    )
                )
        for text, place in node.mails:
            given.emails += [(it.address, place) for it in find_mails(text, region)[:1]]
        for text, code, place in node.addresses:
            given.addresses.append(
                FoundPlace(text, code or country_named_in(text) or region, place)
            )
        known.take(given)


class _Known:
    """The records so far, found again by their numbers and mailboxes."""

    def __init__(self, contacts: list[Contact]) -> None:
        self.contacts = contacts
        self._by_value: dict[str, Contact] = {}
        self._roles: set[tuple[str | None, str]] = set()
        for contact in contacts:
            self._index(contact)

    def _index(self, contact: Contact) -> None:
        for value in _values(contact):
            self._by_value.setdefault(value, contact)
        self._roles |= {(it.e164, _role(it.kind)) for it in contact.phones}

    def take(self, given: Contact) -> None:
        """Add what is nowhere yet to the record that shares most with *given*, else a new one."""
        sharing = Counter(
            id(contact) for value in _values(given) if (contact := self._by_value.get(value))
        )
        if not sharing:
            if given.phones or given.emails:
                self.contacts.append(given)
                self._index(given)
            return
        best = sharing.most_common(1)[0][0]
        known = next(
            contact
            for value in _values(given)
            if (contact := self._by_value.get(value)) and id(contact) == best
        )
        known.name = known.name or given.name
        known.phones += [it for it in given.phones if (it.e164, it.kind) not in self._roles]
        known.emails += [it for it in given.emails if it[0].casefold() not in self._by_value]
        known.addresses += given.addresses if not known.addresses else []
        known.languages += [it for it in given.languages if it not in known.languages]
        self._index(known)


def _values(contact: Contact) -> list[str]:
    return [it.e164 for it in contact.phones if it.e164] + [
        address.casefold() for address, _ in contact.emails
    ]


def _role(kind: str) -> str:
    return "voice" if kind == "mobile" else kind
