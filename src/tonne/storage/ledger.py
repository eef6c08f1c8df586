"""Rows of `ledger_transfers`. They are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tonne.domain.ledger import Transfer
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
