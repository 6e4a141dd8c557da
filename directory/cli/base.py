"""What every command shares: its flags, where it prints, and how errors become exit codes."""

from __future__ import annotations

import functools
import getpass
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import click
from flask.cli import FlaskGroup, NoAppException

from directory import __version__
from directory.domain.conditions import RuleInvalid
from directory.domain.errors import (
    Conflict,
    DeliveryFailure,
    DirectoryError,
    InvalidValue,
    NotFound,
    SettingsInvalid,
    Unavailable,
)

EXIT_FINDINGS = 1


EXIT_USAGE = 2


EXIT_CONFIGURATION = 3


EXIT_NOT_FOUND = 4


EXIT_REFUSED = 5


EXIT_UNREACHABLE = 6


EXIT_INTERRUPTED = 130


def exit_code(error: DirectoryError) -> int:
    """The exit code that *error* is."""
    from directory.domain.columns import CellInvalid

    match error:
        case SettingsInvalid():
            return EXIT_CONFIGURATION
        case NotFound():
            return EXIT_NOT_FOUND
        case Conflict():
            return EXIT_REFUSED
        case Unavailable() | DeliveryFailure():
            return EXIT_UNREACHABLE
        case InvalidValue() | RuleInvalid() | CellInvalid():
            return EXIT_USAGE
    return EXIT_FINDINGS


class Talk:
    """What every command has at hand: its flags, the parts, and where to print."""

    def __init__(self) -> None:
        self.config: str | None = None
        self.as_json = False
        self.quiet = False
        self.yes = False
        self.dry_run = False
        self.language = "en"
        self.env: Any = "development"
        self.flags: dict[str, Any] = {}

    @functools.cached_property
    def settings(self) -> Any:
        from directory.settings import load_settings

        return load_settings(self.config, flags=self.flags, env=self.env)

    @functools.cached_property
    def parts(self) -> Any:
        from directory.logs import configure
        from directory.parts import assemble

        configure()
        return assemble(self.settings)

    def data(self, value: Any, lines: Iterable[str]) -> None:
        """*value* as JSON if asked for, else *lines*."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
            return
        for line in lines:
            click.echo(line)

    def say(self, text: str) -> None:
        """Talk: to standard error, unless quiet."""
        if not self.quiet:
            click.echo(text, err=True)


def who(as_email: str | None) -> str:
    """Who acts: as said, else the account at this machine."""
    return as_email or f"{getpass.getuser()}@localhost"


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags every command has, and one place where errors become exit codes."""

    @click.option("--json", "as_json", is_flag=True, help="Data as JSON, in the API's shapes.")
    @click.option("--quiet", is_flag=True, help="No talk, only data.")
    @click.option("--config", metavar="PATH", help="Configuration file.")
    @click.option("--lang", default="en", type=click.Choice(["en", "zh-Hans", "zh-hans"]))
    @functools.wraps(command)
    def wrapped(
        *args: Any, as_json: bool, quiet: bool, config: str | None, lang: str, **kwargs: Any
    ) -> Any:
        talk = Talk()
        talk.as_json, talk.quiet, talk.config = as_json, quiet, config
        talk.language = "zh-Hans" if lang.lower() == "zh-hans" else lang
        talk.yes = bool(kwargs.pop("yes", False))
        talk.dry_run = bool(kwargs.pop("dry_run", False))
        try:
            return command(talk, *args, **kwargs)
        except DirectoryError as error:
            refuse(error, talk)

    return wrapped


def refuse(error: DirectoryError, talk: Talk) -> NoReturn:
    """Say *error* and end with its code."""
    text = error.text(talk.language)
    if isinstance(error, Unavailable):
        text = f"The database cannot be reached or is busy ({error})"
    for line in text.splitlines():
        click.echo(f"directory: {line}", err=True)
    sys.exit(exit_code(error))


def writes(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of every command that writes."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    command = click.option("--dry-run", is_flag=True, help="Show, change nothing.")(command)
    command = click.option("--reason", default="", metavar="TEXT", help="Why; kept.")(command)
    return click.option("--as", "as_email", metavar="EMAIL", help="Who acts.")(command)


class RolledBack(Exception):
    """Ends a dry run's transaction without keeping it."""


def in_transaction(talk: Talk, act: Callable[[Any], Any]) -> Any:
    """Run *act* with a session; a dry run keeps nothing."""
    result: Any = None
    try:
        with talk.parts.db.writing() as session:
            result = act(session)
            if talk.dry_run:
                session.flush()
                raise RolledBack
    except RolledBack:
        talk.say("dry run: nothing was changed")
    return result


def _create_app() -> Any:
    from directory.app import create_app

    try:
        return create_app()
    except SettingsInvalid as problem:
        # Flask asks for the application even to list the commands or to refuse an unknown one;
        # told in its own way that there is none, it goes on.
        raise NoAppException(str(problem)) from problem


@click.group(
    cls=FlaskGroup,
    create_app=_create_app,
    add_default_commands=False,
    add_version_option=False,
    help="Contact Directory: contact records kept right, enquiries that reach their department.",
)
def cli() -> None:
    pass


@cli.command(with_appcontext=False)
@common
def version(talk: Talk) -> None:
    """The version of this program."""
    talk.data({"version": __version__}, [__version__])
