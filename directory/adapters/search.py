"""The full-text index: FTS5 on SQLite, tsvector on PostgreSQL, fed the same terms.

Neither database decides anything: where words begin, what is a slip and what comes first is said
in ``domain/terms.py``, and both are only asked which records have all of some terms. So both find
the same records in the same order.

A search costs the same in a large directory as in a small one. Records are numbered by a hash of
their id, and the candidates of a word that very many have are those with the lowest numbers: a
sample that no property of the records can skew. Whoever types "office" into a directory of a
hundred thousand is shown some hundreds and told to add a word.

``db.py`` sees to it that every change of a department, contact point or topic is indexed in its
own transaction. Who writes rows past the session's objects names them to its ``note_written``, or
calls :func:`rebuild` after many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import Database, contact_points, departments, topics
from directory.domain.contacts import (
    ADDRESS_KINDS,
    PHONE_KINDS,
    DepartmentStatus,
    PointKind,
    PointState,
    localised,
)
from directory.domain.terms import VERSION, Caller, Clauses, Entry, Query, fold, in_order

# How many candidates are ranked; a query with more is told to say more.
MOST: Final = 500
# What only comes near is looked at more closely, and nobody reads on for long.
_MOST_NEAR: Final = 200
_CHUNK: Final = 500
# From this share of a directory on, making the index anew is cheaper than mending it.
_REBUILD_FROM: Final = 2_000

_DEPARTMENT: Final = "d"
_TOPIC: Final = "t"

# Numbers have 62 bits; those of topics, which are few, come before all departments'.
_BITS: Final = 62
_TOPIC_BITS: Final = 40

# On PostgreSQL, whose index knows no order: a record whose number is in the lowest 2^-k of all
# carries the term of level k, so that a sample of known size can be asked for.
_LEVELS: Final = 16
_FIRST_LEVEL: Final = 6
_LEVEL_MARK: Final = "⊂"

# Not the model's tables: migrations.is_ours leaves "search_" out of account.
_metadata = sa.MetaData()

entries = sa.Table(
    "search_entry",
    _metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(1), nullable=False),
    sa.Column("subject", sa.Uuid, nullable=False),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("also", sa.Text, nullable=False),
    sa.Column("sort_en", sa.Text, nullable=False),
    sa.Column("sort_zh", sa.Text, nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
)
_state = sa.Table(
    "search_state",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)


# Searching


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that answers. ``also`` is the name it was found by, where its page shows another:
    a former name, one of a department that was closed into it; "" otherwise.
    """

    id: UUID
    rank: int
    also: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of departments and one of topics, the best first, and how many there are of each.

    ``near`` says that nothing has the words as they were typed, and these come near. ``more``
    says that there are more than were looked at.
    """

    departments: tuple[Hit, ...] = ()
    topics: tuple[Hit, ...] = ()
    department_count: int = 0
    topic_count: int = 0
    near: bool = False
    more: bool = False


class _Candidate(NamedTuple):
    number: int
    kind: str
    names: str
    also: str
    sort: str


def search(
    session: Session, query: Query, *, language: str, offset: int = 0, limit: int = 20
) -> Found:
    """What answers *query*, in the order of a list in *language*: by rank (``Query.rank``), then
    by name (Chinese by pinyin), then by number.

    *limit* departments from the *offset*-th on, and as many topics from the first.
    """
    if not query:
        return Found()
    near = False
    candidates = {it.number: it for it in _look(session, query.whole, MOST, language)}
    strict = _look(session, query.strict, MOST + 1, language)
    more = len(strict) > MOST
    candidates |= {it.number: it for it in strict[:MOST]}
    if not candidates and query.loose:
        loose = _look(session, query.loose, _MOST_NEAR + 1, language)
        more = len(loose) > _MOST_NEAR
        is_near = query.nearness()
        candidates = {it.number: it for it in loose[:_MOST_NEAR] if is_near(it.names)}
        near = bool(candidates)
    rank = query.misses if near else query.rank
    ordered = sorted((rank(it.names), it.sort, it.number) for it in candidates.values())
    page: dict[str, list[tuple[int, _Candidate]]] = {_DEPARTMENT: [], _TOPIC: []}
    for place, _, number in ordered:
        page[candidates[number].kind].append((place, candidates[number]))
    return Found(
        departments=_hits(session, query, page[_DEPARTMENT][offset : offset + limit]),
        topics=_hits(session, query, page[_TOPIC][:limit]),
        department_count=len(page[_DEPARTMENT]),
        topic_count=len(page[_TOPIC]),
        near=near,
        more=more,
    )


def _hits(
    session: Session, query: Query, shown: Sequence[tuple[int, _Candidate]]
) -> tuple[Hit, ...]:
    if not shown:
        return ()
    numbers = [it.number for _, it in shown]
    rows = session.execute(
        sa.select(entries.c.number, entries.c.subject).where(entries.c.number.in_(numbers))
    )
    ids = {row.number: row.subject for row in rows}
    return tuple(Hit(ids[it.number], place, _known_as(it, query)) for place, it in shown)


@dataclass(frozen=True, slots=True)
class Owned:
    """A number of ours: whose, and what it is."""

    department_id: UUID
    kind: PointKind
    value: str
    extension: str


def whose(session: Session, caller: Caller) -> list[Owned]:
    """The published numbers that *caller* is, in the order of their departments' ids."""
    numbers = [it.number for it in _look(session, caller.terms, _CHUNK, "en")]
    if not numbers:
        return []
    asked = sa.select(entries.c.subject).where(entries.c.number.in_(numbers))
    rows = session.execute(
        sa.select(
            contact_points.c.department_id,
            contact_points.c.kind,
            contact_points.c.value,
            contact_points.c.extension,
        )
        .where(
            contact_points.c.department_id.in_(asked),
            contact_points.c.kind.in_(PHONE_KINDS),
            *_PUBLISHED,
        )
        .order_by(contact_points.c.department_id, contact_points.c.position)
    )
    return [Owned(*row) for row in rows if caller.is_of(row.value)]


def _known_as(candidate: _Candidate, query: Query) -> str:
    if not candidate.also:
        return ""
    names = candidate.also.split("\n")
    ranked = [(query.rank(_keys_of(name)), name) for name in names]
    best, name = min(ranked)
    shown = candidate.names
    for other in names:
        shown = shown.replace(_keys_of(other)[1:], "")
    return name if best < query.rank(shown) else ""


def _keys_of(name: str) -> str:
    entry = Entry()
    entry.add_key(name)
    return entry.keys


def _look(session: Session, clauses: Clauses, limit: int, language: str) -> list[_Candidate]:
    """The *limit* records of the lowest numbers that have a term of every clause."""
    if not clauses:
        return []
    sort = "sort_zh" if language == "zh-Hans" else "sort_en"
    if not _is_sqlite(session):
        return _look_in_samples(session, clauses, limit, sort)
    found = session.execute(_SQLITE_LOOK[sort], {"terms": _fts5(clauses), "limit": limit})
    return list(map(_Candidate._make, found.all()))


_SORTS: Final = ("sort_en", "sort_zh")
_SQLITE_LOOK: Final = {
    sort: sa.text(
        f"SELECT number, kind, names, also, {sort} "  # noqa: S608
        "FROM search_terms CROSS JOIN search_entry ON number = search_terms.rowid "
        "WHERE search_terms MATCH :terms ORDER BY search_terms.rowid LIMIT :limit"
    )
    for sort in _SORTS
}
# Materialised, for a planner that believes the words to be common would rather walk all numbers
# in order, and meet a rare one never. Row by row at the end, for one that knows nothing of the
# table yet would read the whole of it.
_POSTGRESQL_FIRST: Final = (
    "first AS MATERIALIZED (SELECT number FROM hit ORDER BY number LIMIT :limit) "
    "SELECT entry.*, {seen} FROM first CROSS JOIN LATERAL "
    "(SELECT number, kind, names, also, {sort} FROM search_entry "
    "WHERE search_entry.number = first.number LIMIT 1) AS entry ORDER BY number"
)
_POSTGRESQL_LOOK: Final = {
    sort: sa.text(
        "WITH hit AS MATERIALIZED "  # noqa: S608
        "(SELECT number FROM search_terms WHERE terms @@ CAST(:terms AS tsquery)), "
        + _POSTGRESQL_FIRST.format(sort=sort, seen="0")
    )
    for sort in _SORTS
}
# The sample, and in the same question everything where the sample shows that it is not much.
_POSTGRESQL_SAMPLE: Final = {
    sort: sa.text(
        "WITH sample AS MATERIALIZED "  # noqa: S608
        "(SELECT number FROM search_terms WHERE terms @@ CAST(:sample AS tsquery)), "
        "hit AS MATERIALIZED (SELECT number FROM search_terms "
        "WHERE terms @@ CAST(:terms AS tsquery) AND (SELECT count(*) FROM sample) <= :few "
        "UNION ALL SELECT number FROM sample WHERE (SELECT count(*) FROM sample) > :few), "
        + _POSTGRESQL_FIRST.format(sort=sort, seen="(SELECT count(*) FROM sample)")
    )
    for sort in _SORTS
}


def _look_in_samples(session: Session, clauses: Clauses, limit: int, sort: str) -> list[_Candidate]:
    # Reading a table of few pages looks cheap to the planner, who does not count what it costs to
    # fetch each row's terms from where they are kept. For this transaction; once in it.
    if session.info.get("search_in") is not (here := session.connection()):
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        session.info["search_in"] = here
    few = 4 * limit >> _FIRST_LEVEL
    asked = {"terms": _tsquery(clauses), "limit": limit}
    sample = {"sample": _in_sample(clauses, _FIRST_LEVEL), "few": few}
    found = session.execute(_POSTGRESQL_SAMPLE[sort], asked | sample).all()
    seen = found[0][-1] if found else 0
    if few < seen < limit:
        # The smallest sample that very likely has enough; else everything.
        level = ((seen << _FIRST_LEVEL) // (2 * limit)).bit_length() - 1
        for terms in (_in_sample(clauses, level), asked["terms"]):
            found = session.execute(_POSTGRESQL_LOOK[sort], asked | {"terms": terms}).all()
            if len(found) >= limit:
                break
    return [_Candidate._make(row[:-1]) for row in found]


def _in_sample(clauses: Clauses, level: int) -> str:
    return _tsquery((*clauses, (f"{_LEVEL_MARK}{level}",)) if level else clauses)


def _fts5(clauses: Clauses) -> str:
    """A query of FTS5: every term a string in quotes, so that none is an operator."""
    return " AND ".join(
        "(" + " OR ".join(f'"{term}"' for term in clause) + ")" for clause in clauses
    )


def _tsquery(clauses: Clauses) -> str:
    return " & ".join("(" + " | ".join(f"'{term}'" for term in clause) + ")" for clause in clauses)


# Indexing


def index_many(
    session: Session,
    department_ids: Iterable[UUID] = (),
    topic_ids: Iterable[UUID] = (),
) -> None:
    """Bring the index in step with these records as they now stand in the transaction.

    For those who write rows themselves: flush first. Records that are gone, closed or not
    offered leave the index; successors of closed departments are seen to.
    """
    wanted = set(department_ids)
    wanted |= _successors(session, wanted)
    wanted_topics = set(topic_ids)
    if len(wanted) + len(wanted_topics) > max(_REBUILD_FROM, _size(session) // 4):
        rebuild(session)
        return
    _one_at_a_time(session)
    for chunk in _chunks(wanted, wanted_topics):
        _write(session, chunk, _made(session, chunk))
    session.info.pop("index_unknown", None)


def rebuild(session: Session) -> None:
    """Make the whole index anew, in the caller's transaction; on PostgreSQL others search the
    old one until that commits.
    """
    _one_at_a_time(session)
    session.flush()
    active = departments.c.status == DepartmentStatus.ACTIVE
    ids = session.scalars(sa.select(departments.c.id).where(active)).all()
    topic_ids = session.scalars(sa.select(topics.c.id).where(topics.c.active)).all()
    session.execute(sa.delete(entries))
    sqlite = _is_sqlite(session)
    for statement in _SQLITE_ANEW if sqlite else _POSTGRESQL_ANEW:
        session.execute(sa.text(statement))
    for chunk in _chunks(ids, topic_ids):
        _add(session, _made(session, chunk), table="search_terms" if sqlite else "search_anew")
    for statement in _SQLITE_DONE if sqlite else _POSTGRESQL_DONE:
        session.execute(sa.text(statement))
    session.execute(sa.update(_state).values(version=VERSION))
    session.info.pop("index_unknown", None)


def bring_up(database: Database) -> None:
    """Make the index if there is none, or one that another release made."""
    with database.reading() as session:
        if session.scalar(sa.select(_state.c.version)) == VERSION:
            return
    with database.writing() as session:
        rebuild(session)


# A virtual table is emptied row by row, but dropped at once.
_SQLITE_ANEW: Final = (
    "DROP TABLE search_terms",
    "CREATE VIRTUAL TABLE search_terms "
    "USING fts5(terms, tokenize = 'ascii', detail = none, columnsize = 0)",
)
_SQLITE_DONE: Final = ("INSERT INTO search_terms (search_terms) VALUES ('optimize')",)
_POSTGRESQL_ANEW: Final = (
    "CREATE TABLE search_anew (number bigint, terms tsvector NOT NULL) "
    "WITH (toast_tuple_target = 128)",
)
# An index is built at once in a fraction of the time it takes to grow.
_POSTGRESQL_DONE: Final = (
    "SET LOCAL maintenance_work_mem = '256MB'",
    "ALTER TABLE search_anew ADD CONSTRAINT pk_search_anew PRIMARY KEY (number)",
    "CREATE INDEX ix_search_anew_terms ON search_anew USING gin (terms) WITH (fastupdate = off)",
    "ANALYZE search_anew",
    "ANALYZE search_entry",
    "DROP TABLE search_terms",
    "ALTER TABLE search_anew RENAME TO search_terms",
    "ALTER TABLE search_terms RENAME CONSTRAINT pk_search_anew TO pk_search_terms",
    "ALTER INDEX ix_search_anew_terms RENAME TO ix_search_terms_terms",
)


class _Key(NamedTuple):
    """What is indexed: ordered by number, for FTS5 wants its rows in order."""

    number: int
    kind: str
    subject: UUID


def _key(kind: str, subject: UUID) -> _Key:
    hashed = int.from_bytes(hashlib.blake2b(subject.bytes, digest_size=8).digest(), "big")
    return _Key(hashed >> 64 - (_BITS if kind == _DEPARTMENT else _TOPIC_BITS), kind, subject)


def _chunks(department_ids: Iterable[UUID], topic_ids: Iterable[UUID]) -> Iterator[list[_Key]]:
    keys = [_key(_DEPARTMENT, id) for id in department_ids]
    keys += [_key(_TOPIC, id) for id in topic_ids]
    keys.sort()
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _one_at_a_time(session: Session) -> None:
    # Two transactions that change one department, each blind to the other's change, would each
    # index half of it. The second waits here and then sees what the first committed.
    if not _is_sqlite(session):
        session.execute(sa.text("SELECT pg_advisory_xact_lock(7205)"))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _size(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(entries)) or 0


def _write(session: Session, keys: Sequence[_Key], made: Sequence[dict[str, Any]]) -> None:
    """Put *made* in place of what is kept under *keys*; what did not change is left alone."""
    numbers = [key.number for key in keys]
    rows = session.execute(
        sa.select(entries.c.number, entries.c.digest).where(entries.c.number.in_(numbers))
    )
    kept = {row.number: row.digest for row in rows}
    fresh = [values for values in made if kept.get(values["number"]) != values["digest"]]
    same = {values["number"] for values in made} - {values["number"] for values in fresh}
    gone = sorted(kept.keys() - same)
    if gone:
        session.execute(sa.delete(entries).where(entries.c.number.in_(gone)))
        column = "rowid" if _is_sqlite(session) else "number"
        session.execute(
            sa.text(f"DELETE FROM search_terms WHERE {column} = :number"),  # noqa: S608
            [{"number": number} for number in gone],
        )
    _add(session, fresh, table="search_terms")


def _add(session: Session, made: Sequence[dict[str, Any]], *, table: str) -> None:
    if not made:
        return
    columns = entries.c.keys()
    session.execute(
        sa.insert(entries), [{name: values[name] for name in columns} for values in made]
    )
    if _is_sqlite(session):
        statement = f"INSERT INTO {table} (rowid, terms) VALUES (:number, :terms)"  # noqa: S608
        rows = [{"number": it["number"], "terms": " ".join(it["terms"])} for it in made]
    else:
        statement = (
            f"INSERT INTO {table} (number, terms) "  # noqa: S608
            "VALUES (:number, CAST(:terms AS tsvector))"
        )
        rows = [
            {
                "number": it["number"],
                "terms": " ".join(f"'{term}'" for term in (*it["terms"], *_levels(it["number"]))),
            }
            for it in made
        ]
    session.execute(sa.text(statement), rows)


def _levels(number: int) -> list[str]:
    return [f"{_LEVEL_MARK}{k}" for k in range(1, _LEVELS + 1) if number < 1 << _BITS - k]


# What is public of a record


_PUBLISHED: Final = (
    contact_points.c.public.is_(True),
    contact_points.c.state != PointState.RETIRED,
)


def _made(session: Session, keys: Sequence[_Key]) -> list[dict[str, Any]]:
    """The entries of those of *keys* that visitors may find, in order."""
    ids = [key.subject for key in keys if key.kind == _DEPARTMENT]
    topic_ids = [key.subject for key in keys if key.kind == _TOPIC]
    made = _departments(session, ids) | _topics(session, topic_ids)
    return [
        {"number": key.number, "kind": key.kind, "subject": key.subject, **made[key.subject]}
        for key in keys
        if key.subject in made
    ]


def _departments(session: Session, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    if not ids:
        return {}
    active = departments.c.status == DepartmentStatus.ACTIVE
    found = session.execute(
        sa.select(*_NAMES, departments.c.slug).where(departments.c.id.in_(ids), active)
    ).all()
    parts: dict[UUID, Entry] = {}
    for row in found:
        entry = parts[row.id] = Entry()
        for name in (*row.name.values(), *row.short_name.values()):
            entry.add_name(name)
        for name in row.other_names:
            entry.add_name(name, shown=False)
        entry.add_text(row.slug)
    for id, closed in _closed_into(session, list(parts)):
        for name in (*closed.name.values(), *closed.short_name.values(), *closed.other_names):
            parts[id].add_name(name, shown=False)
    _add_points(session, parts)
    labels = session.execute(
        sa.select(topics.c.department_id, topics.c.label).where(
            topics.c.department_id.in_(list(parts)), topics.c.active
        )
    )
    for topic in labels:
        for label in topic.label.values():
            parts[topic.department_id].add_text(label)
    return {row.id: _values(parts[row.id], row.name) for row in found}


_NAMES: Final = (
    departments.c.id,
    departments.c.name,
    departments.c.short_name,
    departments.c.other_names,
)


def _add_points(session: Session, parts: Mapping[UUID, Entry]) -> None:
    points = session.execute(
        sa.select(
            contact_points.c.department_id,
            contact_points.c.kind,
            contact_points.c.value,
            contact_points.c.address,
            contact_points.c.label,
        ).where(contact_points.c.department_id.in_(list(parts)), *_PUBLISHED)
    )
    for point in points:
        entry = parts[point.department_id]
        for label in point.label.values():
            entry.add_text(label)
        if point.kind in PHONE_KINDS:
            entry.add_number(point.value)
        elif point.kind is PointKind.EMAIL:
            entry.add_mailbox(point.value)
        elif point.kind in ADDRESS_KINDS:
            for lines in point.address.get("lines", {}).values():
                for line in lines:
                    entry.add_text(line)
            for place in point.address.get("locality", {}).values():
                entry.add_text(place)


def _topics(session: Session, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    if not ids:
        return {}
    made = {}
    for row in session.execute(
        sa.select(topics.c.id, topics.c.code, topics.c.label, topics.c.hint).where(
            topics.c.id.in_(ids), topics.c.active
        )
    ):
        entry = Entry()
        for label in row.label.values():
            entry.add_name(label)
        for text in (row.code, *row.hint.values()):
            entry.add_text(text)
        made[row.id] = _values(entry, row.label)
    return made


def _values(entry: Entry, name: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "names": entry.keys,
        "also": "\n".join(entry.also),
        "sort_en": fold(localised(name, "en")[0]),
        "sort_zh": in_order(localised(name, "zh-Hans")[0]),
        "terms": sorted(entry.terms),
    }
    content = "\n\n".join((*values["terms"], entry.keys, *entry.also, *sorted(name.values())))
    values["digest"] = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return values


def _closed_into(session: Session, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Any]]:
    """Every closed department that leads to one of *ids*, with the one it leads to."""
    heirs = {id: id for id in ids}
    ask = list(ids)
    while ask:
        rows = session.execute(
            sa.select(*_NAMES, departments.c.successor_id).where(
                departments.c.successor_id.in_(ask),
                departments.c.status == DepartmentStatus.CLOSED,
            )
        ).all()
        ask = []
        for row in rows:
            if row.id not in heirs:
                heirs[row.id] = heirs[row.successor_id]
                ask.append(row.id)
                yield heirs[row.id], row


def _successors(session: Session, ids: set[UUID]) -> set[UUID]:
    """Those that *ids* lead to, each in its turn."""
    found: set[UUID] = set()
    ask = list(ids)
    while ask:
        heirs: set[UUID] = set()
        for start in range(0, len(ask), _CHUNK):
            rows = session.scalars(
                sa.select(departments.c.successor_id).where(
                    departments.c.id.in_(ask[start : start + _CHUNK]),
                    departments.c.successor_id.is_not(None),
                )
            )
            heirs.update(id for id in rows if id is not None)
        ask = list(heirs - found - ids)
        found |= heirs
    return found
