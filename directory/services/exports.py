"""The directory as files, written a few hundred departments at a time.

Every function streams: a hundred thousand departments need no more memory than five hundred.
Without ``private`` only what is public leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, departments, topics
from directory.adapters.formats import FORMATS, Entry, Site, Writing, cells_of
from directory.adapters.formats.documents import topic_toml, topic_values
from directory.adapters.formats.rule_file import write_rules
from directory.adapters.formats.tables import write_csv as write_table
from directory.adapters.formats.tables import write_xlsx as pack_table
from directory.adapters.formats.vcard import Version
from directory.adapters.queries import current_rules
from directory.domain.columns import Slot, in_order
from directory.domain.contacts import (
    ADDRESS_KINDS,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
    by_position,
)
from directory.services.contacts import hours_of, reply_days_of
from directory.services.import_files import TOPIC_COLUMNS
from directory.settings import Settings

CHUNK = 500


def site_of(settings: Settings, now: datetime) -> Site:
    """What exports say of this installation."""
    return Site(
        base_url=settings.site.base_url,
        name=dict(settings.site.name),
        timezone=settings.site.timezone,
        default_country=settings.site.default_country,
        now=now,
    )


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around every department, read once."""

    slugs: Mapping[UUID, str]
    topics: Mapping[UUID, tuple[Topic, ...]]


def _around(session: Session) -> _Around:
    slugs = {
        row.id: row.slug for row in session.execute(sa.select(departments.c.id, departments.c.slug))
    }
    found: dict[UUID, list[Topic]] = {}
    for topic in by_position(session.scalars(sa.select(Topic).where(topics.c.active))):
        if topic.department_id:
            found.setdefault(topic.department_id, []).append(topic)
    return _Around(slugs, {id: tuple(several) for id, several in found.items()})


def entries(
    session: Session, *, settings: Settings, private: bool = False, closed: bool = False
) -> Iterator[Entry]:
    """Every department as the tree is read, with what stands around it."""
    around = _around(session)
    ids = _in_tree_order(session, closed=closed)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = {
            department.id: department
            for department in session.scalars(
                sa.select(Department).where(departments.c.id.in_(chunk))
            )
        }
        for id in chunk:
            yield _entry(found[id], around, settings=settings, private=private)
        for department in found.values():
            for point in department.points:
                session.expunge(point)
            session.expunge(department)


def entry_of(
    session: Session, department: Department, *, settings: Settings, private: bool = False
) -> Entry:
    """One department with what stands around it."""
    related = {department.parent_id, department.deputy_id, department.successor_id} - {None}
    rows = session.execute(
        sa.select(departments.c.id, departments.c.slug).where(departments.c.id.in_(related))
    )
    offered = session.scalars(
        sa.select(Topic).where(topics.c.active, topics.c.department_id == department.id)
    )
    around = _Around(
        {row.id: row.slug for row in rows}, {department.id: tuple(by_position(offered))}
    )
    return _entry(department, around, settings=settings, private=private)


def _entry(department: Department, around: _Around, *, settings: Settings, private: bool) -> Entry:
    def slug(id: UUID | None) -> str:
        return around.slugs.get(id, "") if id else ""

    return Entry(
        department,
        parent=slug(department.parent_id),
        deputy=slug(department.deputy_id),
        successor=slug(department.successor_id),
        topics=around.topics.get(department.id, ()),
        hours=hours_of(department, settings=settings),
        reply_days=reply_days_of(department, None, settings=settings),
        private=private,
    )


def _in_tree_order(session: Session, *, closed: bool) -> list[UUID]:
    wanted = sa.select(departments.c.id, departments.c.parent_id).order_by(
        departments.c.position, departments.c.slug
    )
    if not closed:
        wanted = wanted.where(departments.c.status == DepartmentStatus.ACTIVE)
    rows = session.execute(wanted).all()
    known = {row.id for row in rows}
    below: dict[UUID | None, list[UUID]] = {}
    for row in rows:
        below.setdefault(row.parent_id if row.parent_id in known else None, []).append(row.id)
    ordered: list[UUID] = []
    waiting = below.pop(None, [])[::-1]
    while waiting:
        ordered.append(id := waiting.pop())
        waiting.extend(below.pop(id, [])[::-1])
    return ordered


def count(session: Session, *, closed: bool = False) -> int:
    """How many departments an export has."""
    wanted = sa.select(sa.func.count()).select_from(departments)
    if not closed:
        wanted = wanted.where(departments.c.status == DepartmentStatus.ACTIVE)
    return session.scalar(wanted) or 0


def columns_needed(session: Session, *, private: bool) -> list[str]:
    """The columns a table of every department has: those of the contract, and as many further
    ones as any department fills."""
    point = contact_points.c
    hidden = sa.and_(point.kind == PointKind.EMAIL, point.routing, sa.not_(point.public))
    numbered = (
        sa.select(
            point.public,
            point.kind,
            sa.func.row_number()
            .over(
                partition_by=(point.department_id, point.kind, point.public),
                order_by=(point.position, point.id),
            )
            .label("number"),
            sa.case((point.extension != "", 1), else_=0).label("ext"),
            *(
                sa.case((_has(column), 1), else_=0).label(column.name)
                for column in (point.label, point.note, point.languages)
            ),
        )
        .where(point.state != PointState.RETIRED, sa.not_(hidden))
        .subquery()
    )
    found = session.execute(
        sa.select(
            numbered.c.public,
            numbered.c.kind,
            numbered.c.number,
            *(sa.func.max(numbered.c[name]) for name in ("ext", "label", "note", "languages")),
        ).group_by(numbered.c.public, numbered.c.kind, numbered.c.number)
    )
    needed: set[str] = set()
    for public, kind, number, ext, label, note, languages in found:
        details = ["ext"] if ext else []
        details += ["label_en", "label_zh_hans"] if label else []
        details += ["note_en", "note_zh_hans"] if note else []
        details += ["languages"] if languages else []
        details += list(_ADDRESS) if kind in ADDRESS_KINDS else [""]
        needed |= {Slot(not public, kind, number, detail).column for detail in details}
    for column, filled in (
        ("not_here", ("not_here_en", "not_here_zh_hans")),
        ("exceptions", ("closures", "closures_en", "closures_zh_hans")),
        ("successor_id", ("successor",)),
        ("deputy_id", ("deputy",)),
    ):
        of = departments.c[column]
        is_filled = of.is_not(None) if column.endswith("_id") else _has(of)
        if session.scalar(sa.select(sa.literal(1)).where(is_filled).limit(1)):
            needed.update(filled)
    return in_order(needed, private=private)


_ADDRESS = (
    *("street_en", "locality_en", "region_en", "street_zh_hans", "locality_zh_hans"),
    *("region_zh_hans", "postcode", "country", "lat", "lon"),
)


def _has(column: sa.Column[object]) -> sa.ColumnElement[bool]:
    """Whether a JSON column holds anything, in either database."""
    return sa.cast(column, sa.Text).not_in(["{}", "[]", "null"])


# What is asked for by name


def write_csv(
    session: Session,
    *,
    settings: Settings,
    now: datetime,
    private: bool = False,
    closed: bool = False,
    raw: bool = False,
) -> Iterator[str]:
    """The whole directory as CSV, a line at a time, its byte order mark first."""
    return write(
        session, "csv", settings=settings, now=now, private=private, closed=closed, raw=raw
    )


def write_vcards(
    session: Session,
    *,
    settings: Settings,
    now: datetime,
    version: Version = "4.0",
    language: str = "en",
) -> Iterator[str]:
    """Every active department as a vCard."""
    return write(session, "vcf", settings=settings, now=now, version=version, language=language)


def write_json(session: Session, *, settings: Settings, now: datetime) -> Iterator[str]:
    """Every active department in the API's shape, as a list of the API."""
    return write(session, "json", settings=settings, now=now)


def write(
    session: Session,
    format: str,
    *,
    settings: Settings,
    now: datetime,
    private: bool = False,
    closed: bool = False,
    raw: bool = False,
    version: Version = "4.0",
    language: str = "en",
) -> Iterator[str]:
    """The departments in any text *format* of FORMATS, piece by piece."""
    known = FORMATS[format]
    assert known.write is not None
    how = Writing(
        columns=columns_needed(session, private=private) if format == "csv" else (),
        total=count(session, closed=closed),
        language=language,
        version=version,
        raw=raw,
    )
    found = entries(session, settings=settings, private=private, closed=closed)
    return known.write(found, site_of(settings, now), how)


def pack_xlsx(
    session: Session, *, settings: Settings, private: bool = False, closed: bool = False
) -> bytes:
    """The departments as a workbook."""
    columns = columns_needed(session, private=private)
    found = entries(session, settings=settings, private=private, closed=closed)
    return pack_table(columns, map(cells_of, found))


# Topics and rules


def topics_in_order(session: Session) -> list[tuple[Topic, str]]:
    """Every topic, offered or not, with the slug of its department."""
    around = _around(session)
    found = by_position(session.scalars(sa.select(Topic)))
    return [
        (it, around.slugs.get(it.department_id, "") if it.department_id else "") for it in found
    ]


def topic_cells(topic: Topic, department: str) -> dict[str, str]:
    """A topic as a row of TOPIC_COLUMNS."""
    row: dict[str, str] = {
        "code": topic.code,
        "department": department,
        "reply_days": str(topic.reply_days or ""),
        "acknowledge": "yes" if topic.acknowledge else "no",
        "sensitive": "yes" if topic.sensitive else "no",
        "active": "yes" if topic.active else "no",
        "sort": str(topic.position),
    }
    for name, texts in (("label", topic.label), ("hint", topic.hint), ("group", topic.group)):
        row[f"{name}_en"], row[f"{name}_zh_hans"] = texts.get("en", ""), texts.get("zh-Hans", "")
    return row


def write_topics(session: Session, format: str, *, raw: bool = False) -> Iterator[str]:
    """Every topic as "csv", "json", "jsonl" or "toml"."""
    found = topics_in_order(session)
    if format == "toml":
        yield from (topic_toml(topic, department) for topic, department in found)
    elif format == "csv":
        rows = (topic_cells(topic, department) for topic, department in found)
        yield from write_table(
            TOPIC_COLUMNS, rows, numeric=frozenset({"sort", "reply_days"}), raw=raw
        )
    else:
        from directory.adapters.formats import documents

        items = [topic_values(topic, department) for topic, department in found]
        yield from (
            documents.write_jsonl(items)
            if format == "jsonl"
            else documents.write_json(items, len(items))
        )


def rules_toml(session: Session, *, now: datetime, desk: str) -> Iterator[str]:
    """The published rules as a rule file."""
    yield from write_rules(current_rules(session, now, desk=desk))
