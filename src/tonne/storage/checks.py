"""What must always be true, asked of the whole database. Each statement returns what breaks its rule, and where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from tonne.storage.audit_checks import verify_chains
from tonne.storage.commitment_checks import COMMITMENT_CHECKS
from tonne.storage.database import Connection
from tonne.storage.event_checks import EVENT_CHECKS
from tonne.storage.factor_checks import find_altered_editions
from tonne.storage.ledger_checks import LEDGER_CHECKS
from tonne.storage.retirement_checks import RETIREMENT_CHECKS

FINDINGS_MAX = 100
AUDIT_RULE = "the audit log is as it was written"
EDITIONS_RULE = "each imported edition says what it said when it was loaded"
# A whole table may have to be read.
STATEMENT_TIMEOUT_SECONDS = 3600

CHECKS = {
    "an order's lines add up to the order": """
        SELECT 'order ' || o.order_id || ': lines hold ' || l.grams || ' g and cost ' || l.cost || ', the order '
               || o.quantity_grams || ' g and ' || o.offset_cost_minor
          FROM orders o,
               LATERAL (SELECT sum(quantity_grams) AS grams, sum(offset_cost_minor) AS cost FROM unnest(o.lines)) l
         WHERE l.grams <> o.quantity_grams OR l.cost <> o.offset_cost_minor
    """,
    "no line is negative, and no gross price is below the net price": """
        SELECT 'order ' || o.order_id || ': bundle ' || l.bundle_id
          FROM orders o, LATERAL unnest(o.lines) l
         WHERE l.quantity_grams < 0 OR l.offset_cost_minor < 0 OR l.gross_unit_price < l.unit_price
    """,
    "an order belongs to an account and is in its currency": """
        SELECT 'order ' || o.order_id || ' in ' || o.currency || ', account ' || o.account_id
               || coalesce(' in ' || a.currency, ' does not exist')
          FROM orders o
          LEFT JOIN accounts a ON a.organisation_id = o.organisation_id AND a.account_id = o.account_id
         WHERE a.currency IS DISTINCT FROM o.currency
    """,
    "an order was placed with a key of its organisation": """
        SELECT 'order ' || o.order_id || ': key ' || o.key_id
          FROM orders o
         WHERE o.key_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM api_keys k WHERE k.organisation_id = o.organisation_id AND k.key_id = o.key_id)
    """,
    "an order by estimate asks for the estimate's mass": """
        SELECT 'order ' || o.order_id || ' asks for ' || o.requested_tonnes || ' t, estimate ' || o.estimate_id
               || coalesce(' is ' || e.tonnes || ' t', ' does not exist')
          FROM orders o
          LEFT JOIN estimates e ON e.organisation_id = o.organisation_id AND e.account_id = o.account_id
                               AND e.estimate_id = o.estimate_id
         WHERE o.estimate_id IS NOT NULL AND e.tonnes IS DISTINCT FROM o.requested_tonnes
           -- Once its order is cancelled or failed, an estimate may be replaced.
           AND (e.changed_at IS NULL OR (o.cancelled_at IS NULL AND o.failed_at IS NULL))
    """,
    "the statuses of an order were reached one after the other": """
        SELECT 'order ' || order_id FROM orders
         WHERE placed_at < created_at OR paid_at < placed_at OR retiring_at < paid_at OR completed_at < retiring_at
            OR (paid_at IS NOT NULL AND placed_at IS NULL) OR (retiring_at IS NOT NULL AND paid_at IS NULL)
            OR (completed_at IS NOT NULL AND retiring_at IS NULL)
            OR (cancelled_at IS NOT NULL AND (paid_at IS NOT NULL OR failed_at IS NOT NULL))
            OR (failed_at IS NOT NULL AND placed_at IS NOT NULL)
    """,
    "every tonne of a lot is in stock, set aside, allocated, retired or cancelled": """
        SELECT 'lot ' || lot_id FROM lots
         WHERE issued_tonnes <> available_tonnes + set_aside_tonnes + allocated_tonnes + retired_tonnes
                                + cancelled_tonnes
            OR serial_last - serial_first + 1 <> issued_tonnes
    """,
    "no serial number is in two lots": """
        SELECT 'lots ' || a.lot_id || ' and ' || b.lot_id
          FROM lots a JOIN lots b ON a.lot_id < b.lot_id AND a.serial_range && b.serial_range
    """,
    "a bundle selection adds up to 100 percent": """
        SELECT 'account ' || account_id || ': ' || sum(percentage) || ' %' FROM account_selections
         GROUP BY organisation_id, account_id HAVING sum(percentage) <> 100
         UNION ALL
        SELECT 'the default: ' || sum(percentage) || ' %' FROM default_selection HAVING sum(percentage) <> 100
    """,
    "live and test accounts come in pairs": """
        SELECT 'account ' || a.account_id
          FROM accounts a
          LEFT JOIN accounts s ON s.organisation_id = a.organisation_id AND s.account_id = a.sibling_id
         WHERE a.sibling_id IS NOT NULL
           AND (s.account_id IS NULL OR s.mode = a.mode OR s.sibling_id <> a.account_id OR s.currency <> a.currency)
    """,
    **LEDGER_CHECKS,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule, and what breaks it: at most 100 findings."""

    rule: str
    findings: tuple[str, ...]


async def run_checks(connection: Connection) -> AsyncIterator[Checked]:
    """Check every rule over the whole database, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for rule, statement in (CHECKS | RETIREMENT_CHECKS | COMMITMENT_CHECKS | EVENT_CHECKS).items():
            cursor = await connection.cursor(statement, timeout=STATEMENT_TIMEOUT_SECONDS)
            rows = await cursor.fetch(FINDINGS_MAX, timeout=STATEMENT_TIMEOUT_SECONDS)
            yield Checked(rule, tuple(row[0] for row in rows))
        yield Checked(EDITIONS_RULE, (await find_altered_editions(connection))[:FINDINGS_MAX])
        yield Checked(AUDIT_RULE, (await verify_chains(connection)).findings)
