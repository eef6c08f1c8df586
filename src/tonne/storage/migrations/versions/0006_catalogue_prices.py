"""Prices with a history, portfolios and images."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A price as of a time, in one currency; NULL ends a fixed price in a foreign currency. Before the first one in its own
# currency a bundle costs its base price.
SCHEMA = """
CREATE TABLE bundle_prices (
    bundle_id           uuid NOT NULL REFERENCES bundles,
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_from          timestamptz NOT NULL,
    price               numeric CHECK (price > 0),
    PRIMARY KEY (bundle_id, currency, valid_from)
);
ALTER TABLE bundles ADD COLUMN identifier text;
UPDATE bundles SET identifier = trim(both '-' from regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g'));
UPDATE bundles SET identifier = identifier || '-' || left(md5(bundle_id::text), 6)
 WHERE identifier = '' OR identifier IN (SELECT identifier FROM bundles GROUP BY identifier HAVING count(*) > 1);
ALTER TABLE bundles ALTER COLUMN identifier SET NOT NULL, ADD UNIQUE (identifier);
CREATE TABLE bundle_portfolios (
    portfolio_id        uuid PRIMARY KEY,
    identifier          text NOT NULL UNIQUE,
    label               text NOT NULL CHECK (label <> ''),
    disabled_at         timestamptz,
    created_at          timestamptz NOT NULL
);
CREATE TABLE bundle_portfolio_choices (
    portfolio_id        uuid NOT NULL REFERENCES bundle_portfolios,
    position            smallint NOT NULL CHECK (position >= 0),
    bundle_id           uuid NOT NULL REFERENCES bundles,
    percentage          numeric(5, 2) NOT NULL CHECK (percentage BETWEEN 0 AND 100),
    PRIMARY KEY (portfolio_id, position),
    UNIQUE (portfolio_id, bundle_id)
);
CREATE TABLE images (
    sha256              bytea PRIMARY KEY,
    media_type          text NOT NULL CHECK (media_type IN ('image/png', 'image/jpeg', 'image/webp', 'image/svg+xml')),
    data                bytea NOT NULL CHECK (sha256(data) = sha256),
    created_at          timestamptz NOT NULL
);
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
