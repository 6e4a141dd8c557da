"""The service itself: a demo, web and workers from the configuration, one worker."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from directory.cli.base import EXIT_FINDINGS, EXIT_REFUSED, Talk, cli, common
from directory.cli.installation import DEMO_SITE
from directory.domain.errors import (
    SettingsInvalid,
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
        listener = listen(host, port)
        click.get_current_context().call_on_close(listener.close)
        return listener
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise SettingsInvalid(f"--host {host}: {error.strerror}") from None
        _port_in_use(talk, host, port)


def _listen_for_lmtp(talk: Talk) -> Any:
    import errno

    from directory.adapters.lmtp import listen

    where = talk.settings.inbound.lmtp
    try:
        listener = listen(where, talk.settings.root)
    except OSError as error:
        if error.errno not in {None, errno.EADDRINUSE}:
            raise SettingsInvalid(f"inbound.lmtp: {error.strerror}") from None
        click.echo(f"directory: {where} ([inbound] lmtp) is in use", err=True)
        sys.exit(EXIT_REFUSED)
    click.get_current_context().call_on_close(listener.close)
    return listener


def _add_inbound(talk: Talk, supervisor: Any) -> None:
    """What takes mail in, as [inbound] says."""
    from directory.supervisor import imap, lmtp

    if talk.settings.inbound.lmtp:
        supervisor.add("lmtp", lmtp(talk.parts, _listen_for_lmtp(talk)))
    if talk.settings.inbound.imap:
        supervisor.add("imap", imap(talk.parts))


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
    _add_inbound(talk, supervisor)

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
    from directory.adapters.durability import undurable

    at = migrations.current(talk.parts.db)
    if talk.settings.env == "production" and "fsync=off" in undurable(talk.parts.db):
        raise SettingsInvalid(
            "the database runs with fsync=off: enquiries that were acknowledged would be lost when "
            "power fails. Set it to on"
        )
    # One that is ahead suits this release too: that is how one goes back.
    if at is None or at < (migrations.newest() or ""):
        raise SettingsInvalid(
            f"the database is at {at or 'no'} revision, this release needs "
            f"{migrations.newest()}: run `directory db upgrade`"
        )
    talk.parts.let_go()


@cli.command(with_appcontext=False)
@click.option("--once", is_flag=True, help="Everything due now, one try each.")
@click.option("--inbound", is_flag=True, help="Instead: take mail in, as [inbound] says.")
@common
def worker(talk: Talk, once: bool, inbound: bool) -> None:
    """Send what is queued."""
    from directory.services.minute import go_round
    from directory.supervisor import transport_of
    from directory.worker import Worker, stop_on

    talk.env = "production"
    _require_database(talk)
    if inbound:
        _take_mail_in(talk)
        return
    sender = Worker(talk.parts, transport_of(talk.parts))
    stop_on(sender, signal.SIGTERM, signal.SIGINT)
    if not once:
        sender.run()
        return
    go_round(talk.parts)
    tally = sender.run_once()
    talk.data(
        {"processed": tally.processed, "deferred": tally.deferred, "failed": tally.failed},
        [str(tally)],
    )
    if tally.deferred or tally.failed:
        sys.exit(EXIT_FINDINGS)


def _take_mail_in(talk: Talk) -> None:
    """For those who start web and workers by themselves: LMTP and IMAP, in processes of theirs."""
    from directory.supervisor import Supervisor

    supervisor = Supervisor()
    _add_inbound(talk, supervisor)
    if not supervisor.children:
        raise SettingsInvalid("inbound: neither lmtp nor imap is set, so there is nothing to do")

    def ready() -> None:
        click.echo("ready")
        sys.stdout.flush()

    supervisor.run(ready)
