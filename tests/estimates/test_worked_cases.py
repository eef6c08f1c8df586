"""Worked cases, recomputed here from the tables as they were published and by formulas of their own.

Nothing that finds an expectation is taken from the service: the tables are read with `csv`, masses are fractions, great
circles are Vincenty's. What the tables say in units of the United States is converted by the definitions of the pound
(0.45359237 kg), the short ton (2,000 pounds), the mile (1.609344 km) and the gallon (231 cubic inches).

Where the arithmetic is exact, so is the agreement: to the gram. Cases with their figures written here always run.
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from tests.published import BTU_KWH, GALLON_L, MILE_KM, SHORT_TON_T, THOUSANDTH, Published, vincenty_km

from tonne.application.calculate import ByFactor, Estimated, MultiLegShipping, Shipping, calculate
from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Calculation
from tonne.domain.mass import Mass, MassUnit
from tonne.estimates.builtin_factors import builtin_factors
from tonne.estimates.by_factor import Activity
from tonne.estimates.declared import Declaration
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
from tonne.estimates.places import find_airport, place_at
from tonne.estimates.routes import Route
from tonne.estimates.shipping import CargoType, Shipment, ShippingLeg
from tonne.estimates.spending import DollarRate, Transaction


@pytest.fixture(scope="session")
def published(shared_data: Path) -> Published:
    return Published(shared_data)


def found(wanted: Estimated, rate: DollarRate | None = None) -> Calculation:
    return calculate(wanted, builtin_factors(), rate)


def whole_grams(kg: Fraction) -> int:
    """Half up."""
    return math.floor(kg * 1000 + Fraction(1, 2))


def over(km: str) -> Route:
    return Route(distance_km=Decimal(km))


def between(source: str, destination: str) -> Route:
    return Route(find_airport(source, ""), find_airport(destination, ""))


def close(one: Fraction | float | Decimal, other: Fraction | float) -> bool:
    """Within 0.1 %."""
    return abs(Fraction(one) - Fraction(other)) <= Fraction(other) * THOUSANDTH


# --- Flights ---

DOMESTIC, SHORT, LONG, ELSEWHERE = (
    "Domestic, to/from UK",
    "Short-haul, to/from UK",
    "Long-haul, to/from UK",
    "International, to/from non-UK",
)
FLOWN = [
    ("LHR", "EDI", DOMESTIC),
    ("CDG", "MAN", SHORT),
    ("LHR", "JFK", LONG),
    ("CDG", "HKG", ELSEWHERE),
    ("CDG", "NCE", ELSEWHERE),
]
CLASSES = {
    CabinClass.AVERAGE: "Average passenger",
    CabinClass.ECONOMY: "Economy class",
    CabinClass.PREMIUM_ECONOMY: "Premium economy class",
    CabinClass.BUSINESS: "Business class",
    CabinClass.FIRST: "First class",
}
# What counts where the source has no such class.
INSTEAD = {(DOMESTIC, cabin): "Average passenger" for cabin in CabinClass} | {
    (SHORT, CabinClass.PREMIUM_ECONOMY): "Economy class",
    (SHORT, CabinClass.FIRST): "Business class",
}
RF = {True: "With RF", False: "Without RF"}


@pytest.mark.parametrize("cabin", CabinClass)
@pytest.mark.parametrize("forcing", [True, False])
@pytest.mark.parametrize(("passengers", "is_return"), [(1, False), (1, True), (7, False), (250, True)])
@pytest.mark.parametrize(("source", "destination", "haul"), FLOWN)
def test_a_flight_is_passengers_times_the_great_circle_times_the_figure_of_its_haul_and_class(
    published, source, destination, haul, passengers, is_return, forcing, cabin
):
    asked = published.has("Flights", haul, CLASSES[cabin], RF[forcing], uom="passenger.km")
    label = CLASSES[cabin] if asked else INSTEAD[haul, cabin]
    figure = published.uk("Flights", haul, label, RF[forcing], uom="passenger.km")
    km = vincenty_km(published.position(source), published.position(destination)) * (2 if is_return else 1)
    flight = Flight(between(source, destination), cabin, passengers, is_return, forcing)
    calculation = found(flight)
    assert calculation.distance_km is not None
    # To the metre, each way.
    assert abs(float(calculation.distance_km) - km) < 0.0011 * (1 + is_return)
    assert close(calculation.grams, Fraction(km) * passengers * figure * 1000)
    assert calculation.grams == whole_grams(Fraction(calculation.distance_km) * passengers * figure)
    told = next(step for step in calculation.steps if step.factor_id).description
    assert ("the source has no" in told) is not asked


@pytest.mark.parametrize(("km", "haul"), [("3699.999", SHORT), ("3700", LONG), ("59999.5", LONG)])
def test_a_flight_over_a_distance_alone_is_short_haul_below_3700_km(published, km, haul):
    figure = published.uk("Flights", haul, "Economy class", "With RF", uom="passenger.km")
    calculation = found(Flight(over(km)))
    assert calculation.grams == whole_grams(Fraction(km) * figure)
    assert "not known between which countries" in calculation.steps[0].description


def test_a_return_flight_is_of_the_haul_of_one_way(published):
    figure = published.uk("Flights", SHORT, "Economy class", "With RF", uom="passenger.km")
    assert found(Flight(over("2000"), is_return=True)).grams == whole_grams(4000 * figure)


# --- Journeys by land and sea ---

BY_PASSENGER = [
    (RailLeg(over("250.5"), RailType.NATIONAL_RAIL), ("Rail", "National rail")),
    (RailLeg(over("250.5"), RailType.INTERNATIONAL_RAIL), ("Rail", "International rail")),
    (RailLeg(over("250.5"), RailType.LIGHT_RAIL_OR_TRAM), ("Rail", "Light rail and tram")),
    (RailLeg(over("250.5"), RailType.UNDERGROUND), ("Rail", "London Underground")),
    (RoadLeg(over("250.5"), VehicleType.TAXI), ("Taxis", "Regular taxi")),
    (RoadLeg(over("250.5"), VehicleType.TAXI_BLACK_CAB), ("Taxis", "Black cab")),
    (RoadLeg(over("250.5"), VehicleType.BUS), ("Bus", "Average local bus")),
    (RoadLeg(over("250.5"), VehicleType.BUS_LONDON), ("Bus", "Local London bus")),
    (RoadLeg(over("250.5"), VehicleType.BUS_NOT_LONDON), ("Bus", "Local bus (not London)")),
    (RoadLeg(over("250.5"), VehicleType.COACH), ("Bus", "Coach")),
    (FerryLeg(over("250.5"), FerryType.FOOT_PASSENGER), ("Ferry", "Foot passenger")),
    (FerryLeg(over("250.5"), FerryType.CAR_PASSENGER), ("Ferry", "Car passenger")),
    (FerryLeg(over("250.5"), FerryType.AVERAGE), ("Ferry", "Average (all passenger)")),
]
CARS = {
    VehicleType.CAR_MINI: ("Cars (by market segment)", "Mini"),
    VehicleType.CAR_SUPERMINI: ("Cars (by market segment)", "Supermini"),
    VehicleType.CAR_LOWER_MEDIUM: ("Cars (by market segment)", "Lower medium"),
    VehicleType.CAR_UPPER_MEDIUM: ("Cars (by market segment)", "Upper medium"),
    VehicleType.CAR_EXECUTIVE: ("Cars (by market segment)", "Executive"),
    VehicleType.CAR_LUXURY: ("Cars (by market segment)", "Luxury"),
    VehicleType.CAR_SPORTS: ("Cars (by market segment)", "Sports"),
    VehicleType.CAR_DUAL_PURPOSE_4X4: ("Cars (by market segment)", "Dual purpose 4X4"),
    VehicleType.CAR_MPV: ("Cars (by market segment)", "MPV"),
    VehicleType.CAR_SMALL: ("Cars (by size)", "Small car"),
    VehicleType.CAR_MEDIUM: ("Cars (by size)", "Medium car"),
    VehicleType.CAR_LARGE: ("Cars (by size)", "Large car"),
    VehicleType.CAR_AVERAGE: ("Cars (by size)", "Average car"),
}
FUELS = {
    None: "Unknown",
    Fuel.UNKNOWN: "Unknown",
    Fuel.PETROL: "Petrol",
    Fuel.DIESEL: "Diesel",
    Fuel.HYBRID: "Hybrid",
    Fuel.PLUG_IN_HYBRID: "Plug-in Hybrid Electric Vehicle",
    Fuel.BATTERY_ELECTRIC: "Battery Electric Vehicle",
    Fuel.CNG: "CNG",
    Fuel.LPG: "LPG",
}


def test_every_way_to_travel_has_a_worked_case():
    carried = {leg.vehicle_type for leg, _ in BY_PASSENGER if isinstance(leg, RoadLeg)}
    motorcycles = {each for each in VehicleType if each.startswith("motorcycle")}
    assert carried | CARS.keys() | motorcycles == set(VehicleType)
    assert {leg.rail_type for leg, _ in BY_PASSENGER if isinstance(leg, RailLeg)} == set(RailType)
    assert {leg.ferry_type for leg, _ in BY_PASSENGER if isinstance(leg, FerryLeg)} == set(FerryType)
    assert FUELS.keys() == {None, *Fuel}


@pytest.mark.parametrize("passengers", [1, 4])
@pytest.mark.parametrize(("leg", "labels"), BY_PASSENGER)
def test_what_carries_passengers_counts_by_passenger(published, leg: JourneyLeg, labels, passengers):
    figure = published.uk(*labels, "", "", uom="passenger.km")
    expected = whole_grams(Fraction("250.5") * passengers * figure)
    assert found(Journey([leg], passengers)).grams == expected


@pytest.mark.parametrize("fuel", FUELS)
@pytest.mark.parametrize("vehicle", CARS)
def test_a_car_counts_by_vehicle_and_one_that_the_source_does_not_have_is_refused(published, vehicle, fuel):
    labels = (*CARS[vehicle], "", FUELS[fuel])
    journey = Journey([RoadLeg(over("123.4"), vehicle, fuel, vehicles=2)], 5)
    if published.has(*labels, uom="km"):
        expected = whole_grams(Fraction("123.4") * 2 * published.uk(*labels, uom="km"))
        assert found(journey).grams == expected
    else:
        with pytest.raises(ValidationFailed) as refused:
            found(journey)
        assert refused.value.violations[0].pointer == "/legs/0/fuel"


@pytest.mark.parametrize("size", ["small", "medium", "large", "average"])
def test_a_motorcycle_counts_by_vehicle(published, size):
    leg = RoadLeg(over("10"), VehicleType(f"motorcycle_{size}"), vehicles=3)
    figure = published.uk("Motorbike", size.capitalize(), "", "", uom="km")
    assert found(Journey([leg], 6)).grams == whole_grams(30 * figure)


def test_a_journey_between_places_is_a_fifth_longer_than_the_great_circle_by_rail_and_road(published):
    figure = published.uk("Rail", "International rail", "", "", uom="passenger.km")
    km = 1.2 * vincenty_km(published.position("LHR"), published.position("CDG"))
    calculation = found(Journey([RailLeg(between("LHR", "CDG"), RailType.INTERNATIONAL_RAIL)], 2))
    assert calculation.distance_km is not None
    assert abs(float(calculation.distance_km) - km) < 0.002
    assert close(calculation.grams, Fraction(km) * 2 * figure * 1000)


def test_legs_of_a_journey_add_up(published):
    rail = published.uk("Rail", "National rail", "", "", uom="passenger.km")
    car = published.uk("Cars (by size)", "Small car", "", "Petrol", uom="km")
    air = published.uk("Flights", LONG, "Business class", "Without RF", uom="passenger.km")
    legs: list[JourneyLeg] = [
        RailLeg(over("80.123"), RailType.NATIONAL_RAIL),
        RoadLeg(over("12"), VehicleType.CAR_SMALL, Fuel.PETROL),
        FlightLeg(over("6000"), CabinClass.BUSINESS, radiative_forcing=False),
    ]
    each = [whole_grams(Fraction("80.123") * 3 * rail), whole_grams(12 * car), whole_grams(18000 * air)]
    calculation = found(Journey(legs, 3))
    assert calculation.legs is not None
    assert [leg.grams for leg in calculation.legs] == each
    assert calculation.grams == sum(each)
    assert calculation.distance_km == Decimal("6092.123")


# --- Freight ---

HGV, COLD = "HGV (all diesel)", "HGV refrigerated (all diesel)"
UK_METHODS = {
    "truck": (HGV, "All HGVs", "", "Average laden"),
    "van": ("Vans", "Average (up to 3.5 tonnes)", "", "Unknown"),
    "rail": ("Rail", "Freight train", "", ""),
    "container_ship": ("Cargo ship", "Container ship", "Average", ""),
    "bulk": ("Cargo ship", "Bulk carrier", "Average", ""),
    "tanker": ("Sea tanker", "Products tanker", "Average", ""),
    "general_cargo": ("Cargo ship", "General cargo", "Average", ""),
    "roro_ferry": ("Cargo ship", "RoRo-Ferry", "Average", ""),
    "ropax_ferry": ("Cargo ship", "Large RoPax ferry", "Average", ""),
    "vehicle_carrier": ("Cargo ship", "Vehicle transport", "Average", ""),
    "refrigerated_cargo_ship": ("Cargo ship", "Refrigerated cargo", "All dwt", ""),
    "diesel_truck_refrigerated": (COLD, "All HGVs", "", "Average laden"),
    "truck_generic_van_electric": (
        "Vans",
        "Average (up to 3.5 tonnes)",
        "",
        "Battery Electric Vehicle",
    ),
    "truck_rigid_7_5t": (HGV, "Rigid (>3.5 - 7.5 tonnes)", "", "Average laden"),
    "truck_rigid_12t_refrigerated": (COLD, "Rigid (>7.5 tonnes-17 tonnes)", "", "Average laden"),
    "truck_rigid_32t": (HGV, "Rigid (>17 tonnes)", "", "Average laden"),
    "truck_articulated_40t": (HGV, "Articulated (>33t)", "", "Average laden"),
    "electric_freight_train_eu_average": ("Rail", "Freight train", "", ""),
    "sea_bulk_carrier_35dwkt_hfo": ("Cargo ship", "Bulk carrier", "10,000–34,999 dwt", ""),
    "sea_bulk_carrier_over_200dwkt_mdo": ("Cargo ship", "Bulk carrier", "200,000+ dwt", ""),
    "sea_chemical_tanker_40dwkt_vlsfo": ("Sea tanker", "Chemical tanker", "20,000+ dwt", ""),
    "sea_oil_tanker_20dwkt_hfo": ("Sea tanker", "Products tanker", "10,000–19,999 dwt", ""),
    "sea_oil_tanker_112dwkt_hfo": ("Sea tanker", "Crude tanker", "80,000–119,999 dwt", ""),
    "sea_liquefied_gas_tanker_200dwkt_hfo": ("Sea tanker", "LNG tanker", "0–199,999 m3", ""),
    "sea_general_cargo_5dwkt_hfo": ("Cargo ship", "General cargo", "0–4999 dwt", ""),
}
US_METHODS = {
    "inland_waterway": "Waterborne Craft",
    "inland_waterway_pushed_convoy_large": "Waterborne Craft",
    "truck_na_general": "Medium- and Heavy-Duty Truck",
    "truck_na_refrigerated": "Medium- and Heavy-Duty Truck",
    "diesel_freight_train_us_average": "Rail",
}


@pytest.mark.parametrize(("method", "labels"), UK_METHODS.items())
def test_freight_is_tonnes_times_kilometres_times_the_figure(published, method, labels):
    figure = published.uk(*labels, uom="tonne.km")
    calculation = found(Shipping(Shipment(tonnes=Decimal("12.345")), ShippingLeg(over("1234.5"), method)))
    assert calculation.grams == whole_grams(Fraction("12.345") * Fraction("1234.5") * figure)


@pytest.mark.parametrize(("method", "item"), US_METHODS.items())
def test_american_freight_is_short_tons_times_miles_times_the_figure(published, method, item):
    short_ton_miles = 40 / SHORT_TON_T * 800 / MILE_KM
    calculation = found(Shipping(Shipment(tonnes=Decimal(40)), ShippingLeg(over("800"), method)))
    assert calculation.grams == whole_grams(short_ton_miles * published.us_freight(item))


@pytest.mark.parametrize("containers", ["1", "2.5"])
@pytest.mark.parametrize(
    ("cargo", "tonnes"), [("lightweight", "6"), ("average", "10"), ("heavyweight", "14.5"), ("container_only", "2")]
)  # fmt: skip
@pytest.mark.parametrize("method", ["container_ship", "truck", "rail", "inland_waterway"])
def test_containers_weigh_what_their_cargo_does(published, method, cargo, tonnes, containers):
    tonne_km = Fraction(containers) * Fraction(tonnes) * 10_000
    if method in US_METHODS:
        kg = tonne_km / SHORT_TON_T / MILE_KM * published.us_freight(US_METHODS[method])
    else:
        kg = tonne_km * published.uk(*UK_METHODS[method], uom="tonne.km")
    shipment = Shipment(containers=Decimal(containers), cargo_type=CargoType(cargo))
    assert found(Shipping(shipment, ShippingLeg(over("10000"), method))).grams == whole_grams(kg)


@pytest.mark.parametrize("forcing", [True, False])
@pytest.mark.parametrize(("source", "destination", "haul"), FLOWN)
def test_air_freight_is_of_the_haul_between_its_countries(published, source, destination, haul, forcing):
    figure = published.uk("Freight flights", haul, "", RF[forcing], uom="tonne.km")
    leg = ShippingLeg(between(source, destination), "air", radiative_forcing=forcing)
    calculation = found(Shipping(Shipment(tonnes=Decimal("0.75")), leg))
    km = vincenty_km(published.position(source), published.position(destination))
    assert calculation.distance_km is not None
    assert close(calculation.distance_km, km)
    assert close(calculation.grams, Fraction(km) * Fraction("0.75") * figure * 1000)
    assert calculation.grams == whole_grams(Fraction(calculation.distance_km) * Fraction("0.75") * figure)


def test_legs_of_a_shipment_add_up(published):
    figures = [published.uk(*UK_METHODS[method], uom="tonne.km") for method in ("truck", "container_ship")]
    us = published.us_freight("Medium- and Heavy-Duty Truck") / SHORT_TON_T / MILE_KM
    each = [
        whole_grams(29 * km * figure) for km, figure in zip((180, 15432, 700), (*figures, us), strict=True)
    ]
    legs = [
        ShippingLeg(over(km), method)
        for km, method in (("180", "truck"), ("15432", "container_ship"), ("700", "truck_na_general"))
    ]
    shipment = Shipment(containers=Decimal(2), cargo_type=CargoType.HEAVYWEIGHT)
    calculation = found(MultiLegShipping(shipment, legs))
    assert calculation.legs is not None
    assert [leg.grams for leg in calculation.legs] == each
    assert calculation.grams == sum(each)
    assert calculation.distance_km == 16312


# --- Electricity ---


@pytest.mark.parametrize("unit", EnergyUnit)
@pytest.mark.parametrize("country", ["DEU", "FRA", "POL", "USA", "IND", "ZAF", "GBR", None])
def test_electricity_is_energy_times_the_latest_intensity(published, country, unit):
    rows = [
        row
        for row in published.rows("grid_intensity")
        if (row["entity"] == "World" if country is None else row["iso3"] == country)
    ]
    latest = max(rows, key=lambda row: int(row["year"]))
    kwh = Fraction("1234.5678") * {"kWh": 1, "MWh": 1000, "GWh": 1_000_000}[unit.value]
    expected = whole_grams(kwh * Fraction(latest["g_co2e_per_kwh"]) / 1000)
    for year in (None, int(latest["year"])):
        wanted = Electricity(Consumption(Decimal("1234.5678"), unit), country, year)
        assert found(wanted).grams == expected


# --- Purchases ---

# U.S. Bureau of Labor Statistics, CPI-U, annual averages; 2025 is the mean of the eleven months published for it.
CPI = {
    2015: "237.017", 2016: "240.007", 2017: "245.120", 2018: "251.107", 2019: "255.657", 2020: "258.811",
    2021: "270.970", 2022: "292.655", 2023: "304.702", 2024: "313.689", 2025: "321.943", 2026: "321.943",
}  # fmt: skip
CATEGORIES = {
    "3000": "481111", "3350": "481111", "3351": "532111", "3500": "532111", "3501": "721110", "3999": "721110",
    "0742": "541940", "4121": "485310", "5411": "311999", "5541": "324110", "5812": "722511", "7011": "721110",
    "9402": "491110",
}  # fmt: skip
TERMS = {
    "taxi": "485310", "restaurant": "722511", "hotel": "721110", "flight": "481111", "pharmacy": "325412",
    "supermarket": "311999", "dentist": "621210", "books": "511130", "computer": "334111", "car repair": "811111",
    "software": "511210", "Beer": "312120", "cement": "327310", "cheese manufacturing": "311513",
}  # fmt: skip


@pytest.mark.parametrize(("year", "index"), CPI.items())
def test_dollars_are_taken_to_the_prices_of_2022(published, year, index):
    kg = Fraction("99.99") * Fraction(CPI[2022]) / Fraction(index) * published.spent("722511")
    wanted = Transaction(Decimal("99.99"), "USD", date(year, 12, 31), "USA", "5812")
    assert found(wanted).grams == whole_grams(kg)


@pytest.mark.parametrize(("code", "naics"), CATEGORIES.items())
def test_a_merchant_category_is_of_its_industry(published, code, naics):
    wanted = Transaction(Decimal(250), "USD", date(2022, 1, 1), "USA", code)
    assert found(wanted).grams == whole_grams(250 * published.spent(naics))


@pytest.mark.parametrize(("term", "naics"), TERMS.items())
def test_a_search_term_is_of_its_industry(published, term, naics):
    wanted = Transaction(Decimal(250), "USD", date(2022, 1, 1), "USA", None, (term,))
    assert found(wanted).grams == whole_grams(250 * published.spent(naics))


@pytest.mark.parametrize("currency", ["EUR", "GBP", "JPY", "INR"])
def test_another_currency_is_taken_to_dollars_at_the_rate_of_its_day(published, currency):
    (row,) = (
        each
        for each in published.rows("fx_monthly")
        if (each["currency"], each["month"]) == (currency, "2024-06-01")
    )
    dollars = Fraction(1) / Fraction(row["units_per_usd"])
    rate = Decimal(dollars.numerator) / Decimal(dollars.denominator)
    kg = 5000 * Fraction(rate) * Fraction(CPI[2022]) / Fraction(CPI[2024]) * published.spent("722511")
    wanted = Transaction(Decimal(5000), currency, date(2024, 6, 15), "DEU", "5812")
    calculation = found(wanted, DollarRate(rate, date(2024, 6, 1), "the monthly table"))
    assert calculation.grams == whole_grams(kg)
    assert close(
        calculation.grams, 5000 * dollars * Fraction("0.93294600") * published.spent("722511") * 1000
    )


# --- Cases with their figures: these always run ---

LITRES, UK_GRID, GERMAN_GRID = "desnz-2024/1_101_1017_8_1", "desnz-2024/7_400_4000_5_1", "owid-2026/DEU/2025"
TRAIN, LONG_HAUL, SMALL_CAR = (
    "desnz-2025/27_315_3151_14_1",
    "desnz-2025/21_316_3170_11_1",
    "desnz-2025/25_301_3046_4_1",
)
BARGE = "epa-2025/table8/upstream-downstream-transportation-and-distribution/waterborne-craft/short-ton-mile"


@pytest.mark.parametrize(
    ("factor_id", "value", "unit", "kg"),
    [
        (TRAIN, "1500", "t*km", 1500 * Fraction("0.02779")),
        (TRAIN, "1500", "short_ton*mi", 1500 * SHORT_TON_T * MILE_KM * Fraction("0.02779")),
        (TRAIN, "1500000", "kg*km", 1500 * Fraction("0.02779")),
        (LONG_HAUL, "100", "person*mi", 100 * MILE_KM * Fraction("0.11704")),
        (SMALL_CAR, "100", "km", 100 * Fraction("0.14308")),
        (SMALL_CAR, "100", "mi", 100 * MILE_KM * Fraction("0.14308")),
        (SMALL_CAR, "100", "nm", 100 * Fraction("1.852") * Fraction("0.14308")),
        (SMALL_CAR, "12345", "m", Fraction("12.345") * Fraction("0.14308")),
        (LITRES, "55.5", "gal", Fraction("55.5") * GALLON_L * Fraction("2.0844")),
        (LITRES, "0.2", "m3", 200 * Fraction("2.0844")),
        (UK_GRID, "7", "MWh", 7000 * Fraction("0.20705")),
        (UK_GRID, "7", "GJ", 7000 / Fraction("3.6") * Fraction("0.20705")),
        (UK_GRID, "7", "MMBtu", 7_000_000 * BTU_KWH * Fraction("0.20705")),
        (GERMAN_GRID, "3.6", "MJ", 1 * Fraction("0.32965")),
        (BARGE, "10", "t*km", 10 / SHORT_TON_T / MILE_KM * Fraction("0.078398")),
        ("epa-spend-2024/722511", "10.99", "USD", Fraction("10.99") * Fraction("0.194")),
    ],
)
def test_an_activity_is_converted_to_the_unit_of_its_factor(factor_id, value, unit, kg):
    assert found(ByFactor(factor_id, Activity(Decimal(value), unit))).grams == whole_grams(kg)


@pytest.mark.parametrize(
    ("amount", "unit", "grams"),
    [
        ("1.5", "g", "2"),
        ("1.4999", "g", "1"),
        ("1", "g", "1"),
        ("0.9994", "g", "0.999"),
        ("0.9995", "g", "1"),
        ("0.0005", "g", "0.001"),
        ("0.00049", "g", "0"),
        ("0.0004995", "kg", "0.5"),
        ("0.0004994", "kg", "0.499"),
        ("12.0704999", "kg", "12070"),
        ("12.0705", "kg", "12071"),
        ("0.0000005", "t", "0.5"),
        ("1000000000", "t", "1000000000000000"),
    ],
)
def test_masses_are_rounded_half_up_to_the_gram_and_below_one_to_the_milligram(amount, unit, grams):
    declared = Declaration(Mass(Decimal(amount), MassUnit(unit)), "by hand", "a test")
    assert found(declared).grams == Decimal(grams)


USD_2022 = ("USD", date(2022, 6, 1), "USA")


@pytest.mark.parametrize(
    ("wanted", "grams"),
    [
        # 1,500 kWh at 0.32965 kg.
        (Electricity(Consumption(Decimal(1500), EnergyUnit.KWH), "DEU"), 494475),
        # 3,000 km x 2 x 3 passengers at 0.18863 kg.
        (Flight(over("3000"), CabinClass.FIRST, 3, is_return=True), 3395340),
        # 4,000 km at 0.06926 kg without radiative forcing.
        (Flight(over("4000"), radiative_forcing=False), 277040),
        # 250 km x 4 passengers at 0.03546 kg.
        (Journey([RailLeg(over("250"), RailType.NATIONAL_RAIL)], 4), 35460),
        # 100 km x 2 cars at 0.14308 kg, whoever sits in them.
        (Journey([RoadLeg(over("100"), VehicleType.CAR_SMALL, Fuel.PETROL, 2)], 9), 28616),
        # 33 km x 2 passengers at 0.01871 kg: 1,234.86 g.
        (Journey([FerryLeg(over("33"), FerryType.FOOT_PASSENGER)], 2), 1235),
        # 12.5 t x 500 km at 0.10163 kg: 635,187.5 g.
        (Shipping(Shipment(tonnes=Decimal("12.5")), ShippingLeg(over("500"), "truck")), 635188),
        # 2 TEU x 14.5 t x 10,000 km at 0.01612 kg.
        (Shipping(Shipment(None, Decimal(2), CargoType.HEAVYWEIGHT), ShippingLeg(over("10000"), "container_ship")), 4674800),
        # 1 t x 100 km is 68.494449 short ton-miles, at 0.186 + 0.0016 x 0.028 + 0.0054 x 0.265 kg.
        (Shipping(Shipment(tonnes=Decimal(1)), ShippingLeg(over("100"), "truck_na_general")), 12841),
        # 0.3 g: 0.001 t x 0.00295 km at 0.10163 kg.
        (Shipping(Shipment(tonnes=Decimal("0.001")), ShippingLeg(over("2.95"), "truck")), Decimal("0.300")),
        # 100 dollars at 0.194 kg.
        (Transaction(Decimal(100), *USD_2022, "5812"), 19400),
        (Transaction(Decimal(100), *USD_2022, None, ("Restaurant",)), 19400),
    ],
)  # fmt: skip
def test_an_estimate_is_what_its_figures_multiply_to(wanted, grams):
    assert found(wanted).grams == grams


def test_a_purchase_in_euros_is_what_its_figures_multiply_to():
    # 100 EUR x 1.08 USD x 292.655 / 304.702 at 0.194 kg: 20,123.64 g.
    wanted = Transaction(Decimal(100), "EUR", date(2023, 3, 1), "FRA", "5812")
    assert found(wanted, DollarRate(Decimal("1.08"), date(2023, 3, 1), "a test")).grams == 20124


@pytest.mark.parametrize(
    ("source", "destination", "km"),
    [
        ((51.4706, -0.46194), (40.639928, -73.778692), 5554.517),
        ((-33.9461, 151.177), (51.4706, -0.46194), 17015.3),
        ((10.0, 179.5), (10.0, -179.5), 109.639),
        ((89.0, 0.0), (89.0, 180.0), 223.388),
    ],
)
def test_a_great_circle_is_vincentys(source, destination, km):
    assert close(vincenty_km(source, destination), km)
    here, there = (place_at(latitude, longitude, "") for latitude, longitude in (source, destination))
    flown = found(Flight(Route(here, there))).distance_km
    assert flown is not None
    assert abs(float(flown) - vincenty_km(source, destination)) < 0.0011
