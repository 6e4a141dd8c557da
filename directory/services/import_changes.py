"""What becomes of the rows of an import: told, counted, and handed to whoever carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from directory.domain.contacts import Department
from directory.domain.errors import DirectoryError, InvalidValue
from directory.domain.messages import MESSAGES, message
from directory.domain.routing import RuleSet


class Action(StrEnum):
    """What becomes of a row."""

    ADD = "add"
    CHANGE = "change"
    SAME = "same"
    CLOSE = "close"
    CONFLICT = "conflict"
    ERROR = "error"


MARKS: Final = {
    Action.ADD: "+",
    Action.CHANGE: "~",
    Action.SAME: "=",
    Action.CLOSE: "-",
    Action.CONFLICT: "!",
    Action.ERROR: "!",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a cell (``column``), or with its whole row (""). ``code`` is stable."""

    row: int
    column: str
    text: str
    code: str
    error: DirectoryError

    def say(self, language: str = "en") -> str:
        """ "Row 14, phone2: +44 20 7946 0123/24 holds two numbers"."""
        own = f"cell.{self.code}"
        if self.text and own in MESSAGES:
            said = message(own, language, text=self.text[:100])
        else:
            error = self.error
            said = error.text(language) if isinstance(error, InvalidValue) else str(error)
            if self.text:
                said = message("cell.other", language, text=self.text[:100], problem=said)
        where = self.column
        if language.startswith("zh"):
            return f"第 {self.row} 行{f' {where}' if where else ''}：{said}"
        return f"Row {self.row}{f', {where}' if where else ''}: {said}"


@dataclass(slots=True)
class Change:
    """What becomes of one row: ``cells`` are its columns before and after."""

    row: int
    action: Action
    kind: str = "department"
    subject: str = ""
    name: str = ""
    id: UUID | None = None
    cells: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def to_json(self, language: str = "en") -> dict[str, Any]:
        return {
            "row": self.row,
            "action": self.action.value,
            "kind": self.kind,
            "subject": self.subject,
            "name": self.name,
            "changes": {c: {"before": old, "after": new} for c, (old, new) in self.cells.items()},
            "problems": [
                {"column": it.column, "text": it.text, "code": it.code, "detail": it.say(language)}
                for it in self.problems
            ],
        }


@dataclass(slots=True)
class Tally:
    """How many rows become what."""

    added: int = 0
    changed: int = 0
    same: int = 0
    closed: int = 0
    conflicts: int = 0
    errors: int = 0

    def count(self, action: Action) -> None:
        match action:
            case Action.ADD:
                self.added += 1
            case Action.CHANGE:
                self.changed += 1
            case Action.SAME:
                self.same += 1
            case Action.CLOSE:
                self.closed += 1
            case Action.CONFLICT:
                self.conflicts += 1
            case Action.ERROR:
                self.errors += 1

    def to_json(self) -> dict[str, int]:
        return {
            "added": self.added,
            "changed": self.changed,
            "same": self.same,
            "closed": self.closed,
            "conflicts": self.conflicts,
            "errors": self.errors,
        }

    def __str__(self) -> str:
        closed = f", {self.closed} closed" if self.closed else ""
        conflicts = f", {self.conflicts} conflicts" if self.conflicts else ""
        return (
            f"{self.added} added, {self.changed} changed{closed}, {self.same} same{conflicts}, "
            f"{self.errors} errors"
        )


class Doing:
    """Carries a plan out. This one does nothing: that is what a preview is."""

    def add(self, change: Change, department: Department, topics: Sequence[str]) -> None: ...

    def amend(self, change: Change, department: Department, was: Mapping[str, Any]) -> None: ...

    def refuse(self, department: Department) -> None: ...

    def relate(self, id: UUID, relation: str, other: UUID) -> None: ...

    def close(self, change: Change, department: Department, heir: UUID) -> None: ...

    def set_topic(self, change: Change, values: Mapping[str, Any]) -> None: ...

    def move_topic(self, change: Change, code: str, department: UUID) -> None: ...

    def set_rules(self, change: Change, rules: RuleSet) -> None: ...

    def end_chunk(self) -> None: ...
