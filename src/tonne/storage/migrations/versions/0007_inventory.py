"""Where lots come from, and what becomes of credits after the fact."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A registry numbers its credits in one row or in several: two lots of one row (`serial_space`) never share a number.
# That is held by ranges of numbers above a number that stands for the row, which needs no extension. What became of
# credits after the fact stands in `withdrawals`.
SCHEMA = """
ALTER TABLE lots
    ADD COLUMN serial_space text,
    ADD COLUMN serial_raw text,
    ADD COLUMN cost_currency text CHECK (cost_currency ~ '^[A-Z]{3}$'),
    ADD COLUMN seller text,
    ADD COLUMN acquired_on date,
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspended_for text,
    ADD CONSTRAINT a_suspension_has_a_reason CHECK ((suspended_at IS NULL) = (suspended_for IS NULL)),
    ADD COLUMN serial_range numrange NOT NULL GENERATED ALWAYS AS (numrange(
        hashtextextended(coalesce(serial_space, project_id::text || ':' || serial_prefix), 0)
            * 10000000000000000000::numeric + serial_first,
        hashtextextended(coalesce(serial_space, project_id::text || ':' || serial_prefix), 0)
            * 10000000000000000000::numeric + serial_last, '[]')) STORED,
    ADD CONSTRAINT no_serial_number_is_in_two_lots EXCLUDE USING gist (serial_range WITH &&);
DROP INDEX lots_in_stock;
CREATE INDEX lots_in_stock ON lots (project_id, mode, vintage_year)
    WHERE available_tonnes > 0 AND suspended_at IS NULL;
CREATE TABLE withdrawals (
    project_id          uuid NOT NULL,
    lot_id              uuid NOT NULL,
    serial_first        bigint NOT NULL,
    serial_last         bigint NOT NULL,
    kind                text NOT NULL CHECK (kind IN ('reversed', 'invalidated')),
    reason              text NOT NULL CHECK (reason <> ''),
    created_at          timestamptz NOT NULL,
    serial_range        numrange NOT NULL GENERATED ALWAYS AS (numrange(
        hashtextextended(lot_id::text, 0) * 10000000000000000000::numeric + serial_first,
        hashtextextended(lot_id::text, 0) * 10000000000000000000::numeric + serial_last, '[]')) STORED,
    PRIMARY KEY (project_id, lot_id, serial_first),
    FOREIGN KEY (project_id, lot_id) REFERENCES lots (project_id, lot_id),
    CONSTRAINT serial_numbers_are_withdrawn_once EXCLUDE USING gist (serial_range WITH &&)
);
-- Retirements that others made of a lot's credits, as a registry or regulator publishes them.
CREATE TABLE retirements_elsewhere (
    project_id          uuid NOT NULL,
    lot_id              uuid NOT NULL,
    source_key          text NOT NULL,
    beneficiary         text NOT NULL,
    tonnes              bigint NOT NULL CHECK (tonnes > 0),
    vintage_year        smallint,
    period              text,
    retired_on          date,
    PRIMARY KEY (project_id, lot_id, source_key),
    FOREIGN KEY (project_id, lot_id) REFERENCES lots (project_id, lot_id)
);
ALTER TABLE retirements
    ADD COLUMN replaces_id uuid,
    ADD FOREIGN KEY (organisation_id, replaces_id) REFERENCES retirements (organisation_id, retirement_id);
DROP INDEX retirements_of_a_pool;
CREATE UNIQUE INDEX retirements_of_a_pool ON retirements (organisation_id, pool_id, gram_first)
    WHERE state <> 'rejected' AND replaces_id IS NULL;
CREATE INDEX retirements_replacing ON retirements (organisation_id, replaces_id) WHERE replaces_id IS NOT NULL;
ALTER TABLE certificates
    ADD COLUMN superseded_at timestamptz,
    DROP CONSTRAINT certificates_pkey,
    ADD PRIMARY KEY (organisation_id, account_id, order_id, language, sha256);
CREATE UNIQUE INDEX certificates_current ON certificates (organisation_id, account_id, order_id, language)
    WHERE superseded_at IS NULL;
ALTER TABLE bundles ADD COLUMN low_stock_tonnes bigint CHECK (low_stock_tonnes >= 0);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
