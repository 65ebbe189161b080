"""Parts of messages that are no text of them, such as the reasoning of a model."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("chat_messages", sa.Column("parts", sa.Text))


def downgrade() -> None:
    op.drop_column("chat_messages", "parts")
