"""Keys that the operator uses, payments that are recorded once, and books that know older orders."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Orders of before there was a ledger are placed and owed. A thousand of an account are one movement.
OLDER_ORDERS = """
INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency, amount_minor,
                              order_ids, created_at)
SELECT organisation_id, account_id, (array_agg(order_id ORDER BY order_id))[1], 'order_placed', 'receivable', 'held',
       currency, sum(total_cost_minor), array_agg(order_id ORDER BY order_id), max(created_at)
  FROM (SELECT o.*, (row_number() OVER (PARTITION BY organisation_id, account_id, currency ORDER BY order_id) - 1) / 1000
               AS thousand
          FROM orders o
         WHERE o.status = 'placed' AND o.billing = 'invoice'
           AND NOT EXISTS (SELECT FROM ledger_transfers t
                            WHERE t.organisation_id = o.organisation_id AND t.account_id = o.account_id)) o
 GROUP BY organisation_id, account_id, currency, thousand
"""


# And nobody was told of them.
OLDER_EVENTS = """
INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
SELECT organisation_id, account_id, (array_agg(order_id ORDER BY order_id))[1],
       array['order.received', 'order.placed'], array_agg(order_id ORDER BY order_id), max(created_at)
  FROM (SELECT o.*, (row_number() OVER (PARTITION BY organisation_id, account_id ORDER BY order_id) - 1) / 1000
               AS thousand
          FROM orders o
         WHERE o.status = 'placed'
           AND NOT EXISTS (SELECT FROM event_chunks c
                            WHERE c.organisation_id = o.organisation_id AND c.account_id = o.account_id)) o
 GROUP BY organisation_id, account_id, thousand
"""


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
    op.execute(OLDER_ORDERS)
    op.execute(OLDER_EVENTS)
