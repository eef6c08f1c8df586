"""Files of emission factors: what their publishers wrote is read exactly, what is damaged is named by its line."""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest

from tonne.application.factor_files import FactorFormat, Stated, read_factors
from tonne.application.factor_tables import ROWS_MAX
from tonne.application.inventory_files import FileRefused
from tonne.domain.decimals import plain
from tonne.estimates.units import UNITS

ACME = Stated(source="acme", year=2025, title="Acme's factors", attribution="Acme")
CSV = "activity,name,region,unit,kg_co2e\n"
DESNZ = "year,factor_id,scope,level_1,level_2,level_3,level_4,column_text,uom,kg_co2e_per_uom\n"
HUB = "year,table,category,item,gas,value,value_unit,per\n"
POTENTIALS = "2025,11,GWP,Methane,CH4,28,kg CO2e,kg\n2025,11,GWP,Nitrous oxide,N2O,265,kg CO2e,kg\n"
SPEND = "naics_2017,title,kg_co2e_per_usd2022_without_margins,margins,kg_co2e_per_usd2022_with_margins,useeio_code\n"
OWID = "entity,iso3,year,g_co2e_per_kwh\n"


def damages(file):
    return [(damage.line, damage.message) for damage in file.damages]


def read_shared(shared_data, name, layout, **stated):
    text = (shared_data / f"{name}.csv").read_text(encoding="utf-8")
    file = read_factors(text, FactorFormat(layout), Stated(**stated))
    assert damages(file) == []
    return file, list(csv.DictReader(text.splitlines()))


# --- As published ---


@pytest.mark.parametrize(
    ("name", "layout", "stated", "edition", "count", "left_out"),
    [
        ("desnz_2024_factors", "desnz", {}, "desnz-2024", 2616, 0),
        ("desnz_2025_scope3_factors", "desnz", {}, "desnz-2025", 1702, 0),
        ("epa_ghg_hub_2025", "epa", {}, "epa-2025", 206, 27),
        ("epa_spend_factors_naics_v1_3", "epa", {"year": 2024}, "epa-spend-2024", 1016, 0),
        ("grid_intensity", "owid", {"year": 2026}, "owid-2026", 6332, 0),
    ],
)
def test_published_files_are_read_whole(shared_data, name, layout, stated, edition, count, left_out):
    file, _ = read_shared(shared_data, name, layout, **stated)
    assert (file.edition.edition_id, len(file.factors)) == (edition, count)
    assert sum(file.left_out.values()) == left_out
    assert len({factor.factor_id for factor in file.factors}) == count
    assert all(f.unit in UNITS or f.unit == "USD" for f in file.factors)
    assert file.edition.attribution
    assert "{" not in f"{file.edition.title}{file.edition.attribution}"


def test_figures_of_the_uk_are_those_of_the_file(shared_data):
    file, rows = read_shared(shared_data, "desnz_2024_factors", "desnz")
    assert [plain(f.kg_co2e) for f in file.factors] == [plain(Decimal(r["kg_co2e_per_uom"])) for r in rows]
    found = {factor.activity: factor for factor in file.factors}
    butane = found["1_100_1000_7_1"]
    assert (butane.name, butane.unit, butane.region) == (
        "Fuels, Gaseous fuels, Butane, net calorific value",
        "kWh",
        "GBR",
    )


def test_gases_of_the_hub_are_summed_exactly(shared_data):
    file, rows = read_shared(shared_data, "epa_ghg_hub_2025", "epa")
    grams = {"kg": Fraction(1000), "g": Fraction(1), "lb": Fraction("453.59237")}
    potential = {"CO2": 1, "CH4": 28, "N2O": 265}
    sums: dict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    for row in rows:
        if row["table"] != "11" and row["gas"] != "loss":
            key = (row["table"], row["category"], row["item"], row["per"])
            # Exponents such as 2e-06 are read as what they say.
            sums[key] += Fraction(row["value"]) * grams[row["value_unit"]] * potential[row["gas"]]
    found = [factor for factor in file.factors if not factor.activity.startswith("table11/")]
    assert [Fraction(f.kg_co2e) * 1000 for f in found] == list(sums.values())
    by_activity = {factor.activity: factor for factor in file.factors}
    assert by_activity["table1/coal-and-coke/anthracite/short-ton"].unit == "short_ton"
    assert by_activity["table11/gwp-100-year-ar5/methane/kg"].kg_co2e == 28
    assert by_activity["table2/mobile-combustion/motor-gasoline/gallon"].name.endswith(", CO2 only")


def test_spend_factors_are_with_margins_in_money_of_the_column_s_year(shared_data):
    file, rows = read_shared(shared_data, "epa_spend_factors_naics_v1_3", "epa", year=2024)
    soy = file.factors[0]
    assert (soy.activity, soy.name, soy.unit, soy.price_year) == ("111110", "Soybean Farming", "USD", 2022)
    assert [f.kg_co2e for f in file.factors] == [Decimal(r["kg_co2e_per_usd2022_with_margins"]) for r in rows]


def test_grid_intensity_is_by_country_world_or_region(shared_data):
    file, _ = read_shared(shared_data, "grid_intensity", "owid", year=2026)
    found = {factor.activity: factor for factor in file.factors}
    assert (found["WORLD/2024"].region, found["WORLD/2024"].kg_co2e) == ("WORLD", Decimal("0.47108"))
    assert found["DEU/2024"].name == "Grid intensity of Germany, 2024"
    assert found["asean-ember/2000"].region == "ASEAN (Ember)"
    assert not any("OWID" in activity for activity in found)


# --- Damage ---


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,,DEU,kg,1", "name is missing"),
        (",A,DEU,kg,1", "activity is missing"),
        ("a,A,,kg,1", "region is missing"),
        ("a,A,DEU,kg,", "kg_co2e is missing"),
        ("a,A,DEU,kg,-1", "kg_co2e is '-1'"),
        ("a,A,DEU,kg,1e3", "kg_co2e is '1e3'"),
        ("a,A,DEU,kg,NaN", "kg_co2e is 'NaN'"),
        ("a,A,DEU,kg,'1,5'", "6 columns"),
        ("a,A,DEU,kg,1000000001", "is more than 1000000000"),
        (f"a,A,DEU,kg,0.{'1' * 60}", "at most 60 characters"),
        ("a,A,DEU,stone,1", "'stone' is neither a unit"),
        ("a,A,DEU,XAU,1", "'XAU' is neither a unit"),
        ("a,A,DEU,kg", "4 columns"),
        ("a b,A,DEU,kg,1", "has a space in it"),
        ("a\u00a0b,A,DEU,kg,1", "can't be printed"),
        ("a\tb,A,DEU,kg,1", "can't be printed"),
        ('a,"A\nB",DEU,kg,1', "can't be printed"),
        ("a,A\x1b[2J,DEU,kg,1", "can't be printed"),
        ("a,A\0,DEU,kg,1", "NUL"),
        (f"a,{'A' * 301},DEU,kg,1", "301 characters, at most 300"),
        (f"{'a' * 201},A,DEU,kg,1", "201 characters, at most 200"),
        ("good,A,DEU,kg,1", "the activity 'good' is on line 2 already"),
    ],
)
def test_a_damaged_row_is_named_by_its_line(row, said):
    file = read_factors(f"{CSV}good,Good,DEU,kg,1\n{row}\n", FactorFormat.CSV, ACME)
    [(line, message)] = damages(file)
    assert line >= 3
    assert said in message


@pytest.mark.parametrize(
    "row",
    [
        f"{'a' * 200},{'A' * 300},DEU,kg,1000000000",
        "a/b-c_1.d,Ä – ö,WORLD,m2*year,0",
        "a,A,Some Region,EUR,0.000000000000000000000000000001",
        f"a,A,DEU,kg,0.{'1' * 58}",
    ],
)
def test_what_is_just_within_the_limits_is_taken(row):
    file = read_factors(f"{CSV}{row}\n", FactorFormat.CSV, ACME)
    assert damages(file) == []
    assert len(file.factors) == 1


def test_every_damaged_row_is_named_in_order():
    text = CSV + "a,A,DEU,kg,x\n" * 3 + "a,A,DEU\n" + "b,B,DEU,kg,1\n"
    assert [line for line, _ in damages(read_factors(text, FactorFormat.CSV, ACME))] == [2, 3, 4, 5]


def test_lines_may_end_in_any_way_and_a_byte_order_mark_is_no_text():
    for end in ("\n", "\r\n", "\r"):
        text = "\ufeff" + (CSV + "a,A,DEU,kg,1\n\nb,B,DEU,kg,2\n").replace("\n", end)
        assert [f.activity for f in read_factors(text, FactorFormat.CSV, ACME).factors] == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        (("2024,b,Scope 1,Fuels,,,,,furlongs,1",), 3, "uom is 'furlongs', not one of km"),
        (("2025,b,Scope 1,Fuels,,,,,km,1",), 3, "year is '2025', not '2024'"),
        (("2024,b,Scope 1,,,,,,km,1",), 3, "column_text are all missing"),
        (("2024,,Scope 1,Fuels,,,,,km,1",), 3, "factor_id is missing"),
        (("2024,a,Scope 1,Fuels,,,,,miles,1",), 3, "on line 2 already"),
        (("2024,b,Scope 1,Fuels,,,,,km,1e-3",), 3, "1e-3"),
    ],
)
def test_a_damaged_row_of_the_uk_is_named(rows, line, said):
    text = DESNZ + "2024,a,Scope 1,Fuels,,,,,km,1\n" + "\n".join(rows) + "\n"
    [(found, message)] = damages(read_factors(text, FactorFormat.DESNZ))
    assert found == line
    assert said in message


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        (
            "2025,1,Coal,A,CO2,1,kg,gallon\n2025,1,Coal,A,CH4,1,g,gallon\n",
            4,
            "N2O of this activity is missing",
        ),
        (
            "2025,1,Coal,A,CO2,1,kg,gallon\n2025,1,Coal,A,CO2,1,kg,gallon\n",
            5,
            "CO2 of this activity is there twice",
        ),
        ("2025,1,Coal,A,CO2,1,kg,pint\n", 4, "per is 'pint'"),
        ("2025,1,Coal,A,CO2,1,ounce,gallon\n", 4, "value_unit is 'ounce'"),
        ("2025,1,Coal,A,SF6,1,kg,gallon\n", 4, "gas is 'SF6'"),
        ("2025,1,Coal,A,CO2,1e-99,kg,gallon\n", 4, "more than 60 decimals"),
        ("2025,1,Coal,A,CO2,1e+12,kg,gallon\n", 4, "is more than"),
        ("2025,x,Coal,A,CO2,1,kg,gallon\n", 4, "no number of a table"),
        ("2025,1,Coal,–,CO2,1,kg,gallon\n", 4, "no letter or digit"),
        ("2025,1,Coal A,B,CO2,1,kg,gallon\n2025,1,Coal-A,B,CO2,1,kg,gallon\n", 5, "on line 4 already"),
        ("2025,11,GWP,Methane - fossil,CH4,30,kg CO2e,kg\n", 4, "'CH4' is there twice"),
    ],
)
def test_a_damaged_row_of_the_hub_is_named(rows, line, said):
    [(found, message)] = damages(read_factors(HUB + POTENTIALS + rows, FactorFormat.EPA))
    assert found == line
    assert said in message


def test_without_a_warming_potential_gases_are_not_summed():
    rows = "".join(f"2025,1,Coal,A,{gas},1,g,gallon\n" for gas in ("CO2", "CH4", "N2O"))
    file = read_factors(HUB + rows, FactorFormat.EPA)
    assert [message.split(" is ")[0] for _, message in damages(file)] == [
        "the warming potential of CH4",
        "the warming potential of N2O",
    ]
    assert file.factors == ()


def test_a_code_that_is_none_of_a_country_is_named():
    text = OWID + "Germany,DEU,2024,342.1\nNowhere,N0,2024,1\nKosovo,OWID_KOS,2024,900\n"
    file = read_factors(text, FactorFormat.OWID, Stated(year=2026))
    assert [line for line, _ in damages(file)] == [3]
    assert [f.activity for f in file.factors] == ["DEU/2024", "kosovo/2024"]


# --- Editions ---


def test_our_own_files_may_say_their_edition_themselves():
    header = CSV.replace("\n", ",price_year,source,year,title,attribution,licence,url\n")
    row = "a,A,DEU,EUR,0.5,2023,acme,2025,Acme's factors,Acme,CC0,https://acme.example/\n"
    file = read_factors(header + row, FactorFormat.CSV)
    assert file.edition.edition_id == "acme-2025"
    assert (file.edition.licence, file.factors[0].price_year) == ("CC0", 2023)
    other = read_factors(header + row + row.replace("a,", "b,", 1).replace("2025", "2024"), FactorFormat.CSV)
    assert damages(other) == [(3, "year is '2024', not '2025'")]


def test_a_price_year_is_for_factors_by_money():
    header = CSV.replace("\n", ",price_year\n")
    rows = "a,A,DEU,EUR,1,2023\nb,B,DEU,kg,1,2023\nc,C,DEU,EUR,1,23\nd,D,DEU,kg,1,\n"
    file = read_factors(header + rows, FactorFormat.CSV, ACME)
    assert [line for line, _ in damages(file)] == [3, 4]


@pytest.mark.parametrize(
    ("text", "layout", "stated", "said"),
    [
        ("", "csv", ACME, "the column activity is missing"),
        (CSV, "csv", ACME, "no row follows"),
        (CSV + "a,A\n", "csv", ACME, "line 2: the row has 2 columns"),
        ("activity," + CSV + "a,a,A,DEU,kg,1\n", "csv", ACME, "'activity' is there twice"),
        (CSV + '"' + "a" * 200_000 + '",A,DEU,kg,1\n', "csv", ACME, "this is no CSV"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated(), "say it with --source"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated(source="acme"), "say it with --year"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated(source="acme", year=2025), "say it with --title"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("acme", 2025, "Acme"), "say it with --attribution"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("Acme", 2025, "Acme", "Acme"), "must be a lower-case letter"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("a" * 41, 2025, "Acme", "Acme"), "must be a lower-case letter"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("epa-spend", 2025, "Acme", "Acme"), "choose another name"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("acme", 1899, "Acme", "Acme"), "no year from 1900"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("acme", 2025, "A\nB", "Acme"), "printable characters"),
        (CSV + "a,A,DEU,kg,1\n", "csv", Stated("acme", 2025, "A", "B", "", "javascript:x"), "must begin with"),
        (DESNZ + "2024,a,Scope 1,Fuels,,,,,km,1\n", "desnz", Stated(year=2023), "its year is '2024', not '2023'"),
        (DESNZ + "2024,a,Scope 1,Fuels,,,,,km,1\n", "desnz", Stated(source="acme"), "the source of this file is desnz"),
        (OWID + "Germany,DEU,2024,342.1\n", "owid", Stated(), "say it with --year"),
        (SPEND + "111110,Soy,1,0,1,x\n", "epa", Stated(), "say it with --year"),
        (SPEND.replace("usd2022_with_", "usd_with_") + "1,Soy,1,0,1,x\n", "epa", Stated(year=2024), "is missing"),
        (OWID + "Germany,DEU,2024,342.1\n", "epa", Stated(year=2024), "the column table is missing"),
        (HUB + "2025,6,Loss,A,loss,0.04,fraction,\n", "epa", Stated(), "no row is an emission factor"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_edition_is_refused_and_says_why(text, layout, stated, said):
    with pytest.raises(FileRefused) as refused:
        read_factors(text, FactorFormat(layout), stated)
    assert said in str(refused.value)


def test_a_file_has_at_most_so_many_rows():
    rows = [f"a{number},A,DEU,kg,1" for number in range(ROWS_MAX)]
    assert len(read_factors(CSV + "\n".join(rows), FactorFormat.CSV, ACME).factors) == ROWS_MAX
    with pytest.raises(FileRefused, match="more than 200000 rows"):
        read_factors(CSV + "\n".join([*rows, "b,B,DEU,kg,1"]), FactorFormat.CSV, ACME)
