"""Single values judged, pages read for contact records; nothing is stored."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from directory.cli.base import EXIT_FINDINGS, Talk, cli, common


@cli.command(with_appcontext=False)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--cores", default=0, metavar="N", help="Processes; 0: as many as there are cores.")
@common
def check(talk: Talk, file: Any, cores: int) -> None:
    """Judge telephone and fax numbers and e-mail addresses, one JSON line each.

    The number library limits the rate: a verdict costs about twice what it takes alone to read
    a number and know its range, and all cores are used. No network is asked. Exit 1 when any
    value is invalid.
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
