"""Contract, section 3: one body for every error, the right code, and a request id on every answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from tests.paying import on_pool, open_payer
from tests.support import NOBODY, Service, on_connection, serving

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.application.manage_keys import KeyWishes, issue_key
from tonne.application.open_accounts import create_key, open_account_pair
from tonne.domain.accounts import Billing, Mode, Scope
from tonne.domain.audit import SERVICE
from tonne.domain.errors import TonneError, declared_errors
from tonne.settings import Settings
from tonne.storage.accounts import set_suspended
from tonne.storage.catalogue import count_change
from tonne.storage.commitments import track_commitments
from tonne.storage.currencies import find_currency
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
CONSUMPTION = {"consumption": {"amount": "100", "unit": "kWh"}}
LEFT, RIGHT = {"bundle_id": str(uuid4())}, {"bundle_id": str(uuid4())}

Refusal = Callable[[httpx.Response], tuple[int, str]]
Meet = Callable[[Service], httpx.Response]


@pytest.fixture(scope="module")
def without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose database went away after the start."""
    with ExitStack() as stack:
        database = ExitStack()
        server = database.enter_context(EmbeddedPostgres(tmp_path_factory.mktemp("gone"), durable=False))
        stack.push(database)
        upgrade_schema(server.url)
        keys = on_connection(server.url, lambda connection: load_demo(connection, at=utc_now()))
        assert keys is not None
        base_url = stack.enter_context(serving(Settings(database_url=server.url, rate_limit_per_second=1000)))
        headers = {"Authorization": f"Bearer {keys[0].api_key}"}
        client = stack.enter_context(
            httpx.Client(base_url=base_url, headers=headers, timeout=60, trust_env=False)
        )
        assert client.post("/v1/orders/by-mass", json=KILOGRAM).status_code == 200
        database.close()
        yield client


# How each declared error is met. Those that need more than one request follow as functions.


def asked(method: str, path: str, **rest: Any) -> Meet:
    """One request is all it takes."""

    def meet(service: Service) -> httpx.Response:
        with service.client() as client:
            return client.request(method, path, **rest)

    return meet


def twice(path: str, first: dict[str, Any], second: dict[str, Any], header: str | None = None) -> Meet:
    """A first request that is fine, and a second one that no longer is."""

    def meet(service: Service) -> httpx.Response:
        headers = {} if header is None else {"Idempotency-Key": header}
        with service.client() as client:
            assert client.post(path, json=first, headers=headers).status_code == 200
            return client.post(path, json=second, headers=headers)

    return meet


def selecting(*choices: dict[str, Any]) -> Meet:
    return asked("POST", "/orders/by-mass/quote", json=KILOGRAM | {"bundle_selection": list(choices)})


def order_an_estimate_twice(service: Service) -> httpx.Response:
    with service.client() as client:
        estimate = client.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
        return twice("/orders/by-estimate", {"estimate_id": estimate}, {"estimate_id": estimate})(service)


def order_from_an_empty_balance(service: Service) -> httpx.Response:
    with open_payer(service, billing=Billing.PREPAID).client() as client:
        return client.post("/orders/by-mass", json=KILOGRAM)


def cancel_what_is_paid(service: Service) -> httpx.Response:
    with service.client() as client:
        order = client.post("/orders/by-mass", json=KILOGRAM).json()
        return client.post(f"/orders/{order['id']}/cancel")


def fail_what_is_paid(service: Service) -> httpx.Response:
    with service.client() as client:
        order = client.post("/orders/by-mass", json=KILOGRAM).json()
        return client.post(f"/test/orders/{order['id']}/advance", json={"to": "failed"})


def top_up_otherwise_under_one_reference(service: Service) -> httpx.Response:
    path = f"/operator/accounts/{service.key().account.account_id}/top-up"
    with open_payer(service, scopes=frozenset({Scope.OPERATOR}), mode=Mode.TEST).client() as client:
        assert client.post(path, json={"amount": "5", "reference": "bank-1"}).status_code == 200
        return client.post(path, json={"amount": "6", "reference": "bank-1"})


def order_from_a_suspended_account(service: Service) -> httpx.Response:
    account = service.key("EUR", Mode.LIVE).account
    on_connection(service.database_url, lambda c: set_suspended(c, account, at=utc_now()))
    with service.client("EUR", Mode.LIVE) as client:
        return client.post("/orders/by-mass", json=KILOGRAM)


def quote_in_a_currency_without_rate(service: Service) -> httpx.Response:
    async def open_account(connection: asyncpg.Connection) -> str:
        organisation = service.key().account.organisation
        dinar = find_currency("KWD")
        pair = await open_account_pair(
            connection, organisation, name="Example Dinar", currency=dinar, at=utc_now()
        )
        new = await create_key(connection, pair[Mode.TEST], name="dinar", at=utc_now())
        return new.api_key

    key = on_connection(service.database_url, open_account)
    return _with_new_key(service, key, "POST", "/orders/by-mass/quote", json=KILOGRAM)


def ask_faster_than_the_key_may(service: Service) -> httpx.Response:
    account = service.key().account
    new = on_connection(
        service.database_url,
        lambda c: create_key(c, account, name="slow", rate_limit_per_second=1, at=utc_now()),
    )
    for _ in range(100):
        answer = _with_new_key(service, new.api_key, "GET", "/accounts/me")
        if answer.status_code != 200:
            return answer
    pytest.fail("a key of 1 request a second was never refused")


def repeat_while_in_flight(service: Service) -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid4())}
    with service.client() as client, service.client() as other:
        first = threading.Thread(
            target=client.post, args=["/orders/by-mass"], kwargs={"json": KILOGRAM, "headers": headers}
        )
        with orders_locked(service) as someone_waits:
            first.start()
            while not someone_waits():
                assert first.is_alive()
            answer = other.post("/orders/by-mass", json=KILOGRAM, headers=headers)
        first.join(timeout=30)
    return answer


@contextmanager
def orders_locked(service: Service) -> Iterator[Callable[[], bool]]:
    """Nothing is inserted into `orders` as long as the block lasts; yields whether someone waits to."""
    locked, done = threading.Event(), threading.Event()

    async def lock(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
            locked.set()
            while not done.is_set():
                await connection.execute("SELECT pg_sleep(0.01)")

    async def waits(connection: asyncpg.Connection) -> bool:
        found = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass)"
        return bool(await connection.fetchval(found))

    holder = threading.Thread(target=on_connection, args=[service.database_url, lock])
    holder.start()
    assert locked.wait(timeout=30)
    try:
        yield lambda: on_connection(service.database_url, waits)
    finally:
        done.set()
        holder.join(timeout=30)


def break_the_inside(service: Service) -> httpx.Response:
    rename = "ALTER TABLE {} RENAME TO {}"
    on_connection(service.database_url, lambda c: c.execute(rename.format("estimates", "elsewhere")))
    try:
        return asked("GET", f"/estimates/electricity/{uuid4()}")(service)
    finally:
        on_connection(service.database_url, lambda c: c.execute(rename.format("elsewhere", "estimates")))


def _with_new_key(service: Service, key: str, method: str, path: str, **rest: Any) -> httpx.Response:
    """Ask with a key that the service may not know yet for a moment."""
    with service.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        for _ in range(2000):
            answer = client.request(method, path, **rest)
            if answer.status_code != 401:
                return answer
    pytest.fail("a new key was never accepted")


def order_what_is_not_in_stock(service: Service) -> httpx.Response:
    """Of a bundle that refuses shortages, more than there is."""

    async def change(connection: Any, policy: str) -> str:
        async with connection.transaction():
            row = await connection.fetchrow("SELECT bundle_id FROM bundles ORDER BY bundle_id LIMIT 1")
            await connection.execute(
                "UPDATE bundles SET on_shortage = $2 WHERE bundle_id = $1", row[0], policy
            )
            await count_change(connection)
            await track_commitments(connection)
            return str(row[0])

    bundle_id = on_connection(service.database_url, lambda c: change(c, "reject"))
    try:
        masses = [{"bundle_id": bundle_id, "mass": {"amount": "999999999", "unit": "t"}}]
        return asked("POST", "/orders/by-mass", json={"bundle_masses": masses})(service)
    finally:
        on_connection(service.database_url, lambda c: change(c, "accept"))


def create_a_bundle_of_another_ones_name(service: Service) -> httpx.Response:
    with service.client() as client:
        bundle = client.get("/bundles").json()["data"][0]
    project = bundle["projects"][0]["slug"]
    entry = {"name": bundle["name"], "currency": "USD", "price": "1", "projects": [project]}
    operator = open_payer(service, scopes=frozenset({Scope.OPERATOR}))
    with operator.client() as client:
        return client.post("/operator/bundles", json=entry)


def order_above_a_keys_daily_cap(service: Service) -> httpx.Response:
    account = service.key().account

    async def work(connection: Any) -> str:
        async with connection.transaction():
            new = await create_key(connection, account, name="capped", at=utc_now())
            await connection.execute(
                "UPDATE api_keys SET daily_cap_minor = 1 WHERE key_id = $1", new.key.key_id
            )
            return new.api_key

    key = on_connection(service.database_url, work)
    return _with_new_key(service, key, "POST", "/orders/by-mass", json=KILOGRAM)


def use_a_key_from_elsewhere(service: Service) -> httpx.Response:
    account = service.key().account
    wishes = KeyWishes(allowed_networks=(ip_network("203.0.113.0/24"),))
    new = on_pool(
        service.database_url,
        lambda pool: issue_key(pool, account, wishes, at=utc_now(), actor=SERVICE),
    )
    headers = {"Authorization": f"Bearer {new.api_key}"}
    return asked("GET", "/orders", headers=headers)(service)


def exclude_everything(service: Service) -> httpx.Response:
    with service.client() as client:
        projects = [project["id"] for project in client.get("/projects?limit=100").json()["data"]]
        return client.post("/orders/by-mass/quote", json=KILOGRAM | {"excluded_projects": projects})


def flight(source: Any, destination: Any) -> dict[str, Any]:
    return {"route": {"source": source, "destination": destination}}


def freight(source: Any) -> dict[str, Any]:
    route = {"source": source, "destination": {"locode": "NLRTM"}}
    return {
        "route": route,
        "shipment": {"mass": {"amount": "1", "unit": "t"}},
        "method": "container_ship",
    }


def by_factor(factor_id: str, unit: str) -> dict[str, Any]:
    return {"emission_factor_id": factor_id, "activity": {"value": "1", "unit": unit}}


ANSWERS: dict[str, Meet] = {
    "validation_error": asked("POST", "/orders/by-mass", json={}),
    "bundle_selection_bundle_invalid": selecting(LEFT),
    "bundle_selection_ratios_invalid": selecting(LEFT | {"percentage": 50}, RIGHT | {"percentage": 49}),
    "bundle_selection_ratios_invalid_format": selecting(LEFT | {"percentage": 50}, RIGHT),
    "order_value_invalid": asked("POST", "/orders/by-value", json={"value": "0.009"}),
    "estimate_not_found": asked("POST", "/orders/by-estimate", json={"estimate_id": str(uuid4())}),
    "pagination_limit_invalid": asked("GET", "/orders?limit=101"),
    "id_invalid": asked("GET", "/orders?after=x"),
    "bundle_id_invalid": asked("GET", "/bundles?after=x"),
    "api_version_invalid": asked("GET", "/orders", headers={"Lune-Version": "2024-08-09"}),
    "unauthorised": asked("GET", "/orders", headers={"Authorization": ""}),
    "account_scope_incorrect": asked("GET", "/orders", headers={"Lune-Account": str(uuid4())}),
    "not_found": asked("GET", f"/orders/{uuid4()}"),
    "method_not_allowed": asked("DELETE", "/orders"),
    "account_suspended": order_from_a_suspended_account,
    "order_idempotency_already_exists": twice(
        "/orders/by-mass", KILOGRAM | {"idempotency_key": "once"}, KILOGRAM | {"idempotency_key": "once"}
    ),
    "estimate_idempotency_already_exists": twice(
        "/estimates/electricity",
        CONSUMPTION | {"idempotency_key": "e"},
        CONSUMPTION | {"idempotency_key": "e"},
    ),
    "estimate_order_already_placed": order_an_estimate_twice,
    "order_quantity_invalid": asked("POST", "/orders/by-mass", json={"mass": {"amount": "0", "unit": "t"}}),
    "exchange_rate_not_found": quote_in_a_currency_without_rate,
    "insufficient_credits": order_from_an_empty_balance,
    "address_not_allowed": use_a_key_from_elsewhere,
    "insufficient_scope": asked("GET", f"/operator/accounts/{uuid4()}/balance"),
    "order_not_cancellable": cancel_what_is_paid,
    "order_not_advanceable": fail_what_is_paid,
    "bundle_portfolio_invalid": asked(
        "PUT", "/bundle-portfolios", json={"bundle_portfolio_id": str(uuid4())}
    ),
    "catalogue_conflict": create_a_bundle_of_another_ones_name,
    "account_handle_already_exists": twice(
        "/accounts/client",
        {"name": "A", "currency": "USD", "handle": "a-handle"},
        {"name": "B", "currency": "USD", "handle": "a-handle"},
    ),
    "account_idempotency_already_exists": twice(
        "/accounts/client",
        {"name": "A", "currency": "USD", "idempotency_key": "a"},
        {"name": "A", "currency": "USD", "idempotency_key": "a"},
    ),
    "insufficient_stock": order_what_is_not_in_stock,
    "spending_cap_exceeded": order_above_a_keys_daily_cap,
    "unit_price_above_maximum": asked(
        "POST", "/orders/by-mass/quote", json=KILOGRAM | {"max_unit_price": "1"}
    ),
    "restrictions_unmet": exclude_everything,
    "payment_reference_reused": top_up_otherwise_under_one_reference,
    "idempotency_key_reused": twice(
        "/orders/by-mass", KILOGRAM, {"mass": {"amount": "2", "unit": "kg"}}, header="reused"
    ),
    "idempotency_key_in_use": repeat_while_in_flight,
    "payload_too_large": asked("POST", "/orders/by-mass", json=KILOGRAM | {"metadata": {"a": "b" * 100_000}}),
    "unsupported_media_type": asked("POST", "/orders/by-mass", content=b"value=1"),
    "rate_limited": ask_faster_than_the_key_may,
    "airport_invalid": asked("POST", "/estimates/flight", json=flight("LHR", "QQQ")),
    "distance_invalid": asked("POST", "/estimates/flight", json=flight("LHR", "EGLL")),
    "address_not_found": asked("POST", "/estimates/flight", json=flight({"city": "Oslo"}, "LHR")),
    "locode_not_found": asked("POST", "/estimates/shipping", json=freight({"locode": "QQQQQ"})),
    "port_not_found": asked("POST", "/estimates/shipping", json=freight({"lat": 48.2, "lon": 16.4})),
    "emission_factor_id_invalid": asked(
        "POST", "/estimates/emission-factor", json=by_factor("no-1/2", "kWh")
    ),
    "emission_factor_unit_mismatch": asked(
        "POST", "/estimates/emission-factor", json=by_factor("owid-2026/DEU/2025", "kg")
    ),
    "internal_error": break_the_inside,
}
# Met below: these take a service of their own.
WITHOUT_DATABASE = {"service_unavailable"}
DECLARED = sorted(declared_errors(), key=lambda error: error.code)


@pytest.mark.parametrize(
    "error", [error for error in DECLARED if error.code not in WITHOUT_DATABASE], ids=lambda error: error.code
)
def test_every_declared_error_is_met_with_its_status_and_the_one_body(
    error: type[TonneError], service: Service, refusal: Refusal
) -> None:
    answer = ANSWERS[error.code](service)
    assert refusal(answer) == (error.http_status, error.code)


def test_error_codes_are_unique() -> None:
    assert len({error.code for error in DECLARED}) == len(DECLARED)


def test_the_contracts_codes_have_the_contracts_statuses() -> None:
    contract = """400 validation_error bundle_selection_bundle_invalid bundle_selection_ratios_invalid
        bundle_selection_ratios_invalid_format order_value_invalid estimate_not_found pagination_limit_invalid
        id_invalid bundle_id_invalid api_version_invalid 401 unauthorised 403 account_scope_incorrect insufficient_scope
        404 not_found 409 account_suspended order_idempotency_already_exists estimate_order_already_placed
        order_quantity_invalid exchange_rate_not_found insufficient_credits idempotency_key_in_use 413 payload_too_large
        415 unsupported_media_type 422 idempotency_key_reused 429 rate_limited 500 internal_error
        503 service_unavailable"""
    statuses = {error.code: error.http_status.value for error in DECLARED}
    status = 0
    for word in contract.split():
        if word.isdigit():
            status = int(word)
        else:
            assert statuses[word] == status, word


def test_an_unavailable_service_says_so_and_when_to_come_back(
    without_database: httpx.Client, refusal: Refusal
) -> None:
    for answer in (
        without_database.post("/v1/orders/by-mass", json=KILOGRAM),
        without_database.get(f"/v1/orders/{uuid4()}"),
        without_database.get("/v1/orders"),
        without_database.post("/v1/estimates/electricity", json=CONSUMPTION),
        without_database.get("/readyz"),
    ):
        assert refusal(answer) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


def test_a_service_without_its_database_lives_and_still_quotes(without_database: httpx.Client) -> None:
    assert without_database.get("/livez").status_code == 200
    assert without_database.post("/v1/orders/by-mass/quote", json=KILOGRAM).status_code == 200


def test_a_500_shows_nothing_of_the_inside(service: Service) -> None:
    answer = break_the_inside(service)
    assert answer.status_code == 500
    assert not re.search(r"estimates\W|relation|asyncpg|Undefined|Traceback|\.py", answer.json()["detail"])
    assert not re.search(r"relation|asyncpg|Undefined|Traceback|\.py", answer.text)


# The members.


def test_the_rfc_9457_members_name_status_and_place(api: httpx.Client) -> None:
    body = api.get(f"/orders/{(order_id := uuid4())}").json()
    assert body["status"] == 404
    assert body["title"] == "Not Found"
    assert body["instance"] == f"/v1/orders/{order_id}"
    assert body["type"].endswith("not_found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"mass": {"amount": "-1", "unit": "kg"}}, "/mass/amount"),
        ({"mass": {"amount": "1", "unit": "lb"}}, "/mass/unit"),
        ({"mass": {"amount": "1"}}, "/mass/unit"),
        ({"mass": {"amount": "1", "unit": "kg", "units": 1}}, "/mass/units"),
        ({"mas": {}}, "/mas"),
        (KILOGRAM | {"quantity_trunc": "lb"}, "/quantity_trunc"),
        (KILOGRAM | {"bundle_selection": [LEFT | {"percentage": "1.x"}]}, "/bundle_selection/0/percentage"),
        (KILOGRAM | {"bundle_selection": [LEFT, LEFT]}, "/bundle_selection/1/bundle_id"),
    ],
)
def test_a_violation_points_to_the_place_and_the_message_names_it(
    api: httpx.Client, refusal: Refusal, body: dict[str, Any], pointer: str
) -> None:
    answer = api.post("/orders/by-mass", json=body)
    assert refusal(answer) == (400, "validation_error")
    assert answer.json()["violations"][0]["pointer"] == pointer
    assert pointer in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"mass": {"amount": "1", "unit": "lb"}}, ["g", "kg", "t"]),
        (KILOGRAM | {"quantity_trunc": "lb"}, ["g", "kg", "t"]),
        ({"mass": {"amount": "-1", "unit": "kg"}}, ["12.07"]),
        ({"mass": {"amount": 1, "unit": "kg"}}, ["string"]),
        (KILOGRAM | {"metadata": {"a": 1}}, ["string"]),
        (KILOGRAM | {"idempotency_key": "x" * 101}, ["100"]),
    ],
)
def test_a_message_says_what_would_be_right(api: httpx.Client, body: dict[str, Any], says: list[str]) -> None:
    message = api.post("/orders/by-mass", json=body).json()["error"]["message"]
    for word in says:
        assert re.search(rf"\b{re.escape(word)}\b", message), message


# Request ids.


def test_every_answer_has_a_request_id_of_its_own_that_is_also_its_cf_ray(api: httpx.Client) -> None:
    answers = [api.get("/orders") for _ in range(20)]
    answers += [
        api.get("/nothing"),
        api.get("/orders", headers={"Authorization": "x"}),
        api.delete("/orders"),
    ]
    answers += [api.post("/orders/by-mass", json=KILOGRAM), api.post("/orders/by-mass", content=b"{}")]
    seen = {answer.headers["x-request-id"] for answer in answers}
    assert all(answer.headers["cf-ray"] == answer.headers["x-request-id"] for answer in answers)
    assert len(seen) == len(answers)


@pytest.mark.parametrize("path", ["/livez", "/docs", "/v1/openapi.json", "/nowhere"])
def test_answers_outside_the_contract_have_a_request_id_too(service: Service, path: str) -> None:
    answer = httpx.get(service.base_url + path, trust_env=False)
    assert answer.headers["x-request-id"] == answer.headers["cf-ray"]


# What no operation takes.


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/order", "/v1/orders/a/b", "/v2/orders", "/nothing", "/docs/nothing"]
)
def test_an_unknown_path_is_404(service: Service, refusal: Refusal, path: str) -> None:
    headers = {"Authorization": f"Bearer {service.key().api_key}"}
    answer = httpx.get(service.base_url + path, headers=headers, trust_env=False)
    assert refusal(answer) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/orders", {"GET"}),
        ("DELETE", "/orders", {"GET"}),
        ("GET", "/orders/by-mass", {"POST"}),
        ("GET", "/orders/by-value/quote", {"POST"}),
        ("DELETE", f"/orders/{NOBODY}", {"GET"}),
        ("PUT", f"/orders/{NOBODY}/certificate", {"GET"}),
        ("POST", "/orders/by-idempotency-key/a", {"GET"}),
        ("POST", "/bundle-selections", {"GET", "PUT"}),
        ("POST", "/accounts/me", {"GET", "PUT", "PATCH"}),
        ("GET", "/estimates/electricity", {"POST"}),
    ],
)
def test_a_method_a_path_does_not_take_is_405_and_allow_names_those_it_takes(
    api: httpx.Client, refusal: Refusal, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.request(method, path)
    assert refusal(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed


def test_allow_names_the_methods_under_a_trailing_slash_too(api: httpx.Client) -> None:
    answer = api.delete("/orders/")
    assert answer.status_code in (404, 405)
    assert answer.status_code == 404 or "GET" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["//v1/orders", "//v1/orders/by-mass", "///v1/accounts/me"])
def test_doubled_slashes_open_no_side_door(
    send: Callable[..., httpx.Response], refusal: Refusal, method: str, path: str
) -> None:
    status, code = refusal(send(method, path, key=None))
    assert (status, code) in {(401, "unauthorised"), (404, "not_found"), (405, "method_not_allowed")}
