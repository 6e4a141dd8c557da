"""What an analysis of rules finds, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from directory.domain.conditions import Why


class Severity(StrEnum):
    """Whether rules may be published: never with an error, with a warning if it is waived."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """One thing that is wrong, or may be.

    ``code`` is stable. ``rule`` is the id of the rule it is about, None where it is about none;
    ``covered_by`` the ids of the earlier rules that matter to it, in their order (where rules meet,
    no more than the first two hundred). ``text`` says it
    in both languages, ``example`` is an enquiry, by the form's field names and "at", that shows
    it.
    """

    code: str
    severity: Severity
    text: Why
    rule: str | None = None
    covered_by: tuple[str, ...] = ()
    example: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "rule": self.rule,
            "covered_by": list(self.covered_by),
            "text": self.text,
            "example": self.example,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What became of a rule's enquiries.

    ``since`` is the instant from which the rule stands as it does now, ``decided`` how many
    enquiries it sent in the last ninety days, ``moved`` how many of these were sent on.
    """

    rule: str
    since: datetime
    decided: int
    moved: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, the worst first, and one sentence that sums it up."""

    findings: tuple[RuleFinding, ...]
    summary: Why

    @property
    def ok(self) -> bool:
        """Whether the rules may be published as far as errors go."""
        return not self.errors

    @property
    def errors(self) -> tuple[RuleFinding, ...]:
        return tuple(it for it in self.findings if it.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[RuleFinding, ...]:
        return tuple(it for it in self.findings if it.severity is Severity.WARNING)

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "ok": self.ok,
            "summary": self.summary,
            "findings": [finding.to_json() for finding in self.findings],
        }
