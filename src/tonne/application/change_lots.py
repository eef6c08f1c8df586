"""What becomes of lots after they came in: suspended for a while, or withdrawn because their credits are none any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.contention import carried_out
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import CatalogueConflict, NotFound, ValidationFailed
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import count_change
from tonne.storage.database import Connection, Pool
from tonne.storage.inventory import LotFacts, find_lots
from tonne.storage.lot_changes import (
    AffectedRetirement,
    WithdrawnBefore,
    find_affected,
    set_suspended_for,
    withdraw_numbers,
)
from tonne.storage.replacements import supersede_certificates

REASON_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What taking serial numbers out comes to: tonnes that were in stock, and the retirements that hold some of them."""

    lot: LotFacts
    serial_first: int
    serial_last: int
    stock_tonnes: int
    affected: tuple[AffectedRetirement, ...]


async def suspend_lot(pool: Pool, lot_id: UUID, reason: str | None, *, at: datetime, actor: Actor) -> bool:
    """Keep a lot from being sold for a reason, or with None let it be sold again; False where it was so before.

    Raises:
        NotFound: there is no such lot.
        ValidationFailed: the reason is empty or too long.
        Unauthorised: the actor's key was disabled since.
    """
    if reason is not None:
        _check_reason(reason)
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        await count_change(connection)
        lot = await _find(connection, lot_id)
        changed = await set_suspended_for(connection, lot_id, reason, at=at)
        if changed:
            action = "suspend" if reason is not None else "release"
            before, after = {"suspended_for": lot.suspended_for}, {"suspended_for": reason}
            await record_changes(connection, actor, [Change("lot", lot_id, action, before, after)], at=at)
        return changed


async def withdraw_lot(
    pool: Pool,
    lot_id: UUID,
    kind: WithdrawalKind,
    reason: str,
    *,
    serials: tuple[int, int] | None = None,
    dry_run: bool = False,
    at: datetime,
    actor: Actor,
) -> Withdrawal:
    """Take a lot's serial numbers, all or those from one to another, out for good; says whom it concerns.

    What was in stock of them is not sold any more. What is retired stays retired at its registry, and is listed: these
    orders and beneficiaries have credits that are none.

    Raises:
        NotFound: there is no such lot.
        ValidationFailed: it has no such serial numbers, or the reason is empty or too long.
        CatalogueConflict: some of them were withdrawn before.
        Unauthorised: the actor's key was disabled since.
    """
    _check_reason(reason)
    return await carried_out(
        partial(_in_transaction, pool, lot_id, kind, reason, serials, dry_run=dry_run, at=at, actor=actor)
    )


async def _in_transaction(
    pool: Pool,
    lot_id: UUID,
    kind: WithdrawalKind,
    reason: str,
    serials: tuple[int, int] | None,
    *,
    dry_run: bool,
    at: datetime,
    actor: Actor,
) -> Withdrawal:
    async with pool.acquire(timeout=30) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            done = await _withdraw(connection, lot_id, kind, reason, serials, at=at, actor=actor)
        except WithdrawnBefore:
            await transaction.rollback()
            raise CatalogueConflict("Some of these serial numbers were withdrawn before.") from None
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if dry_run else transaction.commit())
        return done


async def _withdraw(
    connection: Connection,
    lot_id: UUID,
    kind: WithdrawalKind,
    reason: str,
    serials: tuple[int, int] | None,
    *,
    at: datetime,
    actor: Actor,
) -> Withdrawal:
    await refuse_disabled_key(connection, actor)
    await count_change(connection)
    lot = await _find(connection, lot_id)
    first, last = serials or (lot.serial_first, lot.serial_last)
    if not lot.serial_first <= first <= last <= lot.serial_last:
        raise ValidationFailed.at(
            "/serials", f"must be within the lot's own, which go from {lot.serial_first} to {lot.serial_last}"
        )
    tonnes = await withdraw_numbers(
        connection, lot.project_id, lot_id, first=first, last=last, kind=kind, reason=reason, at=at
    )
    organisations = await list_organisation_ids(connection)
    affected = await find_affected(connection, organisations, lot_id, first=first, last=last)
    for organisation_id in sorted({each.organisation_id for each in affected}):
        held = [each.retirement_id for each in affected if each.organisation_id == organisation_id]
        await supersede_certificates(connection, organisation_id, held, at=at)
    after = {
        "serial_first": first,
        "serial_last": last,
        "reason": reason,
        "tonnes_in_stock": tonnes,
        "retirements": len({each.retirement_id for each in affected}),
    }
    await record_changes(connection, actor, [Change("lot", lot_id, kind.value, None, after)], at=at)
    return Withdrawal(lot, first, last, tonnes, tuple(affected))


async def _find(connection: Connection, lot_id: UUID) -> LotFacts:
    found = await find_lots(connection, lot_id=lot_id)
    if not found:
        raise NotFound(f"There is no lot {lot_id}; `tonne lots list` shows them.")
    return found[0]


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= REASON_LENGTH_MAX or not reason.isprintable():
        raise ValidationFailed.at("/reason", f"must have 1 to {REASON_LENGTH_MAX} printable characters")
