"""What a key may do, from where, until when; rotation; and revocation that every process knows of at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from tests.estimating import CHANGEABLE, KINDS
from tests.paying import on_pool, open_payer
from tests.support import Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.application.manage_keys import KeyWishes, issue_key, revoke_key, rotate_key
from tonne.application.open_accounts import NewKey
from tonne.domain.accounts import BUYER_SCOPES, Mode, Scope
from tonne.domain.audit import SERVICE
from tonne.http.addresses import client_address
from tonne.http.app import V1
from tonne.http.scopes import NEEDED
from tonne.storage.audit_checks import verify_chains

Refusal = Callable[[httpx.Response], tuple[int, str]]
KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
# Whoever may order or look at orders may look at what they stand on.
READ_EITHER = (
    "/estimates",
    "/estimates/x",
    *(f"/estimates/{kind.path}/x" for kind in KINDS),
    "/estimates/transactions/by-idempotency-key/x",
    "/emission-factors",
    "/emission-factors/regions",
    "/emission-factors/by-id/x",
)


def issue(service: Service, **wishes: Any) -> NewKey:
    """A test key like this, known to the service."""
    account = service.key().account
    return on_pool(
        service.database_url,
        lambda pool: issue_key(pool, account, KeyWishes(**wishes), at=utc_now(), actor=SERVICE),
    )


def ask(
    base_url: str, key: str, method: str = "GET", path: str = "/accounts/me", **rest: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} | rest.pop("headers", {})
    return httpx.request(method, f"{base_url}/v1{path}", headers=headers, trust_env=False, timeout=60, **rest)


# Scopes.


def test_every_operation_has_its_scopes() -> None:
    names = {handler.operation_id for handler in V1}
    assert names <= set(NEEDED)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("orders:read", "GET", "/orders", None),
        ("orders:read", "GET", "/orders/by-idempotency-key/x", None),
        ("orders:read", "GET", "/orders/x/certificate", None),
        ("orders:write", "POST", "/orders/by-mass", KILOGRAM),
        ("orders:write", "POST", "/orders/by-value", {"value": "5"}),
        ("orders:write", "POST", "/orders/x/cancel", None),
        ("orders:write", "POST", "/test/orders/x/advance", None),
        *(("orders:write", "POST", f"/estimates/{kind.path}", {}) for kind in KINDS),
        *(("orders:write", "PUT", f"/estimates/{kind.path}/x", {}) for kind in CHANGEABLE),
        ("orders:write", "POST", "/estimates/transactions/batch", []),
        *((scope, "GET", path, None) for scope in ("orders:read", "orders:write") for path in READ_EITHER),
        ("orders:read", "POST", "/orders/by-mass/quote", KILOGRAM),
        ("orders:write", "POST", "/orders/by-mass/quote", KILOGRAM),
        ("catalogue:read", "GET", "/bundles", None),
        ("catalogue:read", "GET", "/projects", None),
        ("catalogue:read", "GET", "/bundle-selections", None),
        ("accounts:write", "PUT", "/bundle-portfolios", {"bundle_portfolio_id": None}),
        ("operator", "GET", "/operator/keys", None),
    ],
)
def test_a_key_needs_the_scope_and_no_other(
    service: Service, refusal: Refusal, scope: str, method: str, path: str, body: Any
) -> None:
    is_either = path.endswith("quote") or path in READ_EITHER
    either = {"orders:read", "orders:write"} if is_either else {scope}
    without = issue(service, scopes=frozenset(Scope) - {Scope(name) for name in either})
    refused = ask(service.base_url, without.api_key, method, path, json=body)
    assert refusal(refused) == (403, "insufficient_scope")
    assert scope in refused.json()["error"]["message"]
    with_it = issue(service, scopes=frozenset({Scope(scope)}))
    assert ask(service.base_url, with_it.api_key, method, path, json=body).status_code != 403
    assert ask(service.base_url, without.api_key).status_code == 200


# Expiry and addresses.


def test_a_key_ends_exactly_at_its_time(service: Service, refusal: Refusal) -> None:
    at = utc_now()
    key = issue(service, expires_at=at + timedelta(hours=1)).key
    assert not key.has_expired(at + timedelta(minutes=60, milliseconds=-1))
    assert key.has_expired(at + timedelta(minutes=60))
    new = issue(service, expires_at=utc_now() + timedelta(seconds=2))
    assert ask(service.base_url, new.api_key).status_code == 200
    assert new.key.expires_at is not None
    while utc_now() < new.key.expires_at:
        pass
    assert refusal(ask(service.base_url, new.api_key)) == (401, "unauthorised")


def test_a_key_is_used_from_its_networks_only(service: Service, refusal: Refusal) -> None:
    here = issue(service, allowed_networks=(ip_network("2001:db8::/32"), ip_network("127.0.0.0/8")))
    assert ask(service.base_url, here.api_key).status_code == 200
    elsewhere = issue(service, allowed_networks=(ip_network("203.0.113.0/24"),))
    pretending = {"X-Forwarded-For": "203.0.113.7"}
    for headers in ({}, pretending):
        answer = ask(service.base_url, elsewhere.api_key, headers=headers)
        assert refusal(answer) == (403, "address_not_allowed")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.7"], "198.51.100.1"),
        ("192.0.2.1", ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", ["203.0.113.9, 203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", ["203.0.113.9", "203.0.113.7, 192.0.2.2"], "203.0.113.7"),
        ("192.0.2.1", ["nonsense"], "None"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("::ffff:198.51.100.1", [], "198.51.100.1"),
        ("2001:db8::1", [], "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed_whom_it_speaks_for(
    peer: str, forwarded: list[str], address: str
) -> None:
    scope: Any = {
        "client": (peer, 1234),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    assert str(client_address(scope, [ip_network("192.0.2.0/24")])) == address


# Rotation.


def test_a_rotated_key_works_on_for_the_overlap_beside_one_just_like_it(service: Service) -> None:
    old = issue(service, name="shop", scopes=frozenset({Scope.ORDERS_READ}), daily_cap_minor=5000)
    at = utc_now()
    new, ends_at = on_pool(
        service.database_url,
        lambda pool: rotate_key(pool, old.key.key_id, overlap=timedelta(hours=1), at=at, actor=SERVICE),
    )
    assert ends_at == at + timedelta(hours=1)
    assert (new.name, new.key.scopes, new.key.daily_cap_minor) == ("shop", old.key.scopes, 5000)
    assert [ask(service.base_url, key.api_key).status_code for key in (old, new)] == [200, 200]


def test_a_key_rotated_without_overlap_is_over_at_once(service: Service) -> None:
    old = issue(service)
    new, _ = on_pool(
        service.database_url,
        lambda pool: rotate_key(pool, old.key.key_id, overlap=timedelta(), at=utc_now(), actor=SERVICE),
    )
    assert [ask(service.base_url, key.api_key).status_code for key in (old, new)] == [401, 200]


def test_operators_make_list_rotate_and_disable_keys_over_http(service: Service, refusal: Refusal) -> None:
    account_id = str(service.key().account.account_id)
    live_id = str(service.key(mode=Mode.LIVE).account.account_id)
    operator = open_payer(service, scopes=frozenset({Scope.OPERATOR}), mode=Mode.TEST)
    with operator.client() as client:
        wanted = {"account_id": account_id, "scopes": ["orders:read"], "daily_cap": "12.50", "name": "web"}
        made = client.post("/operator/keys", json=wanted).json()
        assert made["key"]["scopes"] == ["orders:read"]
        assert made["key"]["daily_cap"] == "12.50"
        assert ask(service.base_url, made["api_key"], path="/orders").status_code == 200
        refused = client.post("/operator/keys", json={"account_id": live_id})
        assert refusal(refused) == (400, "validation_error")
        impossible: list[dict[str, Any]] = [
            {"daily_cap": "0.001"},
            {"allowed_networks": ["203.0.113.1/24"]},
            {"expires_at": "2020-01-01T00:00:00Z"},
            {"scopes": []},
        ]
        for bad in impossible:
            refused = client.post("/operator/keys", json={"account_id": account_id} | bad)
            assert refusal(refused) == (400, "validation_error")
        rotated = client.post(f"/operator/keys/{made['key']['id']}/rotate", json={"overlap_hours": 0}).json()
        assert ask(service.base_url, made["api_key"]).status_code == 401
        assert rotated["key"]["daily_cap"] == "12.50"
        path = f"/operator/keys/{rotated['key']['id']}"
        assert client.delete(path).json() == {"id": rotated["key"]["id"], "changed": True}
        assert ask(service.base_url, rotated["api_key"]).status_code == 401
        assert client.delete(path).json()["changed"] is False
        listed, after = [], ""
        while True:
            page = client.get(f"/operator/keys?limit=100{after}").json()
            listed += page["data"]
            if not page["has_more"]:
                break
            after = f"&after={page['next_cursor']}"
        assert made["api_key"] not in str(listed)
        assert {key["id"] for key in listed} >= {made["key"]["id"], rotated["key"]["id"]}
        assert {key["type"] for key in listed} == {"test"}


def test_what_is_done_to_keys_is_in_the_audit_log(service: Service, run_sql: Callable[..., Any]) -> None:
    new = issue(service)
    on_pool(service.database_url, lambda pool: revoke_key(pool, new.key.key_id, at=utc_now(), actor=SERVICE))
    entries = run_sql(
        "SELECT action, before, after FROM audit_entries WHERE object_id = $1 ORDER BY sequence",
        str(new.key.key_id),
    )
    assert [entry["action"] for entry in entries] == ["create", "disable"]
    assert new.api_key not in str(entries)

    async def verify(connection: Any) -> list[str]:
        async with connection.transaction():
            return list((await verify_chains(connection)).findings)

    assert on_connection(service.database_url, verify) == []


# Revocation.

SERVE = """
import sys, uvicorn
from pathlib import Path
from tonne.main import create_app
from tonne.settings import Settings
app = create_app(Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2]), background_work="off",
                          rate_limit_per_second=1_000_000))
config = uvicorn.Config(app, port=0, access_log=False, log_level="warning", lifespan="on")
server = uvicorn.Server(config)
import asyncio
async def run():
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task
asyncio.run(run())
"""


@contextmanager
def another_process(service: Service, data_dir: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A second service on the same database, in a process of its own."""
    command = [sys.executable, "-c", SERVE, service.database_url, str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


def revoke(service: Service, new: NewKey) -> None:
    on_pool(service.database_url, lambda pool: revoke_key(pool, new.key.key_id, at=utc_now(), actor=SERVICE))


def test_a_revoked_key_is_refused_by_the_next_request_in_every_process(
    service: Service, data_dir: Any
) -> None:
    with another_process(service, data_dir) as (process, other_url):
        for _ in range(20):
            new = issue(service)
            everywhere = (service.base_url, other_url)
            assert [ask(url, new.api_key).status_code for url in everywhere] == [200, 200]
            revoke(service, new)
            assert [ask(url, new.api_key).status_code for url in everywhere] == [401, 401]
        # One that does not respond is waited for until it answers nothing any more, and it does answer nothing.
        new = issue(service)
        assert ask(other_url, new.api_key).status_code == 200
        os.kill(process.pid, signal.SIGSTOP)
        revoke(service, new)
        assert ask(service.base_url, new.api_key).status_code == 401
        os.kill(process.pid, signal.SIGCONT)
        seen = {ask(other_url, new.api_key).status_code for _ in range(50)}
        assert seen <= {401, 503}
        assert ask(other_url, new.api_key).status_code == 401


def test_new_keys_do_all_that_buyers_do_unless_said_otherwise(service: Service) -> None:
    assert issue(service).key.scopes == BUYER_SCOPES
    assert Scope.OPERATOR not in BUYER_SCOPES
