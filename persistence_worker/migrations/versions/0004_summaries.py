"""Summaries of older messages, one per session and chatbot, and which chatbots want them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "session_summaries",
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("chatbot_id", sa.Text, nullable=False),
        sa.Column("up_to_seq", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "chatbot_id", name="session_summaries_pkey"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="session_summaries_session_id_fkey"),
    )
    op.add_column("chatbots", sa.Column("context_summary", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("chatbots", "context_summary")
    op.drop_table("session_summaries")
