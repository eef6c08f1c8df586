"""`tonne estimate`: emissions of anything, with every step of the calculation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from tonne.application.calculate import ByFactor, Estimated, Shipping, calculate, outcome_of
from tonne.application.dollar_rates import dollar_rates, rate_of
from tonne.application.factor_book import factor_book
from tonne.application.identifiers import utc_now
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    settings_with,
    with_pool,
)
from tonne.domain.decimals import parse_decimal, plain, shifted
from tonne.domain.errors import TonneError
from tonne.domain.estimates import Calculation, Step
from tonne.domain.mass import Mass, MassUnit, readable_mass
from tonne.estimates.by_factor import Activity
from tonne.estimates.distances import TransitCorridor
from tonne.estimates.electricity import Consumption, Electricity, EnergyUnit
from tonne.estimates.flights import CabinClass, Flight
from tonne.estimates.passengers import (
    FerryLeg,
    FerryType,
    Fuel,
    Journey,
    JourneyLeg,
    RailLeg,
    RailType,
    RoadLeg,
    VehicleType,
)
from tonne.estimates.places import Place, find_airport, find_port, place_at
from tonne.estimates.routes import Route
from tonne.estimates.shipping import CargoType, Shipment, ShippingLeg
from tonne.estimates.spending import Transaction
from tonne.estimates.units import UnitMismatch, conversion
from tonne.storage.countries import is_country
from tonne.storage.currencies import find_currency
from tonne.storage.database import Pool
from tonne.storage.factors import ImportedFactors, load_imported_factors

Found = TypeVar("Found")
_LOCODE_LENGTH = 5


class _Measure(click.ParamType[tuple[Decimal, str]]):
    """An amount with its unit, such as "1200 kWh"."""

    name = '"amount unit"'

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Decimal, str]:
        amount, _, unit = str(value).strip().partition(" ")
        try:
            number = parse_decimal(amount)
        except ValueError:
            self.fail(f'{value!r} is no amount with its unit, such as "1200 kWh"', param, ctx)
        if number == 0 or not unit.strip():
            self.fail(f'{value!r}: give more than 0, and a unit, such as "1200 kWh"', param, ctx)
        return number, unit.strip()


MEASURE = _Measure()
place_options = (
    click.option("--from", "source", help="An airport's code, a port's UN/LOCODE, or LAT,LON."),
    click.option("--to", "destination", help="Where it goes, likewise."),
    click.option("--distance", type=MEASURE, help='How far it is instead, such as "180 km".'),
)


def routed(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell a route."""
    for option in reversed(place_options):
        command = option(command)
    return command


@click.group()
def estimate() -> None:
    """Estimate emissions and show every step. Nothing is stored.

    Factors are the newest known: those that come with Tonne, and editions loaded with `tonne factors import`.
    """


@estimate.command()
@click.argument("consumption", type=MEASURE)
@click.option("--country", help="Where: ISO 3166-1 alpha-3, such as DEU. Without it, the world's average.")
@click.option("--year", type=int, help="When; the latest year that is known unless said otherwise.")
@database_options
@json_option
def electricity(
    *,
    consumption: tuple[Decimal, str],
    country: str | None,
    year: int | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Electricity, such as "1200 kWh"."""
    amount, unit = consumption
    if unit not in list(EnergyUnit):
        msg = f"{unit!r} is no unit of energy: use {', '.join(EnergyUnit)}."
        raise click.BadParameter(msg, param_hint="CONSUMPTION")
    wanted = Electricity(Consumption(amount, EnergyUnit(unit)), country, year)
    _show(lambda: wanted, data_dir, database_url, as_json=as_json)


@estimate.command()
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option(
    "--class",
    "cabin_class",
    type=click.Choice([each.value for each in CabinClass]),
    default=CabinClass.ECONOMY.value,
    show_default=True,
)
@click.option("--passengers", type=click.IntRange(1, 1_000_000), default=1, show_default=True)
@click.option("--return", "is_return", is_flag=True, help="There and back.")
@click.option("--distance", type=MEASURE, help='How far it is instead of two airports, such as "600 km".')
@click.option(
    "--radiative-forcing/--no-radiative-forcing",
    default=True,
    show_default=True,
    help="Whether what flying does beyond CO2, CH4 and N2O counts.",
)
@database_options
@json_option
def flight(
    *,
    source: str | None,
    destination: str | None,
    cabin_class: str,
    passengers: int,
    distance: tuple[Decimal, str] | None,
    data_dir: Path | None,
    database_url: str | None,
    is_return: bool,
    radiative_forcing: bool,
    as_json: bool,
) -> None:
    """A flight between two airports by IATA or ICAO code, such as LHR JFK."""

    def wanted() -> Flight:
        return Flight(
            _route(source, destination, distance),
            CabinClass(cabin_class),
            passengers,
            is_return,
            radiative_forcing,
        )

    _show(wanted, data_dir, database_url, as_json=as_json)


@estimate.command()
@routed
@click.option(
    "--by",
    "means",
    required=True,
    type=click.Choice([each.value for kind in (RailType, VehicleType) for each in kind] + ["ferry"]),
    metavar="MEANS",
    help="national_rail, car_medium, taxi, bus, coach, motorcycle_average, ferry …",
)
@click.option("--fuel", type=click.Choice([each.value for each in Fuel]), help="What drives a car.")
@click.option("--passengers", type=click.IntRange(1, 1_000_000), default=1, show_default=True)
@database_options
@json_option
def travel(
    *,
    source: str | None,
    destination: str | None,
    distance: tuple[Decimal, str] | None,
    means: str,
    fuel: str | None,
    passengers: int,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """A journey by rail, road or ferry."""
    if fuel is not None and means not in list(VehicleType):
        msg = f"{means} has no fuel to choose: leave it out."
        raise click.BadParameter(msg, param_hint="--fuel")

    def wanted() -> Journey:
        route = _route(source, destination, distance)
        return Journey([_leg(route, means, None if fuel is None else Fuel(fuel))], passengers)

    _show(wanted, data_dir, database_url, as_json=as_json)


@estimate.command()
@click.argument("mass", type=MEASURE)
@routed
@click.option("--by", "method", required=True, help="truck, van, rail, container_ship, bulk, tanker, air …")
@click.option(
    "--via",
    "corridor",
    type=click.Choice([each.value for each in TransitCorridor]),
    help="The way a sea route takes.",
)
@click.option(
    "--cargo",
    type=click.Choice([each.value for each in CargoType]),
    default=CargoType.AVERAGE.value,
    show_default=True,
    help="How heavy containers are, where MASS is in TEU.",
)
@database_options
@json_option
def shipping(
    *,
    mass: tuple[Decimal, str],
    source: str | None,
    destination: str | None,
    distance: tuple[Decimal, str] | None,
    method: str,
    corridor: str | None,
    cargo: str,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Freight: a mass such as "12.5 t", or containers such as "2 TEU"."""
    shipment = _shipment(mass, CargoType(cargo))

    def wanted() -> Shipping:
        via = None if corridor is None else TransitCorridor(corridor)
        return Shipping(shipment, ShippingLeg(_route(source, destination, distance, via), method))

    _show(wanted, data_dir, database_url, as_json=as_json)


@estimate.command()
@click.argument("value", type=MEASURE)
@click.option("--category", "category_code", help="Merchant category code (ISO 18245), such as 5812.")
@click.option("--for", "search_term", help="What for, in words, instead of a category.")
@click.option("--country", default="USA", show_default=True, help="Where: ISO 3166-1 alpha-3.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="When; today unless said otherwise.")
@database_options
@json_option
def spend(
    *,
    value: tuple[Decimal, str],
    category_code: str | None,
    search_term: str | None,
    country: str,
    day: datetime | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """A purchase, such as "42.50 USD", by merchant category or in words."""
    amount, code = value
    try:
        currency = find_currency(code.upper()).code
    except KeyError:
        msg = f"{code!r} is no ISO 4217 currency code."
        raise click.BadParameter(msg, param_hint="VALUE") from None
    if (category_code is None) == (search_term is None):
        msg = "Say what for: either --category or --for."
        raise click.UsageError(msg)
    if not is_country(country):
        msg = f"{country!r} is no ISO 3166-1 alpha-3 code, such as USA."
        raise click.BadParameter(msg, param_hint="--country")
    today = utc_now().date()
    on = today if day is None else day.date()
    if on > today + timedelta(days=1):
        msg = f"{on} is yet to come."
        raise click.BadParameter(msg, param_hint="--on")
    terms = () if search_term is None else (search_term,)
    wanted = Transaction(amount, currency, on, country, category_code, terms)
    _show(lambda: wanted, data_dir, database_url, as_json=as_json)


@estimate.command()
@click.argument("factor_id")
@click.argument("activity", type=MEASURE)
@database_options
@json_option
def factor(
    *,
    factor_id: str,
    activity: tuple[Decimal, str],
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Any activity, such as "1500 t*km", by the id of an emission factor: `tonne factors search` finds them."""
    wanted = ByFactor(factor_id, Activity(*activity))
    _show(lambda: wanted, data_dir, database_url, as_json=as_json)


def _route(
    source: str | None,
    destination: str | None,
    distance: tuple[Decimal, str] | None,
    corridor: TransitCorridor | None = None,
) -> Route:
    if distance is not None:
        if source is not None or destination is not None:
            msg = "Give either two places or a distance."
            raise click.UsageError(msg)
        amount, unit = distance
        try:
            kilometres, units = conversion(unit, "km").as_integer_ratio()
        except UnitMismatch:
            msg = f"{unit!r} is no unit of distance: use km, mi or nm."
            raise click.BadParameter(msg, param_hint="--distance") from None
        return Route(distance_km=amount * kilometres / units, corridor=corridor)
    if source is None or destination is None:
        msg = "Say from where to where, or how far with --distance."
        raise click.UsageError(msg)
    return Route(_place(source, "from"), _place(destination, "to"), corridor=corridor)


def _place(text: str, name: str) -> Place:
    latitude, comma, longitude = text.partition(",")
    if comma:
        try:
            return place_at(float(latitude), float(longitude), name)
        except ValueError:
            msg = f"{text!r} is neither a code nor LAT,LON in decimal degrees."
            raise click.UsageError(msg) from None
    is_locode = len(text.replace(" ", "")) == _LOCODE_LENGTH
    return find_port(text, name) if is_locode else find_airport(text, name)


def _leg(route: Route, means: str, fuel: Fuel | None) -> JourneyLeg:
    if means == "ferry":
        return FerryLeg(route, FerryType.AVERAGE)
    if means in list(RailType):
        return RailLeg(route, RailType(means))
    return RoadLeg(route, VehicleType(means), fuel)


def _shipment(mass: tuple[Decimal, str], cargo: CargoType) -> Shipment:
    amount, unit = mass
    if unit.upper() == "TEU":
        return Shipment(containers=amount, cargo_type=cargo)
    if unit not in list(MassUnit):
        msg = f"{unit!r} is no unit of mass: use t, kg, g or TEU."
        raise click.BadParameter(msg, param_hint="MASS")
    return Shipment(tonnes=Mass(amount, MassUnit(unit)).tonnes)


def _show(
    wanted: Callable[[], Estimated], data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    has_database = settings.database_url is not None or (settings.data_dir / "postgres").is_dir()
    try:
        asked = wanted()
        if has_database:
            found = with_pool(settings, lambda pool: _calculate(asked, pool))
        else:
            # A first try before anything is set up.
            rate = rate_of(asked, {}) if isinstance(asked, Transaction) else None
            found = calculate(asked, factor_book(ImportedFactors()), rate)
    except TonneError as error:
        raise click.ClickException(error.message) from None
    _print(found, as_json=as_json)


async def _calculate(asked: Estimated, pool: Pool) -> Calculation:
    async with pool.acquire(timeout=10) as connection:
        imported = await load_imported_factors(connection, ImportedFactors())
    rate = rate_of(asked, await dollar_rates(pool, [asked])) if isinstance(asked, Transaction) else None
    return calculate(asked, factor_book(imported), rate)


def _print(found: Calculation, *, as_json: bool) -> None:
    mass = readable_mass(shifted(found.grams, -6))
    amount = {"amount": plain(mass.amount), "unit": mass.unit.value}
    if as_json:
        print_json({"mass": amount, **outcome_of(found), "calculation": found.steps})
        return
    console.print(f"{amount['amount']} {amount['unit']} CO2e", style="bold")
    for number, step in enumerate(found.steps, 1):
        _print_step(number, step)


def _print_step(number: int, step: Step) -> None:
    console.print(f"\n{number}. {step.description}", markup=False)
    for name, value in step.inputs.items():
        console.print(f"   {name.replace('_', ' ')}: {value}", markup=False)
    if step.factor_value is not None:
        console.print(f"   factor: {step.factor_value} {step.factor_unit} ({step.factor_id})", markup=False)
    console.print(f"   = {step.result}", markup=False)
    if step.source is not None:
        console.print(f"   source: {step.source}", style="dim", markup=False)
