"""What became of a department, who vouches for it, and what others say is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from directory.cli.base import EXIT_FINDINGS, Talk, cli, common, in_transaction, who, writes
from directory.cli.departments import (
    ask_at_once,
    department,
    diff,
    read_cells,
    ring,
    show_changes,
)


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
        lines += [f"  {line}" for line in diff(changed)]
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
        ask_at_once(talk, session, department)
        return changed

    show_changes(talk, slug, in_transaction(talk, act))


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

    ring(talk)
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
            cells=read_cells(cells),
            settings=talk.settings,
            now=talk.parts.now(),
            by=who(as_email),
            reason=reason,
        )
        proposal = session.get_one(Proposal, proposal_id)
        changed_department = session.get_one(Department, proposal.department_id)
        ask_at_once(talk, session, changed_department)
        return changed_department.slug, changed

    show_changes(talk, *in_transaction(talk, act))


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
