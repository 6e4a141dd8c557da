"""How far a long command has come."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

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
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._bar = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            Remaining(),
            console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))),
            transient=True,
            redirect_stdout=False,  # the plan's lines are data
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(what, total=None, rate="")

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        task = self._bar.tasks[0]
        rate = f"{done / task.elapsed:,.0f}/s" if task.elapsed else ""
        self._bar.update(self._task, completed=done, total=total, rate=rate)
