"""Accesses of services to sessions of which they are no members."""

import sqlalchemy as sa
from alembic import op

from shared.database.engine import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "service_accesses",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="service_accesses_pkey"),
    )
    op.create_index("service_accesses_at_idx", "service_accesses", ["at"])


def downgrade() -> None:
    op.drop_table("service_accesses")
