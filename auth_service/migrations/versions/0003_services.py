"""Services, their keys, and their access tokens that were ended before they expired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.database.engine import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "services",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("key_lifetime", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_table(
        "service_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("access_expires_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_service_keys"),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_service_keys_service"),
    )
    op.create_index("ix_service_keys_service", "service_keys", ["service"])
    op.create_index("ix_service_keys_revoked_at", "service_keys", ["revoked_at"])
    op.create_table(
        "ended_service_tokens",
        sa.Column("jti", sa.String(36), nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_ended_service_tokens"),
    )
    op.create_index("ix_ended_service_tokens_ended_at", "ended_service_tokens", ["ended_at"])
    op.create_index("ix_ended_service_tokens_expires_at", "ended_service_tokens", ["expires_at"])


def downgrade() -> None:
    for table in ("ended_service_tokens", "service_keys", "services"):
        op.drop_table(table)
