"""The key that an order was placed with."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# For a while 0009 added the column as well: databases that were upgraded then have it.
SCHEMA = "ALTER TABLE orders ADD COLUMN IF NOT EXISTS key_id uuid"


def upgrade() -> None:
    op.execute(SCHEMA)
