"""Projects and lots from files, real ones and damaged ones; lots suspended, reversed, invalidated."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
from uuid import UUID

import pytest
from tests.certificates.facts import squeezed, text_of
from tests.paying import on_pool

from tonne.application import proofs, replace_retirements
from tonne.application.identifiers import utc_now
from tonne.application.import_inventory import Purchase, import_lots
from tonne.application.inventory_files import LotFormat, read_lots
from tonne.domain.accounts import Mode
from tonne.domain.audit import SERVICE

PROJECTS = """name,project_type,registry_name,registry_project_id,country_code
Example Forest,Forest,American Carbon Registry,ACR00001,USA
"""
HEADER = "registry_name,registry_project_id,vintage_year,serial_number,quantity,cost_per_tonne,cost_currency,seller\n"
GOOD = "American Carbon Registry,ACR00001,2020,FICTION-{}-{},,9.50,USD,Example Seller\n"


@pytest.fixture
def run(tonne, tmp_path):
    """Import a text; returns the counts."""

    def run(command, text, *options, status=0):
        file = tmp_path / "file.csv"
        file.write_text(text)
        errors = ("--errors", str(tmp_path / "errors.csv"))
        return json.loads(
            tonne(*command.split(), str(file), *errors, "--json", *options, status=status).stdout
        )

    return run


@pytest.fixture(scope="module", autouse=True)
def sound(service, tonne):
    yield
    assert json.loads(tonne("check", "--json").stdout)["sound"] is True


def counts(told):
    return told["imported"], told["unchanged"], told["refused"]


def stock(tonne, project="ACR00001"):
    return json.loads(tonne("lots", "list", "--project", project, "--json").stdout)


def test_projects_and_lots_are_imported_once(run, tonne):
    assert counts(run("projects import --format csv", PROJECTS)) == (1, 0, 0)
    assert counts(run("projects import --format csv", PROJECTS)) == (0, 1, 0)
    text = HEADER + GOOD.format(1, 100) + GOOD.format(101, 150)
    assert counts(run("lots import --format csv", text, "--dry-run")) == (2, 0, 0)
    assert stock(tonne) == []
    assert counts(run("lots import --format csv", text)) == (2, 0, 0)
    assert counts(run("lots import --format csv", text)) == (0, 2, 0)
    [first, second] = stock(tonne)
    assert (first["available_tonnes"], first["cost_per_tonne"], first["seller"]) == (
        100,
        "9.50",
        "Example Seller",
    )
    assert (second["serial_first"], second["serial_last"]) == (101, 150)


def test_planted_damage_is_named_row_by_row_and_the_good_rows_are_kept(run, tonne, tmp_path):
    rows = [
        GOOD.format(1000, 1009),
        GOOD.format(1005, 1020),  # overlaps the row before
        GOOD.format(1000, 1009),  # the same again
        GOOD.format(90, 95),  # overlaps what is in the database
        GOOD.format(2000, 1999),  # backwards
        GOOD.format("x", 5),
        GOOD.format(3000, 3009).replace(",,9.50", ",11,9.50"),  # the quantity differs
        GOOD.format(3000, 3009).replace("9.50,USD", "9.50,"),  # a cost without a currency
        GOOD.format(3000, 3009).replace("USD", "ZZZ"),
        GOOD.format(3000, 3009).replace("2020", "1970"),
        GOOD.format(3000, 3009).replace("ACR00001", "ACR09999"),
        GOOD.format(3000, 3009).replace("\n", ",extra\n"),
        GOOD.format(3000, 3009).replace("2020", "02020999"),
        GOOD.format(3000, 3009).replace("Example Seller", "Example\0Seller"),
        GOOD.format(4000, 4009),
    ]
    told = run("lots import --format csv", HEADER + "".join(rows), status=1)
    assert counts(told) == (2, 0, 13)
    with (tmp_path / "errors.csv").open(newline="") as file:
        errors = [(int(row["line"]), row["code"]) for row in csv.DictReader(file)]
    assert errors == [
        (3, "serial_overlap"),
        (4, "serial_repeated"),
        (5, "serial_overlap"),
        (6, "damaged"),
        (7, "damaged"),
        (8, "quantity_differs"),
        (9, "cost_incomplete"),
        (10, "currency_invalid"),
        (11, "vintage_invalid"),
        (12, "project_unknown"),
        (13, "columns"),
        (14, "vintage_invalid"),
        (15, "damaged"),
    ]
    assert {lot["serial_first"] for lot in stock(tonne)} >= {1000, 4000}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\xff"])
def test_a_file_of_which_nothing_can_be_read_is_said_so(tonne, tmp_path, text):
    file = tmp_path / "file.csv"
    file.write_bytes(text.encode("latin-1"))
    said = tonne("lots", "import", str(file), "--format", "csv", status=2).output
    assert "can't be read" in said


def test_imports_at_once_never_store_a_serial_number_twice(service, run_sql):
    texts = [
        HEADER + "".join(GOOD.format(10_000 + n * 10, 10_009 + n * 10 + shift) for n in range(50))
        for shift in (0, 5)
    ]
    reads = [read_lots(text, LotFormat.CSV) for text in texts]

    async def both(pool):
        await asyncio.gather(
            *(
                import_lots(pool, read, Purchase(), sha256=bytes(32), at=utc_now(), actor=SERVICE)
                for read in reads * 2
            )
        )

    on_pool(service.database_url, both)
    rows = run_sql(
        "SELECT serial_first, serial_last FROM lots WHERE serial_first >= 10000 ORDER BY serial_first"
    )
    assert rows
    assert all(before["serial_last"] < after["serial_first"] for before, after in itertools.pairwise(rows))


def test_real_projects_are_imported_as_published(tonne, shared_data, tmp_path):
    for name, layout, expected, status in (
        ("carb_projects", "carb", (610, 4, 0), 0),  # four are in the demo already
        ("klima_project_vintages", "klima", (222, 560, 0), 0),  # and three
        ("cdr_projects", "cdr", (44, 0, 14), 1),
    ):
        arguments = ("projects", "import", str(shared_data / f"{name}.csv"), "--format", layout, "--json")
        told = json.loads(tonne(*arguments, "--errors", str(tmp_path / "e.csv"), status=status).stdout)
        assert counts(told) == expected
        again = json.loads(tonne(*arguments, "--errors", str(tmp_path / "e.csv"), status=status).stdout)
        assert counts(again) == (0, expected[0] + expected[1], expected[2])


def test_real_lots_are_imported_as_published_dirt_included(tonne, shared_data, tmp_path, run_sql):
    errors = ("--errors", str(tmp_path / "e.csv"), "--json")
    carb = str(shared_data / "carb_issuances.csv")
    told = json.loads(tonne("lots", "import", carb, "--format", "carb", *errors, status=1).stdout)
    assert counts(told) == (1868, 0, 50)
    assert told["refused_by_reason"] == {"no_credits": 44, "quantity_invalid": 6}
    assert counts(
        json.loads(tonne("lots", "import", carb, "--format", "carb", *errors, status=1).stdout)
    ) == (0, 1868, 50)
    # The two that were invalidated are not for sale, nor what others retired or the buffer holds.
    gone = run_sql("SELECT available_tonnes FROM lots WHERE serial_raw IN ('CALS5123-E', 'CAOD0018-A')")
    assert [row["available_tonnes"] for row in gone] == [0, 0]
    verra = str(shared_data / "vcs_serial_blocks.csv")
    told = json.loads(
        tonne("lots", "import", verra, "--format", "verra", "--create-projects", *errors).stdout
    )
    assert counts(told) == (161, 0, 0)
    retired = str(shared_data / "carb_retirements.csv")
    told = json.loads(tonne("lots", "import-retirements", retired, *errors, status=1).stdout)
    assert counts(told) == (3642, 0, 2)
    assert told["refused_by_reason"] == {"vintage_differs": 2}
    assert counts(json.loads(tonne("lots", "import-retirements", retired, *errors, status=1).stdout)) == (
        0,
        3642,
        2,
    )


def test_what_a_newer_file_says_of_a_lot_is_not_passed_over(run, tonne, tmp_path):
    run("projects import --format csv", PROJECTS.replace("ACR00001", "ACR77777"))
    columns = "carb_issuance_id,registry,registry_project_id,vintage,credits_issued,buffer_contribution,buffer_pool_retired,"
    columns += (
        "issuance_date,invalidation_timeframe,retired_intentional_reversal,retired_voluntarily,retired_cp1,"
    )
    columns += "retired_cp2,retired_cp3,retired_cp4,retired_quebec\n"

    def issuance(used, until="2028-01-01"):
        row = f"CAFR7777-A,ACR,ACR77777,2020,100,0,0,2021-02-03,{until},0,{used},0,0,0,0,0\n"
        return columns + row

    assert counts(run("lots import --format carb", issuance(10))) == (1, 0, 0)
    assert counts(run("lots import --format carb", issuance(10))) == (0, 1, 0)
    for newer in (issuance(90), issuance(10, "INVALIDATED")):
        told = run("lots import --format carb", newer, status=1)
        assert told["refused_by_reason"] == {"lot_changed": 1}
    [lot] = stock(tonne, "ACR77777")
    tonne("lots", "invalidate", lot["lot_id"], "--reason", "As its source says.")
    assert counts(run("lots import --format carb", issuance(10, "INVALIDATED"))) == (0, 1, 0)


@pytest.fixture
def sold(service, tonne, tmp_path, run):
    """A project with a lot of 10 tonnes, four of which are allocated and two retired; returns the lot's facts."""
    name = f"p{utc_now():%H%M%S%f}"
    run(
        "projects import --format csv",
        f"name,project_type,registry_name,registry_project_id,country_code\n{name},Forest,Fiction,{name},USA\n",
    )
    lots = f"Fiction,{name},2020,{name}-1-10,,,,\n"
    run("lots import --format csv", HEADER + lots)
    slug = f"{name}-{name}"
    file = tmp_path / "c.yaml"
    file.write_text(
        f"bundles: [{{identifier: {name}, name: {name}, currency: USD, price: 10, projects: [{slug}]}}]"
    )
    tonne("catalogue", "apply", str(file), "--yes")
    with service.client("USD", Mode.LIVE) as client:
        bundle = _find_bundle(client, name)
        order = client.post(
            "/orders/by-mass",
            json={"bundle_masses": [{"bundle_id": bundle, "mass": {"amount": "4", "unit": "t"}}]},
        ).json()
    tonne("orders", "pay", order["id"])
    tonne("retire")
    [lot] = stock(tonne, name)
    assert (lot["available_tonnes"], lot["allocated_tonnes"]) == (6, 4)
    return lot | {"order_id": order["id"], "name": name, "bundle_id": bundle}


def _find_bundle(client, name):
    for _ in range(2000):
        for bundle in client.get("/bundles?limit=100").json()["data"]:
            if bundle["name"] == name:
                return bundle["id"]
    pytest.fail("the service never heard of the bundle")


def test_a_suspended_lot_is_not_sold_until_it_is_released(tonne, sold, service):
    def available():
        with service.client("USD", Mode.LIVE) as client:
            return client.get(f"/bundles/{sold['bundle_id']}").json()["available_quantity"]

    def comes_to(tonnes):
        # The service hears of it a moment later.
        return any(available() == tonnes for _ in range(2000))

    assert (
        "now suspended"
        in tonne("lots", "suspend", sold["lot_id"], "--reason", "The registry looks into it.").output
    )
    assert "suspended before" in tonne("lots", "suspend", sold["lot_id"], "--reason", "Again.").output
    assert comes_to("0")
    assert "suspended" in tonne("inventory", "report", "--csv").stdout
    assert "now active" in tonne("lots", "release", sold["lot_id"]).output
    assert comes_to("6")


def test_what_is_reversed_is_not_sold_and_whom_it_concerns_is_listed(tonne, sold):
    arguments = ("lots", "reverse", sold["lot_id"], "--serials", "3-7", "--reason", "The forest burnt.")
    shown = json.loads(tonne(*arguments, "--dry-run", "--json").stdout)
    assert shown["tonnes_in_stock"] == 3
    assert [(each["order_id"], each["tonnes"]) for each in shown["affected"]] == [(sold["order_id"], 2)]
    assert stock(tonne, sold["name"])[0]["cancelled_tonnes"] == 0
    said = tonne(*arguments).output
    assert "3 tonnes of them were in stock" in said
    assert sold["order_id"] in said
    [lot] = stock(tonne, sold["name"])
    assert (lot["available_tonnes"], lot["cancelled_tonnes"], lot["serial_next"]) == (3, 3, 8)
    assert "were withdrawn before" in tonne(*arguments, status=1).output
    assert (
        "must be within"
        in tonne("lots", "invalidate", sold["lot_id"], "--serials", "9-11", "--reason", "x", status=1).output
    )


def test_numbers_before_and_after_what_is_invalidated_are_sold_on(tonne, sold, service, run_sql):
    tonne("lots", "invalidate", sold["lot_id"], "--serials", "7-8", "--reason", "Void.")
    [lot] = stock(tonne, sold["name"])
    assert (lot["available_tonnes"], lot["cancelled_tonnes"]) == (4, 2)
    with service.client("USD", Mode.LIVE) as client:
        masses = [{"bundle_id": sold["bundle_id"], "mass": {"amount": "4", "unit": "t"}}]
        order = client.post("/orders/by-mass", json={"bundle_masses": masses}).json()
    tonne("orders", "pay", order["id"])
    tonne("retire")
    rows = run_sql(
        "SELECT serial_first, serial_last FROM retirements WHERE serial_prefix = $1 ORDER BY serial_first",
        sold["name"],
    )
    assert [tuple(row) for row in rows] == [(1, 4), (5, 6), (9, 10)]


@pytest.fixture
def retired(tonne, sold, service, tmp_path):
    """As `sold`, with the four tonnes retired; also returns the retirement and the path of its certificate."""
    [retirement] = [
        each
        for each in json.loads(tonne("retirements", "list", "--json").stdout)
        if each["serial_first"].startswith(sold["name"])
    ]
    _confirm(tonne, retirement["retirement_id"], "FICTION-R1")
    return sold | {
        "retirement_id": retirement["retirement_id"],
        "pdf": _download(service, sold, tmp_path / "1.pdf"),
    }


def _confirm(tonne, retirement_id, reference):
    tonne(
        "retirements", "confirm", retirement_id, "--reference", reference, "--date", f"{utc_now():%Y-%m-%d}"
    )


def _download(service, sold, file):
    with service.client("USD", Mode.LIVE) as client:
        answer = client.get(f"/orders/{sold['order_id']}/certificate")
    assert answer.status_code == 200
    file.write_bytes(answer.content)
    return file


def _facts(service, sold):
    """The certified retirement as the public JSON has it now."""
    with service.client("USD", Mode.LIVE) as client:
        url = f"/orders/{sold['order_id']}/certificate"
        [facts] = client.get(url, headers={"Accept": "application/json"}).json()["retirements"]
    return facts


def _found(tonne, file):
    verdict = json.loads(tonne("proof", "check", str(file), "--json").stdout)
    assert verdict["valid"] is True
    return {each["code"] for each in verdict["findings"]}


def _replace(tonne, retired, *options, status=0):
    return tonne("retirements", "replace", "--lot", retired["lot_id"], *options, status=status)


def _stand_in(tonne, retired):
    """The pending retirement that stands in."""
    [found] = [
        each
        for each in json.loads(tonne("retirements", "list", "--json").stdout)
        if each["serial_first"].startswith(retired["name"])
    ]
    return found


def test_reversed_credits_are_replaced_and_the_certificate_says_so(tonne, retired, service, tmp_path):
    assert _found(tonne, retired["pdf"]) == {"valid"}
    assert _facts(service, retired)["withdrawn"] == []
    arguments = ("lots", "reverse", retired["lot_id"], "--serials", "3-4", "--reason", "The forest burnt.")
    shown = json.loads(tonne(*arguments, "--replace", "--json").stdout)
    [replaced] = shown["replaced"]
    assert (replaced["retirement_id"], replaced["missing_tonnes"], replaced["planned_tonnes"]) == (
        retired["retirement_id"],
        2,
        2,
    )
    assert "superseded" in _found(tonne, retired["pdf"])
    facts = _facts(service, retired)
    assert [(each["kind"], each["quantity"], each["reason"]) for each in facts["withdrawn"]] == [
        ("reversed", "2", "The forest burnt.")
    ]
    assert [(each["state"], each["quantity"]) for each in facts["replaced_by"]] == [("pending", "2")]
    between = _download(service, retired, tmp_path / "2.pdf")
    assert _found(tonne, between) == {"valid"}
    assert squeezed("The forest burnt.") in text_of(between.read_bytes())
    stand_in = _stand_in(tonne, retired)
    assert (stand_in["serial_first"], stand_in["tonnes"]) == (f"{retired['name']}-5", 2)
    _confirm(tonne, stand_in["retirement_id"], "FICTION-R2")
    assert "superseded" in _found(tonne, between)
    newest = _download(service, retired, tmp_path / "3.pdf")
    assert _found(tonne, newest) == {"valid"}
    assert "FICTION-R2" in text_of(newest.read_bytes())
    with service.client("USD", Mode.LIVE) as client:
        url = client.get(f"/orders/{retired['order_id']}").json()["public_certificate_url"]
        page = client.get(url, headers={"Accept": "text/html"})
    assert "Reversed on" in page.text
    assert "FICTION-R2" in page.text
    assert "Nothing is missing" in _replace(tonne, retired).output
    rows = _rows(tonne("retirements", "report", "--format", "csv").stdout)
    ours = {row["retirement_id"]: row for row in rows if row["unit_start_block"].startswith(retired["name"])}
    first, second = ours[retired["retirement_id"]], ours[stand_in["retirement_id"]]
    assert (first["withdrawn_tonnes"], first["replaced_tonnes"], first["replaces_retirement_id"]) == (
        "2",
        "2",
        "",
    )
    assert (second["withdrawn_tonnes"], second["replaces_retirement_id"]) == ("0", retired["retirement_id"])
    today = f"{utc_now():%Y-%m-%d}"
    wanted = ("report", "--beneficiary", "Demo Shop", "--from", today, "--to", today)
    told = json.loads(tonne(*wanted, "--format", "json").stdout)["esrs_e1_7"]
    assert told["withdrawn_since"] == {"quantity": "2", "replaced": "2"}
    pdf = text_of(tonne(*wanted, "--format", "pdf").stdout_bytes)
    assert (
        squeezed("2 were reversed or invalidated later; 2 of other credits are retired in their place") in pdf
    )


@pytest.mark.parametrize(("times", "status"), [(4, 200), (5, 503)])
def test_a_certificate_is_set_anew_while_its_credits_change_five_times_at_most(
    tonne, retired, service, run_sql, monkeypatch, times, status
):
    tonne("lots", "reverse", retired["lot_id"], "--serials", "1-1", "--reason", "Burnt")
    lot_id, real, set_times = UUID(retired["lot_id"]), proofs._make_pdf, []

    def make_pdf(*arguments):
        made = real(*arguments)
        set_times.append(1)
        if len(set_times) <= times:
            run_sql("UPDATE withdrawals SET reason = reason || '.' WHERE lot_id = $1", lot_id)
        return made

    monkeypatch.setattr(proofs, "_make_pdf", make_pdf)
    with service.client("USD", Mode.LIVE) as client:
        answer = client.get(f"/orders/{retired['order_id']}/certificate")
    assert (answer.status_code, len(set_times)) == (status, 5)
    if status == 503:
        assert answer.headers["retry-after"] == "1"


def _rows(text):
    return list(csv.DictReader(text.splitlines()))


def test_what_stands_in_and_is_rejected_is_missing_again(tonne, retired, service, tmp_path):
    withdraw = ("lots", "invalidate", retired["lot_id"], "--reason", "Void.", "--serials")
    tonne(*withdraw, "1-2")
    _download(service, retired, tmp_path / "0.pdf")
    first = json.loads(_replace(tonne, retired, "--json").stdout)
    assert [each["planned_tonnes"] for each in first] == [2]
    assert "Nothing is missing" in _replace(tonne, retired).output
    pending = _download(service, retired, tmp_path / "1.pdf")
    tonne("retirements", "reject", _stand_in(tonne, retired)["retirement_id"], "--reason", "Frozen.")
    assert "superseded" in _found(tonne, pending)
    assert _found(tonne, _download(service, retired, tmp_path / "0.pdf")) == {"valid"}
    assert _facts(service, retired)["replaced_by"] == []
    again = json.loads(_replace(tonne, retired, "--json").stdout)
    assert [each["planned_tonnes"] for each in again] == [2]
    stand_in = _stand_in(tonne, retired)
    _confirm(tonne, stand_in["retirement_id"], "FICTION-R3")
    # What stood in turns out to be void as well; what is in stock by then is less.
    first, last = (int(stand_in[name].rpartition("-")[2]) for name in ("serial_first", "serial_last"))
    pdf = _download(service, retired, tmp_path / "2.pdf")
    concerned = json.loads(tonne(*withdraw, f"{first}-{last}", "--json").stdout)["affected"]
    assert [(each["order_id"], each["tonnes"]) for each in concerned] == [(retired["order_id"], 2)]
    assert "superseded" in _found(tonne, pdf)
    [lot] = stock(tonne, retired["name"])
    left = lot["available_tonnes"]
    tonne(*withdraw, f"{lot['serial_last'] - left + 2}-{lot['serial_last']}")
    short = json.loads(_replace(tonne, retired, "--json").stdout)
    assert [(each["missing_tonnes"], each["planned_tonnes"]) for each in short] == [(2, 1)]
    assert "being replaced" in _replace(tonne, retired).output
    facts = _facts(service, retired)
    assert [each["quantity"] for each in facts["withdrawn"]] == ["2", "2"]
    assert [each["quantity"] for each in facts["replaced_by"]] == ["2", "1"]
    rows = {
        row["retirement_id"]: row for row in _rows(tonne("retirements", "report", "--format", "csv").stdout)
    }
    row = rows[retired["retirement_id"]]
    # What stood in is void, and what stands in for that is not retired yet.
    assert (row["withdrawn_tonnes"], row["replaced_tonnes"]) == ("2", "0")


@pytest.fixture
def retired_twice(tonne, retired, service):
    """As `retired`, and two more tonnes for another order; the ids of both retirements."""
    with service.client("USD", Mode.LIVE) as client:
        masses = [{"bundle_id": retired["bundle_id"], "mass": {"amount": "2", "unit": "t"}}]
        order = client.post("/orders/by-mass", json={"bundle_masses": masses}).json()
    tonne("orders", "pay", order["id"])
    tonne("retire")
    second = _stand_in(tonne, retired)["retirement_id"]
    _confirm(tonne, second, "FICTION-R4")
    return retired | {"retirement_ids": [retired["retirement_id"], second]}


@pytest.fixture
def one_at_a_time(monkeypatch):
    monkeypatch.setattr(replace_retirements, "RETIREMENTS_AT_ONCE", 1)


@pytest.fixture
def second_fails(run_sql, retired_twice):
    """The database lets nothing stand in for the second retirement: whoever tries always meets another."""
    run_sql(
        "CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'met another' USING ERRCODE = 'deadlock_detected'; END $$"
    )
    second = UUID(retired_twice["retirement_ids"][1])
    run_sql(
        f"CREATE TRIGGER meet BEFORE INSERT ON retirements FOR EACH ROW WHEN (NEW.replaces_id = '{second}') "
        "EXECUTE FUNCTION meet()"
    )
    yield
    run_sql("DROP FUNCTION meet CASCADE")


def _reverse_of_both(retired_twice):
    serials = ("--serials", "4-5", "--reason", "The forest burnt.")
    return ("lots", "reverse", retired_twice["lot_id"], *serials)


def _replaced(replaced):
    return [(each["retirement_id"], each["planned_tonnes"]) for each in replaced]


def test_replacements_go_on_page_by_page(tonne, retired_twice, one_at_a_time):
    tonne(*_reverse_of_both(retired_twice))
    first, second = retired_twice["retirement_ids"]
    assert _replaced(json.loads(_replace(tonne, retired_twice, "--json").stdout)) == [(first, 1), (second, 1)]
    assert json.loads(_replace(tonne, retired_twice, "--json").stdout) == []


def test_what_is_done_is_told_before_a_replacement_fails(tonne, retired_twice, one_at_a_time, second_fails):
    first, second = retired_twice["retirement_ids"]
    failed = tonne(*_reverse_of_both(retired_twice), "--replace", "--json", status=1)
    told = json.loads(failed.stdout)
    assert {each["retirement_id"] for each in told["affected"]} == {first, second}
    assert _replaced(told["replaced"]) == [(first, 1)]
    assert "Repeat it in a moment" in failed.stderr
    _reject_stand_in(tonne, retired_twice)
    failed = _replace(tonne, retired_twice, "--json", status=1)
    assert _replaced(json.loads(failed.stdout)) == [(first, 1)]
    assert "Repeat it in a moment" in failed.stderr
    _reject_stand_in(tonne, retired_twice)
    failed = _replace(tonne, retired_twice, status=1)
    assert first in failed.stdout
    assert "Repeat it in a moment" in failed.stderr
    failed = _replace(tonne, retired_twice, status=1)
    assert failed.stdout == ""


def test_a_withdrawal_is_told_before_its_replacement_fails(tonne, retired_twice, second_fails):
    failed = tonne(*_reverse_of_both(retired_twice), "--replace", status=1)
    assert "Serial numbers 4 to 5 are reversed" in failed.stdout
    assert all(each in failed.stdout for each in retired_twice["retirement_ids"])
    assert "being replaced" not in failed.stdout
    assert "Repeat it in a moment" in failed.stderr


def _reject_stand_in(tonne, retired):
    stand_in = _stand_in(tonne, retired)["retirement_id"]
    tonne("retirements", "reject", stand_in, "--reason", "Frozen.", "--credits-are-good")


def test_two_who_replace_at_once_replace_each_tonne_once(
    tonne, retired_twice, one_at_a_time, service, run_sql
):
    tonne(*_reverse_of_both(retired_twice))
    lot_id = UUID(retired_twice["lot_id"])

    async def both(pool):
        return await asyncio.gather(
            *(
                replace_retirements.replace_withdrawn(pool, lot_id=lot_id, at=utc_now(), actor=SERVICE)
                for _ in range(2)
            )
        )

    done = [each for run in on_pool(service.database_url, both) for each in run]
    assert sorted(str(each.retirement_id) for each in done if each.planned_tonnes) == sorted(
        retired_twice["retirement_ids"]
    )
    rows = run_sql(
        "SELECT sum(tonnes) AS tonnes FROM retirements WHERE replaces_id IS NOT NULL AND lot_id = $1", lot_id
    )
    assert rows[0]["tonnes"] == 2
    assert stock(tonne, retired_twice["name"])[0]["available_tonnes"] == 2


def test_what_is_promised_to_others_does_not_stand_in(tonne, retired, service, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"bundles: [{{identifier: {retired['name']}, on_shortage: reject}}]")
    tonne("catalogue", "apply", str(file), "--yes")
    with service.client("USD", Mode.LIVE) as client:
        masses = [{"bundle_id": retired["bundle_id"], "mass": {"amount": "4.5", "unit": "t"}}]
        client.post("/orders/by-mass", json={"bundle_masses": masses}).raise_for_status()
    arguments = ("lots", "reverse", retired["lot_id"], "--serials", "1-3", "--reason", "Burnt.", "--replace")
    [replaced] = json.loads(tonne(*arguments, "--json").stdout)["replaced"]
    # Six are in stock, and four and a half promised.
    assert (replaced["missing_tonnes"], replaced["planned_tonnes"]) == (3, 1)


def test_what_stands_in_for_one_retirement_is_not_free_for_the_next(tonne, retired_twice, service, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"bundles: [{{identifier: {retired_twice['name']}, on_shortage: reject}}]")
    tonne("catalogue", "apply", str(file), "--yes")
    with service.client("USD", Mode.LIVE) as client:
        masses = [{"bundle_id": retired_twice["bundle_id"], "mass": {"amount": "2.5", "unit": "t"}}]
        client.post("/orders/by-mass", json={"bundle_masses": masses}).raise_for_status()
    # Four are in stock, and two and a half promised.
    replaced = json.loads(tonne(*_reverse_of_both(retired_twice), "--replace", "--json").stdout)["replaced"]
    first, second = retired_twice["retirement_ids"]
    assert _replaced(replaced) == [(first, 1), (second, 0)]


def test_withdrawn_numbers_in_stock_are_found(tonne, sold, run_sql):
    place = (UUID(sold["project_id"]), UUID(sold["lot_id"]))
    run_sql(
        "INSERT INTO withdrawals (project_id, lot_id, serial_first, serial_last, kind, reason, created_at)"
        " VALUES ($1, $2, 9, 9, 'reversed', 'By hand.', now())",
        *place,
    )
    broken = json.loads(tonne("check", "--json", status=1).stdout)
    run_sql("DELETE FROM withdrawals WHERE project_id = $1 AND lot_id = $2", *place)
    assert "what was withdrawn is not in stock, nor set aside" in json.dumps(broken)


@pytest.mark.parametrize("good", [True, False])
def test_what_was_withdrawn_while_it_was_pending_is_not_sold_after_a_rejection(tonne, sold, good):
    tonne("lots", "invalidate", sold["lot_id"], "--serials", "2-3", "--reason", "Void.")
    [pending] = _ours(tonne, sold)
    options = ("--credits-are-good",) if good else ()
    tonne("retirements", "reject", pending["retirement_id"], "--reason", "Void.", *options)
    [lot] = stock(tonne, sold["name"])
    assert lot["cancelled_tonnes"] == 2
    assert (lot["available_tonnes"], lot["set_aside_tonnes"]) == ((8, 0) if good else (6, 2))


def _ours(tonne, sold):
    return [
        each
        for each in json.loads(tonne("retirements", "list", "--json").stdout)
        if each["serial_first"].startswith(sold["name"])
    ]


def test_the_report_sums_up_and_warns_of_what_runs_low(tonne, sold, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"bundles: [{{identifier: {sold['name']}, low_stock_tonnes: 7}}]")
    tonne("catalogue", "apply", str(file), "--yes")
    told = json.loads(tonne("inventory", "report", "--json").stdout)
    assert {"bundle": sold["name"], "available_tonnes": 6, "low_stock_tonnes": 7} in told["low_stock"]
    [line] = [line for line in told["lines"] if line["registry_project_id"] == sold["name"]]
    assert (line["issued_tonnes"], line["available_tonnes"], line["allocated_tonnes"]) == (10, 6, 4)
    assert f"Low: {sold['name']} has 6 tonnes" in tonne("inventory", "report").output
