"""Which credits go first, and which gram of a pool they are for."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import (
    Block,
    Gap,
    LotStock,
    RetirementPolicy,
    Take,
    cover_gaps,
    grams_to_fill,
    plan_takes,
    without,
)

OLDEST, CHEAPEST, SPREAD = RetirementPolicy


def lots(text: str) -> list[LotStock]:
    """Lots as `project:vintage:tonnes[@cost]`, ids in order of writing: "b:2021:5t a:2019:3t@4"."""
    found = []
    for number, word in enumerate(text.split(), start=1):
        match = re.fullmatch(r"(\w):(\d{4}):(\d+)t(?:@([\d.]+))?", word)
        assert match is not None
        project, vintage, tonnes, cost = match.groups()
        blocks = (Block(1, int(tonnes)),) if int(tonnes) else ()
        found.append(
            LotStock(
                UUID(int=ord(project)),
                UUID(int=number),
                int(vintage),
                f"{project}{vintage}",
                blocks,
                None if cost is None else Decimal(cost),
            )
        )
    return found


def taken(takes: list[Take]) -> str:
    return " ".join(f"{chr(take.lot.project_id.int)}:{take.tonnes}t" for take in takes)


@pytest.mark.parametrize(
    ("stock", "tonnes", "expected"),
    [
        ("b:2021:5t a:2019:3t", 2, "a:2t"),
        ("b:2021:5t a:2019:3t", 3, "a:3t"),
        ("b:2021:5t a:2019:3t", 4, "a:3t b:1t"),
        ("b:2021:5t a:2019:3t", 9, "a:3t b:5t"),
        ("a:2019:0t b:2021:5t", 1, "b:1t"),
        ("a:2019:1t a:2019:1t", 2, "a:1t a:1t"),
        ("", 3, ""),
    ],
)
def test_the_oldest_vintage_is_taken_first(stock, tonnes, expected):
    assert taken(plan_takes(lots(stock), tonnes=tonnes, policy=OLDEST)) == expected


@pytest.mark.parametrize(
    ("stock", "tonnes", "expected"),
    [
        ("a:2019:3t@9 b:2021:5t@4.5", 6, "b:5t a:1t"),
        ("a:2019:3t b:2021:5t@400", 6, "b:5t a:1t"),
        ("a:2021:3t@4 b:2019:5t@4", 6, "b:5t a:1t"),
        ("a:2021:3t@0 b:2019:5t@4", 1, "a:1t"),
    ],
)
def test_the_cheapest_is_taken_first_and_an_unknown_cost_last(stock, tonnes, expected):
    assert taken(plan_takes(lots(stock), tonnes=tonnes, policy=CHEAPEST)) == expected


@pytest.mark.parametrize(
    ("stock", "tonnes", "expected"),
    [
        ("a:2019:9t b:2020:9t c:2021:9t", 6, "a:2t b:2t c:2t"),
        ("a:2019:9t b:2020:10t c:2021:9t", 7, "b:3t a:2t c:2t"),
        ("a:2019:1t b:2020:10t c:2021:9t", 7, "b:3t c:3t a:1t"),
        ("a:2019:5t b:2020:9t", 1, "b:1t"),
        ("a:2019:5t b:2020:2t", 99, "a:5t b:2t"),
        ("a:2021:2t a:2019:2t b:2020:4t", 4, "a:2t b:2t"),
    ],
)
def test_spreading_takes_from_every_project_alike(stock, tonnes, expected):
    assert taken(plan_takes(lots(stock), tonnes=tonnes, policy=SPREAD)) == expected


stocks = st.lists(
    st.builds(
        LotStock,
        st.integers(1, 4).map(lambda n: UUID(int=n)),
        st.uuids(),
        st.integers(2010, 2025),
        st.just("TEST"),
        st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), max_size=3).map(
            lambda sizes: tuple(
                Block(1000 * number + gap, tonnes, is_returned=number < len(sizes) - 1)
                for number, (tonnes, gap) in enumerate(sizes, start=1)
            )
        ),
        st.none() | st.decimals(0, 100, places=2),
    ),
    max_size=6,
    unique_by=lambda lot: lot.lot_id,
)


@given(stocks, st.integers(1, 200), st.sampled_from(RetirementPolicy))
def test_as_much_as_there_is_is_taken_and_nothing_twice(stock, tonnes, policy):
    takes = plan_takes(stock, tonnes=tonnes, policy=policy)
    in_stock = sum(lot.tonnes for lot in stock)
    assert sum(take.tonnes for take in takes) == min(tonnes, in_stock)
    serials = [
        (take.lot.lot_id, number)
        for take in takes
        for number in range(take.serial_first, take.serial_last + 1)
    ]
    assert len(serials) == len(set(serials))
    left = without(stock, takes)
    assert sum(lot.tonnes for lot in left) == in_stock - sum(take.tonnes for take in takes)
    assert plan_takes(left, tonnes=10**6, policy=policy) == [] or in_stock > tonnes


@given(stocks, st.lists(st.integers(1, 30), min_size=1, max_size=5), st.sampled_from(RetirementPolicy))
def test_gaps_are_covered_from_the_first_on_without_overlap(stock, sizes, policy):
    gaps, first = [], 0
    for tonnes in sizes:
        gaps.append(Gap(first, tonnes, was_covered=tonnes % 2 == 0))
        first += (tonnes + 1) * GRAMS_PER_TONNE
    takes = plan_takes(stock, tonnes=sum(sizes), policy=policy)
    covers = cover_gaps(gaps, takes)
    covered = [
        number
        for cover in covers
        for number in range(
            cover.gram_first // GRAMS_PER_TONNE, cover.gram_first // GRAMS_PER_TONNE + cover.take.tonnes
        )
    ]
    wanted = [
        number
        for gap in gaps
        for number in range(gap.gram_first // GRAMS_PER_TONNE, gap.gram_first // GRAMS_PER_TONNE + gap.tonnes)
    ]
    assert covered == wanted[: len(covered)]
    assert len(covered) == sum(take.tonnes for take in takes)
    assert sum(cover.take.tonnes for cover in covers) == len(covered)


@pytest.mark.parametrize(
    ("waiting", "missing"), [(1, 999_999), (999_999, 1), (0, 0), (1_000_000, 0), (1_400_000, 600_000)]
)
def test_what_is_missing_to_a_whole_tonne(waiting, missing):
    assert grams_to_fill(waiting) == missing
