"""Rules drafted, published, taken back, and kept as files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from directory.cli.base import EXIT_REFUSED, Talk, common, in_transaction, who, writes
from directory.cli.files import file_written
from directory.cli.rules import (
    DRAFT,
    finding_lines,
    meant,
    named,
    rules,
    say,
    which,
    written,
)
from directory.domain.errors import Conflict, NotFound

_accepting = click.option(
    "--waive",
    "waivers",
    multiple=True,
    metavar="CODE[:RULE]=REASON",
    help="Accept a warning; “CODE:*” each of that code.",
)
_releasing = click.option(
    "--release", "released", multiple=True, metavar="NAME=REASON", help="Give up an example."
)


@rules.command("publish")
@click.option("--name", default=DRAFT, metavar="NAME", help="Another draft’s name.")
@_accepting
@_releasing
@click.option("--effective-from", "begins", default="", metavar="TIME", help="RFC 3339; else now.")
@writes
@common
def rules_publish(
    talk: Talk,
    name: str,
    waivers: tuple[str, ...],
    released: tuple[str, ...],
    begins: str,
    reason: str,
    as_email: str | None,
) -> None:
    """Make the draft the rules that decide.

    Refused with what was found where it has errors, warnings that nobody waived, or examples that
    go elsewhere.
    """
    from directory.services.rule_drafts import draft_called
    from directory.services.rules import examine, publish_draft

    _needs_reason(reason)
    effective_from = _instant(begins)
    with talk.parts.db.reading() as session:
        draft = draft_called(session, name)
        seen = examine(session, draft.rules, settings=talk.settings, now=talk.parts.now())
    _publish(
        talk,
        lambda session: publish_draft(
            session,
            name,
            settings=talk.settings,
            reason=reason,
            by=who(as_email),
            now=talk.parts.now(),
            waive=_waivers(waivers, seen),
            release=_pairs(released, "--release NAME=REASON"),
            effective_from=effective_from,
            expected=draft.version,
            examination=seen,
        ),
    )


@rules.command("rollback")
@click.argument("version", type=int)
@_accepting
@_releasing
@writes
@common
def rules_rollback(
    talk: Talk,
    version: int,
    waivers: tuple[str, ...],
    released: tuple[str, ...],
    reason: str,
    as_email: str | None,
) -> None:
    """Publish what VERSION said once more, as a new version."""
    from directory.adapters.queries import rules_of_version
    from directory.services.rules import examine, rollback_rules

    _needs_reason(reason)
    with talk.parts.db.reading() as session:
        found = rules_of_version(session, version)
        seen = examine(session, found, settings=talk.settings, now=talk.parts.now())
    _publish(
        talk,
        lambda session: rollback_rules(
            session,
            version,
            settings=talk.settings,
            reason=reason,
            by=who(as_email),
            now=talk.parts.now(),
            waive=_waivers(waivers, seen),
            release=_pairs(released, "--release NAME=REASON"),
            examination=seen,
        ),
    )


def _publish(talk: Talk, act: Any) -> None:
    from directory.adapters.formats import rfc3339
    from directory.services.rules import RulesRefused

    try:
        done = in_transaction(talk, act)
    except RulesRefused as refused:
        told = {
            "ok": False,
            "findings": [finding.to_json() for finding in refused.findings],
            "examples": [example.to_json() for example in refused.examples],
        }
        lines = [line for it in refused.findings for line in finding_lines(it, "", talk)]
        talk.data(told, [*lines, *(it.text[talk.language] for it in refused.examples)])
        click.echo(f"directory: {refused.text(talk.language).splitlines()[0]}", err=True)
        sys.exit(EXIT_REFUSED)
    version = done.rules.version
    talk.data(
        {
            "version": version,
            "effective_at": rfc3339(done.effective_at),
            "superseded": list(done.superseded),
        },
        [
            say(talk, "published version {n}", n=version)
            if done.effective_at <= talk.parts.now()
            else say(
                talk,
                "published version {n}, which decides from {at}",
                n=version,
                at=rfc3339(done.effective_at),
            )
        ],
    )
    for old in done.superseded:
        talk.say(say(talk, "version {n} was still to begin, and now never will", n=old))


def _needs_reason(reason: str) -> None:
    if not reason.strip():
        raise click.UsageError("say why: --reason TEXT")


def _instant(text: str) -> Any:
    from datetime import datetime

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time like 2026-12-01T09:00:00+08:00") from None
    if found.tzinfo is None:
        raise click.UsageError(f"{text!r} needs its offset from UTC, like +08:00 or Z")
    return found


def _pairs(texts: tuple[str, ...], form: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, _, why = text.partition("=")
        if not name.strip() or not why.strip():
            raise click.UsageError(f"write {form}, not {text!r}")
        found[name.strip()] = why.strip()
    return found


def _waivers(texts: tuple[str, ...], seen: Any) -> list[Any]:
    """What --waive asks for; "CODE:*" names each open warning of the code."""
    from directory.domain.routing import Waiver

    found: dict[str, Any] = {}
    for name, why in _pairs(texts, "--waive CODE[:RULE]=REASON").items():
        code, _, rule = name.partition(":")
        about = [rule or None]
        if rule == "*":
            about = [it.rule for it in seen.open_warnings() if it.code == code]
            if not about:
                raise NotFound(f"There is no warning “{code}” to waive")
        for id in about:
            waiver = Waiver(code=code, rule=id, reason=why)
            found[waiver.name] = waiver
    return list(found.values())


# What differs


@rules.command("diff")
@click.argument("older", default="", metavar="[A")
@click.argument("newer", default="", metavar="B]")
@common
def rules_diff(talk: Talk, older: str, newer: str) -> None:
    """What differs from A to B: a version's number, “published”, “draft” or “draft:NAME”.

    Without B it is the draft. Without both, and without a draft, it is what was published last.
    """
    from directory.domain.rule_changes import diff_rules
    from directory.services.rule_drafts import drafts

    with talk.parts.db.reading() as session:
        if not older and not any(draft.name == DRAFT for draft in drafts(session)):
            newest = named(talk, session, "newest").version
            older, newer = str(newest - 1) if newest > 1 else "newest", "newest"
            talk.say(say(talk, "there is no draft: version {n} and the one before", n=newest))
        changes = diff_rules(
            named(talk, session, older or "published"), named(talk, session, newer or DRAFT)
        )
    talk.data({"changes": [change.to_json() for change in changes]}, _change_lines(changes, talk))


_MARKS = {"added": "+", "removed": "-", "moved": "↕", "changed": "~"}


def _change_lines(changes: list[Any], talk: Talk) -> Iterable[str]:
    if not changes:
        yield f"= {say(talk, 'nothing differs')}"
    for change in changes:
        places = ""
        if change.moved or (change.what == "rule" and None in (change.before, change.after)):
            places = f"  {change.before or '-'} → {change.after or '-'}"
        yield f"{_MARKS[change.kind.value]} {say(talk, change.what)} {change.id}{places}"
        for name, (old, new) in change.fields.items():
            yield f"    {name}: {_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


# Drafts and files


@rules.command("import")
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@click.option("--name", default=DRAFT, metavar="NAME", help="Another draft’s name.")
@writes
@common
def rules_import(talk: Talk, file: Any, name: str, reason: str, as_email: str | None) -> None:
    """Make a rule file the draft, which decides nothing until it is published.

    A draft that is there is only overwritten with --yes.
    """
    from directory.adapters.formats.rule_file import read_rules
    from directory.domain.rule_changes import diff_rules
    from directory.domain.rule_edits import replace_all
    from directory.services.rule_drafts import change_draft, discard_draft, drafts, open_draft

    now, by = talk.parts.now(), who(as_email)
    stated = read_rules(file)
    stated.read()

    def act(session: Any) -> Any:
        if any(draft.name == name for draft in drafts(session)):
            if not talk.yes:
                raise Conflict(f"There is a draft “{name}” already; --yes overwrites it")
            discard_draft(session, name, by=by, now=now, reason=reason)
        begun = open_draft(session, name, desk=talk.settings.site.desk, by=by, now=now)
        made = change_draft(
            session,
            lambda found: replace_all(
                found, stated.rules, examples=stated.examples, waivers=stated.waivers
            ),
            name,
            by=by,
            now=now,
            reason=reason,
        )
        return begun, made

    begun, made = in_transaction(talk, act)
    changes = diff_rules(begun.rules, made.rules)
    talk.data(
        {
            "draft": name,
            "base_version": made.base_version,
            "changes": [change.to_json() for change in changes],
        },
        _change_lines(changes, talk),
    )


@rules.command("export")
@which
@click.option("-o", "--output", metavar="FILE", help="Else standard output.")
@click.option("--yes", is_flag=True, help="Overwrite.")
@common
def rules_export(talk: Talk, output: str | None, **wanted: Any) -> None:
    """The published rules as a rule file, with their examples and waivers; or a draft's."""
    from directory.adapters.formats.rule_file import write_rules

    if output and Path(output).exists() and not talk.yes:
        raise Conflict(f"{output} is there already; say --yes to overwrite it")
    with talk.parts.db.reading() as session:
        found = named(talk, session, meant(**wanted) or "published")
    with file_written(output) as write:
        if talk.as_json:
            text = json.dumps({"version": found.version, **written(found)}, ensure_ascii=False)
            write(f"{text}\n")
        else:
            for part in write_rules(found):
                write(part)
    talk.say(f"exported {len(found.rules)} rules")


@rules.command("draft")
@click.option("--name", default=DRAFT, metavar="NAME")
@click.option("--list", "listed", is_flag=True, help="The drafts there are.")
@writes
@common
def rules_draft(talk: Talk, name: str, listed: bool, reason: str, as_email: str | None) -> None:
    """Begin a draft as the newest version."""
    from directory.adapters.formats import listing, rfc3339
    from directory.services.rule_drafts import drafts, open_draft

    del reason
    if not listed:
        desk = talk.settings.site.desk
        by, now = who(as_email), talk.parts.now()
        found = [
            in_transaction(
                talk, lambda session: open_draft(session, name, desk=desk, by=by, now=now)
            )
        ]
    else:
        with talk.parts.db.reading() as session:
            found = drafts(session)
    items = [
        {
            "name": it.name,
            "base_version": it.base_version,
            "version": it.version,
            "author": it.author,
            "updated_at": rfc3339(it.updated_at),
        }
        for it in found
    ]
    talk.data(
        listing(items),
        [
            f"{it.name}  {say(talk, 'version {n}', n=it.base_version)} +{it.version - 1}  "
            f"{it.updated_at:%Y-%m-%d %H:%M}Z  {it.author}"
            for it in found
        ],
    )


@rules.command("rebase")
@click.option("--name", default=DRAFT, metavar="NAME")
@writes
@common
def rules_rebase(talk: Talk, name: str, reason: str, as_email: str | None) -> None:
    """Take into the draft what was published since it began, so that it can be published."""
    from directory.domain.rule_changes import diff_rules
    from directory.services.rule_drafts import draft_called, rebase_draft

    del reason
    with talk.parts.db.reading() as session:
        was = draft_called(session, name)
    made = in_transaction(
        talk,
        lambda session: rebase_draft(
            session,
            name,
            desk=talk.settings.site.desk,
            by=who(as_email),
            now=talk.parts.now(),
            expected=was.version,
        ),
    )
    changes = diff_rules(was.rules, made.rules)
    talk.data(
        {
            "draft": name,
            "base_version": made.base_version,
            "changes": [change.to_json() for change in changes],
        },
        _change_lines(changes, talk),
    )


@rules.command("discard")
@click.option("--name", default=DRAFT, metavar="NAME")
@writes
@common
def rules_discard(talk: Talk, name: str, reason: str, as_email: str | None) -> None:
    """Throw the draft away."""
    from directory.services.rule_drafts import discard_draft

    if not talk.yes and not talk.dry_run:
        raise Conflict(f"Say --yes to throw the draft “{name}” away")
    gone = in_transaction(
        talk,
        lambda session: discard_draft(
            session, name, by=who(as_email), now=talk.parts.now(), reason=reason
        ),
    )
    talk.data({"draft": name, "version": gone.version}, [say(talk, "discarded {name}", name=name)])
