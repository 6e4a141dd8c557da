"""What every format writes from and reads into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from directory.domain.contacts import Department, Localised, Topic
from directory.domain.errors import InvalidValue
from directory.domain.hours import OpeningHours


@dataclass(frozen=True, slots=True)
class Site:
    """What an export says of the installation it comes from. ``now`` is when it is written."""

    base_url: str
    name: Localised
    timezone: str
    default_country: str
    now: datetime

    def page(self, slug: str, language: str = "en") -> str:
        """The address of a department's page in *language*."""
        return f"{self.base_url}/{language.lower()}/departments/{slug}"

    def form(self, slug: str, language: str = "en") -> str:
        """The address of the form that writes to a department."""
        return f"{self.base_url}/{language.lower()}/enquiries/new?department={slug}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A department with what stands around it. Relations are slugs, "" where there is none.

    ``private`` says whether what is not published may leave too.
    """

    department: Department
    parent: str = ""
    deputy: str = ""
    successor: str = ""
    topics: tuple[Topic, ...] = ()
    hours: OpeningHours | None = None
    reply_days: int = 0
    private: bool = False


@dataclass(slots=True)
class Row:
    """One record of a file, as the cells of the columns it speaks of.

    ``number`` is how people count it: the line of a spreadsheet with its header, else the
    record. ``cells`` has None for what is to be cleared. ``whole`` names, for each kind of
    contact point that the record lists completely, the details it gives of each: what it does
    not list is no longer there. ``kind`` is "department", "topic" or "rules"; the last two keep
    their values as they stand in a seed file in ``values``, a department what it has no columns
    for. ``by_value`` asks to match it by its numbers and mailboxes. ``problem`` is what makes the
    record unreadable, with the column and text it is about.
    """

    number: int
    cells: dict[str, str | None] = field(default_factory=dict)
    whole: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kind: str = "department"
    values: Any = None
    by_value: bool = False
    problem: tuple[str, str, InvalidValue] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read: what is "" is found out.

    ``mapping`` gives the file's own headers our columns ("" leaves a column out). ``raw`` says
    that no apostrophe guards its cells.
    """

    encoding: str = ""
    delimiter: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False


def language_of(text: str) -> str:
    """The language of a text that does not say: Chinese if any character of it is."""
    chinese = any("\u3400" <= character <= "\u9fff" for character in text)
    return "zh-Hans" if chinese else "en"
