"""Which topic a few words are about: suggested while a visitor writes, never chosen for them.

A topic is known by its label and hint, by the words of the rules that send its enquiries somewhere,
and by its department's names and summary; in every language of the site, whichever the page is in.
Words are compared as terms (``domain/terms.py``), so both databases and the search box agree on
what a word is. A word that few topics have counts most. Where the words found are too few or too
common, nothing is suggested: a wrong suggestion costs a visitor days, none costs a glance at the
list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from directory.adapters.queries import Published
from directory.domain.conditions import AllOf, AnyOf, Condition, Mentions
from directory.domain.contacts import Department, Topic
from directory.domain.language import SMALL_WORDS
from directory.domain.terms import fold, one_slip, slips, units_of

MOST = 3

# What a word of each place is worth. A department answers several topics, and says much that is
# about none of them.
_LABEL, _RULE, _HINT, _NAME, _SUMMARY = 1.0, 1.0, 0.9, 0.6, 0.4
# A word with a slip may be another word.
_SLIPPED = 0.8
# Characters in pairs overlap: a word of three is found twice.
_PAIR = 0.75

# Sure enough: one word of a label or hint that one topic has, or two weaker ones. Measured on
# tests/services/suggestion_cases.txt: the smallest with which nothing off the subject is suggested.
_SURE = 0.62
# Another topic is suggested beside the best when it has at least this part of its score.
_BESIDE = 0.5
# A long text has something of everything: beyond this many words more is asked for.
_SHORT = 12
# What a message is about stands in its first lines.
_READ = 1_500

# What every enquiry says, whatever it is about.
_COMMON_WORDS = """
    able about above access across add already also always another answer anything ask asking away
    best better big bring buy call can't cannot change check come coming company companies
    contact contacting could currently day days department departments different do does doing
    else email enquiry enquiries enquire even ever every everything example fax few fill find first
    following form forward free general get getting give given go going good got great
    happen have having help here hope hour how idea inform information inquiry institute
    institutes institution interested interest issue item just keep kind know last late later
    latest learn leave less let like little long look looking looks lot mail make making many
    matter maybe mean message might more most much must name need needed needs new next nice none
    not nothing number offer office often one ones online only open opinion option organisation
    organization our ours own page part people person phone place point possible problem problems
    provide put question questions quick quickly quite rather read reach really reason receive
    regarding related reply report request required right same say see seem seems send service
    services several show simply since small soon sort speak staff start still such sure take
    talk team telephone tell than thing things think time times today together tomorrow too
    tried try trying two type understand unfortunately until urgent us use used useful using
    various via view want wanted wants way website week well went whatever where whether which
    who whole why will wish wonder wondering work working world would write writing wrong
    year years yes yesterday yet
"""
_COMMON = frozenset(map(fold, [*_COMMON_WORDS.split(), *SMALL_WORDS["en"]]))
# The same in Chinese: characters that only join words, and pairs that any enquiry may have.
_JOINING = frozenset(
    "的了吗呢吧啊嘛我你您他她它们这那和与或及把被也都就么什怎个在是请一不很给从向由为"
)
_COMMON_CHINESE = """
    问题 想问 问下 咨询 询问 需要 可以 可能 能否 能够 如何 是否 有没 没有 有关 关于 相关 联系 系人
    部门 公司 单位 老师 先生 女士 谢谢 感谢 麻烦 告诉 知道 了解 希望 想要 现在 今天 明天 昨天 时候
    时间 地方 网站 电话 邮件 邮箱 号码 办公 公室 提供 负责 进行 其他 以及 还有 已经 应该 因为 所以
    但是 如果 多少 哪里 哪些 哪个 几点 贵院 贵校 贵单 研究 究院 究所 回复 答复 受理 各类 具体 情况
    确定 定期 您好 你好 大家 有人 对接 方面 工作 日内 内容 所需 用于 之间 之后 之前 使用
"""
_COMMON_PAIRS = frozenset(_COMMON_CHINESE.split())
_ENDINGS = ("ations", "ation", "ing", "ers", "ies", "ed", "es", "er", "or", "s", "y", "e")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A topic the words may be about; ``score`` from 0 to 1, the better the higher."""

    topic: Topic
    score: float


@dataclass(frozen=True, slots=True)
class Suggestions:
    """At most three, the best first; none when unsure.

    ``in_scope`` is False when none of the words says anything to this directory.
    """

    topics: tuple[Suggestion, ...] = ()
    in_scope: bool = True


def suggest_topics(published: Published, text: str) -> Suggestions:
    """The topics offered in *published* that *text* may be about.

    Everything that suggests comes through here: a learned model, when there is one, takes the place
    of this body and keeps its promise to stay silent when unsure. Reads nothing but its arguments.
    """
    return _prepared(published).suggest(text)


@lru_cache(maxsize=2)
def _prepared(published: Published) -> _Index:
    """What is compared with, made once for each edition of rules and directory."""
    return _Index(published)


class _Index:
    """Every term of every topic, with what it is worth there."""

    def __init__(self, published: Published) -> None:
        self._topics = list(published.topics.values())
        self._worth: dict[str, dict[int, float]] = {}
        by_code = {topic.code: place for place, topic in enumerate(self._topics)}
        answering: dict[str, list[int]] = {}
        for code, place in by_code.items():
            slug = published.routes.topics[code].department
            # The desk answers what nobody else does: its words are about nothing in particular.
            if slug != published.desk:
                answering.setdefault(slug, []).append(place)
        for place, topic in enumerate(self._topics):
            self._add(place, topic.label.values(), _LABEL)
            self._add(place, topic.hint.values(), _HINT)
        for slug, places in answering.items():
            if department := published.known(slug):
                for place in places:
                    self._add_department(place, department)
        for rule in published.rules.rules:
            words, codes = _words_of(rule.when)
            if not words:
                continue
            named = {by_code[code] for code in codes if code in by_code}
            # Words that lead away from the desk are about the topics they lead to.
            from_desk = {p for p in named if not any(p in others for others in answering.values())}
            mailbox = published.routes.mailboxes.get(rule.send_to)
            leads_to = answering.get(mailbox.department if mailbox else rule.send_to, ())
            for place in (named - from_desk) | set(leads_to):
                self._add(place, words, _RULE)
        self._slips: dict[str, list[str]] = {}
        for term in self._worth:
            for spelling in slips(term):
                self._slips.setdefault(spelling, []).append(term)

    def _add_department(self, place: int, department: Department) -> None:
        names = [*department.name.values(), *department.short_name.values()]
        self._add(place, [*names, *department.other_names], _NAME)
        self._add(place, department.summary.values(), _SUMMARY)

    def _add(self, place: int, texts: Iterable[str], worth: float) -> None:
        for text in texts:
            for term in _terms(text):
                at = self._worth.setdefault(term, {})
                at[place] = max(at.get(place, 0.0), worth)

    def suggest(self, text: str) -> Suggestions:
        terms = list(dict.fromkeys(_terms(text[:_READ])))
        scores: dict[int, float] = {}
        known = 0
        for term in terms:
            found, worth = self._found(term)
            known += bool(found)
            for place, said in found.items():
                scores[place] = scores.get(place, 0.0) + said * worth * self._rarity(found)
        needed = _SURE * max(1.0, math.sqrt(len(terms) / _SHORT))
        best = max(scores.values(), default=0.0)
        sure = sorted(
            (
                (score, place)
                for place, score in scores.items()
                if score >= needed and score >= best * _BESIDE
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        return Suggestions(
            tuple(
                Suggestion(self._topics[place], round(1 - math.exp(-score / needed), 2))
                for score, place in sure[:MOST]
            ),
            in_scope=bool(known) or not terms,
        )

    def _found(self, term: str) -> tuple[Mapping[int, float], float]:
        """Where *term* stands, and what finding it is worth; also one with a slip in it."""
        worth = _PAIR if not term.isascii() and len(term) == 2 else 1.0
        if found := self._worth.get(term):
            return found, worth
        for spelling in slips(term) if len(term) > 5 else ():
            for near in self._slips.get(spelling, ()):
                if one_slip(term, near):
                    return self._worth[near], _SLIPPED
        return {}, 0.0

    def _rarity(self, found: Mapping[int, float]) -> float:
        """1 for what one topic has, less for what many have, however many topics there are."""
        return _rarity(len(found), len(self._topics))


def _rarity(having: int, of: int) -> float:
    """Inverse document frequency as in BM25, of one in *of* made 1."""
    return math.log(1 + (of - having + 0.5) / (having + 0.5)) / math.log(1 + (of - 0.5) / 1.5)


def _words_of(condition: Condition | None) -> tuple[list[str], set[str]]:
    """The words, and the topics, that *condition* asks for; what it excludes is left out."""
    if isinstance(condition, Mentions):
        return list(condition.words), set()
    if not isinstance(condition, AllOf | AnyOf):
        return [], set(condition.topics()) if condition and not condition.parts_within() else set()
    words: list[str] = []
    codes: set[str] = set()
    for part in condition.parts:
        more, named = _words_of(part)
        words += more
        codes |= named
    return words, codes


def _terms(text: str) -> Iterator[str]:
    """The words of *text* that say what it is about: Latin ones by their stem, Chinese in pairs."""
    for unit in units_of(fold(text)):
        if unit.run:
            for first, second in pairwise(unit.text):
                pair = first + second
                if pair not in _COMMON_PAIRS and not _JOINING & {first, second}:
                    yield pair
        elif unit.text not in _COMMON and not unit.text.isdigit() and len(unit.text) > 1:
            yield _stem(unit.text)


def _stem(word: str) -> str:
    """*word* without its English ending: visit, visits, visiting, visitor are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= (3 if ending == "s" else 4):
            return word.removesuffix(ending)
    return word
