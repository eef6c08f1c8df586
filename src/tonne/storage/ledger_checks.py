"""What must always be true of money. As in `checks`: each statement returns what breaks its rule, and where."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What orders that are not delivered should hold, against what the ledger put in and took out.
_HELD = """
    WITH held AS (
        SELECT organisation_id, account_id, sum(CASE 'held' WHEN credit THEN amount_minor WHEN debit THEN -amount_minor END)
               AS minor
          FROM ledger_transfers WHERE 'held' IN (debit, credit) GROUP BY organisation_id, account_id),
    due AS (
        SELECT organisation_id, account_id, sum(total_cost_minor) AS minor
          FROM orders
         WHERE status IN ('paid', 'retiring') OR (status IN ('received', 'placed') AND billing <> 'automatic')
         GROUP BY organisation_id, account_id)
    SELECT 'account ' || account_id || ': ' || coalesce(held.minor, 0) || ' held, its orders demand '
           || coalesce(due.minor, 0)
      FROM held FULL JOIN due USING (organisation_id, account_id)
     WHERE coalesce(held.minor, 0) <> coalesce(due.minor, 0)
"""

_OWED = """
    WITH owed AS (
        SELECT organisation_id, account_id,
               sum(CASE 'receivable' WHEN debit THEN amount_minor WHEN credit THEN -amount_minor END) AS minor
          FROM ledger_transfers WHERE 'receivable' IN (debit, credit) GROUP BY organisation_id, account_id),
    due AS (
        SELECT organisation_id, account_id, sum(total_cost_minor) AS minor
          FROM orders WHERE status IN ('received', 'placed') AND billing = 'invoice'
         GROUP BY organisation_id, account_id)
    SELECT 'account ' || account_id || ': ' || coalesce(owed.minor, 0) || ' owed, its unpaid orders come to '
           || coalesce(due.minor, 0)
      FROM owed FULL JOIN due USING (organisation_id, account_id)
     WHERE coalesce(owed.minor, 0) <> coalesce(due.minor, 0)
"""

_PREPAID = """
    WITH own AS (
        SELECT organisation_id, account_id,
               sum(CASE 'prepaid' WHEN credit THEN amount_minor WHEN debit THEN -amount_minor END) AS minor
          FROM ledger_transfers WHERE 'prepaid' IN (debit, credit) GROUP BY organisation_id, account_id)
    SELECT 'account ' || account_id || ': ' || coalesce(own.minor, 0) || ' in the ledger, the balance is '
           || coalesce(b.balance_minor, 0)
      FROM own FULL JOIN prepaid_balances b USING (organisation_id, account_id)
     WHERE coalesce(own.minor, 0) <> coalesce(b.balance_minor, 0)
"""

# How often the ledger names an order for each kind, against how often its billing and what it has been demand.
_MENTIONED = """
    WITH mentioned AS (
        SELECT t.organisation_id, t.account_id, o.order_id,
               count(*) FILTER (WHERE t.kind = 'order_placed') AS placed,
               count(*) FILTER (WHERE t.kind = 'order_paid') AS paid,
               count(*) FILTER (WHERE t.kind = 'order_cancelled') AS cancelled,
               count(*) FILTER (WHERE t.kind = 'credits_delivered') AS delivered,
               count(*) FILTER (WHERE t.kind = 'commission_earned') AS earned
          FROM ledger_transfers t, LATERAL unnest(t.order_ids) AS o (order_id)
         GROUP BY t.organisation_id, t.account_id, o.order_id)
"""

_PLACED_AND_PAID = f"""{_MENTIONED}
    SELECT 'order ' || o.order_id || ' (' || o.billing || ', ' || o.status || '): placed ' || coalesce(m.placed, 0)
           || ' times in the ledger, paid ' || coalesce(m.paid, 0) || ' times'
      FROM orders o
      LEFT JOIN mentioned m USING (organisation_id, account_id, order_id)
     WHERE CASE o.billing
           WHEN 'invoice' THEN coalesce(m.placed, 0) <> 1
                            OR coalesce(m.paid, 0) <> CASE WHEN o.paid_at IS NULL THEN 0 ELSE 1 END
           WHEN 'prepaid' THEN coalesce(m.placed, 0) + coalesce(m.paid, 0) <> 1
           ELSE coalesce(m.placed, 0) <> 0
             OR coalesce(m.paid, 0) <> CASE WHEN o.paid_at IS NULL THEN 0 ELSE 1 END END
"""  # noqa: S608

_CANCELLED = f"""{_MENTIONED}
    SELECT 'order ' || o.order_id || ' (' || o.billing || ', ' || o.status || '): cancelled '
           || coalesce(m.cancelled, 0) || ' times in the ledger'
      FROM orders o
      LEFT JOIN mentioned m USING (organisation_id, account_id, order_id)
     WHERE coalesce(m.cancelled, 0) <> CASE WHEN o.status IN ('cancelled', 'failed') AND o.billing <> 'automatic'
                                            THEN 1 ELSE 0 END
"""  # noqa: S608

_DELIVERED = f"""{_MENTIONED}
    SELECT 'order ' || o.order_id || ' (' || o.status || '): delivered ' || coalesce(m.delivered, 0)
           || ' times in the ledger, its commission earned ' || coalesce(m.earned, 0) || ' times'
      FROM orders o
      LEFT JOIN mentioned m USING (organisation_id, account_id, order_id)
     WHERE coalesce(m.delivered, 0) <> CASE WHEN o.status = 'complete' THEN 1 ELSE 0 END
        OR coalesce(m.earned, 0) <> CASE WHEN o.status = 'complete' THEN 1 ELSE 0 END
"""  # noqa: S608

_OWN_CURRENCY = """
    SELECT 'transfer ' || t.transfer_id || ' in ' || t.currency || ', account ' || t.account_id
           || coalesce(' in ' || a.currency, ' does not exist')
      FROM ledger_transfers t
      LEFT JOIN accounts a ON a.organisation_id = t.organisation_id AND a.account_id = t.account_id
     WHERE a.currency IS DISTINCT FROM t.currency
"""

# An order that does not exist has no cost: where one is named, the sum does not come out.
_SUMS = """
    WITH named AS (
        SELECT t.organisation_id, t.account_id, t.transfer_id, count(o.order_id) AS found,
               sum(CASE t.kind WHEN 'credits_delivered' THEN o.offset_cost_minor
                               WHEN 'commission_earned' THEN o.total_cost_minor - o.offset_cost_minor
                               ELSE o.total_cost_minor END) AS minor
          FROM ledger_transfers t
         CROSS JOIN LATERAL unnest(t.order_ids) AS n (order_id)
          LEFT JOIN orders o ON o.organisation_id = t.organisation_id AND o.account_id = t.account_id
                            AND o.order_id = n.order_id
         GROUP BY t.organisation_id, t.account_id, t.transfer_id)
    SELECT 'transfer ' || t.transfer_id || ' (' || t.kind || '): ' || t.amount_minor || ' of '
           || cardinality(t.order_ids) || ' orders, there are ' || coalesce(n.found, 0) || ' that come to '
           || coalesce(n.minor, 0)
      FROM ledger_transfers t
      LEFT JOIN named n USING (organisation_id, account_id, transfer_id)
     WHERE t.order_ids IS NOT NULL
       AND (t.amount_minor <> coalesce(n.minor, 0) OR cardinality(t.order_ids) <> coalesce(n.found, 0))
"""

_KINDS = """
    SELECT 'transfer ' || transfer_id || ' (' || kind || '): from ' || credit || ' to ' || debit
           || CASE WHEN order_ids IS NULL THEN '' ELSE ', of orders' END
      FROM ledger_transfers
     WHERE (kind, debit, credit, order_ids IS NOT NULL) NOT IN (
           ('order_placed', 'receivable', 'held', true), ('order_placed', 'prepaid', 'held', true),
           ('order_paid', 'cash', 'receivable', true), ('order_paid', 'settled', 'held', true),
           ('order_paid', 'prepaid', 'held', true),
           ('order_cancelled', 'held', 'receivable', true), ('order_cancelled', 'held', 'prepaid', true),
           ('credits_delivered', 'held', 'credits', true), ('commission_earned', 'held', 'commission', true),
           ('top_up', 'cash', 'prepaid', false), ('refund', 'prepaid', 'cash', false))
"""

LEDGER_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "what is held is what undelivered orders cost": _HELD,
        "what is owed is what unpaid orders on invoice cost": _OWED,
        "a prepaid balance is what the ledger says": _PREPAID,
        "every order is in the ledger once for being placed or paid": _PLACED_AND_PAID,
        "every cancelled order gave its money back once": _CANCELLED,
        "every complete order is in the ledger once as delivered": _DELIVERED,
        "money moves in its account's currency": _OWN_CURRENCY,
        "a movement of money is the sum of its orders": _SUMS,
        "money moves only from where to where its kind says": _KINDS,
    }
)
