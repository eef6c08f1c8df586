"""The worklist of a registry that people file at: what to retire there."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from tonne.application.csv_cells import safe_cell
from tonne.domain.accounts import Mode
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.errors import NotFound
from tonne.domain.progress import Retirement
from tonne.domain.retirement import RetirementState
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection, Pool
from tonne.storage.lots import find_set_aside, release_set_aside
from tonne.storage.pools import claim_organisation
from tonne.storage.progress import RetirementFilter, list_retirements
from tonne.storage.retirements import mark_submitted

WORKLIST_COLUMNS = (
    "retirement_id",
    "registry",
    "registry_project_id",
    "project",
    "vintage_year",
    "serial_first",
    "serial_last",
    "quantity",
    "beneficiary",
    "beneficiary_country",
    "beneficiary_registration_number",
    "reason",
    "note",
)


def format_worklist(retirements: Sequence[Retirement]) -> str:
    """Write a worklist as CSV (RFC 4180), with what a registry's retirement form asks for. Quantities are tonnes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, WORKLIST_COLUMNS)
    writer.writeheader()
    for retirement in retirements:
        writer.writerow(
            {
                "retirement_id": retirement.retirement_id,
                "registry": safe_cell(retirement.registry_name),
                "registry_project_id": safe_cell(retirement.registry_project_id),
                "project": safe_cell(retirement.project_name),
                "vintage_year": retirement.vintage_year,
                "serial_first": safe_cell(retirement.serial_first),
                "serial_last": safe_cell(retirement.serial_last),
                "quantity": retirement.tonnes,
                "beneficiary": safe_cell(retirement.beneficiary),
                "beneficiary_country": retirement.beneficiary_country,
                "beneficiary_registration_number": safe_cell(retirement.beneficiary_registration_number),
                "reason": f"Retired on behalf of {retirement.beneficiary}",
                "note": f"Tonne retirement {retirement.retirement_id}",
            }
        )
    return text.getvalue()


async def hand_out(
    pool: Pool,
    keep: Callable[[Sequence[Retirement]], None],
    *,
    account_id: UUID | None = None,
    again: bool = False,
    at: datetime,
    actor: Actor = SERVICE,
) -> list[Retirement]:
    """Hand out what is to be filed at registries by hand; it counts as submitted, and no other list has it.

    `keep` gets the list before it counts as handed out, and waits for nobody: what it raises leaves everything as it
    was. With `again`, what was handed out before and is not decided is on the list too.
    """
    states = [RetirementState.PENDING, *([RetirementState.SUBMITTED] if again else [])]
    wanted = RetirementFilter(states=states, account_id=account_id, mode=Mode.LIVE)
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        organisation_ids = await list_organisation_ids(connection)
        for organisation_id in organisation_ids:
            await claim_organisation(connection, organisation_id, wait=True)
        found = await list_retirements(connection, organisation_ids, wanted=wanted)
        await _submit(connection, found, at=at, actor=actor)
        keep(found)
    return found


async def release_rejected(
    pool: Pool, retirement_ids: Sequence[UUID], *, at: datetime, actor: Actor = SERVICE
) -> int:
    """Put serial numbers back in stock that rejected retirements set aside; returns the tonnes.

    Raises:
        NotFound: one of them has set no serial numbers aside, now or before.
    """
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        known = await find_set_aside(connection, retirement_ids)
        unknown = [str(key) for key in retirement_ids if key not in known]
        if unknown:
            raise NotFound(f"No serial numbers were set aside for {', '.join(unknown)}.")
        tonnes = await release_set_aside(connection, retirement_ids)
        if tonnes:
            changes = [Change("retirement", key, "release_serial_numbers") for key in retirement_ids]
            await record_changes(connection, actor, changes, at=at)
        return tonnes


async def _submit(
    connection: Connection, retirements: Sequence[Retirement], *, at: datetime, actor: Actor
) -> None:
    by_organisation: dict[UUID, list[UUID]] = defaultdict(list)
    for retirement in retirements:
        by_organisation[retirement.organisation_id].append(retirement.retirement_id)
    for organisation_id, retirement_ids in sorted(by_organisation.items()):
        submitted = await mark_submitted(connection, organisation_id, retirement_ids, at=at)
        changes = [
            Change("retirement", key, "submit", {"state": "pending"}, {"state": "submitted"})
            for key in submitted
        ]
        await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)
