"""For whoever runs the service: what is wrong, pausing mail, backups, the history's soundness."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from directory.cli.base import (
    EXIT_FINDINGS,
    EXIT_UNREACHABLE,
    Talk,
    cli,
    common,
    in_transaction,
    who,
    writes,
)
from directory.cli.installation import db
from directory.cli.mail import mail

# For a person who waits; a worker is more patient.
_TRIAL_S = 10.0


def _patient(talk: Talk) -> Any:
    from directory.adapters.names import Dns
    from directory.adapters.smtp import MailServer, Timeouts, Trial, try_out
    from directory.services.doctor import Patient

    settings = talk.settings

    def try_mail() -> Trial | None:
        if not settings.mail.smtp:
            return None
        quick = Timeouts(_TRIAL_S, _TRIAL_S, _TRIAL_S, 3 * _TRIAL_S)
        server = MailServer.parse(settings.mail.url)
        return try_out(server, timeouts=quick, hello=settings.site.host)

    return Patient(talk.parts, talk.parts.now(), Dns, try_mail)


@cli.command(with_appcontext=False)
@click.option("--only", multiple=True, metavar="ID", help="Only this check, or all before a dot.")
@click.option("--fix", is_flag=True, help="Repair what can be repaired without asking.")
@common
def doctor(talk: Talk, only: tuple[str, ...], fix: bool) -> None:
    """Look at the installation from all sides; say what is wrong, and what to do."""
    from directory.services.doctor import chosen, examine

    _report(talk, examine(_patient(talk), chosen(only), repair=fix))


def _report(talk: Talk, verdicts: Iterable[tuple[str, Any]]) -> None:
    """A line for each verdict, a sum, and the exit code they come to."""
    from directory.services.doctor import Level

    levels: Counter[Any] = Counter()
    unreachable = False
    items = []
    for id, verdict in verdicts:
        levels[verdict.level] += 1
        unreachable |= verdict.unreachable
        said, fix = (texts.get(talk.language, "") for texts in (verdict.said, verdict.fix))
        items.append({"id": id, "level": verdict.level.value.lower(), "said": said, "fix": fix})
        if not talk.as_json:
            cure = f"  → {fix}" if fix else ""
            click.echo(f"{verdict.level:<4}  {id:<22}  {said}{cure}")
    fine, warned, failed = (levels[level] for level in (Level.OK, Level.WARN, Level.FAIL))
    plural = "" if warned == 1 else "s"
    talk.data(
        {"checks": items, "ok": fine, "warnings": warned, "failed": failed},
        [f"{fine} ok, {warned} warning{plural}, {failed} failed"],
    )
    if unreachable:
        sys.exit(EXIT_UNREACHABLE)
    if failed:
        sys.exit(EXIT_FINDINGS)


# Mail


@mail.command("pause")
@writes
@common
def mail_pause(talk: Talk, reason: str, as_email: str | None) -> None:
    """Send nothing until `mail resume`; enquiries are taken and wait."""
    from directory.adapters import duties

    def act(session: Any) -> bool:
        now, by = talk.parts.now(), who(as_email)
        return duties.switch_on(session, duties.MAIL_PAUSED, now=now, by=by, reason=reason)

    news = in_transaction(talk, act)
    talk.data({"paused": True, "news": news}, ["paused" if news else "paused already"])


@mail.command("resume")
@writes
@common
def mail_resume(talk: Talk, reason: str, as_email: str | None) -> None:
    """Send again what waits."""
    from directory.adapters import duties
    from directory.services.backups import unsent

    news = in_transaction(talk, lambda it: duties.switch_off(it, duties.MAIL_PAUSED))
    waiting = len(unsent(talk.parts.db))
    if not talk.dry_run:
        talk.parts.doorbell.ring()
    said = "resumed" if news else "was not paused"
    talk.data({"paused": False, "news": news, "waiting": waiting}, [f"{said}: {waiting} to send"])


@mail.command("dns")
@common
def mail_dns(talk: Talk) -> None:
    """SPF, DKIM and DMARC of the From address as they stand, and the records to add."""
    from directory.services.doctor import chosen, examine
    from directory.services.doctor.mail import domains, records

    found = records(talk.settings)
    if not talk.as_json:
        sender, _ = domains(talk.settings)
        for name, kind, value in found:
            click.echo(f'{name}.  3600  IN  {kind}  "{value}"')
        click.echo(f"; SELECTOR._domainkey.{sender}. is your mail server's key: it names both")
        click.echo("")
    _report(talk, examine(_patient(talk), chosen(["mail.spf", "mail.dkim", "mail.dmarc"])))


# Backups


@db.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Overwrite FILE.")
@common
def db_backup(talk: Talk, file: Path) -> None:
    """All of the database into FILE, while the service runs. The secret key is not in it."""
    from directory.services.backups import back_up

    digest = back_up(talk.parts, file, overwrite=talk.yes)
    size = file.stat().st_size
    talk.say("the secret key is not in it: keep a copy of that elsewhere")
    talk.data(
        {"file": str(file), "bytes": size, "sha256": digest},
        [f"wrote {file}, {size / 1e6:.1f} MB, sha256 {digest[:16]}…"],
    )


@db.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Put it in the place of the database that is there.")
@click.option("--as", "as_email", metavar="EMAIL", help="Who acts.")
@common
def db_restore(talk: Talk, file: Path, as_email: str | None) -> None:
    """Put a backup in place. Mail stays paused; what would be sent is shown."""
    from directory.adapters.formats import delivery_row_json
    from directory.services.backups import restore

    restored = restore(talk.parts, file, by=who(as_email), overwrite=talk.yes)
    prefix = talk.settings.enquiry.reference_prefix
    items = [delivery_row_json(row, prefix=prefix) for row in restored.would_send]
    if restored.kept is not None:
        talk.say(f"the database that was there is {restored.kept}")
    talk.data(
        {"restored": str(file), "paused": True, "would_send": items},
        [
            f"restored {file}; mail is paused",
            f"would send {len(items)} messages:" if items else "would send nothing",
            *(f"{it['id']}  {it['kind']:<15}  {it['ref'] or '-':<13}  {it['to']}" for it in items),
            "when that is right: directory mail resume",
        ],
    )


# History


@cli.group(cls=click.Group)
def audit() -> None:
    """What happened, and whether that is still what was written."""


@audit.command("verify")
@common
def audit_verify(talk: Talk) -> None:
    """Compute every chain of events anew."""
    from directory.services.history import verify

    with talk.parts.db.reading() as session:
        found = verify(session)
    talk.data(
        {"events": found.events, "broken": found.broken},
        [*found.broken, f"{found.events} events, {len(found.broken)} histories broken"],
    )
    if found.broken:
        sys.exit(EXIT_FINDINGS)
