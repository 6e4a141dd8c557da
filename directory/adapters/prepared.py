"""Statements on the way of every enquiry, written once for each database.

SQLAlchemy writes them and knows how each value is stored, and is asked for both once; looking its
own answer up again, with the values to be handed over, took half of each statement's time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

Values = Mapping[str, Any]
Give = Callable[[Values], Any]


class Prepared:
    """One statement with named values. Results come as the driver has them."""

    def __init__(self, statement: sa.sql.base.Executable) -> None:
        self._statement = statement
        self._written: dict[str, tuple[str, Give]] = {}

    def first(self, session: Session, values: Values) -> Any:
        """The first row, or None."""
        return self._run(session, values).first()

    def all(self, session: Session, values: Values) -> Sequence[Any]:
        """Every row."""
        return self._run(session, values).all()

    def write(self, session: Session, values: Values) -> int:
        """How many rows it wrote."""
        return self._run(session, values).rowcount

    def _run(self, session: Session, values: Values) -> sa.CursorResult[Any]:
        connection = session.connection()
        dialect = connection.dialect
        sql, give = self._written.get(dialect.name) or self._write_for(dialect)
        return connection.exec_driver_sql(sql, give(values))

    def _write_for(self, dialect: sa.Dialect) -> tuple[str, Give]:
        compiled = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        processors: dict[str, Callable[[Any], Any] | None] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
        }
        fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        names: Sequence[str] | None = compiled.positiontup
        give: Give
        if names is None:
            named = tuple(processors.items())

            def give(values: Values) -> Any:
                known = {**fixed, **values} if fixed else values
                return {
                    name: process(known[name]) if process else known[name]
                    for name, process in named
                }

        else:
            in_order = tuple((name, processors[name]) for name in names)

            def give(values: Values) -> Any:
                known = {**fixed, **values} if fixed else values
                return tuple(
                    [process(known[name]) if process else known[name] for name, process in in_order]
                )

        self._written[dialect.name] = str(compiled), give
        return str(compiled), give


class Rows:
    """INSERT into *table*, of however many whole rows at once."""

    def __init__(self, table: sa.Table) -> None:
        self.names = tuple(column.name for column in table.columns)
        self._table = table
        self._inserts: dict[int, Prepared] = {}

    def write(self, session: Session, rows: Sequence[Values]) -> None:
        """Insert *rows*, each with a value for every column."""
        count = len(rows)
        if not count:
            return
        statement = self._inserts.get(count) or self._insert(count)
        statement.write(
            session,
            {
                f"{name}_{number}": row[name]
                for number, row in enumerate(rows)
                for name in self.names
            },
        )

    def _insert(self, count: int) -> Prepared:
        # Only in the first row does SQLAlchemy see by itself what type a value goes into.
        rows = [
            {
                column.name: sa.bindparam(f"{column.name}_{number}", type_=column.type)
                for column in self._table.columns
            }
            for number in range(count)
        ]
        insert: sa.Insert = sa.insert(self._table).values(rows)
        self._inserts[count] = Prepared(insert)
        return self._inserts[count]
