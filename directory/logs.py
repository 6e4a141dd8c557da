"""One JSON line an event, on standard error; nothing a visitor typed, no address, no token."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from directory.settings import PREFIX

_ADDRESS = re.compile(r"[^\s<>\"'@]+@([\w.-]+)")
# Status, action and verification links: what follows is a key.
_TOKEN = re.compile(r"(/[eavu]/[0-9A-Z]{8}-(?:\d+-)?)[0-9A-Z]{27}")


def configure(style: str = "") -> None:
    """Set up logging for this process: "json" (the default) or "text"."""
    style = style or os.environ.get(f"{PREFIX}LOG", "json")
    last: Any = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=_no_trace
    )
    if style != "text":
        last = structlog.processors.JSONRenderer(serializer=_dump)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where,
            _redact,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Standard error as it is when something is said: whoever runs us may replace it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _dump(event: Any, **_: Any) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def _no_trace(*_: Any) -> None:
    """Traces are words of their own already (see _where)."""


def _where(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put where an exception was raised into one word; its message may quote a visitor."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()[1]
    elif isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["exception"] = type(found).__name__
        event["where"] = " > ".join(
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(found.__traceback__)[-6:]
        )
    return event


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redacted(value)
    return event


def redacted(text: str) -> str:
    """*text* with the local parts of addresses and the keys of links masked."""
    return _TOKEN.sub(r"\1•••", _ADDRESS.sub(r"•••@\1", text))
