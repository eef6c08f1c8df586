"""`POST /v1/orders/bulk`: rows are independent, and a repeat of them places nothing twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from tests.paying import open_payer

from tonne.domain.accounts import Mode

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def kilograms(key, amount="1", **rest):
    return {"idempotency_key": key, "mass": amount, "unit": "kg", **rest}


def post(api, content, headers=NDJSON, **params):
    answer = api.post("/orders/bulk", content=content, headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(body):
    return [(row["row"], row["status"]) for row in body["results"]]


@pytest.fixture(scope="module")
def estimate(service):
    with service.client() as client:
        body = {"consumption": {"amount": "100", "unit": "kWh"}, "country_code": "DEU"}
        return client.post("/estimates/electricity", json=body).json()["id"]


def test_rows_of_every_kind_are_placed_as_single_orders_are(api, bundles, estimate):
    first = next(iter(bundles.values()))
    rows = [
        kilograms("kinds-1", "12.07", metadata={"invoice": "1"}, beneficiary={"name": "Example Ltd", "country": "DEU"}),
        {"idempotency_key": "kinds-2", "value": "25.00", "max_unit_price": "1000"},
        {"idempotency_key": "kinds-3", "estimate_id": estimate},
        kilograms("kinds-4", "2.5", bundle_selection=[{"bundle_id": first, "percentage": 100}], quantity_trunc="kg"),
        kilograms("kinds-5", min_vintage_year=1990, excluded_countries=["NOR"]),
    ]  # fmt: skip
    body = post(api, lines(*rows))
    assert told(body) == [(number, "placed") for number in range(1, 6)]
    orders = [api.get(f"/orders/{row['order_id']}").json() for row in body["results"]]
    for row, order in zip(body["results"], orders, strict=True):
        assert (row["quantity"], row["total_cost"]) == (order["quantity"], order["total_cost"])
        assert row["idempotency_key"] == order["idempotency_key"]
    assert (orders[0]["requested_quantity"], orders[0]["metadata"]) == ("0.01207", {"invoice": "1"})
    assert (orders[0]["beneficiary"]["name"], orders[0]["beneficiary"]["country"]) == ("Example Ltd", "DEU")
    assert (orders[1]["requested_value"], orders[1]["max_unit_price"]) == ("25.00", "1000")
    assert orders[2]["estimate_id"] == estimate
    assert orders[3]["quantity"] == "0.002"
    assert (orders[4]["min_vintage_year"], orders[4]["excluded_countries"]) == (1990, ["NOR"])
    # And again: nothing is placed, all of it is there.
    again = post(api, lines(*rows))
    assert told(again) == [(number, "exists") for number in range(1, 6)]
    assert [row["order_id"] for row in again["results"]] == [row["order_id"] for row in body["results"]]
    assert (again["total"]["exists"], again["total"]["placed"], again["total"]["quantity"]) == (5, 0, "0")


def test_csv_says_the_same_with_columns(api, bundles):
    [one, two, *_] = bundles.values()
    text = (
        "\ufeffidempotency_key,mass,unit,value,bundle_selection,metadata[invoice],beneficiary,beneficiary_country,"
        "min_vintage_year,excluded_countries\r\n"
        f'csv-1,12.07,kg,,{one}:95;{two}:5,"a, b","Müller & Söhne",DEU,1990,NOR;SWE\r\n'
        "\r\n"
        f"csv-2,,,25.00,{one};{two},,,,,\r\n"
    )
    body = post(api, text.encode(), CSV)
    assert told(body) == [(1, "placed"), (2, "placed")]
    first, second = (api.get(f"/orders/{row['order_id']}").json() for row in body["results"])
    assert [bundle["bundle_id"] for bundle in first["bundles"]] == [one, two]
    assert first["metadata"] == {"invoice": "a, b"}
    assert first["beneficiary"]["name"] == "Müller & Söhne"
    assert first["excluded_countries"] == ["NOR", "SWE"]
    assert second["requested_value"] == "25.00"
    assert told(post(api, text.encode(), CSV)) == [(1, "exists"), (2, "exists")]


def test_a_row_that_is_refused_keeps_no_other_from_being_placed(api):
    rows = [
        kilograms("alone-1"),
        {"mass": "1", "unit": "kg"},
        kilograms("alone-3", "-1"),
        kilograms("alone-4", value="2"),
        {"idempotency_key": "alone-5", "mass": "1"},
        kilograms("alone-6", bundle_selection=[{"bundle_id": str(uuid4())}]),
        {"idempotency_key": "alone-7", "estimate_id": str(uuid4())},
        kilograms("alone-8", colour="green"),
        kilograms("alone-9", max_unit_price="0.01"),
        kilograms("alone-10", beneficiary={"name": "   "}),
        kilograms("alone-11", "0.0001"),
        kilograms("alone-12"),
    ]
    content = lines(*rows) + b'\n{"idempotency_key": "x", "idempotency_key": "y"}\nnot json\n[1]\n'
    content += b'{"idempotency_key": "digits", "mass": "1", "min_vintage_year": ' + b"1" * 5000 + b"}\n"
    body = post(api, content)
    codes = [row["error"] and row["error"]["error_code"] for row in body["results"]]
    assert codes == [
        None, "validation_error", "validation_error", "validation_error", "validation_error",
        "bundle_selection_bundle_invalid", "estimate_not_found", "validation_error", "unit_price_above_maximum",
        "validation_error", "order_quantity_invalid", None, "validation_error", "validation_error", "validation_error",
        "validation_error",
    ]  # fmt: skip
    assert all(row["error"]["message"] for row in body["results"] if row["status"] == "refused")
    assert {name: body["total"][name] for name in ("rows", "placed", "refused")} == {
        "rows": 16, "placed": 2, "refused": 14,
    }  # fmt: skip
    assert body["results"][2]["idempotency_key"] == "alone-3"


@pytest.mark.parametrize(
    "change",
    [
        {"mass": "2"},
        {"unit": "t"},
        {"metadata": {"a": "c"}},
        {"metadata": None},
        {"beneficiary": {"name": "Another Ltd"}},
        {"beneficiary": None},
        {"min_vintage_year": 2000},
    ],
)
def test_a_key_that_stands_for_another_order_is_refused_and_names_it(api, change):
    row = kilograms("same-1", metadata={"a": "b"}, beneficiary={"name": "Example Ltd"})
    [first] = post(api, lines(row))["results"]
    assert first["status"] in ("placed", "exists")
    [second] = post(api, lines(row | change))["results"]
    assert (second["status"], second["error"]["error_code"]) == (
        "refused",
        "order_idempotency_already_exists",
    )
    assert second["order_id"] == first["order_id"]


def test_shares_of_a_selection_are_part_of_what_is_asked_for(api, bundles):
    [one, two, *_] = bundles.values()

    def row(*shares):
        choices = [
            {"bundle_id": bundle, "percentage": share}
            for bundle, share in zip((one, two), shares, strict=True)
        ]
        return lines(kilograms("shares", "100", bundle_selection=choices))

    assert told(post(api, row(95, 5))) == [(1, "placed")]
    assert told(post(api, row("95.00", "5"))) == [(1, "exists")]
    assert told(post(api, row(90, 10))) == [(1, "refused")]


def test_a_key_twice_in_one_file_places_one_order(api):
    rows = [kilograms("twice"), kilograms("twice"), kilograms("twice", "2")]
    assert told(post(api, lines(*rows), dry_run="true")) == [(1, "quoted"), (2, "exists"), (3, "refused")]
    body = post(api, lines(*rows))
    # Rows are carried out together: the first of a key that is stored is the order.
    assert len({row["order_id"] for row in body["results"]}) == 1
    assert body["total"]["placed"] == 1


def test_a_dry_run_quotes_each_row_and_places_nothing(api, run_sql):
    count = "SELECT count(*) FROM orders"
    [[before]] = run_sql(count)
    body = post(
        api, lines(kilograms("dry-1", "12.07"), {"idempotency_key": "dry-2", "value": "0"}), dry_run="true"
    )
    assert body["dry_run"] is True
    assert told(body) == [(1, "quoted"), (2, "refused")]
    quote = api.post("/orders/by-mass/quote", json={"mass": {"amount": "12.07", "unit": "kg"}}).json()
    assert body["results"][0]["total_cost"] == quote["estimated_total_cost"] == body["total"]["total_cost"]
    assert body["results"][0]["order_id"] is None
    assert run_sql(count) == [(before,)]


def test_results_are_lines_where_they_are_asked_for(api):
    answer = api.post(
        "/orders/bulk",
        content=lines(kilograms("lines-1")),
        headers=NDJSON | {"Accept": "application/x-ndjson"},
    )
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    first, last = (json.loads(line) for line in answer.text.splitlines())
    assert (first["row"], first["status"], last["total"]["rows"]) == (1, "placed", 1)


def test_the_same_file_sent_eight_times_at_once_places_each_row_once(service, run_sql):
    rows = [kilograms(f"race-{number}") for number in range(300)]

    def send(_):
        with service.client() as client:
            return post(client, lines(*rows))

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(send, range(8)))
    assert sum(body["total"]["placed"] for body in bodies) == 300
    assert sum(body["total"]["exists"] for body in bodies) == 7 * 300
    [[count]] = run_sql("SELECT count(*) FROM orders WHERE idempotency_key LIKE 'race-%'")
    assert count == 300


def test_a_prepaid_balance_pays_for_as_many_rows_as_it_covers(service):
    payer = open_payer(service, mode=Mode.TEST, balance=None)
    with payer.client() as client:
        assert post(client, lines(kilograms("mine")))["total"]["placed"] == 1
        # Keys are an account's own.
        assert post(client, lines(kilograms("race-1")))["total"]["placed"] == 1


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", NDJSON, 400, "validation_error"),
        (b"\n \n", NDJSON, 400, "validation_error"),
        (b"\xff\xfe", NDJSON, 400, "validation_error"),
        (b"mass,unit\r\n1,kg\r\n", CSV, 400, "validation_error"),
        (b"idempotency_key,colour\r\na,b\r\n", CSV, 400, "validation_error"),
        (b"idempotency_key,mass,mass\r\na,1,1\r\n", CSV, 400, "validation_error"),
        (b'idempotency_key\r\n"a', CSV, 400, "validation_error"),
        (b"idempotency_key\r\n", CSV, 400, "validation_error"),
        (b"{}", {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/csv; charset=latin-1"}, 415, "unsupported_media_type"),
        (b"{}\n" * 10_001, NDJSON, 400, "validation_error"),
        (b" " * 10_000_001, NDJSON, 413, "payload_too_large"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(api, refusal, content, headers, status, code):
    assert refusal(api.post("/orders/bulk", content=content, headers=headers)) == (status, code)


def test_ten_thousand_rows_are_taken(api):
    body = post(api, b"{}\n" * 10_000)
    assert body["total"]["refused"] == 10_000


@pytest.mark.parametrize("query", [{"dry_run": "yes"}, {"dryrun": "true"}])
def test_a_query_that_is_none_is_refused(api, refusal, query):
    answer = api.post("/orders/bulk", content=lines(kilograms("never")), headers=NDJSON, params=query)
    assert refusal(answer) == (400, "validation_error")
    assert api.get("/orders/by-idempotency-key/never").status_code == 404
