"""The operator's worklist, its answers, top-ups and checks of files, on the command line."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from uuid import UUID

import pytest
from tests.paying import on_pool

from tonne.application.csv_cells import safe_cell
from tonne.application.identifiers import utc_now
from tonne.application.registry_answers import Answers, AnswersRefused, give_answers
from tonne.application.worklist import hand_out
from tonne.domain.accounts import Mode
from tonne.domain.retirement import Confirmed, Rejected

TONNE = {"mass": {"amount": "20", "unit": "t"}}
TODAY = utc_now().date().isoformat()
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def paid(service, run_sql, tonne):
    """Places a live order of so many tonnes, has it paid and allocated; returns its id."""

    def place(tonnes="20", currency="USD"):
        with service.client(currency, Mode.LIVE) as client:
            answer = client.post("/orders/by-mass", json={"mass": {"amount": tonnes, "unit": "t"}})
            assert answer.status_code == 200, answer.text
            order_id = answer.json()["id"]
        tonne("orders", "pay", order_id)
        tonne("retire", "--json")
        return order_id

    return place


@pytest.fixture
def state(service):
    def find(order_id, currency="USD"):
        with service.client(currency, Mode.LIVE) as client:
            return client.get(f"/orders/{order_id}").json()

    return find


def listed(tonne, *arguments):
    return json.loads(tonne("retirements", "list", "--json", "--mode", "live", *arguments).stdout)


def test_a_worklist_is_exported_completed_and_given_back(tonne, paid, state, tmp_path):
    order_id = paid()
    worklist = tmp_path / "worklist.csv"
    tonne("retirements", "export", "--dry-run", "--output", str(worklist))
    assert {row["state"] for row in listed(tonne)} == {"pending"}
    said = tonne("retirements", "export", "--output", str(worklist)).output
    rows = list(csv.DictReader(io.StringIO(worklist.read_text())))
    assert f"{len(rows)} retirements" in said
    assert {row["beneficiary"] for row in rows} == {"Demo Shop"}
    assert sum(int(row["quantity"]) for row in rows) == 20
    assert all(row["serial_first"].startswith("DEMO-") for row in rows)
    assert {row["state"] for row in listed(tonne)} == {"submitted"}
    assert state(order_id)["waiting_for"] == "registry"
    # What was handed out is not handed out again.
    tonne("retirements", "export", "--output", str(worklist))
    assert list(csv.DictReader(io.StringIO(worklist.read_text()))) == []

    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "registry_reference", "retired_on"])
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row | {"registry_reference": f"REG-{number}", "retired_on": TODAY})
    done = json.loads(tonne("retirements", "confirm", "--file", str(answers), "--json").stdout)
    assert done == {"confirmed": len(rows), "rejected": 0, "unknown": 0, "orders_completed": 1}
    assert state(order_id)["status"] == "complete"
    assert "Nothing new" in tonne("retirements", "confirm", "--file", str(answers)).output
    assert listed(tonne) == []


def test_one_bad_row_and_nothing_of_a_file_is_recorded(tonne, paid, tmp_path):
    paid()
    [first, second] = [row["retirement_id"] for row in listed(tonne)]
    answers = tmp_path / "answers.csv"
    lines = [
        "retirement_id,registry_reference,retired_on",
        f"{first},REG-1,{TODAY}",
        f"{second},,{TODAY}",
        f"not-an-id,REG-3,{TODAY}",
        f"{first},REG-4,{TODAY}",
        f"{second},REG-5,2999-01-31",
        f"{second},REG-6,31.1.2026",
    ]
    answers.write_text("\n".join(lines))
    refused = tonne("retirements", "confirm", "--file", str(answers), status=1).output
    for line, why in [(3, "registry_reference"), (4, "no id"), (5, "twice"), (6, "future"), (7, "a date")]:
        assert f"line {line}: " in refused
        assert why in refused
    answers.write_text("retirement_id,reference\n")
    assert (
        "the column registry_reference is missing"
        in tonne("retirements", "confirm", "--file", str(answers), status=1).output
    )
    assert {row["state"] for row in listed(tonne)} == {"pending"}
    for retirement_id in (first, second):
        tonne("retirements", "confirm", retirement_id, "--reference", "R", "--date", TODAY)


def test_what_is_rejected_is_set_aside_and_other_credits_are_taken(tonne, paid, state, run_sql):
    order_id = paid("2", "EUR")
    [row] = listed(tonne)
    tonne("retirements", "reject", row["retirement_id"], "--reason", "The block is frozen.")
    tonne("retire", "--json")
    [other] = listed(tonne)
    assert other["serial_first"] != row["serial_first"]
    assert run_sql("SELECT sum(set_aside_tonnes)::int AS tonnes FROM lots")[0]["tonnes"] == 1
    released = json.loads(tonne("retirements", "release", row["retirement_id"], "--json").stdout)
    assert released == {"tonnes": 1}
    assert "0 tonnes" in tonne("retirements", "release", row["retirement_id"]).output
    contradiction = tonne(
        "retirements", "confirm", row["retirement_id"], "--reference", "R", "--date", TODAY, status=1
    ).output
    assert "is rejected since" in contradiction
    tonne("retirements", "unknown", other["retirement_id"], "--reason", "The portal timed out.")
    assert [row["state"] for row in listed(tonne)] == ["unknown"]
    exported = tonne("retirements", "export", "--again").stdout
    assert other["retirement_id"] not in exported
    tonne("retirements", "confirm", other["retirement_id"], "--reference", "R", "--date", TODAY)
    assert state(order_id, "EUR")["status"] == "retiring"
    assert state(order_id, "EUR")["waiting_for"] == "tonne"


def test_a_retirement_that_does_not_exist_is_said_and_nothing_happens(tonne):
    for command in (("reject", UNKNOWN), ("unknown", UNKNOWN)):
        said = tonne("retirements", *command, "--reason", "x", status=1).output
        assert "there is no retirement" in said
        assert "line" not in said
    assert "No serial numbers were set aside" in tonne("retirements", "release", UNKNOWN, status=1).output
    for reason in ("", " ", "\udcff", "x" * 501):
        said = tonne("retirements", "reject", UNKNOWN, "--reason", reason, status=1).output
        assert "the reason must have" in said
    assert "Name a RETIREMENT_ID" in tonne("retirements", "confirm", status=2).output


def test_two_exports_at_once_share_no_retirement(paid, service, tmp_path):
    paid()

    def keep_slowly(found):
        time.sleep(0.2)

    async def export(pool):
        lists = await asyncio.gather(*(hand_out(pool, keep_slowly, at=utc_now()) for _ in range(3)))
        return [{retirement.retirement_id for retirement in found} for found in lists]

    lists = on_pool(service.database_url, export)
    assert sum(len(found) for found in lists) == len(set().union(*lists)) > 0


def test_a_worklist_that_can_not_be_written_is_not_handed_out(tonne, paid, tmp_path):
    paid()
    pending = {row["retirement_id"] for row in listed(tonne, "--state", "pending")}
    said = tonne("retirements", "export", "--output", str(tmp_path / "no" / "list.csv"), status=1).output
    assert "can't be written" in said
    assert {row["retirement_id"] for row in listed(tonne, "--state", "pending")} == pending


def test_an_answer_that_comes_too_late_is_refused_and_not_swallowed(tonne, paid, service):
    paid()
    [retirement_id, *_] = [row["retirement_id"] for row in listed(tonne, "--state", "pending")]
    said = {UUID(retirement_id): Confirmed("REG-9", utc_now().date())}

    async def race(pool):
        rejected = Answers({UUID(retirement_id): Rejected("no", credits_are_good=True)})
        return await asyncio.gather(
            give_answers(pool, rejected, at=utc_now()),
            give_answers(pool, Answers(said), at=utc_now()),
            return_exceptions=True,
        )

    results = on_pool(service.database_url, race)
    assert [type(result) for result in results].count(AnswersRefused) == 1


def test_a_date_that_can_not_be_is_refused(tonne, paid):
    paid()
    [retirement_id, *_] = [row["retirement_id"] for row in listed(tonne, "--state", "pending")]
    for day in ("0001-01-01", "2026-W01-1", "20260131", "2026-02-30", "2999-01-01"):
        tonne("retirements", "confirm", retirement_id, "--reference", "R", "--date", day, status=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retirement_id,registry_reference,retired_on\n", "no row follows"),
        ("retirement_id,registry_reference,registry_reference,retired_on\n", "is there twice"),
        ("retirement_id,registry_reference,retired_on\n" + "x" * 200_000, "this is no CSV"),
        (
            f"retirement_id,registry_reference,retired_on\n\n\n{UNKNOWN},R,{TODAY}\n",
            "line 4: there is no retirement",
        ),
    ],
)
def test_a_file_that_can_not_be_taken_says_why_and_where(tonne, tmp_path, text, said):
    file = tmp_path / "answers.csv"
    file.write_text(text)
    assert said in tonne("retirements", "confirm", "--file", str(file), status=1).output


def test_a_program_is_not_asked_and_so_must_say_yes(tonne, service):
    account = str(service.key("ISK", Mode.LIVE).account.account_id)
    assert "say --yes" in tonne("retire", "--top-up", account, "--json", status=2).output


def test_a_cell_is_no_formula():
    assert [safe_cell(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "Acme", "a=b", None)] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "Acme", "a=b", None,
    ]  # fmt: skip


def test_a_top_up_is_shown_before_it_is_done_and_completes_what_waits(tonne, paid, state, service, run_sql):
    account = str(service.key("ISK", Mode.LIVE).account.account_id)
    order_id = paid("0.5", "ISK")
    assert state(order_id, "ISK")["waiting_for"] == "tonne"
    shown = json.loads(tonne("retire", "--top-up", account, "--dry-run", "--json").stdout)
    assert [pool["waiting"] for pool in shown["pools"]] == sorted(
        (pool["waiting"] for pool in shown["pools"]), key=[p["waiting"] for p in shown["pools"]].index
    )
    assert {tuple(pool["order_ids"]) for pool in shown["pools"]} == {(order_id,)}
    assert state(order_id, "ISK")["status"] == "paid"
    said = tonne("retire", "--top-up", account, "--yes").output
    assert "of your own" in said
    for row in listed(tonne):
        tonne("retirements", "confirm", row["retirement_id"], "--reference", "R", "--date", TODAY)
    assert state(order_id, "ISK")["status"] == "complete"
    own = run_sql("SELECT sum(quantity_grams)::bigint AS grams FROM pool_entries WHERE order_id IS NULL")
    assert own[0]["grams"] == 2_000_000 - 500_000
    assert "Nothing is left over" in tonne("retire", "--top-up", account, "--yes").output
    assert "There is no account" in tonne("retire", "--top-up", UNKNOWN, "--yes", status=1).output
    assert "name an account" in tonne("retire", "--dry-run", status=2).output


def test_a_certificate_is_checked_with_the_database_and_offline(tonne, service, tmp_path):
    with service.client() as client:
        order = client.post("/orders/by-mass", json=TONNE).json()
        client.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"}).raise_for_status()
        pdf = client.get(f"/orders/{order['id']}/certificate").content
    good, bad, signers = tmp_path / "good.pdf", tmp_path / "bad.pdf", tmp_path / "signers.pem"
    good.write_bytes(pdf)
    bad.write_bytes(pdf.replace(b"/Title", b"/Titel", 1) if b"/Title" in pdf else pdf[:-1])
    assert "TEST, nothing was retired" in tonne("proof", "check", str(good)).output
    told = json.loads(tonne("proof", "check", str(good), "--json").stdout)
    assert (told["valid"], told["mode"]) == (True, "test")
    assert [finding["code"] for finding in told["findings"]] == ["valid", "test"]
    verdict = json.loads(tonne("proof", "check", str(bad), "--json", status=1).stdout)
    assert verdict["valid"] is False
    signers.write_text(tonne("proof", "signers").stdout)
    assert json.loads(tonne("proof", "check", str(good), "--signed-by", str(signers), "--json").stdout)[
        "valid"
    ]
    tonne("proof", "check", str(bad), "--signed-by", str(signers), status=1)
    assert (
        "holds no certificate"
        in tonne("proof", "check", str(good), "--signed-by", str(good), status=1).output
    )


def test_the_books_are_sound_after_all_of_this(tonne):
    printed = json.loads(tonne("check", "--json").stdout)
    assert printed["sound"] is True
