"""Files in and out: imports with their undo, exports, the static copy."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from directory.cli.base import EXIT_FINDINGS, Talk, cli, common, in_transaction, who, writes
from directory.cli.progress import progress
from directory.domain.errors import (
    Conflict,
)


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
        with talk.parts.db.reading() as session, progress(talk, "looking") as bar:
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
        with talk.parts.db.writing() as session, progress(talk, "importing") as bar:
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
    with progress(talk, "undoing") as bar:
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
    with talk.parts.db.reading() as session, file_written(output) as write:
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
def file_written(output: str | None) -> Iterator[Callable[[str | bytes], None]]:
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
            told = listing(list(found.write())) | {
                "examples": [example.write() for example in found.examples],
                "waivers": [waiver.write() for waiver in found.waivers],
            }
            write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
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
    with progress(talk, "writing") as bar:
        count = write_site(app_of(talk.parts), target, progress=bar)
    talk.data({"folder": folder, "pages": count}, [f"wrote {count} pages to {folder}"])
