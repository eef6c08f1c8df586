"""Keys that the operator uses, and payments that are recorded once."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE api_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{}' "
        "CHECK (scopes <@ array['operator'] AND array_position(scopes, NULL) IS NULL)"
    )
    op.execute(
        "CREATE UNIQUE INDEX ledger_transfers_reference ON ledger_transfers "
        "(organisation_id, account_id, kind, reference) "
        "WHERE reference IS NOT NULL AND kind IN ('top_up', 'refund')"
    )
