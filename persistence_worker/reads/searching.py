"""Searches messages in the sessions of a user, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Text, Uuid, bindparam, column, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import BigInteger, Integer

from persistence_worker.reads.cursors import cursor, read_cursor
from persistence_worker.reads.search_terms import SearchTerms, snippet, terms
from persistence_worker.storage.dialect_sql import JsonArray
from persistence_worker.storage.mappers import MESSAGE_COLUMNS, message_of
from persistence_worker.storage.tables import chat_messages
from shared.contracts.payload import parse_rfc3339
from shared.contracts.queries import Hit, SearchMessages, SearchResult
from shared.contracts.views import PAGE_BYTES_MAX
from shared.database.engine import UtcDateTime
from shared.database.errors import sqlstate
from shared.errors import Unavailable

ROOM = PAGE_BYTES_MAX - 16 * 1024  # bytes of a page for its messages
HIT_OVERHEAD = 1_024  # bytes of a hit without the content, with its snippet and title
TIMEOUT = 3  # seconds of a search, which occupies a connection
NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))

# A generic plan may read every message of the user: over 3 s for a rare word, against 7 ms with a plan for that word.
SET_LIMITS = text(
    f"SELECT set_config('statement_timeout', '{TIMEOUT}s', true), "
    "set_config('plan_cache_mode', 'force_custom_plan', true)"
)

_COLUMNS = ", ".join(f"m.{name}" for name in MESSAGE_COLUMNS)
_OWN = """
    JOIN {0}chat_messages AS m ON m.session_id = w.session_id AND m.seq = w.seq
    JOIN {0}chat_sessions AS s ON s.id = w.session_id AND s.deleted_at IS NULL
    JOIN {0}session_users AS u ON u.session_id = w.session_id AND u.user_id = :user
    WHERE m.superseded_by IS NULL AND (:everywhere OR w.session_id = :session)
      AND (m.created_at, m.id) < (:moment, :last)"""
_FOUND = {
    "postgresql": f"""
        SELECT {_COLUMNS}, s.title AS title,
            octet_length(m.content) + coalesce(octet_length(m.parts), 0) AS size
        FROM chat.message_words AS w {_OWN.format("chat.")}
          AND array_to_tsvector(string_to_array(w.words, ' ')) @@ CAST(:words AS tsquery)
          AND NOT EXISTS (SELECT FROM unnest(:runs) AS run WHERE position(run IN w.words) = 0)""",  # noqa: S608 - built of constants only
    "sqlite": f"""
        SELECT {_COLUMNS}, s.title AS title,
            length(CAST(m.content AS BLOB)) + coalesce(length(CAST(m.parts AS BLOB)), 0) AS size
        FROM message_words_fts AS f JOIN message_words AS w ON w.rowid = f.rowid {_OWN.format("")}
          AND message_words_fts MATCH :words
          AND NOT EXISTS (SELECT 1 FROM json_each(:runs) AS run WHERE instr(w.words, run.value) = 0)""",  # noqa: S608
}


def _statement(dialect: str, found: str) -> Any:
    order = "ORDER BY created_at DESC, id DESC"
    return (
        text(f"""
        SELECT * FROM (
            SELECT f.*, sum(f.size) OVER ({order}) AS total, count(*) OVER () AS found
            FROM ({found} ORDER BY m.created_at DESC, m.id DESC LIMIT :limit) AS f
        ) AS summed WHERE total <= :room OR total = size {order}
        """)  # noqa: S608 - built of constants only
        .bindparams(
            bindparam("session", type_=Uuid),
            bindparam("moment", type_=UtcDateTime),
            bindparam("last", type_=Uuid),
            bindparam("room", type_=BigInteger),
            bindparam("limit", type_=Integer),
            bindparam("runs", type_=ARRAY(Text) if dialect == "postgresql" else JsonArray),
        )
        .columns(
            *(chat_messages.c[name] for name in MESSAGE_COLUMNS),
            column("title", Text),
            column("size", BigInteger),
            column("total", BigInteger),
            column("found", BigInteger),
        )
    )


STATEMENTS = {dialect: _statement(dialect, found) for dialect, found in _FOUND.items()}


def search(connection: Connection, query: SearchMessages) -> SearchResult:
    """Return one page of hits.

    Raises:
        InvalidRequest: the cursor is not valid.
        Unavailable: the search took longer than `TIMEOUT`.
    """
    wanted = terms(query.query)
    request = (query.TYPE, query.user_id, query.query, query.session_id)
    moment, last = NEWEST if query.cursor is None else read_cursor(query.cursor, *request)
    if not wanted:
        return SearchResult(hits=[], next_cursor=None)
    rows = _rows(
        connection,
        wanted,
        {
            "user": query.user_id,
            "everywhere": query.session_id is None,
            "session": query.session_id or UUID(int=0),
            "moment": moment,
            "last": last,
            "limit": query.limit + 1,
            "room": ROOM - query.limit * HIT_OVERHEAD,
        },
    )
    shown = rows[: query.limit]
    hits = [
        Hit(message=message_of(row), session_title=row.title, snippet=snippet(row.content, wanted)) for row in shown
    ]
    more = bool(shown) and shown[0].found > len(shown)
    if not more:
        return SearchResult(hits=hits, next_cursor=None)
    end = hits[-1].message
    return SearchResult(hits=hits, next_cursor=cursor(parse_rfc3339(end.created_at), end.id, *request))


def _rows(connection: Connection, wanted: SearchTerms, values: dict[str, Any]) -> Sequence[Any]:
    dialect = connection.dialect.name
    values |= {"runs": list(wanted.runs)}
    if dialect == "sqlite":
        return connection.execute(STATEMENTS[dialect], values | {"words": wanted.fts5()}).all()
    connection.execute(SET_LIMITS)
    try:
        return connection.execute(STATEMENTS[dialect], values | {"words": wanted.tsquery()}).all()
    except DBAPIError as error:
        if sqlstate(error) != "57014":
            raise
        raise Unavailable("This search takes too long; search for rarer words, or in one session.") from None
