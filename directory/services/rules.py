"""The rules that decide: examined, published, taken back; every version stays as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, departments, directory_version, rule_sets
from directory.adapters.queries import (
    current_rules,
    newest_rules,
    published_key,
    rules_of_version,
)
from directory.domain.analysis import Report, RuleFinding
from directory.domain.conditions import RuleInvalid
from directory.domain.contacts import DepartmentStatus, PointKind
from directory.domain.errors import Conflict, NotFound
from directory.domain.routing import RuleSet, Waiver
from directory.domain.succession import Succession
from directory.services.history import record
from directory.services.proofs import examine_rules
from directory.services.rule_drafts import Draft, about_draft, draft_called, remove_draft
from directory.services.rule_trials import BrokenExample, as_published, check_examples
from directory.settings import Settings


class RulesRefused(Conflict):
    """Rules that may not be published as they are.

    ``findings`` are the errors, and the warnings that nobody waived; ``examples`` those that go
    elsewhere and were not released.
    """

    def __init__(self, findings: Sequence[RuleFinding], examples: Sequence[BrokenExample]) -> None:
        self.findings = tuple(findings)
        self.examples = tuple(examples)
        super().__init__(self.text("en"))

    def text(self, language: str) -> str:
        words = {
            "en": ("These rules cannot be published", {}),
            "zh-Hans": ("规则不能发布", {"error": "错误", "warning": "警告"}),
        }
        said, severities = words[language]
        return "\n".join(
            [
                said,
                *(
                    f"{severities.get(it.severity, it.severity)}  {name_of(it)}  "
                    f"{it.text[language]}"
                    for it in self.findings
                ),
                *(it.text[language] for it in self.examples),
            ]
        )


# Looking before it counts


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of ``rules``, in the directory as it stood at its version ``directory``.

    ``newest`` is the newest version of the rules there was. An examination takes seconds for
    thousands of rules, and a publication holds up whoever writes: so the first is made by
    reading, and the second only asks whether it still holds.
    """

    rules: RuleSet
    newest: int
    directory: int
    report: Report
    broken: tuple[BrokenExample, ...]

    def open_warnings(self, waivers: Iterable[Waiver] | None = None) -> tuple[RuleFinding, ...]:
        """The warnings that none of *waivers*, or of the set's own, names."""
        named = {it.name for it in (self.rules.waivers if waivers is None else waivers)}
        return tuple(it for it in self.report.warnings if name_of(it) not in named)


def name_of(finding: RuleFinding) -> str:
    """What a waiver calls it: its code, and its rule where it is about one."""
    return f"{finding.code}:{finding.rule}" if finding.rule else finding.code


def examine(session: Session, rules: RuleSet, *, settings: Settings, now: datetime) -> Examination:
    """All that is to be known of *rules* before they are published. Reads only."""
    newest = session.scalar(sa.select(sa.func.max(rule_sets.c.version))) or 0
    directory = published_key(session, now)[1]
    report = examine_rules(session, rules, settings=settings, now=now)
    broken: list[BrokenExample] = []
    if rules.examples:
        published = as_published(session, rules, settings=settings, now=now)
        broken = check_examples(session, published)
    return Examination(rules, newest, directory, report, tuple(broken))


# Publishing


@dataclass(frozen=True, slots=True)
class Publication:
    """A version that was published; ``superseded`` are those that will now never decide."""

    rules: RuleSet
    effective_at: datetime
    superseded: tuple[int, ...] = ()


def publish_rules(
    session: Session,
    values: Sequence[Mapping[str, Any]],
    *,
    reason: str,
    by: str,
    now: datetime,
    examples: Sequence[Mapping[str, Any]] = (),
    waivers: Sequence[Mapping[str, Any]] = (),
) -> RuleSet:
    """Make *values*, the rules of a rule file, the rules that decide from *now* on, unexamined.

    For what a directory begins with: there is nothing yet to hold it against. Raises RuleInvalid,
    and NotFound for a rule that sends to no active department or mailbox.
    """
    newest = _alone(session)
    rules = RuleSet.read(newest + 1, values, examples=examples, waivers=waivers)
    _check_targets(session, rules)
    return _publish(session, rules, reason=reason, by=by, now=now).rules


def publish_succession(
    session: Session, succession: Succession, *, desk: str, reason: str, by: str, now: datetime
) -> list[RuleSet]:
    """Publish the rules anew with *succession*, those that wait for their time as well.

    Unexamined: whoever changes the directory proves the whole. The versions that came of it, the
    one that decides now first; none where no rule names what is succeeded.
    """
    newest = _alone(session)
    standing = standing_rules(session, desk=desk, now=now)
    moved = [(succession.of(rules), begins) for rules, begins in standing]
    changed = [after is not before for (after, _), (before, _) in zip(moved, standing, strict=True)]
    if not any(changed):
        return []
    # A version takes the place of all before it, so that those behind it follow once more.
    published = []
    for number, (rules, begins) in enumerate(moved[changed.index(True) :], newest + 1):
        version = replace(rules, version=number)
        _publish(session, version, reason=reason, by=by, now=now, effective_at=begins)
        published.append(version)
    return published


def standing_rules(
    session: Session, *, desk: str, now: datetime
) -> list[tuple[RuleSet, datetime | None]]:
    """The rules that decide at *now*, then those that wait, with when they begin to."""
    current = current_rules(session, now, desk=desk)
    waiting = session.execute(
        sa.select(rule_sets.c.version, rule_sets.c.effective_at)
        .where(rule_sets.c.effective_at > now, rule_sets.c.version > current.version)
        .order_by(rule_sets.c.version.desc())
    ).all()
    found: list[tuple[RuleSet, datetime | None]] = []
    for version, begins in waiting:
        # Newer ones that begin no later take its place before its time comes.
        if not found or begins < (found[-1][1] or now):
            found.append((rules_of_version(session, version), begins))
    return [(current, None), *reversed(found)]


def publish_draft(
    session: Session,
    name: str,
    *,
    settings: Settings,
    reason: str,
    by: str,
    now: datetime,
    waive: Sequence[Waiver] = (),
    release: Mapping[str, str] | None = None,
    effective_from: datetime | None = None,
    expected: int | None = None,
    examination: Examination | None = None,
) -> Publication:
    """Make the draft *name* the rules that decide, from *now* or from *effective_from* on.

    *waive* accepts warnings, *release* gives up examples, by name with the reason. *examination*
    is what was found of the draft before; without one it is examined here. Raises RulesRefused;
    Conflict where newer rules were published since the draft began, or it, or the directory,
    changed since it was looked at; NotFound; RuleInvalid without a reason or for a time past.
    """
    newest = _alone(session, with_directory=True)
    draft = draft_called(session, name)
    if draft.base_version != newest:
        raise Conflict(
            f"The draft “{name}” began as version {draft.base_version}, and version {newest} was "
            "published since: see what differs, and take it into the draft (rules rebase)"
        )
    publication = _publish_examined(
        session,
        draft.rules,
        newest,
        settings=settings,
        reason=reason,
        by=by,
        now=now,
        waive=waive,
        release=release or {},
        effective_from=effective_from,
        examination=examination,
        more={"draft": name},
    )
    remove_draft(session, draft, expected=expected)
    version = publication.rules.version
    record(session, about_draft(name), "published", now=now, by=by, after={"version": version})
    return publication


def rollback_rules(
    session: Session,
    version: int,
    *,
    settings: Settings,
    reason: str,
    by: str,
    now: datetime,
    waive: Sequence[Waiver] = (),
    release: Mapping[str, str] | None = None,
    examination: Examination | None = None,
) -> Publication:
    """Publish what *version* said once more, as a new version.

    It passes the same examination as any other: what was right then may name a department that is
    closed now. Raises as ``publish_draft`` does.
    """
    newest = _alone(session, with_directory=True)
    if version == newest:
        raise Conflict(f"Version {version} is the newest: there is nothing to go back from")
    return _publish_examined(
        session,
        rules_of_version(session, version),
        newest,
        settings=settings,
        reason=reason,
        by=by,
        now=now,
        waive=waive,
        release=release or {},
        examination=examination,
        more={"rolled_back_to": version},
    )


def publish_file(
    session: Session,
    rules: RuleSet,
    *,
    settings: Settings,
    reason: str,
    by: str,
    now: datetime,
) -> Publication:
    """Publish *rules* as they came in with the rest of a directory.

    Errors and broken examples refuse them as any others. Warnings are waived in the name of
    *reason* this once: a file of departments and topics cannot be asked one by one, and what it
    says is kept as it says it. Raises RulesRefused.
    """
    newest = _alone(session, with_directory=True)
    examination = examine(session, rules, settings=settings, now=now)
    named = {name_of(it): it for it in examination.open_warnings()}
    return _publish_examined(
        session,
        rules,
        newest,
        settings=settings,
        reason=reason,
        by=by,
        now=now,
        waive=[Waiver(code=it.code, rule=it.rule, reason=reason) for it in named.values()],
        waive_again=False,
        examination=examination,
    )


def _alone(session: Session, *, with_directory: bool = False) -> int:
    """Keep others from publishing until this transaction ends; the newest version there is.

    *with_directory* also keeps the directory as it is: who changes it comes before or after.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Readers go on. SQLite has one writer at a time by nature. The directory first, as those
        # have it who change it and then publish what follows: the other way round each would
        # wait for the other.
        if with_directory:
            session.execute(sa.select(directory_version.c.version).with_for_update(read=True))
        session.execute(sa.text("LOCK TABLE rule_set IN SHARE ROW EXCLUSIVE MODE"))
    return session.scalar(sa.select(sa.func.max(rule_sets.c.version))) or 0


def _publish_examined(
    session: Session,
    rules: RuleSet,
    newest: int,
    *,
    settings: Settings,
    reason: str,
    by: str,
    now: datetime,
    waive: Sequence[Waiver] = (),
    waive_again: bool = True,
    release: Mapping[str, str] = {},
    effective_from: datetime | None = None,
    examination: Examination | None = None,
    more: Mapping[str, Any] = {},
) -> Publication:
    if not reason.strip():
        raise RuleInvalid("say why: what is published keeps its reason")
    if effective_from is not None and effective_from <= now:
        raise RuleInvalid(f"{effective_from.isoformat()} is past: rules decide from a time to come")
    examination = examination or examine(session, rules, settings=settings, now=now)
    _still_holds(session, examination, rules, newest)
    waived = _waived(examination, rules, waive)
    kept = _released(rules, release)
    findings = [*examination.report.errors, *examination.open_warnings(waived)]
    broken = [it for it in examination.broken if it.example.name not in release]
    if findings or broken:
        raise RulesRefused(findings, broken)
    final = replace(
        rules,
        version=newest + 1,
        examples=kept,
        waivers=waived if waive_again else rules.waivers,
    )
    told = dict(more)
    if waive:
        told["waived"] = [waiver.write() for waiver in waive]
    if release:
        told["released"] = [{"name": name, "reason": why} for name, why in release.items()]
    return _publish(
        session, final, reason=reason, by=by, now=now, effective_at=effective_from, more=told
    )


def _still_holds(session: Session, examination: Examination, rules: RuleSet, newest: int) -> None:
    """That what was examined is what is there. Raises Conflict."""
    directory = session.scalar(sa.select(directory_version.c.version)) or 0
    if examination.newest != newest:
        raise Conflict(f"Version {newest} of the rules was published meanwhile: look at it first")
    if _written(examination.rules) != _written(rules):
        raise Conflict("The rules were changed since they were examined: look at them again")
    if examination.directory != directory:
        raise Conflict("The directory was changed since the rules were examined: try again")


def _written(rules: RuleSet) -> tuple[Any, ...]:
    # What they say: a condition of a package need not know when it equals another.
    return rules.write(), rules.examples, rules.waivers


def _waived(
    examination: Examination, rules: RuleSet, waive: Sequence[Waiver]
) -> tuple[Waiver, ...]:
    warned = {name_of(it) for it in examination.report.warnings}
    for waiver in waive:
        if waiver.name not in warned:
            raise NotFound(f"There is no warning “{waiver.name}” to waive")
    return tuple({it.name: it for it in (*rules.waivers, *waive)}.values())


def _released(rules: RuleSet, release: Mapping[str, str]) -> tuple[Any, ...]:
    names = {example.name for example in rules.examples}
    for name, why in release.items():
        if name not in names:
            raise NotFound(f"There is no example “{name}” to release")
        if not why.strip():
            raise RuleInvalid(f"say why example “{name}” is released")
    return tuple(example for example in rules.examples if example.name not in release)


def _publish(
    session: Session,
    rules: RuleSet,
    *,
    reason: str,
    by: str,
    now: datetime,
    effective_at: datetime | None = None,
    more: Mapping[str, Any] = {},
) -> Publication:
    begins = effective_at or now
    table = rule_sets.c
    waiting = sa.select(table.version).where(
        table.effective_at > now, table.effective_at >= begins, table.version < rules.version
    )
    superseded = tuple(session.scalars(waiting.order_by(table.version)))
    session.execute(
        sa.insert(rule_sets).values(
            version=rules.version,
            rules=rules.write(),
            examples=[example.write() for example in rules.examples],
            waivers=[waiver.write() for waiver in rules.waivers],
            author=by,
            reason=reason,
            published_at=now,
            effective_at=begins,
        )
    )
    record(
        session,
        _about(rules.version),
        "published",
        now=now,
        by=by,
        note=reason,
        after={
            "version": rules.version,
            "rules": [rule.id for rule in rules.rules],
            **({"effective_at": begins.isoformat()} if begins > now else {}),
            **more,
        },
        first=True,
    )
    for version in superseded:
        record(
            session,
            _about(version),
            "superseded",
            now=now,
            by=by,
            note=reason,
            after={"by": rules.version},
        )
    return Publication(rules, begins, superseded)


def _about(version: int) -> str:
    """The subject under which the events of a version stand."""
    return f"rules:{version}"


def _check_targets(session: Session, rules: RuleSet) -> None:
    active = sa.select(departments.c.id).where(departments.c.status == DepartmentStatus.ACTIVE)
    known = set(session.scalars(sa.select(departments.c.slug).where(departments.c.id.in_(active))))
    addresses = {to for rule in rules.rules for to in rule.recipients if "@" in to}
    known.update(
        session.scalars(
            sa.select(contact_points.c.value).where(
                contact_points.c.value.in_(addresses),
                contact_points.c.kind == PointKind.EMAIL,
                contact_points.c.department_id.in_(active),
            )
        )
    )
    for rule in rules.rules:
        for to in rule.recipients:
            if to not in known:
                kind = "mailbox" if "@" in to else "department"
                raise NotFound(f"rule “{rule.id}” sends to “{to}”, which is no {kind}")


# Versions


class VersionState(StrEnum):
    """``SUPERSEDED`` was to begin later than a newer one did, and never decided."""

    PUBLISHED = "published"
    SCHEDULED = "scheduled"
    PAST = "past"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the rules as a list shows it."""

    version: int
    state: VersionState
    author: str
    reason: str
    published_at: datetime
    effective_at: datetime


def versions(session: Session, now: datetime) -> list[Version]:
    """Every version there is, the newest first."""
    table = rule_sets.c
    columns = (table.author, table.reason, table.published_at, table.effective_at)
    found: list[Version] = []
    earliest: datetime | None = None  # of those that are newer
    current = published_key(session, now)[0]
    for row in session.execute(sa.select(table.version, *columns).order_by(table.version.desc())):
        version, *rest = row
        begins = row.effective_at
        if version == current:
            state = VersionState.PUBLISHED
        elif earliest is not None and row.published_at < begins and earliest <= begins:
            state = VersionState.SUPERSEDED
        else:
            state = VersionState.SCHEDULED if begins > now else VersionState.PAST
        earliest = begins if earliest is None else min(earliest, begins)
        found.append(Version(version, state, *rest))
    return found


def rules_named(session: Session, which: str, *, desk: str, now: datetime) -> RuleSet:
    """The set that people call *which*: "published", "newest", "draft", "draft:NAME" or a number.

    Raises NotFound.
    """
    if which == "published":
        version = published_key(session, now)[0]
        return rules_of_version(session, version) if version else newest_rules(session, desk=desk)
    if which == "newest":
        return newest_rules(session, desk=desk)
    if which.isdecimal():
        return rules_of_version(session, int(which))
    kind, _, name = which.partition(":")
    if kind == "draft":
        draft: Draft = draft_called(session, name or kind)
        return draft.rules
    raise NotFound(f"There are no rules “{which}”")
