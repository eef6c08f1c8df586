"""Rows of `projects`, `lots`, `bundles`, `default_selection` and `exchange_rates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.catalogue import Bundle, Catalogue, OnShortage, Project
from tonne.domain.selection import Choice
from tonne.storage.changes import announce_change
from tonne.storage.database import Connection, Record, from_jsonb, to_jsonb

# A bundle has in stock what the lots of its enabled projects have, less what is promised where it rejects shortages.
_BUNDLES = """
    SELECT b.*, m.project_ids,
           CASE WHEN b.on_shortage = 'reject'
                THEN greatest(coalesce(m.available_tonnes, 0) - (c.grams + 999999) / 1000000, 0)::bigint
                WHEN b.stock_tracked THEN coalesce(m.available_tonnes, 0) END AS available_tonnes
      FROM bundles b
      LEFT JOIN (SELECT bundle_id, sum(committed_grams)::bigint AS grams FROM bundle_commitments GROUP BY bundle_id) c
           USING (bundle_id)
      LEFT JOIN (SELECT bp.bundle_id,
                        array_agg(bp.project_id ORDER BY bp.position) AS project_ids,
                        (sum(s.available_tonnes) FILTER (WHERE p.disabled_at IS NULL))::bigint AS available_tonnes
                   FROM bundle_projects bp
                   JOIN projects p USING (project_id)
                   LEFT JOIN (SELECT project_id, sum(available_tonnes) AS available_tonnes
                                FROM lots WHERE mode = 'live' GROUP BY project_id) s USING (project_id)
                  GROUP BY bp.bundle_id) m USING (bundle_id)
     ORDER BY b.bundle_id
"""

_LATEST_RATES = """
    SELECT DISTINCT ON (base_currency, quote_currency) base_currency, quote_currency, rate
      FROM exchange_rates WHERE as_of <= $1 ORDER BY base_currency, quote_currency, as_of DESC
"""

_PROJECT_COLUMNS = (
    "project_id, name, short_name, slug, description, project_type, registry_name, registry_project_id, "
    "country_name, country_code, registry_link, latitude, longitude, region, logo, primary_image, thumbnail_image, "
    "results, un_sdg, disabled_at, media, crediting_start_date, crediting_end_date, registration_date, protocol, "
    "methodology, durability, additional_standards_met, verifying_body, risk_of_reversal, "
    "risk_of_predicted_emissions, avg_annual_emission_reductions"
)


@dataclass(frozen=True, slots=True)
class Lot:
    """A block of serial numbers of one vintage, both ends inclusive, in whole tonnes."""

    project_id: UUID
    lot_id: UUID
    vintage_year: int
    serial_prefix: str
    serial_first: int
    serial_last: int
    mode: Mode = Mode.LIVE
    cost_per_tonne: Decimal | None = None

    @property
    def tonnes(self) -> int:
        return self.serial_last - self.serial_first + 1


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """`rate` units of `quote_currency` for one of `base_currency`."""

    base_currency: str
    quote_currency: str
    rate: Decimal
    as_of: date
    source: str


async def load_catalogue(connection: Connection, *, on: date) -> Catalogue:
    """Load everything that can be bought, with the latest exchange rates of that day or before."""
    projects = {
        row["project_id"]: _project(row)
        for row in await connection.fetch(f"SELECT {_PROJECT_COLUMNS} FROM projects ORDER BY project_id")  # noqa: S608
    }
    bundles = {row["bundle_id"]: _bundle(row) for row in await connection.fetch(_BUNDLES)}
    default = await connection.fetch("SELECT bundle_id, percentage FROM default_selection ORDER BY position")
    rates = await connection.fetch(_LATEST_RATES, on)
    version = await connection.fetchval("SELECT version FROM catalogue_state")
    return Catalogue(
        bundles=bundles,
        projects=projects,
        default_selection=tuple(Choice(row["bundle_id"], row["percentage"]) for row in default),
        exchange_rates={(row["base_currency"], row["quote_currency"]): row["rate"] for row in rates},
        version=version,
    )


async def count_change(connection: Connection) -> None:
    """Say, in the transaction of a change, that orders are to be decided with the catalogue as it is from now on.

    Changes queue here: one at a time.
    """
    await connection.execute("UPDATE catalogue_state SET version = version + 1")
    await announce_change(connection)


async def insert_projects(connection: Connection, projects: Sequence[Project], *, at: datetime) -> None:
    """Store new projects."""
    await connection.executemany(
        f"INSERT INTO projects ({_PROJECT_COLUMNS}, created_at) "  # noqa: S608
        f"VALUES ({', '.join(f'${number}' for number in range(1, 34))})",
        [(*_project_values(project), at) for project in projects],
    )
    await count_change(connection)


async def insert_lots(connection: Connection, lots: Sequence[Lot], *, at: datetime) -> None:
    """Store new lots, all of them in stock."""
    await connection.executemany(
        """
        INSERT INTO lots (project_id, lot_id, vintage_year, serial_prefix, serial_first, serial_last, serial_next,
                          issued_tonnes, available_tonnes, mode, cost_per_tonne, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $7, $8, $9, $10)
        """,
        [
            (
                lot.project_id,
                lot.lot_id,
                lot.vintage_year,
                lot.serial_prefix,
                lot.serial_first,
                lot.serial_last,
                lot.tonnes,
                lot.mode.value,
                lot.cost_per_tonne,
                at,
            )
            for lot in lots
        ],
    )
    await count_change(connection)


async def insert_bundles(connection: Connection, bundles: Sequence[Bundle], *, at: datetime) -> None:
    """Store new bundles with their projects; `available_tonnes` is not stored, lots have it."""
    await connection.executemany(
        """
        INSERT INTO bundles (bundle_id, name, base_price, base_currency, description, offset_type, approach,
                             carbon_permanence, background_colour, primary_image, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [
            (
                bundle.bundle_id,
                bundle.name,
                bundle.base_price,
                bundle.base_currency,
                bundle.description,
                bundle.offset_type,
                bundle.approach,
                bundle.carbon_permanence,
                bundle.background_colour,
                bundle.primary_image,
                at,
            )
            for bundle in bundles
        ],
    )
    await connection.executemany(
        "INSERT INTO bundle_projects (bundle_id, project_id, position) VALUES ($1, $2, $3)",
        [
            (bundle.bundle_id, project_id, position)
            for bundle in bundles
            for position, project_id in enumerate(bundle.project_ids)
        ],
    )
    await count_change(connection)


async def set_default_selection(connection: Connection, selection: Sequence[Choice]) -> None:
    """Replace the platform's default bundle selection."""
    await connection.execute("DELETE FROM default_selection")
    await connection.executemany(
        "INSERT INTO default_selection (position, bundle_id, percentage) VALUES ($1, $2, $3)",
        [(position, choice.bundle_id, choice.percentage) for position, choice in enumerate(selection)],
    )
    await count_change(connection)


async def insert_exchange_rates(connection: Connection, rates: Sequence[ExchangeRate]) -> None:
    """Store exchange rates."""
    await connection.executemany(
        "INSERT INTO exchange_rates (base_currency, quote_currency, rate, as_of, source) VALUES ($1, $2, $3, $4, $5)",
        [(rate.base_currency, rate.quote_currency, rate.rate, rate.as_of, rate.source) for rate in rates],
    )
    await count_change(connection)


async def has_catalogue(connection: Connection) -> bool:
    """Whether there is anything to sell yet."""
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM bundles) OR EXISTS (SELECT FROM projects)")
    )


def _project_values(project: Project) -> list[object]:
    values: list[object] = [getattr(project, column) for column in _PROJECT_COLUMNS.split(", ")]
    media = _PROJECT_COLUMNS.split(", ").index("media")
    values[media] = to_jsonb(values[media])
    return values


def _project(row: Record) -> Project:
    values = dict(row)
    for column in ("results", "un_sdg", "additional_standards_met"):
        values[column] = tuple(values[column])
    values["media"] = from_jsonb(values["media"])
    return Project(**values)


def _bundle(row: Record) -> Bundle:
    return Bundle(
        bundle_id=row["bundle_id"],
        name=row["name"],
        base_price=row["base_price"],
        base_currency=row["base_currency"],
        description=row["description"],
        project_ids=tuple(row["project_ids"] or ()),
        available_tonnes=row["available_tonnes"],
        offset_type=row["offset_type"],
        approach=row["approach"],
        carbon_permanence=row["carbon_permanence"],
        background_colour=row["background_colour"],
        primary_image=row["primary_image"],
        large_image=row["large_image"],
        primary_image_hires=row["primary_image_hires"],
        small_thumbnail=row["small_thumbnail"],
        disabled_at=row["disabled_at"],
        on_shortage=OnShortage(row["on_shortage"]),
    )
