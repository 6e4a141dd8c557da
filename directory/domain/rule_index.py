"""Which rules of a set can match an enquiry at all, found without trying each.

For every rule and every kind of fact the index knows which values the rule cannot do without.
Rules are bits of one number: what a value lets through is a mask, and the candidates are what all
masks leave. Ten thousand rules cost a dozen operations on numbers of 1,250 bytes, and then a trial
of the few that are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from directory.domain.conditions import (
    SPACED_LETTER,
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    Mentions,
    ReplyLanguageIs,
    TextLanguageIs,
    TopicIs,
    is_unspaced,
    mentioned,
)

# What a rule cannot do without: for a kind of fact, one of these values.
Needs = dict[str, frozenset[str]]

_PLAIN: dict[type[Condition], str] = {
    TopicIs: "topic",
    DepartmentIs: "department",
    ReplyLanguageIs: "reply_language",
    CountryIs: "country",
    TextLanguageIs: "language",
}
_WORD = "word"
# What the visitor may still change; a preview looks past it.
_TYPED = frozenset({"language", _WORD})

_VALUES: dict[str, Callable[[Facts], tuple[str, ...]]] = {
    "topic": lambda facts: (facts.topic,),
    "department": lambda facts: (facts.department,),
    "reply_language": lambda facts: (facts.reply_language,),
    "country": lambda facts: (facts.country,),
    # A condition may ask for a language or for one way of writing it.
    "language": lambda facts: tuple({facts.language, facts.language.partition("-")[0]}),
}


def needs(condition: Condition | None) -> Needs:
    """What *condition* cannot hold without; a kind that is absent does not matter to it."""
    if condition is None:
        return {}
    if kind := _PLAIN.get(type(condition)):
        return {kind: frozenset(condition.values)}  # type: ignore[attr-defined]
    if isinstance(condition, Mentions):
        words = condition.folded
        return {_WORD: frozenset((max(words, key=len),) if condition.every else words)}
    if isinstance(condition, AllOf):
        return _of_all([needs(part) for part in condition.parts])
    if isinstance(condition, AnyOf):
        return _of_any([needs(part) for part in condition.parts])
    return {}


def _of_all(parts: Sequence[Needs]) -> Needs:
    found: Needs = {}
    for part in parts:
        for kind, values in part.items():
            if kind not in found:
                found[kind] = values
            elif kind == _WORD:
                # One text has many words: each demand stands by itself, and one is enough to
                # find the rule by. The one with fewer words lets fewer texts through.
                found[kind] = min(found[kind], values, key=len)
            elif kind == "language":
                # "zh" and "zh-Hans" meet although they are two.
                found[kind] |= values
            else:
                found[kind] &= values
    return found


def _of_any(parts: Sequence[Needs]) -> Needs:
    if not parts:
        return {}
    shared = set(parts[0]).intersection(*parts[1:])
    return {kind: frozenset().union(*(part[kind] for part in parts)) for kind in shared}


class RuleIndex:
    """The index over *conditions*, the rules' in their order; positions count from 1."""

    def __init__(self, conditions: Sequence[Condition | None]) -> None:
        self._all = (1 << len(conditions)) - 1
        self._by_value: dict[str, dict[str, int]] = {}
        self._free: dict[str, int] = {}
        for number, condition in enumerate(conditions):
            for kind, values in needs(condition).items():
                self._free[kind] = self._free.get(kind, 0) | 1 << number
                by_value = self._by_value.setdefault(kind, {})
                for value in values:
                    by_value[value] = by_value.get(value, 0) | 1 << number
        self._free = {kind: self._all & ~needing for kind, needing in self._free.items()}
        self._words = WordFinder(self._by_value.get(_WORD, {}))

    def candidates(self, facts: Facts, *, whatever: bool = False) -> Iterator[int]:
        """The positions of the rules that may match *facts*, in order.

        *whatever* is still typed: those that may match then are among them.
        """
        mask = self._all
        for kind, by_value in self._by_value.items():
            if whatever and not facts.complete and kind in _TYPED:
                continue
            let_through = self._free[kind]
            values = self._words.in_text(facts) if kind == _WORD else _VALUES[kind](facts)
            for value in values:
                let_through |= by_value.get(value, 0)
            mask &= let_through
            if not mask:
                return
        yield from bits(mask)


def bits(mask: int) -> Iterator[int]:
    """The places of the bits of *mask*, from the lowest, counted from 1."""
    # Eight bytes at a time: taking the lowest bit of a long number costs its whole length.
    raw = mask.to_bytes((mask.bit_length() + 63) // 64 * 8, "little")
    for start in range(0, len(raw), 8):
        word = int.from_bytes(raw[start : start + 8], "little")
        while word:
            low = word & -word
            yield start * 8 + low.bit_length()
            word ^= low


_TOKEN = re.compile(f"{SPACED_LETTER}+")
# Up to so many words it is cheaper to look for each than to take the text apart.
_FEW = 24


class WordFinder:
    """Finds which of many words stand in a text, looking only for those that can."""

    def __init__(self, words: Collection[str]) -> None:
        self._few = tuple(words) if len(words) <= _FEW else ()
        # By what a text that has the word must also have: its first token, or its first two
        # characters where words are not spaced.
        self._by_token: dict[str, list[str]] = {}
        self._by_pair: dict[str, list[str]] = {}
        self._anywhere: list[str] = []
        for word in words if not self._few else ():
            if is_unspaced(word):
                self._by_pair.setdefault(word[:2], []).append(word)
            elif token := _TOKEN.search(word):
                self._by_token.setdefault(token[0], []).append(word)
            else:
                self._anywhere.append(word)

    def in_text(self, facts: Facts) -> list[str]:
        text = facts.folded
        if self._few:
            return [word for word in self._few if mentioned(word, text)]
        likely = list(self._anywhere)
        if self._by_token:
            for token in set(_TOKEN.findall(text)) & self._by_token.keys():
                likely += self._by_token[token]
        if self._by_pair and not text.isascii():
            pairs = {text[at : at + 2] for at in range(len(text))} | set(text)
            for pair in pairs & self._by_pair.keys():
                likely += self._by_pair[pair]
        return [word for word in likely if mentioned(word, text)]
