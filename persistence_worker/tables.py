"""The tables of schema `chat` (contract §5). Alembic's scripts in `migrations/` make them; a test compares."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from shared.database.engine import UtcDateTime

SCHEMA = "chat"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)

chat_sessions = Table(
    "chat_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", Text),
    Column("owner_id", Text, nullable=False),
    Column("reply_policy", Text, nullable=False),
    Column("rotation", Integer, nullable=False),  # messages answered so far under `round_robin`
    Column("seq", BigInteger, nullable=False),  # the session's own latest change
    Column("last_seq", BigInteger, nullable=False),  # the newest number of all
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),  # not indexed: every message changes it, and stays a HOT update
    Column("deleted_at", UtcDateTime),  # a tombstone: the id never lives again
    CheckConstraint("reply_policy IN ('mentioned', 'all', 'round_robin', 'silent')", name="reply_policy"),
    CheckConstraint("seq >= 0 AND seq <= last_seq", name="seq"),
)

chat_messages = Table(
    "chat_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("updated_seq", BigInteger, nullable=False),
    Column("sender_type", Text, nullable=False),
    Column("sender_id", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("client_message_id", Text),
    Column("reply_to", Uuid),
    Column("status", Text, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("superseded_by", Uuid),
    UniqueConstraint("session_id", "seq"),
    Index(None, "session_id", "updated_seq"),
    CheckConstraint("sender_type IN ('user', 'chatbot')", name="sender_type"),
    CheckConstraint("status IN ('complete', 'stopped', 'failed', 'erased')", name="status"),
)

session_users = Table(
    "session_users",
    metadata,
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("read_seq", BigInteger, nullable=False),
    Index(None, "user_id"),
)

session_chatbots = Table(
    "session_chatbots",
    metadata,
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Column("chatbot_id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Uuid, primary_key=True),  # of the message that the reply will be
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), nullable=False),
    Column("chatbot_id", Text, nullable=False),
    Column("reply_to", Uuid, nullable=False),  # the newest message that it answers
    Column("asked", Text, nullable=False),  # spans of `seq` that it answers: [[5,9],[12,12]]
    Column("waiting", Text, nullable=False),  # spans that arrived meanwhile: the next turn's
    Column("waiting_reply_to", Uuid),
    Column("starts", Integer, nullable=False),  # how often it was published
    Column("published_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
)
Index(
    "turns_open_idx",
    turns.c.session_id,
    turns.c.chatbot_id,
    unique=True,
    postgresql_where=turns.c.closed_at.is_(None),
    sqlite_where=turns.c.closed_at.is_(None),
)

chatbots = Table(
    "chatbots",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("immediate", Boolean, nullable=False),
    Column("context_messages", Integer, nullable=False),
    Column("context_bytes", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("available", Boolean, nullable=False),  # false: gone from the catalogue, its name still needed
    Column("modified_at", UtcDateTime, nullable=False),  # of the catalogue that said so
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
