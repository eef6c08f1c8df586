"""Contract, section 2: keys, acting for other accounts, live and test apart, API versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from tests.estimating import BY_NAME, KINDS
from tests.support import Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.application.open_accounts import NewKey, create_key, open_account_pair, open_organisation
from tonne.domain.accounts import Account, Mode
from tonne.domain.api_keys import format_api_key
from tonne.storage.accounts import disable_key
from tonne.storage.currencies import find_currency

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
CONSUMPTION = {"consumption": {"amount": "100", "unit": "kWh"}}
UNKNOWN_KEY = format_api_key(bytes(range(32)), Mode.TEST)

Refusal = Callable[[httpx.Response], tuple[int, str]]
Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="module")
def stranger(service: Service, until: Until) -> NewKey:
    """A test key of another organisation."""

    async def open_all(connection: asyncpg.Connection) -> NewKey:
        other = await open_organisation(connection, "Example Freight", at=utc_now())
        dollar = find_currency("USD")
        pair = await open_account_pair(
            connection, other, name="Example Freight", currency=dollar, at=utc_now()
        )
        return await create_key(connection, pair[Mode.TEST], name="stranger", at=utc_now())

    new = on_connection(service.database_url, open_all)
    until(lambda: ask(service, new.api_key).status_code == 200)
    return new


def new_key(service: Service, until: Until, account: Account | None = None) -> NewKey:
    wanted = account or service.key().account
    new = on_connection(service.database_url, lambda c: create_key(c, wanted, name="another", at=utc_now()))
    until(lambda: ask(service, new.api_key).status_code == 200)
    return new


def ask(service: Service, key: str, path: str = "/accounts/me", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client() as client:
        return client.get(path, headers={"Authorization": f"Bearer {key}"} | named)


def order(client: httpx.Client, **rest: Any) -> dict[str, Any]:
    answer = client.post("/orders/by-mass", json=KILOGRAM | rest)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


# Keys.


def test_a_key_acts_for_its_own_account_unless_told_otherwise(service: Service) -> None:
    for new in service.keys.values():
        me = ask(service, new.api_key).json()
        assert (me["id"], me["type"]) == (str(new.account.account_id), new.account.mode.value)


def refused_authorizations() -> dict[str, Sequence[bytes]]:
    key = UNKNOWN_KEY.encode()
    return {
        "missing": [],
        "empty": [b""],
        "no scheme": [key],
        "another scheme": [b"Basic " + key],
        "scheme alone": [b"Bearer"],
        "scheme and blank": [b"Bearer "],
        "unknown": [b"Bearer " + key],
        "mistyped": [b"Bearer " + key[:-1] + b"!"],
        "cut off": [b"Bearer " + key[:-1]],
        "longer": [b"Bearer " + key + b"0"],
        "no key of ours": [b"Bearer secret"],
        "not ASCII": [b"Bearer \xff\xfe"],
        "very long": [b"Bearer " + b"x" * 20_000],
        "two tokens": [b"Bearer " + key + b" " + key],
    }


@pytest.mark.parametrize(
    "sent", [pytest.param(sent, id=why) for why, sent in refused_authorizations().items()]
)
@pytest.mark.parametrize("target", ["/v1/orders", "/v1/orders/by-mass", "/v1/nothing"])
def test_without_a_valid_key_everything_is_401_and_names_the_scheme(
    send: Callable[..., httpx.Response], refusal: Refusal, sent: Sequence[bytes], target: str
) -> None:
    answer = send("GET", target, headers=[("Authorization", value) for value in sent], key=None)
    assert refusal(answer) == (401, "unauthorised")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_authorization_headers_are_refused_even_if_both_are_right(
    service: Service, send: Callable[..., httpx.Response], refusal: Refusal
) -> None:
    right = ("Authorization", f"Bearer {service.key().api_key}")
    assert refusal(send("GET", "/v1/orders", headers=[right])) == (401, "unauthorised")
    assert send("GET", "/v1/orders", headers=[right], key=None).status_code == 200


def test_the_scheme_is_read_in_any_case(service: Service) -> None:
    for scheme in ("bearer", "BEARER", "Bearer"):
        with service.client() as client:
            answer = client.get("/orders", headers={"Authorization": f"{scheme} {service.key().api_key}"})
            assert answer.status_code == 200


def test_a_key_of_the_right_shape_that_was_never_issued_is_401(service: Service, refusal: Refusal) -> None:
    assert refusal(ask(service, UNKNOWN_KEY)) == (401, "unauthorised")


def test_a_disabled_key_is_401_for_reads_and_writes(service: Service, until: Until, refusal: Refusal) -> None:
    new = new_key(service, until)
    on_connection(service.database_url, lambda c: disable_key(c, new.key, at=utc_now()))
    until(lambda: ask(service, new.api_key).status_code == 401)
    assert refusal(ask(service, new.api_key)) == (401, "unauthorised")
    with service.client() as client:
        client.headers["Authorization"] = f"Bearer {new.api_key}"
        assert refusal(client.post("/orders/by-mass", json=KILOGRAM)) == (401, "unauthorised")


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/orders/by-mass", KILOGRAM),
    ("POST", "/orders/by-value", {"value": "5"}),
    ("POST", "/orders/by-estimate", None),
    *(("POST", f"/estimates/{kind.path}", kind.body) for kind in KINDS),
    ("POST", "/estimates/transactions/batch", [BY_NAME["transaction"].body]),
    ("PUT", "/bundle-selections", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[path for _, path, _ in WRITES])
def test_a_disabled_key_writes_nothing_from_that_very_moment(
    service: Service,
    until: Until,
    refusal: Refusal,
    bundles: dict[str, str],
    run_sql: Callable[..., Any],
    method: str,
    path: str,
    body: Any,
) -> None:
    new = new_key(service, until)
    with service.client() as client:
        estimate = client.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
        if path.endswith("by-estimate"):
            body = {"estimate_id": estimate}
        elif method == "PUT":
            body = [{"bundle_id": bundles["Nature protection"], "percentage": 100}]
        client.headers["Authorization"] = f"Bearer {new.api_key}"
        before = written(run_sql)
        # Nobody is told: what the service keeps in memory still says that the key is good.
        run_sql("UPDATE api_keys SET disabled_at = now() WHERE key_id = $1", new.key.key_id)
        answer = client.request(method, path, json=body)
    assert refusal(answer) == (401, "unauthorised")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert written(run_sql) == before


def written(run_sql: Callable[..., Any]) -> list[int]:
    tables = ("orders", "estimates", "account_selections", "idempotent_requests")
    return [run_sql(f"SELECT count(*) FROM {table}")[0]["count"] for table in tables]


def test_a_new_key_may_carry_out_what_a_disabled_one_was_refused(
    service: Service, until: Until, refusal: Refusal, run_sql: Callable[..., Any]
) -> None:
    old, new = new_key(service, until), new_key(service, until)
    run_sql("UPDATE api_keys SET disabled_at = now() WHERE key_id = $1", old.key.key_id)
    with service.client() as client:
        client.headers["Idempotency-Key"] = str(uuid4())
        client.headers["Authorization"] = f"Bearer {old.api_key}"
        assert refusal(client.post("/orders/by-mass", json=KILOGRAM)) == (401, "unauthorised")
        client.headers["Authorization"] = f"Bearer {new.api_key}"
        answer = client.post("/orders/by-mass", json=KILOGRAM)
    # What someone without a valid key was told is not an answer to keep for this account.
    assert answer.status_code == 200, answer.text


# Acting for another account.


@pytest.mark.parametrize("header", ["Lune-Account", "Tonne-Account", "lune-account"])
def test_a_key_acts_for_another_account_of_its_organisation_and_mode(service: Service, header: str) -> None:
    euro = service.key("EUR").account
    with service.client() as client:
        client.headers.update(
            {"Authorization": f"Bearer {service.key().api_key}", header: str(euro.account_id)}
        )
        assert client.get("/accounts/me").json()["id"] == str(euro.account_id)
        placed = order(client)
    assert (placed["account_id"], placed["currency"]) == (str(euro.account_id), "EUR")
    with service.client("EUR") as own, service.client() as dollar:
        assert own.get(f"/orders/{placed['id']}").json() == placed
        assert dollar.get(f"/orders/{placed['id']}").status_code == 404


def test_a_key_may_name_its_own_account(service: Service) -> None:
    own = str(service.key().account.account_id)
    assert ask(service, service.key().api_key, Lune_Account=own).json()["id"] == own


@pytest.mark.parametrize("header", ["Lune-Account", "Tonne-Account"])
def test_accounts_out_of_reach_are_all_refused_with_the_same_bytes(
    service: Service,
    stranger: NewKey,
    refusal: Refusal,
    send: Callable[..., httpx.Response],
    header: str,
) -> None:
    own = service.key().account
    out_of_reach: list[str | bytes] = [
        str(own.sibling_id),
        str(service.key("EUR", Mode.LIVE).account.account_id),
        str(stranger.account.account_id),
        str(own.organisation_id),
        str(uuid4()),
        str(own.account_id).upper(),
        "{" + str(own.account_id) + "}",
        "me",
        "",
        "0",
        "x" * 5000,
        b"\xff",
        str(own.account_id) + ", " + str(own.account_id),
    ]
    answers = [send("GET", "/v1/orders", headers=[(header, account)]) for account in out_of_reach]
    for answer in answers:
        assert refusal(answer) == (403, "account_scope_incorrect")
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("second", ["Lune-Account", "Tonne-Account"])
def test_two_accounts_at_once_are_refused(
    service: Service, send: Callable[..., httpx.Response], second: str
) -> None:
    dollar, euro = str(service.key().account.account_id), str(service.key("EUR").account.account_id)
    for accounts in ([dollar, euro], [euro, dollar]):
        headers = list(zip(["Lune-Account", second], accounts, strict=True))
        # Guessing which of the two is meant could buy for the wrong one.
        assert send("GET", "/v1/accounts/me", headers=headers).status_code in (400, 403)


def test_nothing_is_ordered_for_an_account_out_of_reach(
    service: Service, stranger: NewKey, orders_stored: Callable[[], int]
) -> None:
    before = orders_stored()
    for account in (service.key().account.sibling_id, stranger.account.account_id):
        with service.client() as client:
            answer = client.post("/orders/by-mass", json=KILOGRAM, headers={"Lune-Account": str(account)})
            assert answer.status_code == 403
    assert orders_stored() == before


# What is not yours does not exist.


def test_live_and_test_see_nothing_of_each_other(service: Service) -> None:
    with service.client(mode=Mode.LIVE) as live, service.client(mode=Mode.TEST) as test:
        placed = {client: order(client, idempotency_key="one of each") for client in (live, test)}
        assert [placed[client]["mode"] for client in (live, test)] == ["live", "test"]
        for own, other in ((live, test), (test, live)):
            theirs = placed[other]
            assert own.get("/orders/by-idempotency-key/one of each").json() == placed[own]
            assert own.get(f"/orders/{theirs['id']}").status_code == 404
            assert theirs["id"] not in [found["id"] for found in own.get("/orders?limit=100").json()["data"]]


def test_a_foreign_id_is_answered_exactly_like_one_that_does_not_exist(
    service: Service, stranger: NewKey
) -> None:
    nothing = str(uuid4())
    with service.client() as own:
        placed = order(own, idempotency_key="mine")
        estimate = own.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
    paths = {
        placed["id"]: ["/orders/{}", "/orders/{}/certificate"],
        estimate: ["/estimates/electricity/{}"],
        "mine": ["/orders/by-idempotency-key/{}"],
    }
    for found, templates in paths.items():
        for template in templates:
            foreign = ask(service, stranger.api_key, template.format(found))
            missing = ask(service, stranger.api_key, template.format(nothing))
            assert foreign.status_code == missing.status_code == 404
            assert foreign.text.replace(found, nothing) == missing.text


def test_a_foreign_estimate_is_refused_exactly_like_one_that_does_not_exist(
    service: Service, stranger: NewKey, refusal: Refusal
) -> None:
    nothing = str(uuid4())
    with service.client() as own:
        estimate = own.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
        for path in ("/orders/by-estimate", "/orders/by-estimate/quote"):
            own.headers["Authorization"] = f"Bearer {stranger.api_key}"
            foreign = own.post(path, json={"estimate_id": estimate})
            missing = own.post(path, json={"estimate_id": nothing})
            assert refusal(foreign) == refusal(missing) == (400, "estimate_not_found")
            assert foreign.text.replace(estimate, nothing) == missing.text


def test_the_list_of_a_stranger_is_empty(service: Service, stranger: NewKey) -> None:
    with service.client() as own:
        order(own)
    assert ask(service, stranger.api_key, "/orders").json() == {
        "data": [],
        "has_more": False,
        "next_cursor": None,
    }


# Versions.


@pytest.mark.parametrize("path", ["/orders", "/nothing", "/accounts/me", "/bundles"])
def test_the_version_is_echoed_on_every_answer(api: httpx.Client, path: str) -> None:
    for headers in ({}, {"Lune-Version": "2024-08-08"}, {"Authorization": ""}):
        assert api.get(path, headers=headers).headers["lune-version"] == "2024-08-08"


@pytest.mark.parametrize("version", [b"2024-08-09", b"2024-8-8", b"latest", b"", b"v1", b"\xff"])
def test_an_unknown_version_is_refused_with_a_message_that_names_the_known_one(
    send: Callable[..., httpx.Response], refusal: Refusal, version: bytes
) -> None:
    answer = send("GET", "/v1/orders", headers=[("Lune-Version", version)])
    assert refusal(answer) == (400, "api_version_invalid")
    assert "2024-08-08" in answer.json()["error"]["message"]
