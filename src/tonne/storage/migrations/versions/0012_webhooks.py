"""Events in sequence, and webhooks that they are delivered to."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Sequence numbers follow `recorded_at`: the database's clock, read while what the chunk's transaction waited for is held.
# Who commits before another begins to record is told before it.
EVENTS = """
ALTER TABLE event_chunks
    ADD COLUMN recorded_at timestamptz,
    ADD COLUMN webhook_id uuid,
    DROP CONSTRAINT event_chunks_order_ids_check,
    ADD CONSTRAINT what_happened_happened_to_something CHECK
        ((cardinality(order_ids) > 0) <> (webhook_id IS NOT NULL));
UPDATE event_chunks SET recorded_at = created_at;
ALTER TABLE event_chunks
    ALTER COLUMN recorded_at SET DEFAULT clock_timestamp(),
    ALTER COLUMN recorded_at SET NOT NULL;
CREATE UNIQUE INDEX event_chunks_in_sequence ON event_chunks (organisation_id, account_id, sequence_first)
    WHERE sequence_first IS NOT NULL;
CREATE INDEX event_chunks_by_time ON event_chunks (organisation_id, account_id, created_at);

-- How far an account's events are numbered. Those of before `kept_from` were deleted.
CREATE TABLE event_heads (
    organisation_id     uuid NOT NULL,
    account_id          uuid NOT NULL,
    sequence_last       bigint NOT NULL CHECK (sequence_last >= 0),
    kept_from           timestamptz,
    PRIMARY KEY (organisation_id, account_id),
    FOREIGN KEY (organisation_id, account_id) REFERENCES accounts (organisation_id, account_id)
);
"""

WEBHOOKS = """
CREATE TABLE webhooks (
    organisation_id     uuid NOT NULL,
    webhook_id          uuid NOT NULL,
    mode                text NOT NULL CHECK (mode IN ('live', 'test')),
    url                 text NOT NULL CHECK (url ~* '^https?://'),
    -- NULL: every account of the mode.
    account_ids         uuid[] CHECK (cardinality(account_ids) > 0),
    -- Encrypted, and the last characters of what is.
    secret              bytea NOT NULL,
    secret_end          text NOT NULL CHECK (length(secret_end) = 4),
    former_secret       bytea,
    former_until        timestamptz,
    enabled             boolean NOT NULL,
    disabled_at         timestamptz,
    disabled_reason     text,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, webhook_id),
    CONSTRAINT a_former_secret_ends CHECK ((former_secret IS NULL) = (former_until IS NULL)),
    CONSTRAINT what_is_disabled_was_disabled_at_a_time CHECK (enabled = (disabled_at IS NULL))
);

-- How far an account's events were delivered to a webhook, and the batch that is on its way: the same bytes in every
-- attempt. Who has claimed it sends; nobody else does before `claimed_until`.
CREATE TABLE webhook_cursors (
    organisation_id     uuid NOT NULL,
    webhook_id          uuid NOT NULL,
    account_id          uuid NOT NULL,
    sequence_next       bigint NOT NULL CHECK (sequence_next > 0),
    batch_id            uuid,
    batch_first         bigint,
    batch_last          bigint,
    batch_body          bytea,
    attempts            smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due_at              timestamptz,
    claim_id            uuid,
    claimed_until       timestamptz,
    PRIMARY KEY (organisation_id, webhook_id, account_id),
    FOREIGN KEY (organisation_id, webhook_id) REFERENCES webhooks (organisation_id, webhook_id),
    CONSTRAINT a_batch_is_whole CHECK ((batch_id IS NULL) = (batch_first IS NULL)
        AND (batch_id IS NULL) = (batch_last IS NULL) AND (batch_id IS NULL) = (batch_body IS NULL)),
    CONSTRAINT a_batch_is_of_what_comes_next CHECK (batch_first >= sequence_next AND batch_last >= batch_first),
    CONSTRAINT a_batch_on_its_way_is_due CHECK (batch_id IS NULL OR due_at IS NOT NULL),
    CONSTRAINT a_claim_ends CHECK ((claim_id IS NULL) = (claimed_until IS NULL))
);
CREATE INDEX webhook_cursors_due ON webhook_cursors (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_cursors_account ON webhook_cursors (organisation_id, account_id);

CREATE TABLE webhook_attempts (
    organisation_id     uuid NOT NULL,
    webhook_id          uuid NOT NULL,
    attempt_id          uuid NOT NULL,
    account_id          uuid NOT NULL,
    batch_id            uuid NOT NULL,
    sequence_first      bigint NOT NULL,
    sequence_last       bigint NOT NULL,
    attempt             smallint NOT NULL CHECK (attempt > 0),
    sent_at             timestamptz NOT NULL,
    duration_ms         int NOT NULL CHECK (duration_ms >= 0),
    http_status         smallint,
    error               text,
    answer              bytea NOT NULL CHECK (length(answer) <= 1024),
    next_at             timestamptz,
    PRIMARY KEY (organisation_id, webhook_id, attempt_id),
    CONSTRAINT an_attempt_is_answered_or_failed CHECK (http_status IS NOT NULL OR error IS NOT NULL)
);
CREATE INDEX webhook_attempts_by_time ON webhook_attempts (sent_at);
"""


def upgrade() -> None:
    for script in (EVENTS, WEBHOOKS):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)
