"""Shares of what was retired add up, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.accounts import Mode
from tonne.domain.disclosure import Disclosure, Planned, RetiredCredits, in_order
from tonne.domain.retirement import RetirementState

CREDITS = RetiredCredits(
    retirement_id=UUID(int=1), organisation_id=UUID(int=1), organisation_name="Shop", account_id=UUID(int=2),
    account_name="Shop EUR", mode=Mode.LIVE, state=RetirementState.CONFIRMED, beneficiary="Somebody",
    beneficiary_registration_number=None, project_id=UUID(int=3), project_name="Example Forest", project_type="Forestry",
    country_name="Peru", country_code="PER", region=None, registry_name="Verra", registry_project_id="VCS0",
    registry_link=None, protocol=None, methodology=None, verifying_body=None, additional_standards_met=(),
    bundle_name="Forests", offset_type=None, vintage_year=2020, serial_first="EX-1", serial_last="EX-2", tonnes=2,
    ordered_grams=2_000_000, registry_reference="R1", retired_on=date(2026, 1, 5), reason=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def disclosure(*credits_: RetiredCredits) -> Disclosure:
    return Disclosure(
        ("Somebody",), date(2026, 1, 1), date(2026, 1, 31), Mode.LIVE, "Seller", datetime(2026, 2, 1, tzinfo=UTC),
        credits_, Planned(1, 2),
    )  # fmt: skip


@given(
    st.lists(
        st.builds(
            lambda grams, registry, offset_type, country, project: replace(
                CREDITS,
                ordered_grams=grams,
                registry_name=registry,
                offset_type=offset_type,
                country_code=country,
                project_id=UUID(int=project),
            ),
            st.integers(1, 10**12),
            st.sampled_from(["Verra", "Gold Standard", "Puro.earth"]),
            st.sampled_from([None, "carbon_removal", "emissions_reduction"]),
            st.sampled_from(["PER", "DEU", "FRA"]),
            st.integers(1, 4),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_breakdown_adds_up_to_the_gram_and_to_a_hundred_percent(credits_):
    told = disclosure(*credits_)
    for shares in (told.by_offset_type, told.by_standard, told.by_place, told.by_corresponding_adjustment):
        assert sum(share.grams for share in shares) == told.grams
        assert sum(share.hundredths for share in shares) == 10_000
    assert sum(grams for _, grams in told.projects) == told.grams
    removed = sum(share.grams for share in told.by_offset_type if share.name == "removal")
    assert sum(share.grams for share in told.removals_by_sink) == removed


def test_nothing_retired_has_no_shares():
    told = disclosure()
    assert told.grams == 0
    assert told.by_offset_type == told.by_place == told.by_corresponding_adjustment == []
    assert told.projects == []


@pytest.mark.parametrize(
    ("code", "place"),
    [("DEU", "in"), ("HRV", "in"), ("GBR", "outside"), ("NOR", "outside"), ("CHE", "outside")],
)
def test_places_are_in_the_union_or_outside(code, place):
    [share] = disclosure(replace(CREDITS, country_code=code)).by_place
    assert share.name == f"{place} the European Union"


@pytest.mark.parametrize(
    ("protocol", "methodology", "stated"),
    [("P", "M", "P"), (None, "M", "M"), (None, None, "not stated")],
)
def test_the_protocol_is_the_projects_or_its_methodology_or_not_stated(protocol, methodology, stated):
    assert replace(CREDITS, protocol=protocol, methodology=methodology).protocol_stated == stated


def test_a_project_of_two_types_is_told_twice():
    told = disclosure(CREDITS, replace(CREDITS, offset_type="carbon_removal"))
    assert {each.offset_type_stated for each, _ in told.projects} == {"not stated", "removal"}


def test_retirements_are_listed_by_day():
    early = replace(CREDITS, retired_on=date(2026, 1, 2), serial_first="EX-9")
    assert in_order([CREDITS, early]) == (early, CREDITS)
