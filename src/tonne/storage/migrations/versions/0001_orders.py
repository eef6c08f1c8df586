"""Organisations, accounts, keys, the catalogue, estimates and orders."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Tenant tables: organisation_id is first in every primary key, unique index and foreign key, so that
# they can be distributed by it.
TENANTS = """
CREATE TABLE organisations (
    organisation_id     uuid PRIMARY KEY,
    name                text NOT NULL CHECK (name <> ''),
    organisation_type   text NOT NULL DEFAULT 'shipper' CHECK (organisation_type IN ('shipper', 'supplier')),
    commission_rate     numeric NOT NULL DEFAULT 0.10 CHECK (commission_rate >= 0 AND commission_rate < 1),
    created_at          timestamptz NOT NULL
);

CREATE TABLE accounts (
    organisation_id     uuid NOT NULL REFERENCES organisations,
    account_id          uuid NOT NULL,
    name                text NOT NULL CHECK (name <> ''),
    mode                text NOT NULL CHECK (mode IN ('live', 'test')),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    sibling_id          uuid,
    handle              text,
    beneficiary         text,
    logo                text,
    bundle_portfolio_id uuid,
    external_pages_visibility text NOT NULL DEFAULT 'private'
                        CHECK (external_pages_visibility IN ('public', 'hidden', 'private')),
    suspended_at        timestamptz,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id),
    UNIQUE (organisation_id, account_id, mode)
);

CREATE TABLE account_selections (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    position            smallint NOT NULL CHECK (position >= 0),
    bundle_id           uuid NOT NULL,
    percentage          numeric(5, 2) NOT NULL CHECK (percentage BETWEEN 0 AND 100),
    PRIMARY KEY (organisation_id, account_id, position),
    UNIQUE (organisation_id, account_id, bundle_id),
    FOREIGN KEY (organisation_id, account_id) REFERENCES accounts (organisation_id, account_id)
);

CREATE TABLE api_keys (
    organisation_id     uuid NOT NULL,
    key_id              uuid NOT NULL,
    account_id          uuid NOT NULL,
    mode                text NOT NULL,
    name                text NOT NULL,
    key_hash            bytea NOT NULL CHECK (length(key_hash) = 32),
    last_characters     text NOT NULL,
    rate_limit_per_second integer CHECK (rate_limit_per_second > 0),
    created_at          timestamptz NOT NULL,
    disabled_at         timestamptz,
    PRIMARY KEY (organisation_id, key_id),
    UNIQUE (organisation_id, key_hash),
    -- A key can only ever be of its account's mode.
    FOREIGN KEY (organisation_id, account_id, mode) REFERENCES accounts (organisation_id, account_id, mode)
);

CREATE TABLE estimates (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    estimate_id         uuid NOT NULL,
    kind                text NOT NULL,
    tonnes              numeric NOT NULL CHECK (tonnes >= 0),
    request             jsonb NOT NULL,
    calculation         jsonb NOT NULL,
    quantity_trunc      text NOT NULL CHECK (quantity_trunc IN ('g', 'kg', 't')),
    bundle_selection    jsonb,
    name                text,
    metadata            jsonb,
    idempotency_key     text COLLATE "C",
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id, estimate_id),
    FOREIGN KEY (organisation_id, account_id) REFERENCES accounts (organisation_id, account_id)
);
CREATE UNIQUE INDEX estimates_idempotency_key ON estimates (organisation_id, account_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TYPE order_line AS (
    bundle_id           uuid,
    quantity_grams      bigint,
    unit_price          numeric,
    gross_unit_price    numeric,
    offset_cost_minor   bigint
);

-- The lines live in the order's row: they are written once with it, read only with it and never changed.
-- No foreign key leaves this table: the insert joins the account it belongs to, estimates are never deleted,
-- and a check of either would be paid with every order (docs/decisions/0001).
CREATE TABLE orders (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    order_id            uuid NOT NULL,
    type                text NOT NULL CHECK (type IN ('quantity', 'value')),
    status              text NOT NULL CHECK (status IN
                        ('received', 'placed', 'paid', 'retiring', 'complete', 'cancelled', 'failed')),
    currency            text NOT NULL,
    quantity_grams      bigint NOT NULL CHECK (quantity_grams > 0),
    requested_tonnes    numeric,
    requested_value_minor bigint,
    offset_cost_minor   bigint NOT NULL CHECK (offset_cost_minor >= 0),
    total_cost_minor    bigint NOT NULL,
    lines               order_line[] NOT NULL CHECK (cardinality(lines) > 0),
    estimate_id         uuid,
    idempotency_key     text COLLATE "C",
    metadata            jsonb,
    beneficiary         text,
    created_at          timestamptz NOT NULL,
    placed_at           timestamptz,
    paid_at             timestamptz,
    retiring_at         timestamptz,
    completed_at        timestamptz,
    cancelled_at        timestamptz,
    failed_at           timestamptz,
    PRIMARY KEY (organisation_id, account_id, order_id),
    CONSTRAINT commission_is_not_negative CHECK (total_cost_minor >= offset_cost_minor),
    CONSTRAINT quantity_is_at_most_requested CHECK (quantity_grams <= requested_tonnes * 1000000),
    CONSTRAINT total_is_at_most_requested_value CHECK (total_cost_minor <= requested_value_minor),
    CONSTRAINT requested_is_quantity_or_value CHECK (
        (type = 'quantity') = (requested_tonnes IS NOT NULL) AND (type = 'value') = (requested_value_minor IS NOT NULL)),
    CONSTRAINT status_has_its_time CHECK (CASE status
        WHEN 'received' THEN true WHEN 'placed' THEN placed_at IS NOT NULL WHEN 'paid' THEN paid_at IS NOT NULL
        WHEN 'retiring' THEN retiring_at IS NOT NULL WHEN 'complete' THEN completed_at IS NOT NULL
        WHEN 'cancelled' THEN cancelled_at IS NOT NULL ELSE failed_at IS NOT NULL END)
);
CREATE UNIQUE INDEX orders_idempotency_key ON orders (organisation_id, account_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX orders_estimate ON orders (organisation_id, account_id, estimate_id)
    WHERE estimate_id IS NOT NULL AND status NOT IN ('cancelled', 'failed');
CREATE INDEX orders_metadata ON orders USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;

CREATE TABLE idempotent_requests (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    request_key         text COLLATE "C" NOT NULL,
    fingerprint         bytea NOT NULL,
    http_status         smallint NOT NULL,
    body                bytea NOT NULL,
    location            text,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, account_id, request_key)
);
CREATE INDEX idempotent_requests_created_at ON idempotent_requests (created_at);
"""

# Catalogue tables: small, rarely written, the same for every tenant.
CATALOGUE = """
CREATE TABLE projects (
    project_id          uuid PRIMARY KEY,
    name                text NOT NULL,
    short_name          text NOT NULL,
    slug                text NOT NULL UNIQUE,
    description         text NOT NULL,
    project_type        text NOT NULL,
    registry_name       text NOT NULL,
    registry_project_id text NOT NULL,
    registry_link       text,
    latitude            numeric CHECK (latitude BETWEEN -90 AND 90),
    longitude           numeric CHECK (longitude BETWEEN -180 AND 180),
    country_name        text NOT NULL,
    country_code        text NOT NULL CHECK (country_code ~ '^[A-Z]{3}$'),
    region              text,
    logo                text,
    primary_image       text,
    thumbnail_image     text,
    results             text[] NOT NULL DEFAULT '{}',
    un_sdg              smallint[] NOT NULL DEFAULT '{}',
    disabled_at         timestamptz,
    media               jsonb,
    crediting_start_date date,
    crediting_end_date  date,
    registration_date   date,
    protocol            text,
    methodology         text,
    durability          text,
    additional_standards_met text[] NOT NULL DEFAULT '{}',
    verifying_body      text,
    risk_of_reversal    text,
    risk_of_predicted_emissions text,
    avg_annual_emission_reductions bigint,
    created_at          timestamptz NOT NULL,
    UNIQUE (registry_name, registry_project_id)
);

CREATE TABLE lots (
    project_id          uuid NOT NULL REFERENCES projects,
    lot_id              uuid NOT NULL,
    vintage_year        smallint NOT NULL CHECK (vintage_year BETWEEN 1990 AND 2100),
    serial_prefix       text NOT NULL,
    serial_first        bigint NOT NULL CHECK (serial_first > 0),
    serial_last         bigint NOT NULL,
    issued_tonnes       bigint NOT NULL CHECK (issued_tonnes > 0),
    available_tonnes    bigint NOT NULL CHECK (available_tonnes >= 0),
    allocated_tonnes    bigint NOT NULL DEFAULT 0 CHECK (allocated_tonnes >= 0),
    retired_tonnes      bigint NOT NULL DEFAULT 0 CHECK (retired_tonnes >= 0),
    cancelled_tonnes    bigint NOT NULL DEFAULT 0 CHECK (cancelled_tonnes >= 0),
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (project_id, lot_id),
    UNIQUE (project_id, serial_prefix, serial_first),
    CONSTRAINT every_tonne_has_a_serial_number CHECK (serial_last - serial_first + 1 = issued_tonnes),
    CONSTRAINT every_tonne_is_somewhere CHECK
        (issued_tonnes = available_tonnes + allocated_tonnes + retired_tonnes + cancelled_tonnes)
);

CREATE TABLE bundles (
    bundle_id           uuid PRIMARY KEY,
    name                text NOT NULL UNIQUE,
    base_price          numeric NOT NULL CHECK (base_price > 0),
    base_currency       text NOT NULL CHECK (base_currency ~ '^[A-Z]{3}$'),
    description         text NOT NULL,
    stock_tracked       boolean NOT NULL DEFAULT true,
    offset_type         text CHECK (offset_type IN ('emissions_reduction', 'carbon_removal')),
    approach            text CHECK (approach IN ('traditional', 'innovative')),
    carbon_permanence   text CHECK (carbon_permanence IN ('long_term', 'short_term', 'no_storage')),
    background_colour   text,
    primary_image       text,
    large_image         text,
    primary_image_hires text,
    small_thumbnail     text,
    disabled_at         timestamptz,
    created_at          timestamptz NOT NULL
);

CREATE TABLE bundle_projects (
    bundle_id           uuid NOT NULL REFERENCES bundles,
    project_id          uuid NOT NULL REFERENCES projects,
    position            smallint NOT NULL,
    PRIMARY KEY (bundle_id, project_id)
);

CREATE TABLE default_selection (
    position            smallint PRIMARY KEY,
    bundle_id           uuid NOT NULL UNIQUE REFERENCES bundles,
    percentage          numeric(5, 2) NOT NULL CHECK (percentage BETWEEN 0 AND 100)
);

CREATE TABLE exchange_rates (
    base_currency       text NOT NULL CHECK (base_currency ~ '^[A-Z]{3}$'),
    quote_currency      text NOT NULL CHECK (quote_currency ~ '^[A-Z]{3}$'),
    as_of               date NOT NULL,
    rate                numeric NOT NULL CHECK (rate > 0),
    source              text NOT NULL,
    PRIMARY KEY (base_currency, quote_currency, as_of)
);
"""


def upgrade() -> None:
    for script in (CATALOGUE, TENANTS):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)
