"""Keys have scopes, expire, are bound to networks, and end in every process at once."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# `serving_processes`: who answers requests from memory. `seen_at` is the database's clock before a process reads what it
# is about to answer from, `snapshot_at` the `seen_at` of what it answers from now.
SCHEMA = """
ALTER TABLE api_keys DROP CONSTRAINT api_keys_scopes_check;
ALTER TABLE api_keys
    ADD CONSTRAINT api_keys_scopes_check CHECK (array_position(scopes, NULL) IS NULL AND scopes <@ array['operator',
        'orders:read', 'orders:write', 'catalogue:read', 'accounts:write', 'webhooks:write']),
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN allowed_networks text[] NOT NULL DEFAULT '{}' CHECK (array_position(allowed_networks, NULL) IS NULL);
UPDATE api_keys SET scopes = scopes
    || array['orders:read', 'orders:write', 'catalogue:read', 'accounts:write', 'webhooks:write'];
ALTER TABLE accounts
    ADD COLUMN scope text NOT NULL DEFAULT 'account' CHECK (scope IN ('account', 'client_account')),
    ADD COLUMN idempotency_key text COLLATE "C",
    ADD CONSTRAINT a_handle_is_a_name_in_addresses CHECK (handle ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(handle) <= 40),
    ADD CONSTRAINT a_beneficiary_is_somebody CHECK (beneficiary <> '');
CREATE UNIQUE INDEX accounts_handle ON accounts (organisation_id, mode, handle) WHERE handle IS NOT NULL;
CREATE UNIQUE INDEX accounts_idempotency_key ON accounts (organisation_id, mode, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE TABLE serving_processes (
    process_id          uuid PRIMARY KEY,
    seen_at             timestamptz NOT NULL,
    snapshot_at         timestamptz
);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
