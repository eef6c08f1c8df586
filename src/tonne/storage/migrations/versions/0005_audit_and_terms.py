"""Who changed what, what an order asks for beyond a mass, and what may be promised and spent."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Chains of entries: one for each organisation, and one for the platform, whose id is all zeros.
AUDIT = """
CREATE TABLE audit_heads (
    organisation_id     uuid PRIMARY KEY,
    sequence            bigint NOT NULL CHECK (sequence >= 0),
    hash                bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE TABLE audit_entries (
    organisation_id     uuid NOT NULL,
    sequence            bigint NOT NULL CHECK (sequence > 0),
    at                  timestamptz NOT NULL,
    actor               text NOT NULL,
    request_id          text,
    action              text NOT NULL,
    object_type         text NOT NULL,
    object_id           text NOT NULL,
    before              text,
    after               text,
    hash                bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (organisation_id, sequence)
);
CREATE INDEX audit_entries_object ON audit_entries (organisation_id, object_id);
"""

# An order decided with a catalogue of before its last change is decided again.
CATALOGUE = """
CREATE TABLE catalogue_state (
    only_row            boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version             bigint NOT NULL
);
INSERT INTO catalogue_state (version) VALUES (0);
ALTER TABLE bundles
    ADD COLUMN on_shortage text NOT NULL DEFAULT 'accept' CHECK (on_shortage IN ('accept', 'reject'));
-- Grams of a bundle that live orders were promised and no lot covers yet. Kept for bundles that refuse what stock does
-- not cover, and for those that share projects with them. The row without restrictions is always there: who promises
-- something locks it first.
CREATE TABLE bundle_commitments (
    bundle_id           uuid NOT NULL REFERENCES bundles,
    restrictions        jsonb NOT NULL DEFAULT '{}',
    committed_grams      bigint NOT NULL CHECK (committed_grams >= 0),
    PRIMARY KEY (bundle_id, restrictions)
);
"""

# What an order asks for beyond a mass: whom it is for, and which credits it may be given. Orders that ask for the same
# are pooled together; `terms` of a pool and of its retirements are those that matter for that.
TERMS = """
ALTER TABLE orders ADD COLUMN terms jsonb;
ALTER TABLE pools ADD COLUMN terms jsonb NOT NULL DEFAULT '{}';
ALTER TABLE pools DROP CONSTRAINT pools_organisation_id_account_id_bundle_id_beneficiary_key;
ALTER TABLE pools ADD UNIQUE (organisation_id, account_id, bundle_id, beneficiary, terms);
ALTER TABLE retirements ADD COLUMN terms jsonb NOT NULL DEFAULT '{}';
"""

# What a key may order for in a day (UTC), and what it has.
SPENDING = """
ALTER TABLE api_keys ADD COLUMN daily_cap_minor bigint CHECK (daily_cap_minor >= 0);
CREATE TABLE key_spending (
    organisation_id     uuid NOT NULL,
    key_id              uuid NOT NULL,
    day                 date NOT NULL,
    spent_minor         bigint NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (organisation_id, key_id, day),
    FOREIGN KEY (organisation_id, key_id) REFERENCES api_keys (organisation_id, key_id)
);
"""


def upgrade() -> None:
    for script in (AUDIT, CATALOGUE, TERMS, SPENDING):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)
