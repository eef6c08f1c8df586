"""`tonne orders import`: the orders of a file are placed on the database, once each, whatever happens in between."""

from __future__ import annotations

import csv
import json

import pytest

from tonne.domain.accounts import Mode


@pytest.fixture(scope="module")
def account(service):
    """The account in euros, for which these orders are."""
    return str(service.key("EUR", Mode.LIVE).account.account_id)


@pytest.fixture
def write(tmp_path):
    def write(text, name="orders.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    return write


def rows_of(prefix, count):
    return "idempotency_key,mass,unit\n" + "".join(f"{prefix}-{n},{n + 1},kg\n" for n in range(count))


def imported(tonne, path, account, *options, status=0):
    return json.loads(
        tonne("orders", "import", path, "--account", account, "--json", *options, status=status).stdout
    )


def test_a_dry_run_shows_a_quote_for_each_row_and_places_nothing(service, tonne, account, write, run_sql):
    [[before]] = run_sql("SELECT count(*) FROM orders")
    path = write(rows_of("dry", 3))
    said = tonne("orders", "import", path, "--account", account, "--dry-run").output
    assert "0 placed, 0 placed before, 3 quoted, 0 refused; 0.006 t for" in said
    assert "dry-2" in said
    facts = imported(tonne, path, account, "--dry-run")
    with service.client("EUR", Mode.LIVE) as client:
        quotes = [
            client.post("/orders/by-mass/quote", json={"mass": {"amount": str(n), "unit": "kg"}}).json()
            for n in (1, 2, 3)
        ]
    assert float(facts["total_cost"]) == pytest.approx(sum(float(q["estimated_total_cost"]) for q in quotes))
    assert run_sql("SELECT count(*) FROM orders") == [(before,)]


def test_a_file_is_placed_once_however_often_it_is_imported(service, tonne, account, write):
    path = write(rows_of("once", 300))
    first = imported(tonne, path, account)
    assert (first["placed"], first["exists"], first["refused"]) == (300, 0, 0)
    again = imported(tonne, path, account)
    assert (again["placed"], again["exists"], again["refused"], again["quantity"]) == (0, 300, 0, "0")
    with service.client("EUR", Mode.LIVE) as client:
        order = client.get("/orders/by-idempotency-key/once-299").json()
    assert order["requested_quantity"] == "0.3"


def test_an_import_that_was_stopped_goes_on_where_it_was(tonne, account, write):
    whole = rows_of("stopped", 20)
    assert imported(tonne, write("\n".join(whole.split("\n")[:8])), account)["placed"] == 7
    facts = imported(tonne, write(whole), account)
    assert (facts["placed"], facts["exists"]) == (13, 7)


def test_what_became_of_each_row_is_in_the_results_file(tonne, account, write, tmp_path):
    text = "idempotency_key,mass,unit\n=good,1,kg\nbad,x,kg\n,1,kg\ngood-2,2,kg\n"
    results = tmp_path / "results.csv"
    facts = imported(tonne, write(text), account, "--results", str(results), status=1)
    assert (facts["rows"], facts["placed"], facts["refused"]) == (4, 2, 2)
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["status"]) for row in rows] == [
        ("1", "placed"), ("2", "refused"), ("3", "refused"), ("4", "placed"),
    ]  # fmt: skip
    assert rows[0]["idempotency_key"] == "'=good"
    assert rows[0]["order_id"]
    assert "/mass" in rows[1]["message"]
    lines = tmp_path / "results.jsonl"
    said = tonne(
        "orders", "import", write(text), "--account", account, "--results", str(lines), status=1
    ).output
    assert "row 2 (bad): /mass" in said
    assert [json.loads(line)["status"] for line in lines.read_text().splitlines()] == [
        "exists", "refused", "refused", "exists",
    ]  # fmt: skip


def test_ndjson_is_known_by_its_name_or_said(tonne, account, write):
    text = json.dumps({"idempotency_key": "nd-1", "value": "5.00", "beneficiary": {"name": "Example Ltd"}})
    assert imported(tonne, write(text, "orders.ndjson"), account)["placed"] == 1
    assert imported(tonne, write(text, "orders.txt"), account, "--format", "ndjson")["exists"] == 1
    said = tonne("orders", "import", write(text, "orders.txt"), "--account", account, status=2).output
    assert "--format csv" in said


def test_an_import_is_in_the_audit_log(tonne, account, write):
    imported(tonne, write(rows_of("audited", 2), "july.csv"), account)
    [entry, *_] = json.loads(tonne("audit", "log", "--json", "--object", account).stdout)
    assert entry["action"] == "import_orders"
    assert (entry["after"]["file"], entry["after"]["rows"], entry["after"]["placed"]) == ("july.csv", 2, 2)
    assert len(entry["after"]["sha256"]) == 64
    tonne("audit", "verify")


def test_a_key_may_be_named_and_stands_for_its_account(service, tonne, write):
    key = service.key("ISK", Mode.LIVE)
    path = write("idempotency_key,value\nkeyed,5000\n")
    facts = json.loads(tonne("orders", "import", path, "--key", str(key.key.key_id), "--json").stdout)
    assert (facts["account_id"], facts["placed"], facts["currency"]) == (
        str(key.account.account_id),
        1,
        "ISK",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--account, or a --key"),
        (["--account", "01900000-0000-7000-8000-000000000000"], "There is no account"),
        (["--key", "01900000-0000-7000-8000-000000000000"], "There is no enabled key"),
    ],
)
def test_whose_orders_they_are_must_be_known(tonne, write, options, said):
    assert said in tonne("orders", "import", write(rows_of("nobody", 1)), *options, status=1).output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "idempotency_key"),
        ("idempotency_key,mass,unit\n", "no rows"),
        ("idempotency_key,weight\na,1\n", "is no column of orders"),
        ('idempotency_key,mass,unit\n"a,1,kg\n', "is no CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(tonne, account, write, text, said):
    assert said in tonne("orders", "import", write(text), "--account", account, status=1).output
