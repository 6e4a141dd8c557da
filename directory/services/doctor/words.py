"""What a check says, in both languages, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from directory.adapters.smtp import Trial
from directory.domain.contacts import Localised
from directory.domain.mail_records import Names
from directory.parts import Parts


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found. ``unreachable``: it could not be tried, for somebody did not answer."""

    level: Level
    said: Localised
    fix: Localised = field(default_factory=dict)
    unreachable: bool = False


@dataclass(slots=True)
class Patient:
    """What is looked at, and with what: tests bring their own DNS and mail server."""

    parts: Parts
    now: datetime
    names: Callable[[], Names]
    try_mail: Callable[[], Trial | None]
    _trial: Trial | None = None
    _tried: bool = False

    def trial(self) -> Trial | None:
        """What the mail server showed, asked once; None where mail does not leave by SMTP."""
        if not self._tried:
            self._trial = self.try_mail()
            self._tried = True
        return self._trial


Check = Callable[[Patient], Verdict]
Checks = dict[str, Check]


def both(en: str, zh: str, **facts: Any) -> Localised:
    """One sentence in both languages, its {facts} filled in."""
    return {"en": en.format(**facts), "zh-Hans": zh.format(**facts)}


def ok(en: str, zh: str, **facts: Any) -> Verdict:
    """All is well."""
    return Verdict(Level.OK, both(en, zh, **facts))


def warn(said: Localised, fix: Localised) -> Verdict:
    """To be looked at in working hours."""
    return Verdict(Level.WARN, said, fix)


def fail(said: Localised, fix: Localised, *, unreachable: bool = False) -> Verdict:
    """Not as it must be."""
    return Verdict(Level.FAIL, said, fix, unreachable)
