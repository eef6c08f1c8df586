"""Reading an order by its id: many at once, the short way and the router's."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support import Service, on_connection

from tonne.domain.accounts import Mode

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
# Of each request.
OWN = {"date", "x-request-id", "cf-ray", "ratelimit", "content-length"}


def ordered(client: httpx.Client) -> str:
    placed = client.post("/orders/by-mass", json=KILOGRAM)
    assert placed.status_code == 200, placed.text
    return str(placed.json()["id"])


@pytest.fixture(scope="module")
def order_id(service: Service) -> str:
    with service.client() as client:
        return ordered(client)


def encoded(text: str) -> str:
    return "".join(f"%{ord(character):02x}" for character in text)


ODD = {
    "itself": lambda known: known,
    "upper case": str.upper,
    "encoded": encoded,
    "one character encoded": lambda known: known[:-1] + encoded(known[-1]),
    "NUL": lambda _: "%00" * 36,
    "NUL at the end": lambda known: known[:35] + "%00",
    "a slash inside": lambda known: f"{known[:20]}%2F{known[21:]}",
    "a slash at the end": lambda known: f"{known[:35]}%2F",
    "dots": lambda _: "%2E" * 36,
    "no UTF-8": lambda _: "%FF" * 36,
    "spaces": lambda _: "%20" * 36,
    "letters": lambda _: "x" * 36,
    "another script's digits": lambda known: "%EF%BC%90" + known[1:],
    "without hyphens": lambda known: known.replace("-", "") + "0000",
    "a query": lambda known: f"{known}?limit=1&limit=2",
}


@pytest.mark.parametrize("odd", ODD)
def test_the_short_way_answers_as_the_router_does(service: Service, order_id: str, odd: str) -> None:
    path, _, query = ODD[odd](order_id).partition("?")
    answers = []
    for currency, mode in (("USD", Mode.TEST), ("EUR", Mode.TEST), ("USD", Mode.LIVE)):
        with service.client(currency, mode) as client:
            # The router takes a slash at the end for none; the short way leaves such a path to it.
            short, routed = (
                client.get(f"/orders/{path}{end}{'?' + query if query else ''}") for end in ("", "/")
            )
        assert short.status_code == routed.status_code
        assert said(short) == said(routed)
        assert heads(short) == heads(routed)
        answers.append(short.status_code)
    assert answers == (
        [200, 404, 404] if odd in ("itself", "encoded", "one character encoded", "a query") else [404] * 3
    )


def said(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "instance"}


def heads(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


def test_orders_of_many_accounts_that_are_read_at_once_are_each_their_own(service: Service) -> None:
    places = [("USD", Mode.TEST), ("EUR", Mode.TEST), ("USD", Mode.LIVE), ("EUR", Mode.LIVE)]
    ids = {}
    for place in places:
        with service.client(*place) as client:
            ids[place] = ordered(client)

    async def ask_all() -> list[tuple[Any, Any, httpx.Response]]:
        async with httpx.AsyncClient(
            base_url=f"{service.base_url}/v1", trust_env=False, timeout=30
        ) as client:
            asked = [(caller, owner) for _ in range(5) for caller in places for owner in places]
            answers = await asyncio.gather(
                *(
                    client.get(
                        f"/orders/{ids[owner]}",
                        headers={"Authorization": f"Bearer {service.key(*caller).api_key}"},
                    )
                    for caller, owner in asked
                )
            )
            return [(caller, owner, answer) for (caller, owner), answer in zip(asked, answers, strict=True)]

    for caller, owner, answer in asyncio.run(ask_all()):
        assert answer.status_code == (200 if caller == owner else 404)
        if caller == owner:
            assert answer.json()["id"] == ids[owner]
            assert answer.json()["mode"] == owner[1].value


def test_what_keeps_one_accounts_reads_waiting_keeps_no_others_waiting(service: Service) -> None:
    with service.client("USD", Mode.TEST) as one:
        paid = [ordered(one) for _ in range(3)]
        for order_id in paid:
            one.post(f"/test/orders/{order_id}/advance", json={"to": "paid"}).raise_for_status()
    with service.client("EUR", Mode.LIVE) as other:
        placed = ordered(other)

    async def read_while_locked(connection: asyncpg.Connection) -> httpx.Response:
        async with httpx.AsyncClient(
            base_url=f"{service.base_url}/v1", trust_env=False, timeout=30
        ) as client:

            def ask(order_id: str, key: str) -> asyncio.Task[httpx.Response]:
                headers = {"Authorization": f"Bearer {key}"}
                return asyncio.create_task(client.get(f"/orders/{order_id}", headers=headers))

            async with connection.transaction():
                # How far a paid order has come can't be read now; that another one is placed can.
                await connection.execute("LOCK TABLE pool_gaps IN ACCESS EXCLUSIVE MODE")
                waiting = [ask(order_id, service.key("USD", Mode.TEST).api_key) for order_id in paid]
                answer = await ask(placed, service.key("EUR", Mode.LIVE).api_key)
                assert not any(each.done() for each in waiting)
            for late in await asyncio.gather(*waiting):
                assert late.status_code == 200
        return answer

    answer = on_connection(service.database_url, read_while_locked)
    assert answer.status_code == 200
    assert answer.json()["id"] == placed
