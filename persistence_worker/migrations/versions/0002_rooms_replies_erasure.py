"""Invites, ratings, stops, regenerated replies, deleted sessions, erased users, and the commands applied so far."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)
UNPURGED = sa.text("deleted_at IS NOT NULL AND purged_at IS NULL")
STOPPING = sa.text("closed_at IS NULL AND stop_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("chat_sessions", sa.Column("titled_by", sa.Text))
    op.add_column("chat_sessions", sa.Column("purged_at", MOMENT))
    op.create_index(
        "chat_sessions_purge_idx", "chat_sessions", ["deleted_at"], postgresql_where=UNPURGED, sqlite_where=UNPURGED
    )
    op.add_column("turns", sa.Column("depth", sa.Integer, nullable=False, server_default="0"))
    op.add_column("turns", sa.Column("until", sa.BigInteger))
    op.add_column("turns", sa.Column("waiting_depth", sa.Integer))
    op.add_column("turns", sa.Column("waiting_id", sa.Uuid))
    op.add_column("turns", sa.Column("stop_at", MOMENT))
    op.create_index("turns_stop_idx", "turns", ["stop_at"], postgresql_where=STOPPING, sqlite_where=STOPPING)
    _users()
    _invites_and_ratings()
    op.create_table(
        "applied_commands",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("applied_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="applied_commands_pkey"),
    )
    op.create_index("applied_commands_session_id_idx", "applied_commands", ["session_id"])
    op.create_index("applied_commands_applied_at_idx", "applied_commands", ["applied_at"])


def _users() -> None:
    op.create_table(
        "former_users",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "session_id", name="former_users_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="former_users_session_id_fkey"),
    )
    op.create_index("former_users_session_id_idx", "former_users", ["session_id"])
    op.create_table(
        "erased_users",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("erased_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="erased_users_pkey"),
    )


def _invites_and_ratings() -> None:
    op.create_table(
        "session_invites",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("max_uses", sa.Integer),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="session_invites_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="session_invites_session_id_fkey"),
    )
    op.create_index("session_invites_session_id_idx", "session_invites", ["session_id"])
    op.create_index("session_invites_expires_at_idx", "session_invites", ["expires_at"])
    op.create_table(
        "message_ratings",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("comment", sa.Text),
        sa.Column("rated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "user_id", name="message_ratings_pkey"),
        sa.ForeignKeyConstraint(["message_id"], ["chat_messages.id"], name="message_ratings_message_id_fkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="message_ratings_session_id_fkey"),
        sa.CheckConstraint("rating IN (-1, 1)", name="message_ratings_rating_check"),
    )
    op.create_index("message_ratings_session_id_user_id_idx", "message_ratings", ["session_id", "user_id"])


def downgrade() -> None:
    for table in ("applied_commands", "message_ratings", "session_invites", "erased_users", "former_users"):
        op.drop_table(table)
    op.drop_index("turns_stop_idx", "turns")
    for column in ("stop_at", "waiting_id", "waiting_depth", "until", "depth"):
        op.drop_column("turns", column)
    op.drop_index("chat_sessions_purge_idx", "chat_sessions")
    for column in ("purged_at", "titled_by"):
        op.drop_column("chat_sessions", column)
