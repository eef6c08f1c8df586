"""`tonne orders export` and `tonne retirements report`: everything as a file, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tonne.application.export_credits import CREDIT_COLUMNS
from tonne.application.tables import csv_cell
from tonne.domain.accounts import Mode

# The columns of the table `unit` of CAD Trust's data model 2.0 that are filled.
UNIT = {
    "unit_serial_id", "unit_start_block", "unit_end_block", "unit_count", "unit_type", "unit_vintage_year",
    "unit_status", "unit_status_reason", "unit_status_date", "unit_retirement_detail", "unit_retirement_beneficiary",
    "unit_retirement_beneficiary_id",     "unit_link", "unit_metric",
}  # fmt: skip


@pytest.fixture(scope="module")
def ordered(service, tonne, run_sql):
    """Three live orders, one of them retired; returns their ids, oldest first."""
    ids = []
    with service.client("EUR", Mode.LIVE) as client:
        for key, tonnes in (("=1+1", "2.5"), ("plain", "0.0001"), ('a "quoted", long\nkey', "20")):
            body = {"mass": {"amount": tonnes, "unit": "t"}, "idempotency_key": key, "metadata": {"x": key}}
            answer = client.post("/orders/by-mass", json=body)
            assert answer.status_code == 200, answer.text
            ids.append(answer.json()["id"])
    tonne("orders", "pay", ids[2])
    tonne("retire", "--json")
    open_ones = json.loads(tonne("retirements", "list", "--json", "--mode", "live").stdout)
    for number, retirement in enumerate(open_ones):
        reference = ("--reference", f"@REG-{number}", "--date", retirement["created_at"][:10])
        tonne("retirements", "confirm", retirement["retirement_id"], *reference)
    # A day that stays the same however often these tests are run.
    run_sql("UPDATE retirements SET retired_on = '2026-01-31'")
    return ids


def exported(tonne, *arguments):
    return tonne("orders", "export", "--mode", "live", *arguments).stdout_bytes.decode()


def test_orders_are_exported_as_json_lines_with_what_the_api_says_of_them(service, tonne, ordered):
    rows = [json.loads(line) for line in exported(tonne, "--format", "jsonl").splitlines()]
    assert [row["id"] for row in rows] == ordered[::-1]
    with service.client("EUR", Mode.LIVE) as client:
        for row in rows:
            told = client.get(f"/orders/{row['id']}").json()
            same = (
                "status",
                "currency",
                "offset_cost",
                "commission",
                "total_cost",
                "quantity",
                "idempotency_key",
            )
            assert [row[name] for name in same] == [told[name] for name in same]
            assert (row["metadata"], row["beneficiary"]) == (told["metadata"], told["beneficiary"]["name"])
            assert row["created_at"] == told["created_at"]
            assert [line["bundle_id"] for line in row["bundles"]] == [b["bundle_id"] for b in told["bundles"]]
    assert rows[0]["complete_at"] is not None
    assert rows[1]["paid_at"] is None


def test_orders_are_exported_as_csv_that_reads_back(tonne, ordered):
    text = exported(tonne)
    assert text.count("\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == ordered[::-1]
    assert rows[0]["idempotency_key"] == 'a "quoted", long\nkey'
    # What a spreadsheet would calculate is a text.
    assert rows[2]["idempotency_key"] == "'=1+1"
    assert json.loads(rows[2]["metadata"]) == {"x": "=1+1"}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd", "'=cmd"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"),
        ("a=1", "a=1"), ("'x", "'x"), ("", ""), (" =x", " =x"), (None, ""), (True, "true"), (-5, "-5"),
        (["=1"], '["=1"]'),
    ],
)  # fmt: skip
def test_a_cell_that_begins_a_formula_gets_an_apostrophe(text, cell):
    assert csv_cell(text) == cell


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--status", "complete"], 1),
        (["--status", "cancelled"], 0),
        (["--from", "2999-01-01"], 0),
        (["--to", "2000-01-01"], 0),
        (["--from", "2000-01-01", "--to", "2999-01-01T00:00:00Z"], 3),
    ],
)
def test_orders_are_filtered(tonne, ordered, options, count):
    assert len(exported(tonne, "--format", "jsonl", *options).splitlines()) == count


def test_the_end_of_a_day_is_in_it_and_a_time_is_exclusive(tonne, ordered, run_sql):
    [[at]] = run_sql("SELECT created_at FROM orders WHERE order_id = $1", ordered[1])
    assert len(exported(tonne, "--format", "jsonl", "--to", f"{at:%Y-%m-%d}").splitlines()) == 3
    assert len(exported(tonne, "--format", "jsonl", "--to", at.isoformat()).splitlines()) == 1
    assert len(exported(tonne, "--format", "jsonl", "--from", at.isoformat()).splitlines()) == 2


def test_orders_of_one_account_only(service, tonne, ordered):
    own = str(service.key("EUR", Mode.LIVE).account.account_id)
    assert len(exported(tonne, "--format", "jsonl", "--account", own).splitlines()) == 3
    other = str(service.key("ISK", Mode.LIVE).account.account_id)
    assert exported(tonne, "--format", "jsonl", "--account", other) == ""
    said = tonne("orders", "export", "--account", ordered[0], status=1).output
    assert "There is no account" in said


def test_a_file_is_written_whole_or_not_at_all(tonne, ordered, tmp_path):
    path = tmp_path / "orders.csv"
    said = tonne("orders", "export", "--mode", "live", "--output", str(path)).output
    assert "3 orders are in" in said.replace("\n", "")
    assert len(list(csv.DictReader(io.StringIO(path.read_text(), newline="")))) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["orders.csv"]
    said = tonne("orders", "export", "--output", str(tmp_path / "none" / "x.csv"), status=1).output
    assert "can't be written" in said


def test_retirements_are_reported_with_the_column_names_of_cad_trust(tonne, ordered):
    assert {name for name in CREDIT_COLUMNS if name.startswith("unit_")} == UNIT
    text = tonne("retirements", "report", "--mode", "live").stdout_bytes.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == CREDIT_COLUMNS
    assert sum(int(row["unit_count"]) for row in rows) == 20
    assert {row["unit_status"] for row in rows} == {"Retired"}
    assert {row["unit_status_date"] for row in rows} == {"2026-01-31"}
    assert {row["unit_retirement_beneficiary"] for row in rows} == {"Demo Shop"}
    assert rows[0]["unit_retirement_detail"].startswith("'@REG-")
    assert rows[0]["unit_serial_id"] == f"{rows[0]['unit_start_block']}-{rows[0]['unit_end_block']}"


@pytest.mark.parametrize(
    ("options", "is_empty"),
    [
        (["--from", "2026-01-31", "--to", "2026-01-31"], False),
        (["--from", "2026-02-01"], True),
        (["--to", "2026-01-30"], True),
        (["--state", "pending"], True),
        (["--beneficiary", "Demo Shop"], False),
        (["--beneficiary", "Nobody"], True),
        (["--mode", "test"], True),
    ],
)
def test_retirements_are_filtered(tonne, ordered, options, is_empty):
    report = tonne("retirements", "report", "--format", "jsonl", *options).stdout_bytes
    assert (report == b"") is is_empty
