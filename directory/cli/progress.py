"""How far a long command has come."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from directory.cli.base import Talk


def progress(
    talk: Talk, what: str
) -> contextlib.AbstractContextManager[Callable[[int, int], None] | None]:
    """A bar on standard error with count, rate and time left; nothing where nobody watches."""
    if talk.quiet or not sys.stderr.isatty():
        return contextlib.nullcontext(None)
    return _Bar(what)


class _Bar:
    """The bar while it is shown: called with (done, total)."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(
                length=total,
                label=self._what,
                show_pos=True,
                item_show_func=lambda rate: rate,
                file=sys.stderr,  # the plan's lines are data
            )
        elapsed = time.monotonic() - self._began
        self._bar.update(done - self._bar.pos, f"{done / elapsed:,.0f}/s" if elapsed else "")
