"""Serial blocks are read as registries write them, and written back the same."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.retirement import format_serial
from tonne.domain.serials import NUMBER_MAX, block_of, format_verra, parse_numbers_last, parse_verra
from tonne.domain.withdrawal import Piece, Stock, withdraw

OLD = "1234-101-150-VCU-005-APX-BR-14-9999-01072014-31122014-1"
NEW = "11421-101-150-VCS-VCU-261-VER-PE-14-9999-01012013-31122013-0"


@pytest.mark.parametrize(("text", "country"), [(OLD, "BR"), (NEW, "PE"), (f"  {OLD} ", "BR")])
def test_both_generations_of_verra_s_serial_numbers_are_read(text, country):
    found = parse_verra(text)
    assert (found.block.space, found.block.first, found.block.last, found.block.tonnes) == (
        "Verra",
        101,
        150,
        50,
    )
    assert (found.project, found.country) == ("9999", country)
    assert format_verra(found.block) == text.strip()
    assert found.vintage_end.year in (2013, 2014)


def test_a_part_of_verra_s_block_is_printed_as_verra_would():
    assert format_serial(parse_verra(OLD).block.prefix, 120) == OLD.replace("101-150", "120-120")
    assert format_serial("DEMO", 7) == "DEMO-7"
    assert parse_verra(OLD).vintage_begin == date(2014, 7, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VCU",
        OLD.replace("101-150", "150-101"),
        OLD.replace("101-150", "0-150"),
        OLD.replace("01072014", "31022014"),
        OLD.replace("31122014", "01011999"),
        OLD.replace("101", "1٠1"),
        OLD + "\n1",
        OLD.replace("150", "9" * 30),
    ],
)
def test_what_is_no_serial_number_of_verra_s_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_verra(text)


@given(st.integers(1, NUMBER_MAX), st.integers(0, 10**6))
def test_what_is_written_is_read_again(first, more):
    last = min(first + more, NUMBER_MAX)
    text = OLD.replace("101-150", f"{first}-{last}")
    block = parse_verra(text).block
    assert (block.first, block.last) == (first, last)
    assert format_verra(block) == text
    for written in (f"ACR-US-1-2015-2-{first} to {last}", f"ACR-US-1-2015-2-{first}-{last}"):
        block = parse_numbers_last(written, registry="American Carbon Registry")
        assert (block.prefix, block.first, block.last) == ("ACR-US-1-2015-2", first, last)


@pytest.mark.parametrize("text", ["5-10", "-1-2", "ACR", "ACR-5", "ACR-10-5", "ACR-0-5"])
def test_a_block_without_a_name_or_with_numbers_that_can_not_be_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_numbers_last(text, registry="R")


@pytest.mark.parametrize(
    ("prefix", "first", "last"), [("", "1", "2"), ("A", "2", "1"), ("A", "x", "2"), ("A\n", "1", "2")]
)
def test_a_block_in_parts_that_can_not_be_is_refused(prefix, first, last):
    with pytest.raises(ValueError, match=r"."):
        block_of(prefix, first, last, registry="R")


@given(st.data())
def test_what_is_withdrawn_is_taken_out_and_nothing_else(data):
    """Against a set of numbers, one by one."""
    following, last = data.draw(st.integers(1, 12)), 12
    below = data.draw(st.lists(st.sampled_from("01-"), min_size=following - 1, max_size=following - 1))
    pieces = tuple(
        Piece(number, 1, is_available=mark == "1")
        for number, mark in enumerate(below, start=1)
        if mark != "-"
    )
    first_out = data.draw(st.integers(1, 12))
    last_out = data.draw(st.integers(first_out, 12))
    done = withdraw(Stock(following, last, pieces), first_out, last_out)
    out = set(range(first_out, last_out + 1))
    available = {p.first for p in pieces if p.is_available} | set(range(following, last + 1))
    aside = {p.first for p in pieces if not p.is_available}
    left = {n for p in done.stock.pieces if p.is_available for n in range(p.first, p.last + 1)}
    left |= set(range(done.stock.next, last + 1))
    left_aside = {n for p in done.stock.pieces if not p.is_available for n in range(p.first, p.last + 1)}
    assert (left, left_aside) == (available - out, aside - out)
    assert (done.available_tonnes, done.set_aside_tonnes) == (len(available & out), len(aside & out))
