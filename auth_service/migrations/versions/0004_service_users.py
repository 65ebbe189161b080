"""Accounts that a service has created, and the logins that it lends to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a foreign key: SQLite could only add one by copying the table. Rows of `services` are never deleted.
    op.add_column("users", sa.Column("service", sa.String(64)))
    op.add_column("logins", sa.Column("service", sa.String(64)))
    op.create_index("ix_logins_service", "logins", ["service"])


def downgrade() -> None:
    op.drop_index("ix_logins_service", "logins")
    op.drop_column("logins", "service")
    op.drop_column("users", "service")
