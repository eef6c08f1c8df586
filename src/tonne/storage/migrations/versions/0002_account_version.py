"""Accounts count the changes of what orders take from them."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE accounts ADD COLUMN version bigint NOT NULL DEFAULT 0")
