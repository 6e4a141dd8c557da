"""Imports: looked at before they count, carried out as one, undone as one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from directory.adapters.db import (
    contact_points,
    departments,
    import_batches,
    import_changes,
    metadata,
    note_written,
    topics,
)
from directory.adapters.queries import current_rules
from directory.domain.contacts import (
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
)
from directory.domain.errors import Conflict, NotFound
from directory.domain.ids import new_id
from directory.domain.routing import RuleSet
from directory.services.contacts import close_department, have_asked, keep_slug, tell_change
from directory.services.history import Happening, record_all
from directory.services.import_changes import Action, Change, Doing, Tally
from directory.services.import_files import FileSource, Options, Source
from directory.services.import_plan import CHUNK, Plan, Progress, image, plain
from directory.services.rules import publish_file
from directory.services.safeguard import nobody_stranded
from directory.settings import Settings

# How long what was uploaded and never applied is kept.
KEPT_DAYS: Final = 7


class BatchState(StrEnum):
    """``PREVIEWED`` batches wait for somebody to apply them."""

    PREVIEWED = "previewed"
    APPLIED = "applied"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Batch:
    """An import as a list shows it; ``counts`` as Tally.to_json."""

    id: int
    created_at: datetime
    author: str
    reason: str
    source: str
    format: str
    state: BatchState
    counts: Mapping[str, int]
    applied_at: datetime | None
    undone_at: datetime | None
    undone_by: str

    @property
    def tally(self) -> Tally:
        return Tally(**self.counts)


_BATCH: Final = [import_batches.c[name] for name in Batch.__dataclass_fields__]


def batches(session: Session, *, limit: int = 50) -> list[Batch]:
    """The newest first."""
    rows = session.execute(sa.select(*_BATCH).order_by(import_batches.c.id.desc()).limit(limit))
    return [_batch(row) for row in rows]


def batch(session: Session, id: int) -> Batch:
    """One import. Raises NotFound."""
    row = session.execute(sa.select(*_BATCH).where(import_batches.c.id == id)).first()
    if row is None:
        raise NotFound(f"There is no import {id}")
    return _batch(row)


def _batch(row: Any) -> Batch:
    values = dict(row._mapping)
    return Batch(**values | {"state": BatchState(values["state"])})


# Looking


def preview(
    session: Session,
    source: Source,
    *,
    settings: Settings,
    now: datetime,
    options: Options = Options(),  # noqa: B008 - frozen
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """What *source* would do. Iterate its ``changes()``; nothing is changed, nothing is kept."""
    return Plan(
        session,
        source,
        settings=settings,
        now=now,
        delete_missing=options.delete_missing,
        overwrite=overwrite,
        progress=progress,
    )


def keep_upload(
    session: Session,
    content: bytes,
    name: str,
    options: Options,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> Batch:
    """Keep an uploaded file until it is applied, with the digest of what it would do now.

    Uploads that nobody applied within a week are forgotten. Raises InvalidValue where the file
    cannot be read.
    """
    source = FileSource(io.BytesIO(content), name, options)
    plan = preview(session, source, settings=settings, now=now, options=options)
    for _ in plan.changes():
        pass
    stale = now - timedelta(days=KEPT_DAYS)
    session.execute(
        sa.delete(import_batches).where(
            import_batches.c.state == BatchState.PREVIEWED, import_batches.c.created_at < stale
        )
    )
    id = new_id(now)
    _insert(session, id, source, options, now=now, by=by, reason=reason, content=content)
    _update(session, id, counts=plan.tally.to_json(), digest=plan.digest)
    return batch(session, id)


def uploaded(session: Session, id: int) -> tuple[FileSource, Options]:
    """The file of an import that waits, and how it is to be read. Raises NotFound, Conflict."""
    row = session.execute(sa.select(import_batches).where(import_batches.c.id == id)).first()
    if row is None:
        raise NotFound(f"There is no import {id}")
    if row.content is None:
        raise Conflict(f"Import {id} was applied already")
    options = Options(**row.options)
    return FileSource(io.BytesIO(row.content), row.source, options), options


# Doing


def apply(
    session: Session,
    source: Source,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    options: Options = Options(),  # noqa: B008 - frozen
    overwrite: bool = False,
    expected: str = "",
    progress: Progress | None = None,
    tell: Callable[[Change], None] | None = None,
    into: int = 0,
) -> Batch:
    """Carry out *source* in the caller's transaction, and remember how to undo it.

    Rows with errors are left out and counted; rows in conflict too, unless *overwrite*.
    *expected* is the digest of the plan that was shown: raises Conflict where it would be
    another by now, and WouldStrand where enquiries would reach nobody by it. *tell* hears of every
    row. *into* is the upload that this applies. An import that changes nothing leaves nothing to
    undo, and is not kept.
    """
    id = into or new_id(now)
    if not into:
        _insert(session, id, source, options, now=now, by=by, reason=reason)
    doing = _Doing(session, id, settings=settings, now=now, by=by, reason=reason)
    plan = Plan(
        session,
        source,
        settings=settings,
        now=now,
        delete_missing=options.delete_missing,
        overwrite=overwrite,
        doing=doing,
        progress=progress,
    )
    with nobody_stranded(session, settings=settings, now=now):
        for change in plan.changes():
            if tell:
                tell(change)
        if expected and plan.digest != expected:
            raise Conflict("The directory or the file changed since this preview: look at it again")
        doing.finish()
    _update(
        session,
        id,
        state=BatchState.APPLIED.value,
        counts=plan.tally.to_json(),
        digest=plan.digest,
        content=None,
        author=by,
        reason=reason,
        applied_at=now,
    )
    done = batch(session, id)
    if not doing.remembered:
        session.execute(sa.delete(import_batches).where(import_batches.c.id == id))
    return done


def apply_upload(
    session: Session,
    id: int,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Batch:
    """Carry out an upload that :func:`keep_upload` kept. Raises NotFound and Conflict."""
    source, options = uploaded(session, id)
    kept = session.execute(
        sa.select(import_batches.c.reason, import_batches.c.digest).where(import_batches.c.id == id)
    ).one()
    return apply(
        session,
        source,
        settings=settings,
        now=now,
        by=by,
        reason=reason or kept.reason,
        options=options,
        overwrite=overwrite,
        expected="" if overwrite else kept.digest,
        progress=progress,
        into=id,
    )


def _insert(
    session: Session,
    id: int,
    source: Source,
    options: Options,
    *,
    now: datetime,
    by: str,
    reason: str,
    content: bytes | None = None,
) -> None:
    session.execute(
        sa.insert(import_batches).values(
            id=id,
            created_at=now,
            author=by,
            reason=reason,
            source=source.name,
            format=source.format,
            options=options.to_json(),
            content=content,
            state=BatchState.PREVIEWED.value,
            counts={},
            digest="",
            undone_by="",
        )
    )


def _update(session: Session, id: int, **values: Any) -> None:
    session.execute(sa.update(import_batches).where(import_batches.c.id == id).values(**values))


_DEPARTMENT_COLUMNS: Final = tuple(column.name for column in departments.c)
_POINT_COLUMNS: Final = tuple(column.name for column in contact_points.c)


class _Doing(Doing):
    """Writes a plan, a chunk at a time: new rows by hand, changed ones through the session."""

    def __init__(
        self,
        session: Session,
        batch: int,
        *,
        settings: Settings,
        now: datetime,
        by: str,
        reason: str,
    ) -> None:
        self.remembered = 0
        self._session = session
        self._batch = batch
        self._settings = settings
        self._now = now
        self._by = by
        self._note = f"import {batch}" + (f": {reason}" if reason else "")
        self._departments: list[dict[str, Any]] = []
        self._points: list[dict[str, Any]] = []
        self._happenings: list[Happening] = []
        self._amended: list[tuple[Change, Department, Mapping[str, Any]]] = []
        self._changes: list[dict[str, Any]] = []
        self._new: set[UUID] = set()
        self._relations: list[tuple[UUID, str, UUID]] = []
        self._moves: list[tuple[Change, str, UUID]] = []
        self._closings: list[tuple[Change, str, UUID]] = []
        self._topics: list[tuple[Change, Mapping[str, Any]]] = []
        self._rules: list[tuple[Change, RuleSet]] = []

    # What the plan says, row by row

    def add(self, change: Change, department: Department, topics: Sequence[str]) -> None:
        values = {name: getattr(department, name) for name in _DEPARTMENT_COLUMNS}
        self._departments.append(values | {"version": 1})
        have_asked(department, known=set(), now=self._now)
        for point in department.points:
            point.department_id = department.id
            self._points.append({name: getattr(point, name) for name in _POINT_COLUMNS})
        after = {column: new for column, (_, new) in change.cells.items()}
        self._happenings.append(Happening(_subject(department.id), "added", {}, after, first=True))
        self._remember(change, version=1)
        self._new.add(department.id)

    def amend(self, change: Change, department: Department, was: Mapping[str, Any]) -> None:
        known = {(UUID(id), point["value"]) for id, point in was["points"].items()}
        have_asked(department, known=known, now=self._now)
        # Also where only a number of it changed: undoing asks whether anyone was here since.
        flag_modified(department, "updated_at")
        self._amended.append((change, department, was))

    def refuse(self, department: Department) -> None:
        # What was set so far must not be flushed with the rest of the chunk.
        for point in department.points:
            if point in self._session:
                self._session.expunge(point)
        if department in self._session:
            self._session.expunge(department)

    def relate(self, id: UUID, relation: str, other: UUID) -> None:
        self._relations.append((id, relation, other))

    def close(self, change: Change, department: Department, heir: UUID) -> None:
        self._closings.append((change, department.slug, heir))

    def set_topic(self, change: Change, values: Mapping[str, Any]) -> None:
        self._topics.append((change, values))

    def move_topic(self, change: Change, code: str, department: UUID) -> None:
        self._moves.append((change, code, department))

    def set_rules(self, change: Change, rules: RuleSet) -> None:
        self._rules.append((change, rules))

    # What is written

    def end_chunk(self) -> None:
        connection = self._session.connection()
        if self._departments:
            connection.execute(sa.insert(departments), self._departments)
        if self._points:
            connection.execute(sa.insert(contact_points), self._points)
        self._departments, self._points = [], []
        if self._amended:
            self._session.flush()
        for change, department, was in self._amended:
            self._remember(change, _changed(was, image(department)), version=department.version)
            if was["slug"] != department.slug:
                keep_slug(self._session, department, str(was["slug"]), self._now)
            self._tell_mailboxes(department, was)
            self._tell(change, department.id)
        self._amended = []
        if self._happenings:
            record_all(self._session, self._happenings, now=self._now, by=self._by, note=self._note)
        self._happenings = []
        self._write_changes()

    def _tell(self, change: Change, id: UUID) -> None:
        # That it is closed is told where it is done.
        apart = {"status", "successor"} if change.action is Action.CLOSE else set()
        cells = {column: pair for column, pair in change.cells.items() if column not in apart}
        if cells or change.action is not Action.CLOSE:
            before = {column: old for column, (old, _) in cells.items()}
            after = {column: new for column, (_, new) in cells.items()}
            self._happenings.append(Happening(_subject(id), "amended", before, after))

    def _tell_mailboxes(self, department: Department, was: Mapping[str, Any]) -> None:
        """Where its mail goes now is told to the old and to the new address."""
        points = [_point(values) for values in was["points"].values()]
        before = Department(slug=department.slug, name={}, points=points).mailbox
        tell_change(
            self._session,
            department,
            before.value if before else "",
            department.mailbox,
            settings=self._settings,
            now=self._now,
            by=self._by,
            reason=self._note,
        )

    def _remember(
        self,
        change: Change,
        before: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        kind: str = "",
        id: UUID | None = None,
    ) -> None:
        self._changes.append(
            {
                "batch_id": self._batch,
                "row": change.row,
                "kind": kind or change.kind,
                "action": change.action.value,
                "subject_id": id or change.id,
                "subject": change.subject,
                "version": version,
                "before": dict(before or {}),
            }
        )

    def _write_changes(self) -> None:
        if not self._changes:
            return
        rows = [row | {"id": new_id(self._now)} for row in self._changes]
        self._session.connection().execute(sa.insert(import_changes), rows)
        self.remembered += len(rows)
        self._changes = []

    def finish(self) -> None:
        """Write what refers to rows of the whole file, and bring the index in step."""
        session = self._session
        session.flush()
        self._relate()
        for change, slug, heir in self._closings:
            self._close(change, slug, heir)
        for change, code, department_id in self._moves:
            topic = session.scalars(sa.select(Topic).where(topics.c.code == code)).one()
            before = {"fields": {"department_id": plain(topic.department_id)}}
            topic.department_id = department_id
            session.flush()
            self._remember(change, before, version=topic.version, kind="topic", id=topic.id)
        for change, values in self._topics:
            self._set_topic(change, values)
        for change, rules in self._rules:
            was = current_rules(session, self._now, desk=self._settings.site.desk)
            done = publish_file(
                session,
                rules,
                settings=self._settings,
                reason=self._note,
                by=self._by,
                now=self._now,
            )
            back = {
                "rules": was.write(),
                "examples": [example.write() for example in was.examples],
                "waivers": [waiver.write() for waiver in was.waivers],
            }
            self._remember(change, back, version=done.rules.version)
        self._write_changes()
        if self._new:
            note_written(session, self._new)

    def _relate(self) -> None:
        connection = self._session.connection()
        table = departments.c
        for relation in ("parent_id", "deputy_id", "successor_id"):
            wanted = [(id, other) for id, name, other in self._relations if name == relation]
            for id, _ in wanted:
                if id not in self._new:
                    old = connection.scalar(sa.select(table[relation]).where(table.id == id))
                    change = Change(0, Action.CHANGE, id=id)
                    version = connection.scalar(sa.select(table.version).where(table.id == id))
                    self._remember(change, {"fields": {relation: plain(old)}}, version=version)
            if wanted:
                connection.execute(
                    sa.update(departments)
                    .where(table.id == sa.bindparam("of"))
                    .values({relation: sa.bindparam("to")}),
                    [{"of": id, "to": other} for id, other in wanted],
                )

    def _close(self, change: Change, slug: str, heir: UUID) -> None:
        session = self._session
        found = session.scalars(sa.select(Department).where(departments.c.slug == slug)).one()
        was = image(found)
        deputised = session.scalars(
            sa.select(Department).where(departments.c.deputy_id == found.id)
        ).all()
        answered = session.scalars(sa.select(Topic).where(topics.c.department_id == found.id)).all()
        close_department(
            session,
            slug,
            successor=session.get_one(Department, heir).slug,
            settings=self._settings,
            now=self._now,
            by=self._by,
            reason=self._note,
        )
        session.flush()
        self._remember(change, _changed(was, image(found)), version=found.version, id=found.id)
        old = {"fields": {"deputy_id": str(found.id)}}
        for other in deputised:
            self._remember(change, old, version=other.version, id=other.id)
        old = {"fields": {"department_id": str(found.id)}}
        for topic in answered:
            self._remember(change, old, version=topic.version, kind="topic", id=topic.id)

    def _set_topic(self, change: Change, values: Mapping[str, Any]) -> None:
        session = self._session
        topic = session.get(Topic, change.id) if change.id else None
        before: dict[str, Any] = {}
        if topic is None:
            topic = Topic(code=str(values["code"]), label={})
            change.id = topic.id
            session.add(topic)
        else:
            before = {"fields": {c.name: plain(getattr(topic, c.name)) for c in topics.c}}
        for name in ("label", "hint", "group"):
            setattr(topic, name, dict(values.get(name) or {}))
        topic.department_id = values["department_id"]
        topic.reply_days = values.get("reply_days")
        topic.question = values.get("question")
        topic.acknowledge = values.get("acknowledge") is not False
        topic.sensitive = values.get("sensitive") is True
        topic.active = values.get("active") is not False
        topic.position = int(values["sort"])
        session.flush()
        self._remember(change, before, version=topic.version)
        subject = f"topic:{topic.id}"
        happening = Happening(
            subject,
            "amended" if before else "added",
            {column: old for column, (old, _) in change.cells.items()},
            {column: new for column, (_, new) in change.cells.items()},
        )
        record_all(session, [happening], now=self._now, by=self._by, note=self._note)


def _point(values: Mapping[str, Any]) -> ContactPoint:
    """A contact point out of an image, of no session."""
    return ContactPoint(**{n: _typed(contact_points, n, value) for n, value in values.items()})


def _subject(id: UUID) -> str:
    return f"department:{id}"


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Of *was*, what is not so any more: fields, contact points, and which points are new."""
    fields = {
        name: value
        for name, value in was.items()
        if name not in {"points", "version", "updated_at"} and now[name] != value
    }
    points = {id: point for id, point in was["points"].items() if now["points"].get(id) != point}
    new = [id for id in now["points"] if id not in was["points"]]
    return {"fields": fields, "points": points, "new_points": new}


# Undoing


def undo(
    session: Session,
    id: int,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    progress: Progress | None = None,
) -> Batch:
    """Put everything back as it was before import *id*, in the caller's transaction.

    What was added is taken away, what was changed or closed gets its old values back, with what
    was known of them. Raises NotFound; WouldStrand; and Conflict, naming it, where something was
    edited or used since: then nothing is undone.
    """
    found = batch(session, id)
    if found.state is not BatchState.APPLIED:
        raise Conflict(f"Import {id} is {found.state.value}: there is nothing to undo")
    undoing = _Undoing(session, id, settings=settings, now=now, by=by, reason=reason)
    with nobody_stranded(session, settings=settings, now=now):
        undoing.run(progress)
    _update(session, id, state=BatchState.UNDONE.value, undone_at=now, undone_by=by)
    return batch(session, id)


class _Undoing:
    def __init__(
        self,
        session: Session,
        id: int,
        *,
        settings: Settings,
        now: datetime,
        by: str,
        reason: str,
    ) -> None:
        self._session = session
        self._id = id
        self._settings = settings
        self._now = now
        self._by = by
        self._note = f"import {id} undone" + (f": {reason}" if reason else "")
        self._done = 0
        self._total = 0
        self._seen: set[UUID] = set()  # those whose version was found unchanged

    def run(self, progress: Progress | None) -> None:
        table = import_changes.c
        self._total = (
            self._session.scalar(sa.select(sa.func.count()).where(table.batch_id == self._id)) or 0
        )
        added = sa.and_(table.action == Action.ADD.value, table.kind == "department")
        for rows in self._rows(sa.not_(added)):
            for row in rows:
                match row.kind:
                    case "department":
                        self._restore_department(row)
                    case "topic":
                        self._restore_topic(row)
                    case "rules":
                        self._restore_rules(row)
            self._session.flush()
            self._say(progress, len(rows))
        for rows in self._rows(added):
            ids = [row.subject_id for row in rows]
            self._session.connection().execute(
                sa.update(departments)
                .where(departments.c.id.in_(ids))
                .values(parent_id=None, deputy_id=None, successor_id=None)
            )
        for rows in self._rows(added):
            self._take_away(rows)
            self._say(progress, len(rows))

    def _say(self, progress: Progress | None, count: int) -> None:
        self._done += count
        if progress:
            progress(self._done, self._total)

    def _rows(self, which: sa.ColumnElement[bool]) -> Iterator[Sequence[Any]]:
        """Some hundred of the batch's rows at a time, the last first."""
        table = import_changes.c
        below: int | None = None
        while True:
            wanted = (
                sa.select(import_changes)
                .where(table.batch_id == self._id, which)
                .order_by(table.id.desc())
                .limit(CHUNK)
            )
            if below is not None:
                wanted = wanted.where(table.id < below)
            rows = self._session.execute(wanted).all()
            if not rows:
                return
            yield rows
            below = rows[-1].id

    def _last_version(self, row: Any) -> int | None:
        """The version the import left its subject at."""
        table = import_changes.c
        found: int | None = self._session.scalar(
            sa.select(sa.func.max(table.version)).where(
                table.batch_id == self._id,
                table.subject_id == row.subject_id,
                table.kind == row.kind,
            )
        )
        return found

    def _restore_department(self, row: Any) -> None:
        session = self._session
        found = session.get_one(Department, row.subject_id)
        if found.id not in self._seen and found.version != self._last_version(row):
            raise Conflict(f"“{found.slug}” was edited since import {self._id}")
        self._seen.add(found.id)
        before = row.before
        slug, mailbox = found.slug, found.mailbox
        sent_to = mailbox.value if mailbox else ""
        for name, value in before.get("fields", {}).items():
            setattr(found, name, _typed(departments, name, value))
        points = {str(point.id): point for point in found.points}
        for id, values in before.get("points", {}).items():
            for name, value in values.items():
                setattr(points[id], name, _typed(contact_points, name, value))
        for id in before.get("new_points", []):
            # Retired and not deleted: a delivery may have gone there in between.
            points[id].state = PointState.RETIRED
        found.updated_at = self._now
        if found.slug != slug:
            keep_slug(session, found, slug, self._now)
        tell_change(
            session,
            found,
            sent_to,
            found.mailbox,
            settings=self._settings,
            now=self._now,
            by=self._by,
            reason=self._note,
        )
        happening = Happening(
            _subject(found.id), "undone", {}, {"fields": sorted(before.get("fields", {}))}
        )
        record_all(session, [happening], now=self._now, by=self._by, note=self._note)

    def _restore_topic(self, row: Any) -> None:
        session = self._session
        topic = session.get_one(Topic, row.subject_id)
        if topic.id not in self._seen and topic.version != self._last_version(row):
            raise Conflict(f"The topic “{topic.code}” was edited since import {self._id}")
        self._seen.add(topic.id)
        if not row.before:
            session.delete(topic)
            session.flush()
            return
        for name, value in row.before["fields"].items():
            if name != "version":
                setattr(topic, name, _typed(topics, name, value))

    def _restore_rules(self, row: Any) -> None:
        current = current_rules(self._session, self._now, desk=self._settings.site.desk)
        if current.version != row.version:
            raise Conflict(f"Rules were published since import {self._id}")
        before = RuleSet.read(
            0,
            row.before["rules"],
            examples=row.before.get("examples", ()),
            waivers=row.before.get("waivers", ()),
        )
        publish_file(
            self._session,
            before,
            settings=self._settings,
            reason=self._note,
            by=self._by,
            now=self._now,
        )

    def _take_away(self, rows: Sequence[Any]) -> None:
        session, connection = self._session, self._session.connection()
        ids = [row.subject_id for row in rows]
        slugs = {row.subject_id: row.subject for row in rows}
        edited = connection.execute(
            sa.select(departments.c.slug).where(
                departments.c.id.in_(ids), departments.c.version != 1
            )
        ).scalars()
        if names := ", ".join(f"“{slug}”" for slug in edited):
            raise Conflict(f"Edited since import {self._id}: {names}")
        points = sa.select(contact_points.c.id).where(contact_points.c.department_id.in_(ids))
        for table in metadata.sorted_tables:
            for key in table.foreign_keys:
                if table is contact_points or key.column.table not in {departments, contact_points}:
                    continue
                of_points = key.column.table is contact_points
                meant = key.parent.in_(points if of_points else ids)
                used = connection.execute(sa.select(key.parent).where(meant).limit(1)).scalar()
                if used is not None:
                    name = slugs.get(used, "a contact point of it")
                    raise Conflict(
                        f"“{name}” is in use since import {self._id} ({table.name}): close it"
                    )
        connection.execute(sa.delete(contact_points).where(contact_points.c.department_id.in_(ids)))
        connection.execute(sa.delete(departments).where(departments.c.id.in_(ids)))
        happenings = [Happening(_subject(id), "undone", {}, {}) for id in ids]
        record_all(session, happenings, now=self._now, by=self._by, note=self._note)
        note_written(session, ids)


def _typed(table: sa.Table, name: str, value: Any) -> Any:
    """A value that JSON kept, as its column has it."""
    if value is None:
        return None
    if isinstance(table.c[name].type, sa.Uuid):
        return UUID(value)
    if name == "kind":
        return PointKind(value)
    if name == "state":
        return PointState(value)
    if name == "status":
        return DepartmentStatus(value)
    if name.endswith("_at") or name == "away_until":
        return datetime.fromisoformat(value)
    return value
