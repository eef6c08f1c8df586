"""Rows of `ledger_transfers`. They are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.ledger import Place, Transfer, TransferKind
from tonne.storage.database import Connection


async def record_transfers(
    connection: Connection, transfers: Sequence[Transfer], *, transfer_ids: Sequence[UUID], at: datetime
) -> None:
    """Store movements of money; call it in the transaction of what moves it. `transfer_ids` are new ids, one each."""
    if not transfers:
        return
    await connection.executemany(
        """
        INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency,
                                      amount_minor, order_ids, reference, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [
            (
                transfer.organisation_id,
                transfer.account_id,
                transfer_id,
                transfer.kind.value,
                transfer.debit.value,
                transfer.credit.value,
                transfer.currency.code,
                transfer.amount_minor,
                transfer.order_ids,
                transfer.reference,
                at,
            )
            for transfer, transfer_id in zip(transfers, transfer_ids, strict=True)
        ],
    )


async def record_payment(
    connection: Connection, transfer: Transfer, *, transfer_id: UUID, at: datetime
) -> bool:
    """Store a top-up or refund; False where its reference was used before for one of this account."""
    status = await connection.execute(
        """
        INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency,
                                      amount_minor, reference, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (organisation_id, account_id, kind, reference)
         WHERE reference IS NOT NULL AND kind IN ('top_up', 'refund') DO NOTHING
        """,
        transfer.organisation_id,
        transfer.account_id,
        transfer_id,
        transfer.kind.value,
        transfer.debit.value,
        transfer.credit.value,
        transfer.currency.code,
        transfer.amount_minor,
        transfer.reference,
        at,
    )
    return bool(status == "INSERT 0 1")


async def find_payment_minor(
    connection: Connection, account: Account, kind: TransferKind, reference: str
) -> int | None:
    """The amount of the top-up or refund with this reference; None where there is none."""
    amount_minor: Decimal | None = await connection.fetchval(
        """
        SELECT amount_minor FROM ledger_transfers
         WHERE organisation_id = $1 AND account_id = $2 AND kind = $3 AND reference = $4
        """,
        account.organisation_id,
        account.account_id,
        kind.value,
        reference,
    )
    return None if amount_minor is None else int(amount_minor)


async def sum_places(connection: Connection, account: Account) -> dict[Place, int]:
    """What was debited to each place of an account, less what was credited; a place without movements is left out."""
    rows = await connection.fetch(
        """
        SELECT m.place, sum(m.amount_minor)::bigint AS debited_minor
          FROM ledger_transfers t,
               LATERAL (VALUES (t.debit, t.amount_minor), (t.credit, -t.amount_minor)) AS m (place, amount_minor)
         WHERE t.organisation_id = $1 AND t.account_id = $2
         GROUP BY m.place
        """,
        account.organisation_id,
        account.account_id,
    )
    return {Place(row["place"]): row["debited_minor"] for row in rows}
