"""What the DNS says of mail in a domain's name: SPF, DKIM and DMARC, read and judged.

Pure: whoever asks the DNS hands its answers in. RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_LOOKUPS = 10
"""RFC 7208 section 4.6.4: more than so many questions and receivers take the record for broken."""

SELECTORS = (
    *("default", "mail", "dkim", "selector1", "selector2", "s1", "s2", "google", "k1", "k2"),
    *("key1", "key2", "smtp", "mx", "zoho", "mandrill", "fm1", "fm2", "fm3", "protonmail"),
)
"""Names under which keys often stand: the mail server chooses one, and nobody can list them."""


class Names(Protocol):
    """The DNS. A name that does not exist is None, one without such records is empty.

    Both raise Unavailable when it cannot be asked.
    """

    def texts(self, name: str) -> list[str] | None:
        """TXT, each put together."""

    def addresses(self, name: str) -> list[str] | None:
        """A and AAAA."""

    def exchangers(self, name: str) -> list[str] | None:
        """MX, the names alone."""


# SPF


@dataclass(frozen=True, slots=True)
class Spf:
    """``record`` as it stands, "" without; ``problem`` is "", "none", "several" or "lookups".

    ``allows`` says whether it names one of the addresses asked for, None where none was asked.
    """

    record: str
    problem: str = ""
    allows: bool | None = None

    @property
    def closed(self) -> bool:
        """Whether it says that nobody else may send."""
        return self.record.lower().endswith(("-all", "~all"))


class _TooMany(Exception):
    pass


def read_spf(domain: str, names: Names, addresses: Sequence[str] = ()) -> Spf:
    """The SPF record of *domain*, and whether it lets one of *addresses* send."""
    found = _spf_texts(domain, names)
    if not found:
        return Spf("", "none")
    if len(found) > 1:
        return Spf(found[0], "several")
    left = [MOST_LOOKUPS]

    def spend() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise _TooMany

    try:
        matched = [_matches(found[0], domain, names, address, spend) for address in addresses]
    except _TooMany:
        return Spf(found[0], "lookups")
    return Spf(found[0], "", any(matched) if addresses else None)


def _spf_texts(domain: str, names: Names) -> list[str]:
    texts = names.texts(domain) or []
    return [text for text in texts if text.lower().split(" ")[0] == "v=spf1"]


def _matches(
    record: str, domain: str, names: Names, address: str, spend: Callable[[], None]
) -> bool:
    """Whether *record* passes *address*; by the mechanisms that are in use today."""
    ip = ipaddress.ip_address(address)
    for term in record.split()[1:]:
        if term.startswith(("-", "~", "?")):
            continue
        mechanism, _, value = term.removeprefix("+").partition(":")
        mechanism = mechanism.lower()
        if mechanism in {"ip4", "ip6"}:
            if _within(ip, value):
                return True
        elif mechanism.partition("/")[0] in {"a", "mx"}:
            spend()
            if _names_it(mechanism.partition("/")[0], value or domain, names, ip):
                return True
        elif mechanism == "include" or mechanism.startswith("redirect="):
            spend()
            other = value or term.partition("=")[2]
            for text in _spf_texts(other, names)[:1]:
                if _matches(text, other, names, address, spend):
                    return True
    return False


def _within(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return ip in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _names_it(
    mechanism: str,
    value: str,
    names: Names,
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    name, _, bits = value.partition("/")
    hosts = [name] if mechanism == "a" else names.exchangers(name) or []
    for host in hosts:
        for address in names.addresses(host) or []:
            if _within(ip, f"{address}/{bits}" if bits.isdigit() else address):
                return True
    return False


# DMARC


@dataclass(frozen=True, slots=True)
class Dmarc:
    """``domain`` is where the record stands, "" without one; ``policy`` none, quarantine, reject.

    ``strict_spf`` and ``strict_dkim`` say whether only the very same domain counts as ours.
    """

    domain: str = ""
    policy: str = ""
    strict_spf: bool = False
    strict_dkim: bool = False


def read_dmarc(domain: str, names: Names) -> Dmarc:
    """What receivers are told to do with mail from *domain* that nobody vouches for.

    Looked for at the domain itself, then at each above it that is no top level.
    """
    labels = domain.split(".")
    for start in range(max(len(labels) - 1, 1)):
        at = ".".join(labels[start:])
        for text in names.texts(f"_dmarc.{at}") or []:
            tags = _tags(text)
            if tags.get("v", "").upper() == "DMARC1":
                policy = tags.get("p", "none")
                if start:
                    policy = tags.get("sp", policy)
                return Dmarc(at, policy.lower(), tags.get("aspf") == "s", tags.get("adkim") == "s")
    return Dmarc()


def aligned(one: str, other: str, dmarc: Dmarc) -> bool:
    """Whether SPF for domain *one* vouches for a From of domain *other*."""
    one, other = one.lower(), other.lower()
    if one == other or dmarc.strict_spf:
        return one == other
    within = dmarc.domain or other
    return all(it == within or it.endswith(f".{within}") for it in (one, other))


# DKIM


def dkim_keys(domain: str, names: Names, selectors: Iterable[str] = SELECTORS) -> list[str] | None:
    """The selectors of *selectors* that have a key; None where there can be no key at all.

    What does not exist has nothing below it (RFC 8020); what exists may hide any name.
    """
    if names.texts(f"_domainkey.{domain}") is None:
        return None
    return [
        selector
        for selector in selectors
        if any(
            _tags(text).get("p") for text in names.texts(f"{selector}._domainkey.{domain}") or []
        )
    ]


def _tags(text: str) -> dict[str, str]:
    """``v=DMARC1; p=none`` as {"v": "DMARC1", "p": "none"}."""
    parts = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in parts}


# What to add


def records_for(
    *, from_domain: str, bounce_domain: str, smarthost: str, reports_to: str
) -> list[tuple[str, str, str]]:
    """The records to add, as (name, type, value): SPF where bounces go, DMARC for the From.

    The DKIM key is the mail server's, and only it can say it.
    """
    sender = f" a:{smarthost}" if smarthost else ""
    found = [(bounce_domain, "TXT", f"v=spf1{sender} -all")]
    reports = f"; rua=mailto:{reports_to}" if reports_to else ""
    found.append((f"_dmarc.{from_domain}", "TXT", f"v=DMARC1; p=quarantine{reports}"))
    return found
