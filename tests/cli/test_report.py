"""`tonne report` and the same over HTTP: what was retired for a beneficiary, as AB 1305 and ESRS E1-7 ask for it."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import httpx
import pytest
from tests.certificates.facts import squeezed, text_of
from tests.paying import open_payer

from tonne.domain.accounts import Mode, Scope

OURS = "Beispiel Fracht AG"
PERIOD = ("--from", "2026-01-01", "--to", "2026-01-31")


@pytest.fixture(scope="module")
def retired(service, tonne, run_sql):
    """Orders of two beneficiaries; of ours two tonnes are retired, two allocated, and a bit over one waits."""
    with service.client("USD", Mode.LIVE) as client:
        bundles = [bundle["id"] for bundle in client.get("/bundles").json()["data"]]

        def order(name, *tonnes):
            masses = [
                {"bundle_id": bundle, "mass": {"amount": amount, "unit": "t"}}
                for bundle, amount in zip(bundles, tonnes, strict=False)
            ]
            body = {"bundle_masses": masses, "beneficiary": {"name": name}}
            answer = client.post("/orders/by-mass", json=body)
            assert answer.status_code == 200, answer.text
            tonne("orders", "pay", answer.json()["id"])

        order(OURS, "1.25", "0.4")
        order(OURS, "0.75", "0.100001")
        order("Somebody Else", "3")
        tonne("retire", "--json")
        confirm(tonne, run_sql, "2026-01-31")
        # One that is allocated, and one that waits for the rest of its tonne.
        order(OURS, "2.5")
        tonne("retire", "--json")


def confirm(tonne, run_sql, day):
    """Confirm what is planned, as if it had been on some day long ago."""
    found = json.loads(tonne("retirements", "list", "--json", "--mode", "live").stdout)
    for number, retirement in enumerate(found):
        reference = ("--reference", f"=R{number}", "--date", retirement["created_at"][:10])
        tonne("retirements", "confirm", retirement["retirement_id"], *reference)
    run_sql(
        "UPDATE retirements SET retired_on = $1::text::date WHERE retired_on NOT IN ('2026-01-31', '2026-03-01')",
        day,
    )


def report(tonne, *options, name=OURS, period=PERIOD):
    return tonne("report", "--beneficiary", name, *period, *options).stdout_bytes


def facts(tonne, *options, **rest):
    return json.loads(report(tonne, "--format", "json", *options, **rest))


def rows(text):
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def test_what_is_retired_counts_with_the_beneficiarys_own_grams(tonne, retired):
    told = facts(tonne)
    assert told["quantity"] == "2"
    assert sum(Decimal(each["quantity"]) for each in told["retirements"]) == 2
    assert sum(Decimal(each["quantity"]) for each in told["ab_1305"]["projects"]) == 2
    assert {each["beneficiary"] for each in told["retirements"]} == {OURS}
    assert told["mode"] == "live"


def test_every_field_of_ab_1305_is_told_and_what_is_not_known_is_not_stated(tonne, service, retired):
    [*projects] = facts(tonne)["ab_1305"]["projects"]
    with service.client("USD", Mode.LIVE) as client:
        known = {project["name"]: project for project in client.get("/projects").json()["data"]}
    for project in projects:
        ours = known[project["project_name"]]
        assert project["seller"] == "Tonne"
        assert project["registry_or_program"] == ours["registry_name"]
        assert project["project_id"]
        assert project["offset_type"] in ("removal", "emissions avoided or reduced")
        assert ours["country_code"] in project["site"]
        assert project["protocol"] == (ours["protocol"] or ours["methodology"] or "not stated")
        assert project["verified_by"] == (ours["verifying_body"] or "not stated")
        assert project["company_data_verified"] == "not stated"


def test_shares_of_esrs_e1_7_add_up_to_the_whole(tonne, retired):
    told = facts(tonne)["esrs_e1_7"]
    assert told["cancelled"] == "2"
    for name in ("by_offset_type", "by_quality_standard", "by_place", "by_corresponding_adjustment"):
        assert sum(Decimal(share["quantity"]) for share in told[name]) == 2
        assert sum(Decimal(share["share_percent"]) for share in told[name]) == 100
    assert [share["name"] for share in told["by_corresponding_adjustment"]] == ["not stated"]


def test_what_is_planned_is_allocated_or_waits(tonne, retired):
    assert facts(tonne)["esrs_e1_7"]["planned"] == {
        "quantity": "3.000001",
        "allocated": "2",
        "waiting": "1.000001",
        "based_on_existing_orders": True,
    }


@pytest.mark.parametrize(
    ("period", "quantity"),
    [
        (("--from", "2026-01-31", "--to", "2026-01-31"), "2"),
        (("--from", "2025-01-01", "--to", "2026-01-30"), "0"),
        (("--from", "2026-02-01", "--to", "2026-12-31"), "0"),
    ],
)
def test_both_days_of_the_period_are_in_it(tonne, retired, period, quantity):
    told = facts(tonne, period=period)
    assert told["quantity"] == quantity
    assert (told["esrs_e1_7"]["by_place"] == []) is (quantity == "0")
    assert report(tonne, "--format", "pdf", period=period).startswith(b"%PDF")


def test_several_names_are_one_report(tonne, retired):
    assert facts(tonne, "--beneficiary", "Somebody Else")["quantity"] == "5"


def test_tables_are_csv_that_no_spreadsheet_calculates(tonne, retired):
    told = facts(tonne)
    each = rows(report(tonne))
    assert [row["retirement_id"] for row in each] == [row["retirement_id"] for row in told["retirements"]]
    assert all(row["registry_reference"].startswith("'=R") for row in each)
    assert [row["project_name"] for row in rows(report(tonne, "--table", "projects"))] == [
        project["project_name"] for project in told["ab_1305"]["projects"]
    ]
    summary = rows(report(tonne, "--table", "summary"))
    assert summary[0] == {
        "disclosure": "cancelled", "item": "in the period", "quantity": "2", "share_percent": "",
    }  # fmt: skip
    assert summary[-1]["quantity"] == "1.000001"


def test_the_pdf_says_the_same_on_numbered_pages(tonne, retired, tmp_path):
    path = tmp_path / "report.pdf"
    said = tonne("report", "--beneficiary", OURS, *PERIOD, "--format", "pdf", "--output", str(path)).output
    assert "retirements, 2 t, are in" in said
    text = text_of(path.read_bytes())
    told = facts(tonne)
    for phrase in (OURS, "1 January 2026", "31 January 2026", "not stated", "1 / 2", "2 / 2"):
        assert squeezed(phrase) in text
    for retirement in told["retirements"]:
        assert squeezed(retirement["serial_first"]) in text
    assert "neutral" not in text.lower()
    assert squeezed("nothing was retired") not in text


def test_a_test_report_says_that_nothing_was_retired(tonne, service):
    with service.client("USD", Mode.TEST) as client:
        body = {"mass": {"amount": "40", "unit": "t"}, "beneficiary": {"name": OURS}}
        answer = client.post("/orders/by-mass", json=body)
        assert answer.status_code == 200, answer.text
    tonne("retire", "--json")
    today = ("--from", "2026-01-01", "--to", "2999-12-31")
    pdf = report(tonne, "--format", "pdf", "--mode", "test", period=today)
    assert squeezed("nothing was retired") in text_of(pdf)


def test_an_unknown_beneficiary_is_refused_and_told_who_is_alike(tonne, retired):
    said = tonne("report", "--beneficiary", "beispiel fracht", *PERIOD, status=1).output
    assert OURS in said
    said = tonne(
        "report", "--beneficiary", OURS, "--from", "2026-02-01", "--to", "2026-01-31", status=1
    ).output
    assert "before" in said


@pytest.fixture(scope="module")
def operator(service):
    return open_payer(service, scopes=frozenset({Scope.OPERATOR}))


def test_operators_get_the_same_over_http(operator, tonne, retired):
    asked = {"beneficiary": OURS, "from": "2026-01-01", "to": "2026-01-31"}
    with operator.client() as client:
        answer = client.get("/operator/reports/retirements", params=asked)
        pdf = client.get("/operator/reports/retirements", params=asked | {"format": "pdf"})
        text = client.get(
            "/operator/reports/retirements", params=asked | {"format": "csv", "table": "projects"}
        )
    assert answer.status_code == 200
    assert answer.json() | {"as_of": None} == facts(tonne) | {"as_of": None}
    assert pdf.headers["content-type"] == "application/pdf"
    assert squeezed(OURS) in text_of(pdf.content)
    assert text.headers["content-type"].startswith("text/csv")
    assert text.content == report(tonne, "--table", "projects")


@pytest.mark.parametrize(
    "change",
    [
        {"beneficiary": "Nobody"},
        {"beneficiary": " "},
        {"from": "2026-1-1"},
        {"to": "2025-12-31"},
        {"format": "xlsx"},
        {"table": "orders"},
        {"currency": "USD"},
    ],
)
def test_a_report_that_can_not_be_is_refused(operator, retired, change):
    asked = {"beneficiary": OURS, "from": "2026-01-01", "to": "2026-01-31"} | change
    with operator.client() as client:
        answer = client.get("/operator/reports/retirements", params=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["error_code"] == "validation_error"


def test_buyers_get_no_reports(service, retired):
    headers = {"Authorization": f"Bearer {service.key('USD', Mode.LIVE).api_key}"}
    answer = httpx.get(
        f"{service.base_url}/v1/operator/reports/retirements", headers=headers, trust_env=False
    )
    assert answer.status_code == 403


def test_what_the_operator_adds_to_fill_a_tonne_is_not_the_beneficiarys(tonne, service, run_sql, retired):
    account_id = str(service.key("USD", Mode.LIVE).account.account_id)
    tonne("retire", "--top-up", account_id, "--yes", "--json")
    confirm(tonne, run_sql, "2026-03-01")
    told = facts(tonne, period=("--from", "2026-03-01", "--to", "2026-03-01"))
    assert told["quantity"] == "3.000001"
    assert sum(each["retired_tonnes"] for each in told["retirements"]) == 4
    assert told["esrs_e1_7"]["planned"]["quantity"] == "0"
