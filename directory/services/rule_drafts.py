"""Rules being written, which do not count yet: opened, changed, thrown away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters.db import rule_drafts
from directory.adapters.queries import newest_rules, rules_at
from directory.domain.errors import Conflict, NotFound
from directory.domain.routing import RuleSet
from directory.domain.rule_changes import RuleChange, diff_rules, merge_rules
from directory.services.history import record

DRAFT: Final = "draft"
LONGEST_NAME: Final = 40
# The history says what was changed; of a whole file taken in, the first so many and how many more.
_TOLD: Final = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it stands; ``version`` rises with every change.

    ``base_version`` is the version it began as, and the newest there may be when it is published.
    """

    name: str
    base_version: int
    rules: RuleSet
    author: str
    updated_at: datetime
    version: int


def drafts(session: Session) -> list[Draft]:
    """Every draft there is, by name."""
    rows = session.execute(sa.select(rule_drafts).order_by(rule_drafts.c.name))
    return [_draft(row) for row in rows]


def draft_called(session: Session, name: str = DRAFT) -> Draft:
    """The draft *name*. Raises NotFound, and RuleInvalid where its conditions are known no more."""
    row = session.execute(sa.select(rule_drafts).where(rule_drafts.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no draft “{name}”")
    return _draft(row)


def open_draft(session: Session, name: str = DRAFT, *, desk: str, by: str, now: datetime) -> Draft:
    """Begin a draft as the newest version of the rules, or as a last rule to *desk*.

    Raises Conflict where there is one called *name*.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Conflict(f"A draft’s name has 1 to {LONGEST_NAME} letters")
    begun = newest_rules(session, desk=desk)
    draft = Draft(name, begun.version, replace(begun, version=0), by, now, 1)
    postgres = session.get_bind().dialect.name == "postgresql"
    insert: Any = postgresql.insert if postgres else sqlite.insert
    values = {"name": name, "base_version": begun.version, **_columns(draft)}
    added = insert(rule_drafts).values(values).on_conflict_do_nothing()
    if session.scalar(added.returning(rule_drafts.c.name)) is None:
        raise Conflict(f"There is a draft “{name}” already")
    _tell(session, name, "opened", now=now, by=by, after={"base_version": begun.version})
    return draft


def change_draft(
    session: Session,
    edit: Callable[[RuleSet], RuleSet],
    name: str = DRAFT,
    *,
    by: str,
    now: datetime,
    expected: int | None = None,
    reason: str = "",
) -> Draft:
    """Keep what *edit* (see ``domain.rule_edits``) makes of the draft *name*.

    *expected* is the version it had when the editor looked at it. Raises Conflict where another
    changed it since, NotFound, and what *edit* raises. An edit that changes nothing is not one.
    """
    was = draft_called(session, name)
    if expected is not None and was.version != expected:
        raise _changed_meanwhile(was.name)
    draft = replace(was, rules=edit(was.rules), author=by, updated_at=now, version=was.version + 1)
    changes = diff_rules(was.rules, draft.rules)
    if not changes:
        return was
    _keep(session, was, draft)
    _tell(session, name, "changed", now=now, by=by, note=reason, after=_told(changes))
    return draft


def rebase_draft(
    session: Session,
    name: str = DRAFT,
    *,
    desk: str,
    by: str,
    now: datetime,
    expected: int | None = None,
) -> Draft:
    """Take what was published since the draft *name* began into it, so that it can be published.

    Raises Conflict, naming them, where both changed the same rules, and as ``change_draft`` does.
    """
    was = draft_called(session, name)
    if expected is not None and was.version != expected:
        raise _changed_meanwhile(was.name)
    newest = newest_rules(session, desk=desk)
    if newest.version == was.base_version:
        return was
    base = rules_at(session, was.base_version, desk=desk)
    draft = replace(
        was,
        base_version=newest.version,
        rules=merge_rules(base, was.rules, newest),
        author=by,
        updated_at=now,
        version=was.version + 1,
    )
    _keep(session, was, draft)
    told = _told(diff_rules(was.rules, draft.rules))
    after = {"base_version": newest.version, **told}
    _tell(session, name, "rebased", now=now, by=by, after=after)
    return draft


def discard_draft(
    session: Session,
    name: str = DRAFT,
    *,
    by: str,
    now: datetime,
    expected: int | None = None,
    reason: str = "",
) -> Draft:
    """Throw the draft *name* away. Raises NotFound, and Conflict as ``change_draft`` does."""
    draft = draft_called(session, name)
    remove_draft(session, draft, expected=expected)
    _tell(session, name, "discarded", now=now, by=by, note=reason, before={"by": draft.author})
    return draft


def remove_draft(session: Session, draft: Draft, *, expected: int | None = None) -> None:
    """Take the row of *draft* away. Raises Conflict where it has changed since it was read."""
    if expected is not None and draft.version != expected:
        raise _changed_meanwhile(draft.name)
    gone = session.execute(
        sa.delete(rule_drafts).where(
            rule_drafts.c.name == draft.name, rule_drafts.c.version == draft.version
        )
    )
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise _changed_meanwhile(draft.name)


def about_draft(name: str) -> str:
    """The subject under which a draft's events stand."""
    return f"rules:draft:{name}"


def _keep(session: Session, was: Draft, draft: Draft) -> None:
    written = session.execute(
        sa.update(rule_drafts)
        .where(rule_drafts.c.name == was.name, rule_drafts.c.version == was.version)
        .values(base_version=draft.base_version, **_columns(draft))
    )
    if not written.rowcount:  # type: ignore[attr-defined]
        raise _changed_meanwhile(was.name)


def _changed_meanwhile(name: str) -> Conflict:
    return Conflict(f"Somebody else changed the draft “{name}” meanwhile; look at it again")


def _draft(row: Any) -> Draft:
    rules = RuleSet.read(0, row.rules, examples=row.examples, waivers=row.waivers)
    return Draft(row.name, row.base_version, rules, row.author, row.updated_at, row.version)


def _columns(draft: Draft) -> dict[str, Any]:
    return {
        "rules": draft.rules.write(),
        "examples": [example.write() for example in draft.rules.examples],
        "waivers": [waiver.write() for waiver in draft.rules.waivers],
        "author": draft.author,
        "updated_at": draft.updated_at,
        "version": draft.version,
    }


def _told(changes: list[RuleChange]) -> dict[str, Any]:
    told: dict[str, Any] = {"changes": [change.to_json() for change in changes[:_TOLD]]}
    return told | {"more": len(changes) - _TOLD} if len(changes) > _TOLD else told


def _tell(session: Session, name: str, type: str, **more: Any) -> None:
    record(session, about_draft(name), type, **more)
