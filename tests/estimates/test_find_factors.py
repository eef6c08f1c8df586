"""Search among emission factors: what matches everything, the best match first, and always in the same order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tonne.application.find_factors import find_factors
from tonne.domain.factors import Edition, Factor, FactorBook


def edition(source, year, revision=1):
    return Edition(source, year, source, source, "", "", revision)


DESNZ_2024, DESNZ_2025, OWID, SPEND = (
    edition("desnz", 2024),
    edition("desnz", 2025),
    edition("owid", 2026),
    edition("epa-spend", 2024),
)
ROWS = [
    (DESNZ_2024, "car_d", "Passenger vehicles, Cars (by size), Small car, Diesel", "GBR", "km"),
    (DESNZ_2025, "car_d", "Passenger vehicles, Cars (by size), Small car, Diesel", "GBR", "km"),
    (DESNZ_2024, "car_dm", "Passenger vehicles, Cars (by size), Small car, Diesel", "GBR", "mi"),
    (DESNZ_2024, "diesel", "Fuels, Liquid fuels, Diesel", "GBR", "l"),
    (DESNZ_2024, "dieselw", "Fuels, Liquid fuels, Diesel", "GBR", "t"),
    (OWID, "DEU/2023", "Grid intensity of Germany, 2023", "DEU", "kWh"),
    (OWID, "DEU/2024", "Grid intensity of Germany, 2024", "DEU", "kWh"),
    (OWID, "asean-ember/2024", "Grid intensity of ASEAN (Ember), 2024", "ASEAN (Ember)", "kWh"),
    (SPEND, "111110", "Soybean Farming", "USA", "USD"),
    (SPEND, "111120", "Oilseed (except Soybean) Farming", "USA", "USD"),
]


@pytest.fixture(scope="module")
def book():
    made = [Factor(e, activity, name, region, unit, Decimal(1)) for e, activity, name, region, unit in ROWS]
    return FactorBook.of(made, {})


def ids(book, **wanted):
    return [factor.factor_id for factor in find_factors(book, **wanted)]


def test_without_a_text_the_newest_of_each_activity_are_found_by_their_ids(book):
    found = ids(book)
    assert found == sorted(found)
    assert len(found) == len(ROWS) - 1
    assert "desnz-2024/car_d" not in found


def test_a_year_finds_what_was_published_then(book):
    assert "desnz-2024/car_d" in ids(book, years=[2024])
    assert ids(book, years=[2025]) == ["desnz-2025/car_d"]
    assert ids(book, years=[2023]) == []


def test_a_withdrawn_edition_is_not_found(book):
    more = FactorBook.of([], {}).with_more(
        [factor for factor in book.by_id.values() if factor.edition != DESNZ_2024],
        [factor for factor in book.by_id.values() if factor.edition == DESNZ_2024],
    )
    assert ids(more, sources=["desnz"]) == ["desnz-2025/car_d"]
    assert ids(more, sources=["desnz"], years=[2024, 2025]) == ["desnz-2025/car_d"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # All words, in any order and case, or their beginnings.
        ("DIESEL car", ["desnz-2024/car_dm", "desnz-2025/car_d"]),
        ("dies lit", []),
        # The whole name first, then shorter names, then ids.
        ("soybean", ["epa-spend-2024/111110", "epa-spend-2024/111120"]),
        ("oil soy", ["epa-spend-2024/111120"]),
        (
            "diesel",
            ["desnz-2024/diesel", "desnz-2024/dieselw", "desnz-2024/car_dm", "desnz-2025/car_d"],
        ),
        # By activity, code and name of the region.
        ("asean 2024", ["owid-2026/asean-ember/2024"]),
        ("deu 2023", ["owid-2026/DEU/2023"]),
        ("united kingdom diesel fuels", ["desnz-2024/diesel", "desnz-2024/dieselw"]),
        ("111110", ["epa-spend-2024/111110"]),
        ("nothing", []),
        ("!?", []),
        ("%", []),
    ],
)
def test_every_word_begins_a_word_of_what_is_found_and_the_best_is_first(book, text, found):
    assert ids(book, text=text) == found


def test_a_blank_text_is_none(book):
    assert ids(book, text="  ") == ids(book)


@pytest.mark.parametrize("region", ["DEU", "deu", "Germany", "GERMANY"])
def test_a_region_is_a_code_or_a_country_s_name(book, region):
    assert ids(book, regions=[region]) == ["owid-2026/DEU/2023", "owid-2026/DEU/2024"]


def test_a_wider_region_is_named_as_its_source_does(book):
    assert ids(book, regions=["asean (ember)"]) == ["owid-2026/asean-ember/2024"]
    assert ids(book, regions=["Nowhere"]) == []
    assert len(ids(book, regions=["Germany", "ASEAN (Ember)"])) == 3


@pytest.mark.parametrize(
    ("logical_unit", "units"),
    [
        ("currency", {"USD"}),
        ("distance", {"km", "mi"}),
        ("energy", {"kWh"}),
        ("item", set()),
        ("volume", {"l"}),
        ("weight", {"t"}),
    ],
)
def test_a_logical_unit_stands_for_all_units_of_its_kind(book, logical_unit, units):
    assert {factor.unit for factor in find_factors(book, logical_unit=logical_unit)} == units


def test_a_logical_unit_that_is_none_is_refused(book):
    with pytest.raises(ValueError, match="speed"):
        find_factors(book, logical_unit="speed")


def test_a_unit_is_found_in_any_case_and_filters_add_up(book):
    assert ids(book, unit="usd") == ids(book, sources=["EPA-SPEND"])
    assert ids(book, unit="kWh", regions=["DEU"], text="2024", sources=["owid"]) == ["owid-2026/DEU/2024"]
    assert ids(book, unit="kWh", sources=["desnz"]) == []
