"""Rows of `bundle_commitments`: grams that live orders were promised of a bundle, and no lot covers yet.

Kept for bundles that refuse shortages and for those that share projects with them. They are locked before any balance,
lot or order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.catalogue import Catalogue, OnShortage
from tonne.domain.commitments import Commitments, Demand, Supply
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.storage.database import Connection, from_jsonb, to_jsonb
from tonne.storage.terms import read_restrictions, restrictions_row

TRACKED = """
    SELECT bundle_id FROM bundles WHERE on_shortage = 'reject'
     UNION
    SELECT other.bundle_id FROM bundles b
      JOIN bundle_projects own ON own.bundle_id = b.bundle_id
      JOIN bundle_projects other ON other.project_id = own.project_id
     WHERE b.on_shortage = 'reject'
"""

# What is promised: paid and placed lines that are not in a pool yet, and what pools hold that no retirement covers.
COMMITTED = """
    SELECT bundle_id, restrictions, sum(grams)::bigint AS grams
      FROM (SELECT l.bundle_id, coalesce(o.terms -> 'restrictions', '{}') AS restrictions, l.quantity_grams AS grams
              FROM accounts a
              JOIN orders o ON o.organisation_id = a.organisation_id AND o.account_id = a.account_id
             CROSS JOIN LATERAL unnest(o.lines) l
             WHERE a.mode = 'live' AND o.pooled_at IS NULL AND o.status IN ('received', 'placed', 'paid')
             UNION ALL
            SELECT bundle_id, coalesce(terms -> 'restrictions', '{}'), entered_grams - covered_grams + gaps_grams
              FROM pools WHERE mode = 'live') promised
     GROUP BY bundle_id, restrictions
"""


async def track_commitments(connection: Connection) -> None:
    """Begin to count what is promised of bundles that need it, and stop where it is not needed any more.

    Call it last in a transaction that changes bundles' shortage policy or projects: it waits for all orders that are
    being placed, and lets none in until the transaction ends.
    """
    tracked = {row["bundle_id"] for row in await connection.fetch(TRACKED)}
    counted = await connection.fetch("SELECT DISTINCT bundle_id FROM bundle_commitments")
    if tracked == {row["bundle_id"] for row in counted}:
        return
    await connection.execute("LOCK TABLE bundle_commitments IN EXCLUSIVE MODE")
    await connection.execute("LOCK TABLE orders IN SHARE MODE")
    await connection.execute("DELETE FROM bundle_commitments")
    await connection.execute(
        f"""
        INSERT INTO bundle_commitments (bundle_id, restrictions, committed_grams)
        SELECT bundle_id, restrictions, grams FROM ({COMMITTED}) c WHERE bundle_id = ANY($1::uuid[])
         UNION ALL
        SELECT bundle_id, '{{}}', 0 FROM unnest($1::uuid[]) AS t (bundle_id)
            ON CONFLICT DO NOTHING
        """,  # noqa: S608
        list(tracked),
    )


async def lock_commitments(connection: Connection, bundle_ids: Collection[UUID]) -> frozenset[UUID]:
    """Keep what is promised of bundles as it is until this transaction ends; returns those whose promises are counted."""
    rows = await connection.fetch(
        """
        SELECT bundle_id FROM bundle_commitments WHERE bundle_id = ANY($1::uuid[]) AND restrictions = '{}'
         ORDER BY bundle_id FOR UPDATE
        """,
        list(bundle_ids),
    )
    return frozenset(row["bundle_id"] for row in rows)


async def change_commitments(connection: Connection, changes: Mapping[Demand, int]) -> None:
    """Add grams to what is promised, or take from it; call it for bundles that are locked."""
    for (bundle_id, restrictions), grams in changes.items():
        if grams:
            await connection.execute(
                """
                INSERT INTO bundle_commitments AS c (bundle_id, restrictions, committed_grams)
                VALUES ($1, $2, greatest($3::bigint, 0))
                    ON CONFLICT (bundle_id, restrictions) DO UPDATE SET committed_grams = c.committed_grams + $3
                """,
                bundle_id,
                to_jsonb(restrictions_row(restrictions)),
                grams,
            )


async def lock_commitments_of_order(connection: Connection, account: Account, order_id: UUID) -> None:
    """As `lock_commitments`, for the bundles of an order."""
    rows = await connection.fetch(
        """
        SELECT l.bundle_id FROM orders o CROSS JOIN LATERAL unnest(o.lines) l
         WHERE o.organisation_id = $1 AND o.account_id = $2 AND o.order_id = $3
        """,
        account.organisation_id,
        account.account_id,
        order_id,
    )
    await lock_commitments(connection, {row["bundle_id"] for row in rows})


async def lock_commitments_of_retirements(
    connection: Connection, organisation_id: UUID, retirement_ids: Collection[UUID]
) -> None:
    """As `lock_commitments`, for the bundles of retirements."""
    rows = await connection.fetch(
        "SELECT DISTINCT bundle_id FROM retirements WHERE organisation_id = $1 AND retirement_id = ANY($2::uuid[])",
        organisation_id,
        list(retirement_ids),
    )
    await lock_commitments(connection, {row["bundle_id"] for row in rows})


async def release_orders(connection: Connection, organisation_id: UUID, order_ids: Collection[UUID]) -> None:
    """Take back what was promised to orders that are over before any of it was in a pool."""
    await connection.execute(
        """
        UPDATE bundle_commitments c SET committed_grams = c.committed_grams - r.grams
          FROM (SELECT l.bundle_id, coalesce(o.terms -> 'restrictions', '{}') AS restrictions,
                       sum(l.quantity_grams)::bigint AS grams
                  FROM accounts a
                  JOIN orders o ON o.organisation_id = a.organisation_id AND o.account_id = a.account_id
                 CROSS JOIN LATERAL unnest(o.lines) l
                 WHERE a.organisation_id = $1 AND a.mode = 'live' AND o.order_id = ANY($2::uuid[])
                 GROUP BY 1, 2) r
         WHERE c.bundle_id = r.bundle_id AND c.restrictions = r.restrictions
        """,
        organisation_id,
        list(order_ids),
    )


async def commit_pools(
    connection: Connection, organisation_id: UUID, changes: Collection[tuple[UUID, int]]
) -> None:
    """Add grams to what is promised to pools, or take from it as credits are allocated; lock their bundles first."""
    await connection.execute(
        """
        UPDATE bundle_commitments c SET committed_grams = c.committed_grams + r.grams
          FROM (SELECT p.bundle_id, coalesce(p.terms -> 'restrictions', '{}') AS restrictions,
                       sum(w.grams)::bigint AS grams
                  FROM unnest($2::uuid[], $3::bigint[]) AS w (pool_id, grams)
                  JOIN pools p ON p.organisation_id = $1 AND p.pool_id = w.pool_id AND p.mode = 'live'
                 GROUP BY 1, 2) r
         WHERE c.bundle_id = r.bundle_id AND c.restrictions = r.restrictions
        """,
        organisation_id,
        [pool_id for pool_id, _ in changes],
        [grams for _, grams in changes],
    )


async def load_commitments(
    connection: Connection, catalogue: Catalogue, *, wanted: Collection[Demand]
) -> Commitments:
    """What is promised of a catalogue's tracked bundles and what is in stock for them, live; lock the former first."""
    tracked = catalogue.tracked_bundles()
    project_ids = {project_id for key in tracked for project_id in catalogue.bundles[key].project_ids}
    committed: dict[Demand, int] = defaultdict(int)
    for row in await connection.fetch("SELECT * FROM bundle_commitments"):
        if row["bundle_id"] in tracked:
            restrictions = read_restrictions(from_jsonb(row["restrictions"]))
            committed[row["bundle_id"], restrictions] = row["committed_grams"]
    rows = await connection.fetch(
        """
        SELECT project_id, vintage_year, sum(available_tonnes)::bigint AS tonnes FROM lots
         WHERE mode = 'live' AND available_tonnes > 0 AND suspended_at IS NULL AND project_id = ANY($1::uuid[])
         GROUP BY project_id, vintage_year
        """,
        list(project_ids),
    )
    in_stock = {(row["project_id"], row["vintage_year"]): row["tonnes"] * GRAMS_PER_TONNE for row in rows}
    return Commitments(
        committed,
        in_stock,
        {demand: _reach(demand, in_stock, catalogue) for demand in {*committed, *wanted}},
        frozenset(b for b in tracked if catalogue.bundles[b].on_shortage is OnShortage.REJECT),
    )


def _reach(demand: Demand, in_stock: Collection[Supply], catalogue: Catalogue) -> frozenset[Supply]:
    bundle_id, restrictions = demand
    projects = {
        project_id
        for project_id in catalogue.bundles[bundle_id].project_ids
        if not catalogue.projects[project_id].disabled
        and restrictions.allow_project(catalogue.projects[project_id])
    }
    return frozenset(
        (project_id, vintage_year)
        for project_id, vintage_year in in_stock
        if project_id in projects and restrictions.allow_vintage(vintage_year)
    )
