"""Signed links, form tokens, cookies and envelope senders: sign, read, refuse.

Everything here is a message authentication code (HMAC-SHA256, RFC 2104) over what it stands for,
under a key of its own purpose, so that nothing made for one purpose reads as another. Each
carries one symbol saying which secret made it: a new secret put in front signs from then on,
and what the older ones signed stays good for as long as they are listed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from directory.domain.delivery import DeliveryKind
from directory.domain.errors import LinkRefused, SettingsInvalid

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O and U: safe to read aloud, and a link never ends in punctuation."""

FORM_TOKEN_AGE = timedelta(hours=24)

_MAC_SYMBOLS = 26  # 130 bits: links open personal data and want at least 128
_BOUNCE_SYMBOLS = 20  # 100 bits: a guessed one could at most mark one delivery as bounced
_FORM_MAC_BYTES = 16
_FORM_NONCE_BYTES = 11
_TIME_BYTES = 5
_BOUNCE_LETTERS = {
    DeliveryKind.ROUTED: "r",
    DeliveryKind.COPY: "i",  # for information
    DeliveryKind.ACKNOWLEDGEMENT: "a",
    DeliveryKind.VERIFICATION: "v",
    DeliveryKind.CHANGE_NOTICE: "c",
    DeliveryKind.ALARM: "w",  # a warning
    DeliveryKind.REMINDER: "m",
    DeliveryKind.ADDITION: "d",
    DeliveryKind.NOTICE: "n",
    DeliveryKind.LINK: "l",
}
_BOUNCE_KINDS = {letter: kind for kind, letter in _BOUNCE_LETTERS.items()}

LinkPurpose = Literal["status", "action", "export", "erase", "verification", "unsubscribe"]
# Of links that name a recipient as well; the others name none.
_FOR_A_RECIPIENT = frozenset({"action", "export", "erase"})


class TokenState(StrEnum):
    """What a form token turned out to be."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link names: an enquiry by the eight symbols of its reference, and a recipient.

    A link of a challenge names that, by eight symbols of its own.

    ``recipient`` is the recipient's number in the enquiry, from 1; None for the visitor's link.
    """

    symbols: str
    recipient: int | None = None


@dataclass(frozen=True, slots=True)
class Bounce:
    """What an envelope sender of ours names: one delivery, and when its address was made."""

    kind: DeliveryKind
    delivery_id: int
    made_at: datetime


class Signer:
    """Signs with the first of *secrets* and reads what any of them signed.

    Raises SettingsInvalid when there is none. A secret shorter than 32 characters is for
    :mod:`directory.settings` to refuse.
    """

    def __init__(self, *secret_keys: str) -> None:
        if not secret_keys or not all(secret_keys):
            raise SettingsInvalid("DIRECTORY_SECRET_KEY is empty: set a random text")
        self._secrets: Sequence[tuple[str, bytes]] = [
            (_key_id(secret.encode()), secret.encode()) for secret in secret_keys
        ]
        self._derived: dict[tuple[str, bytes], bytes] = {}

    # Links

    def status_token(self, symbols: str, version: int) -> str:
        """The visitor's link to one enquiry: ``7K4M2QXD-`` and 27 symbols.

        *symbols* are the eight of the reference. Raising the enquiry's *version* revokes every
        link made before.
        """
        return self._link("status", Link(symbols), version)

    def read_status_token(self, token: str, version: int) -> Link:
        """What *token* opens, at the enquiry's present *version*.

        Raises LinkRefused: "forged" when it is not ours, "revoked" when it was once.
        """
        return self._read_link("status", token, version)

    def action_token(self, symbols: str, recipient: int, version: int) -> str:
        """What recipient number *recipient* may open: ``7K4M2QXD-1-`` and 27 symbols."""
        return self._link("action", Link(symbols, recipient), version)

    def read_action_token(self, token: str, version: int) -> Link:
        """As :meth:`read_status_token`, for a recipient's link."""
        return self._read_link("action", token, version)

    def confirmation_token(
        self, purpose: Literal["export", "erase"], symbols: str, number: int, version: int
    ) -> str:
        """What the visitor opens who wanted a copy of their data, or to have them deleted.

        *number* is that of the mail it stands in, within the enquiry.
        """
        return self._link(purpose, Link(symbols, number), version)

    def read_confirmation_token(
        self, purpose: Literal["export", "erase"], token: str, version: int
    ) -> Link:
        """As :meth:`read_status_token`, for such a link."""
        return self._read_link(purpose, token, version)

    def verification_token(self, symbols: str, version: int) -> str:
        """What a mailbox that was asked opens to answer; *symbols* name the challenge."""
        return self._link("verification", Link(symbols), version)

    def read_verification_token(self, token: str, version: int) -> Link:
        """As :meth:`read_status_token`, for the link of a challenge."""
        return self._read_link("verification", token, version)

    def unsubscribe_token(self, symbols: str) -> str:
        """What the same mailbox opens to be asked no more (RFC 8058). It does not end."""
        return self._link("unsubscribe", Link(symbols), 1)

    def read_unsubscribe_token(self, token: str) -> Link:
        """What *token* stops. Raises LinkRefused: "forged"."""
        return self._read_link("unsubscribe", token, 1)

    def _link(self, purpose: LinkPurpose, link: Link, version: int) -> str:
        key_id, secret = self._secrets[0]
        return f"{_name(link)}-{key_id}{self._link_mac(purpose, secret, link, version)}"

    def _link_mac(self, purpose: LinkPurpose, secret: bytes, link: Link, version: int) -> str:
        message = f"{purpose}\n{_name(link)}\n{version}".encode()
        return _symbols(self._mac(purpose, secret, message), _MAC_SYMBOLS)

    def _read_link(self, purpose: LinkPurpose, token: str, version: int) -> Link:
        link = link_in(token)
        if (link.recipient is None) is (purpose in _FOR_A_RECIPIENT):
            raise LinkRefused("forged")
        _, _, signature = token.rpartition("-")
        for secret in self._candidates(signature[:1]):
            # The older versions are tried too, to tell a link of ours that was revoked from one
            # that never was. There are as many as the enquiry was moved: a handful.
            for made_at in range(version, 0, -1):
                expected = self._link_mac(purpose, secret, link, made_at)
                if hmac.compare_digest(expected.encode(), signature[1:].encode()):
                    if made_at != version:
                        raise LinkRefused("revoked")
                    return link
        raise LinkRefused("forged")

    # Form tokens

    def form_token(self, now: datetime) -> str:
        """One form shown at *now*: 44 characters, unlike any other, and nothing is stored."""
        key_id, secret = self._secrets[0]
        body = _seconds(now).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_FORM_NONCE_BYTES)
        mac = self._mac("form", secret, body)[:_FORM_MAC_BYTES]
        return key_id + _base64(body + mac)

    def read_form_token(
        self, token: str, now: datetime, *, max_age: timedelta = FORM_TOKEN_AGE
    ) -> TokenState:
        """Whether *token* is ours and no older than *max_age*.

        One issued after *now* is valid: it is ours, so the clock went back meanwhile.
        """
        raw = _unbase64(token[1:])
        if raw is None or len(raw) != _TIME_BYTES + _FORM_NONCE_BYTES + _FORM_MAC_BYTES:
            return TokenState.FORGED
        body, mac = raw[:-_FORM_MAC_BYTES], raw[-_FORM_MAC_BYTES:]
        if not self._signed("form", token[:1], body, mac):
            return TokenState.FORGED
        age = _seconds(now) - int.from_bytes(body[:_TIME_BYTES], "big")
        return TokenState.VALID if age <= max_age.total_seconds() else TokenState.EXPIRED

    # Small values that travel in a cookie or a hidden field

    def sign_value(self, purpose: str, value: Any, now: datetime) -> str:
        """*value* (anything JSON can say) in URL- and cookie-safe characters; it is not hidden.

        *purpose* names one use ("action cookie"); a value signed for another does not read.
        """
        key_id, secret = self._secrets[0]
        body = (
            _seconds(now).to_bytes(_TIME_BYTES, "big")
            + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        )
        mac = self._mac(f"value {purpose}", secret, body)[:_FORM_MAC_BYTES]
        return f"{key_id}{_base64(body)}.{_base64(mac)}"

    def read_value(self, purpose: str, text: str, now: datetime, *, max_age: timedelta) -> Any:
        """What :meth:`sign_value` was given. Raises LinkRefused: "forged" or "expired"."""
        body_text, _, mac_text = text[1:].partition(".")
        body, mac = _unbase64(body_text), _unbase64(mac_text)
        if body is None or mac is None or len(mac) != _FORM_MAC_BYTES:
            raise LinkRefused("forged")
        if not self._signed(f"value {purpose}", text[:1], body, mac):
            raise LinkRefused("forged")
        age = _seconds(now) - int.from_bytes(body[:_TIME_BYTES], "big")
        if age > max_age.total_seconds():
            raise LinkRefused("expired")
        return json.loads(body[_TIME_BYTES:])

    # Keyed hashes, to count by without keeping what is counted

    def fingerprint(self, purpose: str, text: str) -> str:
        """26 symbols that are always the same for *text* and do not tell it.

        Under the first secret: when that changes, what was counted before is forgotten.
        """
        return _symbols(self._mac(f"fingerprint {purpose}", self._secrets[0][1], text.encode()), 26)

    # Envelope senders (VERP)

    def envelope_sender(
        self, kind: DeliveryKind, delivery_id: int, now: datetime, *, domain: str
    ) -> str:
        """The address bounces of one delivery come back to: ``bounce+…@domain``.

        Type, id, time and key stand in it readably and signed, so that a bounce finds its
        delivery and a forged one finds none. The same at every attempt, because greylisting
        compares it: it is made once and kept with the delivery. Lower case, for some servers
        fold it; at most 51 of the 64 octets that RFC 5321 allows a local part.
        """
        key_id, secret = self._secrets[0]
        body = f"{_BOUNCE_LETTERS[kind]}{_number(delivery_id)}-{_number(_seconds(now))}"
        mac = _symbols(self._mac("bounce", secret, body.encode()), _BOUNCE_SYMBOLS)
        return f"bounce+{body}-{key_id}{mac}@{domain}".lower()

    def read_envelope_sender(self, address: str, *, domain: str) -> Bounce:
        """The delivery that *address* was made for. Raises LinkRefused: "forged"."""
        local, _, host = address.strip().lower().rpartition("@")
        marker, _, rest = local.partition("+")
        parts = rest.split("-")
        if not address.isascii() or marker != "bounce" or host != domain.lower() or len(parts) != 3:
            raise LinkRefused("forged")
        body, signature = f"{parts[0]}-{parts[1]}", parts[2].upper()
        # The body was signed as it was written: type in lower case, numbers in upper.
        written = body[:1] + body[1:].upper()
        for secret in self._candidates(signature[:1]):
            mac = _symbols(self._mac("bounce", secret, written.encode()), _BOUNCE_SYMBOLS)
            if hmac.compare_digest(mac.encode(), signature[1:].encode()):
                return Bounce(
                    kind=_BOUNCE_KINDS[body[0]],
                    delivery_id=_from_number(parts[0][1:].upper()),
                    made_at=datetime.fromtimestamp(_from_number(parts[1].upper()), UTC),
                )
        raise LinkRefused("forged")

    # Addresses that answers are copied to

    def log_address(self, symbols: str, *, mailbox: str) -> str:
        """The address a copy of the answer to one enquiry comes to: ``log+…@domain``.

        *mailbox* is where such mail arrives, *symbols* are the eight of the reference. Signed, so
        that nobody can mark as answered what they were not written to about; lower case, at most
        64 octets before the @ for a *mailbox* of up to 33.
        """
        key_id, secret = self._secrets[0]
        local, _, domain = mailbox.rpartition("@")
        mac = _symbols(self._mac("log", secret, symbols.encode()), _BOUNCE_SYMBOLS)
        return f"{local}+{symbols}.{key_id}{mac}@{domain}".lower()

    def read_log_address(self, address: str, *, mailbox: str) -> str:
        """The symbols of the enquiry that *address* was made for. Raises LinkRefused: "forged"."""
        local, _, host = address.strip().lower().rpartition("@")
        wanted, _, domain = mailbox.lower().rpartition("@")
        marker, _, rest = local.rpartition("+")
        symbols, _, signature = rest.upper().partition(".")
        if not address.isascii() or (marker, host) != (wanted, domain) or len(symbols) != 8:
            raise LinkRefused("forged")
        for secret in self._candidates(signature[:1]):
            mac = _symbols(self._mac("log", secret, symbols.encode()), _BOUNCE_SYMBOLS)
            if hmac.compare_digest(mac.encode(), signature[1:].encode()):
                return symbols
        raise LinkRefused("forged")

    # Keys

    def _signed(self, purpose: str, key_id: str, body: bytes, mac: bytes) -> bool:
        return any(
            hmac.compare_digest(self._mac(purpose, secret, body)[: len(mac)], mac)
            for secret in self._candidates(key_id)
        )

    def _candidates(self, key_id: str) -> Iterator[bytes]:
        return (secret for known, secret in self._secrets if known == key_id)

    def _mac(self, purpose: str, secret: bytes, message: bytes) -> bytes:
        derived = self._derived.get((purpose, secret))
        if derived is None:
            derived = hmac.digest(secret, f"directory {purpose}".encode(), "sha256")
            self._derived[purpose, secret] = derived
        return hmac.digest(derived, message, "sha256")


def link_in(token: str) -> Link:
    """What *token* says it names, unproven: enough to look the enquiry up.

    Raises LinkRefused ("forged") for a text that has not the shape of a link.
    """
    parts = token.split("-")
    shape = [len(part) for part in parts]
    if not token.isascii() or len(parts) not in (2, 3) or set("".join(parts)) - set(CROCKFORD):
        raise LinkRefused("forged")
    if shape[0] != 8 or shape[-1] != 1 + _MAC_SYMBOLS:
        raise LinkRefused("forged")
    if len(parts) == 2:
        return Link(parts[0])
    # Only the spelling that was signed: "01" and "1" would be two addresses of one page.
    if not parts[1].isdecimal() or parts[1].startswith("0") or len(parts[1]) > 6:
        raise LinkRefused("forged")
    return Link(parts[0], int(parts[1]))


def _name(link: Link) -> str:
    return link.symbols if link.recipient is None else f"{link.symbols}-{link.recipient}"


def _key_id(secret: bytes) -> str:
    """One symbol made from the secret itself, so that adding one in front renames none.

    Two secrets share a symbol once in 32 times; then both are tried.
    """
    return CROCKFORD[hmac.digest(secret, b"directory key id", "sha256")[0] >> 3]


def _symbols(mac: bytes, count: int) -> str:
    """The first 5 * *count* bits of *mac*, in Crockford's alphabet."""
    number = int.from_bytes(mac, "big") >> (len(mac) * 8 - 5 * count)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(5 * count - 5, -1, -5))


def _number(value: int) -> str:
    symbols = ""
    while value or not symbols:
        value, digit = divmod(value, 32)
        symbols = CROCKFORD[digit] + symbols
    return symbols


def _from_number(symbols: str) -> int:
    value = 0
    for symbol in symbols:
        value = value * 32 + CROCKFORD.index(symbol)
    return value


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes | None:
    """The bytes, or None unless *text* is exactly how :func:`_base64` writes them.

    Python's decoder skips characters it does not know and spare bits at the end; either would
    give one token many spellings.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return raw if _base64(raw) == text else None
