"""What calculators promise of any request: nonsense is refused and never a number, masses follow what they are made of,
and every step can be checked by hand from what it says.

That nobody travels (0 passengers, 0 vehicles) and that an amount is 0 never reaches a calculator: it is refused where
requests are read, by the bodies in `wire` and the options of the command line; `tests/http` proves it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tonne.application.calculate import (
    ByFactor,
    Estimated,
    MultiLegShipping,
    Shipping,
    calculate,
    find_factor,
)
from tonne.domain.errors import (
    AirportInvalid,
    DistanceInvalid,
    EmissionFactorIdInvalid,
    EmissionFactorUnitMismatch,
    LocodeNotFound,
    PortNotFound,
    TonneError,
    ValidationFailed,
)
from tonne.domain.estimates import Calculation, Step, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.domain.mass import Mass, MassUnit
from tonne.estimates.builtin_factors import builtin_factors
from tonne.estimates.by_factor import Activity
from tonne.estimates.declared import Declaration
from tonne.estimates.distances import TransitCorridor, great_circle_km
from tonne.estimates.electricity import Consumption, Electricity, EnergyUnit
from tonne.estimates.flights import CabinClass, Flight
from tonne.estimates.passengers import (
    FerryLeg,
    FerryType,
    FlightLeg,
    Fuel,
    Journey,
    JourneyLeg,
    RailLeg,
    RailType,
    RoadLeg,
    VehicleType,
)
from tonne.estimates.places import find_airport, find_port, place_at
from tonne.estimates.routes import Route, Way, travelled
from tonne.estimates.shipping import CargoType, Shipment, ShippingLeg, shipping_methods
from tonne.estimates.spending import DollarRate, Transaction

TRAIN = "desnz-2025/27_315_3151_14_1"
ONE_TONNE = Shipment(tonnes=Decimal(1))
BEYOND = Decimal(10) ** 22
CORRIDOR = TransitCorridor.SUEZ


def found(wanted: Estimated, rate: DollarRate | None = None, book: FactorBook | None = None) -> Calculation:
    return calculate(wanted, builtin_factors() if book is None else book, rate)


def over(km: Any) -> Route:
    return Route(distance_km=Decimal(km))


def flown(source: str, destination: str) -> Route:
    return Route(find_airport(source, "/route/source"), find_airport(destination, "/route/destination"))


def sailed(source: str, destination: str, corridor: TransitCorridor | None = None) -> Route:
    ends = (find_port(source, "/route/source"), find_port(destination, "/route/destination"))
    return Route(*ends, corridor=corridor)


def shipped(route: Route, method: str = "truck", shipment: Shipment = ONE_TONNE) -> Shipping:
    return Shipping(shipment, ShippingLeg(route, method))


def driven(vehicle: VehicleType, fuel: Fuel | None = None, vehicles: int = 1) -> Journey:
    return Journey([RoadLeg(over(10), vehicle, fuel, vehicles)])


def consumed(country: str | None = None, year: int | None = None, amount: Any = 1) -> Electricity:
    return Electricity(Consumption(Decimal(amount), EnergyUnit.MWH), country, year)


def paid(
    code: str | None = "5812", *terms: str, year: int = 2022, value: Any = 100, country: str = "USA"
) -> Transaction:
    return Transaction(Decimal(value), "USD", date(year, 6, 1), country, code, terms)


def done(value: Any, unit: str, factor_id: str = TRAIN) -> ByFactor:
    return ByFactor(factor_id, Activity(Decimal(value), unit))


# --- Nonsense is refused ---

NONSENSE: list[tuple[Callable[[], object], type[TonneError], str]] = [
    # How far it is.
    (lambda: Flight(over(0)), DistanceInvalid, "/route/amount"),
    (lambda: Flight(over("60000.001")), DistanceInvalid, "/route/amount"),
    (lambda: shipped(over(0)), DistanceInvalid, "/route/amount"),
    (lambda: shipped(over("60000.001"), "container_ship"), DistanceInvalid, "/route/amount"),
    (lambda: Journey([RailLeg(over(1), RailType.NATIONAL_RAIL), FlightLeg(over(0))]), DistanceInvalid, "/legs/1/route/amount"),
    (lambda: MultiLegShipping(ONE_TONNE, [ShippingLeg(over(1), "van"), ShippingLeg(over(0), "van")]), DistanceInvalid, "/legs/1/route/amount"),
    (lambda: Flight(flown("LHR", "LHR")), DistanceInvalid, "/route"),
    (lambda: Flight(flown("LHR", "EGLL")), DistanceInvalid, "/route"),
    (lambda: Journey([RailLeg(flown("EGLL", "lhr"), RailType.NATIONAL_RAIL)]), DistanceInvalid, "/legs/0/route"),
    (lambda: shipped(sailed("NLRTM", "NL RTM"), "bulk"), DistanceInvalid, "/route"),
    (lambda: shipped(Route(place_at(90, 0, ""), place_at(90, 120, "")), "air"), DistanceInvalid, "/route"),
    # From where to where.
    (lambda: Flight(flown("XQX", "LHR")), AirportInvalid, "/route/source"),
    (lambda: Flight(flown("LHR", "London")), AirportInvalid, "/route/destination"),
    (lambda: shipped(sailed("NLRTM", "NLXXX"), "bulk"), LocodeNotFound, "/route/destination"),
    (lambda: shipped(Route(place_at(48.1, 11.6, ""), place_at(51.9, 4.4, "")), "bulk"), PortNotFound, "/route/source"),
    (lambda: place_at(90.001, 0, "/route/source"), ValidationFailed, "/route/source/lat"),
    (lambda: place_at(0, -180.001, "/route/source"), ValidationFailed, "/route/source/lon"),
    (lambda: place_at(float("nan"), 0, "/route/source"), ValidationFailed, "/route/source/lat"),
    (lambda: shipped(sailed("NLRTM", "GBFXT", CORRIDOR), "bulk"), ValidationFailed, "/route/transit_corridor"),
    (lambda: shipped(sailed("NLRTM", "SGSIN", CORRIDOR), "truck"), ValidationFailed, "/route/transit_corridor"),
    (lambda: shipped(replace(over(1), corridor=CORRIDOR), "bulk"), ValidationFailed, "/route/transit_corridor"),
    (lambda: Flight(replace(flown("LHR", "JFK"), corridor=CORRIDOR)), ValidationFailed, "/route/transit_corridor"),
    (lambda: shipped(sailed("NLRTM", "GBFXT"), "inland_waterway"), ValidationFailed, "/route"),
    # By what.
    (lambda: shipped(over(1), "spaceship"), ValidationFailed, "/method"),
    (lambda: shipped(over(1), ""), ValidationFailed, "/method"),
    (lambda: shipped(over(1), "Truck"), ValidationFailed, "/method"),
    (lambda: shipped(over(1), "sea_bulk_carrier_10dwkt_*"), ValidationFailed, "/method"),
    (lambda: MultiLegShipping(ONE_TONNE, [ShippingLeg(over(1), "van"), ShippingLeg(over(1), "x")]), ValidationFailed, "/legs/1/method"),
    (lambda: driven(VehicleType.CAR_MINI, Fuel.PLUG_IN_HYBRID), ValidationFailed, "/legs/0/fuel"),
    (lambda: driven(VehicleType.COACH, Fuel.DIESEL), ValidationFailed, "/legs/0/fuel"),
    (lambda: driven(VehicleType.MOTORCYCLE_LARGE, Fuel.PETROL), ValidationFailed, "/legs/0/fuel"),
    (lambda: driven(VehicleType.TAXI, None, 2), ValidationFailed, "/legs/0/vehicles"),
    # Where and when.
    (lambda: consumed("XXX"), ValidationFailed, "/country_code"),
    (lambda: consumed("DE"), ValidationFailed, "/country_code"),
    (lambda: consumed("deu"), ValidationFailed, "/country_code"),
    (lambda: consumed("WORLD"), ValidationFailed, "/country_code"),
    (lambda: consumed(""), ValidationFailed, "/country_code"),
    (lambda: consumed("DEU", 1989), ValidationFailed, "/year"),
    (lambda: consumed(None, 2200), ValidationFailed, "/year"),
    # What for.
    (lambda: paid("0000"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("2999"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("4000"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("812"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("05812"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("\uff13\uff10\uff10\uff10"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid("restaurant"), ValidationFailed, "/merchant/category_code"),
    (lambda: paid(year=2014), ValidationFailed, "/transaction_processed_at"),
    # Of what factor.
    (lambda: done(1, "t*km", "desnz-2025/none"), EmissionFactorIdInvalid, "/emission_factor_id"),
    (lambda: done(1, "t*km", ""), EmissionFactorIdInvalid, "/emission_factor_id"),
    (lambda: done(1, "kWh"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "km"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "person*km"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "furlong"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "t*km*1000"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "T*KM"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, ""), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "EUR", "epa-spend-2024/722511"), EmissionFactorUnitMismatch, "/activity/unit"),
    (lambda: done(1, "kg", "owid-2026/DEU/2025"), EmissionFactorUnitMismatch, "/activity/unit"),
    # More than mankind emits in a week.
    (lambda: consumed(amount=BEYOND), ValidationFailed, "/consumption/amount"),
    (lambda: Flight(over(60000), passengers=10**12), ValidationFailed, "/passengers"),
    (lambda: Journey([FlightLeg(over(60000))], 10**12), ValidationFailed, "/legs/0"),
    (lambda: Journey([FerryLeg(over(60000), FerryType.AVERAGE)], 10**12), ValidationFailed, "/legs/0"),
    (lambda: driven(VehicleType.CAR_MINI, None, 10**15), ValidationFailed, "/legs/0"),
    (lambda: shipped(over(60000), shipment=Shipment(tonnes=BEYOND)), ValidationFailed, "/shipment"),
    (lambda: shipped(over(60000), shipment=Shipment(None, BEYOND, CargoType.HEAVYWEIGHT)), ValidationFailed, "/shipment"),
    (lambda: MultiLegShipping(Shipment(tonnes=Decimal(150_000_000)), [ShippingLeg(over(50000), "truck")] * 2), ValidationFailed, "/legs"),
    (lambda: paid(value=BEYOND), ValidationFailed, "/value/value"),
    (lambda: done(BEYOND, "t*km"), ValidationFailed, "/activity/value"),
    (lambda: Declaration(Mass(Decimal("1000000000.000001"), MassUnit.T), "a", "b"), ValidationFailed, "/mass/amount"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "pointer"), NONSENSE)
def test_nonsense_is_refused_and_the_refusal_points_at_it(
    make: Callable[[], Any], error: type[TonneError], pointer: str
) -> None:
    with pytest.raises(TonneError) as refused:
        found(make())
    assert type(refused.value) is error
    assert [violation.pointer for violation in refused.value.violations] == [pointer]
    assert refused.value.violations[0].message


def test_a_journey_to_where_it_starts_is_told_from_one_that_is_too_short() -> None:
    with pytest.raises(DistanceInvalid, match="name two places"):
        found(Flight(flown("LHR", "EGLL")))
    with pytest.raises(DistanceInvalid, match="more than 0"):
        found(Flight(over(0)))


@pytest.mark.parametrize(
    "wanted",
    [
        Flight(over("0.001")),
        Flight(over(60000)),
        Flight(over(60000), is_return=True),
        shipped(flown("LHR", "LCY"), "air"),
        shipped(over(60000), shipment=Shipment(tonnes=Decimal(160_000_000))),
        paid(year=2015),
        paid("3999"),
        done("35983447283", "t*km"),
        Declaration(Mass(Decimal(1_000_000_000), MassUnit.T), "a", "b"),
    ],
)
def test_what_is_just_within_the_limits_is_estimated(wanted: Estimated) -> None:
    assert 0 <= found(wanted).grams <= 10**15


@pytest.mark.parametrize(
    "term", ["the", "of", "services", "Store", "other goods", "manufacturing", "!", "xqzw"]
)
def test_a_word_that_says_nothing_of_what_was_bought_is_taken_for_nothing(term: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        found(paid(None, term))
    assert refused.value.violations[0].pointer == "/merchant/search_term"


def test_the_next_search_term_counts_where_the_first_finds_nothing() -> None:
    calculation = found(paid(None, "xqzw", "the", "taxi"))
    assert calculation.factor is not None
    assert (calculation.factor.activity, calculation.found_by) == ("485310", "Taxi, limousine, ride hailing")


# --- Masses follow what they are made of ---

kilometres = st.decimals("0.001", 60_000, places=3).map(lambda km: km.normalize())
tonnes = st.decimals("0.000001", 10_000, places=6)
counts = st.integers(1, 1000)
methods = st.sampled_from(sorted(shipping_methods()))
cabins = st.sampled_from(CabinClass)


@st.composite
def journey_legs(draw: st.DrawFn) -> JourneyLeg:
    route = over(draw(kilometres))
    legs: list[JourneyLeg] = [
        FlightLeg(route, draw(cabins), draw(st.booleans())),
        RailLeg(route, draw(st.sampled_from(RailType))),
        FerryLeg(route, draw(st.sampled_from(FerryType))),
        RoadLeg(route, draw(st.sampled_from(VehicleType))),
        RoadLeg(route, VehicleType.CAR_LARGE, draw(st.sampled_from(Fuel)), draw(st.integers(1, 9))),
    ]
    return draw(st.sampled_from(legs))


@st.composite
def shipments(draw: st.DrawFn) -> Shipment:
    cargo = draw(st.sampled_from(CargoType))
    containers = draw(st.decimals("0.01", 1000, places=2))
    return draw(st.sampled_from([Shipment(draw(tonnes)), Shipment(None, containers, cargo)]))


shipping_legs = st.builds(ShippingLeg, kilometres.map(over), methods, st.booleans())
factor_ids = st.sampled_from(sorted(builtin_factors().by_id))
flights = st.builds(Flight, kilometres.map(over), cabins, counts, st.booleans(), st.booleans())
purchases = st.builds(
    Transaction,
    st.decimals("0.01", 100_000, places=2),
    st.sampled_from(["USD", "EUR"]),
    st.dates(date(2015, 1, 1), date(2026, 12, 31)),
    st.sampled_from(["USA", "FRA"]),
    st.sampled_from(["3000", "3999", "5411", "5812", "9402"]),
)
estimates: st.SearchStrategy[Estimated] = st.one_of(
    flights,
    st.builds(Journey, st.lists(journey_legs(), min_size=1, max_size=5), counts),
    st.builds(Shipping, shipments(), shipping_legs),
    st.builds(MultiLegShipping, shipments(), st.lists(shipping_legs, min_size=1, max_size=5)),
    st.builds(
        Electricity,
        st.builds(Consumption, st.decimals("0.001", 10_000, places=3), st.sampled_from(EnergyUnit)),
        st.sampled_from([None, "DEU", "FRA", "USA"]),
    ),
    purchases,
    st.builds(
        lambda factor_id, value: done(value, builtin_factors().by_id[factor_id].unit, factor_id),
        factor_ids,
        st.decimals("0.001", 1_000_000, places=3),
    ),
)


def rate_for(wanted: Estimated) -> DollarRate | None:
    in_euros = isinstance(wanted, Transaction) and wanted.currency == "EUR"
    return DollarRate(Decimal("1.0837"), date(2024, 1, 1), "a test") if in_euros else None


@given(estimates)
def test_a_mass_is_never_negative_and_never_finer_than_a_milligram(wanted: Estimated) -> None:
    grams = found(wanted, rate_for(wanted)).grams
    assert grams >= 0
    assert grams * 1000 == int(grams * 1000)


@given(shipments(), st.lists(shipping_legs, min_size=1, max_size=6))
def test_legs_of_a_shipment_emit_together_what_they_emit_alone(
    shipment: Shipment, legs: list[ShippingLeg]
) -> None:
    together = found(MultiLegShipping(shipment, legs))
    alone = [found(Shipping(shipment, leg)) for leg in legs]
    assert together.grams == sum(each.grams for each in alone)
    assert together.legs is not None
    assert [leg.grams for leg in together.legs] == [each.grams for each in alone]
    assert together.distance_km == sum(leg.route.distance_km or 0 for leg in legs)


@given(st.lists(journey_legs(), min_size=1, max_size=6), counts)
def test_legs_of_a_journey_emit_together_what_they_emit_alone(legs: list[JourneyLeg], people: int) -> None:
    alone = [found(Journey([leg], people)).grams for leg in legs]
    assert found(Journey(legs, people)).grams == sum(alone)


def proportional(one: Calculation, many: Calculation, times: Fraction | int) -> bool:
    """Both are rounded to the gram at most: half a gram each, and what the first lost is multiplied."""
    return abs(Fraction(many.grams) - times * Fraction(one.grams)) <= (times + 1) * Fraction(1, 2)


@given(km=kilometres, cabin=cabins, people=counts, forcing=st.booleans())
def test_a_flight_is_proportional_to_its_passengers_and_twice_as_much_there_and_back(
    km: Decimal, cabin: CabinClass, people: int, *, forcing: bool
) -> None:
    one = found(Flight(over(km), cabin, 1, radiative_forcing=forcing))
    assert proportional(one, found(Flight(over(km), cabin, people, radiative_forcing=forcing)), people)
    assert proportional(one, found(Flight(over(km), cabin, 1, True, forcing)), 2)


@given(tonnes, st.decimals(1, 600, places=3), methods, st.integers(2, 100))
def test_freight_is_proportional_to_its_mass_and_its_distance(
    mass: Decimal, km: Decimal, method: str, times: int
) -> None:
    # Short enough for a flight to be of the same haul.
    km = min(km, Decimal(3699) / times) if shipping_methods()[method].key == "freight/air" else km
    one = found(shipped(over(km), method, Shipment(mass)))
    assert proportional(one, found(shipped(over(km), method, Shipment(mass * times))), times)
    assert proportional(one, found(shipped(over(km * times), method, Shipment(mass))), times)


@given(st.decimals("0.001", 1000, places=3), st.integers(2, 1000))
def test_energy_and_money_count_in_proportion(amount: Decimal, times: int) -> None:
    assert proportional(found(consumed(amount=amount)), found(consumed(amount=amount * times)), times)
    assert proportional(found(paid(value=amount)), found(paid(value=amount * times)), times)


@given(kilometres, cabins)
def test_radiative_forcing_adds_to_a_flight_and_a_better_seat_never_saves_anything(
    km: Decimal, cabin: CabinClass
) -> None:
    assert found(Flight(over(km), cabin)).grams >= found(Flight(over(km), cabin, 1, False, False)).grams
    seats = [
        CabinClass.ECONOMY,
        CabinClass.PREMIUM_ECONOMY,
        CabinClass.BUSINESS,
        CabinClass.FIRST,
    ]
    masses = [found(Flight(over(km), seat)).grams for seat in seats]
    assert masses == sorted(masses)


# --- A reader can check every step by hand ---

NUMBER = re.compile(r"(\d+(?:\.\d+)?)(?: (.*))?")
# A number that is shown is exact up to six decimals.
SHOWN = Fraction(1, 2_000_000)
# What inputs multiply to another one.
PRODUCTS = {
    "passenger_distance": ("distance", "passengers"),
    "freight": ("mass", "distance"),
}


def number(text: str) -> Fraction:
    match = NUMBER.fullmatch(text)
    assert match is not None, text
    return Fraction(match[1])


def unit(text: str) -> str:
    match = NUMBER.fullmatch(text)
    assert match is not None, text
    return (match[2] or "").partition(" (")[0]


def counted(step: Step) -> Fraction:
    """What a factor was multiplied with, by what the step says alone."""
    assert step.factor_unit is not None
    by = step.factor_unit.removeprefix("kg CO2e/")
    told = [number(value) for value in step.inputs.values() if unit(value) == by]
    times = number(step.inputs["vehicles"]) if "vehicles" in step.inputs else Fraction(1)
    return told[-1] * times


def holds(step: Step, name: str, ends: tuple[str, str]) -> bool:
    """Whether an input is the product of two others; a return flight's distance is told for both ways."""
    one, other = (number(step.inputs[end]) for end in ends)
    return abs(number(step.inputs[name]) - one * other) <= SHOWN * (1 + one + other)


def check_by_hand(step: Step) -> None:
    for name, ends in PRODUCTS.items():
        if name in step.inputs and ends[0] in step.inputs:
            assert holds(step, name, ends), step
    if step.factor_value is not None:
        grams_each = Fraction(step.factor_value) * 1000
        assert unit(step.result) == "g CO2e"
        assert abs(counted(step) * grams_each - number(step.result)) <= SHOWN * (1 + grams_each), step
    if "rate" in step.inputs:
        dollars = number(step.inputs["spent"]) * number(step.inputs["rate"])
        assert abs(dollars - number(step.result)) <= SHOWN, step
    index = {name: number(value) for name, value in step.inputs.items() if name.startswith("index_")}
    if index:
        counts_in, of = index.values()
        real = number(step.inputs["spent"]) * counts_in / of
        assert abs(real - number(step.result)) <= 3 * SHOWN, step
    if "containers" in step.inputs:
        assert number(step.inputs["containers"]) * number(step.inputs["mass"]) == number(step.result)
    if "great_circle" in step.inputs:
        km = number(step.inputs["great_circle"]) * number(step.inputs["detour"])
        assert abs(km - number(step.result)) <= Fraction(1, 2000)


@given(estimates)
@example(Flight(flown("LHR", "JFK"), CabinClass.FIRST, 3, is_return=True))
@example(
    Journey([RailLeg(flown("LHR", "CDG"), RailType.INTERNATIONAL_RAIL), FlightLeg(flown("CDG", "NCE"))], 2)
)
@example(MultiLegShipping(Shipment(None, Decimal(2)), [ShippingLeg(flown("FRA", "CDG"), "truck")]))
@example(shipped(over("123.456"), "truck_na_general", Shipment(Decimal("0.123456"))))
@example(done(7, "GJ", "desnz-2024/7_400_4000_5_1"))
@example(done("0.0000001", "kWh", "owid-2026/DEU/2025"))
def test_the_inputs_that_a_step_states_times_its_factor_are_the_result_that_it_states(
    wanted: Estimated,
) -> None:
    calculation = found(wanted, rate_for(wanted))
    for step in calculation.steps:
        check_by_hand(step)
    last = [
        number(step.result)
        for step in calculation.steps
        if step.factor_value is not None and "not counted" not in step.description
    ]
    legs = [Fraction(leg.grams) for leg in calculation.legs or ()] or [Fraction(calculation.grams)]
    for told, grams in zip(last, legs, strict=True):
        rounded_to = Fraction(1) if told >= 1 else Fraction(1, 1000)
        assert abs(told - grams) <= rounded_to / 2 + SHOWN
    assert sum(legs) == calculation.grams


@given(estimates)
def test_the_factor_of_a_step_is_found_by_its_id_and_has_the_value_and_the_unit_that_the_step_states(
    wanted: Estimated,
) -> None:
    for step in found(wanted, rate_for(wanted)).steps:
        if step.factor_id is not None:
            factor = find_factor(step.factor_id, builtin_factors())
            assert (step.factor_value, step.factor_unit) == (
                f"{factor.kg_co2e:f}",
                f"kg CO2e/{factor.unit}",
            )
            assert step.source is not None
            assert factor.edition.attribution in step.source


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Flight(flown("LHR", "EDI"), CabinClass.FIRST), "the source has no first class"),
        (Flight(flown("LHR", "CDG"), CabinClass.PREMIUM_ECONOMY), "no premium economy class"),
        (Flight(over(1000)), "not known between which countries"),
        (Flight(Route(place_at(52, 13, ""), find_airport("LHR", ""))), "not known between which countries"),
        (shipped(over(1000), "air"), "not known between which countries"),
        (shipped(over(1000), "truck_na_refrigerated"), "nor counts refrigeration"),
        (shipped(over(1000), "sea_bulk_carrier_10dwkt_hfo"), "does not tell fuels apart"),
        (consumed("DEU"), "grid losses are not included"),
        (paid("5541"), "without its burning"),
        (paid("3012"), "Airline"),
        (paid("5812", country="FRA"), "used for FRA for want of one"),
        (paid(None, "taxi"), "taken for 'Taxi, limousine, ride hailing'"),
        (done(10, "USD", "epa-spend-2024/722511"), "USD of 2022"),
    ],
)
def test_a_step_tells_what_is_approximate_about_it(wanted: Estimated, told: str) -> None:
    assert told in next(step for step in found(wanted).steps if step.factor_id is not None).description


def test_a_flight_between_known_countries_is_taken_as_nothing_else() -> None:
    for route in (flown("LHR", "JFK"), flown("CDG", "NCE")):
        assert "taken as" not in found(Flight(route)).steps[1].description


def test_what_the_caller_stated_is_repeated_with_every_digit() -> None:
    assert found(done("0.00000012345", "t*km")).steps[0].inputs["activity"] == "0.00000012345 t*km"
    declared = Declaration(Mass(Decimal("0.0000004"), MassUnit.KG), "a", "b")
    assert found(declared).steps[0].inputs["mass"] == "0.0000004 kg"


# --- Editions ---


def edition_of(factor: Factor, year: int, kg: str, revision: int = 1) -> Factor:
    edition = replace(factor.edition, publication_year=year, revision=revision)
    return replace(factor, edition=edition, kg_co2e=Decimal(kg))


def masses(book: FactorBook) -> Mapping[str, Decimal]:
    return {"rail": found(shipped(over(1000), "rail"), book=book).grams}


FREIGHT_TRAIN = builtin_factors().by_id[TRAIN]


@pytest.mark.parametrize(
    ("editions", "grams"),
    [
        ([], 27790),
        ([(2026, "0.03", 1)], 30000),
        ([(2024, "0.04", 1)], 27790),
        ([(2025, "0.05", 2)], 50000),
        ([(2026, "0.03", 1), (2026, "0.06", 2), (2024, "0.04", 3)], 60000),
        ([(2026, "0.06", 2), (2026, "0.03", 1)], 60000),
    ],
)
def test_the_newest_edition_counts_in_whatever_order_they_are_loaded(
    editions: list[tuple[int, str, int]], grams: int
) -> None:
    more = [edition_of(FREIGHT_TRAIN, *each) for each in editions]
    assert masses(builtin_factors().with_more(more)) == {"rail": grams}


def test_an_old_factor_is_still_found_by_its_id() -> None:
    book = builtin_factors().with_more([edition_of(FREIGHT_TRAIN, 2026, "0.03")])
    assert found(done(1000, "t*km", TRAIN), book=book).grams == 27790
    assert found(done(1000, "t*km", "desnz-2026/27_315_3151_14_1"), book=book).grams == 30000
    later = book.with_more([edition_of(FREIGHT_TRAIN, 2027, "0.02")])
    by_id = [done(1000, "t*km", f"desnz-{year}/27_315_3151_14_1") for year in (2025, 2026, 2027)]
    assert [found(each, book=later).grams for each in by_id] == [27790, 30000, 20000]


def test_a_withdrawn_edition_counts_no_more_but_is_found_by_its_id() -> None:
    newer = edition_of(FREIGHT_TRAIN, 2026, "0.03")
    book = builtin_factors().with_more([], [newer])
    assert masses(book) == {"rail": 27790}
    assert book.by_id[newer.factor_id] is newer
    with pytest.raises(EmissionFactorIdInvalid, match="was withdrawn"):
        found(done(1000, "t*km", newer.factor_id), book=book)
    assert book.withdrawn == {"desnz-2026"}


def test_grids_of_an_older_year_join_those_of_the_latest() -> None:
    germany = builtin_factors().by_id["owid-2026/DEU/2025"]
    older = replace(edition_of(germany, 2025, "0.4"), activity="DEU/2019")
    newer = edition_of(germany, 2027, "0.3")
    book = builtin_factors().with_more([older, newer])
    assert found(consumed("DEU", 2019), book=book).grams == 400_000
    assert found(consumed("DEU"), book=book).grams == 300_000
    assert found(consumed("DEU", 2025), book=book).grams == 300_000
    with pytest.raises(ValidationFailed, match="2019, 2025"):
        found(consumed("DEU", 2020), book=book)


@pytest.mark.parametrize(
    ("source", "destination", "refused"),
    [("LHR", "CDG", False), ("LHR", "DUB", False), ("LHR", "JFK", True), ("LHR", "SYD", True)],
)
def test_roads_and_railways_cross_channels_and_no_seas(
    source: str, destination: str, *, refused: bool
) -> None:
    ends = find_airport(source, ""), find_airport(destination, "")
    route = Route(*ends)
    if refused:
        with pytest.raises(ValidationFailed, match="km of sea: give the distance"):
            travelled(route, Way.ROAD, "/route")
    else:
        km, _ = travelled(route, Way.ROAD, "/route")
        assert km > great_circle_km(*ends)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.0000004", "0.0000004"),
        ("0.00123456789", "0.00123457"),
        ("1/3", "0.333333"),
        ("12.3456785", "12.345679"),
        ("0", "0"),
    ],
)
def test_numbers_are_shown_to_six_decimals_or_six_digits_that_count(value: str, text: str) -> None:
    assert shown(Fraction(value)) == text


def test_a_corridor_that_leaves_no_way_is_refused() -> None:
    route = Route(find_port("PABLB", ""), find_port("USLAX", ""), corridor=TransitCorridor.SUEZ)
    with pytest.raises(ValidationFailed, match="takes suez"):
        travelled(route, Way.SEA, "/route")


def test_a_request_looks_for_ten_sea_routes_at_most() -> None:
    sea = ShippingLeg(Route(find_port("NLRTM", ""), find_port("GBFXT", "")), "container_ship")
    shipment = Shipment(tonnes=Decimal(1))
    assert found(MultiLegShipping(shipment, [sea] * 10)).grams > 0
    with pytest.raises(ValidationFailed, match="at most 10 legs go by sea"):
        found(MultiLegShipping(shipment, [sea] * 11))


@pytest.mark.parametrize("term", ["casino", "newsprint", "s", "part"])
def test_what_a_name_excludes_and_what_says_nothing_is_not_found(term: str) -> None:
    with pytest.raises(ValidationFailed, match="nothing that has an emission factor"):
        found(Transaction(Decimal(10), "USD", date(2026, 1, 1), "USA", search_terms=(term,)))


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("restaurnt", "Restaurant, cafe"),
        ("RESTAURANT!", "Restaurant, cafe"),
        ("laptops", "Computer, laptop, computer peripherals and software"),
        ("airlines", "Airline, flight"),
    ],
)
def test_a_word_that_is_nearly_known_is_taken_for_it(term: str, name: str) -> None:
    assert found(paid(None, term)).found_by == name


def test_search_terms_count_where_the_category_has_no_factor() -> None:
    assert found(paid("4900", "taxi")).found_by == "Taxi, limousine, ride hailing"
    assert found(paid("5812", "taxi")).found_by is None
    with pytest.raises(ValidationFailed, match="no emission factor for merchant category '4900'"):
        found(paid("4900"))


def test_continents_of_a_whole_edition_are_no_countries() -> None:
    germany = builtin_factors().by_id["owid-2026/DEU/2025"]
    europe = replace(edition_of(germany, 2027, "0.3"), activity="europe/2026", region="Europe")
    book = builtin_factors().with_more([europe])
    for region in ("europe", "WORLD"):
        with pytest.raises(ValidationFailed, match="no grid intensity for this country"):
            found(consumed(region), book=book)
