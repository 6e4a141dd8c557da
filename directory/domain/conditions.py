"""What a routing rule may ask of an enquiry, and how each question answers for itself.

A condition examines one enquiry and says in words why it holds or does not. New ones are a class
and an entry in ``CONDITIONS``; installed packages bring theirs by the entry point group
``directory.matchers``.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

from directory.domain.contacts import Localised, localised
from directory.domain.errors import DirectoryError
from directory.domain.hours import OpeningHours
from directory.domain.language import language_of_text
from directory.domain.traditional import TO_SIMPLIFIED

Why = dict[str, str]

# A rule file is written by people: deeper than this is a mistake or an attack, and recursion over
# it would end in one.
DEEPEST = 16
LONGEST_WORD = 100
# Reasons are read: of a long list the first few are named and the rest counted.
_NAMED = 6


class RuleInvalid(DirectoryError):
    """A rule that cannot be read; the message names the rule and what is wrong with it."""


# What is known


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of an enquiry when it is decided; a preview knows less than a submission.

    ``text`` is subject and message together; ``complete`` is False while the visitor may still
    change it. ``at`` is the instant (UTC) opening hours are judged at, ``source`` the page the
    visitor came from (URL or path), ``origin`` its site ("https://www.institute.example"),
    ``answers`` the value given to a topic's extra question by the question's code. ``returning``
    is whether they wrote before, None where nobody looked.
    """

    topic: str = ""
    department: str = ""
    reply_language: str = "any"
    country: str = ""
    text: str = ""
    at: datetime | None = None
    source: str = ""
    origin: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    returning: bool | None = None
    complete: bool = True

    @cached_property
    def folded(self) -> str:
        """The text as words are looked for in it."""
        return fold(self.text)

    @cached_property
    def language(self) -> str:
        """The language the text is written in, "" where that cannot be told."""
        return language_of_text(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A department as routing sees it.

    ``mailbox`` is the address of its live mailbox, "" when it has none, and ``verified`` whether
    that was proven; ``last_mailbox`` the address it had even so, for a desk whose every mailbox is
    suspended is still the desk. ``deputy`` is a slug, ``backup_email`` an address; either may be
    "". Until ``away_until`` its deputy reads its mail. One that is not ``active`` is closed, and
    what is meant for it goes to its ``successor``. ``hours`` are known where a rule asks for them.
    """

    id: UUID
    slug: str
    name: Localised
    mailbox: str = ""
    mailbox_id: UUID | None = None
    verified: bool = True
    last_mailbox: str = ""
    deputy: str = ""
    backup_email: str = ""
    away_until: datetime | None = None
    active: bool = True
    successor: str = ""
    hours: OpeningHours | None = None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox that a rule names itself: whose it is, and whether it may be written to."""

    address: str
    id: UUID
    department: str
    live: bool = True
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRoute:
    """A topic as routing sees it: its label, and the slug of the department that answers it."""

    code: str
    label: Localised
    department: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The part of the directory that rules can name.

    Departments by slug, closed ones too where something still names them; topics by code;
    mailboxes by address.
    """

    targets: Mapping[str, Target]
    topics: Mapping[str, TopicRoute]
    desk: str
    countries: Mapping[str, Localised] = field(default_factory=dict)
    mailboxes: Mapping[str, Mailbox] = field(default_factory=dict)

    def department_name(self, slug: str) -> Localised:
        """Its name in every language, or the slug where there is no such department."""
        return self.targets[slug].name if slug in self.targets else {"en": slug}

    def topic_label(self, code: str) -> Localised:
        """Its label in every language, or the code where there is no such topic."""
        return self.topics[code].label if code in self.topics else {"en": code}


# Words and reasons


def fold(text: str) -> str:
    """*text* as words are compared: width, case and traditional characters folded.

    White space is single.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    # Folding case can leave what is not in normal form (Unicode 5.18, NFKC_Casefold).
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(TO_SIMPLIFIED).split())


# Scripts written without spaces: a word there is found wherever its characters stand together,
# and a Latin word ends where they begin ("申请visa谢谢").
_UNSPACED_SCRIPTS = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af"
_UNSPACED = re.compile(f"[{_UNSPACED_SCRIPTS}]")
# A letter, digit or underscore of the other scripts.
SPACED_LETTER = rf"[^\W{_UNSPACED_SCRIPTS}]"
_LETTER = re.compile(SPACED_LETTER)


def is_unspaced(word: str) -> bool:
    """Whether *word* is looked for anywhere in a text, and not only as whole words."""
    return _UNSPACED.search(word) is not None


def mentioned(word: str, text: str) -> bool:
    """Whether *word* stands in *text*, both folded (see ``fold``).

    A whole word ends where its letters do: "c++" stands in "c++11", "visa" not in "visas".
    """
    # No pattern for each word: ten thousand rules have more words than patterns are kept.
    at = text.find(word)
    if at < 0 or is_unspaced(word):
        return at >= 0
    starts, ends = _LETTER.match(word[0]), _LETTER.match(word[-1])
    while at >= 0:
        end = at + len(word)
        inside = (starts and at and _LETTER.match(text[at - 1])) or (
            ends and end < len(text) and _LETTER.match(text[end])
        )
        if not inside:
            return True
        at = text.find(word, at + 1)
    return False


def listing(names: Sequence[Localised], language: str, *, every: bool = False) -> str:
    """*names* as alternatives, or all together; of a long list the first few and a number."""
    shown = [localised(name, language)[0] for name in names]
    if len(shown) > _NAMED + 1:
        rest = len(shown) - _NAMED
        shown[_NAMED:] = [f"{rest} more" if language == "en" else f"其他{rest}项"]
    joiner = {True: {"en": " and ", "zh-Hans": "和"}, False: {"en": " or ", "zh-Hans": "或"}}
    return joiner[every][language].join(shown)


def _both(en: str, zh: str) -> Why:
    return {"en": en, "zh-Hans": zh}


def _together(reasons: Sequence[Why], *, every: bool = True) -> Why:
    """Several reasons as one sentence: all at once, or one of them."""
    if not reasons:
        return _both("nothing is asked", "未设条件")
    joiner = {"en": " and ", "zh-Hans": "，且"} if every else {"en": ", or ", "zh-Hans": "，或"}
    return {
        language: joiner[language].join(why[language] for why in reasons) for language in joiner
    }


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise RuleInvalid(f"“{key}” needs a list of texts, not {value!r}")
    return tuple(value)


# Conditions


class Condition(ABC):
    """One thing that must hold of an enquiry.

    ``key`` is its word in a rule file. ``examine`` says whether it holds, and why in both
    languages; the rest has an answer for whoever brings no better one.
    """

    key: ClassVar[str]

    @classmethod
    @abstractmethod
    def read(cls, value: Any) -> Self:
        """From its value in a rule file. Raises RuleInvalid."""

    @abstractmethod
    def write(self) -> Any:
        """Its value in a rule file."""

    @abstractmethod
    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        """Whether it holds of *facts*, and why or why not."""

    def holds(self, facts: Facts, routes: Routes) -> bool:
        """Whether it holds; what ``examine`` says, without its words."""
        return self.examine(facts, routes)[0]

    def may(self, facts: Facts, routes: Routes) -> bool:
        """Whether it could hold, whatever is still unknown of *facts*."""
        return not facts.complete or self.holds(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        """Whether it will hold, whatever is still unknown of *facts*."""
        return facts.complete and self.holds(facts, routes)

    def sentence(self, routes: Routes) -> Why:
        """What it asks, as the "if" of a rule in words."""
        said = f"{self.key}: {self.write()}"
        return _both(said, said)

    def departments(self) -> frozenset[str]:
        """The slugs of departments it names."""
        return frozenset()

    def topics(self) -> frozenset[str]:
        """The codes of topics it names."""
        return frozenset()

    def parts_within(self) -> tuple[Condition, ...]:
        """The conditions it is made of."""
        return ()


class Known(Condition):
    """A condition on what does not change while the visitor types."""

    def may(self, facts: Facts, routes: Routes) -> bool:
        return self.holds(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return self.holds(facts, routes)


@dataclass(frozen=True, slots=True)
class _OneOf(Known):
    """The facts' own word is one of ``values``."""

    values: tuple[str, ...]
    key: ClassVar[str] = ""
    en: ClassVar[str] = ""
    zh: ClassVar[str] = ""

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_texts(value, cls.key))

    def write(self) -> list[str]:
        return list(self.values)

    def actual(self, facts: Facts) -> str:
        raise NotImplementedError

    def named(self, value: str, routes: Routes) -> Localised:
        return {"en": value}

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return self.actual(facts) in self.values

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        held = self.holds(facts, routes)
        return held, self._said(routes, *(("is", "是") if held else ("is not", "不是")))

    def sentence(self, routes: Routes) -> Why:
        return self._said(routes, "is", "是")

    def _said(self, routes: Routes, en: str, zh: str) -> Why:
        names = [self.named(value, routes) for value in self.values]
        return _both(
            f"{self.en} {en} {listing(names, 'en')}", f"{self.zh}{zh}{listing(names, 'zh-Hans')}"
        )


class TopicIs(_OneOf):
    """The topic chosen is one of these codes."""

    __slots__ = ()
    key, en, zh = "topic", "topic", "咨询事项"

    def actual(self, facts: Facts) -> str:
        return facts.topic

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.topic_label(value)

    def topics(self) -> frozenset[str]:
        return frozenset(self.values)


class DepartmentIs(_OneOf):
    """The department the visitor chose is one of these slugs."""

    __slots__ = ()
    key, en, zh = "department", "department chosen", "所选部门"

    def actual(self, facts: Facts) -> str:
        return facts.department

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.department_name(value)

    def departments(self) -> frozenset[str]:
        return frozenset(self.values)


_REPLY_LANGUAGES: dict[str, Localised] = {
    "en": {"en": "English", "zh-Hans": "英文"},
    "zh-Hans": {"en": "Chinese", "zh-Hans": "中文"},
    "any": {"en": "either", "zh-Hans": "均可"},
}


class ReplyLanguageIs(_OneOf):
    """The visitor wants the answer in one of these languages ("any": they do not mind)."""

    __slots__ = ()
    key, en, zh = "reply_language", "reply language", "回复语言"

    def actual(self, facts: Facts) -> str:
        return facts.reply_language

    def named(self, value: str, routes: Routes) -> Localised:
        return _REPLY_LANGUAGES.get(value, {"en": value})


class CountryIs(_OneOf):
    """The visitor's country is one of these (ISO 3166-1 alpha-2)."""

    __slots__ = ()
    key, en, zh = "country", "country", "国家或地区"

    def actual(self, facts: Facts) -> str:
        return facts.country

    def named(self, value: str, routes: Routes) -> Localised:
        return routes.countries.get(value, {"en": value})


_LANGUAGES: dict[str, Localised] = {
    "en": {"en": "English", "zh-Hans": "英文"},
    "zh": {"en": "Chinese", "zh-Hans": "中文"},
    "zh-Hans": {"en": "Simplified Chinese", "zh-Hans": "简体中文"},
    "zh-Hant": {"en": "Traditional Chinese", "zh-Hans": "繁体中文"},
    "ja": {"en": "Japanese", "zh-Hans": "日文"},
    "ko": {"en": "Korean", "zh-Hans": "韩文"},
    "fr": {"en": "French", "zh-Hans": "法文"},
    "de": {"en": "German", "zh-Hans": "德文"},
    "es": {"en": "Spanish", "zh-Hans": "西班牙文"},
    "it": {"en": "Italian", "zh-Hans": "意大利文"},
    "pt": {"en": "Portuguese", "zh-Hans": "葡萄牙文"},
    "nl": {"en": "Dutch", "zh-Hans": "荷兰文"},
    "ru": {"en": "Russian", "zh-Hans": "俄文"},
    "ar": {"en": "Arabic", "zh-Hans": "阿拉伯文"},
}


class TextLanguageIs(_OneOf):
    """The text is written in one of these languages (BCP 47); "zh" means either script."""

    __slots__ = ()
    key, en, zh = "text_language", "the text’s language", "正文语言"

    def actual(self, facts: Facts) -> str:
        return facts.language

    def named(self, value: str, routes: Routes) -> Localised:
        return _LANGUAGES.get(value, {"en": value})

    def holds(self, facts: Facts, routes: Routes) -> bool:
        written = facts.language
        return written in self.values or written.partition("-")[0] in self.values

    def may(self, facts: Facts, routes: Routes) -> bool:
        return not facts.complete or self.holds(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return facts.complete and self.holds(facts, routes)


@dataclass(frozen=True, slots=True)
class Mentions(Condition):
    """Subject or message have any, or all, of these words.

    Whole words in scripts with spaces, anywhere in those without; case, width and traditional
    characters do not count. ``language`` says which language the words belong to; it is for the
    editor of the rule.
    """

    words: tuple[str, ...]
    every: bool = False
    language: str = ""
    folded: tuple[str, ...] = field(init=False, repr=False, compare=False)
    key: ClassVar[str] = "words"

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", tuple(map(fold, self.words)))

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, dict) or len({"any", "all"} & value.keys()) != 1:
            raise RuleInvalid("“words” needs either “any” or “all” with a list of words")
        if unknown := value.keys() - {"any", "all", "language"}:
            raise RuleInvalid(f"“words” does not know {', '.join(sorted(unknown))}")
        every = "all" in value
        words = _texts(value["all" if every else "any"], "words")
        for word in words:
            if not fold(word) or len(word) > LONGEST_WORD:
                raise RuleInvalid(f"“words” needs words of 1 to {LONGEST_WORD} letters")
        return cls(words, every, str(value.get("language", "")))

    def write(self) -> dict[str, Any]:
        written: dict[str, Any] = {"all" if self.every else "any": list(self.words)}
        if self.language:
            written["language"] = self.language
        return written

    def holds(self, facts: Facts, routes: Routes) -> bool:
        text = facts.folded
        found = (mentioned(word, text) for word in self.folded)
        return all(found) if self.every else any(found)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        text = facts.folded
        pairs = zip(self.words, self.folded, strict=True)
        found = [word for word, folded in pairs if mentioned(folded, text)]
        held = len(found) == len(self.words) if self.every else bool(found)
        shown = found if held else [word for word in self.words if word not in found]
        verbs = ("mentions", "提到") if held else ("does not mention", "未提到")
        return held, self._said(shown, *verbs, every=held or self.every)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return not facts.complete or self.holds(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return facts.complete and self.holds(facts, routes)

    def sentence(self, routes: Routes) -> Why:
        return self._said(self.words, "text mentions", "正文提到", every=self.every)

    def _said(self, words: Sequence[str], en: str, zh: str, *, every: bool) -> Why:
        quoted = [{"en": f"“{word}”"} for word in words]
        return _both(
            f"{en} {listing(quoted, 'en', every=every)}",
            f"{zh}{listing(quoted, 'zh-Hans', every=every)}",
        )


@dataclass(frozen=True, slots=True)
class IsOpen(Known):
    """This department is open at the time the enquiry is decided, holidays and closures counted.

    One that does not say when it is open never is.
    """

    department: str
    key: ClassVar[str] = "open"

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, str) or not value:
            raise RuleInvalid(f"“open” needs one department’s slug, not {value!r}")
        return cls(value)

    def write(self) -> str:
        return self.department

    def holds(self, facts: Facts, routes: Routes) -> bool:
        target = routes.targets.get(self.department)
        if target is None or target.hours is None or facts.at is None:
            return False
        return target.hours.open_at(facts.at)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        target = routes.targets.get(self.department)
        if target is None or target.hours is None:
            return False, self._said(routes, "does not say when it is open", "未公布办公时间")
        held = self.holds(facts, routes)
        return held, self._said(
            routes, *(("is open", "正在办公") if held else ("is closed now", "现不在办公时间"))
        )

    def sentence(self, routes: Routes) -> Why:
        return self._said(routes, "is open", "正在办公")

    def departments(self) -> frozenset[str]:
        return frozenset({self.department})

    def _said(self, routes: Routes, en: str, zh: str) -> Why:
        name = routes.department_name(self.department)
        return _both(f"{localised(name, 'en')[0]} {en}", f"{localised(name, 'zh-Hans')[0]}{zh}")


def _begins_with(address: str, beginning: str) -> bool:
    """Whether *address* is *beginning*, or lies below it: /visit has /visit/map, not /visitors."""
    rest = address.removeprefix(beginning)
    if rest == address:
        return not beginning
    return not rest or beginning.endswith("/") or rest[0] in "/?#"


class FromPage(_OneOf):
    """The visitor came from one of these pages, or from below them.

    A path ("/visit") stands for that page on any site, a URL for that of one site.
    """

    __slots__ = ()
    key, en, zh = "source", "page the visitor came from", "来源页面"

    def actual(self, facts: Facts) -> str:
        return facts.source

    def holds(self, facts: Facts, routes: Routes) -> bool:
        if not facts.source:
            return False
        path = urlsplit(facts.source).path or "/"
        return any(
            _begins_with(path if value.startswith("/") else facts.source, value)
            for value in self.values
        )


class FromSite(_OneOf):
    """The form stands in, or was reached from, one of these sites ("https://www.x.example")."""

    __slots__ = ()
    key, en, zh = "origin", "site the visitor came from", "来源网站"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(tuple(site.casefold().rstrip("/") for site in _texts(value, cls.key)))

    def actual(self, facts: Facts) -> str:
        return facts.origin


@dataclass(frozen=True, slots=True)
class Answers(Known):
    """A topic's extra questions were answered so: each code with one of its values."""

    wanted: tuple[tuple[str, tuple[str, ...]], ...]
    key: ClassVar[str] = "answer"

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, dict) or not value:
            raise RuleInvalid("“answer” needs a question’s code with the answer wanted")
        return cls(tuple((str(code), _texts(wanted, cls.key)) for code, wanted in value.items()))

    def write(self) -> dict[str, Any]:
        return {
            code: values[0] if len(values) == 1 else list(values) for code, values in self.wanted
        }

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return all(facts.answers.get(code) in values for code, values in self.wanted)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        held = self.holds(facts, routes)
        return held, self._said(*(("is", "是") if held else ("is not", "不是")))

    def sentence(self, routes: Routes) -> Why:
        return self._said("is", "是")

    def _said(self, en: str, zh: str) -> Why:
        return _together(
            [
                _both(
                    f"answer to “{code}” {en} {listing([{'en': v} for v in values], 'en')}",
                    f"“{code}”的回答{zh}{listing([{'en': v} for v in values], 'zh-Hans')}",
                )
                for code, values in self.wanted
            ]
        )


@dataclass(frozen=True, slots=True)
class IsReturning(Condition):
    """The visitor's address wrote to us before (``wanted`` True), or never did.

    Looked up only when an enquiry is sent: a preview that knew would tell strangers who wrote.
    """

    wanted: bool
    key: ClassVar[str] = "returning"

    @classmethod
    def read(cls, value: Any) -> Self:
        if not isinstance(value, bool):
            raise RuleInvalid(f"“returning” is true or false, not {value!r}")
        return cls(value)

    def write(self) -> bool:
        return self.wanted

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return facts.returning is self.wanted

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        if facts.returning is None:
            return False, _both("nobody looked whether they wrote before", "未查询是否曾来信")
        return facts.returning is self.wanted, self._said(facts.returning)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return facts.returning is None or self.holds(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return self.holds(facts, routes)

    def sentence(self, routes: Routes) -> Why:
        return self._said(self.wanted)

    @staticmethod
    def _said(wrote: bool) -> Why:
        if wrote:
            return _both("visitor wrote before", "曾经来信")
        return _both("visitor writes for the first time", "首次来信")


class _Group(Condition):
    """Conditions about conditions: what is unknown is theirs to say."""

    __slots__ = ()
    parts: tuple[Condition, ...]

    def parts_within(self) -> tuple[Condition, ...]:
        return self.parts

    def write(self) -> list[Any]:
        return [write_condition(part) for part in self.parts]

    def departments(self) -> frozenset[str]:
        return frozenset().union(*(part.departments() for part in self.parts))

    def topics(self) -> frozenset[str]:
        return frozenset().union(*(part.topics() for part in self.parts))


@dataclass(frozen=True, slots=True)
class AllOf(_Group):
    """Every one of these conditions holds; none at all also does."""

    parts: tuple[Condition, ...]
    key: ClassVar[str] = "all"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_parts(value, cls.key))

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return all(part.holds(facts, routes) for part in self.parts)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        reasons: list[Why] = []
        for part in self.parts:
            held, why = part.examine(facts, routes)
            if not held:
                return False, why
            reasons.append(why)
        return True, _together(reasons)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return all(part.may(facts, routes) for part in self.parts)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return all(part.must(facts, routes) for part in self.parts)

    def sentence(self, routes: Routes) -> Why:
        return _together([part.sentence(routes) for part in self.parts])


@dataclass(frozen=True, slots=True)
class AnyOf(_Group):
    """At least one of these conditions holds."""

    parts: tuple[Condition, ...]
    key: ClassVar[str] = "any"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_parts(value, cls.key))

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return any(part.holds(facts, routes) for part in self.parts)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        reasons: list[Why] = []
        for part in self.parts:
            held, why = part.examine(facts, routes)
            if held:
                return True, why
            reasons.append(why)
        return False, _together(reasons)

    def may(self, facts: Facts, routes: Routes) -> bool:
        return any(part.may(facts, routes) for part in self.parts)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return any(part.must(facts, routes) for part in self.parts)

    def sentence(self, routes: Routes) -> Why:
        said = _together([part.sentence(routes) for part in self.parts], every=False)
        return _both(f"({said['en']})", f"（{said['zh-Hans']}）")


@dataclass(frozen=True, slots=True)
class Not(_Group):
    """This condition does not hold."""

    part: Condition
    key: ClassVar[str] = "not"

    @classmethod
    def read(cls, value: Any) -> Self:
        return cls(_read(value))

    @property
    def parts(self) -> tuple[Condition, ...]:  # type: ignore[override]
        return (self.part,)

    def write(self) -> Any:
        return write_condition(self.part)

    def holds(self, facts: Facts, routes: Routes) -> bool:
        return not self.part.holds(facts, routes)

    def examine(self, facts: Facts, routes: Routes) -> tuple[bool, Why]:
        # The inner reason already says how it stands ("topic is not Media").
        held, why = self.part.examine(facts, routes)
        return not held, why

    def may(self, facts: Facts, routes: Routes) -> bool:
        return not self.part.must(facts, routes)

    def must(self, facts: Facts, routes: Routes) -> bool:
        return not self.part.may(facts, routes)

    def sentence(self, routes: Routes) -> Why:
        said = self.part.sentence(routes)
        return _both(f"not ({said['en']})", f"并非（{said['zh-Hans']}）")


# A new condition is a class and its entry here.
CONDITIONS: dict[str, type[Condition]] = {
    kind.key: kind
    for kind in (
        TopicIs,
        DepartmentIs,
        ReplyLanguageIs,
        TextLanguageIs,
        CountryIs,
        Mentions,
        IsOpen,
        FromPage,
        FromSite,
        Answers,
        IsReturning,
        AllOf,
        AnyOf,
        Not,
    )
}


def read_condition(value: Any) -> Condition:
    """One condition from its place in a rule file: ``{topic = ["apply"]}``. Raises RuleInvalid."""
    if _depth(value) > 3 * DEEPEST:
        raise RuleInvalid(f"conditions stand in one another more than {DEEPEST} deep")
    return _read(value)


def _read(value: Any) -> Condition:
    if not isinstance(value, dict) or len(value) != 1:
        raise RuleInvalid(f"a condition is one name with its value, not {value!r}")
    [(key, inner)] = value.items()
    if key not in CONDITIONS:
        raise RuleInvalid(f"there is no condition “{key}”; known are {', '.join(CONDITIONS)}")
    return CONDITIONS[key].read(inner)


def _depth(value: Any) -> int:
    """How deep lists and tables stand in one another, counted without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        inner, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(inner, dict):
            waiting.extend((item, depth + 1) for item in inner.values())
        elif isinstance(inner, list):
            waiting.extend((item, depth + 1) for item in inner)
    return deepest


def write_condition(condition: Condition) -> dict[str, Any]:
    """The condition as it stands in a rule file."""
    return {condition.key: condition.write()}


def within(condition: Condition) -> Iterable[Condition]:
    """*condition* and every condition in it."""
    yield condition
    for part in condition.parts_within():
        yield from within(part)


def _parts(value: Any, key: str) -> tuple[Condition, ...]:
    if not isinstance(value, list):
        raise RuleInvalid(f"“{key}” needs a list of conditions")
    return tuple(_read(item) for item in value)
