"""Emission factors: listed, searched, found by id; and editions that come and go while estimates are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from tests.estimating import BY_NAME, Json, Refusal, consuming, doing, grams, made
from tests.paying import broken_rules, on_pool
from tests.support import Service

from tonne.application.factor_files import FactorFormat, Stated, read_factors
from tonne.application.identifiers import utc_now
from tonne.application.import_factors import import_factors, restore_edition, withdraw_edition
from tonne.domain.audit import SERVICE

PROPERTIES = {
    "id", "name", "source", "source_version", "publication_year", "numerator_unit", "denominator_unit", "value",
    "region", "price_year", "attribution", "licence", "url", "created_at",
}  # fmt: skip
PATH = "/emission-factors"
GERMANY = "owid-2026/DEU/2025"

Until = Callable[[Callable[[], Any]], Any]


def listed(client: httpx.Client, **parameters: str) -> list[Json]:
    """Walk the list to its end."""
    found: list[Json] = []
    parameters = {"limit": "100"} | parameters
    while True:
        answer = client.get(PATH, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"data", "has_more", "next_cursor"}
        assert (page["next_cursor"] is None) is (page["has_more"] is False)
        found += page["data"]
        if not page["has_more"]:
            return found
        parameters["after"] = page["next_cursor"]


def ids(found: list[Json]) -> list[str]:
    return [factor["id"] for factor in found]


# The list.


def test_every_factor_has_every_property_and_who_says_it(api: httpx.Client) -> None:
    found = listed(api)
    assert len(found) > 500
    assert ids(found) == sorted(set(ids(found)))
    for factor in found:
        assert set(factor) == PROPERTIES
        assert factor["id"].startswith(f"{factor['source_version']}/")
        assert factor["source_version"] == f"{factor['source']}-{factor['publication_year']}"
        assert Decimal(factor["value"]) >= 0
        assert factor["attribution"]
        assert factor["url"].startswith("https://")
        assert factor["created_at"] is None
        assert (factor["price_year"] is None) is (factor["denominator_unit"] != "USD")


@pytest.mark.parametrize("parameters", [{"source": "epa"}, {"name": "car"}, {"unit": "kWh", "limit": "1"}])
def test_a_walk_sees_each_factor_once_in_the_same_order(
    api: httpx.Client, parameters: dict[str, str]
) -> None:
    everything = ids(listed(api, **parameters))
    assert len(everything) > 3
    for limit in ("7", "50", str(min(100, len(everything)))):
        assert ids(listed(api, **parameters | {"limit": limit})) == everything
    assert len(set(everything)) == len(everything)


def test_ten_are_listed_unless_said_otherwise(api: httpx.Client) -> None:
    assert len(api.get(PATH).json()["data"]) == 10


@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({"source": "epa"}, lambda f: f["source"] == "epa"),
        ({"source": "EPA,owid"}, lambda f: f["source"] in {"epa", "owid"}),
        ({"region": "DEU"}, lambda f: f["region"] == "DEU"),
        ({"region": "deu,France"}, lambda f: f["region"] in {"DEU", "FRA"}),
        ({"publication_year": "2024"}, lambda f: f["publication_year"] == 2024),
        ({"unit": "t*km"}, lambda f: f["denominator_unit"] == "t*km"),
        ({"unit": "distance"}, lambda f: f["denominator_unit"] in {"km", "mi"}),
        ({"unit": "currency"}, lambda f: f["denominator_unit"] == "USD"),
        ({"unit": "energy", "region": "FRA"}, lambda f: f["id"].startswith("owid-2026/FRA/")),
        ({"name": "ferry", "source": "desnz"}, lambda f: "ferry" in f["name"].lower()),
        ({"name": "germany"}, lambda f: f["region"] == "DEU"),
    ],
)
def test_what_is_listed_matches_all_that_is_asked(
    api: httpx.Client, parameters: dict[str, str], holds: Callable[[Json], bool]
) -> None:
    found = listed(api, **parameters)
    assert found
    assert all(map(holds, found))
    if not {"name", "publication_year"} & set(parameters):
        assert ids(found) == [factor["id"] for factor in listed(api) if holds(factor)]


@pytest.mark.parametrize(
    "parameters",
    [{"name": "zzzzqqqq"}, {"source": "nobody"}, {"region": "Atlantis"}, {"publication_year": "1999"},
     {"unit": "furlong"}, {"unit": ""}, {"source": "epa", "region": "DEU"}],
)  # fmt: skip
def test_what_nothing_matches_is_an_empty_list(api: httpx.Client, parameters: dict[str, str]) -> None:
    answer = api.get(PATH, params=parameters)
    assert answer.json() == {"data": [], "has_more": False, "next_cursor": None}


def test_the_best_match_comes_first(api: httpx.Client) -> None:
    found = listed(api, name="rail national")
    assert "rail" in found[0]["name"].lower()
    assert "national" in found[0]["name"].lower()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "pagination_limit_invalid"),
        ("limit=101", "pagination_limit_invalid"),
        ("after=x", "id_invalid"),
        ("after=", "id_invalid"),
        ("after=" + "x" * 5000, "id_invalid"),
        ("name=car&after=" + quote(GERMANY), "id_invalid"),
        ("publication_year=24", "validation_error"),
        ("publication_year=2024.5", "validation_error"),
        ("publication_year=%D9%A2%D9%A0%D9%A2%D9%A4", "validation_error"),
        ("source=" + ",".join(["a"] * 21), "validation_error"),
        ("name=a&name=b", "validation_error"),
        ("name=%00", "validation_error"),
        ("names=a", "validation_error"),
    ],
)
def test_a_query_that_can_not_be_one_is_refused(
    api: httpx.Client, refusal: Refusal, query: str, code: str
) -> None:
    assert refusal(api.get(f"{PATH}?{query}")) == (400, code)


def test_regions_are_those_of_the_factors(api: httpx.Client, refusal: Refusal) -> None:
    regions = api.get(f"{PATH}/regions").json()
    assert regions == {"regions": sorted({factor["region"] for factor in listed(api)})}
    assert {"DEU", "GBR", "USA", "WORLD"} <= set(regions["regions"])
    assert refusal(api.get(f"{PATH}/regions?limit=1")) == (400, "validation_error")


# By id.


def test_a_factor_is_found_by_its_id_with_slashes_in_it_or_escaped(api: httpx.Client) -> None:
    for factor in listed(api, source="owid", region="DEU,FRA") + listed(api, source="epa")[:20]:
        for path in (quote(factor["id"]), quote(factor["id"], safe="")):
            answer = api.get(f"{PATH}/by-id/{path}")
            assert (answer.status_code, answer.json()) == (200, factor)


@pytest.mark.parametrize(
    "factor_id",
    ["x", "owid-2026", "owid-2026/DEU", GERMANY.upper(), GERMANY + "%00", "%ff",
     "x" * 5000, "..%2F..%2Fx", "x/" * 1000],
)  # fmt: skip
def test_an_unknown_factor_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, factor_id: str
) -> None:
    assert refusal(send("GET", f"/v1{PATH}/by-id/{factor_id}")) == (404, "not_found")


def test_an_unknown_factor_to_estimate_with_is_met_with_near_matches(
    api: httpx.Client, refusal: Refusal
) -> None:
    answer = api.post("/estimates/emission-factor", json=doing(factor="owid-2026/DEU/2035"))
    assert refusal(answer) == (400, "emission_factor_id_invalid")
    assert GERMANY in answer.json()["error"]["message"]
    mismatch = api.post("/estimates/emission-factor", json=doing("1", "kg", GERMANY))
    assert refusal(mismatch) == (400, "emission_factor_unit_mismatch")
    assert "MWh" in mismatch.json()["error"]["message"]


# Editions.


@pytest.fixture
def edition(service: Service, api: httpx.Client, until: Until) -> Iterator[Callable[[], str]]:
    """Loads a newer edition of grid intensities while the service runs; it is withdrawn in the end."""
    loaded: list[str] = []

    def load() -> str:
        rows = "entity,iso3,year,g_co2e_per_kwh\nGermany,DEU,2025,100.5\nGermany,DEU,2026,50.25\n"
        # Something of its own, so that it is another edition each time.
        rows += f"Region {uuid4()},,2026,1\n"
        file = read_factors(rows, FactorFormat.OWID, Stated(year=2027))
        imported = on_pool(
            service.database_url, lambda pool: import_factors(pool, file, at=utc_now(), actor=SERVICE)
        )
        loaded.append(imported.edition.edition_id)
        until(lambda: api.get(f"{PATH}/by-id/{loaded[-1]}/DEU/2026").status_code == 200)
        return loaded[-1]

    yield load
    for edition_id in loaded:
        withdraw(service, edition_id)
        until(lambda: used(api) == GERMANY)


def withdraw(service: Service, edition_id: str) -> None:
    on_pool(
        service.database_url, lambda pool: withdraw_edition(pool, edition_id, at=utc_now(), actor=SERVICE)
    )


def used(client: httpx.Client) -> str:
    """The factor that electricity in Germany is estimated with now."""
    estimate = client.post("/estimates/electricity", json=consuming("1", country_code="DEU")).json()
    found: str = estimate["emission_factor"]["id"]
    return found


def test_new_estimates_use_a_new_edition_and_old_ones_keep_what_they_were_made_with(
    service: Service, api: httpx.Client, edition: Callable[[], str], until: Until
) -> None:
    electricity = BY_NAME["electricity"]
    old = made(api, electricity)
    assert old["emission_factor"]["id"] == GERMANY
    old_factor = api.get(f"{PATH}/by-id/{GERMANY}").json()
    ordered = made(api, electricity)
    order = api.post("/orders/by-estimate", json={"estimate_id": ordered["id"]}).json()
    newest = edition()
    new = made(api, electricity)
    (step,) = new["calculation"]
    assert (step["factor_id"], step["factor_value"]) == (f"{newest}/DEU/2026", "0.05025")
    assert new["emission_factor"]["created_at"] is not None
    assert grams(new) == Decimal("0.05025") * 1500 * 1000
    for estimate in (old, ordered):
        assert api.get(f"/estimates/{estimate['id']}").json() == estimate
    late = api.post("/orders/by-estimate", json={"estimate_id": old["id"]}).json()
    assert late["requested_quantity"] == order["requested_quantity"]
    for factor, value in (
        (GERMANY, old_factor["value"]),
        (f"{newest}/DEU/2025", "0.1005"),
        (f"{newest}/DEU/2026", "0.05025"),
    ):
        assert api.get(f"{PATH}/by-id/{factor}").json()["value"] == value
    # Listed is the newest of each activity; older ones by their year of publication.
    listed_now = ids(listed(api, source="owid", region="DEU"))
    assert f"{newest}/DEU/2025" in listed_now
    assert GERMANY not in listed_now
    assert GERMANY in ids(listed(api, source="owid", region="DEU", publication_year="2026"))
    # A year may be asked for, and an old factor still be chosen.
    past = api.post("/estimates/electricity", json=consuming("1", country_code="DEU", year=2025)).json()
    assert past["emission_factor"]["id"] == f"{newest}/DEU/2025"
    chosen = api.post("/estimates/emission-factor", json=doing("1500")).json()
    assert chosen["mass"] == old["mass"]
    withdraw(service, newest)
    until(lambda: used(api) == GERMANY)
    assert api.get(f"/estimates/{new['id']}").json() == new
    assert api.get(f"{PATH}/by-id/{newest}/DEU/2026").json() == new["emission_factor"]
    assert newest not in str(listed(api, source="owid"))
    assert listed(api, source="owid", publication_year="2027") == []
    assert made(api, electricity)["mass"] == old["mass"]
    assert broken_rules(service.database_url) == {}


def test_an_edition_that_is_restored_is_used_again(
    service: Service, api: httpx.Client, edition: Callable[[], str], until: Until
) -> None:
    newest = edition()
    withdraw(service, newest)
    until(lambda: used(api) == GERMANY)
    on_pool(service.database_url, lambda pool: restore_edition(pool, newest, at=utc_now(), actor=SERVICE))
    until(lambda: used(api) == f"{newest}/DEU/2026")


def test_an_estimate_that_is_replaced_is_made_with_the_new_edition(
    api: httpx.Client, edition: Callable[[], str]
) -> None:
    electricity = BY_NAME["electricity"]
    old = made(api, electricity)
    newest = edition()
    new = api.put(f"/estimates/electricity/{old['id']}", json=electricity.body).json()
    assert new["emission_factor"]["id"] == f"{newest}/DEU/2026"
    assert grams(new) < grams(old)


def test_a_repeat_with_the_header_is_the_first_answer_though_its_factor_is_withdrawn(
    service: Service, api: httpx.Client, edition: Callable[[], str], refusal: Refusal, until: Until
) -> None:
    newest = edition()
    body = consuming("1", country_code="DEU", year=2026)
    header = {"Idempotency-Key": str(uuid4())}
    first = api.post("/estimates/electricity", json=body, headers=header)
    assert first.json()["emission_factor"]["id"] == f"{newest}/DEU/2026"
    withdraw(service, newest)
    until(lambda: used(api) == GERMANY)
    assert refusal(api.post("/estimates/electricity", json=body)) == (400, "validation_error")
    again = api.post("/estimates/electricity", json=body, headers=header)
    assert (again.status_code, again.content) == (200, first.content)


def test_a_walk_goes_on_where_a_factor_was_that_is_replaced_meanwhile(
    api: httpx.Client, edition: Callable[[], str]
) -> None:
    before = ids(listed(api, source="owid"))
    place = before.index(GERMANY) + 1
    first = api.get(PATH, params={"source": "owid", "limit": "100", "after": before[place - 10]}).json()
    assert GERMANY in ids(first["data"])
    newest = edition()
    rest = ids(listed(api, source="owid", after=GERMANY))
    assert rest[: len(before) - place] == before[place:]
    assert set(rest[len(before) - place :]) >= {f"{newest}/DEU/2025", f"{newest}/DEU/2026"}
