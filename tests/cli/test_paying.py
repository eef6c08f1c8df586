"""Paying, cancelling and balances on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests.paying import open_payer

from tonne.cli.main import main
from tonne.domain.accounts import BUYER_SCOPES, Billing, Mode

PARCEL = {"mass": {"amount": "12.07", "unit": "kg"}}
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def payer(service):
    """A live account that pays on invoice."""
    return open_payer(service)


@pytest.fixture
def place(payer):
    """Place orders; returns their ids."""

    def run(count=1):
        with payer.client() as client:
            return [client.post("/orders/by-mass", json=PARCEL).json()["id"] for _ in range(count)]

    return run


def test_orders_are_paid_once_and_each_is_answered_for(tonne, place):
    first, second = place(2)
    printed = json.loads(tonne("orders", "pay", first, second, "--json").stdout)
    assert [(found["order_id"], found["outcome"]) for found in printed] == [(first, "paid"), (second, "paid")]
    assert "0 paid now, 2 paid before, 0 refused." in tonne("orders", "pay", first, second).output


def test_orders_that_can_not_be_paid_are_named_and_the_exit_status_is_1(tonne, place):
    [order] = place()
    tonne("orders", "cancel", order)
    said = tonne("orders", "pay", order, UNKNOWN, status=1).output
    assert f"{order}: The order is cancelled: only a placed order can be paid." in said
    assert f"{UNKNOWN}: There is no such order." in said


def test_a_dash_reads_ids_from_standard_input(tonne, place, database_url):
    orders = place(3)
    ran = CliRunner().invoke(
        main, ["orders", "pay", "-", "--json", "--database-url", database_url], input="\n".join(orders)
    )
    assert ran.exit_code == 0
    assert {found["outcome"] for found in json.loads(ran.stdout)} == {"paid"}


def test_what_is_no_id_is_refused(tonne, place):
    assert "'x' is no order's id" in tonne("orders", "pay", "x", status=2).output


def test_an_order_is_cancelled_and_not_twice(tonne, place):
    [order] = place()
    assert json.loads(tonne("orders", "cancel", order, "--json").stdout)["status"] == "cancelled"
    assert "cancelled before" in tonne("orders", "cancel", order, status=1).output


@pytest.mark.parametrize("command", ["show", "cancel"])
def test_an_unknown_order_is_said(tonne, service, command):
    assert f"no order {UNKNOWN}" in tonne("orders", command, UNKNOWN, status=1).output


def test_an_order_is_shown_with_its_history(tonne, place):
    [order] = place()
    tonne("orders", "pay", order)
    printed = json.loads(tonne("orders", "show", order, "--json").stdout)
    assert printed["key_id"] in {
        each["key_id"] for each in json.loads(tonne("keys", "list", "--json").stdout)
    }
    assert [reached["status"] for reached in printed["status_history"]] == ["received", "placed", "paid"]
    assert (printed["billing"], printed["total_cost"]) == ("invoice", "0.35")
    assert order in tonne("orders", "show", order).output


def test_the_newest_orders_are_listed_by_account_mode_and_status(tonne, service, payer, place):
    orders = place(3)
    tonne("orders", "pay", orders[0])
    account = str(payer.account.account_id)

    def listed(*options):
        return [row["id"] for row in json.loads(tonne("orders", "list", "--json", *options).stdout)]

    assert listed("--account", account, "--limit", "3") == orders[::-1]
    assert listed("--limit", "2") == orders[:0:-1]
    assert orders[0] in listed("--status", "paid")
    assert orders[1] not in listed("--status", "paid")
    assert not set(orders) & set(listed("--mode", "test"))
    assert orders[2] in tonne("orders", "list").output


def test_a_balance_is_topped_up_refunded_and_shown(tonne, service):
    account = str(open_payer(service).account.account_id)
    assert "balance is 500.00 USD" in tonne("accounts", "top-up", account, "500").output
    assert "balance is 479.50 USD" in tonne("accounts", "refund", account, "20.50").output
    printed = json.loads(tonne("accounts", "balance", account, "--json").stdout)
    assert (printed["prepaid"], printed["owed"], printed["held"]) == ("479.50", "0.00", "0.00")
    assert "479.50" in tonne("accounts", "balance", account).output


@pytest.mark.parametrize("reference", ["", "  ", "x" * 201, "a\nb", "\udcff"])
def test_a_reference_that_is_none_is_refused(tonne, service, reference):
    account = str(service.key("USD", Mode.LIVE).account.account_id)
    said = tonne("accounts", "top-up", account, "5.00", "--reference", reference, status=1).output
    assert "printable characters" in said


def test_a_reference_is_recorded_once_and_for_one_amount(tonne, service):
    account = str(open_payer(service).account.account_id)
    for command, balance in (("top-up", "5.00"), ("refund", "0.00")):
        once = ("accounts", command, account, "5.00", "--reference", "bank-1")
        assert json.loads(tonne(*once, "--json").stdout)["changed"] is True
        said = tonne(*once).output
        assert "recorded before: nothing was changed" in said
        assert f"balance is {balance} USD" in said
        other = ("accounts", command, account, "5.01", "--reference", "bank-1")
        assert "stands for 5.00 USD already" in tonne(*other, status=1).output


def test_no_more_is_refunded_than_is_there(tonne, service):
    account = str(open_payer(service, balance="1.00").account.account_id)
    assert "balance is 1.00 USD" in tonne("accounts", "refund", account, "1.01", status=1).output
    assert "balance is 0.00 USD" in tonne("accounts", "refund", account, "1.00").output


@pytest.mark.parametrize(("amount", "status"), [("0", 1), ("0.001", 1), ("1e3", 2), ("five", 2)])
def test_what_is_no_amount_of_the_currency_is_refused(tonne, service, amount, status):
    account = str(service.key().account.account_id)
    tonne("accounts", "top-up", account, amount, status=status)


def test_billing_and_behaviour_are_changed(tonne, service):
    payer = open_payer(service, mode=Mode.TEST, billing=Billing.AUTOMATIC)
    account = str(payer.account.account_id)
    assert "is now: prepaid" in tonne("accounts", "billing", account, "prepaid").output
    assert "was before: prepaid" in tonne("accounts", "billing", account, "prepaid").output
    assert "is now: slow" in tonne("accounts", "test-behaviour", account, "slow").output
    assert (
        json.loads(tonne("accounts", "test-behaviour", account, "slow", "--json").stdout)["changed"] is False
    )
    listed = {row["account_id"]: row for row in json.loads(tonne("accounts", "list", "--json").stdout)}
    assert (listed[account]["billing"], listed[account]["test_behaviour"]) == ("prepaid", "slow")


def test_a_live_account_is_not_played_with(tonne, service, payer):
    account = str(payer.account.account_id)
    assert "test accounts only" in tonne("accounts", "test-behaviour", account, "slow", status=1).output


@pytest.mark.parametrize("command", [("balance",), ("top-up", "1"), ("refund", "1"), ("billing", "prepaid")])
def test_an_unknown_account_is_said(tonne, service, command):
    name, *rest = command
    assert f"no account {UNKNOWN}" in tonne("accounts", name, UNKNOWN, *rest, status=1).output


def test_a_key_is_created_and_listed_with_its_scope(tonne, payer):
    account = str(payer.account.account_id)
    created = ("keys", "create", "--account", account, "--scope", "operator", "--json")
    key = json.loads(tonne(*created).stdout)
    listed = {row["key_id"]: row for row in json.loads(tonne("keys", "list", "--json").stdout)}
    assert listed[key["key_id"]]["scopes"] == ["operator"]
    assert listed[str(payer.key.key_id)]["scopes"] == sorted(BUYER_SCOPES)
    tonne("keys", "create", "--account", account, "--scope", "root", status=2)
