"""The tables of schema `chat`. Alembic's scripts in `migrations/` create them; a test compares both."""

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
    Column("titled_by", Text),  # the user whose text the title is
    Column("owner_id", Text, nullable=False),
    Column("reply_policy", Text, nullable=False),
    Column("rotation", Integer, nullable=False),  # messages that `round_robin` has assigned so far
    Column("seq", BigInteger, nullable=False),  # number of the latest change of the session itself
    Column("last_seq", BigInteger, nullable=False),  # number of the latest change of all
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),  # not indexed, so that each message is a HOT update
    Column("deleted_at", UtcDateTime),  # set: a tombstone, whose id is never used again
    Column("purged_at", UtcDateTime),  # since then only the tombstone is left of the session
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
    Column("parts", Text),  # JSON; null if there are none
    UniqueConstraint("session_id", "seq"),
    Index(None, "session_id", "updated_seq"),
    CheckConstraint("sender_type IN ('user', 'chatbot')", name="sender_type"),
    CheckConstraint("status IN ('complete', 'stopped', 'failed', 'erased')", name="status"),
)

message_words = Table(  # of messages with text; without foreign keys, which would cost a look-up for each message
    "message_words",
    metadata,
    Column("session_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("words", Text, nullable=False),  # by `domain.search_words`, in the order of the text
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
    Column("id", Uuid, primary_key=True),  # of the message that the reply becomes
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), nullable=False),
    Column("chatbot_id", Text, nullable=False),
    Column("reply_to", Uuid, nullable=False),  # the newest message that the reply answers
    Column("asked", Text, nullable=False),  # `seq` ranges that it answers: [[5,9],[12,12]]
    Column("waiting", Text, nullable=False),  # `seq` ranges that the next turn answers
    Column("waiting_reply_to", Uuid),
    Column("starts", Integer, nullable=False),  # publications so far
    Column("published_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("depth", Integer, nullable=False, server_default="0"),  # length of the chain of chatbots before it
    Column("until", BigInteger),  # the context ends before this number
    Column("waiting_depth", Integer),
    Column("waiting_id", Uuid),  # of the next turn, where a message refers to it already
    Column("stop_at", UtcDateTime),  # after it the turn is ended as stopped, without text
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

former_users = Table(  # former members, whose messages erasure and export must find
    "former_users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Index(None, "session_id"),
)

erased_users = Table(  # kept permanently: a late command must not store anything of theirs
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

session_summaries = Table(  # of older messages, by a chatbot's language model
    "session_summaries",
    metadata,
    Column("session_id", Uuid, ForeignKey(chat_sessions.c.id), primary_key=True),
    Column("chatbot_id", Text, primary_key=True),
    Column("up_to_seq", BigInteger, nullable=False),  # the newest message that it covers
    Column("text", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

applied_commands = Table(  # kept for a day; messages and replies are identified by their keys
    "applied_commands",
    metadata,
    Column("id", Text, primary_key=True),  # of the envelope
    Column("session_id", Uuid, nullable=False),
    Column("result", Text),  # the answer as JSON; null after its text was redacted
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
    Column("avatar", Text),
    Column("suggestions", Text, nullable=False, server_default="[]"),  # JSON
    Column("position", Integer, nullable=False),
    Column("available", Boolean, nullable=False),  # false: removed from the catalogue; its name is still shown
    Column("modified_at", UtcDateTime, nullable=False),  # of the catalogue that listed it
)

service_accesses = Table(  # of services to sessions of which they are no members; kept permanently
    "service_accesses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("service", Text, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("what", Text, nullable=False),
    Index(None, "at"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
