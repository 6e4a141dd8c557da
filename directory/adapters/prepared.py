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

        def value(name: str, values: Values) -> Any:
            given = values[name] if name in values else fixed[name]
            process = processors[name]
            return process(given) if process else given

        give: Give
        if names is None:

            def give(values: Values) -> Any:
                return {name: value(name, values) for name in processors}

        else:

            def give(values: Values) -> Any:
                return tuple(value(name, values) for name in names)

        self._written[dialect.name] = str(compiled), give
        return str(compiled), give
