"""The one question a topic may ask besides the message: "How many people are coming?"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from directory.domain.contacts import LANGUAGES, Localised, localised
from directory.domain.errors import InvalidValue
from directory.domain.text import is_blank, one_line

ANSWER_MAX: Final = 200
MOST_CHOICES: Final = 12
_CODE: Final = re.compile(r"[a-z0-9]+(?:[_.-][a-z0-9]+)*")
_VALUE_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers offered: ``value`` is what is kept, ``label`` what people read."""

    value: str
    label: Localised


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A topic's extra question.

    ``code`` names it in rules and exports. With ``choices`` one of them is the answer, without any
    a line of the visitor's own of at most ANSWER_MAX characters.
    """

    code: str
    label: Localised
    hint: Localised = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    required: bool = False

    @classmethod
    def read(cls, value: Any) -> Self:
        """From a topic's ``question`` as seed files and the database have it.

        Raises InvalidValue "question.unknown_key", "question.code", "question.label" or
        "question.choices".
        """
        if not isinstance(value, Mapping):
            raise InvalidValue("question.code")
        known = {"code", "label", "hint", "choices", "required"}
        if unknown := value.keys() - known:
            raise InvalidValue("question.unknown_key", key=str(min(unknown, key=str))[:60])
        code = value.get("code")
        if not isinstance(code, str) or not _CODE.fullmatch(code) or len(code) > _VALUE_MAX:
            raise InvalidValue("question.code")
        label, hint = _texts(value.get("label")), _texts(value.get("hint") or {})
        if not label or hint is None or not isinstance(value.get("required", False), bool):
            raise InvalidValue("question.label")
        return cls(
            code=code,
            label=label,
            hint=hint,
            choices=_choices(value.get("choices") or []),
            required=value.get("required", False),
        )

    def write(self) -> dict[str, Any]:
        """As seed files and the database have it; what is as always is left out."""
        written: dict[str, Any] = {"code": self.code, "label": self.label}
        if self.hint:
            written["hint"] = self.hint
        if self.choices:
            written["choices"] = [{"value": it.value, "label": it.label} for it in self.choices]
        if self.required:
            written["required"] = True
        return written

    def answer(self, text: str) -> str:
        """*text* as an answer, "" for none.

        Raises InvalidValue "answer.required", "choice.unknown", "answer.too_long" or
        "text.control".
        """
        line = one_line(text)
        if is_blank(line):
            if self.required:
                raise InvalidValue("answer.required")
            return ""
        if self.choices and line not in {choice.value for choice in self.choices}:
            raise InvalidValue("choice.unknown")
        if len(line) > ANSWER_MAX:
            raise InvalidValue("answer.too_long", max=ANSWER_MAX)
        return line

    def in_words(self, answer: str, language: str) -> str:
        """*answer* as people read it: a choice by its label."""
        labels = {choice.value: choice.label for choice in self.choices}
        return localised(labels.get(answer, {}), language)[0] or answer


def question_of(value: Any) -> Question | None:
    """A topic's ``question`` column, read; None where it asks nothing.

    What cannot be read asks nothing either: it came in before questions were checked, and a form
    that fails is worse than one without it.
    """
    if not value:
        return None
    try:
        return Question.read(value)
    except InvalidValue:
        return None


def answered(
    question: Question | None, answers: Mapping[str, str], language: str
) -> list[tuple[str, str]]:
    """What was asked and answered, in words: the codes, where the question was changed since."""
    rows: list[tuple[str, str]] = []
    for code, answer in answers.items():
        if question is not None and question.code == code:
            rows.append(
                (localised(question.label, language)[0], question.in_words(answer, language))
            )
        else:
            rows.append((code, answer))
    return rows


def _texts(value: Any) -> Localised | None:
    """A text per language, blank ones left out; None for anything else."""
    if not isinstance(value, Mapping) or value.keys() - set(LANGUAGES):
        return None
    if not all(isinstance(text, str) for text in value.values()):
        return None
    return {tag: text.strip() for tag, text in value.items() if text.strip()}


def _choices(values: Any) -> tuple[Choice, ...]:
    if not isinstance(values, list) or len(values) > MOST_CHOICES or len(values) == 1:
        raise InvalidValue("question.choices", max=MOST_CHOICES)
    read: dict[str, Choice] = {}
    for value in values:
        if not isinstance(value, Mapping) or value.keys() != {"value", "label"}:
            raise InvalidValue("question.choices", max=MOST_CHOICES)
        code, label = value["value"], _texts(value["label"])
        if not isinstance(code, str) or code != code.strip() or not 0 < len(code) <= _VALUE_MAX:
            raise InvalidValue("question.choices", max=MOST_CHOICES)
        if code in read or not label:
            raise InvalidValue("question.choices", max=MOST_CHOICES)
        read[code] = Choice(code, label)
    return tuple(read.values())
