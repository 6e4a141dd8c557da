"""The tree of everything this service raises on purpose.

Raised where the fact is known; turned into status codes, problem documents and exit codes in
one place each (``web/errors.py``, ``cli.py``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from directory.domain.messages import message


class DirectoryError(Exception):
    """The root: anything below it is an answer, anything beside it is our own mistake."""

    def text(self, language: str) -> str:
        """The sentence in *language* ("en" or "zh-Hans"), in English where there is no other."""
        return str(self)


class InvalidValue(DirectoryError):
    """A value that breaks its own rules.

    ``code`` is stable, for the API and translators; the sentence is for people and comes from
    :mod:`directory.domain.messages`. ``params`` are the values the sentence names.
    """

    def __init__(self, code: str, **params: object) -> None:
        self.code = code
        self.params = params
        super().__init__(message(code, "en", **params))

    def text(self, language: str) -> str:
        """The sentence in *language* ("en" or "zh-Hans")."""
        return message(self.code, language, **self.params)


class NotFound(DirectoryError):
    """No such record, or none this reader may see."""


class Conflict(DirectoryError):
    """Someone else changed the record first, or the act would break a rule of the directory."""


class LinkRefused(DirectoryError):
    """A signed link that does not open anything.

    ``reason``: "forged" (altered, or never ours: 404), "expired", "spent" or "revoked"
    (genuine once: 410).
    """

    def __init__(self, reason: Literal["forged", "expired", "spent", "revoked", "erased"]) -> None:
        self.reason = reason
        super().__init__(f"link {reason}")


class RateLimited(DirectoryError):
    """Too many in the last hour; ``again_at`` is the instant (UTC) the next one is taken."""

    def __init__(self, *, count: int, again_at: datetime) -> None:
        self.count = count
        self.again_at = again_at
        super().__init__(f"{count} in the last hour")


class Unavailable(DirectoryError):
    """The database cannot take this now; nothing was stored, and trying again may work."""


class SettingsInvalid(DirectoryError):
    """The configuration cannot be used; each line of ``problems`` names a key and the remedy."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DeliveryFailure(DirectoryError):
    """A message the next machine did not take.

    ``stage`` is where the conversation stood: "connect", "ehlo", "starttls", "auth", "mail",
    "rcpt", "data" or "dot". ``code`` is the SMTP reply code (RFC 5321 section 4.2), 0 when the
    server gave none. ``reply`` is what it said, verbatim and cut to 500 characters.
    """

    def __init__(self, stage: str, code: int, reply: str) -> None:
        self.stage = stage
        self.code = code
        self.reply = reply[:500]
        super().__init__(f"{stage}: {code or 'no reply'} {self.reply}".rstrip())


class TemporaryFailure(DeliveryFailure):
    """Worth another try: SMTP 4yz, time-outs, no connection, a mailbox that is full."""


class OurFailure(TemporaryFailure):
    """A refusal of us, not of the recipient: 5yz before RCPT, a wrong password, no TLS.

    Retried like any temporary failure, for one wrong password must not fail a day's enquiries;
    unlike one it is an alarm at once.
    """


class PermanentFailure(DeliveryFailure):
    """The same message to the same recipient would fail again: SMTP 5yz from RCPT on."""
