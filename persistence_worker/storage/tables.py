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
    and_,
    false,
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
    Column("titled_by", Text),  # whose words the title is
    Column("owner_id", Text, nullable=False),
    Column("reply_policy", Text, nullable=False),
    Column("rotation", Integer, nullable=False),  # messages answered so far under `round_robin`
    Column("seq", BigInteger, nullable=False),  # the session's own latest change
    Column("last_seq", BigInteger, nullable=False),  # the newest number of all
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),  # not indexed: every message changes it, and stays a HOT update
    Column("deleted_at", UtcDateTime),  # a tombstone: the id never lives again
    Column("purged_at", UtcDateTime),  # of a tombstone: since then nothing else of the session is kept
    CheckConstraint("reply_policy IN ('mentioned', 'all', 'round_robin', 'silent')", name="reply_policy"),
    CheckConstraint("seq >= 0 AND seq <= last_seq", name="seq"),
)

Index(
    "chat_sessions_purge_idx",
    chat_sessions.c.deleted_at,
    postgresql_where=and_(chat_sessions.c.deleted_at.is_not(None), chat_sessions.c.purged_at.is_(None)),
    sqlite_where=and_(chat_sessions.c.deleted_at.is_not(None), chat_sessions.c.purged_at.is_(None)),
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
    Column("depth", Integer, nullable=False, server_default="0"),  # chatbots that answered chatbots before it
    Column("until", BigInteger),  # its context ends before this number
    Column("waiting_depth", Integer),
    Column("waiting_id", Uuid),  # of the next turn, where somebody was told it already
    Column("stop_at", UtcDateTime),  # to be stopped: from then on it is stored as stopped and empty
)
Index(
    "turns_open_idx",
    turns.c.session_id,
    turns.c.chatbot_id,
    unique=True,
    postgresql_where=turns.c.closed_at.is_(None),
    sqlite_where=turns.c.closed_at.is_(None),
)

Index(
    "turns_stop_idx",
    turns.c.stop_at,
    postgresql_where=and_(turns.c.closed_at.is_(None), turns.c.stop_at.is_not(None)),
    sqlite_where=and_(turns.c.closed_at.is_(None), turns.c.stop_at.is_not(None)),
)

former_users = Table(  # whoever ceased to be a member may have written there: erasure and export must find it
    "former_users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Index(None, "session_id"),
)

erased_users = Table(  # kept for ever: a late command must not bring anything of theirs back
    "erased_users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("erased_at", UtcDateTime, nullable=False),
)

session_invites = Table(
    "session_invites",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of the secret, hexadecimal
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("max_uses", Integer),
    Column("uses", Integer, nullable=False),
    Column("ended", Boolean, nullable=False),
    Index(None, "session_id"),
    Index(None, "expires_at"),
)

message_ratings = Table(
    "message_ratings",
    metadata,
    Column("message_id", Uuid, ForeignKey(chat_messages.c.id), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), nullable=False),
    Column("rating", Integer, nullable=False),
    Column("comment", Text),
    Column("rated_at", UtcDateTime, nullable=False),
    Index(None, "session_id", "user_id"),
    CheckConstraint("rating IN (-1, 1)", name="rating"),
)

session_summaries = Table(  # what a chatbot's language model made of what lies further back
    "session_summaries",
    metadata,
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Column("chatbot_id", Text, primary_key=True),
    Column("up_to_seq", BigInteger, nullable=False),  # the newest message in it
    Column("text", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

applied_commands = Table(  # kept for a day; messages and replies are known by their own keys
    "applied_commands",
    metadata,
    Column("id", Text, primary_key=True),  # of the envelope
    Column("session_id", Uuid, nullable=False),
    Column("result", Text),  # the answer, JSON; null once the words in it had to go
    Column("applied_at", UtcDateTime, nullable=False),
    Index(None, "session_id"),
    Index(None, "applied_at"),
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
    Column("context_summary", Boolean, nullable=False, server_default=false()),
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
