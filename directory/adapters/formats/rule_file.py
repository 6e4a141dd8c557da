"""The rule file: rules, examples and waivers as TOML, for people and for version control.

What was written reads back as it was, and is written the same again, from either database.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final

from directory.adapters.formats.toml_text import WIDTH, table
from directory.domain.conditions import RuleInvalid
from directory.domain.routing import RuleSet

TABLES: Final = ("rules", "examples", "waivers")
_LARGEST: Final = 64_000_000  # bytes: more than a hundred thousand rules
# As the form asks for them; what else an enquiry of an example has follows by its name.
_FIELDS: Final = (
    *("topic", "department", "subject", "message", "reply_language", "country", "from", "source"),
    *("origin", "answers", "at", "returning"),
)
_LANGUAGES: Final = ("en", "zh-Hans")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """What stands in a rule file, not yet read as rules. ``rules`` may be empty."""

    rules: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    waivers: list[dict[str, Any]]

    def read(self, version: int = 0) -> RuleSet:
        """Its rules. Raises RuleInvalid."""
        return RuleSet.read(version, self.rules, examples=self.examples, waivers=self.waivers)


def write_rules(rules: RuleSet) -> Iterator[str]:
    """*rules* as a rule file, a table at a time."""
    for written in rules.write():
        yield table("rules", _ordered_rule(written), width=WIDTH)
    for example in rules.examples:
        written = example.write()
        enquiry = _in_order(_plain(written["enquiry"]), _FIELDS)
        yield table("examples", written | {"enquiry": enquiry}, width=WIDTH)
    for waiver in rules.waivers:
        yield table("waivers", waiver.write(), width=WIDTH)


def read_rules(file: IO[bytes]) -> RuleFile:
    """What stands in *file*. Raises RuleInvalid where it is no rule file."""
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise RuleInvalid("this is too much to be a rule file")
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise RuleInvalid(f"this is no TOML: {error}") from error
    if unknown := next((name for name in found if name not in TABLES), None):
        hint = ""
        if unknown in {"departments", "topics"}:
            hint = "; a whole directory is read by “directory import”"
        raise RuleInvalid(f"there is no “{unknown}” in a rule file{hint}")
    return RuleFile(*(entries(found.get(name, []), name) for name in TABLES))


def entries(value: Any, name: str) -> list[dict[str, Any]]:
    """The ``[[name]]`` tables of a file, times as text as everywhere else. Raises RuleInvalid."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RuleInvalid(f"“{name}” is written as [[{name}]], one for each")
    return [_plain(item) for item in value]


def _plain(value: Any) -> Any:
    """*value* without TOML's own kinds, and its tables by name: databases keep no order of keys."""
    match value:
        case Mapping():
            return {str(key): _plain(value[key]) for key in sorted(value)}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case str() | bool() | int() | float():
            return value
    return str(value)


def _ordered_rule(written: dict[str, Any]) -> dict[str, Any]:
    ordered = {key: _plain(value) for key, value in written.items()}
    return ordered | {"name": _in_order(ordered["name"], _LANGUAGES)}


def _in_order(value: Mapping[str, Any], first: tuple[str, ...]) -> dict[str, Any]:
    return {key: value[key] for key in (*first, *value) if key in value}
