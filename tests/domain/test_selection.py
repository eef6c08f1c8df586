"""Bundle selections: contract, section 4."""

from __future__ import annotations

import itertools
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.errors import (
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    ValidationFailed,
)
from tonne.domain.selection import BUNDLES_MAX, refuse_repeated, selection_from


def ids(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(count)]


def chosen(*percentages: str | None) -> list[tuple[UUID, Decimal | None]]:
    given_percentages = [None if each is None else Decimal(each) for each in percentages]
    return list(zip(ids(len(percentages)), given_percentages, strict=True))


def percentages_of(*percentages: str | None) -> list[str]:
    return [str(choice.percentage) for choice in selection_from(chosen(*percentages))]


@pytest.mark.parametrize(
    ("bundle_count", "percentages"),
    [
        (1, ["100"]),
        (2, ["50", "50"]),
        (3, ["34", "33", "33"]),
        (4, ["25"] * 4),
        (6, ["17"] * 4 + ["16"] * 2),
        (7, ["15"] * 2 + ["14"] * 5),
        (8, ["13"] * 4 + ["12"] * 4),
        (9, ["12"] + ["11"] * 8),
        (11, ["10"] + ["9"] * 10),
        (99, ["2"] + ["1"] * 98),
        (100, ["1"] * 100),
    ],
)
def test_without_percentages_a_hundred_is_split_evenly_and_the_first_take_the_rest(
    bundle_count: int, percentages: list[str]
) -> None:
    assert percentages_of(*[None] * bundle_count) == percentages


@given(st.integers(1, BUNDLES_MAX))
def test_any_number_of_bundles_splits_a_hundred_whole_percents(bundle_count: int) -> None:
    split = [choice.percentage for choice in selection_from(chosen(*[None] * bundle_count))]
    assert sum(split) == 100
    assert split == sorted(split, reverse=True)
    assert split[0] - split[-1] in {0, 1}
    assert all(percentage == int(percentage) for percentage in split)


@pytest.mark.parametrize(
    "percentages",
    [
        ("100",),
        ("95", "5"),
        ("5", "95"),
        ("33.33", "33.33", "33.34"),
        ("99.99", "0.01"),
        ("100", "0"),
        ("0", "0", "100"),
        ("50.5", "49.5"),
        ("1E+2",),
    ],
)
def test_percentages_that_add_up_to_a_hundred_are_kept_as_given(percentages: tuple[str, ...]) -> None:
    assert percentages_of(*percentages) == list(percentages)


@pytest.mark.parametrize(
    ("percentages", "sum_said"),
    [
        (("99.99",), "99.99"),
        (("100.01",), "100.01"),
        (("95", "4.99"), "99.99"),
        (("95", "5.01"), "100.01"),
        (("0",), "0"),
        (("0", "0"), "0"),
        (("33.33", "33.33", "33.33"), "99.99"),
        (("100", "100"), "200"),
    ],
)
def test_percentages_that_do_not_add_up_to_exactly_a_hundred_are_refused(
    percentages: tuple[str, ...], sum_said: str
) -> None:
    with pytest.raises(BundleSelectionRatiosInvalid, match=f"add up to {sum_said}\\."):
        percentages_of(*percentages)


@pytest.mark.parametrize(
    "percentages",
    [
        ("33.333", "66.667"),
        ("33.330", "66.670"),
        ("99.999", "0.001"),
        ("0.001",),
        ("1E-3", "99.999"),
        ("0.00000000000000000000000000001", "99.99999999999999999999999999999"),
        ("33.33000000000000000000000000000001", "66.67"),
    ],
)
def test_percentages_with_more_than_two_decimals_are_refused(percentages: tuple[str, ...]) -> None:
    with pytest.raises(BundleSelectionRatiosInvalidFormat, match="at most 2 decimals"):
        percentages_of(*percentages)


@pytest.mark.parametrize(
    "percentages", [("100", None), (None, "100"), ("50", None, "50"), (None, None, "100"), ("0", None)]
)
def test_percentages_for_some_bundles_only_are_refused(percentages: tuple[str | None, ...]) -> None:
    with pytest.raises(
        BundleSelectionRatiosInvalidFormat, match="for every bundle of the selection or for none"
    ):
        percentages_of(*percentages)


@given(st.lists(st.integers(0, 10_000), max_size=19))
def test_a_selection_keeps_its_bundles_and_their_order(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), 10_000]
    parts = [Decimal(upper - lower) / 100 for lower, upper in itertools.pairwise(bounds)]
    selection = selection_from(list(zip(ids(len(parts)), parts, strict=True)))
    assert [choice.bundle_id for choice in selection] == ids(len(parts))
    assert [choice.percentage for choice in selection] == parts


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_only_a_sum_of_exactly_a_hundred_is_accepted(hundredths: list[int]) -> None:
    parts = [Decimal(each) / 100 for each in hundredths]
    selected = list(zip(ids(len(parts)), parts, strict=True))
    if sum(hundredths) == 10_000:
        assert len(selection_from(selected)) == len(parts)
    else:
        with pytest.raises(BundleSelectionRatiosInvalid):
            selection_from(selected)


def test_a_selection_names_at_least_one_bundle() -> None:
    with pytest.raises(ValidationFailed, match="at least one bundle"):
        selection_from([])


def test_a_selection_names_at_most_a_hundred_bundles() -> None:
    assert len(selection_from(chosen(*[None] * 100))) == 100
    with pytest.raises(ValidationFailed, match="at most 100 bundles"):
        selection_from(chosen(*[None] * 101))


@pytest.mark.parametrize(
    ("bundle_ids", "pointer"),
    [
        ([1, 1], "/bundle_masses/1/bundle_id"),
        ([1, 2, 1], "/bundle_masses/2/bundle_id"),
        ([1, 2, 2, 1], "/bundle_masses/2/bundle_id"),
        ([], "/bundle_masses"),
        (list(range(101)), "/bundle_masses"),
        ([7] * 101, "/bundle_masses"),
    ],
)
def test_a_refused_list_of_bundles_says_where(bundle_ids: list[int], pointer: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        refuse_repeated([UUID(int=each) for each in bundle_ids], pointer="/bundle_masses")
    assert [violation.pointer for violation in caught.value.violations] == [pointer]


@pytest.mark.parametrize("percentages", [("50", "50"), (None, None), ("100", None), ("50", "51")])
def test_a_bundle_named_twice_is_refused_whatever_its_percentages(
    percentages: tuple[str | None, ...],
) -> None:
    twice = [(UUID(int=1), percentage) for _, percentage in chosen(*percentages)]
    with pytest.raises(ValidationFailed, match="named twice"):
        selection_from(twice)


@pytest.mark.parametrize("bundle_count", [1, 2, 100])
def test_different_bundles_are_accepted(bundle_count: int) -> None:
    refuse_repeated(ids(bundle_count), pointer="")
