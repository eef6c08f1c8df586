"""Contract, section 10: bundles at the account's prices, and the projects behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.estimating import KINDS
from tests.support import NOBODY, Service

TONNE = {"mass": {"amount": "1", "unit": "t"}}
BUNDLE = {
    "id", "name", "unit_price", "gross_unit_price", "currency", "background_colour", "primary_image",
    "large_image", "primary_image_hires", "small_thumbnail", "description", "disabled", "available_quantity",
    "offset_type", "approach", "carbon_permanence", "projects",
}  # fmt: skip
SUMMARY = {
    "id", "name", "short_name", "slug", "description", "project_type", "registry_name", "registry_link",
    "latitude", "longitude", "country_name", "country_code", "region", "logo", "primary_image",
    "thumbnail_image", "results", "un_sdg", "disabled", "media", "crediting_start_date", "crediting_end_date",
    "registration_date", "protocol", "methodology", "durability", "additional_standards_met",
    "verifying_body", "risk_of_reversal", "risk_of_predicted_emissions", "avg_annual_emission_reductions",
}  # fmt: skip
SINGLE = SUMMARY | {
    "bundles", "impact_summary", "datasets", "quality_assessment", "links_and_news", "carbon_credits",
    "timeline", "carbon_storage_over_time",
}  # fmt: skip
REGISTRIES = {
    "Verra", "Gold Standard", "American Carbon Registry", "Climate Action Reserve", "Puro.earth", "Isometric",
}  # fmt: skip
NATURE, DURABLE, SUPER = "Nature protection", "Durable carbon removal", "Superpollutant destruction"

Refusal = Callable[[httpx.Response], tuple[int, str]]
RunSql = Callable[..., Any]


def listed(client: httpx.Client, path: str, **parameters: str) -> list[dict[str, Any]]:
    answer = client.get(path, params=parameters | {"limit": "100"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["has_more"] is False
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


@pytest.fixture
def disable(run_sql: RunSql, api: httpx.Client, until: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """Disable a bundle or project some time ago, until the test is over."""

    def change(table: str, row_id: str, ago: str | None) -> None:
        run_sql(
            f"UPDATE {table}s SET disabled_at = now() - $1::text::interval WHERE {table}_id::text = $2",
            ago,
            row_id,
        )
        run_sql("NOTIFY tonne_changed")
        until(lambda: api.get(f"/{table}s/{row_id}").json()["disabled"] is (ago is not None))

    changed: set[tuple[str, str]] = set()

    def disable_one(table: str, row_id: str, ago: str = "0 s") -> None:
        changed.add((table, row_id))
        change(table, row_id, ago)

    yield disable_one
    for table, row_id in changed:
        change(table, row_id, None)


# Bundles.


def test_a_bundle_has_every_property_of_the_contract(api: httpx.Client) -> None:
    found = listed(api, "/bundles")
    assert len(found) == 4
    for bundle in found:
        assert set(bundle) == BUNDLE
        assert all(set(project) == SUMMARY for project in bundle["projects"])
        assert bundle["projects"]
        assert bundle["currency"] == "USD"
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", bundle["unit_price"])
        assert re.fullmatch(r"[0-9]+", bundle["available_quantity"])
        assert bundle["offset_type"] in {"emissions_reduction", "carbon_removal", None}
        assert bundle["approach"] in {"traditional", "innovative", None}
        assert bundle["carbon_permanence"] in {"long_term", "short_term", "no_storage", None}
        assert bundle["disabled"] is False
        assert api.get(f"/bundles/{bundle['id']}").json() == bundle


@pytest.mark.parametrize(
    ("currency", "prices"),
    [
        # 13.57 x 0.8684 and x 124.50; gross prices are these / 0.9. Both rounded half up to the minor unit.
        ("USD", {NATURE: ("13.57", "15.08"), DURABLE: ("250", "277.78")}),
        ("EUR", {NATURE: ("11.78", "13.09"), DURABLE: ("217.1", "241.22")}),
        ("ISK", {NATURE: ("1689", "1877"), DURABLE: ("31125", "34583")}),
    ],
)
def test_prices_are_in_the_accounts_currency(
    service: Service, bundles: dict[str, str], currency: str, prices: dict[str, tuple[str, str]]
) -> None:
    with service.client(currency) as client:
        for name, (unit_price, gross_unit_price) in prices.items():
            bundle = client.get(f"/bundles/{bundles[name]}").json()
            assert bundle["currency"] == currency
            assert (bundle["unit_price"], bundle["gross_unit_price"]) == (unit_price, gross_unit_price)


def test_orders_are_priced_at_the_bundles_prices(service: Service) -> None:
    for currency in ("USD", "EUR", "ISK"):
        with service.client(currency) as client:
            for bundle in listed(client, "/bundles"):
                chosen = {"bundle_selection": [{"bundle_id": bundle["id"]}]}
                (line,) = client.post("/orders/by-mass/quote", json=TONNE | chosen).json()["bundles"]
                for name in ("unit_price", "gross_unit_price", "primary_image"):
                    assert line[name] == bundle[name]
                assert line["bundle_name"] == bundle["name"]


def test_stock_is_that_of_the_lots_of_enabled_projects(
    api: httpx.Client, bundles: dict[str, str], run_sql: RunSql, disable: Callable[..., None]
) -> None:
    stock = """SELECT sum(l.available_tonnes)::text AS tonnes FROM lots l JOIN bundle_projects USING (project_id)
                 JOIN projects p USING (project_id) WHERE bundle_id::text = $1 AND p.disabled_at IS NULL"""
    before = api.get(f"/bundles/{bundles[NATURE]}").json()
    assert before["available_quantity"] == run_sql(stock, bundles[NATURE])[0]["tonnes"]
    disable("project", before["projects"][0]["id"])
    after = api.get(f"/bundles/{bundles[NATURE]}").json()
    assert after["available_quantity"] == run_sql(stock, bundles[NATURE])[0]["tonnes"]
    assert int(after["available_quantity"]) < int(before["available_quantity"])


def test_stock_that_is_not_tracked_is_null_and_never_short(
    api: httpx.Client, bundles: dict[str, str], run_sql: RunSql, until: Callable[..., Any]
) -> None:
    track = "UPDATE bundles SET stock_tracked = $1 WHERE bundle_id::text = $2"
    path = f"/bundles/{bundles[SUPER]}"
    try:
        run_sql(track, False, bundles[SUPER])
        run_sql("NOTIFY tonne_changed")
        until(lambda: api.get(path).json()["available_quantity"] is None)
        huge = {"mass": {"amount": "1000000000", "unit": "t"}}
        chosen = {"bundle_selection": [{"bundle_id": bundles[SUPER]}]}
        (line,) = api.post("/orders/by-mass/quote", json=huge | chosen).json()["bundles"]
        assert line["insufficient_available_quantity"] is None
    finally:
        run_sql(track, True, bundles[SUPER])
        run_sql("NOTIFY tonne_changed")


@pytest.mark.parametrize("path", ["/bundles", "/projects", "/projects/by-slug"])
@pytest.mark.parametrize("name", [NOBODY, "x", "%00", "%ff", "a" * 5000, "%20"])
def test_what_is_not_in_the_catalogue_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, path: str, name: str
) -> None:
    assert refusal(send("GET", f"/v1{path}/{name}")) == (404, "not_found")


# Disabled bundles.


def test_a_disabled_bundle_is_refused_by_orders_quotes_and_selections(
    api: httpx.Client,
    bundles: dict[str, str],
    refusal: Refusal,
    disable: Callable[..., None],
    orders_stored: Callable[[], int],
) -> None:
    disable("bundle", bundles[SUPER])
    before = orders_stored()
    chosen = [{"bundle_id": bundles[SUPER]}]
    masses = [{"bundle_id": bundles[SUPER], "mass": TONNE["mass"]}]
    for method, path, body in (
        ("POST", "/orders/by-mass", TONNE | {"bundle_selection": chosen}),
        ("POST", "/orders/by-mass", {"bundle_masses": masses}),
        ("POST", "/orders/by-value", {"value": "5", "bundle_selection": chosen}),
        ("POST", "/orders/by-mass/quote", TONNE | {"bundle_selection": chosen}),
        ("POST", "/orders/by-value/quote", {"value": "5", "bundle_selection": chosen}),
        *(("POST", f"/estimates/{kind.path}", kind.body | {"bundle_selection": chosen}) for kind in KINDS),
        ("PUT", "/bundle-selections", chosen),
    ):
        answer = api.request(method, path, json=body)
        assert refusal(answer) == (400, "bundle_selection_bundle_invalid")
        assert "disabled" in answer.json()["error"]["message"]
    assert orders_stored() == before


def test_a_disabled_bundle_is_found_by_its_id_and_listed_only_for_30_days_on_demand(
    api: httpx.Client, bundles: dict[str, str], disable: Callable[..., None]
) -> None:
    for name, ago in ((SUPER, "1 hour"), (NATURE, "29 days 23 hours"), (DURABLE, "30 days 1 hour")):
        disable("bundle", bundles[name], ago)
        assert api.get(f"/bundles/{bundles[name]}").json()["disabled"] is True
    on_sale = set(bundles) - {SUPER, NATURE, DURABLE}
    for asked, shown in (
        ({}, on_sale),
        ({"recently_disabled": "false"}, on_sale),
        ({"recently_disabled": "true"}, on_sale | {SUPER, NATURE}),
    ):
        assert {bundle["name"] for bundle in listed(api, "/bundles", **asked)} == shown


def test_an_order_keeps_its_line_of_a_bundle_that_was_disabled_since(
    api: httpx.Client, bundles: dict[str, str], disable: Callable[..., None]
) -> None:
    order = api.post("/orders/by-mass", json=TONNE | {"bundle_selection": [{"bundle_id": bundles[SUPER]}]})
    disable("bundle", bundles[SUPER])
    # The line; what becomes of the order goes on.
    assert api.get(f"/orders/{order.json()['id']}").json()["bundles"] == order.json()["bundles"]


@pytest.mark.parametrize("value", ["1", "0", "yes", "True", "", "null"])
@pytest.mark.parametrize("path", ["/bundles", "/projects"])
def test_recently_disabled_is_true_or_false(
    api: httpx.Client, refusal: Refusal, path: str, value: str
) -> None:
    answer = api.get(path, params={"recently_disabled": value})
    assert refusal(answer) == (400, "validation_error")


# Projects.


def test_a_project_has_every_property_of_the_contract_in_lists_by_id_and_by_slug(api: httpx.Client) -> None:
    found = listed(api, "/projects")
    assert 8 <= len(found) <= 12
    for summary in found:
        assert set(summary) == SUMMARY
        single = api.get(f"/projects/{summary['id']}").json()
        assert set(single) == SINGLE
        assert {name: single[name] for name in SUMMARY} == summary
        assert api.get(f"/projects/by-slug/{summary['slug']}").json() == single


def test_a_projects_facts_are_of_the_right_kind(api: httpx.Client) -> None:
    for project in listed(api, "/projects"):
        assert project["registry_name"] in REGISTRIES
        assert re.fullmatch(r"[A-Z]{3}", project["country_code"])
        assert re.fullmatch(r"[a-z0-9-]+", project["slug"])
        assert project["registry_link"].startswith("https://")
        assert -90 <= project["latitude"] <= 90
        assert -180 <= project["longitude"] <= 180
        assert all(1 <= goal <= 17 for goal in project["un_sdg"])
        assert all(isinstance(result, str) for result in project["results"])
        assert project["disabled"] is False
        for name in ("crediting_start_date", "crediting_end_date", "registration_date"):
            assert project[name] is None or re.fullmatch(r"\d{4}-\d\d-\d\d", project[name])


def test_bundles_and_projects_name_each_other(api: httpx.Client) -> None:
    sold = {
        bundle["id"]: {project["id"] for project in bundle["projects"]} for bundle in listed(api, "/bundles")
    }
    for project in listed(api, "/projects"):
        single = api.get(f"/projects/{project['id']}").json()
        expected = {bundle_id for bundle_id, projects in sold.items() if project["id"] in projects}
        assert {bundle["id"] for bundle in single["bundles"]} == expected


def test_what_there_is_no_data_for_is_null(api: httpx.Client) -> None:
    project = listed(api, "/projects")[0]
    single = api.get(f"/projects/{project['id']}").json()
    for name in SINGLE - SUMMARY - {"bundles"}:
        assert single[name] is None


def test_a_disabled_project_is_found_by_id_and_slug_and_listed_on_demand(
    api: httpx.Client, disable: Callable[..., None]
) -> None:
    project = listed(api, "/projects")[0]
    disable("project", project["id"])
    assert project["id"] not in [found["id"] for found in listed(api, "/projects")]
    assert project["id"] in [found["id"] for found in listed(api, "/projects", recently_disabled="true")]
    for path in (f"/projects/{project['id']}", f"/projects/by-slug/{project['slug']}"):
        assert api.get(path).json()["disabled"] is True
