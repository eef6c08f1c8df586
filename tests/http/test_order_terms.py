"""What an order may ask for beyond a mass: its own beneficiary, a price, vintages, countries and projects."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from tests.paying import broken_rules, open_payer

from tonne.application.identifiers import utc_now
from tonne.domain.accounts import Billing, Mode

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
NAMED = {
    "name": "Beispiel Fracht GmbH",
    "email": "klima@example.com",
    "country": "DEU",
    "registration_number": "HRB 0000",
    "hidden_until": "2199-01-31",
}


@pytest.fixture(scope="module", autouse=True)
def books(service):
    yield
    assert broken_rules(service.database_url) == {}


def complete(api, body):
    order = api.post("/orders/by-mass", json=body).raise_for_status().json()
    return api.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"}).raise_for_status().json()


@pytest.mark.parametrize("way", ["mass", "value", "estimate"])
def test_an_order_tells_what_it_asked_for_however_it_is_read(api, way):
    estimate = {"consumption": {"amount": "100", "unit": "kWh"}, "country_code": "DEU"}
    asked: dict[str, object] = {
        "beneficiary": NAMED,
        "max_unit_price": "1000.50",
        "min_vintage_year": 1995,
        "excluded_countries": ["USA", "FRA", "USA"],
    }
    bodies: dict[str, dict[str, object]] = {
        "mass": dict(KILOGRAM),
        "value": {"value": "5.00"},
        "estimate": {"estimate_id": api.post("/estimates/electricity", json=estimate).json()["id"]},
    }
    order = api.post(f"/orders/by-{way}", json=bodies[way] | asked).raise_for_status().json()
    assert order["beneficiary"] == NAMED
    assert order["max_unit_price"] == "1000.5"
    assert order["min_vintage_year"] == 1995
    assert order["excluded_countries"] == ["FRA", "USA"]
    assert api.get(f"/orders/{order['id']}").json() == order
    assert api.get("/orders?limit=1").json()["data"] == [order]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"beneficiary": {"name": ""}}, "/beneficiary/name"),
        ({"beneficiary": {"name": "  "}}, "/beneficiary/name"),
        ({"beneficiary": {"name": "x" * 201}}, "/beneficiary/name"),
        ({"beneficiary": {"name": "a\u202eb"}}, "/beneficiary/name"),
        ({"beneficiary": {}}, "/beneficiary/name"),
        ({"beneficiary": {"name": "A", "mail": "x"}}, "/beneficiary/mail"),
        ({"beneficiary": {"name": "A", "email": "nobody"}}, "/beneficiary/email"),
        ({"beneficiary": {"name": "A", "country": "DE"}}, "/beneficiary/country"),
        ({"beneficiary": {"name": "A", "country": "XKX"}}, "/beneficiary/country"),
        ({"beneficiary": {"name": "A", "registration_number": ""}}, "/beneficiary/registration_number"),
        ({"beneficiary": {"name": "A", "registration_number": "\n"}}, "/beneficiary/registration_number"),
        ({"beneficiary": {"name": "A", "hidden_until": "2026-02-30"}}, "/beneficiary/hidden_until"),
        ({"beneficiary": {"name": "A", "hidden_until": "20260228"}}, "/beneficiary/hidden_until"),
        ({"max_unit_price": "-1"}, "/max_unit_price"),
        ({"max_unit_price": 12}, "/max_unit_price"),
        ({"min_vintage_year": 1989}, "/min_vintage_year"),
        ({"min_vintage_year": 2101}, "/min_vintage_year"),
        ({"min_vintage_year": "2020"}, "/min_vintage_year"),
        ({"excluded_countries": ["USA", "ZZZ"]}, "/excluded_countries/1"),
        ({"excluded_projects": ["x"]}, "/excluded_projects/0"),
        ({"excluded_projects": ["0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"]}, "/excluded_projects"),
        ({"min_vintage": 2020}, "/min_vintage"),
    ],
)
def test_what_can_not_be_is_refused_and_named(api, refusal, orders_stored, asked, pointer):
    before = orders_stored()
    answer = api.post("/orders/by-mass", json=KILOGRAM | asked)
    assert refusal(answer) == (400, "validation_error")
    assert answer.json()["violations"][0]["pointer"] == pointer
    assert orders_stored() == before


def test_a_price_is_accepted_up_to_the_maximum_to_the_cent(api, refusal):
    bundle = max(api.get("/bundles").json()["data"], key=lambda b: float(b["gross_unit_price"]))
    wanted = KILOGRAM | {"bundle_selection": [{"bundle_id": bundle["id"]}]}
    price = bundle["gross_unit_price"]
    below = f"{float(price) - 0.01:.2f}"
    for path in ("/orders/by-mass", "/orders/by-mass/quote"):
        assert api.post(path, json=wanted | {"max_unit_price": price}).status_code == 200
        assert refusal(api.post(path, json=wanted | {"max_unit_price": below})) == (
            409,
            "unit_price_above_maximum",
        )


def test_excluded_countries_and_projects_are_not_retired(api):
    bundle = next(
        b for b in api.get("/bundles").json()["data"] if len({p["country_code"] for p in b["projects"]}) > 1
    )
    countries = {project["country_code"] for project in bundle["projects"]}
    kept = min(countries)
    masses = [{"bundle_id": bundle["id"], "mass": {"amount": "2", "unit": "t"}}]
    order = complete(api, {"bundle_masses": masses, "excluded_countries": sorted(countries - {kept})})
    retired = api.get(f"/orders/{order['id']}/retirements").json()
    assert {retirement["country_code"] for retirement in retired} == {kept}
    one = bundle["projects"][0]["id"]
    order = complete(api, {"bundle_masses": masses, "excluded_projects": [one]})
    retired = api.get(f"/orders/{order['id']}/retirements").json()
    assert one not in {retirement["project_id"] for retirement in retired}


def test_credits_are_of_the_vintage_asked_for_or_younger(api):
    order = complete(api, KILOGRAM | {"min_vintage_year": 2030})
    retired = api.get(f"/orders/{order['id']}/retirements").json()
    assert retired
    assert all(retirement["vintage_year"] >= 2030 for retirement in retired)


def test_fractions_are_pooled_with_those_of_the_same_beneficiary_only(service, run_sql):
    payer = open_payer(service, billing=Billing.AUTOMATIC, mode=Mode.TEST)
    with payer.client() as client:
        bundle = client.get("/bundles").json()["data"][0]["id"]
        masses = [{"bundle_id": bundle, "mass": {"amount": "600", "unit": "kg"}}]

        def order(**asked):
            return (
                client.post("/orders/by-mass", json={"bundle_masses": masses} | asked)
                .raise_for_status()
                .json()
            )

        def status(made):
            return client.get(f"/orders/{made['id']}").json()["status"]

        own = order()
        first = order(beneficiary={"name": "Example Freight"})
        abroad = order(beneficiary={"name": "Example Freight", "country": "FRA"})
        numbered = order(beneficiary={"name": "Example Freight", "registration_number": "1"})
        strict = order(beneficiary={"name": "Example Freight"}, min_vintage_year=2000)
        second = order(beneficiary={"name": "Example Freight", "email": "someone@example.com"})
        until_retiring(client, first)
        assert status(second) in ("retiring", "complete")
        for waiting in (own, abroad, numbered, strict):
            assert status(waiting) == "paid"
    assert len(run_sql("SELECT FROM pools WHERE account_id = $1", payer.account.account_id)) == 5


def until_retiring(client, order):
    for _ in range(3000):
        if client.get(f"/orders/{order['id']}").json()["status"] in ("retiring", "complete"):
            return
    pytest.fail("it was never allocated")


def test_the_certificate_is_in_the_name_of_the_orders_beneficiary(api):
    order = complete(api, KILOGRAM | {"beneficiary": {"name": "Beispiel Fracht GmbH"}})
    facts = api.get(f"/orders/{order['id']}/certificate", headers={"Accept": "application/json"}).json()
    assert facts["beneficiary"] == "Beispiel Fracht GmbH"
    retired = api.get(f"/orders/{order['id']}/retirements").json()
    assert {retirement["beneficiary"] for retirement in retired} == {"Beispiel Fracht GmbH"}


@pytest.mark.parametrize(("days", "hidden"), [(1, True), (0, False)])
def test_the_public_page_hides_a_name_until_its_day_and_the_certificate_does_not(api, days, hidden):
    until = (utc_now() + timedelta(days=days)).date().isoformat()
    named = {"name": "Geheime Fracht GmbH", "hidden_until": until, "email": "secret@example.com"}
    order = complete(api, KILOGRAM | {"beneficiary": named})
    for accept in ("text/html", "application/json"):
        page = httpx.get(order["public_certificate_url"], headers={"Accept": accept}, trust_env=False)
        assert page.status_code == 200
        assert ("Geheime Fracht GmbH" not in page.text) is hidden
        assert "secret@example.com" not in page.text
    facts = api.get(f"/orders/{order['id']}/certificate", headers={"Accept": "application/json"}).json()
    assert facts["beneficiary"] == "Geheime Fracht GmbH"
