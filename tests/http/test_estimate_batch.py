"""Many purchases estimated at once: each on its own, in order, in its currency at the rate of its day."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.estimating import Json, Refusal, buying, consuming, grams
from tests.paying import on_pool
from tests.support import Service

from tonne.application.identifiers import utc_now
from tonne.application.import_rates import RateFormat, import_rates, read_rates
from tonne.domain.audit import SERVICE

PATH = "/estimates/transactions/batch"
TOGETHER_SECONDS_MAX = 30


def batch(client: httpx.Client, rows: list[Any]) -> list[Json]:
    """Send a batch; an answer for each row."""
    answer = client.post(PATH, json=rows)
    assert answer.status_code == 200, answer.text
    told: list[Json] = answer.json()
    assert len(told) == len(rows)
    return told


def codes(told: list[Json]) -> list[str | None]:
    """The error code of each row; None for an estimate."""
    return [row["error"]["error_code"] if "error" in row else None for row in told]


def load_rates(service: Service, *rows: str) -> None:
    text = "\n".join(["base_currency,quote_currency,as_of,rate", *rows])
    rates = read_rates(text, layout=RateFormat.CSV, source="A bank of these tests")
    on_pool(service.database_url, lambda pool: import_rates(pool, rates, at=utc_now(), actor=SERVICE))


def at(day: str) -> Json:
    return {"transaction_processed_at": day}


@pytest.fixture
def estimates_stored(run_sql: Callable[..., Any]) -> Callable[[], int]:
    return lambda: int(run_sql("SELECT count(*) FROM estimates")[0]["count"])


# Rows.


def test_each_row_is_answered_in_order_as_if_it_had_been_sent_alone(api: httpx.Client) -> None:
    rows = [
        buying(str(100 + number), name=f"row {number}", metadata={"n": str(number)}) for number in range(50)
    ]
    told = batch(api, rows)
    for row, estimate in zip(rows, told, strict=True):
        assert estimate["name"] == row["name"]
        assert estimate["request"]["value"] == row["value"]
        assert api.get(f"/estimates/transactions/{estimate['id']}").json() == estimate
    alone = api.post("/estimates/transactions", json=rows[7]).json()
    own = {"id", "created_at"}
    assert {k: v for k, v in told[7].items() if k not in own} == {
        k: v for k, v in alone.items() if k not in own
    }
    assert len({estimate["id"] for estimate in told}) == len(rows)


BAD_ROWS = {
    "a number": b"1",
    "null": b"null",
    "an array": b"[]",
    "a string": b'"x"',
    "a string that is not UTF-8": b'"\xff"',
    "an empty object": b"{}",
    "an unknown property": json.dumps(buying(vallue="1")).encode(),
    "an unknown property inside": json.dumps(buying(value={"value": "1", "currency": "USD", "x": 1})).encode(),
    "a property twice": b'{"value":{"value":"1","value":"2","currency":"USD"},"merchant":{}}',
    "33 levels": b'{"metadata":' + b"[" * 32 + b"]" * 32 + b"}",
    "NUL": json.dumps(buying(name="a\u0000b")).encode(),
    "no value": json.dumps(buying(value=None)).encode(),
    "nothing": json.dumps(buying("0")).encode(),
    "a negative value": json.dumps(buying("-1")).encode(),
    "a number for a value": json.dumps(buying(1)).encode(),
    "an unknown currency": json.dumps(buying("1", "XXX")).encode(),
    "an unknown category": json.dumps(buying(merchant={"country_code": "USA", "category_code": "0000"})).encode(),
    "an unknown country": json.dumps(buying(merchant={"country_code": "US", "category_code": "5812"})).encode(),
    "another kind": json.dumps(consuming("1")).encode(),
}  # fmt: skip


@pytest.mark.parametrize("bad", list(BAD_ROWS.values()), ids=list(BAD_ROWS))
def test_a_bad_row_is_an_error_and_harms_no_other(
    api: httpx.Client, estimates_stored: Callable[[], int], bad: bytes
) -> None:
    before = estimates_stored()
    good = json.dumps(buying()).encode()
    body = b"[" + b",".join([good, bad, good]) + b"]"
    answer = api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert codes(told) == [None, "validation_error", None]
    assert told[1]["status"] == 400
    assert told[1]["errors"] == [told[1]["error"]]
    assert told[1]["violations"]
    assert estimates_stored() == before + 2


def test_an_unknown_bundle_of_a_row_is_told_for_that_row(api: httpx.Client) -> None:
    unknown = {"bundle_selection": [{"bundle_id": str(uuid4())}]}
    told = batch(api, [buying(), buying(**unknown)])
    assert codes(told) == [None, "bundle_selection_bundle_invalid"]


# Idempotency.


def test_of_rows_with_one_key_the_first_is_made_and_the_others_are_told_so(
    api: httpx.Client, estimates_stored: Callable[[], int]
) -> None:
    before = estimates_stored()
    one, two = ({"idempotency_key": str(uuid4())} for _ in range(2))
    rows = [buying("5", **two), buying("1", **one), buying("2"), buying("3", **one), buying("4", **two)]
    taken = "estimate_idempotency_already_exists"
    told = batch(api, rows)
    assert codes(told) == [None, None, None, taken, taken]
    assert estimates_stored() == before + 3
    again = batch(api, rows)
    assert codes(again) == [taken, taken, None, taken, taken]
    assert estimates_stored() == before + 4
    found = api.get(f"/estimates/transactions/by-idempotency-key/{one['idempotency_key']}").json()
    assert found == told[1]


def test_a_key_of_an_estimate_made_alone_is_taken_in_a_batch_and_the_other_way_round(
    api: httpx.Client, refusal: Refusal
) -> None:
    keys = [{"idempotency_key": str(uuid4())} for _ in range(2)]
    assert api.post("/estimates/electricity", json=consuming("1", **keys[0])).status_code == 200
    told = batch(api, [buying(**key) for key in keys])
    assert codes(told) == ["estimate_idempotency_already_exists", None]
    alone = api.post("/estimates/declared", json={"mass": {"amount": "1", "unit": "t"}, "methodology": "m", "source": "s"} | keys[1])  # fmt: skip
    assert refusal(alone) == (409, "estimate_idempotency_already_exists")
    assert alone.headers["location"] == f"/v1/estimates/transactions/{told[1]['id']}"


def test_batches_with_the_same_keys_at_once_make_each_once_whatever_their_order(
    service: Service, estimates_stored: Callable[[], int]
) -> None:
    before = estimates_stored()
    rows = [buying(str(number + 1), idempotency_key=str(uuid4())) for number in range(2500)]
    batches = [rows, rows[::-1], rows[1250:] + rows[:1250], rows[1250::-1] + rows[:1250:-1]]
    start = threading.Barrier(len(batches))

    def send(some: list[Json]) -> list[Json]:
        with service.client() as client:
            start.wait(timeout=30)
            return batch(client, some)

    with ThreadPoolExecutor(len(batches)) as pool:
        told = [row for answers in pool.map(send, batches) for row in answers]
    assert codes(told).count(None) == len(rows)
    assert {row["idempotency_key"] for row in told if "error" not in row} == {
        row["idempotency_key"] for row in rows
    }
    assert estimates_stored() == before + len(rows)


# Sizes.


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", "null", "1", "", "[", "[{}", "[1]x", "[NaN]", '[{"name":"\\ud800"}]', "[" * 200_000, '[{"a":' * 1000],
)  # fmt: skip
def test_a_body_that_is_no_list_of_purchases_is_refused(
    api: httpx.Client, refusal: Refusal, estimates_stored: Callable[[], int], body: str
) -> None:
    before = estimates_stored()
    answer = api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "validation_error")
    assert estimates_stored() == before


def test_ten_thousand_rows_are_estimated_and_one_more_is_refused(
    api: httpx.Client, refusal: Refusal, estimates_stored: Callable[[], int]
) -> None:
    before = estimates_stored()
    rows = [buying(str(number + 1)) for number in range(10_000)]
    answer = api.post(PATH, json=[*rows, buying()])
    assert refusal(answer) == (400, "validation_error")
    assert "10000" in answer.json()["error"]["message"]
    assert estimates_stored() == before
    began = time.monotonic()
    told = batch(api, rows)
    assert time.monotonic() - began < TOGETHER_SECONDS_MAX
    assert codes(told) == [None] * len(rows)
    assert [row["request"]["value"]["value"] for row in told] == [row["value"]["value"] for row in rows]
    assert estimates_stored() == before + len(rows)


def test_a_body_over_10_megabytes_is_refused(api: httpx.Client, refusal: Refusal) -> None:
    row = json.dumps(buying()).encode()
    for length, status in ((10_000_000, 200), (10_000_001, 413)):
        body = b"[" + row + b" " * (length - len(row) - 2) + b"]"
        answer = api.post(PATH, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
    assert refusal(answer) == (413, "payload_too_large")


def test_a_body_that_is_not_declared_json_is_refused(api: httpx.Client, refusal: Refusal) -> None:
    for media_type in ("text/plain", "application/x-ndjson"):
        answer = api.post(PATH, content=json.dumps([buying()]), headers={"Content-Type": media_type})
        assert refusal(answer) == (415, "unsupported_media_type")


# Currencies.


def test_a_purchase_counts_at_the_rate_of_its_day(service: Service, api: httpx.Client) -> None:
    # A dollar is half a złoty, and later a quarter; a krona is a tenth of a dollar.
    load_rates(service, "USD,PLN,2022-03-01,0.5", "USD,PLN,2022-06-01,0.25", "CZK,USD,2022-03-01,0.1")
    rows = [
        buying("50", "PLN", **at("2022-03-01")),
        buying("50", "PLN", **at("2022-05-31T23:59:59Z")),
        buying("50", "PLN", **at("2022-06-01")),
        buying("50", "CZK", **at("2022-12-31")),
        buying("50", "PLN", **at("2022-02-28")),
        buying("50", "SEK", **at("2022-06-01")),
    ]
    dollars = [buying(value, **at("2022-07-01")) for value in ("100", "100", "200", "5")]
    told, plain = batch(api, rows), batch(api, dollars)
    assert codes(told) == [None] * 4 + ["exchange_rate_not_found"] * 2
    assert [grams(row) for row in told[:4]] == [grams(row) for row in plain]
    for row, day, rate in (
        (told[0], "2022-03-01", "2"),
        (told[2], "2022-06-01", "4"),
        (told[3], "2022-03-01", "0.1"),
    ):
        step = row["calculation"][0]
        assert day in step["description"]
        assert re.fullmatch(rate + r" USD/(PLN|CZK)", step["inputs"]["rate"])
        assert step["source"] == "A bank of these tests"
    assert told[4]["status"] == told[5]["status"] == 409
    assert "2022-02-28" in told[4]["error"]["message"]
    assert "SEK" in told[5]["error"]["message"]


def test_a_purchase_alone_counts_at_the_rate_of_its_day_too(
    service: Service, api: httpx.Client, refusal: Refusal, estimates_stored: Callable[[], int]
) -> None:
    load_rates(service, "USD,HUF,2022-03-01,400")
    made = api.post("/estimates/transactions", json=buying("40000", "HUF", **at("2022-03-02"))).json()
    assert grams(made) == grams(batch(api, [buying("100", **at("2022-03-02"))])[0])
    before = estimates_stored()
    for body in (buying("1", "HUF", **at("2022-02-28")), buying("1", "TRY")):
        answer = api.post("/estimates/transactions", json=body)
        assert refusal(answer) == (409, "exchange_rate_not_found")
        answer = api.put(f"/estimates/transactions/{made['id']}", json=body)
        assert refusal(answer) == (409, "exchange_rate_not_found")
    assert estimates_stored() == before
    assert api.get(f"/estimates/{made['id']}").json() == made


def test_a_rate_that_is_replaced_later_changes_no_old_estimate(service: Service, api: httpx.Client) -> None:
    load_rates(service, "USD,THB,2022-03-01,30")
    old = batch(api, [buying("300", "THB", **at("2022-03-02"))])[0]
    load_rates(service, "USD,THB,2022-03-02,60")
    assert api.get(f"/estimates/{old['id']}").json() == old
    new = batch(api, [buying("300", "THB", **at("2022-03-02"))])[0]
    assert abs(grams(new) * 2 - grams(old)) <= Decimal(1)


def test_a_batch_is_not_repeatable_by_header_and_says_so(api: httpx.Client, refusal: Refusal) -> None:
    body = [
        {
            "value": {"value": "1", "currency": "USD"},
            "merchant": {"country_code": "USA", "category_code": "5812"},
        }
    ]
    answer = api.post("/estimates/transactions/batch", json=body, headers={"Idempotency-Key": "a"})
    assert refusal(answer) == (400, "validation_error")
