"""Reading retirements with all that is known of their projects, as many as there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.disclosure import Planned, RetiredCredits
from tonne.domain.retirement import OPEN_STATES, RetirementState, format_serial
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection, Record

_FETCHED_TOGETHER = 1000

_WANTED = """
      FROM retirements r
     WHERE ($1::text[] IS NULL OR r.state = ANY($1)) AND ($2::text IS NULL OR r.mode = $2)
       AND ($3::uuid IS NULL OR r.account_id = $3) AND ($4::text[] IS NULL OR r.beneficiary = ANY($4))
       AND ($5::date IS NULL OR r.retired_on >= $5) AND ($6::date IS NULL OR r.retired_on <= $6)
"""
_CREDITS = f"""
    SELECT r.*, r.terms ->> 'registration_number' AS registration_number, a.name AS account_name, o.name AS organisation_name, b.name AS bundle_name, b.offset_type,
           p.name AS project_name, p.project_type, p.country_name, p.country_code, p.region, p.registry_name,
           p.registry_project_id, p.registry_link, p.protocol, p.methodology, p.verifying_body,
           p.additional_standards_met,
           (SELECT coalesce(sum(l.quantity_grams), 0)::bigint FROM allocations l
             WHERE l.organisation_id = r.organisation_id AND l.retirement_id = r.retirement_id
               AND l.order_id IS NOT NULL) AS ordered_grams,
           (SELECT coalesce(sum(least(w.serial_last, r.serial_last) - greatest(w.serial_first, r.serial_first) + 1), 0)::bigint
              FROM withdrawals w
             WHERE w.project_id = r.project_id AND w.lot_id = r.lot_id
               AND w.serial_first <= r.serial_last AND w.serial_last >= r.serial_first) AS withdrawn_tonnes,
           (WITH RECURSIVE chain AS (
                SELECT n.* FROM retirements n
                 WHERE n.organisation_id = r.organisation_id AND n.replaces_id = r.retirement_id AND n.state = 'confirmed'
                 UNION ALL
                SELECT n.* FROM chain c
                  JOIN retirements n ON n.organisation_id = c.organisation_id AND n.replaces_id = c.retirement_id
                                    AND n.state = 'confirmed')
            SELECT coalesce(sum(c.tonnes - (
                       SELECT coalesce(sum(least(w.serial_last, c.serial_last) - greatest(w.serial_first, c.serial_first) + 1), 0)
                         FROM withdrawals w
                        WHERE w.project_id = c.project_id AND w.lot_id = c.lot_id
                          AND w.serial_first <= c.serial_last AND w.serial_last >= c.serial_first)), 0)::bigint
              FROM chain c) AS replaced_tonnes
      FROM (SELECT r.* {_WANTED} ORDER BY r.organisation_id, r.retirement_id) r
      JOIN organisations o ON o.organisation_id = r.organisation_id
      JOIN accounts a ON a.organisation_id = r.organisation_id AND a.account_id = r.account_id
      JOIN projects p ON p.project_id = r.project_id
      LEFT JOIN bundles b ON b.bundle_id = r.bundle_id
     ORDER BY r.organisation_id, r.retirement_id
"""  # noqa: S608

# What orders hold of allocations whose retirement is under way; and what of their pools no retirement covers.
_PLANNED = """
      WITH wanted AS (
    SELECT organisation_id, pool_id FROM pools WHERE beneficiary = ANY($1::text[]) AND mode = $2
    ), allocated AS (
    SELECT coalesce(sum(l.quantity_grams), 0) AS grams,
           coalesce(sum(l.quantity_grams) FILTER (WHERE r.state = ANY($3::text[])), 0) AS open_grams
      FROM wanted w
      JOIN retirements r ON r.organisation_id = w.organisation_id AND r.pool_id = w.pool_id AND r.state <> 'rejected'
                        AND r.replaces_id IS NULL
      JOIN allocations l ON l.organisation_id = r.organisation_id AND l.retirement_id = r.retirement_id
                        AND l.order_id IS NOT NULL
    ), entered AS (
    SELECT coalesce(sum(e.quantity_grams), 0) AS grams
      FROM wanted w
      JOIN pool_entries e ON e.organisation_id = w.organisation_id AND e.pool_id = w.pool_id AND e.order_id IS NOT NULL
    )
    SELECT allocated.open_grams::bigint, (entered.grams - allocated.grams)::bigint FROM allocated, entered
"""


@dataclass(frozen=True, slots=True)
class CreditsFilter:
    """Which retirements to read; None does not filter. Days are of the retirement at the registry, both inclusive."""

    states: Sequence[RetirementState] | None = (RetirementState.CONFIRMED,)
    mode: Mode | None = Mode.LIVE
    account_id: UUID | None = None
    beneficiaries: Sequence[str] | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """The parameters of the statements above."""
        return (
            None if self.states is None else [state.value for state in self.states],
            None if self.mode is None else self.mode.value,
            self.account_id,
            self.beneficiaries,
            self.first_day,
            self.last_day,
        )


async def stream_credits(connection: Connection, *, wanted: CreditsFilter) -> AsyncIterator[RetiredCredits]:
    """Read retirements one after the other, as many as there are; call it in a transaction."""
    cursor = connection.cursor(
        _CREDITS, *wanted.arguments, prefetch=_FETCHED_TOGETHER, timeout=LARGE_STATEMENT_TIMEOUT_SECONDS
    )
    async for row in cursor:
        yield _credits(row)


async def count_credits(connection: Connection, *, wanted: CreditsFilter) -> int:
    """How many retirements there are to read."""
    return int(
        await connection.fetchval(
            f"SELECT count(*) {_WANTED}",
            *wanted.arguments,
            timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
        )
    )


async def find_planned(connection: Connection, beneficiaries: Sequence[str], *, mode: Mode) -> Planned:
    """What is paid and will be retired for beneficiaries."""
    row = await connection.fetchrow(
        _PLANNED, list(beneficiaries), mode.value, [state.value for state in OPEN_STATES]
    )
    assert row is not None
    return Planned(row[0], row[1])


async def beneficiaries_like(connection: Connection, name: str, *, mode: Mode, limit: int) -> list[str]:
    """Beneficiaries of retirements whose names hold a text, or are held by it, in any case."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT beneficiary FROM retirements
         WHERE mode = $2 AND (position(lower($1) IN lower(beneficiary)) > 0 OR position(lower(beneficiary) IN lower($1)) > 0)
         ORDER BY beneficiary LIMIT $3
        """,
        name,
        mode.value,
        limit,
    )
    return [row["beneficiary"] for row in rows]


def _credits(row: Record) -> RetiredCredits:
    prefix = row["serial_prefix"]
    return RetiredCredits(
        retirement_id=row["retirement_id"],
        organisation_id=row["organisation_id"],
        organisation_name=row["organisation_name"],
        account_id=row["account_id"],
        account_name=row["account_name"],
        mode=Mode(row["mode"]),
        state=RetirementState(row["state"]),
        beneficiary=row["beneficiary"],
        beneficiary_registration_number=row["registration_number"],
        project_id=row["project_id"],
        project_name=row["project_name"],
        project_type=row["project_type"],
        country_name=row["country_name"],
        country_code=row["country_code"],
        region=row["region"],
        registry_name=row["registry_name"],
        registry_project_id=row["registry_project_id"],
        registry_link=row["registry_link"],
        protocol=row["protocol"],
        methodology=row["methodology"],
        verifying_body=row["verifying_body"],
        additional_standards_met=tuple(row["additional_standards_met"]),
        bundle_name=row["bundle_name"],
        offset_type=row["offset_type"],
        vintage_year=row["vintage_year"],
        serial_first=format_serial(prefix, row["serial_first"]),
        serial_last=format_serial(prefix, row["serial_last"]),
        tonnes=row["tonnes"],
        ordered_grams=row["ordered_grams"],
        registry_reference=row["registry_reference"],
        retired_on=row["retired_on"],
        reason=row["reason"],
        created_at=row["created_at"],
        withdrawn_tonnes=row["withdrawn_tonnes"],
        replaced_tonnes=row["replaced_tonnes"],
        replaces_id=row["replaces_id"],
    )
