"""Contract, section 4: a request that is sent twice is carried out once, by body key and by `Idempotency-Key`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.estimating import KINDS
from tests.support import Service, serving

from tonne.domain.accounts import Mode
from tonne.settings import Settings

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
TWO = {"mass": {"amount": "2", "unit": "kg"}}
CONSUMPTION = {"consumption": {"amount": "100", "unit": "kWh"}}
AT_ONCE = 64

Refusal = Callable[[httpx.Response], tuple[int, str]]


@pytest.fixture(scope="module")
def two_services(service: Service) -> Iterator[Sequence[str]]:
    """Two services on one database, as two worker processes would be."""
    with serving(Settings(database_url=service.database_url, rate_limit_per_second=1_000_000)) as second:
        yield service.base_url, second


def all_at_once(
    service: Service,
    base_urls: Sequence[str],
    path: str,
    bodies: Sequence[dict[str, Any]],
    header: str | None = None,
) -> list[httpx.Response]:
    """Post all bodies at the same moment, each on a connection of its own, to the services in turn."""
    start = threading.Barrier(len(bodies))
    headers = {} if header is None else {"Idempotency-Key": header}
    limits = httpx.Limits(max_connections=2 * len(bodies), max_keepalive_connections=2 * len(bodies))
    with service.client(limits=limits) as client, ThreadPoolExecutor(len(bodies)) as pool:

        def post_one(position: int) -> httpx.Response:
            url = f"{base_urls[position % len(base_urls)]}/v1"
            start.wait(timeout=60)
            client.get(f"{url}/accounts/me")
            start.wait(timeout=60)
            return client.post(url + path, json=bodies[position], headers=headers)

        return list(pool.map(post_one, range(len(bodies))))


def post(
    client: httpx.Client, header: str, body: dict[str, Any], path: str = "/orders/by-mass"
) -> httpx.Response:
    return client.post(path, json=body, headers={"Idempotency-Key": header})


def same(first: httpx.Response, repeat: httpx.Response) -> bool:
    """Whether the repeat is the first answer byte for byte, and says that it is a repeat."""
    kept = ("content-type", "location", "www-authenticate")
    return (
        (first.status_code, first.content) == (repeat.status_code, repeat.content)
        and [first.headers.get(name) for name in kept] == [repeat.headers.get(name) for name in kept]
        and "idempotent-replayed" not in first.headers
        and repeat.headers.get("idempotent-replayed") == "true"
    )


# The key in the body.


@pytest.mark.parametrize("services", [1, 2])
def test_of_64_requests_with_one_key_at_once_exactly_one_is_placed_and_all_others_name_it(
    service: Service,
    two_services: Sequence[str],
    refusal: Refusal,
    orders_stored: Callable[[], int],
    services: int,
) -> None:
    before = orders_stored()
    body = KILOGRAM | {"idempotency_key": str(uuid4())}
    answers = all_at_once(service, two_services[:services], "/orders/by-mass", [body] * AT_ONCE)
    placed = [answer for answer in answers if answer.status_code == 200]
    assert len(placed) == 1
    order_id = placed[0].json()["id"]
    for answer in answers:
        if answer is not placed[0]:
            assert refusal(answer) == (409, "order_idempotency_already_exists")
            assert answer.headers["location"] == f"/v1/orders/{order_id}"
    assert orders_stored() == before + 1
    with service.client() as client:
        assert client.get(placed[0].request.url.join(f"/v1/orders/{order_id}")).json() == placed[0].json()


@pytest.mark.parametrize("services", [1, 2])
def test_of_64_requests_with_eight_keys_at_once_exactly_eight_are_placed(
    service: Service, two_services: Sequence[str], orders_stored: Callable[[], int], services: int
) -> None:
    before = orders_stored()
    keys = [str(uuid4()) for _ in range(8)]
    bodies = [KILOGRAM | {"idempotency_key": keys[position % 8]} for position in range(AT_ONCE)]
    answers = all_at_once(service, two_services[:services], "/orders/by-mass", bodies)
    assert Counter(answer.status_code for answer in answers) == {200: 8, 409: AT_ONCE - 8}
    assert {answer.json()["idempotency_key"] for answer in answers if answer.status_code == 200} == set(keys)
    assert orders_stored() == before + 8


@pytest.mark.parametrize("services", [1, 2])
def test_of_64_orders_of_one_estimate_at_once_exactly_one_is_placed(
    service: Service,
    two_services: Sequence[str],
    refusal: Refusal,
    orders_stored: Callable[[], int],
    services: int,
) -> None:
    with service.client() as client:
        estimate = client.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
    before = orders_stored()
    bodies = [{"estimate_id": estimate, "idempotency_key": str(uuid4())} for _ in range(AT_ONCE)]
    answers = all_at_once(service, two_services[:services], "/orders/by-estimate", bodies)
    refused = [refusal(answer) for answer in answers if answer.status_code != 200]
    assert refused == [(409, "estimate_order_already_placed")] * (AT_ONCE - 1)
    assert orders_stored() == before + 1


# The header.


def test_a_repeat_is_answered_byte_for_byte_and_places_nothing(
    api: httpx.Client, orders_stored: Callable[[], int]
) -> None:
    before = orders_stored()
    header = str(uuid4())
    first = post(api, header, KILOGRAM)
    assert first.status_code == 200
    for _ in range(3):
        assert same(first, post(api, header, KILOGRAM))
    assert orders_stored() == before + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/orders/by-value", {"value": "5"}),
        ("/orders/by-estimate", None),
        *((f"/estimates/{kind.path}", kind.body) for kind in KINDS),
    ],
)
def test_every_post_that_writes_is_repeatable(
    api: httpx.Client, run_sql: Callable[..., Any], path: str, body: dict[str, Any] | None
) -> None:
    sent = body or {"estimate_id": api.post("/estimates/electricity", json=CONSUMPTION).json()["id"]}
    header = str(uuid4())
    first = post(api, header, sent, path)
    assert first.status_code == 200
    count = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM estimates)"
    before = run_sql(count)
    assert same(first, post(api, header, sent, path))
    assert run_sql(count) == before


def test_a_refusal_is_repeated_too(api: httpx.Client, orders_stored: Callable[[], int]) -> None:
    place = api.post("/orders/by-mass", json=KILOGRAM | {"idempotency_key": str(uuid4())})
    taken = {"idempotency_key": place.json()["idempotency_key"]}
    unknown = {"bundle_selection": [{"bundle_id": str(uuid4())}]}
    nothing = {"mass": {"amount": "0", "unit": "t"}}
    before = orders_stored()
    for body, status in ((KILOGRAM | taken, 409), (KILOGRAM | unknown, 400), (nothing, 409)):
        header = str(uuid4())
        first = post(api, header, body)
        assert first.status_code == status
        assert same(first, post(api, header, body))
    assert orders_stored() == before


def test_a_repeat_after_things_changed_is_still_the_first_answer(
    service: Service, run_sql: Callable[..., Any]
) -> None:
    header = str(uuid4())
    with service.client() as client:
        first = post(client, header, KILOGRAM)
        run_sql(
            "UPDATE orders SET status = 'cancelled', cancelled_at = now() WHERE order_id::text = $1",
            first.json()["id"],
        )
        assert client.get(f"/orders/{first.json()['id']}").json()["status"] == "cancelled"
        assert same(first, post(client, header, KILOGRAM))


def test_the_same_key_with_another_payload_or_path_is_422(
    api: httpx.Client, refusal: Refusal, orders_stored: Callable[[], int]
) -> None:
    header = str(uuid4())
    post(api, header, KILOGRAM)
    before = orders_stored()
    for answer in (
        post(api, header, TWO),
        post(api, header, KILOGRAM | {"idempotency_key": "a"}),
        post(api, header, {"value": "5"}, "/orders/by-value"),
        post(api, header, CONSUMPTION, "/estimates/electricity"),
    ):
        assert refusal(answer) == (422, "idempotency_key_reused")
    assert orders_stored() == before


def test_a_request_that_never_was_one_does_not_use_the_key_up(api: httpx.Client, refusal: Refusal) -> None:
    header = str(uuid4())
    assert refusal(post(api, header, {})) == (400, "validation_error")
    assert post(api, header, KILOGRAM).status_code == 200


@pytest.mark.parametrize("services", [1, 2])
@pytest.mark.parametrize("path", ["/orders/by-mass", "/estimates/electricity"])
def test_64_repeats_at_once_write_once_and_the_others_are_told_to_wait_or_the_same(
    service: Service,
    two_services: Sequence[str],
    refusal: Refusal,
    run_sql: Callable[..., Any],
    path: str,
    services: int,
) -> None:
    count = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM estimates) AS written"
    before = run_sql(count)[0]["written"]
    header = str(uuid4())
    body = KILOGRAM if path.startswith("/orders") else CONSUMPTION
    answers = all_at_once(service, two_services[:services], path, [body] * AT_ONCE, header)
    fine = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code != 200:
            assert refusal(answer) == (409, "idempotency_key_in_use")
            assert answer.headers["retry-after"] == "1"
    first = [answer for answer in fine if "idempotent-replayed" not in answer.headers]
    assert len(first) == 1
    assert all(same(first[0], answer) for answer in fine if answer is not first[0])
    assert run_sql(count)[0]["written"] == before + 1
    with service.client() as client:
        assert same(first[0], post(client, header, body, path))


def test_a_key_of_1_to_255_visible_ascii_characters_is_taken(api: httpx.Client) -> None:
    visible = "".join(chr(code) for code in range(0x21, 0x7F))
    for header in (uuid4().hex[0], "k" * 255, visible, "😀".encode().hex()):
        first = post(api, header, KILOGRAM)
        assert first.status_code == 200, first.text
        assert same(first, post(api, header, KILOGRAM))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"k" * 256], id="256"),
        pytest.param([b"a b"], id="blank inside"),
        pytest.param(["é".encode()], id="not ASCII"),
        pytest.param([b"\xff"], id="not UTF-8"),
        pytest.param([b"a\tb"], id="tab"),
        pytest.param([b"a", b"a"], id="sent twice"),
        pytest.param([b"a", b"b"], id="two keys"),
    ],
)
@pytest.mark.parametrize("path", ["/orders/by-mass", "/estimates/electricity"])
def test_any_other_key_is_refused_and_nothing_is_written(
    send: Callable[..., httpx.Response],
    refusal: Refusal,
    run_sql: Callable[..., Any],
    path: str,
    values: Sequence[bytes],
) -> None:
    count = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM estimates)"
    before = run_sql(count)
    body = b'{"mass":{"amount":"1","unit":"kg"}}'
    if path.startswith("/estimates"):
        body = b'{"consumption":{"amount":"1","unit":"kWh"}}'
    headers = [("Content-Type", "application/json"), *(("Idempotency-Key", value) for value in values)]
    answer = send("POST", f"/v1{path}", headers=headers, body=body)
    assert refusal(answer) == (400, "validation_error")
    assert "Idempotency-Key" in answer.json()["error"]["message"]
    assert "255" in answer.json()["error"]["message"]
    assert run_sql(count) == before


def test_both_keys_go_together(api: httpx.Client, refusal: Refusal) -> None:
    header, body = str(uuid4()), KILOGRAM | {"idempotency_key": str(uuid4())}
    first = post(api, header, body)
    assert first.status_code == 200
    # The same request is answered the same; the same body under a new header is a second wish with a used key.
    assert same(first, post(api, header, body))
    second = post(api, str(uuid4()), body)
    assert refusal(second) == (409, "order_idempotency_already_exists")
    assert second.headers["location"] == f"/v1/orders/{first.json()['id']}"
    assert refusal(api.post("/orders/by-mass", json=body)) == (409, "order_idempotency_already_exists")


def test_a_header_key_is_one_accounts_own(service: Service) -> None:
    header = str(uuid4())
    placed = []
    for currency, mode in (("USD", Mode.TEST), ("USD", Mode.LIVE), ("EUR", Mode.TEST)):
        with service.client(currency, mode) as client:
            placed.append(post(client, header, KILOGRAM))
    assert [answer.status_code for answer in placed] == [200] * 3
    assert len({answer.json()["id"] for answer in placed}) == 3
    euro = str(service.key("EUR").account.account_id)
    with service.client() as client:
        client.headers["Lune-Account"] = euro
        assert same(placed[2], post(client, header, KILOGRAM))


def test_a_quote_takes_no_notice_of_the_header(api: httpx.Client) -> None:
    header = str(uuid4())
    for body in (KILOGRAM, TWO):
        answer = post(api, header, body, "/orders/by-mass/quote")
        assert answer.status_code == 200
        assert "idempotent-replayed" not in answer.headers
