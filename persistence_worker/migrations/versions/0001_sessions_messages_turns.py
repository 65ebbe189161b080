"""Sessions, messages, members, turns, the catalogue and the settings that all workers share."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "chat_sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("reply_policy", sa.Text, nullable=False),
        sa.Column("rotation", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="chat_sessions_pkey"),
        sa.CheckConstraint(
            "reply_policy IN ('mentioned', 'all', 'round_robin', 'silent')", name="chat_sessions_reply_policy_check"
        ),
        sa.CheckConstraint("seq >= 0 AND seq <= last_seq", name="chat_sessions_seq_check"),
    )
    op.create_table(
        "chat_messages",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("updated_seq", sa.BigInteger, nullable=False),
        sa.Column("sender_type", sa.Text, nullable=False),
        sa.Column("sender_id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("client_message_id", sa.Text),
        sa.Column("reply_to", sa.Uuid),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("superseded_by", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="chat_messages_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="chat_messages_session_id_fkey"),
        sa.UniqueConstraint("session_id", "seq", name="chat_messages_session_id_seq_key"),
        sa.CheckConstraint("sender_type IN ('user', 'chatbot')", name="chat_messages_sender_type_check"),
        sa.CheckConstraint("status IN ('complete', 'stopped', 'failed', 'erased')", name="chat_messages_status_check"),
    )
    op.create_index("chat_messages_session_id_updated_seq_idx", "chat_messages", ["session_id", "updated_seq"])
    op.create_table(
        "session_users",
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("read_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "user_id", name="session_users_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="session_users_session_id_fkey"),
    )
    op.create_index("session_users_user_id_idx", "session_users", ["user_id"])
    op.create_table(
        "session_chatbots",
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("chatbot_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "chatbot_id", name="session_chatbots_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="session_chatbots_session_id_fkey"),
    )
    _turns()
    op.create_table(
        "chatbots",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("immediate", sa.Boolean, nullable=False),
        sa.Column("context_messages", sa.Integer, nullable=False),
        sa.Column("context_bytes", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("available", sa.Boolean, nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="chatbots_pkey"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="settings_pkey"),
    )


def _turns() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("chatbot_id", sa.Text, nullable=False),
        sa.Column("reply_to", sa.Uuid, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("waiting", sa.Text, nullable=False),
        sa.Column("waiting_reply_to", sa.Uuid),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="turns_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="turns_session_id_fkey"),
    )
    op.create_index(
        "turns_open_idx",
        "turns",
        ["session_id", "chatbot_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )


def downgrade() -> None:
    for table in (
        "settings",
        "chatbots",
        "turns",
        "session_chatbots",
        "session_users",
        "chat_messages",
        "chat_sessions",
    ):
        op.drop_table(table)
