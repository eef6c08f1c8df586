"""The operator changes the catalogue over HTTP; buyers see it, and orders are decided with it."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from PIL import Image
from tests.paying import broken_rules, open_payer
from tests.support import on_connection, serving

from tonne.application.identifiers import utc_now
from tonne.domain.accounts import Mode, Scope
from tonne.domain.times import format_time
from tonne.settings import Settings
from tonne.storage.audit import list_entries
from tonne.storage.catalogue import count_change

PROJECT = {
    "name": "Example Forest of Ötztal",
    "project_type": "Improved forest management",
    "registry_name": "Verra",
    "registry_project_id": "VCS00001",
    "country_code": "AUT",
    "latitude": "46.9500",
}


@pytest.fixture
def operator(service):
    payer = open_payer(service, mode=Mode.LIVE, scopes=frozenset({Scope.OPERATOR}))
    with payer.client() as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def books(service):
    yield
    assert broken_rules(service.database_url) == {}


def create_project(operator, **changes):
    number = str(utc_now().timestamp()).replace(".", "")
    entry = PROJECT | {"name": f"Example {number}", "registry_project_id": number} | changes
    return operator.post("/operator/projects", json=entry).raise_for_status().json()


def create_bundle(operator, price="10", currency="USD", **changes):
    project = create_project(operator)
    entry = {
        "name": f"Bundle of {project['fields']['slug']}",
        "currency": currency,
        "price": price,
        "projects": [project["fields"]["slug"]],
    }
    return operator.post("/operator/bundles", json=entry | changes).raise_for_status().json()


def quoted(client, bundle_id):
    masses = [{"bundle_id": bundle_id, "mass": {"amount": "1", "unit": "t"}}]
    quote = client.post("/orders/by-mass/quote", json={"bundle_masses": masses}).raise_for_status().json()
    return quote["bundles"][0]["unit_price"]


def test_a_new_project_and_bundle_are_on_sale_at_once(operator, api):
    project = operator.post("/operator/projects", json=PROJECT).raise_for_status().json()
    assert project["fields"]["slug"] == "example-forest-of-otztal"
    assert project["fields"]["country_name"] == "Austria"
    bundle = operator.post(
        "/operator/bundles",
        json={
            "name": "Alpine",
            "currency": "USD",
            "price": "13.57",
            "projects": ["example-forest-of-otztal"],
        },
    ).json()
    shown = api.get(f"/bundles/{bundle['id']}").json()
    assert (shown["name"], shown["unit_price"], shown["projects"][0]["id"]) == (
        "Alpine",
        "13.57",
        project["id"],
    )
    assert api.get("/projects/by-slug/example-forest-of-otztal").json()["bundles"] == [
        {"id": bundle["id"], "name": "Alpine"}
    ]
    assert quoted(api, bundle["id"]) == "13.57"


def test_patch_keeps_what_is_left_out_and_put_does_not(operator):
    project = create_project(operator, methodology="VM0007", un_sdg=[13, 15])
    url = f"/operator/projects/{project['id']}"
    patched = operator.patch(url, json={"region": "Alps", "methodology": None}).json()
    assert patched["fields"] == project["fields"] | {"region": "Alps", "methodology": None}
    assert patched["changed"] is True
    assert operator.patch(url, json={"region": "Alps"}).json()["changed"] is False
    whole = PROJECT | {"registry_project_id": project["fields"]["registry_project_id"]}
    replaced = operator.put(url, json=whole | {"name": "Otherwise", "slug": f"x-{project['id']}"}).json()[
        "fields"
    ]
    assert (replaced["region"], replaced["un_sdg"], replaced["name"]) == (None, [], "Otherwise")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"country_code": "XYZ"}, "/country_code"),
        ({"latitude": "90.1"}, "/latitude"),
        ({"longitude": "-180.01"}, "/longitude"),
        ({"registry_link": "javascript:alert(1)"}, "/registry_link"),
        ({"logo": "https://example.com/a b.png"}, "/logo"),
        ({"slug": "Not A Slug"}, "/slug"),
        ({"slug": "with-a-newline\n"}, "/slug"),
        ({"name": " "}, "/name"),
        ({"name": None}, "/name"),
        ({"un_sdg": [18]}, "/un_sdg/0"),
        ({"crediting_start_date": "2026-02-30"}, "/crediting_start_date"),
        ({"avg_annual_emission_reductions": -1}, "/avg_annual_emission_reductions"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_project_that_can_not_be_is_refused_and_named(operator, refusal, run_sql, changes, pointer):
    before = run_sql("SELECT count(*) FROM projects")
    answer = operator.post("/operator/projects", json=PROJECT | {"registry_project_id": "X"} | changes)
    assert refusal(answer) == (400, "validation_error")
    assert [violation["pointer"] for violation in answer.json()["violations"]] == [pointer]
    assert run_sql("SELECT count(*) FROM projects") == before


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"price": "0"}, "/price"),
        ({"price": "1.5\n"}, "/price"),
        ({"currency": "XXX"}, "/currency"),
        ({"projects": []}, "/projects"),
        ({"projects": ["no-such"]}, "/projects/0"),
        ({"background_colour": "green"}, "/background_colour"),
        ({"fixed_prices": {"EUR": "x"}}, "/fixed_prices/EUR"),
        ({"fixed_prices": {"XYZ": "1"}}, "/fixed_prices/XYZ"),
        ({"on_shortage": "maybe"}, "/on_shortage"),
        (
            {"planned_prices": [{"valid_from": "2020-01-01T00:00:00Z", "currency": "USD", "price": "1"}]},
            "/planned_prices/0/valid_from",
        ),
        (
            {"planned_prices": [{"valid_from": "2199-01-01", "currency": "USD", "price": "1"}]},
            "/planned_prices/0",
        ),
    ],
)
def test_a_bundle_that_can_not_be_is_refused_and_named(operator, refusal, changes, pointer):
    slug = create_project(operator)["fields"]["slug"]
    entry = {"name": "Impossible", "currency": "USD", "price": "1", "projects": [slug]}
    answer = operator.post("/operator/bundles", json=entry | changes)
    assert refusal(answer) == (400, "validation_error")
    assert pointer in [violation["pointer"] for violation in answer.json()["violations"]]


def test_names_and_ids_are_one_object_s(operator, refusal):
    first, second = create_project(operator), create_project(operator)
    url = f"/operator/projects/{second['id']}"
    for name in ("slug", "registry_project_id"):
        answer = operator.patch(url, json={name: first["fields"][name]})
        assert refusal(answer) == (409, "catalogue_conflict")


def test_what_does_not_exist_is_not_found_and_what_is_not_yours_refused(operator, api, refusal):
    unknown = "01900000-0000-7000-8000-000000000000"
    for kind in ("projects", "bundles", "portfolios"):
        assert refusal(operator.patch(f"/operator/{kind}/{unknown}", json={})) == (404, "not_found")
        assert refusal(operator.patch(f"/operator/{kind}/x", json={})) == (404, "not_found")
        assert refusal(api.post(f"/operator/{kind}", json={})) == (403, "insufficient_scope")


def test_a_price_has_a_history_and_orders_keep_what_they_paid(operator, api):
    bundle = create_bundle(operator, "10")
    masses = [{"bundle_id": bundle["id"], "mass": {"amount": "1", "unit": "t"}}]
    order = api.post("/orders/by-mass", json={"bundle_masses": masses}).json()
    assert (
        operator.patch(f"/operator/bundles/{bundle['id']}", json={"price": "12.5"}).json()["changed"] is True
    )
    assert quoted(api, bundle["id"]) == "12.5"
    kept = api.get(f"/orders/{order['id']}").json()
    assert (kept["bundles"][0]["unit_price"], kept["total_cost"]) == ("10", order["total_cost"])
    history = operator.get(f"/operator/bundles/{bundle['id']}/prices").json()
    assert [(price["currency"], price["price"]) for price in history] == [("USD", "10"), ("USD", "12.5")]
    assert history[0]["valid_from"] is None


def test_a_price_to_come_begins_by_itself(operator, api, until):
    bundle = create_bundle(operator, "10")
    soon = (utc_now() + timedelta(seconds=1.5)).isoformat()
    url = f"/operator/bundles/{bundle['id']}/prices"
    planned = operator.post(url, json={"currency": "USD", "price": "20", "valid_from": soon}).json()
    assert (planned["fields"]["price"], len(planned["fields"]["planned_prices"])) == ("10", 1)
    later = (utc_now() + timedelta(days=1)).isoformat()
    operator.post(url, json={"currency": "USD", "price": "30", "valid_from": later}).raise_for_status()
    assert quoted(api, bundle["id"]) in ("10", "20")
    until(lambda: quoted(api, bundle["id"]) == "20")


def test_a_fixed_price_counts_in_its_currency_until_it_ends(operator, service):
    bundle = create_bundle(operator, "10")
    url = f"/operator/bundles/{bundle['id']}/prices"
    with service.client("EUR") as euros:
        converted = quoted(euros, bundle["id"])
        operator.post(url, json={"currency": "EUR", "price": "9.99"}).raise_for_status()
        assert quoted(euros, bundle["id"]) == "9.99"
        operator.patch(f"/operator/bundles/{bundle['id']}", json={"price": "100"}).raise_for_status()
        assert quoted(euros, bundle["id"]) == "9.99"
        operator.patch(f"/operator/bundles/{bundle['id']}", json={"price": "10"}).raise_for_status()
        operator.post(url, json={"currency": "EUR", "price": None}).raise_for_status()
        assert quoted(euros, bundle["id"]) == converted


@pytest.mark.parametrize("way", ["prices", "patch"])
def test_a_price_that_waited_for_another_change_begins_after_it(operator, service, way):
    bundle = create_bundle(operator)
    url = f"/operator/bundles/{bundle['id']}"

    def send():
        if way == "patch":
            return operator.patch(url, json={"price": "11"})
        return operator.post(f"{url}/prices", json={"currency": "USD", "price": "11"})

    async def change_meanwhile(connection):
        transaction = connection.transaction()
        await transaction.start()
        await count_change(connection)
        sent = asyncio.create_task(asyncio.to_thread(send))
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if await connection.fetchval(waiting):
                break
        changed_at = utc_now()
        await transaction.commit()
        return changed_at, await sent

    changed_at, answer = on_connection(service.database_url, change_meanwhile)
    assert answer.raise_for_status().json()["fields"]["price"] == "11"
    history = operator.get(f"{url}/prices").json()
    # To the millisecond, as times are shown.
    assert history[-1]["valid_from"] >= format_time(changed_at)


def test_prices_set_at_once_all_stand(operator):
    bundle = create_bundle(operator, "10")
    url = f"/operator/bundles/{bundle['id']}/prices"
    day = utc_now() + timedelta(days=1)
    with ThreadPoolExecutor(4) as threads:
        for n in range(5):
            later = (day + timedelta(hours=n)).isoformat()
            prices = [
                {"currency": "EUR", "price": f"9.{n}"},
                {"currency": "GBP", "price": f"8.{n}"},
                {"currency": "USD", "price": "20", "valid_from": later},
            ]
            answers = list(threads.map(lambda price: operator.post(url, json=price), prices))
            assert [answer.status_code for answer in answers] == [200, 200, 200]
    fields = operator.post(url, json={"currency": "USD", "price": "11"}).json()["fields"]
    assert fields["fixed_prices"] == {"EUR": "9.4", "GBP": "8.4"}
    assert len(fields["planned_prices"]) == 5


def test_what_is_disabled_is_not_sold_and_shown_for_a_while(operator, api, refusal):
    bundle = create_bundle(operator)
    url = f"/operator/bundles/{bundle['id']}"
    operator.patch(url, json={"disabled": True}).raise_for_status()
    masses = {"bundle_masses": [{"bundle_id": bundle["id"], "mass": {"amount": "1", "unit": "t"}}]}
    assert refusal(api.post("/orders/by-mass", json=masses)) == (400, "bundle_selection_bundle_invalid")
    assert api.get(f"/bundles/{bundle['id']}").json()["disabled"] is True
    listed = api.get("/bundles?limit=100&recently_disabled=true").json()["data"]
    assert bundle["id"] in {shown["id"] for shown in listed}
    assert bundle["id"] not in {shown["id"] for shown in api.get("/bundles?limit=100").json()["data"]}
    operator.patch(url, json={"disabled": False}).raise_for_status()
    assert api.post("/orders/by-mass", json=masses).status_code == 200


def test_another_process_never_sells_at_a_price_of_before(operator, service, data_dir):
    bundle = create_bundle(operator, "10")
    settings = Settings(database_url=service.database_url, data_dir=data_dir, rate_limit_per_second=10**6)
    headers = {"Authorization": f"Bearer {service.key().api_key}"}
    masses = {"bundle_masses": [{"bundle_id": bundle["id"], "mass": {"amount": "1", "unit": "t"}}]}
    with (
        serving(settings) as base_url,
        httpx.Client(base_url=f"{base_url}/v1", headers=headers, trust_env=False, timeout=30) as other,
    ):
        for price in range(11, 31):
            operator.patch(f"/operator/bundles/{bundle['id']}", json={"price": str(price)}).raise_for_status()
            order = other.post("/orders/by-mass", json=masses).raise_for_status().json()
            assert order["bundles"][0]["unit_price"] == str(price)


def test_an_account_buys_its_portfolio_until_it_chooses_otherwise(operator, service, refusal):
    bundle, another = create_bundle(operator), create_bundle(operator)
    entry = {"label": "Nature first", "selection": [{"bundle": bundle["fields"]["identifier"]}]}
    portfolio = operator.post("/operator/portfolios", json=entry).raise_for_status().json()
    buyer = open_payer(service, mode=Mode.TEST)
    with buyer.client() as client:
        assert {
            "id": portfolio["id"],
            "identifier": "nature-first",
            "label": "Nature first",
            "bundle_selection": [{"bundle_id": bundle["id"], "percentage": 100}],
        } in client.get("/bundle-portfolios").json()

        def bought():
            order = client.post("/orders/by-mass", json={"mass": {"amount": "1", "unit": "kg"}}).json()
            return [line["bundle_id"] for line in order["bundles"]]

        default = bought()
        chosen = client.put("/bundle-portfolios", json={"bundle_portfolio_id": portfolio["id"]}).json()
        assert chosen["bundle_portfolio_id"] == portfolio["id"]
        assert bought() == [bundle["id"]]
        # The operator changes it: so do the orders.
        changed = {"selection": [{"bundle": another["fields"]["identifier"], "percentage": 100}]}
        operator.patch(f"/operator/portfolios/{portfolio['id']}", json=changed).raise_for_status()
        assert bought() == [another["id"]]
        client.put("/bundle-selections", json=[{"bundle_id": bundle["id"]}]).raise_for_status()
        assert client.get("/accounts/me").json()["bundle_portfolio_id"] is None
        assert bought() == [bundle["id"]]
        client.put("/bundle-portfolios", json={"bundle_portfolio_id": portfolio["id"]}).raise_for_status()
        client.put("/bundle-portfolios", json={"bundle_portfolio_id": None}).raise_for_status()
        assert bought() == default
        operator.patch(f"/operator/portfolios/{portfolio['id']}", json={"disabled": True}).raise_for_status()
        answer = client.put("/bundle-portfolios", json={"bundle_portfolio_id": portfolio["id"]})
        assert refusal(answer) == (400, "bundle_portfolio_invalid")
        assert portfolio["id"] not in {shown["id"] for shown in client.get("/bundle-portfolios").json()}


def test_rates_are_dated_and_not_replaced_by_chance(operator, refusal):
    rate = {
        "base_currency": "USD",
        "quote_currency": "CHF",
        "rate": "0.9",
        "as_of": "2026-01-31",
        "source": "Example Bank",
    }

    def send(rate, **rest):
        return operator.post("/operator/exchange-rates", json={"rates": [rate], **rest})

    assert send(rate).json() == {"added": 1, "unchanged": 0, "replaced": 0}
    assert send(rate).json() == {"added": 0, "unchanged": 1, "replaced": 0}
    assert refusal(send(rate | {"rate": "0.91"})) == (409, "catalogue_conflict")
    assert send(rate | {"rate": "0.91"}, replace=True).json() == {"added": 0, "unchanged": 0, "replaced": 1}
    for change in ({"rate": "0"}, {"quote_currency": "USD"}, {"quote_currency": "XXX"}, {"as_of": "2026"}):
        assert refusal(send(rate | change)) == (400, "validation_error")


def test_the_inverse_of_a_rate_counts_where_there_is_no_other(operator, service):
    bundle = create_bundle(operator, "100", currency="ISK")
    with service.client("USD") as dollars:
        rates = operator.post(
            "/operator/exchange-rates",
            json={
                "rates": [
                    {
                        "base_currency": "USD",
                        "quote_currency": "ISK",
                        "rate": "125",
                        "as_of": utc_now().date().isoformat(),
                        "source": "Example Bank",
                    }
                ],
                "replace": True,
            },
        )
        rates.raise_for_status()
        assert quoted(dollars, bundle["id"]) == "0.8"


def picture(kind="PNG", size=(20, 10), **rest):
    written = io.BytesIO()
    Image.new("RGB", size, "green").save(written, kind, **rest)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_written_anew_and_served_for_ever(operator, service, kind):
    exif = Image.Exif()
    exif[0x010E] = "taken at a secret place"
    sent = picture(kind, exif=exif)
    assert b"secret" in sent
    told = operator.post("/operator/images", content=sent).raise_for_status().json()
    shown = httpx.get(told["url"], trust_env=False)
    assert shown.status_code == 200
    assert shown.headers["content-type"] == told["media_type"]
    assert "immutable" in shown.headers["cache-control"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert b"secret" not in shown.content
    assert Image.open(io.BytesIO(shown.content)).size == (20, 10)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (picture()[:40], None),
        (picture()[:-20] + b"x" * 20, None),
        (b"x" * 2_000_001, 413),
        (picture("PNG", (6000, 6000)), 400),
    ],
)
def test_what_is_no_picture_is_refused(operator, sent, status):
    answer = operator.post("/operator/images", content=sent)
    assert answer.status_code == status if status else answer.status_code in (200, 400, 415)


def test_an_address_that_no_picture_has_shows_nothing(service):
    for name in ("x", "0" * 64 + ".png", "0" * 64, "../style.css"):
        assert httpx.get(f"{service.base_url}/images/{name}", trust_env=False).status_code == 404


def test_each_change_is_in_the_audit_log_with_who_and_what(operator, service):
    bundle = create_bundle(operator, "10")
    operator.patch(f"/operator/bundles/{bundle['id']}", json={"price": "11"}).raise_for_status()
    found = on_connection(service.database_url, lambda c: list_entries(c, object_id=bundle["id"], limit=10))
    assert [(entry.action, entry.object_type) for entry in found] == [
        ("change", "bundle"),
        ("create", "bundle"),
    ]
    assert (found[0].before, found[0].after) == ('{"price":"10"}', '{"price":"11"}')
    assert found[0].actor.startswith("key ")
    assert found[0].request_id
