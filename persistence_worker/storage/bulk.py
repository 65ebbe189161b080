"""Inserts and updates of many rows with a constant statement text: arrays on PostgreSQL, `executemany` on SQLite.

On PostgreSQL, `unnest` of one array per column costs a third of one parameter set per row, in client and server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Connection,
    Executable,
    Table,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)

Rows = Sequence[tuple[Any, ...]]


class BulkInsert:
    """`INSERT` of rows, which are tuples in the order of `columns`."""

    def __init__(self, table: Table, columns: Sequence[str], dialect: str) -> None:
        self._arrays = dialect == "postgresql"
        self._statement = insert(table)
        prefix = f"new_{table.name}"
        if self._arrays:
            self._statement = insert(table).from_select(list(columns), select(_unnest(table, columns, prefix)))
        self._names = [f"{prefix}_{name}" for name in columns] if self._arrays else list(columns)

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Insert rows.

        Raises:
            IntegrityError: a key exists already; nothing is inserted.
        """
        if rows:
            connection.execute(self._statement, self.parameters(rows))

    def after(self, other: BulkInsert) -> Executable:
        """Return one statement that inserts the rows of another table too (PostgreSQL)."""
        return self._statement.add_cte(other._statement.cte(f"inserted_{other._names[0]}"))

    def parameters(self, rows: Rows) -> Any:
        """Return the parameters of the statement for rows."""
        return _parameters(self._names, rows, arrays=self._arrays)


class BulkUpdate:
    """`UPDATE` by the primary key `id`, which is first in each row, followed by the values of `columns`."""

    def __init__(self, table: Table, columns: Sequence[str], dialect: str) -> None:
        self._arrays = dialect == "postgresql"
        self._names = [f"new_{name}" for name in ("id", *columns)]
        if self._arrays:
            new = _unnest(table, ("id", *columns), "new")
            key, values = new.c.id, {name: new.c[name] for name in columns}
        else:
            key, values = bindparam("new_id"), {name: bindparam(f"new_{name}") for name in columns}
        self._statement = update(table).where(table.c.id == key).values(values)

    def __call__(self, connection: Connection, rows: Rows) -> None:
        """Update rows; ids that do not exist are skipped."""
        if rows:
            connection.execute(self._statement, _parameters(self._names, rows, arrays=self._arrays))


def _unnest(table: Table, columns: Sequence[str], prefix: str) -> Any:
    arrays: list[BindParameter[Any]] = [
        bindparam(f"{prefix}_{name}", type_=ARRAY(table.c[name].type)) for name in columns
    ]
    typed = [column(name, table.c[name].type) for name in columns]
    return func.unnest(*arrays).table_valued(*typed, name="new").render_derived(name="new")


def _parameters(names: Sequence[str], rows: Rows, *, arrays: bool) -> Any:
    if arrays:
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return [dict(zip(names, row, strict=True)) for row in rows]
