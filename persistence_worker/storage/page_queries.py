"""Statements for pages, lists and look-ups, built once. Each uses an index and has a row limit.

The database cuts pages by size: it returns only rows whose contents, summed in the page's order, fit into a page.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Select, and_, bindparam, func, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger

from persistence_worker.storage.mappers import MESSAGE_COLUMNS, SESSION_COLUMNS
from persistence_worker.storage.tables import chat_messages, chat_sessions, session_users, turns

SESSIONS, MESSAGES, USERS, TURNS = chat_sessions.c, chat_messages.c, session_users.c, turns.c


class octets(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Bytes of a text in UTF-8. PostgreSQL does not decompress a large text for it."""

    type = BigInteger()
    inherit_cache = True


@compiles(octets, "postgresql")
def _octets(element: octets, compiler: SQLCompiler, **more: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **more)})"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: SQLCompiler, **more: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **more)} AS BLOB))"


def _page(by: str, *, below: bool = False) -> Select[Any]:
    """Return the statement for at most `:limit` rows before (`below`) or after `:number`.

    Their contents and parts have at most `:room` bytes in total, except that there is at least one row.
    """

    def order(table: FromClause) -> ColumnElement[Any]:
        return table.c[by].desc() if below else table.c[by].asc()

    number = bindparam("number", type_=BigInteger)
    rows = (
        select(*(MESSAGES[name] for name in MESSAGE_COLUMNS))
        .where(
            bindparam("session", type_=MESSAGES.session_id.type) == MESSAGES.session_id,
            MESSAGES[by] < number if below else MESSAGES[by] > number,
        )
        .order_by(order(chat_messages))
        .limit(bindparam("limit", type_=Integer))
        .subquery()
    )
    size = octets(rows.c.content) + func.coalesce(octets(rows.c.parts), 0)
    total = func.sum(size).over(order_by=order(rows))
    summed = select(*rows.c, total.label("total"), size.label("size")).subquery()
    fits = or_(summed.c.total == summed.c.size, summed.c.total <= bindparam("room", type_=BigInteger))
    return select(*(summed.c[name] for name in MESSAGE_COLUMNS)).where(fits).order_by(order(summed))


BEFORE_SEQ, AFTER_SEQ, AFTER_UPDATED_SEQ = _page("seq", below=True), _page("seq"), _page("updated_seq")

ONE_MESSAGE = select(*(MESSAGES[name] for name in MESSAGE_COLUMNS)).where(
    MESSAGES.id == bindparam("message"), MESSAGES.session_id == bindparam("session")
)

LATER = {
    by: select(MESSAGES[by])
    .where(MESSAGES.session_id == bindparam("session"), MESSAGES[by] > bindparam("number"))
    .limit(1)
    for by in ("seq", "updated_seq")
}
EARLIER = (
    select(MESSAGES.seq).where(MESSAGES.session_id == bindparam("session"), MESSAGES.seq < bindparam("number")).limit(1)
)

_COLUMNS = [SESSIONS[name] for name in SESSION_COLUMNS]
_MINE = and_(USERS.session_id == SESSIONS.id, USERS.user_id == bindparam("user"))
ANY_SESSION = select(*_COLUMNS, literal(0)).where(SESSIONS.id == bindparam("session"), SESSIONS.deleted_at.is_(None))
OWN_SESSION = (
    select(*_COLUMNS, USERS.read_seq)
    .join_from(chat_sessions, session_users, _MINE)
    .where(SESSIONS.id == bindparam("session"), SESSIONS.deleted_at.is_(None))
)
SESSIONS_OF_USER = (
    select(*_COLUMNS, USERS.read_seq)
    .join_from(session_users, chat_sessions, _MINE)
    .where(SESSIONS.deleted_at.is_(None))
    .order_by(SESSIONS.updated_at.desc(), SESSIONS.id)
    .limit(bindparam("limit", type_=Integer))
)
SESSIONS_OF_USER_AFTER = SESSIONS_OF_USER.where(
    or_(
        SESSIONS.updated_at < bindparam("moment"),
        and_(SESSIONS.updated_at == bindparam("moment"), SESSIONS.id > bindparam("last")),
    )
)

_OPEN = TURNS.closed_at.is_(None)
OPEN_TURNS_OF_SESSION = (
    select(TURNS.id, TURNS.chatbot_id).where(TURNS.session_id == bindparam("session"), _OPEN).order_by(TURNS.chatbot_id)
)
OPEN_TURN = select(TURNS.id).where(TURNS.id == bindparam("turn"), TURNS.session_id == bindparam("session"), _OPEN)
OPEN_TURN_COUNT = select(func.count()).select_from(turns).where(_OPEN)
