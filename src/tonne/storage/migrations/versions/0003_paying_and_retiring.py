"""Paying, pooling, allocating, retiring, proving."""

import secrets

import sqlalchemy
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# How an account pays, and how a test account's registry behaves.
ACCOUNTS = """
ALTER TABLE accounts
    ADD COLUMN billing text NOT NULL DEFAULT 'invoice' CHECK (billing IN ('invoice', 'prepaid', 'automatic')),
    ADD COLUMN test_behaviour text NOT NULL DEFAULT 'normal'
        CHECK (test_behaviour IN ('normal', 'by_hand', 'slow', 'out_of_stock', 'rejecting', 'unsure')),
    ADD CONSTRAINT only_test_accounts_are_played_with CHECK (mode = 'test' OR test_behaviour = 'normal');
UPDATE accounts SET billing = 'automatic' WHERE mode = 'test';

CREATE TABLE prepaid_balances (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    balance_minor       bigint NOT NULL CHECK (balance_minor >= 0),
    PRIMARY KEY (organisation_id, account_id),
    FOREIGN KEY (organisation_id, account_id) REFERENCES accounts (organisation_id, account_id)
);

-- One row moves money from one place to another, so that the ledger can't but add up to zero. A movement of many orders
-- of an account is one row; the orders say how much each has in it.
CREATE TABLE ledger_transfers (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    transfer_id         uuid NOT NULL,
    kind                text NOT NULL CHECK (kind IN ('order_placed', 'order_cancelled', 'order_paid', 'credits_delivered',
                                                      'commission_earned', 'top_up', 'refund')),
    debit               text NOT NULL CHECK (debit IN ('receivable', 'cash', 'settled', 'prepaid', 'held')),
    credit              text NOT NULL CHECK (credit IN ('receivable', 'cash', 'settled', 'prepaid', 'held', 'credits',
                                                        'commission')),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor        numeric(60, 0) NOT NULL CHECK (amount_minor >= 0),
    order_ids           uuid[],
    reference           text,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id, transfer_id),
    CHECK (debit <> credit)
);
"""

# What happened, in the transaction in which it did. A row holds the same events of many orders or allocations of an
# account: `event_types` of the first, then of the second, and so on. Sequence numbers are given in order of commit, later.
EVENTS = """
CREATE TABLE event_chunks (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    chunk_id            uuid NOT NULL,
    event_types         text[] NOT NULL CHECK (cardinality(event_types) > 0),
    order_ids           uuid[] NOT NULL CHECK (cardinality(order_ids) > 0),
    retirement_ids      uuid[] CHECK (cardinality(retirement_ids) = cardinality(order_ids)),
    quantities_grams    bigint[] CHECK (cardinality(quantities_grams) = cardinality(order_ids)),
    sequence_first      bigint,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id, chunk_id)
);
CREATE INDEX event_chunks_without_sequence ON event_chunks (organisation_id, account_id) WHERE sequence_first IS NULL;
"""

# The status may change without a new entry in any index: the conditions of indexes name times instead.
ORDERS = """
ALTER TABLE orders
    ADD COLUMN billing text NOT NULL DEFAULT 'invoice' CHECK (billing IN ('invoice', 'prepaid', 'automatic')),
    ADD COLUMN pooled_at timestamptz,
    ADD CONSTRAINT only_paid_orders_are_pooled CHECK (pooled_at IS NULL OR paid_at IS NOT NULL);
DROP INDEX orders_estimate;
CREATE UNIQUE INDEX orders_estimate ON orders (organisation_id, account_id, estimate_id)
    WHERE estimate_id IS NOT NULL AND cancelled_at IS NULL AND failed_at IS NULL;
CREATE INDEX orders_to_pool ON orders (organisation_id, account_id, paid_at, order_id)
    WHERE paid_at IS NOT NULL AND pooled_at IS NULL;
"""

# The lines of paid orders for one account, beneficiary and bundle stand in a row, gram after gram: an order's line is
# the grams from `gram_first` on, a retirement covers whole tonnes of the same row, and an order's part in a retirement
# is where the two meet.
POOLS = """
CREATE TABLE pools (
    organisation_id     uuid NOT NULL,
    pool_id             uuid NOT NULL,
    account_id          uuid NOT NULL,
    bundle_id           uuid NOT NULL,
    beneficiary         text NOT NULL,
    mode                text NOT NULL CHECK (mode IN ('live', 'test')),
    entered_grams       bigint NOT NULL DEFAULT 0,
    covered_grams       bigint NOT NULL DEFAULT 0,
    gaps_grams          bigint NOT NULL DEFAULT 0 CHECK (gaps_grams >= 0 AND gaps_grams % 1000000 = 0),
    due_since           timestamptz,
    PRIMARY KEY (organisation_id, pool_id),
    UNIQUE (organisation_id, account_id, bundle_id, beneficiary),
    FOREIGN KEY (organisation_id, account_id, mode) REFERENCES accounts (organisation_id, account_id, mode),
    CONSTRAINT nothing_is_retired_that_was_not_ordered CHECK (covered_grams <= entered_grams),
    CONSTRAINT whole_tonnes_are_retired CHECK (covered_grams % 1000000 = 0),
    CONSTRAINT a_pool_is_due_with_a_tonne CHECK
        ((due_since IS NOT NULL) = (entered_grams - covered_grams + gaps_grams >= 1000000))
);
CREATE INDEX pools_due ON pools (organisation_id, due_since) WHERE due_since IS NOT NULL;

CREATE TABLE pool_entries (
    organisation_id     uuid NOT NULL,
    pool_id             uuid NOT NULL,
    gram_first          bigint NOT NULL CHECK (gram_first >= 0),
    quantity_grams      bigint NOT NULL CHECK (quantity_grams > 0),
    -- NULL: the operator's own, to fill a tonne.
    order_id            uuid,
    PRIMARY KEY (organisation_id, pool_id, gram_first)
);
CREATE INDEX pool_entries_order ON pool_entries (organisation_id, order_id);

-- Covered before, and to be covered again: the retirement was rejected.
CREATE TABLE pool_gaps (
    organisation_id     uuid NOT NULL,
    pool_id             uuid NOT NULL,
    gram_first          bigint NOT NULL CHECK (gram_first % 1000000 = 0),
    tonnes              bigint NOT NULL CHECK (tonnes > 0),
    PRIMARY KEY (organisation_id, pool_id, gram_first)
);

CREATE TABLE retirements (
    organisation_id     uuid NOT NULL,
    retirement_id       uuid NOT NULL,
    account_id          uuid NOT NULL,
    pool_id             uuid NOT NULL,
    gram_first          bigint NOT NULL CHECK (gram_first >= 0 AND gram_first % 1000000 = 0),
    tonnes              bigint NOT NULL CHECK (tonnes > 0),
    bundle_id           uuid NOT NULL,
    beneficiary         text NOT NULL,
    mode                text NOT NULL CHECK (mode IN ('live', 'test')),
    project_id          uuid NOT NULL,
    lot_id              uuid NOT NULL,
    vintage_year        smallint NOT NULL,
    serial_prefix       text NOT NULL,
    serial_first        bigint NOT NULL CHECK (serial_first > 0),
    serial_last         bigint NOT NULL,
    registry            text NOT NULL CHECK (registry IN ('manual', 'simulated')),
    state               text NOT NULL CHECK (state IN ('pending', 'submitted', 'confirmed', 'rejected', 'unknown')),
    replaces_rejected   boolean NOT NULL DEFAULT false,
    registry_reference  text CHECK (registry_reference <> ''),
    retired_on          date,
    reason              text,
    created_at          timestamptz NOT NULL,
    submitted_at        timestamptz,
    decided_at          timestamptz,
    PRIMARY KEY (organisation_id, retirement_id),
    FOREIGN KEY (organisation_id, pool_id) REFERENCES pools (organisation_id, pool_id),
    CONSTRAINT every_retired_tonne_has_a_serial_number CHECK (serial_last - serial_first + 1 = tonnes),
    CONSTRAINT a_confirmed_retirement_can_be_looked_up CHECK
        ((state = 'confirmed') = (registry_reference IS NOT NULL AND retired_on IS NOT NULL)),
    CONSTRAINT a_decision_has_its_time CHECK ((state IN ('confirmed', 'rejected')) = (decided_at IS NOT NULL)),
    CONSTRAINT test_credits_are_retired_in_tests CHECK ((mode = 'test') = (registry = 'simulated'))
);
CREATE UNIQUE INDEX retirements_of_a_pool ON retirements (organisation_id, pool_id, gram_first) WHERE state <> 'rejected';
CREATE UNIQUE INDEX retirements_of_a_lot ON retirements (organisation_id, lot_id, serial_first) WHERE state <> 'rejected';
CREATE INDEX retirements_open ON retirements (organisation_id, registry, state)
    WHERE state IN ('pending', 'submitted', 'unknown');

CREATE TABLE allocations (
    organisation_id     uuid NOT NULL,
    retirement_id       uuid NOT NULL,
    gram_first          bigint NOT NULL,
    quantity_grams      bigint NOT NULL CHECK (quantity_grams > 0),
    order_id            uuid,
    PRIMARY KEY (organisation_id, retirement_id, gram_first)
);
CREATE INDEX allocations_order ON allocations (organisation_id, order_id);

-- Certificates that were handed out, as they were. The hash says whether a file is one of them.
CREATE TABLE certificates (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    order_id            uuid NOT NULL,
    language            text NOT NULL,
    pdf                 bytea NOT NULL,
    sha256              bytea NOT NULL CHECK (sha256 = sha256(pdf)),
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id, order_id, language)
);
CREATE INDEX certificates_sha256 ON certificates (organisation_id, sha256);
"""

# Lots of test credits are made as they are needed; they are never sold to live accounts.
CATALOGUE = """
ALTER TABLE bundles
    ADD COLUMN retirement_policy text NOT NULL DEFAULT 'oldest_vintage'
        CHECK (retirement_policy IN ('oldest_vintage', 'cheapest', 'spread'));

ALTER TABLE lots
    ADD COLUMN mode text NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test')),
    ADD COLUMN cost_per_tonne numeric CHECK (cost_per_tonne >= 0),
    ADD COLUMN serial_next bigint,
    ADD COLUMN set_aside_tonnes bigint NOT NULL DEFAULT 0 CHECK (set_aside_tonnes >= 0),
    DROP CONSTRAINT every_tonne_is_somewhere,
    ADD CONSTRAINT every_tonne_is_somewhere CHECK (issued_tonnes =
        available_tonnes + set_aside_tonnes + allocated_tonnes + retired_tonnes + cancelled_tonnes);
UPDATE lots SET serial_next = serial_first;
ALTER TABLE lots
    ALTER COLUMN serial_next SET NOT NULL,
    ADD CONSTRAINT serial_numbers_are_taken_in_turn CHECK
        (serial_next BETWEEN serial_first AND serial_last + 1);
CREATE INDEX lots_in_stock ON lots (project_id, mode, vintage_year) WHERE available_tonnes > 0;

-- Serial numbers whose retirement was rejected. Set aside until the operator says that they are good.
CREATE TABLE returned_blocks (
    project_id          uuid NOT NULL,
    lot_id              uuid NOT NULL,
    serial_first        bigint NOT NULL,
    tonnes              bigint NOT NULL CHECK (tonnes > 0),
    is_available        boolean NOT NULL,
    retirement_id       uuid NOT NULL,
    PRIMARY KEY (project_id, lot_id, serial_first),
    FOREIGN KEY (project_id, lot_id) REFERENCES lots (project_id, lot_id)
);

CREATE TABLE service_secrets (
    name                text PRIMARY KEY,
    secret              bytea NOT NULL CHECK (length(secret) = 32)
);

-- Certificates (X.509) that PDFs were ever signed with, so that old ones stay checkable.
CREATE TABLE signing_certificates (
    fingerprint         bytea PRIMARY KEY,
    certificate         bytea NOT NULL CHECK (sha256(certificate) = fingerprint),
    created_at          timestamptz NOT NULL
);
"""


def upgrade() -> None:
    for script in (ACCOUNTS, EVENTS, ORDERS, CATALOGUE, POOLS):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)
    op.execute(
        sqlalchemy.text("INSERT INTO service_secrets (name, secret) VALUES ('proof', :secret)").bindparams(
            secret=secrets.token_bytes(32)
        )
    )
