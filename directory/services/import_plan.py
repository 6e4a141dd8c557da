"""What an import would do: every row of a file held against the directory as it stands.

A plan is worked out twice, once to be shown and once, inside the transaction, to be carried out;
the digest over it says that both times it was the same. The rows are read twice as well: who is
named, so that a row may refer to a later one, then what is said of each. A few hundred rows are
in memory at a time, and of the rest what refers to what.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from pypinyin import lazy_pinyin
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, departments, slug_history, topics
from directory.adapters.formats import Row
from directory.adapters.formats.documents import topic_values
from directory.adapters.queries import current_rules
from directory.domain.columns import (
    STAMPS,
    CellInvalid,
    Slot,
    columns_of,
    set_columns,
    slot_of,
    slots_of,
    split_list,
)
from directory.domain.conditions import RuleInvalid
from directory.domain.contacts import (
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
    localised,
)
from directory.domain.errors import Conflict, DirectoryError, InvalidValue, NotFound
from directory.domain.questions import Question
from directory.domain.routing import RuleSet
from directory.domain.values import Slug
from directory.services.contacts import check_closing, check_unnamed
from directory.services.import_changes import Action, Change, Doing, Problem, Tally
from directory.services.import_files import Source
from directory.settings import Settings

CHUNK: Final = 500
Progress = Callable[[int, int], None]


class Plan:
    """One pass over a source. Iterate :meth:`changes`; ``tally`` and ``digest`` hold afterwards.

    *overwrite* takes the file's side where a department was edited since it was written.
    """

    def __init__(
        self,
        session: Session,
        source: Source,
        *,
        settings: Settings,
        now: datetime,
        delete_missing: bool = False,
        overwrite: bool = False,
        doing: Doing | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.tally = Tally()
        self.total = 0
        self._session = session
        self._source = source
        self._settings = settings
        self._now = now
        self._delete_missing = delete_missing
        self._overwrite = overwrite
        self._doing = doing or Doing()
        self._progress = progress
        self._hash = hashlib.sha256()
        self._ids: dict[str, UUID] = {}  # of departments that are there, by slug
        self._present_ids: set[UUID] = set()
        self._former: dict[str, UUID] = {}  # slugs that departments had once
        self._slugs: dict[UUID, str] = {}  # of those, and of those the file names
        self._rows: dict[UUID, int] = {}  # the first row of each department of the file
        self._new: dict[str, UUID] = {}  # ids of those that are not there yet, by slug
        self._made: set[UUID] = set()
        self._claims: dict[str, tuple[int, UUID]] = {}  # topics, and the row that takes each
        self._answers: dict[UUID, list[str]] = {}  # the topics of each department
        self._topic_codes: set[str] = set()
        self._cyclic: set[UUID] = set()
        self._waiting: list[tuple[int, UUID, str, UUID]] = []
        self._last_position = 0

    @property
    def digest(self) -> str:
        """Equal for two passes that come to the same."""
        return self._hash.hexdigest()

    def changes(self) -> Iterator[Change]:
        """What becomes of each row, in the order of the file, departments first.

        Raises InvalidValue where the file as a whole cannot be read.
        """
        self._look_around()
        self._survey()
        done = 0
        others: list[Row] = []
        for chunk in _chunks(self._source.rows()):
            wanted = [row for row in chunk if row.kind == "department"]
            others += [row for row in chunk if row.kind != "department"]
            yield from self._chunk(wanted)
            done += len(chunk)
            if self._progress:
                self._progress(done, self.total)
        for row in sorted(others, key=lambda row: row.kind == "rules"):
            yield self._note(self._topic(row) if row.kind == "topic" else self._rules(row))
        if self._delete_missing:
            for change in self._missing():
                yield self._note(change)
        for row_number, id, relation, other in self._waiting:
            if other in self._made:
                self._doing.relate(id, relation, other)
            else:
                yield self._note(self._dangling(row_number, id, relation, other))
        self._doing.end_chunk()

    def _note(self, change: Change) -> Change:
        self.tally.count(change.action)
        if change.action is not Action.SAME:
            told = [
                change.row,
                change.action,
                change.kind,
                change.subject,
                sorted(change.cells.items()),
            ]
            self._hash.update(json.dumps(told, ensure_ascii=False).encode())
        return change

    # ---------------------------------------------------------- who is there, who is named

    def _look_around(self) -> None:
        for row in self._session.execute(
            sa.select(departments.c.id, departments.c.slug, departments.c.position)
        ):
            self._ids[row.slug] = row.id
            self._present_ids.add(row.id)
            self._slugs[row.id] = row.slug
            self._last_position = max(self._last_position, row.position)
        for slug, id in self._session.execute(
            sa.select(slug_history.c.slug, slug_history.c.department_id)
        ):
            self._former[slug] = id
        for code, department_id in self._session.execute(
            sa.select(topics.c.code, topics.c.department_id).order_by(
                topics.c.position, topics.c.code
            )
        ):
            self._topic_codes.add(code)
            if department_id:
                self._answers.setdefault(department_id, []).append(code)

    def _survey(self) -> None:
        """Read who is named, which topics are taken, and whether the tree stays one."""
        parents: dict[UUID, UUID | None] = {
            row.id: row.parent_id
            for row in self._session.execute(sa.select(departments.c.id, departments.c.parent_id))
        }
        above: dict[UUID, str] = {}
        for row in self._source.rows():
            self.total += 1
            if row.kind == "topic" and isinstance(row.values, Mapping):
                self._topic_codes.add(str(row.values.get("code", "")))
            if row.kind != "department" or row.by_value:
                continue
            try:
                id, slug = self._named(row)
            except DirectoryError:
                continue  # said when the row itself is read
            if id in self._rows:
                continue
            self._rows[id] = row.number
            if id not in self._slugs:
                self._new[slug] = id
                self._slugs[id] = slug
            if "parent" in row.cells:
                above[id] = row.cells["parent"] or ""
            for code in split_list(row.cells.get("topics") or ""):
                self._claims.setdefault(code, (row.number, id))
        for id, slug in above.items():
            parents[id] = self._ids.get(slug) or self._new.get(slug)
        self._cyclic = _in_cycles(parents) if above else set()

    def _named(self, row: Row) -> tuple[UUID, str]:
        """The department a row is about, and its slug if it is a new one.

        Raises InvalidValue "department.no_slug", "slug.invalid" or "slug.taken".
        """
        cells = row.cells
        slug = str(Slug.parse(cells["slug"] or "")) if cells.get("slug") else ""
        id: UUID | None = None
        if text := cells.get("id"):
            try:
                id = UUID(text.strip())
            except ValueError:
                raise CellInvalid("id", InvalidValue("import.bad_record")) from None
        if id is not None and id in self._present_ids:
            return id, slug or self._slugs[id]
        if not slug:
            slug = slug_from(cells.get("name_en") or "", cells.get("name_zh_hans") or "")
        found = self._ids.get(slug) or self._new.get(slug)
        return found or id or uuid4(), slug

    def _find(self, slug: str) -> UUID:
        found = self._ids.get(slug) or self._new.get(slug)
        if found is None:
            raise NotFound(f"There is no department “{slug}”")
        return found

    # ---------------------------------------------------------- departments

    def _chunk(self, rows: Sequence[Row]) -> Iterator[Change]:
        read: list[tuple[Row, UUID, str] | Change] = []
        for row in rows:
            if row.problem is not None and (row.by_value is False or not row.cells):
                read.append(self._failed(row, "", _own_problem(row)))
                continue
            try:
                id, slug = self._by_value(row) if row.by_value else self._named(row)
            except CellInvalid as error:
                read.append(self._failed(row, "", _problem(row, error.column, error.error)))
            except InvalidValue as error:
                column = "slug" if row.cells.get("slug") else ""
                read.append(self._failed(row, "", _problem(row, column, error)))
            else:
                read.append((row, id, slug))
        ids = {it[1] for it in read if isinstance(it, tuple)} & self._slugs.keys()
        present = {
            department.id: department
            for department in self._session.scalars(
                sa.select(Department).where(departments.c.id.in_(ids))
            )
        }
        for it in read:
            if isinstance(it, Change):
                yield self._note(it)
                continue
            row, id, slug = it
            first = self._rows.setdefault(id, row.number)
            if first != row.number and not row.by_value:
                twice = InvalidValue("department.twice", row=first)
                yield self._note(self._failed(row, slug, _problem(row, "", twice)))
            else:
                department = present.get(id)
                # What is asked on the way must not write a row that may yet be refused.
                with self._session.no_autoflush:
                    change = (
                        self._present(row, department)
                        if department is not None
                        else self._absent(row, id, slug)
                    )
                if row.problem is not None:
                    # One of a page's numbers reaches nobody: said, and the others are taken.
                    change.problems.append(_own_problem(row))
                yield self._note(change)
        self._doing.end_chunk()
        for department in present.values():
            for point in department.points:
                if point in self._session:
                    self._session.expunge(point)
            if department in self._session:
                self._session.expunge(department)

    def _failed(self, row: Row, subject: str, *problems: Problem) -> Change:
        cells = row.cells
        name = cells.get("name_en") or cells.get("name_zh_hans") or ""
        subject = subject or cells.get("slug") or ""
        return Change(row.number, Action.ERROR, row.kind, subject, name, problems=list(problems))

    def _absent(self, row: Row, id: UUID, slug: str) -> Change:
        """A row about nobody yet."""
        self._new.setdefault(slug, id)
        self._slugs.setdefault(id, slug)
        department = Department(
            id=id, slug=slug, name={}, created_at=self._now, updated_at=self._now
        )
        department.position = self._last_position + row.number
        cells: dict[str, str | None] = {
            c: text for c, text in row.cells.items() if c not in STAMPS and text
        }
        cells.pop("slug", None)
        status = cells.pop("status", None) or "active"
        heir = cells.pop("successor", None)
        listed = split_list(cells.pop("topics", None) or "")
        self._drop_own_zone(cells, "")
        problems = self._set(row, department, cells)
        if not problems and not department.name:
            problems.append(_problem(row, "name_en", InvalidValue("department.no_name")))
        problems += self._topic_problems(row, id, listed, [])
        if status not in set(DepartmentStatus):
            problems.append(_problem(row, "status", InvalidValue("status.unknown")))
        elif status == DepartmentStatus.CLOSED and not heir:
            problems.append(_problem(row, "status", InvalidValue("department.closing")))
        elif heir and heir not in self._ids and heir not in self._new:
            error = InvalidValue("department.unknown", slug=heir)
            problems.append(_problem(row, "successor", error))
        if problems:
            return self._failed(row, slug, *problems)
        department.status = DepartmentStatus(status)
        after = columns_of(department, slugs=self._slugs, topics=listed)
        after.pop("id")
        if heir:
            after["successor"] = heir
        change = Change(
            row.number,
            Action.ADD,
            subject=slug,
            name=localised(department.name, "en")[0],
            id=id,
            cells={column: ("", text) for column, text in after.items()},
        )
        for relation in ("parent_id", "deputy_id"):
            other = getattr(department, relation)
            if other and other not in self._made and other not in self._present_ids:
                setattr(department, relation, None)
                self._waiting.append((row.number, id, relation, other))
        if heir:
            self._waiting.append((row.number, id, "successor_id", self._find(heir)))
        self._made.add(id)
        self._doing.add(change, department, listed)
        for code in listed:
            self._doing.move_topic(change, code, id)
        return change

    def _present(self, row: Row, department: Department) -> Change:
        """A row about a department that is there."""
        codes = self._answers.get(department.id, [])
        before = columns_of(department, slugs=self._slugs, topics=codes)
        cells = dict(row.cells)
        if row.by_value:
            cells = _beside(row, department)
        self._clear_unlisted(row, cells, before)
        self._drop_own_zone(cells, department.timezone)
        wanted = {
            column: text
            for column, text in cells.items()
            if column not in STAMPS and not _says_the_same(text, before.get(column, ""))
        }
        name = localised(department.name, "en")[0]
        change = Change(row.number, Action.SAME, subject=department.slug, name=name)
        change.id = department.id
        kept = row.values if isinstance(row.values, Mapping) else {}
        if not wanted and not any(department.extra.get(k) != v for k, v in kept.items()):
            return change
        was, changed_at = image(department), department.updated_at
        status = wanted.pop("status", None)
        heir = wanted.pop("successor", None) if status != "active" else None
        listed = wanted.pop("topics", "")
        problems = self._set(row, department, wanted)
        if kept:
            department.extra = {**department.extra, **kept}
        problems += self._desk_problems(row, department, was)
        gained: list[str] = []
        if listed or ("topics" in cells and listed is None):
            now_listed = split_list(listed or "")
            problems += self._topic_problems(row, department.id, now_listed, codes)
            gained = [code for code in now_listed if code not in codes]
            codes = now_listed
        heir_id = self._closing(row, department, status, heir, problems)
        if problems:
            self._doing.refuse(department)
            return self._failed(row, department.slug, *problems)
        if status == "active":
            department.status, department.successor_id = DepartmentStatus.ACTIVE, None
        after = columns_of(
            department, slugs=self._slugs | {department.id: department.slug}, topics=codes
        )
        if heir_id is not None:
            after |= {"status": "closed", "successor": heir or ""}
        change.cells = {
            column: (before.get(column, ""), after.get(column, ""))
            for column in [*before, *(column for column in after if column not in before)]
            if before.get(column, "") != after.get(column, "")
        }
        if not change.cells and image(department)["extra"] == was["extra"]:
            department.updated_at = changed_at
            return change
        change.action = Action.CHANGE
        if _edited_since(row.cells.get("updated_at"), changed_at) and not self._overwrite:
            change.action = Action.CONFLICT
            self._doing.refuse(department)
            return change
        for relation in ("parent_id", "deputy_id"):
            other = getattr(department, relation)
            if other and other not in self._made and other not in self._present_ids:
                setattr(department, relation, was[relation] and UUID(was[relation]))
                self._waiting.append((row.number, department.id, relation, other))
        if heir_id is not None:
            change.action = Action.CLOSE
        self._doing.amend(change, department, was)
        for code in gained:
            self._doing.move_topic(change, code, department.id)
        if heir_id is not None:
            self._doing.close(change, department, heir_id)
        return change

    def _set(
        self, row: Row, department: Department, cells: Mapping[str, str | None]
    ) -> list[Problem]:
        """Put the cells in one by one, so that every one that is wrong is said at once."""
        find, problems = self._find, []
        slug = cells.get("slug")
        wanted = slug or department.slug
        holder = self._ids.get(wanted) or self._former.get(wanted)
        if holder not in {None, department.id}:
            # Also one that another had: its old addresses still lead there.
            error = InvalidValue("slug.taken", slug=wanted, dept=self._slugs.get(holder, wanted))
            return [_problem(row, "slug", error)]
        try:
            set_columns(
                department,
                cells,
                region=self._settings.site.default_country,
                find=find,
                now=self._now,
            )
        except (CellInvalid, NotFound):
            problems = self._each_problem(row, department, cells)
        if department.id in self._cyclic and cells.get("parent"):
            dept = localised(department.name, "en")[0] or department.slug
            problems.append(_problem(row, "parent", InvalidValue("parent.cycle", dept=dept)))
        return problems

    def _each_problem(
        self, row: Row, department: Department, cells: Mapping[str, str | None]
    ) -> list[Problem]:
        groups: dict[str, dict[str, str | None]] = {}
        for column, text in cells.items():
            slot = slot_of(column)
            group = f"{slot.internal} {slot.kind} {slot.number}" if slot else column
            groups.setdefault(group, {})[column] = text
        problems = []
        for alike in groups.values():
            trial = _copied(department)
            try:
                set_columns(
                    trial,
                    alike,
                    region=self._settings.site.default_country,
                    find=self._find,
                    now=self._now,
                )
            except CellInvalid as error:
                problems.append(_problem(row, error.column, error.error))
            except NotFound:
                [(column, text)] = alike.items()
                unknown = InvalidValue("department.unknown", slug=text or "")
                problems.append(_problem(row, column, unknown))
        return problems

    def _clear_unlisted(
        self, row: Row, cells: dict[str, str | None], before: Mapping[str, str]
    ) -> None:
        """What a complete list of contact points does not have any more is cleared."""
        if not row.whole:
            return
        for column in before:
            slot = slot_of(column)
            if slot is None or column in cells:
                continue
            details = row.whole.get(Slot(slot.internal, slot.kind, 1, "").column)
            if details is None:
                continue
            listed = any(
                other is not None
                and (other.internal, other.kind, other.number)
                == (slot.internal, slot.kind, slot.number)
                for other in map(slot_of, cells)
            )
            if slot.detail in details or not listed:
                cells[column] = None

    def _drop_own_zone(self, cells: dict[str, str | None], before: str) -> None:
        """Formats that give every department a time zone give it the site's own."""
        if not before and cells.get("timezone") == self._settings.site.timezone:
            del cells["timezone"]

    def _desk_problems(
        self, row: Row, department: Department, was: Mapping[str, Any]
    ) -> list[Problem]:
        desk = self._settings.site.desk
        if was["slug"] != desk:
            return []
        if department.slug != desk:
            error = Conflict(f"“{desk}” is the desk ([site] desk) and keeps its name")
            return [_problem(row, "slug", error)]
        if department.mailbox is None:
            error = Conflict("The desk needs a mailbox: it receives what no rule does")
            return [_problem(row, "email", error)]
        return []

    def _topic_problems(
        self, row: Row, id: UUID, listed: Sequence[str], answered: Sequence[str]
    ) -> list[Problem]:
        problems = []
        for code in listed:
            if code not in self._topic_codes:
                problems.append(_problem(row, "topics", InvalidValue("topic.unknown"), code))
            elif (claim := self._claims.get(code, (row.number, id)))[1] != id:
                error = InvalidValue("topic.twice", topic=code, row=claim[0])
                problems.append(_problem(row, "topics", error, ""))
        for code in answered:
            if code not in listed and self._claims.get(code, (0, id))[1] == id:
                error = InvalidValue("topic.no_department", topic=code)
                problems.append(_problem(row, "topics", error, ""))
        return problems

    def _closing(
        self,
        row: Row,
        department: Department,
        status: str | None,
        heir: str | None,
        problems: list[Problem],
    ) -> UUID | None:
        """Who takes over, if the row closes its department."""
        if status in {None, "active"}:
            return None
        if status != DepartmentStatus.CLOSED:
            problems.append(_problem(row, "status", InvalidValue("status.unknown")))
            return None
        if not heir:
            problems.append(_problem(row, "status", InvalidValue("department.closing")))
            return None
        return self._may_close(row.number, department, heir, problems)

    def _may_close(
        self, row: int, department: Department, heir: str, problems: list[Problem]
    ) -> UUID | None:
        id = self._ids.get(heir)
        successor = self._session.get(Department, id) if id else None
        if successor is None:
            error: DirectoryError = InvalidValue("department.unknown", slug=heir)
            problems.append(Problem(row, "successor", "", "department.unknown", error))
            return None
        try:
            check_closing(
                self._session, department, successor, settings=self._settings, now=self._now
            )
            # Undoing the import puts departments back, and rules may have changed since.
            check_unnamed(self._session, department, settings=self._settings, now=self._now)
        except Conflict as conflict:
            problems.append(Problem(row, "status", "", "department.closing", conflict))
            return None
        return successor.id

    def _missing(self) -> Iterator[Change]:
        """Departments that are active and not in the file, closed into what stands above them."""
        rows = self._session.execute(
            sa.select(departments.c.id, departments.c.slug, departments.c.parent_id).where(
                departments.c.status == DepartmentStatus.ACTIVE
            )
        ).all()
        parents = {row.id: row.parent_id for row in rows}
        for row in rows:
            if row.id in self._rows or row.id in self._made:
                continue
            department = self._session.get_one(Department, row.id)
            change = Change(0, Action.CLOSE, subject=row.slug, id=row.id)
            change.name = localised(department.name, "en")[0]
            heir = row.parent_id
            while heir is not None and heir not in self._rows:
                heir = parents.get(heir)
            problems: list[Problem] = []
            if heir is None:
                error = InvalidValue("department.closing")
                problems.append(Problem(0, "successor", "", error.code, error))
            else:
                self._may_close(0, department, self._slugs[heir], problems)
            if problems:
                change.action, change.problems = Action.ERROR, problems
            else:
                assert heir is not None
                change.cells = {
                    "status": ("active", "closed"),
                    "successor": ("", self._slugs[heir]),
                }
                self._doing.close(change, department, heir)
            yield change

    def _dangling(self, row: int, id: UUID, relation: str, other: UUID) -> Change:
        """A department was taken whose parent could not be: it stands without."""
        slug = self._slugs[other]
        error = InvalidValue("department.unknown", slug=slug)
        column = relation.removesuffix("_id")
        problem = Problem(row, column, "", error.code, error)
        return Change(row, Action.ERROR, subject=self._slugs[id], id=id, problems=[problem])

    # ---------------------------------------------------------- what a page gave

    def _by_value(self, row: Row) -> tuple[UUID, str]:
        """The department that has most of the record's numbers and mailboxes, else a new one."""
        values = {text for column, text in row.cells.items() if text and slot_of(column)}
        shared = self._session.execute(
            sa.select(contact_points.c.department_id, sa.func.count())
            .where(
                contact_points.c.value.in_(values),
                contact_points.c.state != PointState.RETIRED,
            )
            .group_by(contact_points.c.department_id)
        ).all()
        if shared:
            best = max(shared, key=lambda it: (it[1], str(it[0])))
            return best[0], self._slugs[best[0]]
        slug = slug_from(row.cells.get("name_en") or "", row.cells.get("name_zh_hans") or "")
        found = self._ids.get(slug) or self._new.get(slug) or uuid4()
        self._rows.setdefault(found, row.number)
        return found, slug

    # ---------------------------------------------------------- topics and rules

    def _topic(self, row: Row) -> Change:
        values = dict(row.values) if isinstance(row.values, Mapping) else {}
        code = str(values.get("code") or "")
        change = Change(row.number, Action.ERROR, "topic", code)
        topic = self._session.scalar(sa.select(Topic).where(topics.c.code == code))
        department = (
            self._slugs.get(topic.department_id, "") if topic and topic.department_id else ""
        )
        before = _flat(topic_values(topic, department)) if topic else {}
        known = set(topic_values(Topic(code="x", label={}), ""))
        for key in values.keys() - known:
            change.problems.append(
                _problem(row, key, InvalidValue("column.unknown", column=str(key)[:60]))
            )
        try:
            Slug.parse(code.replace(".", "-"))
            if row.problem is not None:
                raise CellInvalid(row.problem[0], row.problem[2])
            if not values.get("label") and (row.whole or topic is None):
                raise CellInvalid("label", InvalidValue("topic.required"))
            if values.get("question"):
                values["question"] = _question(values["question"])
            if slug := values.get("department"):
                self._find(slug)
            elif topic is None:
                raise CellInvalid("department", InvalidValue("choice.unknown"))
        except CellInvalid as error:
            change.problems.append(_problem(row, error.column, error.error))
        except InvalidValue as error:
            change.problems.append(_problem(row, "code", error))
        except NotFound:
            unknown = InvalidValue("department.unknown", slug=str(values.get("department")))
            change.problems.append(_problem(row, "department", unknown))
        if change.problems:
            return change
        base = Topic(code=code, label={})
        whole = topic_values(base if row.whole or topic is None else topic, department)
        for name in ("label", "hint", "group"):
            if name in values and not row.whole:
                texts = {**(whole[name] or {}), **values[name]}
                values[name] = {tag: text for tag, text in texts.items() if text}
        whole |= values
        if "sort" not in values:
            whole["sort"] = topic.position if topic else row.number
        change.name = localised(whole["label"], "en")[0]
        after = _flat(whole)
        change.cells = {
            key: (before.get(key, ""), after.get(key, ""))
            for key in sorted({*before, *after})
            if before.get(key, "") != after.get(key, "")
        }
        change.action = Action.CHANGE if topic else Action.ADD
        change.id = topic.id if topic else None
        if not change.cells:
            change.action = Action.SAME
            return change
        self._doing.set_topic(change, whole | {"department_id": self._find(whole["department"])})
        return change

    def _rules(self, row: Row) -> Change:
        change = Change(row.number, Action.ERROR, "rules", "rules")
        before = current_rules(self._session, self._now, desk=self._settings.site.desk)
        try:
            after = RuleSet.read(
                before.version,
                row.values.get("rules", []),
                examples=row.values.get("examples", []),
                waivers=row.values.get("waivers", []),
            )
            for rule in after.rules:
                for slug in rule.recipients:
                    if "@" not in slug:
                        self._find(slug)
        except (RuleInvalid, NotFound) as error:
            change.problems.append(Problem(row.number, "", "", "rule.invalid", error))
            return change
        change.cells = _rule_cells(before, after)
        if not change.cells:
            change.action = Action.SAME
            return change
        change.action = Action.CHANGE
        self._doing.set_rules(change, after)
        return change


def _rule_cells(before: RuleSet, after: RuleSet) -> dict[str, tuple[str, str]]:
    """What differs: rules by their id, examples and waivers by their name, and the order."""
    old, new = _rule_texts(before), _rule_texts(after)
    cells = {
        name: (old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    }
    orders = [" ".join(rule.id for rule in rules.rules) for rules in (before, after)]
    if not cells and orders[0] != orders[1]:
        cells["order"] = (orders[0], orders[1])
    return cells


def _rule_texts(rules: RuleSet) -> dict[str, str]:
    return {
        **{rule.id: _dumped(rule.write()) for rule in rules.rules},
        **{f"example {it.name}": _dumped(it.write()) for it in rules.examples},
        **{f"waiver {it.name}": _dumped(it.write()) for it in rules.waivers},
    }


def _copied(department: Department) -> Department:
    """What a trial may change, of no session."""
    copy = Department(slug=department.slug, name=dict(department.name))
    copy.timezone, copy.hours = department.timezone, department.hours
    copy.exceptions = list(department.exceptions)
    copy.points = [
        ContactPoint(**{c.name: getattr(point, c.name) for c in contact_points.c})
        for point in department.points
    ]
    return copy


def slug_from(english: str, chinese: str) -> str:
    """A slug for a department that comes without: from its name, Chinese by its pinyin.

    Raises InvalidValue "department.no_slug" when neither has a letter to show.
    """
    for name in (english, " ".join(lazy_pinyin(chinese))):
        try:
            return str(Slug.from_name(name))
        except InvalidValue:
            continue
    raise InvalidValue("department.no_slug")


def image(department: Department) -> dict[str, Any]:
    """All that a department is, as JSON, to be put back as it was."""
    fields = {c.name: plain(getattr(department, c.name)) for c in departments.c}
    points = {
        str(point.id): {c.name: plain(getattr(point, c.name)) for c in contact_points.c}
        for point in department.points
    }
    return {**fields, "points": points}


def plain(value: Any) -> Any:
    """*value* as JSON keeps it."""
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case StrEnum():
            return value.value
        case dict():
            return dict(value)
        case list():
            return list(value)
    return value


def _problem(row: Row, column: str, error: DirectoryError, text: str | None = None) -> Problem:
    shown = row.cells.get(column) if text is None else text
    return Problem(row.number, column, (shown or "").strip(), getattr(error, "code", ""), error)


_NOT_DIALLED: Final = re.compile(r"[^0-9+]")


def _says_the_same(text: str | None, before: str) -> bool:
    """Whether a cell is what stands there already, a number in whatever grouping: most rows of
    most files are, and reading numbers is what costs.
    """
    given = (text or "").strip()
    if given == before:
        return True
    return (
        given[:1] == before[:1] == "+"
        and _NOT_DIALLED.sub("", given) == _NOT_DIALLED.sub("", before)
        and given.replace("-", "").replace(" ", "")[1:].isdecimal()
    )


def _own_problem(row: Row) -> Problem:
    assert row.problem is not None
    column, text, error = row.problem
    return Problem(row.number, column, text, error.code, error)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _edited_since(stamp: str | None, changed_at: datetime | None) -> bool:
    """Whether a department was changed after the export that a row comes from was written."""
    if not stamp or changed_at is None:
        return False
    try:
        at = datetime.fromisoformat(stamp.strip())
    except ValueError:
        return False
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at.microsecond == 0:  # vCard and JSON know seconds only
        changed_at = changed_at.replace(microsecond=0)
    return changed_at > at


def _in_cycles(parents: Mapping[UUID, UUID | None]) -> set[UUID]:
    """Every id from which a way up never ends."""
    state: dict[UUID, bool] = {}  # True: ends at a top
    for start in parents:
        way: list[UUID] = []
        on_way: set[UUID] = set()
        at: UUID | None = start
        while at is not None and at not in state and at not in on_way:
            way.append(at)
            on_way.add(at)
            at = parents.get(at)
        ends = at is None or state.get(at, False)
        for id in way:
            state[id] = ends
    return {id for id, ends in state.items() if not ends}


def _beside(row: Row, department: Department) -> dict[str, str | None]:
    """A page's record put beside what a department has: the one fax on both sides is the same
    fax, changed; a second number is one more.
    """
    present: dict[PointKind, list[str]] = {}
    for point, slot in slots_of(department, private=False):
        present.setdefault(slot.kind, []).append(point.value)
    known = {value for values in present.values() for value in values}
    given: dict[PointKind, list[str]] = {}
    for column, text in row.cells.items():
        place = slot_of(column)
        if place and not place.detail and text and text not in known:
            given.setdefault(place.kind, []).append(column)
    cells: dict[str, str | None] = {}
    for kind, columns in given.items():
        has = len(present.get(kind, ()))
        numbered = [c for c in row.cells if (s := slot_of(c)) and s.kind is kind and not s.detail]
        replaces = has == 1 and len(numbered) == 1
        for number, column in enumerate(columns, 1 if replaces else has + 1):
            own = Slot(False, kind, number, "").column
            cells[own] = row.cells[column]
            if extension := row.cells.get(f"{column}_ext"):
                cells[f"{own}_ext"] = extension
    if not department.public_points(PointKind.PHYSICAL, PointKind.POSTAL):
        cells |= {c: t for c, t in row.cells.items() if c.startswith("street_") or c == "country"}
    return cells


def _question(value: Any) -> dict[str, Any]:
    try:
        return Question.read(value).write()
    except InvalidValue as error:
        raise CellInvalid("question", error) from error


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else _dumped(value)
        for key, value in values.items()
        if value not in (None, "", {}, [])
    }


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
