"""SQL that differs between PostgreSQL and SQLite: two statements, upserts, and the test for membership in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Dialect,
    Integer,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite


class JsonArray(TypeDecorator[Sequence[UUID | str]]):
    """A list of ids or texts, bound as one JSON text; ids in the form in which SQLite stores them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[UUID | str] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode the list."""
        return orjson.dumps([each.hex if isinstance(each, UUID) else each for each in value or ()]).decode()


def upsert(table: Table, dialect: str) -> Any:
    """Return the INSERT of a dialect, to which `on_conflict_do_nothing` or `on_conflict_do_update` is added."""
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)


def is_among(value: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Return the condition that `value` (UUID or text) is in the list bound as `name`."""
    if dialect == "postgresql":
        return value == any_(bindparam(name, type_=ARRAY(value.type)))
    values = func.json_each(bindparam(name, type_=JsonArray)).table_valued("value")
    return value.in_(select(values.c.value))


MEMBERS_COLUMNS = (column("id", Uuid), column("users", Text), column("chatbots", Text), column("turns", Text))
"""Members, chatbots and open turns of a session, each as one JSON text: one row per session."""

MEMBERS = {
    "postgresql": text("""
        SELECT s.id,
               (SELECT coalesce(json_agg(u.user_id ORDER BY u.joined_at, u.user_id), '[]')::text
                FROM chat.session_users AS u WHERE u.session_id = s.id),
               (SELECT coalesce(json_agg(b.chatbot_id ORDER BY b.position), '[]')::text
                FROM chat.session_chatbots AS b WHERE b.session_id = s.id),
               (SELECT coalesce(json_agg(json_build_array(
                           t.id, t.session_id, t.chatbot_id, t.reply_to, t.asked, t.waiting, t.waiting_reply_to,
                           t.starts, t.published_at, t.depth, t.until, t.waiting_depth, t.waiting_id, t.stop_at,
                           t.closed_at)), '[]')::text
                FROM chat.turns AS t WHERE t.session_id = s.id AND t.closed_at IS NULL)
        FROM unnest(CAST(:ids AS uuid[])) AS s(id)
        """).columns(*MEMBERS_COLUMNS),
    "sqlite": text("""
        SELECT s.value AS id,
               (SELECT json_group_array(user_id)
                FROM (SELECT user_id FROM session_users WHERE session_id = s.value ORDER BY joined_at, user_id)),
               (SELECT json_group_array(chatbot_id)
                FROM (SELECT chatbot_id FROM session_chatbots WHERE session_id = s.value ORDER BY position)),
               (SELECT json_group_array(json_array(id, session_id, chatbot_id, reply_to, asked, waiting,
                                                   waiting_reply_to, starts, published_at, depth, until,
                                                   waiting_depth, waiting_id, stop_at, closed_at))
                FROM turns WHERE session_id = s.value AND closed_at IS NULL)
        FROM json_each(:ids) AS s
        """).columns(*MEMBERS_COLUMNS),
}

CONTEXTS_COLUMNS = (
    column("n", Integer),
    column("seq", BigInteger),
    column("id", Uuid),
    column("sender_type", Text),
    column("sender_id", Text),
    column("content", Text),
)
"""Rows of contexts; `n` is the index of the requested `RowRange`."""

CONTEXTS = {
    "postgresql": text("""
        SELECT CAST(w.n - 1 AS integer) AS n, c.seq, c.id, c.sender_type, c.sender_id, c.content
        FROM unnest(CAST(:sessions AS uuid[]), CAST(:above AS bigint[]), CAST(:below AS bigint[]),
                    CAST(:limits AS integer[])) WITH ORDINALITY AS w(session_id, above, below, row_limit, n)
        CROSS JOIN LATERAL (
            SELECT m.*, sum(octet_length(m.content)) OVER (ORDER BY m.seq DESC) AS bytes
            FROM (SELECT seq, id, sender_type, sender_id, content FROM chat.chat_messages
                  WHERE session_id = w.session_id AND seq > w.above AND seq < w.below
                    AND superseded_by IS NULL AND content <> ''
                  ORDER BY seq DESC LIMIT w.row_limit) AS m
        ) AS c
        WHERE c.bytes <= :bytes
        """).columns(*CONTEXTS_COLUMNS),
    "sqlite": text("""
        SELECT n, seq, id, sender_type, sender_id, content
        FROM (SELECT w.key AS n, m.seq, m.id, m.sender_type, m.sender_id, m.content,
                     sum(length(CAST(m.content AS BLOB))) OVER (PARTITION BY w.key ORDER BY m.seq DESC) AS bytes
              FROM json_each(:ranges) AS w
              JOIN chat_messages AS m
                ON m.session_id = json_extract(w.value, '$[0]') AND m.seq < json_extract(w.value, '$[2]')
               AND m.seq > max(json_extract(w.value, '$[1]'),
                               coalesce((SELECT seq FROM chat_messages AS o
                                         WHERE o.session_id = json_extract(w.value, '$[0]')
                                           AND o.seq < json_extract(w.value, '$[2]')
                                           AND o.superseded_by IS NULL AND o.content <> ''
                                         ORDER BY seq DESC LIMIT 1 OFFSET :limit), 0))
              WHERE m.superseded_by IS NULL AND m.content <> '')
        WHERE bytes <= :bytes
        """).columns(*CONTEXTS_COLUMNS),
}
