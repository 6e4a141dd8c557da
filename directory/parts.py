"""Everything one process works with, put together once from the settings."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import Locale
from sqlalchemy.orm import Session

from directory.adapters.db import Database
from directory.adapters.jobs import Doorbell
from directory.adapters.links import Signer
from directory.adapters.metrics import Metrics
from directory.adapters.plugins import load_plugins
from directory.adapters.queries import Published, load_published, published_key
from directory.clock import Clock, clock_of
from directory.domain.contacts import Department, Localised
from directory.domain.hours import OpeningHours
from directory.domain.routing import RuleSet
from directory.settings import Settings


class CountryNames(dict[str, Localised]):
    """Countries by ISO 3166-1 alpha-2, named when asked for: Babel's lists are slow to load."""

    def __missing__(self, code: str) -> Localised:
        names = {
            language: str(Locale.parse(tag).territories.get(code, code))
            for language, tag in (("en", "en"), ("zh-Hans", "zh_Hans"))
        }
        self[code] = names
        return names

    def get(self, code: str, default: object = None) -> Localised:
        return self[code]


@dataclass(slots=True)
class Parts:
    """The settings, and what was built from them; one for all threads of a process."""

    settings: Settings
    db: Database
    signer: Signer
    doorbell: Doorbell
    now: Clock
    # Where anybody may ask for them.
    metrics: Metrics | None = None
    # The folder of kept mail, where no mail leaves by SMTP.
    mailbox: Path | None = None
    countries: CountryNames = field(default_factory=CountryNames)
    # What pages keep between requests, each under the versions it was made from.
    kept: dict[Any, Any] = field(default_factory=dict)
    _published: Published | None = None
    _loading: threading.Lock = field(default_factory=threading.Lock)

    def published(self, session: Session, now: datetime) -> Published:
        """The rules and routes that decide at *now*, as *session* sees them.

        The key is asked in the transaction that decides; rules never change within a version.
        """
        key = published_key(session, now)
        current = self._published
        if current is not None and current.key == key:
            return current
        with self._loading:
            if self._published is None or self._published.key != key:
                self._published = self._load(key)
            return self._published

    def published_with(self, session: Session, rules: RuleSet, now: datetime) -> Published:
        """What would decide if *rules*, a draft or another version, were the published ones."""
        return self._load((rules.version, published_key(session, now)[1]), rules)

    def _load(self, key: tuple[int, int], rules: RuleSet | None = None) -> Published:
        site, sla = self.settings.site, self.settings.sla

        def hours_of(department: Department) -> OpeningHours | None:
            return OpeningHours.of(department, timezone=site.timezone, calendar=sla.calendar)

        # In a session of its own: what is shared must belong to no one's transaction.
        with self.db.reading() as apart:
            found = load_published(
                apart,
                key,
                desk=site.desk,
                country_names=self.countries,
                hours_of=hours_of,
                rules=rules,
            )
            apart.expunge_all()
        return found

    @property
    def last_published(self) -> Published | None:
        """What decided last, for when the database cannot be asked."""
        return self._published

    def let_go(self) -> None:
        """Close what must not cross a fork; it opens again at its next use."""
        self.db.dispose()
        self.doorbell.close()


def assemble(settings: Settings, *, mailbox: Path | None = None) -> Parts:
    """The parts for *settings*; opens no connection yet.

    *mailbox* is where a demo's own mail server keeps what it takes, if there is one. Raises
    SettingsInvalid where an installed package brings a condition or an action that is none.
    """
    load_plugins()
    return Parts(
        settings=settings,
        db=Database(settings.database_url),
        signer=Signer(*(key.get_secret_value() for key in settings.secret_key)),
        doorbell=Doorbell(settings.var / "doorbell.db"),
        now=clock_of(settings),
        metrics=Metrics(settings.var / "metrics") if settings.metrics.token else None,
        mailbox=mailbox or settings.mail_folder,
    )
