"""Rows of `projects`, `lots`, `bundles`, `default_selection` and `exchange_rates`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.catalogue import Bundle, Catalogue, OnShortage, Portfolio, Price, Project
from tonne.domain.retirement import RetirementPolicy
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
                                FROM lots WHERE mode = 'live' AND suspended_at IS NULL GROUP BY project_id) s USING (project_id)
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

_BUNDLE_COLUMNS = (
    "bundle_id, name, base_price, base_currency, description, offset_type, approach, carbon_permanence, "
    "background_colour, primary_image, large_image, primary_image_hires, small_thumbnail, disabled_at, on_shortage, "
    "identifier, retirement_policy, low_stock_tonnes"
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
    prices: dict[UUID, list[Price]] = defaultdict(list)
    for row in await connection.fetch("SELECT * FROM bundle_prices ORDER BY valid_from"):
        prices[row["bundle_id"]].append(Price(row["currency"], row["valid_from"], row["price"]))
    bundles = {
        row["bundle_id"]: _bundle(row, tuple(prices[row["bundle_id"]]))
        for row in await connection.fetch(_BUNDLES)
    }
    default = await connection.fetch("SELECT bundle_id, percentage FROM default_selection ORDER BY position")
    rates = await connection.fetch(_LATEST_RATES, on)
    version = await connection.fetchval("SELECT version FROM catalogue_state")
    return Catalogue(
        bundles=bundles,
        projects=projects,
        default_selection=tuple(Choice(row["bundle_id"], row["percentage"]) for row in default),
        portfolios=await _load_portfolios(connection),
        exchange_rates={(row["base_currency"], row["quote_currency"]): row["rate"] for row in rates},
        version=version,
    )


async def _load_portfolios(connection: Connection) -> dict[UUID, Portfolio]:
    choices: dict[UUID, list[Choice]] = defaultdict(list)
    for row in await connection.fetch(
        "SELECT * FROM bundle_portfolio_choices ORDER BY portfolio_id, position"
    ):
        choices[row["portfolio_id"]].append(Choice(row["bundle_id"], row["percentage"]))
    return {
        row["portfolio_id"]: Portfolio(
            row["portfolio_id"],
            row["identifier"],
            row["label"],
            tuple(choices[row["portfolio_id"]]),
            row["disabled_at"],
        )
        for row in await connection.fetch("SELECT * FROM bundle_portfolios ORDER BY portfolio_id")
    }


async def count_change(connection: Connection) -> None:
    """Say, in the transaction of a change, that orders are to be decided with the catalogue as it is from now on.

    Changes queue here, one at a time: call it before anything else is locked.
    """
    await connection.execute("UPDATE catalogue_state SET version = version + 1")
    await announce_change(connection)


async def hold_catalogue(connection: Connection) -> None:
    """Keep the catalogue as it is until this transaction ends: whoever changes it waits.

    Call it before what is promised of bundles is locked, or any lot or order; an organisation's claim comes before it.
    """
    await connection.execute("SELECT FROM catalogue_state FOR SHARE")


async def insert_projects(connection: Connection, projects: Sequence[Project], *, at: datetime) -> None:
    """Store new projects."""
    await store_projects(connection, projects, at=at)
    await count_change(connection)


async def store_projects(connection: Connection, projects: Sequence[Project], *, at: datetime) -> None:
    """Store projects as they are now, new or known; call `count_change` after it.

    Raises:
        asyncpg.UniqueViolationError: another project has the slug or the registry's id.
    """
    columns = _PROJECT_COLUMNS.split(", ")
    await connection.executemany(
        f"INSERT INTO projects ({_PROJECT_COLUMNS}, created_at) "  # noqa: S608
        f"VALUES ({', '.join(f'${number}' for number in range(1, len(columns) + 2))}) "
        f"ON CONFLICT (project_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in columns[1:])}",
        [(*_project_values(project), at) for project in projects],
    )


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
    await store_bundles(connection, bundles, at=at)
    await count_change(connection)


async def store_bundles(connection: Connection, bundles: Sequence[Bundle], *, at: datetime) -> None:
    """Store bundles as they are now, new or known, with their projects and prices; call `count_change` after it.

    Prices that have begun are never changed, and the base price is that of the first time.

    Raises:
        asyncpg.UniqueViolationError: another bundle has the name or identifier.
    """
    columns = _BUNDLE_COLUMNS.split(", ")
    changing = [column for column in columns if column not in ("bundle_id", "base_price", "base_currency")]
    await connection.executemany(
        f"INSERT INTO bundles ({_BUNDLE_COLUMNS}, created_at) "  # noqa: S608
        f"VALUES ({', '.join(f'${number}' for number in range(1, len(columns) + 2))}) "
        f"ON CONFLICT (bundle_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in changing)}",
        [(*(getattr(bundle, column) for column in columns), at) for bundle in bundles],
    )
    ids = [bundle.bundle_id for bundle in bundles]
    await connection.execute("DELETE FROM bundle_projects WHERE bundle_id = ANY($1::uuid[])", ids)
    await connection.executemany(
        "INSERT INTO bundle_projects (bundle_id, project_id, position) VALUES ($1, $2, $3)",
        [
            (b.bundle_id, project_id, position)
            for b in bundles
            for position, project_id in enumerate(b.project_ids)
        ],
    )
    await connection.execute(
        "DELETE FROM bundle_prices WHERE bundle_id = ANY($1::uuid[]) AND valid_from > $2", ids, at
    )
    await connection.executemany(
        """
        INSERT INTO bundle_prices (bundle_id, currency, valid_from, price) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
        """,
        [(b.bundle_id, price.currency, price.valid_from, price.price) for b in bundles for price in b.prices],
    )


async def store_portfolios(connection: Connection, portfolios: Sequence[Portfolio], *, at: datetime) -> None:
    """Store portfolios as they are now, new or known; call `count_change` after it.

    Raises:
        asyncpg.UniqueViolationError: another portfolio has the identifier.
    """
    await connection.executemany(
        """
        INSERT INTO bundle_portfolios (portfolio_id, identifier, label, disabled_at, created_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (portfolio_id) DO UPDATE
           SET identifier = excluded.identifier, label = excluded.label, disabled_at = excluded.disabled_at
        """,
        [(p.portfolio_id, p.identifier, p.label, p.disabled_at, at) for p in portfolios],
    )
    ids = [portfolio.portfolio_id for portfolio in portfolios]
    await connection.execute("DELETE FROM bundle_portfolio_choices WHERE portfolio_id = ANY($1::uuid[])", ids)
    await connection.executemany(
        "INSERT INTO bundle_portfolio_choices (portfolio_id, position, bundle_id, percentage) VALUES ($1, $2, $3, $4)",
        [
            (portfolio.portfolio_id, position, choice.bundle_id, choice.percentage)
            for portfolio in portfolios
            for position, choice in enumerate(portfolio.selection)
        ],
    )


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
    await store_rates(connection, rates)
    await count_change(connection)


async def store_rates(connection: Connection, rates: Sequence[ExchangeRate]) -> None:
    """Store exchange rates, new ones or in place of those of the same pair and day; call `count_change` with it."""
    await connection.execute(
        """
        INSERT INTO exchange_rates (base_currency, quote_currency, rate, as_of, source)
        SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::date[], $5::text[])
            ON CONFLICT (base_currency, quote_currency, as_of) DO UPDATE
           SET rate = excluded.rate, source = excluded.source
        """,
        [rate.base_currency for rate in rates],
        [rate.quote_currency for rate in rates],
        [rate.rate for rate in rates],
        [rate.as_of for rate in rates],
        [rate.source for rate in rates],
    )


async def find_rates(
    connection: Connection, rates: Sequence[ExchangeRate]
) -> dict[tuple[str, str, date], Decimal]:
    """What is stored for the same pairs and days."""
    rows = await connection.fetch(
        """
        SELECT e.base_currency, e.quote_currency, e.as_of, e.rate
          FROM unnest($1::text[], $2::text[], $3::date[]) AS w (base_currency, quote_currency, as_of)
          JOIN exchange_rates e USING (base_currency, quote_currency, as_of)
        """,
        [rate.base_currency for rate in rates],
        [rate.quote_currency for rate in rates],
        [rate.as_of for rate in rates],
    )
    return {(row["base_currency"], row["quote_currency"], row["as_of"]): row["rate"] for row in rows}


async def list_rates(connection: Connection, *, latest: bool) -> list[ExchangeRate]:
    """Exchange rates, pair by pair and the latest first; or only the latest of each pair."""
    rows = await connection.fetch(
        f"""
        SELECT {"DISTINCT ON (base_currency, quote_currency)" if latest else ""}
               base_currency, quote_currency, rate, as_of, source
          FROM exchange_rates ORDER BY base_currency, quote_currency, as_of DESC
        """  # noqa: S608
    )
    return [ExchangeRate(**row) for row in rows]


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


def _bundle(row: Record, prices: tuple[Price, ...]) -> Bundle:
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
        identifier=row["identifier"],
        retirement_policy=RetirementPolicy(row["retirement_policy"]),
        low_stock_tonnes=row["low_stock_tonnes"],
        prices=prices,
    )
