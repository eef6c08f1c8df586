"""Contract, section 10: the account that is calling, and its bundle selection."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support import Service, serving

from tonne.domain.accounts import Mode
from tonne.settings import Settings

TONNE = {"mass": {"amount": "1", "unit": "t"}}
PROPERTIES = {
    "id", "name", "organisation_id", "organisation_type", "handle", "currency", "type", "logo", "beneficiary",
    "bundle_portfolio_id", "external_pages_visibility", "scope", "sibling_id",
}  # fmt: skip
NATURE, DURABLE, SUPER = "Nature protection", "Durable carbon removal", "Superpollutant destruction"

Refusal = Callable[[httpx.Response], tuple[int, str]]
Until = Callable[[Callable[[], Any]], Any]


def choice(bundle_id: str, percentage: Any = None) -> dict[str, Any]:
    return (
        {"bundle_id": bundle_id} if percentage is None else {"bundle_id": bundle_id, "percentage": percentage}
    )


def shares(answer: httpx.Response) -> list[tuple[str, str]]:
    """The bundles and quantities of a tonne that was quoted or ordered."""
    assert answer.status_code == 200, answer.text
    return [(line["bundle_id"], line["quantity"]) for line in answer.json()["bundles"]]


# The account.


def test_an_account_has_every_property_of_the_contract(service: Service) -> None:
    for (currency, mode), new in service.keys.items():
        with service.client(currency, mode) as client:
            me = client.get("/accounts/me").json()
        assert set(me) == PROPERTIES
        assert me == me | {
            "id": str(new.account.account_id),
            "organisation_id": str(new.account.organisation_id),
            "organisation_type": "shipper",
            "name": new.account.name,
            "currency": currency,
            "type": mode.value,
            "beneficiary": new.account.beneficiary,
            "scope": "account",
            "external_pages_visibility": "private",
            "handle": None,
            "logo": None,
            "bundle_portfolio_id": None,
        }


def test_live_and_test_accounts_are_each_others_siblings(service: Service) -> None:
    with service.client(mode=Mode.LIVE) as live, service.client(mode=Mode.TEST) as test:
        mine, other = live.get("/accounts/me").json(), test.get("/accounts/me").json()
    assert (mine["sibling_id"], other["sibling_id"]) == (other["id"], mine["id"])


# The bundle selection.


def test_an_account_without_a_selection_of_its_own_has_the_platforms(
    service: Service, bundles: dict[str, str]
) -> None:
    with service.client("EUR") as client:
        assert client.get("/bundle-selections").json() == [
            {"bundle_id": bundles[NATURE], "percentage": 95},
            {"bundle_id": bundles[DURABLE], "percentage": 5},
        ]


def test_a_selection_once_put_is_got_and_used_by_the_next_orders_and_quotes(
    service: Service, bundles: dict[str, str], until: Until
) -> None:
    wanted = [choice(bundles[SUPER], "66.67"), choice(bundles[NATURE], "33.33")]
    with service.client() as client:
        assert client.put("/bundle-selections", json=wanted).json() == wanted
        assert client.get("/bundle-selections").json() == wanted
        expected = [(bundles[SUPER], "0.6667"), (bundles[NATURE], "0.3333")]
        until(lambda: shares(client.post("/orders/by-mass/quote", json=TONNE)) == expected)
        assert shares(client.post("/orders/by-mass", json=TONNE)) == expected
        # One that is named wins.
        named = TONNE | {"bundle_selection": [choice(bundles[DURABLE])]}
        assert shares(client.post("/orders/by-mass", json=named)) == [(bundles[DURABLE], "1")]


def test_a_selection_reaches_every_service_on_the_database(
    service: Service, bundles: dict[str, str], until: Until
) -> None:
    with (
        serving(Settings(database_url=service.database_url, rate_limit_per_second=1_000_000)) as other,
        service.client("ISK") as client,
    ):
        assert client.put("/bundle-selections", json=[choice(bundles[DURABLE], 100)]).status_code == 200
        path = f"{other}/v1/orders/by-mass/quote"
        until(lambda: shares(client.post(path, json=TONNE)) == [(bundles[DURABLE], "1")])


def test_a_selection_replaces_the_one_before_and_is_one_accounts_own(
    service: Service, bundles: dict[str, str]
) -> None:
    with service.client("EUR", Mode.LIVE) as client, service.client("EUR", Mode.TEST) as sibling:
        before = sibling.get("/bundle-selections").json()
        for wanted in (
            [choice(bundles[NATURE], 100)],
            [choice(bundles[SUPER], 1), choice(bundles[DURABLE], 99)],
        ):
            assert client.put("/bundle-selections", json=wanted).json() == wanted
            assert client.get("/bundle-selections").json() == wanted
        assert sibling.get("/bundle-selections").json() == before


@pytest.mark.parametrize(
    ("sent", "printed"), [("33.30", "33.3"), ("50.00", 50), (50, 50), ("050", 50), ("0.05", "0.05")]
)
def test_percentages_are_printed_as_integers_or_as_decimals_without_trailing_zeros(
    service: Service, bundles: dict[str, str], sent: Any, printed: Any
) -> None:
    rest = {"33.30": "66.70", "0.05": "99.95"}.get(sent, 50)
    with service.client("ISK", Mode.LIVE) as client:
        put = client.put(
            "/bundle-selections", json=[choice(bundles[NATURE], sent), choice(bundles[SUPER], rest)]
        )
        assert put.json()[0]["percentage"] == printed
        assert client.get("/bundle-selections").json() == put.json()


def test_a_selection_without_percentages_is_split_evenly(service: Service, bundles: dict[str, str]) -> None:
    with service.client("ISK", Mode.LIVE) as client:
        put = client.put(
            "/bundle-selections", json=[choice(bundles[name]) for name in (NATURE, DURABLE, SUPER)]
        )
    assert [each["percentage"] for each in put.json()] == [34, 33, 33]


REFUSED: dict[str, tuple[Callable[[dict[str, str]], Any], str]] = {
    "empty": (lambda _: [], "validation_error"),
    "null": (lambda _: None, "validation_error"),
    "an object": (lambda bundles: choice(bundles[NATURE], 100), "validation_error"),
    "without a bundle": (lambda _: [{"percentage": 100}], "validation_error"),
    "a bundle twice": (lambda bundles: [choice(bundles[NATURE], 50)] * 2, "validation_error"),
    "a typo": (lambda bundles: [{"bundle_id": bundles[NATURE], "percent": 100}], "validation_error"),
    "a float": (lambda bundles: [choice(bundles[NATURE], 100.0)], "validation_error"),
    "101 bundles": (lambda _: [choice(str(uuid4())) for _ in range(101)], "validation_error"),
    "an unknown bundle": (lambda _: [choice(str(uuid4()))], "bundle_selection_bundle_invalid"),
    "no bundle's id": (lambda _: [choice("nature")], "bundle_selection_bundle_invalid"),
    "99 percent": (lambda bundles: [choice(bundles[NATURE], 99)], "bundle_selection_ratios_invalid"),
    "for some only": (
        lambda bundles: [choice(bundles[NATURE], 100), choice(bundles[SUPER])],
        "bundle_selection_ratios_invalid_format",
    ),
    "three decimals": (
        lambda bundles: [choice(bundles[NATURE], "99.999"), choice(bundles[SUPER], "0.001")],
        "bundle_selection_ratios_invalid_format",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_selection_that_cannot_be_one_is_refused_and_the_old_one_stays(
    service: Service, bundles: dict[str, str], refusal: Refusal, why: str
) -> None:
    wrong, code = REFUSED[why]
    with service.client(mode=Mode.LIVE) as client:
        before = client.get("/bundle-selections").json()
        body = json.dumps(wrong(bundles))
        answer = client.put("/bundle-selections", content=body, headers={"Content-Type": "application/json"})
        assert refusal(answer) == (400, code)
        assert client.get("/bundle-selections").json() == before


def test_two_selections_put_at_once_do_not_mix(service: Service, bundles: dict[str, str]) -> None:
    wanted = [
        [choice(bundles[NATURE], 60), choice(bundles[DURABLE], 40)],
        [choice(bundles[SUPER], 10), choice(bundles[NATURE], 90)],
    ]
    with service.client(mode=Mode.LIVE) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: client.put("/bundle-selections", json=wanted[i % 2]), range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert client.get("/bundle-selections").json() in wanted


def test_the_order_right_after_a_selection_was_set_buys_it(service: Service) -> None:
    with service.client("ISK") as client:
        bundles = [bundle["id"] for bundle in client.get("/bundles").json()["data"]][:2]
        for turn in range(30):
            chosen = bundles[turn % 2]
            assert client.put("/bundle-selections", json=[{"bundle_id": chosen}]).status_code == 200
            ordered = client.post("/orders/by-mass", json={"mass": {"amount": "5", "unit": "t"}}).json()
            assert [line["bundle_id"] for line in ordered["bundles"]] == [chosen]
