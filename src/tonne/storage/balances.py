"""Rows of `prepaid_balances`: an account's own money with us. No row is a balance of nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from tonne.storage.database import Connection

# Of an organisation and its account.
AccountKey = tuple[UUID, UUID]


async def lock_balances(connection: Connection, accounts: Collection[AccountKey]) -> dict[AccountKey, int]:
    """Balances in minor units, kept as they are until this transaction ends.

    Lock them before any order: what waits for both takes them in this order.
    """
    rows = await connection.fetch(
        """
        SELECT b.organisation_id, b.account_id, b.balance_minor
          FROM prepaid_balances b
          JOIN unnest($1::uuid[], $2::uuid[]) AS w (organisation_id, account_id)
            ON b.organisation_id = w.organisation_id AND b.account_id = w.account_id
         ORDER BY b.organisation_id, b.account_id
           FOR UPDATE OF b
        """,
        [organisation_id for organisation_id, _ in accounts],
        [account_id for _, account_id in accounts],
    )
    found = {(row["organisation_id"], row["account_id"]): int(row["balance_minor"]) for row in rows}
    return {account: found.get(account, 0) for account in accounts}


async def change_balances(connection: Connection, changes_minor: Mapping[AccountKey, int]) -> None:
    """Add to balances, or take from them where the change is negative.

    Lock those that are taken from, and look: below zero the whole transaction fails.
    """
    changed = {account: change for account, change in changes_minor.items() if change}
    if not changed:
        return
    # An insert of what is taken would break the rule of no debts before it is merged with what is there.
    taken = {account: change for account, change in changed.items() if change < 0}
    given = {account: change for account, change in changed.items() if change > 0}
    for statement, part in ((_TAKE, taken), (_GIVE, given)):
        if part:
            accounts = sorted(part)
            await connection.execute(
                statement,
                [organisation_id for organisation_id, _ in accounts],
                [account_id for _, account_id in accounts],
                [part[account] for account in accounts],
            )


_TAKE = """
    UPDATE prepaid_balances b SET balance_minor = b.balance_minor + c.change_minor
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS c (organisation_id, account_id, change_minor)
     WHERE b.organisation_id = c.organisation_id AND b.account_id = c.account_id
"""

_GIVE = """
    INSERT INTO prepaid_balances AS b (organisation_id, account_id, balance_minor)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS c (organisation_id, account_id, change_minor)
        ON CONFLICT (organisation_id, account_id) DO UPDATE SET balance_minor = b.balance_minor + excluded.balance_minor
"""
