"""Decimals on the wire, masses and money: contract, section 1."""

from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.decimals import (
    EXACT,
    from_units,
    parse_decimal,
    plain,
    round_half_up,
    round_up,
    shifted,
)
from tonne.domain.mass import (
    GRAMS_PER_TONNE,
    QUANTITY_GRAMS_MAX,
    Mass,
    MassUnit,
    format_tonnes,
    readable_mass,
)
from tonne.domain.money import VALUE_MAX
from tonne.storage.currencies import find_currency

CODES = [each.code for each in iso4217.Currency if each.exponent is not None]
CODES_WITHOUT_MINOR_UNIT = [each.code for each in iso4217.Currency if each.exponent is None]

# --- Decimals ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Decimal(0)),
        ("00", Decimal(0)),
        ("0.0", Decimal(0)),
        ("00.10", Decimal("0.1")),
        ("007", Decimal(7)),
        ("12.07", Decimal("12.07")),
        ("12.070", Decimal("12.07")),
        ("1000000000", Decimal(10**9)),
        ("0.000000000000000001", Decimal(1).scaleb(-18)),
        ("0.1000000000000000055511151231257827021181583404541015625", Decimal(1) / 10),
        ("9" * 60, Decimal("9" * 60)),
        ("0." + "9" * 58, Decimal("0." + "9" * 58)),
    ],
)
def test_digits_with_or_without_decimals_are_read_exactly(text: str, value: Decimal) -> None:
    assert parse_decimal(text) == Decimal(text)
    if len(text) < 50:
        assert parse_decimal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1\n",
        "\n1",
        " 1",
        "1 ",
        "1\x00",
        "1e3",
        "1E3",
        "-1",
        "-0",
        "+1",
        ".5",
        "1.",
        ".",
        "1.2.3",
        "1,5",
        "1.000,00",
        "1_000",
        "0x10",
        "1/2",
        "NaN",
        "nan",
        "Infinity",
        "inf",
        "-Infinity",
        "\N{ARABIC-INDIC DIGIT THREE}",
        "1\N{ARABIC-INDIC DIGIT THREE}",
        "\N{FULLWIDTH DIGIT ONE}",
        "\N{DEVANAGARI DIGIT ONE}.5",
        "1.\N{ARABIC-INDIC DIGIT THREE}",
        "\N{SUPERSCRIPT TWO}",
        "\N{VULGAR FRACTION ONE HALF}",
        "\N{ROMAN NUMERAL ONE}",
        "\N{MINUS SIGN}1",
        "1\N{ARABIC DECIMAL SEPARATOR}5",
        "1\N{NO-BREAK SPACE}000",
        "\N{ZERO WIDTH NO-BREAK SPACE}1",
        "one",
    ],
)
def test_anything_but_ascii_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a decimal number in digits"):
        parse_decimal(text)


@pytest.mark.parametrize("text", ["9" * 61, "0." + "9" * 59, "0" * 61, "x" * 61, "9" * 100_000])
def test_more_than_sixty_characters_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 60 characters"):
        parse_decimal(text)


@given(st.text(alphabet="0123456789.eE+-_ \n\u0663", max_size=12))
def test_exactly_what_the_contract_describes_is_read(text: str) -> None:
    whole, point, decimals = text.partition(".")
    is_right = all(part != "" and set(part) <= set("0123456789") for part in (whole, decimals or "0"))
    if is_right and (decimals or not point):
        assert parse_decimal(text) == Decimal(text)
    else:
        with pytest.raises(ValueError, match="must be a decimal number"):
            parse_decimal(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("13.57", "13.57"),
        ("250", "250"),
        ("250.00", "250"),
        ("21.40", "21.4"),
        ("100", "100"),
        ("0", "0"),
        ("0.00", "0"),
        ("00.10", "0.1"),
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("1E-18", "0.000000000000000001"),
    ],
)
def test_decimals_print_without_exponent_and_without_trailing_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@given(st.integers(0, 10**30), st.integers(0, 29))
def test_what_is_printed_reads_back_equal(units: int, digits: int) -> None:
    value = from_units(units, digits)
    assert parse_decimal(plain(value)) == value
    assert Fraction(value) == Fraction(units, 10**digits)


@given(st.integers(0, 10**60), st.integers(-60, 60), st.integers(-12, 12))
def test_moving_the_decimal_point_loses_nothing(units: int, exponent: int, places: int) -> None:
    value = Decimal(units).scaleb(exponent, EXACT)
    moved = shifted(value, places)
    assert Fraction(moved) == Fraction(value) * Fraction(10) ** places
    assert shifted(moved, -places) == value


def test_an_operation_that_would_lose_a_digit_is_an_error() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


@pytest.mark.parametrize(
    ("value", "digits", "half_up", "up"),
    [
        ("0", 2, 0, 0),
        ("1.004999999", 2, 100, 101),
        ("1.005", 2, 101, 101),
        ("1.015", 2, 102, 102),
        ("1.025", 2, 103, 103),
        ("1.01", 2, 101, 101),
        ("1.0100000001", 2, 101, 102),
        ("0.4999", 0, 0, 1),
        ("0.5", 0, 1, 1),
        ("1.5", 0, 2, 2),
        ("2.5", 0, 3, 3),
        ("0.0005", 3, 1, 1),
        ("0.0004999", 3, 0, 1),
        ("0.00005", 4, 1, 1),
    ],
)
def test_halves_round_up_and_rounding_up_starts_at_the_smallest_trace(
    value: str, digits: int, half_up: int, up: int
) -> None:
    assert (round_half_up(Fraction(value), digits), round_up(Fraction(value), digits)) == (half_up, up)


@pytest.mark.parametrize(
    ("value", "half_up", "up"), [("1/3", 33, 34), ("2/3", 67, 67), ("1/201", 0, 1), ("1/199", 1, 1)]
)
def test_what_no_decimal_can_hold_is_rounded_exactly(value: str, half_up: int, up: int) -> None:
    assert (round_half_up(Fraction(value), 2), round_up(Fraction(value), 2)) == (half_up, up)


@given(st.fractions(min_value=0, max_value=10**12), st.sampled_from([0, 2, 3, 4, 6]))
def test_roundings_go_to_the_neighbours_they_should(value: Fraction, digits: int) -> None:
    scaled = value * 10**digits
    assert scaled - Fraction(1, 2) < round_half_up(value, digits) <= scaled + Fraction(1, 2)
    assert scaled <= round_up(value, digits) < scaled + 1


# --- Masses ---


@pytest.mark.parametrize(
    ("amount", "unit", "grams", "tonnes"),
    [
        ("1", "g", Fraction(1), "0.000001"),
        ("1", "kg", Fraction(1000), "0.001"),
        ("1", "t", Fraction(10**6), "1"),
        ("12.07", "kg", Fraction(12070), "0.01207"),
        ("0.000001", "g", Fraction(1, 10**6), "0.000000000001"),
        ("1000000000", "t", Fraction(10**15), "1000000000"),
        ("1040000", "kg", Fraction(1040 * 10**6), "1040"),
        ("0", "t", Fraction(0), "0"),
    ],
)
def test_a_mass_is_known_exactly_in_grams_and_in_tonnes(
    amount: str, unit: str, grams: Fraction, tonnes: str
) -> None:
    mass = Mass(parse_decimal(amount), MassUnit(unit))
    assert mass.grams == grams
    assert plain(mass.tonnes) == tonnes


@given(st.integers(0, 10**59), st.integers(0, 58), st.sampled_from(MassUnit))
def test_no_mass_that_can_be_asked_for_loses_a_digit(units: int, digits: int, unit: MassUnit) -> None:
    mass = Mass(from_units(units, digits), unit)
    assert Fraction(mass.tonnes) * GRAMS_PER_TONNE == mass.grams == Fraction(units, 10**digits) * unit.grams


@pytest.mark.parametrize("unit", ["mg", "G", "KG", "T", "tonne", "lb", "", " g", "g\n"])
def test_units_other_than_gram_kilogram_and_tonne_are_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="is not a valid MassUnit"):
        MassUnit(unit)


def test_the_units_are_gram_kilogram_and_tonne() -> None:
    assert {unit.value: unit.grams for unit in MassUnit} == {"g": 1, "kg": 1000, "t": 1_000_000}


@pytest.mark.parametrize(
    ("grams", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (10, "0.00001"),
        (603, "0.000603"),
        (12_069, "0.012069"),
        (999_999, "0.999999"),
        (1_000_000, "1"),
        (1_000_001, "1.000001"),
        (1_500_000, "1.5"),
        (10_000_000, "10"),
        (1_040_000_000, "1040"),
        (QUANTITY_GRAMS_MAX, "1000000000"),
    ],
)
def test_quantities_print_as_tonnes_without_trailing_zeros(grams: int, text: str) -> None:
    assert format_tonnes(grams) == text


@given(st.integers(0, QUANTITY_GRAMS_MAX))
def test_a_printed_quantity_says_every_gram(grams: int) -> None:
    text = format_tonnes(grams)
    assert Fraction(parse_decimal(text)) * GRAMS_PER_TONNE == grams
    assert text == plain(parse_decimal(text))


@pytest.mark.parametrize(
    ("tonnes", "amount", "unit"),
    [
        ("0", "0", "g"),
        ("0.0000004", "0.4", "g"),
        ("0.000001", "1", "g"),
        ("0.000999999", "999.999", "g"),
        ("0.001", "1", "kg"),
        ("0.01207", "12.07", "kg"),
        ("0.999999", "999.999", "kg"),
        ("1", "1", "t"),
        ("1.50", "1.5", "t"),
        ("1040", "1040", "t"),
    ],
)
def test_a_mass_is_shown_in_the_unit_that_reads_best(tonnes: str, amount: str, unit: str) -> None:
    shown = readable_mass(Decimal(tonnes))
    assert (str(shown.amount), shown.unit.value) == (amount, unit)
    assert shown.tonnes == Decimal(tonnes)


# --- Money ---


@pytest.mark.parametrize(
    ("code", "minor", "text"),
    [
        ("USD", 31, "0.31"),
        ("USD", 0, "0.00"),
        ("USD", 5, "0.05"),
        ("USD", 100, "1.00"),
        ("USD", 1050, "10.50"),
        ("USD", 123_456_789, "1234567.89"),
        ("ISK", 31, "31"),
        ("ISK", 0, "0"),
        ("ISK", 1000, "1000"),
        ("JPY", 7, "7"),
        ("KWD", 310, "0.310"),
        ("KWD", 1, "0.001"),
        ("KWD", 1000, "1.000"),
        ("CLF", 1, "0.0001"),
        ("CLF", 31_000, "3.1000"),
    ],
)
def test_money_prints_with_exactly_the_currencys_digits(code: str, minor: int, text: str) -> None:
    assert find_currency(code).format(minor) == text


@pytest.mark.parametrize(
    ("code", "value", "minor"),
    [
        ("USD", "0.31", 31),
        ("USD", "0.319999", 31),
        ("USD", "0.0099", 0),
        ("USD", "0.01", 1),
        ("USD", "1", 100),
        ("ISK", "31.99", 31),
        ("ISK", "0.99", 0),
        ("KWD", "0.3109", 310),
        ("CLF", "0.00019", 1),
    ],
)
def test_what_is_less_than_a_minor_unit_is_cut_off(code: str, value: str, minor: int) -> None:
    assert find_currency(code).minor_from(Decimal(value)) == minor


@given(st.sampled_from(CODES), st.integers(0, 10**17))
def test_printed_money_reads_back_equal_in_every_currency(code: str, minor: int) -> None:
    currency = find_currency(code)
    text = currency.format(minor)
    assert currency.minor_from(parse_decimal(text)) == minor
    assert len(text.partition(".")[2]) == currency.minor_digits


@pytest.mark.parametrize("code", CODES)
def test_the_largest_value_fits_64_bits_of_minor_units_in_every_currency(code: str) -> None:
    assert find_currency(code).minor_from(VALUE_MAX) < 2**63


@pytest.mark.parametrize(
    ("code", "minor_digits"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("GBP", 2),
        ("ISK", 0),
        ("JPY", 0),
        ("KRW", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
    ],
)
def test_currencies_have_the_minor_digits_of_iso_4217(code: str, minor_digits: int) -> None:
    assert find_currency(code).minor_digits == minor_digits


@pytest.mark.parametrize("code", [*CODES_WITHOUT_MINOR_UNIT, "", "usd", "US", "USDT", "ZZZ", "USD\n"])
def test_what_is_no_currency_to_pay_in_is_not_found(code: str) -> None:
    with pytest.raises(KeyError):
        find_currency(code)


@pytest.mark.parametrize(
    ("code", "minor", "printed"),
    [
        ("USD", -5, "-0.05"),
        ("USD", -31, "-0.31"),
        ("USD", -12345, "-123.45"),
        ("ISK", -7, "-7"),
        ("KWD", -1, "-0.001"),
    ],
)
def test_what_is_owed_the_other_way_round_is_printed_with_its_sign(
    code: str, minor: int, printed: str
) -> None:
    assert find_currency(code).format(minor) == printed


def test_a_mass_below_nothing_is_printed_with_its_sign() -> None:
    assert [format_tonnes(grams) for grams in (-1, -1_500_000)] == ["-0.000001", "-1.5"]
