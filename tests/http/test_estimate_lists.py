"""The list of an account's estimates: every one exactly once, newest first, and the filters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.estimating import BY_NAME, KINDS, Json, Refusal, buying, made
from tests.paying import open_payer
from tests.support import NOBODY, Service

from tonne.application.identifiers import utc_now

PAGES_MAX = 1000
ELECTRICITY = BY_NAME["electricity"]

Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def fresh(service: Service) -> Iterator[httpx.Client]:
    """A client of an account of its own, without estimates."""
    with open_payer(service).client() as client:
        yield client


def walked(client: httpx.Client, **parameters: str) -> list[Json]:
    """Walk the list to its end."""
    found: list[Json] = []
    for _ in range(PAGES_MAX):
        answer = client.get("/estimates", params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"data", "has_more", "next_cursor"}
        assert (page["next_cursor"] is None) is (page["has_more"] is False)
        found += page["data"]
        if not page["has_more"]:
            return found
        assert page["data"]
        parameters["after"] = page["next_cursor"]
    pytest.fail("the walk does not end")


def ids(found: list[Json]) -> list[str]:
    return [estimate["id"] for estimate in found]


def test_an_empty_list_is_one_empty_page(fresh: httpx.Client) -> None:
    assert fresh.get("/estimates").json() == {"data": [], "has_more": False, "next_cursor": None}


def test_a_walk_sees_each_estimate_once_newest_first_as_it_is_by_its_id(fresh: httpx.Client) -> None:
    estimates = [made(fresh, kind) for kind in KINDS for _ in range(2)]
    estimates += fresh.post("/estimates/transactions/batch", json=[buying()] * 5).json()
    for limit in ("1", "4", "7", "20", "21", "22", "100"):
        assert walked(fresh, limit=limit) == estimates[::-1]
    assert len(fresh.get("/estimates").json()["data"]) == 10


def test_a_replaced_estimate_keeps_its_place(fresh: httpx.Client) -> None:
    estimates = ids([made(fresh, ELECTRICITY) for _ in range(4)])
    first = fresh.get("/estimates?limit=2").json()
    fresh.put(f"/estimates/electricity/{estimates[3]}", json=ELECTRICITY.other).raise_for_status()
    fresh.put(f"/estimates/electricity/{estimates[0]}", json=ELECTRICITY.other).raise_for_status()
    rest = walked(fresh, after=first["next_cursor"])
    assert ids(first["data"]) + ids(rest) == estimates[::-1]
    assert ids(walked(fresh)) == estimates[::-1]


def test_a_walk_during_inserts_sees_each_earlier_estimate_exactly_once(fresh: httpx.Client) -> None:
    earlier = set(ids([made(fresh, ELECTRICITY) for _ in range(40)]))
    stop = threading.Event()

    def insert() -> None:
        while not stop.is_set():
            made(fresh, ELECTRICITY)

    with ThreadPoolExecutor(4) as pool:
        inserting = [pool.submit(insert) for _ in range(4)]
        try:
            seen = ids(walked(fresh, limit="7"))
        finally:
            stop.set()
        for thread in inserting:
            thread.result()
    assert len(seen) == len(set(seen))
    assert earlier <= set(seen)


def test_an_account_lists_its_own_estimates_only(service: Service, fresh: httpx.Client) -> None:
    own = made(fresh, ELECTRICITY)
    with open_payer(service).client() as other:
        foreign = made(other, ELECTRICITY)
        assert ids(walked(other)) == [foreign["id"]]
        assert ids(walked(other, after=own["id"])) in ([], [foreign["id"]])
    assert ids(walked(fresh)) == [own["id"]]


# Filters.


def test_estimates_are_filtered_by_kind(fresh: httpx.Client, refusal: Refusal) -> None:
    estimates = {kind.name: made(fresh, kind) for kind in KINDS}
    for name, estimate in estimates.items():
        assert walked(fresh, kind=name) == [estimate]
    for kind in ("", "FLIGHT", "transactions", "flight,shipping", " flight"):
        answer = fresh.get("/estimates", params={"kind": kind})
        assert refusal(answer) == (400, "validation_error")
        assert "multi_leg_shipping" in answer.json()["error"]["message"]


def test_estimates_are_filtered_by_their_exact_name(fresh: httpx.Client) -> None:
    named = {name: made(fresh, ELECTRICITY, name=name)["id"] for name in ("a", "A", "a b&c=d", "ключ%", "a_")}
    made(fresh, ELECTRICITY)
    for name, estimate in named.items():
        assert ids(walked(fresh, name=name)) == [estimate]
    for name in ("", "b", "%", "a%", "_"):
        assert walked(fresh, name=name) == []


def test_estimates_are_filtered_by_time_from_inclusive_to_exclusive(
    fresh: httpx.Client, until: Until
) -> None:
    first = made(fresh, ELECTRICITY)
    until(lambda: utc_now() > datetime.fromisoformat(first["created_at"]))
    second = made(fresh, ELECTRICITY)
    at = second["created_at"]
    assert ids(walked(fresh, created_from=at)) == [second["id"]]
    assert ids(walked(fresh, created_to=at)) == [first["id"]]
    assert walked(fresh, created_from=at, created_to=at) == []
    after = (datetime.fromisoformat(at) + timedelta(milliseconds=1)).isoformat()
    assert walked(fresh, created_from=after) == []
    assert ids(walked(fresh, created_to=after, created_from=first["created_at"])) == ids([second, first])


def test_estimates_are_filtered_by_metadata(fresh: httpx.Client) -> None:
    first = made(fresh, ELECTRICITY, metadata={"trip": "1", "team": "a b&c=d"})["id"]
    second = made(fresh, BY_NAME["flight"], metadata={"trip": "2", "team": "a b&c=d"})["id"]
    third = made(fresh, ELECTRICITY, metadata={"ключ": "знач]ение", "": "", "a[b]": "c"})["id"]
    made(fresh, ELECTRICITY)
    made(fresh, ELECTRICITY, metadata={})
    assert ids(walked(fresh, **{"metadata[trip]": "1"})) == [first]
    assert ids(walked(fresh, **{"metadata[team]": "a b&c=d", "limit": "1"})) == [second, first]
    assert ids(walked(fresh, **{"metadata[team]": "a b&c=d", "kind": "flight"})) == [second]
    assert walked(fresh, **{"metadata[team]": "a b&c=d", "metadata[trip]": "3"}) == []
    for name, value in (("ключ", "знач]ение"), ("", ""), ("a[b]", "c")):
        assert ids(walked(fresh, **{f"metadata[{name}]": value})) == [third]


def test_filters_hold_over_pages(fresh: httpx.Client) -> None:
    wanted = []
    for _ in range(5):
        wanted.append(made(fresh, ELECTRICITY, name="x")["id"])
        made(fresh, ELECTRICITY)
    assert ids(walked(fresh, name="x", limit="2")) == wanted[::-1]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "pagination_limit_invalid"),
        ("limit=101", "pagination_limit_invalid"),
        ("limit=", "pagination_limit_invalid"),
        ("after=x", "id_invalid"),
        ("after=" + NOBODY.upper(), "id_invalid"),
        ("after=" + quote("' OR 1=1 --"), "id_invalid"),
        ("created_from=2026-01-31", "validation_error"),
        ("created_to=2026-02-30T00:00:00Z", "validation_error"),
        ("name=a&name=b", "validation_error"),
        ("name=%00", "validation_error"),
        ("metadata=1", "validation_error"),
        ("metadata[a]=1&metadata[a]=2", "validation_error"),
        ("status=placed", "validation_error"),
        ("Kind=flight", "validation_error"),
    ],
)
def test_a_query_that_can_not_be_one_is_refused(
    api: httpx.Client, refusal: Refusal, query: str, code: str
) -> None:
    assert refusal(api.get(f"/estimates?{query}")) == (400, code)
