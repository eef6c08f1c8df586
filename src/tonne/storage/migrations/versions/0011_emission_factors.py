"""Emission factors by edition, and what an estimate tells beyond its mass."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE factor_editions (
    edition_id          text PRIMARY KEY,
    source              text NOT NULL CHECK (source ~ '^[a-z][a-z0-9-]{0,39}$'),
    publication_year    int NOT NULL CHECK (publication_year BETWEEN 1900 AND 2200),
    revision            int NOT NULL CHECK (revision > 0),
    title               text NOT NULL,
    attribution         text NOT NULL,
    licence             text NOT NULL,
    url                 text NOT NULL,
    content_sha256      bytea NOT NULL UNIQUE CHECK (length(content_sha256) = 32),
    factor_count        int NOT NULL CHECK (factor_count > 0),
    loaded_at           timestamptz NOT NULL,
    withdrawn_at        timestamptz,
    UNIQUE (source, publication_year, revision)
);
CREATE TABLE emission_factors (
    edition_id          text NOT NULL REFERENCES factor_editions,
    activity            text NOT NULL,
    name                text NOT NULL,
    region              text NOT NULL,
    unit                text NOT NULL,
    kg_co2e             numeric NOT NULL CHECK (kg_co2e >= 0),
    price_year          int,
    PRIMARY KEY (edition_id, activity)
);
ALTER TABLE estimates
    ADD COLUMN outcome jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN changed_at timestamptz;
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)
