"""The same use-cases for people at a terminal.

Data go to standard output, talk to standard error. Exit codes: 0 done, 1 done but with findings
or failures, 2 usage, 3 configuration, 4 not found, 5 refused, 6 an outside service unreachable,
130 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
from flask.cli import FlaskGroup, NoAppException

from directory import __version__
from directory.domain.errors import (
    Conflict,
    DeliveryFailure,
    DirectoryError,
    InvalidValue,
    NotFound,
    SettingsInvalid,
    Unavailable,
)
from directory.domain.routing import RuleInvalid

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
    text = error.text(talk.language) if isinstance(error, InvalidValue) else str(error)
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


# Installation


DEMO_SITE = {
    "name": {"en": "JITRI", "zh-Hans": "江苏省产业技术研究院"},
    "timezone": "Asia/Shanghai",
    "default_country": "CN",
}


@cli.command(with_appcontext=False)
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--sample", is_flag=True, help="With the sample institution.")
@click.option("--desk-email", metavar="EMAIL", help="Mailbox of the Enquiry Desk.")
@click.option("--as", "as_email", metavar="EMAIL", help="Who acts.")
@click.option("--yes", is_flag=True, help="Overwrite a configuration that is there.")
@common
def init(
    talk: Talk, folder: str, sample: bool, desk_email: str | None, as_email: str | None
) -> None:
    """Write a configuration, a secret key and a database in DIR."""
    from directory.services.installation import begin

    root = Path(folder)
    path = begin(
        root,
        site=DEMO_SITE if sample else {},
        sample=sample,
        desk_email=desk_email or "",
        by=who(as_email),
        overwrite=talk.yes,
    )
    talk.data(
        {"config": str(path), "next": "directory serve"},
        [f"wrote {path}", f"next: directory serve --config {path}"],
    )


def _port_in_use(talk: Talk, host: str, port: int) -> NoReturn:
    click.echo(
        f"directory: port {port} on {host} is in use; choose another with --port, "
        "or --port 0 for a free one",
        err=True,
    )
    sys.exit(EXIT_REFUSED)


def _listen(talk: Talk, host: str, port: int) -> Any:
    import errno

    from directory.supervisor import listen

    try:
        return listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise SettingsInvalid(f"--host {host}: {error.strerror}") from None
        _port_in_use(talk, host, port)


def _run_family(
    talk: Talk,
    listener: Any,
    *,
    mailbox_folder: Path | None,
    mail_to: str,
    processes: int,
    threads: int,
    workers: int,
    extra: Iterable[str] = (),
) -> None:
    """Start web, workers and, for a demo, its mailbox; print ``ready`` and stay."""
    from urllib.parse import urlsplit

    from directory.supervisor import (
        Supervisor,
        answers,
        listen,
        mail_worker,
        mailbox,
        transport_of,
        web,
    )

    supervisor = Supervisor()
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}/"
    mail_url = ""
    if mailbox_folder is not None:
        probe = listen("127.0.0.1", 0)
        mail_port = probe.getsockname()[1]
        probe.close()
        mail_url = f"smtp://127.0.0.1:{mail_port}"
        supervisor.add("mailbox", mailbox(mailbox_folder, mail_port))
    supervisor.add(
        "web",
        web(talk.parts, listener, processes=processes, threads=threads),
        signals=processes,
    )
    for _ in range(workers):
        transport = transport_of(talk.parts, url=mail_url, mail_to=mail_to)
        supervisor.add("worker", mail_worker(talk.parts, transport))

    def ready() -> None:
        asked_as = urlsplit(talk.settings.site.base_url).netloc
        if not answers(f"{url}en/accessibility", asked_as):
            click.echo("directory: the web processes do not answer", err=True)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        for line in extra:
            talk.say(line)
        click.echo(f"ready {url}")
        sys.stdout.flush()

    supervisor.run(ready)


@cli.command(with_appcontext=False)
@click.option("--dir", "folder", metavar="DIR", help="Keep the instance in DIR.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--mail-to", default="", metavar="EMAIL", help="Every mail goes there.")
@common
def demo(talk: Talk, folder: str | None, host: str, port: int, mail_to: str) -> None:
    """A throw-away instance with sample data, its own mailbox and nothing to configure."""
    import shutil
    import tempfile
    from urllib.parse import urlsplit

    from directory.adapters.mail import MailServer, is_loopback
    from directory.domain.values import EmailAddress
    from directory.services.installation import DEMO_KEY_BYTES, plant_once

    if mail_to:
        mail_to = str(EmailAddress.parse(mail_to))
    listener = _listen(talk, host, port)
    bound = listener.getsockname()[1]
    kept = Path(folder).absolute() if folder else Path(tempfile.mkdtemp(prefix="directory-demo-"))
    kept.mkdir(parents=True, exist_ok=True)
    shown = f"[{host}]" if ":" in host else host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  asked for by whoever starts it
        shown = "127.0.0.1"
    key = kept / "var" / "secret_key"
    key.parent.mkdir(parents=True, exist_ok=True)
    if not key.is_file():
        key.touch(mode=0o600)
        key.write_text(secrets.token_urlsafe(DEMO_KEY_BYTES) + "\n", encoding="ascii")
    talk.env = "development"
    talk.flags = {
        "site": {"base_url": f"http://{shown}:{bound}", **DEMO_SITE},
        "sla": {"calendars": ["CN"]},
        "database": {"url": f"sqlite:///{kept}/var/directory.db"},
        "enquiry": {"rate_per_hour": 0, "refuse_per_hour": 0},
        "auth": {"second_factor": "optional"},
        "secret_key_file": str(key),
    }
    _demo_settings(talk, kept)
    settings = talk.settings
    mailbox_folder: Path | None = None
    if not settings.mail.url:
        mailbox_folder = settings.var / "mail"
    elif (
        settings.mail.smtp
        and not mail_to
        and not is_loopback(MailServer.parse(settings.mail.url).host)
    ):
        raise SettingsInvalid(
            f"mail.url: {urlsplit(settings.mail.url).hostname} is not this machine; say with "
            "--mail-to ADDR where a demo's mail may go"
        )
    from directory.logs import configure
    from directory.parts import assemble

    configure()
    talk.parts = assemble(settings, mailbox=mailbox_folder)
    plant_once(talk.parts, sample=True, by="demo")
    talk.say(f"{settings.site.name['en']}: a demo in {kept}; Ctrl-C ends it")
    where = f"mail: {settings.site.base_url}/dev/mailbox" if talk.parts.mailbox else ""
    try:
        _run_family(
            talk,
            listener,
            mailbox_folder=mailbox_folder,
            mail_to=mail_to,
            processes=2,
            threads=4,
            workers=1,
            extra=[where] if where else [],
        )
    finally:
        if not folder:
            talk.parts.let_go()
            shutil.rmtree(kept, ignore_errors=True)


def _demo_settings(talk: Talk, root: Path) -> None:
    """A demo reads no file of the folder it is started in unless --config names one."""
    from directory.settings import load_settings

    given = talk.config or os.environ.get("DIRECTORY_CONFIG")
    flags = dict(talk.flags)
    if given:
        # What the file says of mail holds; the demo's own database and site stay.
        settings = load_settings(given, flags=flags, env=talk.env)
    else:
        # The environment comes before what a demo would choose itself. Its mail is in the name of
        # the sample institution, whose other mailboxes end in this reserved domain too.
        flags["mail"] = {"from": "contact@institute.example"}
        settings = load_settings(flags, env=talk.env)
    settings._root = root
    talk.settings = settings


@cli.command(with_appcontext=False)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(0, 64))
@common
def serve(talk: Talk, host: str, port: int, processes: int, threads: int, workers: int) -> None:
    """Web and workers, from the configuration."""
    talk.env = "production"
    _require_database(talk)
    listener = _listen(talk, host, port)
    _run_family(
        talk,
        listener,
        mailbox_folder=None,
        mail_to="",
        processes=processes,
        threads=threads,
        workers=workers,
    )


def _require_database(talk: Talk) -> None:
    """Refuse to start on a database that this release does not fit."""
    from directory.adapters import migrations

    at = migrations.current(talk.parts.db)
    if at != migrations.newest():
        raise SettingsInvalid(
            f"the database is at {at or 'no'} revision, this release needs "
            f"{migrations.newest()}: run `directory db upgrade`"
        )
    talk.parts.let_go()


@cli.command(with_appcontext=False)
@click.option("--once", is_flag=True, help="Everything due now, one try each.")
@common
def worker(talk: Talk, once: bool) -> None:
    """Send what is queued."""
    from directory.supervisor import transport_of
    from directory.worker import Worker, stop_on

    talk.env = "production"
    _require_database(talk)
    sender = Worker(talk.parts, transport_of(talk.parts))
    stop_on(sender, signal.SIGTERM, signal.SIGINT)
    if not once:
        sender.run()
        return
    tally = sender.run_once()
    talk.data(
        {"processed": tally.processed, "deferred": tally.deferred, "failed": tally.failed},
        [str(tally)],
    )
    if tally.deferred or tally.failed:
        sys.exit(EXIT_FINDINGS)


# Single values


@cli.command(with_appcontext=False)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--cores", default=0, metavar="N", help="Processes; 0: as many as there are cores.")
@common
def check(talk: Talk, file: Any, cores: int) -> None:
    """Judge telephone and fax numbers and e-mail addresses, one JSON line each.

    The number library limits the rate: about 30 µs a number on one core, of which it takes four
    fifths. No network is asked. Exit 1 when any value is invalid.
    """
    import time

    from directory.services.checking import check_lines

    started, done, invalid = time.monotonic(), 0, 0
    for answers in check_lines(file, cores=cores):
        done += len(answers)
        invalid += sum(bad for _, bad in answers)
        click.echo("\n".join(text for text, _ in answers))
        if sys.stderr.isatty() and not talk.quiet:
            rate = done / max(time.monotonic() - started, 1e-9)
            click.echo(f"\r{done:,} checked, {rate:,.0f}/s", err=True, nl=False)
    if sys.stderr.isatty() and not talk.quiet:
        click.echo(err=True)
    rate = done / max(time.monotonic() - started, 1e-9)
    talk.say(f"{done:,} checked, {invalid:,} invalid, {rate:,.0f}/s")
    if invalid:
        sys.exit(EXIT_FINDINGS)


@cli.command(with_appcontext=False)
@click.argument("file", required=False, metavar="FILE|-", type=click.File("rb"))
@click.option("--region", metavar="CC", help="Country of numbers without a country code.")
@click.option("--format", "form", type=click.Choice(["text", "html"]), help="Else as it looks.")
@click.option("--batch", type=click.File("r", encoding="utf-8"), help="JSON lines instead.")
@click.option("--cores", default=0, metavar="N", help="Processes for --batch; 0: all cores.")
@common
def extract(talk: Talk, file: Any, region: str | None, form: Any, batch: Any, cores: int) -> None:
    """Contact records as they stand on a page or in a letter, as JSON. Nothing is stored."""
    from directory.adapters.extract import extract as read_page
    from directory.services.extracting import extract_lines

    if (file is None) is (batch is None):
        raise click.UsageError("name one FILE (or “-”), or --batch FILE.jsonl")
    if batch is not None:
        for answers in extract_lines(batch, cores=cores):
            click.echo("\n".join(answers))
        return
    text = file.read().decode("utf-8", errors="replace")
    found = read_page(text, region=(region or "").upper() or None, format=form)
    click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=None if talk.as_json else 2))


# Departments


@cli.group(cls=click.Group)
def department() -> None:
    """Departments and how they are reached."""


def _department_json(talk: Talk, session: Any, found: Any) -> dict[str, Any]:
    from directory.adapters.formats import department_json
    from directory.services.contacts import hours_of, reply_days_of, slugs

    settings = talk.settings
    now = talk.parts.now()
    return department_json(
        found,
        slugs=slugs(session),
        topics=list(talk.parts.published(session, now).topics.values()),
        hours=hours_of(found, settings=settings),
        reply_days=reply_days_of(found, None, settings=settings),
        base_url=settings.site.base_url,
        default_country=settings.site.default_country,
        now=now,
    )


@department.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@common
def department_list(talk: Talk, everything: bool) -> None:
    """Every department, as the tree is read."""
    from directory.adapters.formats import listing
    from directory.adapters.queries import department_by_slug, department_rows
    from directory.domain.contacts import localised

    with talk.parts.db.reading() as session:
        rows = department_rows(session, active_only=not everything)
        items = []
        if talk.as_json:
            items = [
                _department_json(talk, session, department_by_slug(session, row.slug))
                for row in rows
            ]
    talk.data(
        listing(items),
        [
            f"{'  ' * row.depth}{row.slug}  {localised(row.name, talk.language)[0]}"
            + ("" if row.status == "active" else f"  ({row.status})")
            for row in rows
        ],
    )


@department.command("show")
@click.argument("slug")
@common
def department_show(talk: Talk, slug: str) -> None:
    """One department, every column."""
    from directory.adapters.queries import department_by_slug
    from directory.domain.columns import columns_of
    from directory.services.contacts import slugs

    with talk.parts.db.reading() as session:
        found = department_by_slug(session, slug)
        value = _department_json(talk, session, found) if talk.as_json else {}
        cells = columns_of(found, slugs=slugs(session))
    talk.data(value, [f"{column}={text}" for column, text in cells.items()])


def _cells(pairs: tuple[str, ...]) -> dict[str, str]:
    cells = {}
    for pair in pairs:
        column, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f"write column=value, not {pair!r}")
        cells[column.strip()] = text
    return cells


@department.command("add")
@click.argument("slug")
@click.argument("cells", nargs=-1, metavar="COLUMN=VALUE…")
@writes
@common
def department_add(
    talk: Talk, slug: str, cells: tuple[str, ...], reason: str, as_email: str | None
) -> None:
    """A new department: directory department add library name_en=Library phone="025 …"."""
    from directory.domain.columns import columns_of
    from directory.services.contacts import add_department, slugs

    def act(session: Any) -> tuple[Any, dict[str, str]]:
        made = add_department(
            session,
            slug,
            _cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        session.flush()
        _ask_at_once(talk, session, made)
        value = _department_json(talk, session, made) if talk.as_json else None
        return value, columns_of(made, slugs=slugs(session))

    value, columns = in_transaction(talk, act)
    _ring(talk)
    talk.data(value, [f"+ {column}={text}" for column, text in columns.items()])


def _ask_at_once(talk: Talk, session: Any, changed: Any) -> None:
    """Ask the mailboxes that somebody just entered whether they are right."""
    from directory.services.trust import ask_due

    session.flush()
    ask_due(session, settings=talk.settings, now=talk.parts.now(), department_id=changed.id)


def _ring(talk: Talk) -> None:
    """Let the workers know of new mail."""
    if not talk.dry_run:
        talk.parts.doorbell.ring()


@department.command("set")
@click.argument("slug")
@click.argument("cells", nargs=-1, required=True, metavar="COLUMN=VALUE…")
@writes
@common
def department_set(
    talk: Talk, slug: str, cells: tuple[str, ...], reason: str, as_email: str | None
) -> None:
    """Change columns and print the difference; "-" clears."""
    from directory.adapters.queries import department_ever_called
    from directory.services.contacts import amend_department

    def act(session: Any) -> Mapping[str, tuple[str, str]]:
        changed = amend_department(
            session,
            slug,
            _cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        _ask_at_once(talk, session, department_ever_called(session, slug))
        return changed

    _show_changes(talk, slug, in_transaction(talk, act))


def _show_changes(talk: Talk, slug: str, changed: Mapping[str, tuple[str, str]]) -> None:
    _ring(talk)
    talk.data(
        {"slug": slug, "changes": {c: {"before": b, "after": a} for c, (b, a) in changed.items()}},
        list(_diff(changed)) or ["= nothing changed"],
    )


def _diff(changed: Mapping[str, tuple[Any, Any]]) -> Iterable[str]:
    for column, (before, after) in changed.items():
        if before:
            yield f"- {column}={before}"
        if after:
            yield f"+ {column}={after}"


@department.command("close")
@click.argument("slug")
@click.option("--successor", required=True, metavar="SLUG", help="Who takes over.")
@writes
@common
def department_close(
    talk: Talk, slug: str, successor: str, reason: str, as_email: str | None
) -> None:
    """Close a department; its successor takes over its page and topics."""
    from directory.services.contacts import close_department

    if not talk.yes and not talk.dry_run:
        raise Conflict(f"This closes “{slug}” for good; say --yes to do it")
    in_transaction(
        talk,
        lambda session: close_department(
            session,
            slug,
            successor=successor,
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        ),
    )
    talk.data(
        {"slug": slug, "status": "closed", "successor": successor},
        [f"closed {slug}, succeeded by {successor}"],
    )


# Files in and out


def _progress(
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


def _plan_lines(change: Any, language: str) -> Iterable[str]:
    """A row of the plan: "~ media  phone: +86 … → +86 …"."""
    from directory.services.import_changes import MARKS, Action

    mark = MARKS[change.action]
    subject = change.subject if change.kind == "department" else f"{change.kind} {change.subject}"
    if change.action is Action.ERROR:
        yield from (f"! {problem.say(language)}" for problem in change.problems)
        return
    cells = "; ".join(
        f"{column}: {_short(old)} → {_short(new)}" for column, (old, new) in change.cells.items()
    )
    match change.action:
        case Action.ADD:
            yield f"{mark} {subject}  {change.name}"
        case Action.CONFLICT:
            yield f"{mark} {subject}  edited since this file was written; {cells}"
        case Action.SAME:
            yield f"{mark} {subject}"
        case _:
            yield f"{mark} {subject}  {cells}"
    yield from (f"! {problem.say(language)}" for problem in change.problems)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= 60 else f"{line[:59]}…") or "(empty)"


@cli.command("import", with_appcontext=False)
@click.argument("file", required=False, metavar="FILE|-", type=click.File("rb"))
@click.option("--format", "form", default="", metavar="FORMAT", help="Else as it looks.")
@click.option("--encoding", default="", metavar="NAME", help="Else found out.")
@click.option("--map", "pairs", multiple=True, metavar="THEIRS=OURS", help="“X=” leaves X out.")
@click.option("--raw", is_flag=True, help="No apostrophes guard the cells.")
@click.option("--delete-missing", is_flag=True, help="Close departments that are not in FILE.")
@click.option("--undo", type=int, metavar="ID", help="Put back what an import changed.")
@click.option("--list", "listed", is_flag=True, help="The imports so far.")
@writes
@common
def import_(
    talk: Talk,
    file: Any,
    form: str,
    encoding: str,
    pairs: tuple[str, ...],
    raw: bool,
    delete_missing: bool,
    undo: int | None,
    listed: bool,
    reason: str,
    as_email: str | None,
) -> None:
    """Departments, topics and rules from a file: csv, xlsx, vcf, jcard, json, jsonl, toml, or
    a web page or letter (--format page).

    Shows what becomes of each row, then does it, all in one transaction. Rows with errors are
    left out (exit 1). What was edited since the file was written is overwritten, and missing
    departments are closed, only with --yes.
    """
    if listed:
        _list_imports(talk)
        return
    if undo is not None:
        _undo_import(talk, undo, reason, as_email)
        return
    if file is None:
        raise click.UsageError("name a file, “-” for standard input, or --undo ID")
    from directory.services import imports
    from directory.services.import_changes import Tally
    from directory.services.import_files import Options

    mapping = {}
    for pair in pairs:
        theirs, equals, ours = pair.rpartition("=")
        if not equals:
            raise click.UsageError(f"write --map THEIRS=OURS, not {pair!r}")
        mapping[theirs] = ours.strip()
    options = Options(
        format="" if form == "page" else form,
        encoding=encoding,
        mapping=mapping,
        raw=raw,
        delete_missing=delete_missing,
    )
    source = _import_source(talk, file, form, options)
    items: list[Any] = []

    def tell(change: Any) -> None:
        if talk.as_json:
            if change.action != "same":
                items.append(change.to_json(talk.language))
        elif not talk.quiet:
            for line in _plan_lines(change, talk.language):
                click.echo(line)

    now = talk.parts.now()
    tally = Tally()
    done: Any = None
    if not talk.yes or talk.dry_run:
        with talk.parts.db.reading() as session, _progress(talk, "looking") as bar:
            plan = imports.preview(
                session,
                source,
                settings=talk.settings,
                now=now,
                options=options,
                overwrite=talk.yes,
                progress=bar,
            )
            for change in plan.changes():
                tell(change)
        tally = plan.tally
        wanted = tally.added + tally.changed + tally.closed
        if talk.dry_run:
            talk.say("dry run: nothing was changed")
        elif tally.conflicts or tally.closed:
            _import_result(talk, tally, None, items)
            raise Conflict(
                "Say --yes to overwrite what was edited since and to close what is missing"
            )
        elif wanted and sys.stdin.isatty() and sys.stderr.isatty():
            click.confirm(f"{tally}. Do it?", abort=True, err=True)
    if not talk.dry_run and (talk.yes or tally.added + tally.changed):
        with talk.parts.db.writing() as session, _progress(talk, "importing") as bar:
            done = imports.apply(
                session,
                source,
                settings=talk.settings,
                now=now,
                by=who(as_email),
                reason=reason,
                options=options,
                overwrite=talk.yes,
                expected="" if talk.yes else plan.digest,
                progress=bar,
                tell=tell if talk.yes else None,
            )
        tally = done.tally
    _import_result(talk, tally, done, items)
    if tally.errors or tally.conflicts:
        sys.exit(EXIT_FINDINGS)


def _import_source(talk: Talk, file: Any, form: str, options: Any) -> Any:
    import shutil
    import tempfile

    from directory.services.import_files import FileSource, PageSource

    name = str(getattr(file, "name", "-"))
    name = "standard input" if name in {"-", "<stdin>"} else name
    if form == "page":
        from directory.adapters.extract import extract

        text = file.read().decode("utf-8", "replace")
        found = extract(text, region=talk.settings.site.default_country)
        return PageSource(found, Path(name).name)
    if not file.seekable():
        # Read twice, so kept; in memory only while it is small.
        kept = tempfile.SpooledTemporaryFile(max_size=1_000_000)  # noqa: SIM115 - ends with us
        shutil.copyfileobj(file, kept)
        file = kept
    return FileSource(file, name, options)


def _import_result(talk: Talk, tally: Any, done: Any, items: list[Any]) -> None:
    changed = tally.added + tally.changed + tally.closed
    if done is not None and changed:
        talk.say(f"undo with: directory import --undo {done.id}")
    talk.data(
        {
            "id": str(done.id) if done is not None and changed else None,
            "counts": tally.to_json(),
            "changes": items,
        },
        [str(tally)],
    )


def _list_imports(talk: Talk) -> None:
    from directory.adapters.formats import listing, rfc3339
    from directory.services.imports import batches

    with talk.parts.db.reading() as session:
        found = batches(session)
    items = [
        {
            "id": str(it.id),
            "source": it.source,
            "format": it.format,
            "state": it.state.value,
            "by": it.author,
            "reason": it.reason,
            "counts": it.counts,
            "applied_at": rfc3339(it.applied_at),
            "undone_at": rfc3339(it.undone_at),
        }
        for it in found
    ]
    talk.data(
        listing(items),
        [f"{it.id}  {it.created_at:%Y-%m-%d %H:%M}  {it.state.value:<9}  {it.source}  {it.tally}"
         for it in found],
    )  # fmt: skip


def _undo_import(talk: Talk, id: int, reason: str, as_email: str | None) -> None:
    from directory.services.imports import batch, undo

    with talk.parts.db.reading() as session:
        found = batch(session, id)
    if not talk.yes and not talk.dry_run and sys.stdin.isatty():
        click.confirm(f"Undo “{found.source}” ({found.tally})?", abort=True, err=True)
    with _progress(talk, "undoing") as bar:
        undone = in_transaction(
            talk,
            lambda session: undo(
                session,
                id,
                settings=talk.settings,
                now=talk.parts.now(),
                by=who(as_email),
                reason=reason,
                progress=bar,
            ),
        )
    talk.data(
        {"id": str(id), "state": undone.state.value, "counts": undone.counts},
        [f"undone {id}: {undone.tally}"],
    )


@cli.command("export", with_appcontext=False)
@click.argument("what", type=click.Choice(["departments", "topics", "rules", "all", "site"]))
@click.argument("folder", required=False, metavar="[DIR]")
@click.option(
    "--format",
    "form",
    default="",
    metavar="FORMAT",
    help="csv, xlsx, json, jsonl, vcf, jcard, jsonld or toml; else as the file is called.",
)
@click.option("-o", "--output", metavar="FILE", help="Else standard output.")
@click.option("--raw", is_flag=True, help="CSV without byte order mark and apostrophes.")
@click.option("--private", is_flag=True, help="What is not published, too.")
@click.option("--vcard", default="4.0", type=click.Choice(["4.0", "3.0"]), show_default=True)
@click.option("--yes", is_flag=True, help="Overwrite.")
@common
def export(
    talk: Talk,
    what: str,
    folder: str | None,
    form: str,
    output: str | None,
    raw: bool,
    private: bool,
    vcard: Any,
) -> None:
    """The directory as a file, or its pages as a folder (export site DIR).

    "all" is a seed file: departments, topics and rules as init and import read them.
    """
    if what == "site":
        _export_site(talk, folder)
        return
    form = form or _form_of(output, what)
    if form not in _EXPORTED[what]:
        raise click.UsageError(f"{what} come as {', '.join(_EXPORTED[what])}, not {form!r}")
    if form == "xlsx" and not output:
        raise click.UsageError("a workbook needs a file: -o FILE.xlsx")
    if output and Path(output).exists() and not talk.yes:
        raise Conflict(f"{output} is there already; say --yes to overwrite it")
    with talk.parts.db.reading() as session, _written(talk, output) as write:
        count = _export(talk, session, what, form, write, raw, private, vcard)
    talk.say(f"exported {count} {'records' if what == 'all' else what}")


_EXPORTED = {
    "departments": ("csv", "xlsx", "json", "jsonl", "vcf", "jcard", "jsonld", "toml"),
    "topics": ("csv", "json", "jsonl", "toml"),
    "rules": ("toml", "json"),
    "all": ("toml",),
}


def _form_of(output: str | None, what: str) -> str:
    suffix = Path(output).suffix.lstrip(".").lower() if output else ""
    return suffix if suffix in _EXPORTED[what] else _EXPORTED[what][0]


@contextlib.contextmanager
def _written(talk: Talk, output: str | None) -> Iterator[Callable[[str | bytes], None]]:
    """Where an export goes: standard output, or a file that is there whole or not at all."""
    import tempfile

    def to(stream: Any) -> Callable[[str | bytes], None]:
        def write(part: str | bytes) -> None:
            stream.write(part.encode() if isinstance(part, str) else part)

        return write

    if not output:
        # Bytes: neither the terminal's encoding nor its line breaks change a file.
        yield to(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    target = Path(output)
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as kept:
        unfinished = Path(kept.name)
        try:
            yield to(kept)
            kept.flush()
            os.fsync(kept.fileno())
        except BaseException:
            unfinished.unlink()
            raise
    unfinished.chmod(0o640)
    unfinished.replace(target)


def _export(
    talk: Talk,
    session: Any,
    what: str,
    form: str,
    write: Callable[[str | bytes], None],
    raw: bool,
    private: bool,
    vcard: Any,
) -> int:
    from directory.adapters.formats import listing
    from directory.adapters.queries import current_rules
    from directory.services import exports

    settings, now = talk.settings, talk.parts.now()
    # Cards are of those who answer; a table or a seed file says of the others that they are closed.
    closed = form in {"csv", "xlsx", "json", "jsonl", "toml"}
    count = 0
    if what in {"departments", "all"}:
        count += exports.count(session, closed=closed)
        if form == "xlsx":
            write(exports.pack_xlsx(session, settings=settings, private=private, closed=closed))
        else:
            for part in exports.write(
                session,
                form,
                settings=settings,
                now=now,
                private=private,
                closed=closed,
                raw=raw,
                version=vcard,
                language=talk.language,
            ):
                write(part)
    if what in {"topics", "all"}:
        count += len(exports.topics_in_order(session))
        for part in exports.write_topics(session, form, raw=raw):
            write(part)
    if what in {"rules", "all"}:
        desk = settings.site.desk
        found = current_rules(session, now, desk=desk)
        count += len(found.rules)
        if form == "json":
            write(json.dumps(listing(list(found.write())), ensure_ascii=False, indent=2) + "\n")
        else:
            for part in exports.rules_toml(session, now=now, desk=desk):
                write(part)
    return count


def _export_site(talk: Talk, folder: str | None) -> None:
    from directory.app import app_of
    from directory.web.mirror import write_site

    if not folder:
        raise click.UsageError("name a folder: directory export site DIR")
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not talk.yes:
        raise Conflict(f"{folder} is not empty; say --yes to write into it")
    with _progress(talk, "writing") as bar:
        count = write_site(app_of(talk.parts), target, progress=bar)
    talk.data({"folder": folder, "pages": count}, [f"wrote {count} pages to {folder}"])


@department.command("history")
@click.argument("slug")
@common
def department_history(talk: Talk, slug: str) -> None:
    """Every change: when, who, why, and what it was before; the latest last."""
    from directory.adapters.formats import listing
    from directory.adapters.queries import department_ever_called, events_of
    from directory.services.contacts import about_department

    with talk.parts.db.reading() as session:
        happened = events_of(session, about_department(department_ever_called(session, slug)))
    items = [
        {
            "id": event.id,
            "at": event.at.isoformat(timespec="seconds"),
            "type": event.type,
            "by": event.by,
            "note": event.note,
            "before": event.before,
            "after": event.after,
        }
        for event in happened
    ]
    lines = []
    for event in happened:
        told = f"{event.id}  {event.at:%Y-%m-%d %H:%M}  {event.type}  {event.by}  {event.note}"
        lines.append(told.rstrip())
        keys = [*event.before, *(key for key in event.after if key not in event.before)]
        changed = {key: (event.before.get(key), event.after.get(key)) for key in keys}
        lines += [f"  {line}" for line in _diff(changed)]
    talk.data(listing(items), lines)


@department.command("restore")
@click.argument("slug")
@click.argument("event_id", type=int, metavar="EVENT")
@writes
@common
def department_restore(
    talk: Talk, slug: str, event_id: int, reason: str, as_email: str | None
) -> None:
    """Put a department back to what it was right after EVENT, as a new change."""
    from directory.adapters.queries import department_by_slug
    from directory.services.contacts import restore_department

    def act(session: Any) -> Mapping[str, tuple[str, str]]:
        department = department_by_slug(session, slug)
        changed = restore_department(
            session,
            slug,
            event_id,
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        _ask_at_once(talk, session, department)
        return changed

    _show_changes(talk, slug, in_transaction(talk, act))


@department.command("verify")
@click.argument("slug", required=False)
@click.option("--due", is_flag=True, help="Every mailbox that no check vouches for.")
@click.option("--by-hand", is_flag=True, help="You checked every detail yourself; say how.")
@writes
@common
def department_verify(
    talk: Talk, slug: str | None, due: bool, by_hand: bool, reason: str, as_email: str | None
) -> None:
    """Ask mailboxes by mail whether what the public sees of their department is right."""
    from directory.adapters.queries import department_by_slug
    from directory.services import trust

    if (slug is None) is not due or (by_hand and slug is None):
        raise click.UsageError("name one department, or say --due")
    if by_hand and not reason:
        raise click.UsageError("say with --reason how it was checked")
    if slug is None:
        _verify_due(talk, as_email)
        return
    settings, now, by = talk.settings, talk.parts.now(), who(as_email)
    if by_hand:
        checked = in_transaction(
            talk,
            lambda session: trust.verify_by_hand(
                session,
                department_by_slug(session, slug),
                settings=settings,
                now=now,
                by=by,
                reason=reason,
            ),
        )
        talk.data({"slug": slug, "verified": len(checked)}, [f"verified {len(checked)} details"])
        return
    answers = in_transaction(
        talk,
        lambda session: trust.ask_department(
            session, department_by_slug(session, slug), settings=settings, now=now, by=by
        ),
    )
    _show_asked(talk, answers)


def _verify_due(talk: Talk, as_email: str | None) -> None:
    from directory.services.trust import ask_unproven

    answers = in_transaction(
        talk,
        lambda session: ask_unproven(
            session, settings=talk.settings, now=talk.parts.now(), by=who(as_email)
        ),
    )
    _show_asked(talk, answers)


def _show_asked(talk: Talk, answers: Iterable[Any]) -> None:
    from directory.services.trust import Asked

    _ring(talk)
    answers = list(answers)
    talk.data(
        [{"department": a.department, "mailbox": a.address, "result": a.outcome} for a in answers],
        [f"{a.outcome}  {a.address}  {a.department}" for a in answers] or ["nothing to ask"],
    )
    if any(a.outcome not in {Asked.ASKED, Asked.WAITING} for a in answers):
        sys.exit(EXIT_FINDINGS)


@cli.command(with_appcontext=False)
@writes
@common
def verify(talk: Talk, reason: str, as_email: str | None) -> None:
    """Ask every mailbox that no check vouches for; as department verify --due."""
    _verify_due(talk, as_email)


@department.command("proposals")
@click.argument("slug", required=False)
@common
def department_proposals(talk: Talk, slug: str | None) -> None:
    """What visitors and mailboxes say is wrong, the oldest first."""
    from directory.adapters.formats import listing
    from directory.services.proposals import open_proposals

    with talk.parts.db.reading() as session:
        found = open_proposals(session, slug or "")
    items: list[dict[str, Any]] = [
        {
            "id": proposal.id,
            "department": of,
            "at": proposal.at.isoformat(timespec="seconds") if proposal.at else None,
            "source": proposal.source.value,
            "what": proposal.what,
            "correct": proposal.correct,
            "email": proposal.email or None,
            "changes": proposal.cells,
        }
        for proposal, of in found
    ]
    lines = []
    for item in items:
        lines.append(f"{item['id']}  {item['at']}  {item['department']}  {item['source']}")
        lines.append(f"  {item['what']}: {item['correct'] or '(no text)'}".replace("\n", "\n    "))
        lines += [f"  + {column}={text}" for column, text in item["changes"].items()]
    talk.data(listing(items), lines or ["nothing waits"])


@department.command("accept")
@click.argument("proposal_id", type=int, metavar="ID")
@click.argument("cells", nargs=-1, metavar="[COLUMN=VALUE…]")
@writes
@common
def department_accept(
    talk: Talk, proposal_id: int, cells: tuple[str, ...], reason: str, as_email: str | None
) -> None:
    """Accept a proposal and make its changes, or those you name instead."""
    from directory.domain.contacts import Department
    from directory.domain.trust import Proposal
    from directory.services.proposals import accept_proposal

    def act(session: Any) -> tuple[str, Mapping[str, tuple[str, str]]]:
        changed = accept_proposal(
            session,
            proposal_id,
            cells=_cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        proposal = session.get_one(Proposal, proposal_id)
        changed_department = session.get_one(Department, proposal.department_id)
        _ask_at_once(talk, session, changed_department)
        return changed_department.slug, changed

    _show_changes(talk, *in_transaction(talk, act))


@department.command("refuse")
@click.argument("proposal_id", type=int, metavar="ID")
@writes
@common
def department_refuse(talk: Talk, proposal_id: int, reason: str, as_email: str | None) -> None:
    """Refuse a proposal, with a --reason that is kept."""
    from directory.services.proposals import refuse_proposal

    if not reason:
        raise click.UsageError("say with --reason why it is refused")
    in_transaction(
        talk,
        lambda session: refuse_proposal(
            session, proposal_id, now=talk.parts.now(), by=who(as_email), reason=reason
        ),
    )
    talk.data({"id": proposal_id, "status": "refused"}, [f"refused {proposal_id}"])


# Enquiries


@cli.group(cls=click.Group)
def enquiry() -> None:
    """What visitors sent."""


@enquiry.command("list")
@click.option("--status", metavar="STATUS")
@click.option("--department", default="", metavar="SLUG")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000))
@common
def enquiry_list(talk: Talk, status: str | None, department: str, limit: int) -> None:
    """The newest first; no texts, no persons."""
    from directory.adapters.formats import enquiry_row_json, listing
    from directory.adapters.queries import enquiry_rows
    from directory.domain.enquiry import EnquiryStatus

    try:
        wanted = EnquiryStatus(status) if status else None
    except ValueError:
        known = ", ".join(EnquiryStatus)
        raise click.UsageError(f"there is no status {status!r}; known are {known}") from None
    with talk.parts.db.reading() as session:
        rows = enquiry_rows(session, status=wanted, department=department, limit=limit)
    prefix = talk.settings.enquiry.reference_prefix
    items = [enquiry_row_json(row, prefix=prefix) for row in rows]
    talk.data(
        listing(items),
        [
            f"{item['ref']}  {item['received_at']}  {item['status']:<9}  {item['department']}"
            + (f"  needs attention: {item['attention']}" if item["attention"] else "")
            for item in items
        ],
    )


@enquiry.command("show")
@click.argument("ref")
@common
def enquiry_show(talk: Talk, ref: str) -> None:
    """One enquiry: text, deliveries, events and why it went where it went."""
    from directory.adapters.formats import enquiry_json
    from directory.adapters.queries import decisions_of, deliveries_of, enquiry_by_ref, events_of
    from directory.domain.contacts import Department
    from directory.domain.values import Reference
    from directory.services.enquiries import status_url
    from directory.services.history import about

    with talk.parts.db.reading() as session:
        found = enquiry_by_ref(session, Reference.parse(ref).symbols)
        value = enquiry_json(
            found,
            prefix=talk.settings.enquiry.reference_prefix,
            department=session.get_one(Department, found.department_id),
            decisions=decisions_of(session, found),
            deliveries=deliveries_of(session, found),
            events=events_of(session, about(found)),
            status_url=status_url(found, settings=talk.settings, signer=talk.parts.signer),
        )
    talk.data(value, _enquiry_lines(value, talk.language))


def _enquiry_lines(value: Mapping[str, Any], language: str) -> Iterable[str]:
    plain = (
        "ref",
        "status",
        "attention",
        "received_at",
        "answer_by",
        "topic",
        "subject",
        "name",
        "organisation",
        "reply_by",
        "email",
        "phone",
        "country",
        "reply_language",
    )
    for key in plain:
        if value[key]:
            yield f"{key:<15} {value[key]}"
    destination = value["destination"]
    yield f"{'destination':<15} {destination['department']} ({destination['reason']})"
    yield ""
    yield from (f"| {line}" for line in value["message"].split("\n"))
    yield ""
    for finding in value["routing"]["trace"]:
        yield _finding_line(finding, language)
    yield ""
    for delivery in value["deliveries"]:
        yield (
            f"{delivery['status']:<9} {delivery['kind']:<15} {delivery['to']}  "
            f"tries {delivery['attempts']}  {delivery['smtp_reply'] or ''}"
        ).rstrip()
    for event in value["events"]:
        yield f"{event['at']}  {event['type']}  {event['by']}".rstrip()


def _finding_line(finding: Mapping[str, Any], language: str) -> str:
    from directory.domain.contacts import localised

    mark = "✓" if finding["matched"] else "·"
    number = f"{finding['rule']}. " if finding["rule"] else ""
    name = localised(finding["name"], language)[0]
    return f"{mark} {number}{name}: {localised(finding['why'], language)[0]}"


# Mail


@cli.group(cls=click.Group)
def mail() -> None:
    """The queue of outgoing mail."""


@mail.command("queue")
@click.option("--limit", default=200, type=click.IntRange(1, 10_000))
@common
def mail_queue(talk: Talk, limit: int) -> None:
    """What is not accepted yet, and what failed."""
    from directory.adapters.formats import delivery_row_json, listing
    from directory.adapters.queries import queue

    with talk.parts.db.reading() as session:
        rows = queue(session, limit=limit)
    prefix = talk.settings.enquiry.reference_prefix
    items = [delivery_row_json(row, prefix=prefix) for row in rows]
    lines = [
        f"{item['id']}  {item['status']:<8}  {item['kind']:<15}  {item['ref'] or '-':<13}  "
        f"{item['to']}  tries {item['attempts']}  next {item['next_try']}  "
        f"{item['smtp_reply'] or ''}".rstrip()
        for item in items
    ]
    talk.data(listing(items), lines or ["the queue is empty"])


@mail.command("retry")
@click.argument("delivery_id", required=False, type=int)
@click.option("--all", "everything", is_flag=True, help="Everything that waits or failed.")
@writes
@common
def mail_retry(
    talk: Talk,
    delivery_id: int | None,
    everything: bool,
    reason: str,
    as_email: str | None,
) -> None:
    """Try again at once; the workers do it."""
    from directory.adapters.queries import queue
    from directory.domain.delivery import Delivery, DeliveryState
    from directory.services.deliveries import retry

    if (delivery_id is None) is not everything:
        raise click.UsageError("name one delivery, or say --all")

    def act(session: Any) -> int:
        now, by = talk.parts.now(), who(as_email)
        if delivery_id is not None:
            found = session.get(Delivery, delivery_id)
            if found is None:
                raise NotFound(f"There is no delivery {delivery_id}")
            retry(session, found, now=now, by=by)
            return 1
        wanted = [r for r in queue(session, limit=100_000) if r.state != DeliveryState.SENDING]
        for row in wanted:
            retry(session, session.get_one(Delivery, row.id), now=now, by=by)
        return len(wanted)

    count = in_transaction(talk, act)
    if not talk.dry_run:
        talk.parts.doorbell.ring()
    talk.data({"retried": count}, [f"retried {count}"])


@mail.command("preview")
@click.argument(
    "kind", type=click.Choice(["routed", "acknowledgement", "verification", "change_notice"])
)
@click.option("--ref", metavar="REF", help="An enquiry; else a made-up one.")
@click.option("--html", is_flag=True, help="The HTML part instead of the text.")
@common
def mail_preview(talk: Talk, kind: str, ref: str | None, html: bool) -> None:
    """A message as it would be sent."""
    import email
    import email.policy

    from directory.services.previews import preview

    content = preview(talk.parts, kind, ref=ref, language=talk.language)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    part = parsed.get_body(preferencelist=("html",) if html else ("plain",))
    body = part.get_content() if part else ""
    headers = [(name, str(value)) for name, value in parsed.items()]
    lines = [f"{name}: {value}" for name, value in headers]
    talk.data({"headers": headers, "body": body}, [*lines, "", body])


@mail.command("test")
@click.argument("address")
@common
def mail_test(talk: Talk, address: str) -> None:
    """Send one test message now, and show what the mail server says."""
    from directory.domain.values import EmailAddress
    from directory.services.previews import trial_message
    from directory.supervisor import transport_of

    recipient = EmailAddress.parse(address)
    sender, content = trial_message(talk.parts, recipient, language=talk.language)
    transport = transport_of(talk.parts)
    try:
        accepted = transport.send(sender, recipient.ascii, content)
    finally:
        transport.close()
    talk.data(
        {"server": accepted.server, "code": accepted.code, "reply": accepted.text},
        [f"{accepted.server}: {accepted.code} {accepted.text}"],
    )


# Rules


@cli.group(cls=click.Group)
def rules() -> None:
    """Where enquiries go, and why."""


@rules.command("list")
@common
def rules_list(talk: Talk) -> None:
    """The published rules, in order."""
    from directory.domain.contacts import localised
    from directory.domain.routing import write_condition

    with talk.parts.db.reading() as session:
        published = talk.parts.published(session, talk.parts.now())
    found = published.rules
    lines = []
    for position, rule in enumerate(found.rules, 1):
        name = localised(rule.name, talk.language)[0]
        when = json.dumps(write_condition(rule.when), ensure_ascii=False) if rule.when else "always"
        lines.append(f"{position}. {rule.id}  {name}: {when} → {rule.send_to}")
    talk.data({"version": found.version, "rules": found.write()}, lines)


@rules.command("try")
@click.option("--topic", default="", metavar="CODE")
@click.option("--department", default="", metavar="SLUG")
@click.option("--reply-language", default="any", type=click.Choice(["en", "zh-Hans", "any"]))
@click.option("--country", default="", metavar="CC")
@click.option("--message", default="", metavar="TEXT", help="“-” reads standard input.")
@common
def rules_try(
    talk: Talk, topic: str, department: str, reply_language: str, country: str, message: str
) -> None:
    """Where one enquiry would go, and what every rule made of it."""
    from directory.domain.contacts import localised
    from directory.domain.routing import Facts, decide

    if message == "-":
        message = sys.stdin.read()
    with talk.parts.db.reading() as session:
        published = talk.parts.published(session, talk.parts.now())
        if topic and published.topic(topic) is None:
            raise NotFound(f"There is no topic “{topic}”")
        if department and published.department(session, department) is None:
            raise NotFound(f"There is no department “{department}”")
        routes = published.routes_with(session, department)
        facts = Facts(
            topic=topic,
            department=department,
            reply_language=reply_language,
            country=country.upper(),
            text=message,
        )
        decision = decide(facts, published.rules, routes)
        destination = published.department_of(session, decision)
    rule = f"rule {decision.rule}" if decision.rule else decision.reason
    talk.data(
        {
            "destination": {
                "department": destination.slug,
                "name": destination.name,
                "reason": decision.reason,
                "rule": decision.rule,
            },
            "recipient": decision.recipient,
            "version": decision.rule_set,
            "trace": [
                {
                    **finding,
                    "name": localised(finding["name"], talk.language)[0],
                    "why": localised(finding["why"], talk.language)[0],
                }
                for finding in decision.trace
            ],
        },
        [
            *(_finding_line(finding, talk.language) for finding in decision.trace),
            f"→ {destination.slug} ({rule})",
        ],
    )


# Database


@cli.group(cls=click.Group)
def db() -> None:
    """The database."""


@db.command("upgrade")
@common
def db_upgrade(talk: Talk) -> None:
    """Bring the database to this release."""
    from directory.adapters import migrations

    before = _current(talk)
    migrations.upgrade(talk.parts.db)
    after = _current(talk)
    talk.data({"before": before, "after": after}, [f"{before or 'empty'} → {after}"])


@db.command("current")
@common
def db_current(talk: Talk) -> None:
    """The revision the database is at."""
    from directory.adapters import migrations

    at, newest = _current(talk), migrations.newest()
    talk.data({"current": at, "newest": newest}, [f"{at or 'empty'} (newest {newest})"])
    if at != newest:
        sys.exit(EXIT_FINDINGS)


def _current(talk: Talk) -> str | None:
    import sqlalchemy as sa

    from directory.adapters import migrations

    try:
        return migrations.current(talk.parts.db)
    except sa.exc.OperationalError as error:
        raise Unavailable(type(error.orig).__name__) from error


# Configuration


@cli.group(cls=click.Group)
def config() -> None:
    """The configuration."""


@config.command("show")
@click.option("--origin", is_flag=True, help="Where each value comes from.")
@common
def config_show(talk: Talk, origin: bool) -> None:
    """Every setting, secrets masked."""
    settings = talk.settings
    found = list(settings.leaves())
    value = {key: {"value": v, "origin": settings.origin(key)} for key, v in found}
    lines = [
        f"{key} = {json.dumps(v, ensure_ascii=False)}"
        + (f"  # {settings.origin(key)}" if origin else "")
        for key, v in found
    ]
    talk.data(value, lines)


@config.command("check")
@common
def config_check(talk: Talk) -> None:
    """Whether the configuration can be used in production."""
    from directory.supervisor import transport_of

    talk.env = "production"
    settings = talk.settings
    transport_of(talk.parts)
    talk.data({"ok": True}, [f"ok {settings.path or '(no file)'}"])


@config.command("path")
@common
def config_path(talk: Talk) -> None:
    """The configuration file that is read."""
    path = talk.settings.path
    if path is None:
        raise NotFound("No configuration file: the defaults and the environment hold")
    talk.data({"path": str(path)}, [str(path)])


def main() -> NoReturn:
    """The command line's entry."""
    try:
        code = cli.main(standalone_mode=False, prog_name="directory")
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except DirectoryError as error:
        refuse(error, Talk())
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
