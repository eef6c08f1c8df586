"""Billing, cancelling and the operator's payments, as clients see them, and what the books say afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.paying import Payer, broken_rules, on_pool, open_payer
from tests.support import NOBODY, Service, serving

from tonne.application.cancel_order import cancel_order
from tonne.application.identifiers import utc_now
from tonne.application.pay_orders import PayOutcome, fail_received, pay_orders, place_received
from tonne.domain.accounts import Billing, Mode, SandboxBehaviour, Scope
from tonne.domain.errors import OrderNotCancellable
from tonne.settings import Settings

# 0.35 USD.
PARCEL = {"mass": {"amount": "12.07", "unit": "kg"}}
COST = 35
AT_ONCE = 64
OPERATOR = frozenset({Scope.OPERATOR})

Refusal = Callable[[httpx.Response], tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def sound_books(service: Service) -> Iterator[None]:
    """Whatever these tests did, the books add up at their end."""
    yield
    assert broken_rules(service.database_url) == {}


@pytest.fixture(scope="module")
def two_services(service: Service) -> Iterator[Sequence[str]]:
    """Two services on one database, as two worker processes would be."""
    with serving(Settings(database_url=service.database_url, rate_limit_per_second=1_000_000)) as second:
        yield service.base_url, second


@pytest.fixture(scope="module")
def operator(service: Service) -> Iterator[httpx.Client]:
    """A client with a live operator's key."""
    with open_payer(service, scopes=OPERATOR).client() as client:
        yield client


def order(client: httpx.Client, **rest: Any) -> dict[str, Any]:
    answer = client.post("/orders/by-mass", json=PARCEL | rest)
    assert answer.status_code == 200, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def pay(payer: Payer, *order_ids: str) -> list[PayOutcome]:
    ids = [UUID(order_id) for order_id in order_ids]
    results = on_pool(payer.service.database_url, lambda pool: pay_orders(pool, ids, at=utc_now()))
    return [result.outcome for result in results]


def statuses(placed: dict[str, Any]) -> list[str]:
    return [reached["status"] for reached in placed["status_history"]]


# Placing.


@pytest.mark.parametrize(
    ("billing", "mode", "reached", "payment_method", "money"),
    [
        (Billing.INVOICE, Mode.LIVE, ["received", "placed"], "invoice", (1000, COST, COST)),
        (Billing.INVOICE, Mode.TEST, ["received", "placed"], "invoice", (1000, COST, COST)),
        (Billing.PREPAID, Mode.LIVE, ["received", "placed", "paid"], None, (1000 - COST, 0, COST)),
        (Billing.PREPAID, Mode.TEST, ["received", "placed", "paid"], None, (1000 - COST, 0, COST)),
        (Billing.AUTOMATIC, Mode.LIVE, ["received", "placed", "paid"], None, (1000, 0, COST)),
        (Billing.AUTOMATIC, Mode.TEST, ["received", "placed", "paid"], None, (1000, 0, COST)),
    ],
)
def test_an_order_is_as_far_as_its_billing_says_with_its_events_and_its_money(
    service: Service,
    billing: Billing,
    mode: Mode,
    reached: list[str],
    payment_method: str | None,
    money: tuple[int, int, int],
) -> None:
    payer = open_payer(service, billing=billing, mode=mode, balance="10.00")
    with payer.client() as client:
        placed = order(client)
        assert client.get(f"/orders/{placed['id']}").json() == placed
    assert (placed["status"], statuses(placed), placed["payment_method"]) == (
        reached[-1],
        reached,
        payment_method,
    )
    assert payer.events() == [f"order.{status}" for status in reached]
    assert payer.money() == money


@pytest.mark.parametrize(
    ("billing", "money"),
    [
        (Billing.INVOICE, (1000, COST, COST)),
        (Billing.PREPAID, (1000 - COST, 0, COST)),
        (Billing.AUTOMATIC, (1000, 0, 0)),
    ],
)
def test_an_order_done_by_hand_waits_and_is_advanced_or_fails(
    service: Service, billing: Billing, money: tuple[int, int, int]
) -> None:
    payer = open_payer(
        service, billing=billing, mode=Mode.TEST, behaviour=SandboxBehaviour.BY_HAND, balance="10.00"
    )
    url, account = service.database_url, payer.account
    with payer.client() as client:
        first, second = order(client), order(client)
        assert (first["status"], statuses(first)) == ("received", ["received"])
        assert pay(payer, first["id"]) == [PayOutcome.REFUSED]
        failing = UUID(second["id"])
        assert on_pool(url, lambda pool: fail_received(pool, account, failing, at=utc_now()))
        assert not on_pool(url, lambda pool: fail_received(pool, account, failing, at=utc_now()))
        assert payer.money() == money
        placing = UUID(first["id"])
        assert on_pool(url, lambda pool: place_received(pool, account, placing, at=utc_now()))
        assert not on_pool(url, lambda pool: place_received(pool, account, placing, at=utc_now()))
        assert client.get(f"/orders/{first['id']}").json()["status"] == "placed"
        assert pay(payer, first["id"], second["id"]) == [PayOutcome.PAID, PayOutcome.REFUSED]
        assert statuses(client.get(f"/orders/{first['id']}").json()) == ["received", "placed", "paid"]
    assert payer.money()[1:] == (0, COST)
    assert sorted(payer.events()) == sorted(
        ["order.received", "order.received", "order.failed", "order.placed", "order.paid"]
    )


def test_billing_that_changes_counts_from_the_next_order_on(service: Service, operator: httpx.Client) -> None:
    payer = open_payer(service, balance="10.00")
    with payer.client() as client:
        assert order(client)["status"] == "placed"
        path = f"/operator/accounts/{payer.account.account_id}/billing"
        changed = operator.put(path, json={"billing": "prepaid"}).json()
        assert (changed["billing"], changed["changed"]) == ("prepaid", True)
        assert operator.put(path, json={"billing": "prepaid"}).json()["changed"] is False
        assert order(client)["status"] == "paid"
    assert payer.money() == (1000 - COST, COST, 2 * COST)


# Prepaid.


@pytest.mark.parametrize("header", [True, False])
def test_of_64_orders_at_once_exactly_those_that_the_balance_covers_are_placed(
    service: Service, two_services: Sequence[str], refusal: Refusal, *, header: bool
) -> None:
    affordable = 23
    balance = affordable * COST + COST - 1
    payer = open_payer(service, billing=Billing.PREPAID, balance=f"{balance / 100:.2f}")
    start = threading.Barrier(AT_ONCE)

    def order_one(position: int) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid4())} if header and position % 2 else {}
        with payer.client(two_services[position % 2]) as client:
            start.wait(timeout=60)
            return client.post("/orders/by-mass", json=PARCEL, headers=headers)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(order_one, range(AT_ONCE)))
    assert Counter(answer.status_code for answer in answers) == {200: affordable, 409: AT_ONCE - affordable}
    assert {refusal(answer)[1] for answer in answers if answer.status_code == 409} == {"insufficient_credits"}
    assert payer.money() == (COST - 1, 0, affordable * COST)


def test_what_a_balance_does_not_cover_is_refused_with_balance_and_cost(
    service: Service, refusal: Refusal
) -> None:
    payer = open_payer(service, billing=Billing.PREPAID, balance="0.34")
    with payer.client() as client:
        answer = client.post("/orders/by-mass", json=PARCEL)
        assert refusal(answer) == (409, "insufficient_credits")
        assert "0.35 USD" in answer.json()["error"]["message"]
        assert "0.34 USD" in answer.json()["error"]["message"]
        assert client.get("/orders").json()["data"] == []
        assert client.post("/orders/by-mass/quote", json=PARCEL).status_code == 200
    assert payer.money() == (34, 0, 0)


def test_a_balance_can_be_spent_to_its_last_cent(service: Service) -> None:
    payer = open_payer(service, billing=Billing.PREPAID, balance="0.35")
    with payer.client() as client:
        order(client)
    assert payer.money() == (0, 0, COST)


def test_a_repeat_finds_its_order_though_nothing_is_left_for_another(
    service: Service, refusal: Refusal
) -> None:
    payer = open_payer(service, billing=Billing.PREPAID, balance="0.35")
    with payer.client() as client:
        first = order(client, idempotency_key="once")
        again = client.post("/orders/by-mass", json=PARCEL | {"idempotency_key": "once"})
    assert refusal(again) == (409, "order_idempotency_already_exists")
    assert again.headers["location"] == f"/v1/orders/{first['id']}"


# Paying.


def test_an_order_that_is_paid_twice_at_once_is_paid_once(service: Service) -> None:
    payer = open_payer(service)
    with payer.client() as client:
        placed = [order(client)["id"] for _ in range(5)]
    start = threading.Barrier(8)

    def pay_all(_: int) -> list[PayOutcome]:
        start.wait(timeout=60)
        return pay(payer, *placed)

    with ThreadPoolExecutor(8) as pool:
        outcomes = [outcome for found in pool.map(pay_all, range(8)) for outcome in found]
    assert Counter(outcomes) == {PayOutcome.PAID: 5, PayOutcome.PAID_BEFORE: 35}
    assert payer.money() == (0, 0, 5 * COST)
    assert Counter(payer.events())["order.paid"] == 5


def test_of_paying_and_cancelling_at_once_exactly_one_wins(service: Service) -> None:
    payer = open_payer(service)
    won: Counter[str] = Counter()
    with payer.client() as client:
        placed = [UUID(order(client)["id"]) for _ in range(12)]
    for order_id in placed:
        start = threading.Barrier(2)

        def cancel(order_id: UUID = order_id, start: threading.Barrier = start) -> bool:
            start.wait(timeout=60)
            try:
                on_pool(
                    service.database_url,
                    lambda pool: cancel_order(pool, payer.account, order_id, at=utc_now()),
                )
            except OrderNotCancellable:
                return False
            return True

        def pay_it(order_id: UUID = order_id, start: threading.Barrier = start) -> bool:
            start.wait(timeout=60)
            return pay(payer, str(order_id)) == [PayOutcome.PAID]

        with ThreadPoolExecutor(2) as pool:
            cancelled, paid = pool.submit(cancel), pool.submit(pay_it)
            assert cancelled.result() is not paid.result()
            won["cancelled" if cancelled.result() else "paid"] += 1
    assert payer.money() == (0, 0, won["paid"] * COST)


# Cancelling.


@pytest.mark.parametrize(
    "body", [{}, {"json": {}}, {"content": "", "headers": {"Content-Type": "text/plain"}}]
)
def test_a_placed_order_is_cancelled_and_nothing_is_owed_for_it(
    service: Service, body: dict[str, Any]
) -> None:
    payer = open_payer(service)
    with payer.client() as client:
        placed = order(client)
        cancelled = client.post(f"/orders/{placed['id']}/cancel", **body)
        assert cancelled.status_code == 200
        assert cancelled.json() == client.get(f"/orders/{placed['id']}").json()
    assert statuses(cancelled.json()) == ["received", "placed", "cancelled"]
    assert payer.money() == (0, 0, 0)
    assert payer.events() == ["order.received", "order.placed", "order.cancelled"]


def test_cancelling_gives_back_what_was_charged_to_the_balance(service: Service) -> None:
    payer = open_payer(
        service,
        billing=Billing.PREPAID,
        mode=Mode.TEST,
        behaviour=SandboxBehaviour.BY_HAND,
        balance="1.00",
    )
    with payer.client() as client:
        placed = order(client)
        assert payer.money() == (100 - COST, 0, COST)
        assert client.post(f"/orders/{placed['id']}/cancel").json()["status"] == "cancelled"
    assert payer.money() == (100, 0, 0)


def test_an_automatic_order_that_was_never_settled_is_cancelled_without_money(service: Service) -> None:
    payer = open_payer(service, billing=Billing.AUTOMATIC, mode=Mode.TEST, behaviour=SandboxBehaviour.BY_HAND)
    with payer.client() as client:
        assert client.post(f"/orders/{order(client)['id']}/cancel").json()["status"] == "cancelled"
    assert payer.money() == (0, 0, 0)


def test_an_order_is_cancelled_once_and_not_when_it_is_paid(service: Service, refusal: Refusal) -> None:
    payer = open_payer(service)
    with payer.client() as client:
        first, second = order(client)["id"], order(client)["id"]
        assert client.post(f"/orders/{first}/cancel").status_code == 200
        pay(payer, second)
        for order_id, status in ((first, "cancelled"), (second, "paid")):
            answer = client.post(f"/orders/{order_id}/cancel")
            assert refusal(answer) == (409, "order_not_cancellable")
            assert status in answer.json()["error"]["message"]
        assert pay(payer, first) == [PayOutcome.REFUSED]


def test_the_estimate_of_a_cancelled_order_may_be_ordered_again(service: Service, refusal: Refusal) -> None:
    with open_payer(service).client() as client:
        consumption = {"consumption": {"amount": "100", "unit": "kWh"}}
        estimate = {"estimate_id": client.post("/estimates/electricity", json=consumption).json()["id"]}
        first = client.post("/orders/by-estimate", json=estimate).json()["id"]
        assert (
            refusal(client.post("/orders/by-estimate", json=estimate))[1] == "estimate_order_already_placed"
        )
        client.post(f"/orders/{first}/cancel").raise_for_status()
        assert client.post("/orders/by-estimate", json=estimate).status_code == 200


def test_only_ones_own_orders_can_be_cancelled(service: Service, refusal: Refusal) -> None:
    with open_payer(service).client() as own, open_payer(service).client() as other:
        order_id = order(own)["id"]
        for wanted in (order_id, str(uuid4()), "x"):
            assert refusal(other.post(f"/orders/{wanted}/cancel")) == (404, "not_found")
        assert own.get(f"/orders/{order_id}").json()["status"] == "placed"


def test_a_cancellation_with_anything_in_its_body_is_refused(service: Service, refusal: Refusal) -> None:
    with open_payer(service).client() as client:
        path = f"/orders/{order(client)['id']}/cancel"
        assert refusal(client.post(path, json={"reason": "x"})) == (400, "validation_error")
        assert refusal(client.post(path, json=[])) == (400, "validation_error")
        assert refusal(client.post(path, content=b"{}")) == (415, "unsupported_media_type")
        assert client.post(path).status_code == 200


# The operator.


def test_the_operator_pays_orders_of_every_organisation_and_hears_of_each(
    service: Service, operator: httpx.Client
) -> None:
    payer = open_payer(service)
    with payer.client() as client, service.client("EUR", Mode.LIVE) as other, service.client() as test:
        placed = [order(client)["id"], order(other)["id"]]
        unknown, in_test = str(uuid4()), order(test)["id"]
        wanted = [*placed, unknown, "x", in_test]
        first = operator.post("/operator/orders/pay", json={"order_ids": wanted}).json()["results"]
        again = operator.post("/operator/orders/pay", json={"order_ids": wanted}).json()["results"]
    assert [found["order_id"] for found in first] == wanted
    assert [found["outcome"] for found in first] == ["paid", "paid", "refused", "refused", "refused"]
    assert [found["outcome"] for found in again][:2] == ["paid_before", "paid_before"]
    assert [found["reason"] for found in first][2:] == ["There is no such order."] * 3


def test_top_ups_and_refunds_are_recorded_once_for_each_reference(
    service: Service, operator: httpx.Client, refusal: Refusal
) -> None:
    payer = open_payer(service)
    path = f"/operator/accounts/{payer.account.account_id}"
    for changed in (True, False):
        answer = operator.post(f"{path}/top-up", json={"amount": "5.00", "reference": "in-1"}).json()
        assert (answer["changed"], answer["balance"]["prepaid"]) == (changed, "5.00")
    for changed in (True, False):
        answer = operator.post(f"{path}/refund", json={"amount": "2", "reference": "in-1"}).json()
        assert (answer["changed"], answer["balance"]["prepaid"]) == (changed, "3.00")
    other = operator.post(f"{path}/top-up", json={"amount": "5.01", "reference": "in-1"})
    assert refusal(other) == (409, "payment_reference_reused")
    too_much = operator.post(f"{path}/refund", json={"amount": "3.01", "reference": "out-2"})
    assert refusal(too_much) == (409, "insufficient_credits")
    assert operator.get(f"{path}/balance").json() == {
        "account_id": str(payer.account.account_id),
        "currency": "USD",
        "billing": "invoice",
        "prepaid": "3.00",
        "owed": "0.00",
        "held": "0.00",
    }


def test_a_top_up_that_is_sent_many_times_at_once_is_recorded_once(
    service: Service, operator: httpx.Client
) -> None:
    payer = open_payer(service)
    path = f"/operator/accounts/{payer.account.account_id}/top-up"
    body = {"amount": "7.00", "reference": "bank"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: operator.post(path, json=body).json(), range(16)))
    assert Counter(answer["changed"] for answer in answers) == {True: 1, False: 15}
    assert payer.money() == (700, 0, 0)


@pytest.mark.parametrize("amount", ["0", "0.001", "-1", "1e3", "10000000000000.01", ""])
def test_a_payment_is_a_positive_whole_number_of_minor_units(
    service: Service, operator: httpx.Client, refusal: Refusal, amount: str
) -> None:
    path = f"/operator/accounts/{service.key(mode=Mode.LIVE).account.account_id}/top-up"
    answer = operator.post(path, json={"amount": amount, "reference": f"odd {amount}"})
    assert refusal(answer) == (400, "validation_error")


OPERATIONS = [
    ("POST", "/operator/orders/pay", {"order_ids": [NOBODY]}),
    ("GET", "/operator/accounts/{}/balance", None),
    ("POST", "/operator/accounts/{}/top-up", {"amount": "1", "reference": "a"}),
    ("POST", "/operator/accounts/{}/refund", {"amount": "1", "reference": "a"}),
    ("PUT", "/operator/accounts/{}/billing", {"billing": "prepaid"}),
    ("PUT", "/operator/accounts/{}/test-behaviour", {"test_behaviour": "normal"}),
]


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_without_the_scope_every_operation_of_the_operator_is_refused(
    service: Service, refusal: Refusal, method: str, path: str, body: object
) -> None:
    own = service.key().account.account_id
    with service.client() as client:
        assert refusal(client.request(method, path.format(own), json=body)) == (403, "insufficient_scope")
        # Whatever the body: what it should be is none of this key's business.
        assert refusal(client.request(method, path.format(own), json={"x": 1})) == (403, "insufficient_scope")


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS[1:])
def test_an_operator_s_key_sees_no_account_of_the_other_mode(
    service: Service, operator: httpx.Client, refusal: Refusal, method: str, path: str, body: object
) -> None:
    for account_id in (service.key().account.account_id, uuid4(), "x"):
        assert refusal(operator.request(method, path.format(account_id), json=body)) == (404, "not_found")


def test_only_test_accounts_are_played_with(
    service: Service, operator: httpx.Client, refusal: Refusal
) -> None:
    live = open_payer(service).account.account_id
    payer = open_payer(service, mode=Mode.TEST, billing=Billing.AUTOMATIC)
    answer = operator.put(f"/operator/accounts/{live}/test-behaviour", json={"test_behaviour": "slow"})
    assert refusal(answer) == (400, "validation_error")
    with open_payer(service, scopes=OPERATOR, mode=Mode.TEST).client() as tests, payer.client() as client:
        path = f"/operator/accounts/{payer.account.account_id}/test-behaviour"
        assert tests.put(path, json={"test_behaviour": "by_hand"}).json()["changed"] is True
        assert order(client)["status"] == "received"
        assert refusal(tests.put(path, json={"test_behaviour": "odd"})) == (400, "validation_error")
