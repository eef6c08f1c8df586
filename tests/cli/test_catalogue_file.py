"""The catalogue as a file: exported, changed, applied; and exchange rates from files."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tonne.application.catalogue_files import read_catalogue
from tonne.domain.accounts import Mode
from tonne.domain.errors import ValidationFailed
from tonne.domain.money import VALUE_MAX

NEW = """
projects:
  - slug: example-forest
    name: Example Forest
    project_type: Improved forest management
    registry_name: American Carbon Registry
    registry_project_id: ACR0001
    country_code: USA
    latitude: 44.50
    un_sdg: [13, 15]
    crediting_start_date: 2015-01-01
bundles:
  - identifier: forests
    name: Forests
    currency: USD
    price: 13.570
    fixed_prices: {EUR: 12.90}
    planned_prices:
      - {valid_from: 2199-01-01T00:00:00Z, currency: USD, price: 15}
    projects: [example-forest]
    on_shortage: reject
portfolios:
  - identifier: forests-only
    label: Forests only
    selection: [{bundle: forests, percentage: 100}]
"""


@pytest.fixture
def exported(tonne, tmp_path):
    file = tmp_path / "catalogue.yaml"

    def export():
        tonne("catalogue", "export", str(file))
        return yaml.safe_load(file.read_text())

    return export


def apply(tonne, tmp_path, text, *options, status=0):
    file = tmp_path / "apply.yaml"
    file.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return tonne("catalogue", "apply", str(file), *options, status=status)


def test_what_was_exported_changes_nothing(tonne, tmp_path):
    file = tmp_path / "catalogue.yaml"
    tonne("catalogue", "export", str(file))
    assert "No changes" in tonne("catalogue", "apply", str(file), "--yes").output
    assert tonne("catalogue", "export").stdout == file.read_text()


def test_a_file_is_shown_then_applied_whole_and_applying_it_again_changes_nothing(
    tonne, tmp_path, exported, service
):
    before = exported()
    shown = json.loads(apply(tonne, tmp_path, NEW, "--dry-run", "--json").stdout)
    assert shown["applied"] is False
    assert [(change["type"], change["key"], change["action"]) for change in shown["changes"]] == [
        ("project", "example-forest", "create"),
        ("bundle", "forests", "create"),
        ("portfolio", "forests-only", "create"),
    ]
    assert exported() == before
    said = apply(tonne, tmp_path, NEW, "--yes").output
    assert "+ bundle forests" in said
    assert "price: 13.57" in said
    assert "Applied" in said
    after = exported()
    bundle = next(bundle for bundle in after["bundles"] if bundle["identifier"] == "forests")
    assert (bundle["price"], bundle["fixed_prices"], bundle["on_shortage"]) == (
        "13.57",
        {"EUR": "12.9"},
        "reject",
    )
    assert bundle["planned_prices"] == [
        {"valid_from": "2199-01-01T00:00:00.000Z", "currency": "USD", "price": "15"}
    ]
    project = next(project for project in after["projects"] if project["slug"] == "example-forest")
    assert (project["latitude"], project["country_name"]) == ("44.5", "United States")
    assert "No changes" in apply(tonne, tmp_path, NEW, "--yes").output
    with service.client("EUR", Mode.LIVE) as euros:
        assert {b["name"]: b["unit_price"] for b in euros.get("/bundles").json()["data"]}["Forests"] == "12.9"


def test_what_is_not_in_the_file_stays(tonne, tmp_path, exported):
    before = exported()
    apply(
        tonne,
        tmp_path,
        {"bundles": [{"identifier": before["bundles"][0]["identifier"], "price": "77"}]},
        "--yes",
    )
    after = exported()
    assert after["bundles"][0] == before["bundles"][0] | {"price": "77"}
    assert after["bundles"][1:] == before["bundles"][1:]
    assert after["projects"] == before["projects"]


def test_every_mistake_is_named_with_its_place_and_nothing_is_changed(tonne, tmp_path, exported):
    before = exported()
    wrong: dict[str, list[dict[str, object]]] = {
        "projects": [{"slug": "a", "country_code": "XYZ"}, {"name": "without slug"}],
        "bundles": [
            {"identifier": "b", "name": "B", "currency": "USD", "price": "0", "projects": ["nowhere"]}
        ],
    }
    said = apply(tonne, tmp_path, wrong, "--yes", status=1).output
    assert "/projects/1/slug: is required" in said
    wrong["projects"].pop()
    said = apply(tonne, tmp_path, wrong, "--yes", status=1).output
    for place in ("/projects/0/country_code", "/projects/0/name: is required", "/bundles/0/price"):
        assert place in said
    assert exported() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("projects: [", "no YAML"),
        ("projects: [{slug: a, slug: b}]", "there twice"),
        ("projects: [&a {slug: a}, *a]", "aliases"),
        ("projects: [{slug: a, colour: red}]", "colour"),
        ("project: []", "project"),
        ("- a", "the file"),
        ("bundles: [{identifier: b, price: -1}]", "price"),
        ("a: !!python/object/apply:os.system [true]", "no YAML"),
        ("projects: [{slug: x}, {slug: x}]", "named twice"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(tonne, tmp_path, text, said):
    assert said in apply(tonne, tmp_path, text, "--yes", status=1).output


def test_nobody_is_asked_by_a_program(tonne, tmp_path):
    assert "say --yes" in apply(tonne, tmp_path, NEW, "--json", status=2).output


@given(st.decimals(min_value="0.01", max_value=VALUE_MAX, places=6, allow_nan=False))
def test_a_number_is_read_as_it_is_written(price):
    file = read_catalogue(f"bundles: [{{identifier: b, price: {price:f}}}]")
    assert file.bundles[0].price == f"{price:f}"


def test_deep_nesting_is_refused():
    with pytest.raises(ValidationFailed):
        read_catalogue("[" * 5000)


def rates(tonne, tmp_path, text, *options, status=0):
    file = tmp_path / "rates.csv"
    file.write_text(text)
    return tonne("rates", "import", str(file), *options, status=status)


def test_rates_are_imported_once_and_whole(tonne, tmp_path):
    text = "base_currency,quote_currency,as_of,rate,source\nUSD,UYU,2026-01-31,0.9,Bank\nUSD,PYG,2026-01-31,10.1,Bank\n"
    counts = {"added": 2, "unchanged": 0, "replaced": 0}
    assert (
        json.loads(rates(tonne, tmp_path, text, "--dry-run", "--json").stdout) == {"dry_run": True} | counts
    )
    assert json.loads(rates(tonne, tmp_path, text, "--json").stdout) == {"dry_run": False} | counts
    assert "0 added, 2 unchanged" in rates(tonne, tmp_path, text).output
    other = text.replace("10.1", "10.2")
    assert "to be replaced" in rates(tonne, tmp_path, other, status=1).output
    assert "1 unchanged, 1 replaced" in rates(tonne, tmp_path, other, "--replace").output
    listed = json.loads(tonne("rates", "list", "--json").stdout)
    assert {"base_currency": "USD", "quote_currency": "PYG", "rate": "10.2"}.items() <= next(
        rate for rate in listed if rate["quote_currency"] == "PYG"
    ).items()


def test_a_file_of_rates_with_damaged_rows_names_each_and_imports_none(tonne, tmp_path):
    text = (
        "base_currency,quote_currency,as_of,rate,source\nUSD,BOB,2026-01-31,1.4,Bank\nUSD,BOB,2026-01-31,1.4,Bank\n"
        "USD,QQQ,2026-01-31,1,Bank\nUSD,BOB,yesterday,1,Bank\nUSD,BOB,2026-02-28,0,Bank\nUSD,BOB,2026-02-28,1,\n"
    )
    said = rates(tonne, tmp_path, text, status=1).output
    for line in range(3, 8):
        assert f"line {line}: " in said
    assert "BOB" not in tonne("rates", "list", "--json").stdout
    assert (
        "the column rate is missing"
        in rates(tonne, tmp_path, "base_currency,quote_currency,as_of\n", status=1).output
    )


def test_published_monthly_rates_are_imported_as_they_are(tonne, shared_data):
    path = str(shared_data / "fx_monthly.csv")
    done = json.loads(
        tonne(
            "rates", "import", path, "--format", "monthly", "--source", "US Federal Reserve H.10", "--json"
        ).stdout
    )
    assert done["added"] + done["unchanged"] == 3036
    again = json.loads(
        tonne("rates", "import", path, "--format", "monthly", "--source", "x", "--json").stdout
    )
    assert again["unchanged"] == 3036
