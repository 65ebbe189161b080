"""Pictures and suggested first messages of chatbots."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("chatbots", sa.Column("avatar", sa.Text))
    op.add_column("chatbots", sa.Column("suggestions", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("chatbots", "suggestions")
    op.drop_column("chatbots", "avatar")
