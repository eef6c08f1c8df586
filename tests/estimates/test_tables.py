"""The tables that estimates are made from: well formed, they fit together, and every figure is the published one."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise

import pytest

from tonne.estimates.routes import Way
from tonne.estimates.shipping import shipping_methods
from tonne.estimates.units import UNITS

PLAIN_NUMBER = re.compile(r"(0|[1-9]\d*)(\.\d+)?")
HAULS = ("domestic", "short-haul", "long-haul", "international")
# Rows of the UK's file that calculators use: all of business travel, and freight by tonne-kilometre.
TRAVEL = frozenset(["Business travel- air", "Business travel- sea", "Business travel- land"])
TRAVEL_UNITS = {"km": "km", "passenger.km": "person*km"}
COMMON_2024 = {
    "electricity/uk": ("UK electricity", "Electricity: UK", "kWh"),
    "fuel/natural-gas": ("Fuels", "Natural gas", "kWh (Gross CV)"),
    "fuel/diesel": ("Fuels", "Diesel (average biofuel blend)", "litres"),
    "fuel/petrol": ("Fuels", "Petrol (average biofuel blend)", "litres"),
}


def table(name):
    text = files("tonne.estimates").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def published(shared_data, name):
    return list(csv.DictReader((shared_data / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


def factors_of(source, year):
    return [row for row in table("factors") if (row["source"], row["year"]) == (source, str(year))]


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def is_used(row):
    if row["level_1"] in TRAVEL:
        return row["uom"] == "passenger.km" or (row["uom"] == "km" and row["level_2"] != "Taxis")
    freight = row["level_1"] == "Freighting goods" and row["uom"] == "tonne.km"
    return freight and (not row["level_2"].startswith("HGV") or row["column_text"] == "Average laden")


# --- Well formed ---


@pytest.mark.parametrize(
    ("name", "columns", "keys"),
    [
        ("factors", "key,source,year,activity,name,region,unit,kg_co2e,price_year", ["key"]),
        ("factors", "key,source,year,activity,name,region,unit,kg_co2e,price_year", ["source", "activity"]),
        ("factors", "key,source,year,activity,name,region,unit,kg_co2e,price_year", ["name"]),
        ("merchant_categories", "first,last,naics,name", ["first"]),
        ("merchant_categories", "first,last,naics,name", ["name"]),
        ("price_levels", "year,index", ["year"]),
        ("editions", "source,year,title,attribution,licence,url", ["source", "year"]),
        ("shipping_methods", "method,mode,key,note", ["method"]),
    ],
)
def test_a_table_has_its_columns_and_tells_its_rows_apart(name, columns, keys):
    text = files("tonne.estimates").joinpath(f"{name}.csv").read_bytes().decode("utf-8")
    lines = text.split("\n")
    assert (lines[0], lines[-1], "\r" in text, "" in lines[:-1]) == (columns, "", False, False)
    rows = list(csv.reader(lines[:-1]))
    assert {len(row) for row in rows} == {len(columns.split(","))}
    assert all(cell == cell.strip() and cell.isprintable() for row in rows for cell in row)
    known = [tuple(row[key] for key in keys) for row in table(name)]
    assert len(set(known)) == len(known)


def test_factors_are_sorted_by_their_keys():
    keys = [row["key"] for row in table("factors")]
    assert keys == sorted(keys)
    assert all(re.fullmatch(r"[a-z]+(/[A-Z]{3,5}|(/[a-z0-9.-]+)*)", key) for key in keys)


def test_a_factor_is_a_plain_number_of_a_known_unit():
    for row in table("factors"):
        assert PLAIN_NUMBER.fullmatch(row["kg_co2e"]), row
        assert row["unit"] in UNITS | {"USD"}, row
        assert re.fullmatch(r"[A-Z]{3}|WORLD", row["region"]), row
        assert row["name"], row


def test_only_factors_of_spending_have_a_price_year_and_it_has_a_price_level():
    levels = {row["year"] for row in table("price_levels")}
    for row in table("factors"):
        assert (row["unit"] == "USD") == (row["source"] == "epa-spend") == bool(row["price_year"]), row
        assert not row["price_year"] or row["price_year"] in levels, row


def test_every_factor_is_of_an_edition_and_every_edition_says_whose_it_is():
    editions = {(row["source"], row["year"]): row for row in table("editions")}
    assert {(row["source"], row["year"]) for row in table("factors")} == editions.keys()
    for row in editions.values():
        assert all(row.values()), row
        assert row["url"].startswith("https://"), row


def test_price_levels_are_of_every_year_from_2015_on():
    rows = table("price_levels")
    years = [int(row["year"]) for row in rows]
    assert years == list(range(2015, 2015 + len(years)))
    assert years[-1] >= 2024
    assert all(re.fullmatch(r"\d{3}\.\d{3}", row["index"]) for row in rows)


# --- They fit together ---


def test_a_merchant_category_is_in_one_range_and_has_a_factor():
    keys = {row["key"] for row in table("factors")}
    rows = table("merchant_categories")
    for row in rows:
        assert re.fullmatch(r"\d{4}", row["first"]), row
        assert re.fullmatch(r"\d{4}", row["last"]), row
        assert row["first"] <= row["last"], row
        assert f"spend/{row['naics']}" in keys, row
        assert row["name"], row
    assert all(before["last"] < after["first"] for before, after in pairwise(rows))


@pytest.mark.parametrize("code", ["4829", "6010", "6011", "6051", "6538", "7995", "9222", "9311"])
def test_what_is_not_spent_on_anything_has_no_factor(code):
    assert not [row for row in table("merchant_categories") if row["first"] <= code <= row["last"]]


@pytest.mark.parametrize(
    "code", ["3000", "3350", "3351", "3500", "3501", "3999", "5411", "5812", "7011", "8999"]
)
def test_what_is_commonly_paid_with_a_card_has_a_factor(code):
    assert len([row for row in table("merchant_categories") if row["first"] <= code <= row["last"]]) == 1


def test_a_shipping_method_has_a_factor_and_by_air_one_for_every_haul():
    units = {row["key"]: row["unit"] for row in table("factors")}
    for method in shipping_methods().values():
        keys = [method.key]
        if method.way is Way.AIR:
            keys = [f"{method.key}/{haul}/{forcing}" for haul in HAULS for forcing in ("rf", "no-rf")]
        assert {units[key] for key in keys} <= {"t*km", "short_ton*mi"}, method


def test_a_shipping_method_that_stands_for_all_fuels_says_so():
    for row in table("shipping_methods"):
        assert row["method"].endswith("_*") == ("does not tell fuels apart" in row["note"]), row


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("truck", "freight/hgv/all"),
        ("truck_generic_urban_refrigerated", "freight/hgv-refrigerated/rigid-3.5-7.5t"),
        ("truck_na_dry_van_ltl", "freight/us/truck"),
        ("sea_bulk_carrier_10dwkt_hfo", "freight/sea/bulk-carrier/0-9999-dwt"),
        ("sea_bulk_carrier_over_200dwkt_mdo", "freight/sea/bulk-carrier/200000-plus-dwt"),
        ("inland_waterway_coupled_convoy", "freight/us/waterborne"),
    ],
)
def test_a_method_is_found_by_the_name_a_client_sends(method, key):
    assert shipping_methods()[method].key == key


# --- As published ---


def test_figures_of_the_uk_s_2025_edition_are_those_of_its_file(shared_data):
    rows = [row for row in published(shared_data, "desnz_2025_scope3_factors") if is_used(row)]
    units = TRAVEL_UNITS | {"tonne.km": "t*km"}
    expected = {row["factor_id"]: (units[row["uom"]], row["kg_co2e_per_uom"], "GBR") for row in rows}
    found = factors_of("desnz", 2025)
    assert {row["activity"]: (row["unit"], row["kg_co2e"], row["region"]) for row in found} == expected


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("flight/long-haul/economy/rf", "Flights|Long-haul, to/from UK|Economy class|With RF"),
        ("flight/short-haul/business/no-rf", "Flights|Short-haul, to/from UK|Business class|Without RF"),
        ("flight/domestic/average/rf", "Flights|Domestic, to/from UK|Average passenger|With RF"),
        ("ferry/foot", "Ferry|Foot passenger||"),
        ("car/dual-purpose-4x4/diesel", "Cars (by market segment)|Dual purpose 4X4||Diesel"),
        ("car/average/unknown", "Cars (by size)|Average car||Unknown"),
        ("car/small/battery-electric", "Cars (by size)|Small car||Battery Electric Vehicle"),
        ("motorcycle/average", "Motorbike|Average||"),
        ("taxi/black-cab", "Taxis|Black cab||"),
        ("bus/coach", "Bus|Coach||"),
        ("rail/london-underground", "Rail|London Underground||"),
        ("freight/van/class-iii/plug-in-hybrid", "Vans|Class III (1.74 to 3.5 tonnes)||Plug-in Hybrid Electric Vehicle"),
        ("freight/hgv/artic-over-33t", "HGV (all diesel)|Articulated (>33t)||Average laden"),
        ("freight/hgv-refrigerated/all", "HGV refrigerated (all diesel)|All HGVs||Average laden"),
        ("freight/air/international/no-rf", "Freight flights|International, to/from non-UK||Without RF"),
        ("freight/rail", "Rail|Freight train||"),
        ("freight/sea/crude-tanker/120000-199999-dwt", "Sea tanker|Crude tanker|120,000–199,999 dwt|"),
        ("freight/sea/container-ship/8000-plus-teu", "Cargo ship|Container ship|8000+ TEU|"),
        ("freight/sea/general-cargo/5000-9999-dwt-100-plus-teu", "Cargo ship|General cargo|5000–9999 dwt 100+ TEU|"),
        ("freight/sea/ropax-ferry/average", "Cargo ship|Large RoPax ferry|Average|"),
        ("freight/sea/refrigerated-cargo/all", "Cargo ship|Refrigerated cargo|All dwt|"),
    ],
)  # fmt: skip
def test_a_key_is_of_the_row_that_it_names(shared_data, key, labels):
    activities = {row["key"]: row["activity"] for row in table("factors")}
    rows = {row["factor_id"]: row for row in published(shared_data, "desnz_2025_scope3_factors")}
    row = rows[activities[key]]
    assert "|".join(row[name] for name in ("level_2", "level_3", "level_4", "column_text")) == labels


@pytest.mark.parametrize(("key", "labels"), COMMON_2024.items())
def test_figures_of_the_uk_s_2024_edition_are_those_of_its_file(shared_data, key, labels):
    found = {row["key"]: row for row in factors_of("desnz", 2024)}
    assert found.keys() == COMMON_2024.keys()
    rows = {row["factor_id"]: row for row in published(shared_data, "desnz_2024_factors")}
    row = rows[found[key]["activity"]]
    assert (row["level_1"], row["level_3"], row["uom"]) == labels
    assert row["kg_co2e_per_uom"] == found[key]["kg_co2e"]


def test_figures_of_the_us_hub_are_the_sums_of_its_gases(shared_data):
    rows = published(shared_data, "epa_ghg_hub_2025")
    potentials = {row["gas"]: Decimal(row["value"]) for row in rows if row["table"] == "11"}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["table"] == "8" and row["per"] == "short ton-mile":
            activity = "/".join(["table8", *(slug(row[name]) for name in ("category", "item", "per"))])
            kg = Decimal(row["value"]) * {"kg": Decimal(1), "g": Decimal("0.001")}[row["value_unit"]]
            sums[activity] += kg * potentials[row["gas"]]
    found = factors_of("epa", 2025)
    assert {row["unit"] for row in found} == {"short_ton*mi"}
    assert {row["activity"]: Decimal(row["kg_co2e"]) for row in found} == sums
    items = {row["key"]: row["activity"].split("/")[2] for row in found}
    assert items == {
        "freight/us/truck": "medium-and-heavy-duty-truck",
        "freight/us/rail": "rail",
        "freight/us/waterborne": "waterborne-craft",
        "freight/us/aircraft": "aircraft",
    }


def test_figures_of_spending_are_in_purchaser_prices(shared_data):
    rows = published(shared_data, "epa_spend_factors_naics_v1_3")
    figures = {row["naics_2017"]: row["kg_co2e_per_usd2022_with_margins"] for row in rows}
    for row in factors_of("epa-spend", 2024):
        assert (row["kg_co2e"], row["price_year"]) == (figures[row["activity"]], "2022"), row
        assert row["key"] == f"spend/{row['activity']}", row


def test_grids_are_of_the_latest_year_of_each_country_and_of_the_world(shared_data):
    latest: dict[str, tuple[str, Decimal]] = {}
    for row in published(shared_data, "grid_intensity"):
        region = "WORLD" if row["entity"] == "World" else row["iso3"]
        if re.fullmatch(r"[A-Z]{3}|WORLD", region) and row["year"] > latest.get(region, ("", 0))[0]:
            latest[region] = (row["year"], Decimal(row["g_co2e_per_kwh"]) / 1000)
    found = factors_of("owid", 2026)
    assert {
        row["region"]: (row["activity"].split("/")[1], Decimal(row["kg_co2e"])) for row in found
    } == latest
    for row in found:
        assert row["key"] == f"grid/{row['region']}", row
        assert row["activity"].startswith(f"{row['region']}/"), row
