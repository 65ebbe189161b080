"""Rotation, revocation and listing of logins; deleted and disabled users; throttle, identities and outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.database.engine import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("credentials_version", sa.Integer, nullable=False, server_default="0"))
    op.add_column("users", sa.Column("disabled_at", UtcDateTime))
    op.add_column("users", sa.Column("deleted_at", UtcDateTime))
    _logins()
    op.add_column("refresh_tokens", sa.Column("rotated_at", UtcDateTime))
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    _new_tables()


def _logins() -> None:
    op.add_column("logins", sa.Column("device", sa.String(200)))
    for name in ("last_used_at", "access_expires_at", "expires_at"):
        op.add_column("logins", sa.Column(name, UtcDateTime))
    newest = "(SELECT max(expires_at) FROM refresh_tokens WHERE refresh_tokens.sid = logins.sid)"
    # No access token of the first release can outlive the refresh token of its login.
    op.execute(f"UPDATE logins SET last_used_at = created_at, access_expires_at = {newest}, expires_at = {newest}")  # noqa: S608
    op.create_index("ix_logins_revoked_at", "logins", ["revoked_at"])
    op.create_index("ix_logins_expires_at", "logins", ["expires_at"])


def _new_tables() -> None:
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_identities_user_id"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("failures", sa.Float, nullable=False),
        sa.Column("pending", sa.Integer, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("blocked_until", UtcDateTime),
        sa.Column("succeeded_at", UtcDateTime),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )
    op.create_index("ix_attempts_updated_at", "attempts", ["updated_at"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_created_at", "outbox", ["created_at"])


def downgrade() -> None:
    for table in ("outbox", "attempts", "identities"):
        op.drop_table(table)
    op.drop_index("ix_refresh_tokens_expires_at", "refresh_tokens")
    op.drop_column("refresh_tokens", "rotated_at")
    for column in ("expires_at", "revoked_at"):
        op.drop_index(f"ix_logins_{column}", "logins")
    for column in ("expires_at", "access_expires_at", "last_used_at", "device"):
        op.drop_column("logins", column)
    for column in ("deleted_at", "disabled_at", "credentials_version"):
        op.drop_column("users", column)
