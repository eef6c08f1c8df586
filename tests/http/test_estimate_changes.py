"""Estimates that are replaced: as long as nothing was ordered by them, whoever else is at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.estimating import BY_NAME, CHANGEABLE, KINDS, Json, Kind, Refusal, consuming, grams, made, within
from tests.paying import broken_rules, open_payer
from tests.support import Service, serving

from tonne.domain.accounts import Mode
from tonne.settings import Settings

ROUNDS = 25

each_kind = pytest.mark.parametrize("kind", CHANGEABLE, ids=str)


@pytest.fixture(scope="module")
def payer(service: Service) -> Iterator[httpx.Client]:
    """A client of an account whose orders can be cancelled: it pays on invoice."""
    with open_payer(service).client() as client:
        yield client


@pytest.fixture(scope="module")
def second_url(service: Service) -> Iterator[str]:
    """A second service on the same database, as another worker process would be."""
    with serving(Settings(database_url=service.database_url, rate_limit_per_second=1_000_000)) as url:
        yield f"{url}/v1"


def put(client: httpx.Client, kind: Kind, estimate_id: str, body: Json, base: str = "") -> httpx.Response:
    return client.put(f"{base}/estimates/{kind.path}/{estimate_id}", json=body)


def fetched(client: httpx.Client, estimate_id: str) -> Json:
    found: Json = client.get(f"/estimates/{estimate_id}").json()
    return found


def entries(run_sql: Callable[..., Any], estimate_id: str) -> list[Any]:
    """What the audit log says of an estimate."""
    return list(run_sql("SELECT * FROM audit_entries WHERE object_id = $1 ORDER BY sequence", estimate_id))


def at_once(*calls: Callable[[], httpx.Response]) -> Sequence[httpx.Response]:
    """Make calls at the same moment, each on a connection of its own."""
    start = threading.Barrier(len(calls))

    def call(one: Callable[[], httpx.Response]) -> httpx.Response:
        start.wait(timeout=30)
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


# What a change does.


@each_kind
def test_a_replaced_estimate_is_calculated_anew_and_keeps_its_id_time_and_key(
    api: httpx.Client, bundles: dict[str, str], kind: Kind
) -> None:
    old = made(api, kind, idempotency_key=str(uuid4()), name="old", metadata={"a": "1"}, quantity_trunc="kg")
    rest: Json = {
        "name": "new",
        "metadata": {"b": "2"},
        "bundle_selection": [{"bundle_id": bundles["Nature protection"], "percentage": 100}],
    }
    answer = put(api, kind, old["id"], kind.other | rest)
    assert answer.status_code == 200, answer.text
    new = answer.json()
    assert fetched(api, old["id"]) == new
    for name in ("id", "kind", "created_at", "idempotency_key"):
        assert new[name] == old[name]
    assert datetime.fromisoformat(new["changed_at"]) >= datetime.fromisoformat(new["created_at"])
    assert (new["name"], new["metadata"]) == ("new", {"b": "2"})
    assert within(kind.other | rest, new["request"])
    assert grams(new) != grams(old)


@each_kind
def test_a_replaced_estimate_is_what_a_new_one_would_be(api: httpx.Client, kind: Kind) -> None:
    replaced = put(api, kind, made(api, kind, name="a", metadata={"a": "1"})["id"], kind.other).json()
    new = api.post(f"/estimates/{kind.path}", json=kind.other).json()
    own = {"id", "created_at", "changed_at"}
    assert {name: value for name, value in replaced.items() if name not in own} == {
        name: value for name, value in new.items() if name not in own
    }


@each_kind
def test_a_change_is_in_the_audit_log_with_before_and_after(
    api: httpx.Client, run_sql: Callable[..., Any], kind: Kind
) -> None:
    old = made(api, kind)
    new = put(api, kind, old["id"], kind.other).json()
    (entry,) = entries(run_sql, old["id"])
    assert (entry["object_type"], entry["action"]) == ("estimate", "replace")
    for estimate, told in ((old, json.loads(entry["before"])), (new, json.loads(entry["after"]))):
        assert Decimal(told["tonnes"]) * 1_000_000 == grams(estimate)
        assert told["request"] == estimate["request"]
        assert told["factors"] == [s["factor_id"] for s in estimate["calculation"] if s["factor_id"]]


def test_what_is_ordered_is_the_new_mass(payer: httpx.Client) -> None:
    for kind in CHANGEABLE:
        estimate = made(payer, kind)["id"]
        new = put(payer, kind, estimate, kind.other).json()
        quote = payer.post("/orders/by-estimate/quote", json={"estimate_id": estimate}).json()
        order = payer.post("/orders/by-estimate", json={"estimate_id": estimate}).json()
        assert quote["requested_quantity"] == order["requested_quantity"]
        assert Decimal(order["requested_quantity"]) * 1_000_000 == grams(new)


def test_an_idempotency_key_may_be_given_later_and_not_be_anothers(
    api: httpx.Client, refusal: Refusal
) -> None:
    electricity = BY_NAME["electricity"]
    first, second = made(api, electricity)["id"], made(api, electricity)["id"]
    key = {"idempotency_key": str(uuid4())}
    for _ in range(2):
        assert (
            put(api, electricity, first, electricity.other | key).json()["idempotency_key"]
            == key["idempotency_key"]
        )
    before = fetched(api, second)
    answer = put(api, electricity, second, electricity.other | key)
    assert refusal(answer) == (409, "estimate_idempotency_already_exists")
    assert answer.headers["location"] == f"/v1/estimates/electricity/{first}"
    assert fetched(api, second) == before
    taken = api.post("/estimates/electricity", json=electricity.body | key)
    assert refusal(taken) == (409, "estimate_idempotency_already_exists")


# What is refused.


@each_kind
def test_an_ordered_estimate_is_not_changed_until_the_order_is_cancelled(
    payer: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], kind: Kind
) -> None:
    estimate = made(payer, kind)
    for _ in range(2):
        order = payer.post("/orders/by-estimate", json={"estimate_id": estimate["id"]}).json()
        assert refusal(put(payer, kind, estimate["id"], kind.other)) == (409, "estimate_order_already_placed")
        assert fetched(payer, estimate["id"]) == estimate
        assert entries(run_sql, estimate["id"]) == []
        payer.post(f"/orders/{order['id']}/cancel").raise_for_status()
    changed = put(payer, kind, estimate["id"], kind.other)
    assert changed.status_code == 200
    # The cancelled order still says what was asked then.
    assert payer.get(f"/orders/{order['id']}").json()["requested_quantity"] == order["requested_quantity"]
    again = payer.post("/orders/by-estimate", json={"estimate_id": estimate["id"]}).json()
    assert Decimal(again["requested_quantity"]) * 1_000_000 == grams(changed.json())


@each_kind
def test_only_ones_own_estimate_of_that_kind_is_changed(
    api: httpx.Client, payer: httpx.Client, refusal: Refusal, kind: Kind
) -> None:
    others = [made(api, other) for other in KINDS if other is not kind]
    foreign = made(payer, kind)
    for estimate_id in (*(other["id"] for other in others), foreign["id"], str(uuid4()), "x", "%00"):
        assert refusal(put(api, kind, estimate_id, kind.other)) == (404, "not_found")
    assert [fetched(api, other["id"]) for other in others] == others
    assert fetched(payer, foreign["id"]) == foreign


@each_kind
def test_a_request_that_is_refused_changes_nothing(
    api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], kind: Kind
) -> None:
    estimate = made(api, kind)
    for body in (
        {},
        kind.other | {"nmae": "x"},
        kind.other | {"name": ""},
        kind.other | {"idempotency_key": ""},
    ):
        assert refusal(put(api, kind, estimate["id"], body)) == (400, "validation_error")
    unknown = {"bundle_selection": [{"bundle_id": str(uuid4())}]}
    answer = put(api, kind, estimate["id"], kind.other | unknown)
    assert refusal(answer) == (400, "bundle_selection_bundle_invalid")
    assert fetched(api, estimate["id"]) == estimate
    assert entries(run_sql, estimate["id"]) == []


@each_kind
def test_a_disabled_key_changes_nothing_from_that_very_moment(
    service: Service, api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], kind: Kind
) -> None:
    payer = open_payer(service, mode=Mode.TEST)
    with payer.client() as client:
        estimate = made(client, kind)
        # Nobody is told: what the service keeps in memory still says that the key is good.
        run_sql("UPDATE api_keys SET disabled_at = now() WHERE key_id = $1", payer.key.key_id)
        assert refusal(put(client, kind, estimate["id"], kind.other)) == (401, "unauthorised")
    api.headers["Lune-Account"] = str(payer.account.account_id)
    assert fetched(api, estimate["id"]) == estimate


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CHANGEABLE], ids=str)
def test_other_kinds_are_not_replaced(api: httpx.Client, refusal: Refusal, kind: Kind) -> None:
    estimate = made(api, kind)
    assert refusal(put(api, kind, estimate["id"], kind.other)) == (405, "method_not_allowed")


# At once.


def test_an_order_has_the_mass_that_its_estimate_has_in_the_end_whoever_was_first(
    service: Service, payer: httpx.Client, second_url: str, refusal: Refusal
) -> None:
    kind = BY_NAME["electricity"]
    for number in range(ROUNDS):
        base = ("", second_url)[number % 2]
        wanted = {"estimate_id": made(payer, kind)["id"]}
        changed, ordered = at_once(
            partial(put, payer, kind, wanted["estimate_id"], kind.other, base),
            partial(payer.post, "/orders/by-estimate", json=wanted),
        )
        assert ordered.status_code == 200, ordered.text
        if changed.status_code != 200:
            assert refusal(changed) == (409, "estimate_order_already_placed")
        final = fetched(payer, wanted["estimate_id"])
        assert Decimal(ordered.json()["requested_quantity"]) * 1_000_000 == grams(final)
        assert (
            (grams(final) == grams(changed.json())) if changed.status_code == 200 else not final["changed_at"]
        )
    assert broken_rules(service.database_url) == {}


def test_a_change_waits_for_an_order_that_is_being_placed_and_is_then_refused(
    service: Service, payer: httpx.Client, refusal: Refusal
) -> None:
    kind = BY_NAME["electricity"]
    wanted = {"estimate_id": made(payer, kind)["id"]}
    calls = [lambda: payer.post("/orders/by-estimate", json=wanted)] * 4
    calls += [lambda: put(payer, kind, wanted["estimate_id"], kind.other)] * 4
    answers = at_once(*calls)
    assert [answer.status_code for answer in answers[:4]].count(200) == 1
    (order,) = [answer.json() for answer in answers[:4] if answer.status_code == 200]
    assert {answer.status_code for answer in answers[4:]} <= {200, 409}
    final = fetched(payer, wanted["estimate_id"])
    assert Decimal(order["requested_quantity"]) * 1_000_000 == grams(final)
    assert refusal(put(payer, kind, wanted["estimate_id"], kind.body))[0] == 409


def test_of_changes_at_once_each_is_carried_out_and_the_last_one_stands(
    payer: httpx.Client, second_url: str, run_sql: Callable[..., Any]
) -> None:
    kind = BY_NAME["electricity"]
    for _ in range(5):
        estimate = made(payer, kind)
        amounts = [str(100 + number) for number in range(8)]
        answers = at_once(
            *(
                partial(put, payer, kind, estimate["id"], consuming(amount), base)
                for amount, base in zip(amounts, ("", second_url) * 4, strict=True)
            )
        )
        assert [answer.status_code for answer in answers] == [200] * len(amounts)
        told = entries(run_sql, estimate["id"])
        assert len(told) == len(amounts)
        # Each change began where the one before had ended.
        states = [json.loads(told[0]["before"])] + [json.loads(entry["after"]) for entry in told]
        assert [json.loads(entry["before"]) for entry in told] == states[:-1]
        assert states[0]["request"] == estimate["request"]
        final = fetched(payer, estimate["id"])
        assert states[-1]["request"] == final["request"]
        assert final in [answer.json() for answer in answers]


def test_of_estimates_that_are_given_one_key_at_once_one_has_it(
    api: httpx.Client, second_url: str, refusal: Refusal
) -> None:
    kind = BY_NAME["electricity"]
    for _ in range(5):
        estimates = [made(api, kind)["id"] for _ in range(4)]
        body = kind.other | {"idempotency_key": str(uuid4())}
        answers = at_once(
            *(
                partial(put, api, kind, estimate, body, base)
                for estimate, base in zip(estimates, ("", second_url) * 2, strict=True)
            )
        )
        (winner,) = [answer.json()["id"] for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer.status_code != 200:
                assert refusal(answer) == (409, "estimate_idempotency_already_exists")
                assert answer.headers["location"].endswith(winner)
