"""Rows of `pools`, `pool_entries` and `pool_gaps`: the paid lines of an account, beneficiary and bundle, in a row.

Orders that restrict which credits they may be given have pools of their own.

Whoever changes a pool holds its organisation's claim (`claim_organisation`): one at a time for each tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import Gap
from tonne.domain.terms import Restrictions
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection, from_jsonb, to_jsonb
from tonne.storage.terms import read_restrictions, restrictions_row

# A pool's id is made of what it is for, so that two who open it at once open the same.
_POOL_ID = """
    substr(encode(sha256(convert_to(account_id::text || bundle_id::text || beneficiary
                                    || CASE terms WHEN '{}' THEN '' ELSE terms::text END, 'UTF8')), 'hex'), 1, 32)::uuid
"""

# What of an order's terms keeps it from being pooled with others for the same name.
_POOL_TERMS = """
    jsonb_strip_nulls(jsonb_build_object(
        'country', o.terms #> '{beneficiary,country}',
        'registration_number', o.terms #> '{beneficiary,registration_number}',
        'restrictions', o.terms -> 'restrictions'))
"""

# All in one pass: which orders are due, which of their pools are new, where in each pool their lines stand, and that they
# are pooled now.
_ENTER = f"""
    WITH due AS MATERIALIZED (
        SELECT o.account_id, o.order_id, o.lines, o.paid_at, a.mode, coalesce(o.beneficiary, a.name) AS beneficiary,
               {_POOL_TERMS} AS terms
          FROM orders o
          JOIN accounts a ON a.organisation_id = o.organisation_id AND a.account_id = o.account_id
         WHERE o.organisation_id = $1 AND o.paid_at IS NOT NULL AND o.pooled_at IS NULL
           AND CASE WHEN $2::uuid[] IS NULL THEN a.test_behaviour <> 'by_hand' ELSE o.order_id = ANY($2) END
         ORDER BY o.account_id, o.paid_at, o.order_id LIMIT $3
           FOR NO KEY UPDATE OF o),
    entering AS MATERIALIZED (
        SELECT d.account_id, d.order_id, d.paid_at, d.mode, d.beneficiary, d.terms, l.bundle_id,
               l.quantity_grams
          FROM due d CROSS JOIN LATERAL unnest(d.lines) l WHERE l.quantity_grams > 0),
    wanted AS MATERIALIZED (
        SELECT DISTINCT account_id, bundle_id, beneficiary, terms, mode FROM entering),
    opened AS (
        INSERT INTO pools (organisation_id, pool_id, account_id, bundle_id, beneficiary, terms, mode)
        SELECT $1, {_POOL_ID}, account_id, bundle_id, beneficiary, terms, mode FROM wanted
            ON CONFLICT DO NOTHING
        RETURNING pool_id, account_id, bundle_id, beneficiary, terms, entered_grams),
    their_pools AS MATERIALIZED (
        SELECT * FROM opened
         UNION ALL
        SELECT p.pool_id, p.account_id, p.bundle_id, p.beneficiary, p.terms, p.entered_grams
          FROM wanted w
          JOIN pools p ON p.organisation_id = $1 AND p.account_id = w.account_id AND p.bundle_id = w.bundle_id
                      AND p.beneficiary = w.beneficiary AND p.terms = w.terms),
    entered AS (
        INSERT INTO pool_entries (organisation_id, pool_id, gram_first, quantity_grams, order_id)
        SELECT $1, p.pool_id,
               p.entered_grams + sum(e.quantity_grams) OVER (PARTITION BY p.pool_id ORDER BY e.paid_at, e.order_id)
                               - e.quantity_grams,
               e.quantity_grams, e.order_id
          FROM entering e JOIN their_pools p USING (account_id, bundle_id, beneficiary, terms)
        RETURNING pool_id, quantity_grams),
    pooled AS (
        UPDATE orders o SET pooled_at = $4 FROM due d
         WHERE o.organisation_id = $1 AND o.account_id = d.account_id AND o.order_id = d.order_id
        RETURNING 1)
    SELECT pool_id, sum(quantity_grams)::bigint AS grams, (SELECT count(*) FROM pooled) AS orders
      FROM entered GROUP BY pool_id
"""  # noqa: S608

_COUNT_ENTERED = """
    UPDATE pools p
       SET entered_grams = p.entered_grams + e.grams,
           due_since = CASE WHEN p.entered_grams + e.grams - p.covered_grams + p.gaps_grams >= 1000000
                            THEN coalesce(p.due_since, $4) END
      FROM unnest($2::uuid[], $3::bigint[]) AS e (pool_id, grams)
     WHERE p.organisation_id = $1 AND p.pool_id = e.pool_id
"""


@dataclass(frozen=True, slots=True)
class DueBundle:
    """A bundle that pools wait for, in which mode, and which of its credits they may be given."""

    bundle_id: UUID
    mode: Mode
    restrictions: Restrictions


@dataclass(frozen=True, slots=True)
class DuePool:
    """A pool with a whole tonne or more that no retirement covers, and where in it."""

    pool_id: UUID
    account_id: UUID
    bundle_id: UUID
    beneficiary: str
    mode: Mode
    gaps: tuple[Gap, ...]
    terms: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tonnes(self) -> int:
        return sum(gap.tonnes for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class PoolRest:
    """Less than a tonne of a pool that waits for more; `order_ids` are the orders it belongs to."""

    pool_id: UUID
    account_id: UUID
    bundle_id: UUID
    beneficiary: str
    restrictions: Restrictions
    entered_grams: int
    waiting_grams: int
    order_ids: tuple[UUID, ...]


async def claim_organisation(connection: Connection, organisation_id: UUID, *, wait: bool) -> bool:
    """Be the only one who changes an organisation's pools until the transaction ends.

    False where another has the claim and `wait` is false.
    """
    skip = "" if wait else " SKIP LOCKED"
    row = await connection.fetchrow(
        f"SELECT true FROM organisations WHERE organisation_id = $1 FOR NO KEY UPDATE{skip}",  # noqa: S608
        organisation_id,
        timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
    )
    return row is not None


async def enter_paid_orders(
    connection: Connection, organisation_id: UUID, *, only: Sequence[UUID] | None, limit: int, at: datetime
) -> int:
    """Put paid orders' lines into their pools, in the order in which they were paid; returns how many orders.

    `only` names orders, whatever their account's test behaviour; otherwise orders that move by hand stay. Call it with
    the organisation's claim.
    """
    entered = await connection.fetch(
        _ENTER, organisation_id, only, limit, at, timeout=LARGE_STATEMENT_TIMEOUT_SECONDS
    )
    if not entered:
        return 0
    await connection.execute(
        _COUNT_ENTERED,
        organisation_id,
        [row["pool_id"] for row in entered],
        [row["grams"] for row in entered],
        at,
    )
    return int(entered[0]["orders"])


async def due_bundles(connection: Connection, organisation_id: UUID) -> list[DueBundle]:
    """Bundles that pools of an organisation wait for, in which mode, and which of their credits."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT bundle_id, mode, coalesce(terms -> 'restrictions', '{}') AS restrictions
          FROM pools WHERE organisation_id = $1 AND due_since IS NOT NULL
         ORDER BY bundle_id, mode, restrictions
        """,
        organisation_id,
    )
    return [
        DueBundle(row["bundle_id"], Mode(row["mode"]), read_restrictions(from_jsonb(row["restrictions"])))
        for row in rows
    ]


async def due_pools(
    connection: Connection,
    organisation_id: UUID,
    due: DueBundle,
    *,
    only: Sequence[UUID] | None,
    limit: int,
) -> list[DuePool]:
    """Pools with a whole tonne or more to cover, those first that have waited longest.

    `only` names pools, whatever their account's test behaviour; otherwise accounts out of stock or moved by hand wait.
    """
    rows = await connection.fetch(
        """
        SELECT p.*,
               array(SELECT g.gram_first FROM pool_gaps g WHERE g.organisation_id = $1 AND g.pool_id = p.pool_id
                      ORDER BY g.gram_first) AS gaps_first,
               array(SELECT g.tonnes FROM pool_gaps g WHERE g.organisation_id = $1 AND g.pool_id = p.pool_id
                      ORDER BY g.gram_first) AS gaps_tonnes
          FROM pools p
          JOIN accounts a ON a.organisation_id = p.organisation_id AND a.account_id = p.account_id
         WHERE p.organisation_id = $1 AND p.due_since IS NOT NULL AND p.bundle_id = $2 AND p.mode = $3
           AND coalesce(p.terms -> 'restrictions', '{}') = $6
           AND CASE WHEN $4::uuid[] IS NULL THEN a.test_behaviour NOT IN ('by_hand', 'out_of_stock')
                    ELSE p.pool_id = ANY($4) END
         ORDER BY p.due_since, p.pool_id LIMIT $5
        """,
        organisation_id,
        due.bundle_id,
        due.mode.value,
        only,
        limit,
        to_jsonb(restrictions_row(due.restrictions)),
    )
    pools = []
    for row in rows:
        again = zip(row["gaps_first"], row["gaps_tonnes"], strict=True)
        gaps = [Gap(first, tonnes, was_covered=True) for first, tonnes in again]
        fresh = (row["entered_grams"] - row["covered_grams"]) // GRAMS_PER_TONNE
        if fresh:
            gaps.append(Gap(row["covered_grams"], fresh))
        pools.append(
            DuePool(
                row["pool_id"],
                row["account_id"],
                row["bundle_id"],
                row["beneficiary"],
                due.mode,
                tuple(gaps),
                from_jsonb(row["terms"]),
            )
        )
    return pools


async def mark_covered(
    connection: Connection, organisation_id: UUID, covered: Sequence[tuple[UUID, Gap]]
) -> None:
    """Note that retirements now cover the first tonnes of gaps: (pool, gap as far as it is covered)."""
    fresh: dict[UUID, int] = {}
    again: dict[UUID, int] = {}
    for pool_id, gap in covered:
        tonnes = again if gap.was_covered else fresh
        tonnes[pool_id] = tonnes.get(pool_id, 0) + gap.tonnes
        if gap.was_covered:
            await _shrink_gap(connection, organisation_id, pool_id, gap)
    pool_ids = list(fresh.keys() | again.keys())
    await connection.execute(
        """
        UPDATE pools p
           SET covered_grams = p.covered_grams + c.fresh * 1000000, gaps_grams = p.gaps_grams - c.again * 1000000,
               due_since = CASE WHEN p.entered_grams - p.covered_grams + p.gaps_grams - (c.fresh + c.again) * 1000000
                                     >= 1000000 THEN p.due_since END
          FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS c (pool_id, fresh, again)
         WHERE p.organisation_id = $1 AND p.pool_id = c.pool_id
        """,
        organisation_id,
        pool_ids,
        [fresh.get(pool_id, 0) for pool_id in pool_ids],
        [again.get(pool_id, 0) for pool_id in pool_ids],
    )


async def reopen_gaps(
    connection: Connection, organisation_id: UUID, gaps: Sequence[tuple[UUID, Gap]], *, at: datetime
) -> None:
    """Note that tonnes of pools are to be covered again, since their retirement was rejected."""
    await connection.executemany(
        "INSERT INTO pool_gaps (organisation_id, pool_id, gram_first, tonnes) VALUES ($1, $2, $3, $4)",
        [(organisation_id, pool_id, gap.gram_first, gap.tonnes) for pool_id, gap in gaps],
    )
    for pool_id, gap in gaps:
        await connection.execute(
            """
            UPDATE pools SET gaps_grams = gaps_grams + $3::bigint * 1000000, due_since = coalesce(due_since, $4)
             WHERE organisation_id = $1 AND pool_id = $2
            """,
            organisation_id,
            pool_id,
            gap.tonnes,
            at,
        )


async def find_rests(
    connection: Connection,
    organisation_id: UUID,
    *,
    account_id: UUID | None = None,
    order_id: UUID | None = None,
) -> list[PoolRest]:
    """Pools of an account, or of an order, that wait with less than a tonne for more."""
    rows = await connection.fetch(
        """
        SELECT p.*, array(SELECT DISTINCT e.order_id FROM pool_entries e
                           WHERE e.organisation_id = $1 AND e.pool_id = p.pool_id AND e.order_id IS NOT NULL
                             AND e.gram_first + e.quantity_grams > p.entered_grams - p.entered_grams % 1000000
                             AND e.gram_first >= (SELECT max(s.gram_first) FROM pool_entries s
                                                   WHERE s.organisation_id = $1 AND s.pool_id = p.pool_id
                                                     AND s.gram_first <= p.entered_grams - p.entered_grams % 1000000)
                         ) AS order_ids
          FROM pools p
         WHERE p.organisation_id = $1 AND p.entered_grams % 1000000 <> 0
           AND ($2::uuid IS NULL OR p.account_id = $2)
           AND ($3::uuid IS NULL OR p.pool_id IN (SELECT e.pool_id FROM pool_entries e
                                                   WHERE e.organisation_id = $1 AND e.order_id = $3))
         ORDER BY p.account_id, p.pool_id
        """,
        organisation_id,
        account_id,
        order_id,
    )
    return [
        PoolRest(
            row["pool_id"],
            row["account_id"],
            row["bundle_id"],
            row["beneficiary"],
            read_restrictions(from_jsonb(row["terms"]).get("restrictions", {})),
            row["entered_grams"],
            row["entered_grams"] % GRAMS_PER_TONNE,
            tuple(row["order_ids"]),
        )
        for row in rows
    ]


async def fill_rests(
    connection: Connection, organisation_id: UUID, rests: Sequence[PoolRest], *, at: datetime
) -> None:
    """Fill pools to the next whole tonne with the operator's own grams: entries that belong to no order."""
    grams = [GRAMS_PER_TONNE - rest.waiting_grams for rest in rests]
    await connection.executemany(
        "INSERT INTO pool_entries (organisation_id, pool_id, gram_first, quantity_grams) VALUES ($1, $2, $3, $4)",
        [
            (organisation_id, rest.pool_id, rest.entered_grams, missing)
            for rest, missing in zip(rests, grams, strict=True)
        ],
    )
    await connection.execute(_COUNT_ENTERED, organisation_id, [rest.pool_id for rest in rests], grams, at)


async def pools_of_order(connection: Connection, organisation_id: UUID, order_id: UUID) -> list[UUID]:
    """The pools that hold an order's lines."""
    rows = await connection.fetch(
        "SELECT DISTINCT pool_id FROM pool_entries WHERE organisation_id = $1 AND order_id = $2",
        organisation_id,
        order_id,
    )
    return [row["pool_id"] for row in rows]


async def _shrink_gap(connection: Connection, organisation_id: UUID, pool_id: UUID, gap: Gap) -> None:
    place = (organisation_id, pool_id, gap.gram_first, gap.tonnes)
    done = await connection.fetchval(
        """
        DELETE FROM pool_gaps WHERE organisation_id = $1 AND pool_id = $2 AND gram_first = $3 AND tonnes = $4
        RETURNING tonnes
        """,
        *place,
    )
    if done is None:
        await connection.execute(
            """
            UPDATE pool_gaps SET gram_first = gram_first + $4::bigint * 1000000, tonnes = tonnes - $4
             WHERE organisation_id = $1 AND pool_id = $2 AND gram_first = $3
            """,
            *place,
        )
