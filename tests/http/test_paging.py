"""Contract, section 6: newest first, every row exactly once, whatever is inserted meanwhile; and the filters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from tests.support import NOBODY, Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.application.open_accounts import NewKey, create_key, open_account_pair
from tonne.domain.accounts import Mode
from tonne.storage.currencies import find_currency

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
WALK_PAGES_MAX = 1000

Refusal = Callable[[httpx.Response], tuple[int, str]]
Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def fresh(service: Service, until: Until) -> Iterator[httpx.Client]:
    """A client of an account of its own, without orders."""

    async def open_account(connection: Any) -> NewKey:
        pair = await open_account_pair(
            connection,
            service.key().account.organisation,
            name="Example Paging",
            currency=find_currency("USD"),
            at=utc_now(),
        )
        return await create_key(connection, pair[Mode.TEST], name="paging", at=utc_now())

    key = on_connection(service.database_url, open_account).api_key
    with service.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        until(lambda: client.get("/accounts/me").status_code == 200)
        yield client


def place(client: httpx.Client, **rest: Any) -> dict[str, Any]:
    answer = client.post("/orders/by-mass", json=KILOGRAM | rest)
    assert answer.status_code == 200, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def ids(page: httpx.Response) -> list[str]:
    assert page.status_code == 200, page.text
    return [found["id"] for found in page.json()["data"]]


def walk(client: httpx.Client, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
    """Follow `next_cursor` to the end."""
    for _ in range(WALK_PAGES_MAX):
        page = client.get(path, params=parameters).json()
        assert (page["next_cursor"] is None) is (page["has_more"] is False)
        assert set(page) == {"data", "has_more", "next_cursor"}
        yield page
        if not page["has_more"]:
            return
        assert page["data"], "a page with more to come is never empty"
        parameters["after"] = page["next_cursor"]
    pytest.fail("the walk does not end")


def walked(client: httpx.Client, path: str = "/orders", **parameters: str) -> list[str]:
    return [found["id"] for page in walk(client, path, **parameters) for found in page["data"]]


# Limits.


@pytest.mark.parametrize("path", ["/orders", "/bundles", "/projects"])
@pytest.mark.parametrize("limit", ["1", "2", "9", "10", "99", "100"])
def test_a_limit_from_1_to_100_is_taken(api: httpx.Client, path: str, limit: str) -> None:
    assert len(ids(api.get(f"{path}?limit={limit}"))) <= int(limit)


@pytest.mark.parametrize("path", ["/orders", "/bundles", "/projects"])
@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "1000000000000000000000", "1.0", "1e1", "0x10", "+1", " 1", "1 ", "1\n", "１", "٣", "²",
     "ten", "", "null", "1,2", "1;2"],
)  # fmt: skip
def test_any_other_limit_is_refused(api: httpx.Client, refusal: Refusal, path: str, limit: str) -> None:
    answer = api.get(f"{path}?limit={quote(limit)}")
    assert refusal(answer) == (400, "pagination_limit_invalid")
    assert "100" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=1",
        "limit=1&limit=2",
        "after=x&after=x",
        "page=2",
        "Limit=1",
        "limit[]=1",
        "offset=10",
        "=1",
    ],
)
@pytest.mark.parametrize("path", ["/orders", "/bundles", "/projects"])
def test_a_repeated_or_unknown_parameter_is_refused_and_named(
    api: httpx.Client, refusal: Refusal, path: str, query: str
) -> None:
    answer = api.get(f"{path}?{query}")
    assert refusal(answer) == (400, "validation_error")
    assert answer.json()["violations"][0]["pointer"] == query.partition("=")[0]


def test_ten_are_listed_unless_said_otherwise(fresh: httpx.Client) -> None:
    for _ in range(11):
        place(fresh)
    page = fresh.get("/orders").json()
    assert len(page["data"]) == 10
    assert page["has_more"] is True


# Walks.


def test_an_empty_list_is_one_empty_page(fresh: httpx.Client) -> None:
    assert fresh.get("/orders").json() == {"data": [], "has_more": False, "next_cursor": None}


def test_a_walk_sees_each_order_exactly_once_newest_first(fresh: httpx.Client) -> None:
    placed = [place(fresh)["id"] for _ in range(22)]
    for limit in ("1", "3", "7", "21", "22", "23", "100"):
        assert walked(fresh, limit=limit) == placed[::-1]


def test_a_page_that_is_exactly_full_is_the_last_one(fresh: httpx.Client) -> None:
    for _ in range(6):
        place(fresh)
    assert [len(page["data"]) for page in walk(fresh, "/orders", limit="3")] == [3, 3]
    assert [len(page["data"]) for page in walk(fresh, "/orders", limit="6")] == [6]
    assert [len(page["data"]) for page in walk(fresh, "/orders", limit="5")] == [5, 1]


def test_a_page_asked_for_again_is_the_same(fresh: httpx.Client) -> None:
    for _ in range(4):
        place(fresh)
    first = fresh.get("/orders?limit=2").json()
    second = fresh.get(f"/orders?limit=2&after={first['next_cursor']}").json()
    place(fresh)
    assert fresh.get(f"/orders?limit=2&after={first['next_cursor']}").json() == second


@pytest.mark.parametrize("limit", ["1", "7", "100"])
def test_a_walk_during_inserts_sees_each_earlier_order_exactly_once(fresh: httpx.Client, limit: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        earlier = set(pool.map(lambda _: place(fresh)["id"], range(60)))
        stop = threading.Event()

        def insert() -> set[str]:
            inserted = set()
            while not stop.is_set():
                inserted.add(place(fresh)["id"])
            return inserted

        inserting = [pool.submit(insert) for _ in range(4)]
        try:
            # The walk begins in the thick of it.
            earlier |= {place(fresh)["id"] for _ in range(5)}
            seen = walked(fresh, limit=limit)
        finally:
            stop.set()
        later = set().union(*(thread.result() for thread in inserting))
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen))
    assert earlier <= set(seen) <= earlier | later
    assert later, "nothing was inserted meanwhile"


@pytest.mark.parametrize("path", ["/bundles", "/projects"])
def test_the_catalogue_is_walked_the_same_way(api: httpx.Client, path: str) -> None:
    everything = walked(api, path, limit="100")
    assert len(set(everything)) == len(everything) >= 4
    for limit in ("1", "2", "3", str(len(everything))):
        assert walked(api, path, limit=limit) == everything


# Cursors.


@pytest.mark.parametrize(
    ("path", "code"),
    [("/orders", "id_invalid"), ("/projects", "id_invalid"), ("/bundles", "bundle_id_invalid")],
)
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "0", "1", NOBODY.upper(), "{" + NOBODY + "}", NOBODY.replace("-", ""), NOBODY + "\n",
     " " + NOBODY, "0" * 36, "x" * 5000, "' OR 1=1 --", "٣" * 36],
)  # fmt: skip
def test_a_cursor_that_cannot_be_one_is_refused(
    api: httpx.Client, refusal: Refusal, path: str, code: str, cursor: str
) -> None:
    assert refusal(api.get(f"{path}?after={quote(cursor)}")) == (400, code)


def test_a_foreign_cursor_shows_nothing_foreign(service: Service, fresh: httpx.Client) -> None:
    own = [place(fresh)["id"] for _ in range(3)]
    with service.client() as other:
        foreign = place(other)["id"]
    own += [place(fresh)["id"] for _ in range(2)]
    # It is only a place in time: the orders before it are one's own.
    assert walked(fresh, after=foreign) == own[:3][::-1]
    assert walked(fresh, after=str(uuid4())) in ([], own[::-1])


# Filters.


def test_orders_are_filtered_by_status(fresh: httpx.Client, run_sql: Callable[..., Any]) -> None:
    placed = [place(fresh)["id"] for _ in range(4)]
    run_sql(
        "UPDATE orders SET status = 'cancelled', cancelled_at = now() WHERE order_id::text = $1", placed[1]
    )
    assert walked(fresh, status="paid", limit="2") == [placed[3], placed[2], placed[0]]
    assert walked(fresh, status="cancelled") == [placed[1]]
    for status in ("received", "placed", "retiring", "complete", "failed"):
        assert walked(fresh, status=status) == []


@pytest.mark.parametrize("status", ["PLACED", "done", "", "placed,paid", " placed", "null"])
def test_an_unknown_status_is_refused_with_the_known_ones(
    api: httpx.Client, refusal: Refusal, status: str
) -> None:
    answer = api.get("/orders", params={"status": status})
    assert refusal(answer) == (400, "validation_error")
    assert "retiring" in answer.json()["error"]["message"]


def test_orders_are_filtered_by_time_from_inclusive_to_exclusive(fresh: httpx.Client, until: Until) -> None:
    first = place(fresh)
    until(lambda: utc_now() > datetime.fromisoformat(first["created_at"]))
    second = place(fresh)
    at = second["created_at"]
    assert walked(fresh, created_from=at) == [second["id"]]
    assert walked(fresh, created_to=at) == [first["id"]]
    assert walked(fresh, created_from=first["created_at"], created_to=at) == [first["id"]]
    assert walked(fresh, created_from=at, created_to=at) == []
    after = datetime.fromisoformat(at) + timedelta(milliseconds=1)
    assert walked(fresh, created_from=after.isoformat()) == []
    assert walked(fresh, created_to=after.isoformat()) == [second["id"], first["id"]]


def test_a_time_is_read_with_its_offset(fresh: httpx.Client) -> None:
    order = place(fresh)
    elsewhere = datetime.fromisoformat(order["created_at"]) + timedelta(hours=2)
    same_moment = elsewhere.isoformat().replace("+00:00", "+02:00")
    assert walked(fresh, created_from=same_moment) == [order["id"]]
    assert walked(fresh, created_to=same_moment) == []


@pytest.mark.parametrize(
    "time",
    ["2026-01-31", "2026-01-31T09:30:00", "09:30", "now", "", "1769851800", "2026-02-30T00:00:00Z",
     "2026-01-31T25:00:00Z", "２026-01-31T09:30:00Z", "2026-01-31T09:30:00Zulu", "-2026-01-31T09:30:00Z"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["created_from", "created_to"])
def test_a_time_that_is_none_is_refused_with_an_example(
    api: httpx.Client, refusal: Refusal, name: str, time: str
) -> None:
    answer = api.get("/orders", params={name: time})
    assert refusal(answer) == (400, "validation_error")
    assert "T09:30:00Z" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
     "4714-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_time_at_the_edge_of_the_calendar_does_not_break_anything(api: httpx.Client, time: str) -> None:
    answer = api.get("/orders", params={"created_from": time})
    assert answer.status_code in (200, 400)


def test_orders_are_filtered_by_metadata(fresh: httpx.Client) -> None:
    first = place(fresh, metadata={"invoice": "1", "team": "a b&c=d"})["id"]
    second = place(fresh, metadata={"invoice": "2", "team": "a b&c=d"})["id"]
    third = place(fresh, metadata={"ключ": "знач]ение", "": "", "a[b]": "c"})["id"]
    place(fresh)
    assert walked(fresh, **{"metadata[invoice]": "1"}) == [first]
    assert walked(fresh, **{"metadata[team]": "a b&c=d", "limit": "1"}) == [second, first]
    assert walked(fresh, **{"metadata[team]": "a b&c=d", "metadata[invoice]": "2"}) == [second]
    assert walked(fresh, **{"metadata[team]": "a"}) == []
    assert walked(fresh, **{"metadata[invoices]": "1"}) == []
    for name, value in (("ключ", "знач]ение"), ("", ""), ("a[b]", "c")):
        assert walked(fresh, **{f"metadata[{name}]": value}) == [third]


@pytest.mark.parametrize(
    "query", ["metadata=1", "metadata[a=1", "metadata]a[=1", "metadata[a]=1&metadata[a]=2"]
)
def test_a_metadata_filter_without_its_key_is_refused(
    api: httpx.Client, refusal: Refusal, query: str
) -> None:
    assert refusal(api.get(f"/orders?{query}")) == (400, "validation_error")


def test_filters_go_together(fresh: httpx.Client) -> None:
    wanted = place(fresh, metadata={"a": "1"})
    place(fresh, metadata={"a": "2"})
    place(fresh)
    filters = {"status": "paid", "created_from": wanted["created_at"], "metadata[a]": "1"}
    assert walked(fresh, **filters) == [wanted["id"]]


def test_no_order_comes_from_an_offset_link_or_has_credits_of_a_project_yet(fresh: httpx.Client) -> None:
    place(fresh)
    project = fresh.get("/projects?limit=1").json()["data"][0]["id"]
    for name in ("offset_link_id", "project_id"):
        assert fresh.get("/orders", params={name: project}).json() == {
            "data": [],
            "has_more": False,
            "next_cursor": None,
        }
