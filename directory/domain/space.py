"""Which enquiries a rule matches, as sets that can be cut and compared exactly.

An enquiry is a point: one value for each attribute that rules ask for (topic, country, an hour at
which just these departments are open …). What no rule tells apart counts as one value. A word is
an attribute of two values, absent and present, free of all others except that a text with “visa
application” also has “visa”. What a rule matches is a union of boxes, each of which allows some
values of some attributes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from directory.domain.conditions import (
    AllOf,
    Answers,
    AnyOf,
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    FromPage,
    FromSite,
    IsOpen,
    IsReturning,
    Mentions,
    Not,
    ReplyLanguageIs,
    Routes,
    TextLanguageIs,
    TopicIs,
    fold,
    is_unspaced,
    mentioned,
    within,
)
from directory.domain.errors import DirectoryError
from directory.domain.hours import OpeningHours
from directory.domain.rule_index import WordFinder

# Attribute to the values allowed, as bits; attributes that are not named are free.
Box = dict[int, int]

# A rule of more boxes than this was written to break something.
MOST_BOXES: Final = 4_096
_YEAR: Final = timedelta(days=366)
ABSENT, PRESENT = 1, 2


class Unsettled(DirectoryError):
    """A question whose answer would take longer than the bound allows."""


class Space:
    """The attributes of enquiries that *conditions* tell apart, and the boxes conditions are.

    ``values[attribute]`` are its values, those that make the plainest example first. Attributes
    from ``words_from`` on are words and other things that are true or not. ``at`` is the instant
    everything is judged at where no rule asks for opening hours.
    """

    def __init__(
        self,
        conditions: Iterable[Condition],
        routes: Routes,
        *,
        at: datetime,
        languages: Collection[str],
        countries: Collection[str],
        text_languages: Sequence[str],
    ) -> None:
        self.at = at
        self.names: list[Any] = []
        self.values: list[tuple[Any, ...]] = []
        self.full: list[int] = []
        self._place: dict[Any, int] = {}
        self._bit: dict[Any, dict[Any, int]] = {}
        self._told_apart: dict[Any, int] = {}  # masks worked out by trying
        leaves = _Leaves(conditions)
        self._add_choices(leaves, routes, languages, countries)
        self._add_language(leaves.of(TextLanguageIs), routes, text_languages)
        self._add_page(leaves, routes)
        self._add_hours(leaves.of(IsOpen), routes, at)
        self._add_answers(leaves.of(Answers))
        if leaves.of(IsReturning):
            self._add("returning", (False, True))
        self.words_from = len(self.names)
        self._add_words(leaves.of(Mentions))
        for other in leaves.others:
            self._add(("other", _written(other)), (False, True))

    # ------------------------------------------------------------------ attributes

    def _add(self, name: Any, values: Sequence[Any]) -> int:
        place = self._place[name] = len(self.names)
        self.names.append(name)
        self.values.append(tuple(values))
        self.full.append((1 << len(values)) - 1)
        self._bit[name] = {value: 1 << number for number, value in enumerate(values)}
        return place

    def _add_choices(
        self,
        leaves: _Leaves,
        routes: Routes,
        languages: Collection[str],
        countries: Collection[str],
    ) -> None:
        # Every topic leads somewhere of its own; departments do too, but those that no rule names
        # are the same to all rules, and one stands for them.
        self._add("topic", (*routes.topics, ""))
        offered = [slug for slug, target in routes.targets.items() if target.active]
        named = {value for leaf in leaves.of(DepartmentIs) for value in leaf.values}
        other = next((slug for slug in offered if slug not in named), None)
        own = ["", *(slug for slug in offered if slug in named)]
        self._add("department", own if other is None else [*own, other])
        if leaves.of(ReplyLanguageIs):
            self._add("reply_language", (*languages, "any"))
        if asked := leaves.of(CountryIs):
            named = {value for leaf in asked for value in leaf.values}
            known = ["", *countries]
            rest = [value for value in known if value not in named][:1]
            self._add("country", (*rest, *(value for value in known if value in named)))

    def _add_language(
        self, leaves: Sequence[TextLanguageIs], routes: Routes, written: Sequence[str]
    ) -> None:
        if not leaves:
            return
        named = [value for leaf in leaves for value in leaf.values]
        tags = dict.fromkeys((*written, "", *named))
        facts = {tag: _written_in(tag) for tag in tags}
        self._tell_apart("text_language", facts, leaves, routes)

    def _add_page(self, leaves: _Leaves, routes: Routes) -> None:
        pages, sites = leaves.of(FromPage), leaves.of(FromSite)
        if not pages and not sites:
            return
        wanted = dict.fromkeys(value for leaf in pages for value in leaf.values)
        paths = [value for value in wanted if value.startswith("/")]
        urls = [value for value in wanted if not value.startswith("/")]
        # A page of a named site may lie below a named path as well.
        named = {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)}
        below = [site + path for site in sorted(named) for path in paths]
        sources = ["", "/", *paths, *urls, *below]
        origins = dict.fromkeys(value for leaf in sites for value in leaf.values)
        facts = {
            (source, origin): Facts(source=source, origin=origin)
            for source in dict.fromkeys(sources)
            for origin in ("", *origins)
            # Where the page is a URL, the site is never unknown.
            if origin or source.startswith("/") or not source
        }
        if urls:
            elsewhere = "https://elsewhere.example"
            for url in (*urls, *below):
                facts[url, elsewhere] = Facts(source=url, origin=elsewhere)
        self._tell_apart("page", facts, [*pages, *sites], routes)

    def _tell_apart(
        self, name: str, facts: Mapping[Any, Facts], leaves: Sequence[Condition], routes: Routes
    ) -> None:
        """One value for each way in which *leaves* see *facts*, the first of each."""
        distinct = list({_written(leaf): leaf for leaf in leaves}.values())
        seen: dict[int, Any] = {}
        views: dict[Any, int] = {}
        for value, known in facts.items():
            views[value] = sum(leaf.holds(known, routes) << n for n, leaf in enumerate(distinct))
            seen.setdefault(views[value], value)
        self._add(name, list(seen.values()))
        # Also those that were taken together with another.
        self._bit[name] = {value: self._bit[name][seen[view]] for value, view in views.items()}
        for n, leaf in enumerate(distinct):
            self._told_apart[_written(leaf)] = sum(
                1 << place for place, view in enumerate(seen) if view >> n & 1
            )

    def _add_hours(self, leaves: Sequence[IsOpen], routes: Routes, at: datetime) -> None:
        if not leaves:
            return
        hours: dict[str, OpeningHours] = {}
        for leaf in leaves:
            target = routes.targets.get(leaf.department)
            if target is not None and target.hours is not None:
                hours[leaf.department] = target.hours
        states = opening_states(list(hours.values()), at)
        self._add("at", list(states.values()))
        for n, slug in enumerate(hours):
            self._told_apart["open", slug] = sum(
                1 << place for place, state in enumerate(states) if state >> n & 1
            )

    def _add_answers(self, leaves: Sequence[Answers]) -> None:
        wanted: dict[str, dict[str, None]] = {}
        for leaf in leaves:
            for code, values in leaf.wanted:
                wanted.setdefault(code, {}).update(dict.fromkeys(values))
        for code, answers in wanted.items():
            self._add(("answer", code), (None, *answers))

    def _add_words(self, leaves: Sequence[Mentions]) -> None:
        words: dict[str, str] = {}
        for leaf in leaves:
            for word in leaf.words:
                words.setdefault(fold(word), word)
        for folded, word in words.items():
            self._place["word", folded] = len(self.names)
            self.names.append(("word", word))
            self.values.append((False, True))
            self.full.append(ABSENT | PRESENT)
        self.contains: dict[int, list[int]] = {}
        self.contained: dict[int, list[int]] = {}
        finder = WordFinder(words)
        for folded, word in words.items():
            place = self._place["word", folded]
            for inner in finder.in_text(Facts(text=word)):
                if inner == folded or not _always_within(inner, word):
                    continue
                other = self._place["word", inner]
                self.contains.setdefault(place, []).append(other)
                self.contained.setdefault(other, []).append(place)

    # ------------------------------------------------------------------ points

    def place(self, name: Any) -> int | None:
        """The attribute called *name*, None where no rule asks for it."""
        return self._place.get(name)

    def only(self, name: Any, value: Any) -> Box:
        """The box of all enquiries whose *name* is *value*, one of its ``values``."""
        return {self._place[name]: self._bit[name][value]}

    def allowed(self, box: Box, name: Any) -> list[Any]:
        """The values *box* leaves to *name*, in order."""
        place = self._place[name]
        mask = box.get(place, self.full[place])
        return [value for n, value in enumerate(self.values[place]) if mask >> n & 1]

    def admits(self, box: Box, name: Any, value: Any) -> bool:
        """Whether *box* lets *value* be the *name*; of what no rule asks for it does."""
        place = self._place.get(name)
        if place is None:
            return True
        return bool(box.get(place, self.full[place]) & self._bit[name].get(value, 0))

    def words(self, box: Box, *, apart: bool = False) -> list[str]:
        """The words that every text of *box* has; *apart*, without those that others contain."""
        found = [
            place
            for place, mask in box.items()
            if place >= self.words_from and mask == PRESENT and self.names[place][0] == "word"
        ]
        if apart:
            inner = {other for place in found for other in self.contains.get(place, ())}
            found = [place for place in found if place not in inner]
        return [self.names[place][1] for place in found]

    def closed(self, box: Box) -> Box | None:
        """*box* with what its words bring with them; None where nothing can be in it."""
        if not all(box.values()):
            return None
        found = dict(box)
        for place, mask in box.items():
            if place < self.words_from:
                continue
            if mask == PRESENT and place in self.contains:
                for other in self.contains[place]:
                    if found.get(other) == ABSENT:
                        return None
                    found[other] = PRESENT
            elif mask == ABSENT and place in self.contained:
                for other in self.contained[place]:
                    if found.get(other) == PRESENT:
                        return None
                    found[other] = ABSENT
        return found

    def related(self, place: int, bit: int) -> Sequence[int]:
        """The words that a word brings with it when it is present, or absent, as *bit* says."""
        return (self.contains if bit == PRESENT else self.contained).get(place, ())

    def narrowed(self, box: Box, place: int, mask: int) -> Box | None:
        """*box* (closed) with *mask* alone at *place*, a word with what it brings with it.

        None where nothing is left.
        """
        bit = box.get(place, self.full[place]) & mask
        if not bit:
            return None
        found = box.copy()
        found[place] = bit
        if place >= self.words_from and bit != self.full[place]:
            for other in self.related(place, bit):
                if not found.get(other, bit) & bit:
                    return None
                found[other] = bit
        return found

    # ------------------------------------------------------------------ conditions as boxes

    def boxes(self, condition: Condition) -> list[Box]:
        """The boxes of *condition*; none where nothing can meet it. Raises Unsettled."""
        found = self._boxes(condition, True)
        return [box for box in found if self.closed(box) is not None]

    def _boxes(self, condition: Condition, wanted: bool) -> list[Box]:
        kind = type(condition)
        if isinstance(condition, Not):
            return self._boxes(condition.part, not wanted)
        if isinstance(condition, AllOf | AnyOf):
            parts = [self._boxes(part, wanted) for part in condition.parts]
            return _all(parts) if isinstance(condition, AllOf) is wanted else _any(parts)
        if isinstance(condition, Mentions):
            bit = PRESENT if wanted else ABSENT
            words = dict.fromkeys(self._place["word", fold(word)] for word in condition.words)
            if condition.every is wanted:
                return [dict.fromkeys(words, bit)]
            return [{word: bit} for word in words]
        if isinstance(condition, Answers):
            parts = [
                self._one(
                    ("answer", code), sum(self._bit["answer", code][v] for v in set(values)), wanted
                )
                for code, values in condition.wanted
            ]
            return _all(parts) if wanted else _any(parts)
        if isinstance(condition, IsOpen):
            return self._one("at", self._told_apart.get(("open", condition.department), 0), wanted)
        if isinstance(condition, IsReturning):
            return self._one("returning", self._bit["returning"][condition.wanted], wanted)
        if kind in _CHOICES:
            name = _CHOICES[kind]
            known = self._bit[name]
            mask = sum(known[v] for v in set(condition.values) if v in known)  # type: ignore[attr-defined,misc]
            return self._one(name, mask, wanted)
        if kind in _TRIED:
            return self._one(_TRIED[kind], self._told_apart[_written(condition)], wanted)
        return self._one(("other", _written(condition)), PRESENT, wanted)

    def _one(self, name: Any, mask: int, wanted: bool) -> list[Box]:
        place = self._place[name]
        mask = mask if wanted else self.full[place] & ~mask
        if mask == self.full[place]:
            return [{}]
        return [{place: mask}] if mask else []


_CHOICES: Final[Mapping[type[Condition], str]] = {
    TopicIs: "topic",
    DepartmentIs: "department",
    ReplyLanguageIs: "reply_language",
    CountryIs: "country",
}
_TRIED: Final[Mapping[type[Condition], str]] = {
    TextLanguageIs: "text_language",
    FromPage: "page",
    FromSite: "page",
}
_C = TypeVar("_C", bound=Condition)
_GROUPS: Final = (AllOf, AnyOf, Not)
_KNOWN: Final = (*_CHOICES, *_TRIED, Mentions, IsOpen, Answers, IsReturning)


class _Leaves:
    """The conditions that are not made of others, by their kind."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._by_kind: dict[type[Condition], list[Any]] = {}
        others: dict[str, Condition] = {}
        for condition in conditions:
            for part in within(condition):
                if isinstance(part, _GROUPS):
                    continue
                if type(part) in _KNOWN:
                    self._by_kind.setdefault(type(part), []).append(part)
                else:
                    others.setdefault(_written(part), part)
        self.others = list(others.values())

    def of(self, kind: type[_C]) -> list[_C]:
        return self._by_kind.get(kind, [])


def _written(condition: Condition) -> str:
    return json.dumps([condition.key, condition.write()], sort_keys=True, ensure_ascii=False)


def _written_in(tag: str) -> Facts:
    """Facts of a text in the language *tag*, without the text."""
    facts = Facts()
    # Where a cached property keeps what it worked out.
    facts.__dict__["language"] = tag
    return facts


def _always_within(inner: str, word: str) -> bool:
    """Whether every text with *word* has *inner*, also where *word* touches other letters."""
    if is_unspaced(word) and not is_unspaced(inner):
        return mentioned(inner, fold(f"x{word}x"))
    return True


def opening_states(hours: Sequence[OpeningHours], at: datetime) -> dict[int, datetime]:
    """Which of *hours* are open together, as bits, in the year from *at*; when each comes first."""
    turns: dict[datetime, list[tuple[int, int]]] = {}
    count = [0] * len(hours)
    first = at.date() - timedelta(days=2)
    for n, own in enumerate(hours):
        for day in range(_YEAR.days + 4):
            for opens, closes in own.spans(first + timedelta(days=day)):
                if closes <= at:
                    continue
                if opens <= at:
                    count[n] += 1
                else:
                    turns.setdefault(opens, []).append((n, 1))
                turns.setdefault(closes, []).append((n, -1))
    state = sum(1 << n for n, several in enumerate(count) if several)
    found = {state: at}
    for instant in sorted(turns):
        if instant > at + _YEAR:
            break
        for n, step in turns[instant]:
            count[n] += step
            state = state | 1 << n if count[n] else state & ~(1 << n)
        found.setdefault(state, instant)
    return found


def _all(parts: Sequence[list[Box]]) -> list[Box]:
    """The boxes in one of each of *parts* at once."""
    found: list[Box] = [{}]
    for part in sorted(parts, key=len):
        if len(found) * len(part) > MOST_BOXES:
            raise Unsettled(f"more than {MOST_BOXES} ways to meet one condition")
        found = [both for one in found for other in part if (both := meet(one, other)) is not None]
    return found


def _any(parts: Sequence[list[Box]]) -> list[Box]:
    """The boxes of any of *parts*; those that differ in one attribute alone become one."""
    single: dict[int, int] = {}
    found: list[Box] = []
    for box in (box for part in parts for box in part):
        if not box:
            return [{}]
        if len(box) == 1:
            [(place, mask)] = box.items()
            single[place] = single.get(place, 0) | mask
        else:
            found.append(box)
    found += [{place: mask} for place, mask in single.items()]
    if len(found) > MOST_BOXES:
        raise Unsettled(f"more than {MOST_BOXES} ways to meet one condition")
    return found


def meet(one: Box, other: Box) -> Box | None:
    """What two boxes have in common, None for nothing."""
    both = dict(one)
    for place, mask in other.items():
        mask &= both.get(place, mask)
        if not mask:
            return None
        both[place] = mask
    return both
