"""Conditions and actions that installed packages bring, by their entry points."""

from __future__ import annotations

import re
import threading
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from directory.domain.conditions import CONDITIONS, Condition
from directory.domain.errors import SettingsInvalid
from directory.domain.routing import ACTIONS, Action, RoutingRule

CONDITIONS_GROUP: Final = "directory.matchers"
ACTIONS_GROUP: Final = "directory.actions"
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

_loading = threading.Lock()
_loaded = False


def load_plugins() -> None:
    """Add what installed packages bring to CONDITIONS and ACTIONS; once for each process.

    Raises SettingsInvalid, with a line for each package that cannot be used: rules that ask what
    nobody here understands would otherwise be found out one enquiry at a time.
    """
    global _loaded
    with _loading:
        if _loaded:
            return
        # One look at what is installed for both: it reads a file of every package there is.
        installed = entry_points()
        found: list[tuple[EntryPoint, dict[str, Any], type[Any]]] = [
            (it, CONDITIONS, Condition) for it in installed.select(group=CONDITIONS_GROUP)
        ]
        found += [(it, ACTIONS, Action) for it in installed.select(group=ACTIONS_GROUP)]
        problems = [
            f"package “{_package(point)}”: {point.group} {point.name} = {point.value} {problem}"
            for point, registry, kind in found
            if (problem := _add(point, registry, kind))
        ]
        if problems:
            raise SettingsInvalid(*problems)
        _loaded = True


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


def _add(point: EntryPoint, registry: dict[str, Any], kind: type[Any]) -> str:
    """Add what *point* names; what is wrong with it, or ""."""
    try:
        brought = point.load()
    except Exception as error:
        # Whatever a stranger's module does when it is imported.
        return f"cannot be loaded ({type(error).__name__}: {error})"
    if not isinstance(brought, type) or not issubclass(brought, kind):
        return f"is no {kind.__name__}"
    if missing := getattr(brought, "__abstractmethods__", None):
        return f"is not finished: {', '.join(sorted(missing))} is missing"
    if getattr(brought, "key", None) != point.name or not _KEY.fullmatch(point.name):
        return f"needs its own name for a key, and not {getattr(brought, 'key', None)!r}"
    if registry.get(point.name, brought) is not brought or point.name in RoutingRule.KEYS:
        return "has a name that is taken"
    registry[point.name] = brought
    return ""
