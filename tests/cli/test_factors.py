"""`tonne factors`: editions are loaded whole or not at all, never change, and are withdrawn and restored."""

from __future__ import annotations

import asyncio
import csv
import json

import pytest
from tests.paying import on_pool

from tonne.application.factor_files import FactorFormat, Stated, read_factors
from tonne.application.identifiers import utc_now
from tonne.application.import_factors import import_factors
from tonne.domain.audit import SERVICE
from tonne.domain.errors import ValidationFailed
from tonne.estimates.builtin_factors import builtin_editions
from tonne.storage.checks import EDITIONS_RULE

HEADER = "activity,name,region,unit,kg_co2e\n"
ROWS = "steel,Steel of our supplier,DEU,kg,1.85\nglass,Glass of our supplier,DEU,kg,0.9\n"
STATED = (
    "--title",
    "Our suppliers",
    "--attribution",
    "Acme GmbH",
    "--licence",
    "own",
    "--url",
    "https://acme.example/",
)


@pytest.fixture
def run(tonne, tmp_path):
    """Import a text as an edition; returns what is told."""

    def run(text, *options, source="acme", year="2025", status=0):
        file = tmp_path / "file.csv"
        file.write_text(text)
        named = ("--source", source, "--year", year, *STATED)
        result = tonne(
            "factors", "import", str(file), "--format", "csv", *named, "--json", *options, status=status
        )
        return json.loads(result.stdout) if status == 0 else result.output

    return run


def counts(told):
    return told["new"], told["changed"], told["unchanged"], told["gone"]


def editions(tonne):
    return {row["edition"]: row for row in json.loads(tonne("factors", "list", "--json").stdout)}


def rows_stored(run_sql):
    return [tuple(row) for row in run_sql("SELECT * FROM emission_factors ORDER BY edition_id, activity")]


def audited(run_sql, edition):
    rows = run_sql(
        "SELECT action, before, after FROM audit_entries WHERE object_type = 'emission factor edition' "
        "AND object_id = $1 ORDER BY sequence",
        edition,
    )
    return [(r["action"], json.loads(r["before"] or "null"), json.loads(r["after"] or "null")) for r in rows]


def test_an_edition_is_loaded_once_and_other_figures_are_its_next_revision(run, tonne, run_sql):
    first = run(HEADER + ROWS)
    assert (first["edition"], first["is_new"], first["factors"], counts(first)) == (
        "acme-2025",
        True,
        2,
        (2, 0, 0, 0),
    )
    again = run(HEADER + "".join(reversed(ROWS.splitlines(keepends=True))))
    assert (again["edition"], again["is_new"], counts(again)) == ("acme-2025", False, (0, 0, 2, 0))
    changed = run(HEADER + ROWS.replace("0.9", "0.8") + "wood,Wood,DEU,kg,0.1\n")
    assert (changed["edition"], changed["compared_with"]) == ("acme-2025.2", "acme-2025")
    assert counts(changed) == (1, 1, 1, 0)
    newer = run(HEADER + "steel,Steel of our supplier,DEU,kg,1.85\n", year="2026")
    assert (newer["edition"], newer["compared_with"]) == ("acme-2026", "acme-2025.2")
    assert counts(newer) == (0, 0, 1, 2)
    listed = editions(tonne)
    assert [name for name in listed if name.startswith("acme")] == ["acme-2026", "acme-2025.2", "acme-2025"]
    assert listed["acme-2025"]["factors"] == 2
    assert listed["acme-2025"]["url"] == "https://acme.example/"
    [(action, before, after)] = audited(run_sql, "acme-2025")
    assert (action, before, after["factor_count"], after["attribution"]) == ("import", None, 2, "Acme GmbH")
    assert len(after["content_sha256"]) == 64


def test_the_same_figures_of_another_year_are_another_edition(run, tonne):
    text = HEADER + "felt,Felt,NZL,kg,20\n"
    run(text, source="felted", year="2024")
    run(text, source="felted", year="2025")
    named = [edition for edition in editions(tonne) if "felted" in str(edition)]
    assert len(named) == 2


def test_a_dry_run_tells_what_would_be_and_changes_nothing(run, tonne, run_sql):
    before = (editions(tonne), rows_stored(run_sql), audited(run_sql, "dry-2025"))
    told = run(HEADER + ROWS.replace("1.85", "1.84"), "--dry-run", source="dry")
    assert (told["edition"], told["dry_run"], told["is_new"], counts(told)) == (
        "dry-2025",
        True,
        True,
        (2, 0, 0, 0),
    )
    assert (editions(tonne), rows_stored(run_sql), audited(run_sql, "dry-2025")) == before


def test_with_a_damaged_row_nothing_is_loaded_and_every_one_is_told(run, tonne, run_sql, tmp_path):
    before = rows_stored(run_sql)
    text = HEADER + ROWS + "".join(f"a{n},A,DEU,stone,1\n" for n in range(21)) + "glass,Glass,DEU,kg,1\n"
    said = run(text, "--errors", str(tmp_path / "errors.csv"), source="damaged", status=1)
    assert "Nothing was imported" in said
    assert "line 23: 'stone'" in said
    assert "line 24" not in said
    assert "and 2 more" in said
    with (tmp_path / "errors.csv").open(newline="") as file:
        errors = list(csv.DictReader(file))
    assert [int(row["line"]) for row in errors] == list(range(4, 26))
    assert errors[-1]["message"] == "the activity 'glass' is on line 3 already"
    assert rows_stored(run_sql) == before


def test_a_damaged_file_is_not_loaded_by_programs_either(database_url):
    file = read_factors(HEADER + ROWS + "x,X,DEU,stone,1\n", FactorFormat.CSV, Stated("acme", 2025, "A", "A"))
    with pytest.raises(ValidationFailed) as refused:
        on_pool(database_url, lambda pool: import_factors(pool, file, at=utc_now(), actor=SERVICE))
    assert [violation.pointer for violation in refused.value.violations] == ["line 4"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"", "the column activity is missing"),
        (b"a,b\n1,2\n", "the column activity is missing"),
        (b"x" * 50_000_001, "larger than 50 MB"),
    ],
)
def test_a_file_that_can_not_be_read_is_said_so(tonne, tmp_path, content, said):
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    refused = tonne("factors", "import", str(file), "--format", "csv", "--source", "acme", status=2).output
    assert "can't be read" in refused
    assert said in refused
    assert "Traceback" not in refused


def test_an_edition_is_withdrawn_and_restored(run, tonne, run_sql):
    run(HEADER + "wool,Wool of our farm,NZL,kg,20\n", source="farm")
    assert json.loads(tonne("factors", "search", "wool", "farm", "--json").stdout)["found"] == 1
    for changed in (True, False):
        told = json.loads(tonne("factors", "withdraw", "farm-2025", "--json").stdout)
        assert told == {"edition": "farm-2025", "withdrawn": True, "changed": changed}
    assert editions(tonne)["farm-2025"]["withdrawn_at"] is not None
    for options in ((), ("--year", "2025")):
        assert json.loads(tonne("factors", "search", "wool", *options, "--json").stdout)["found"] == 0
    # It is still found by its id.
    shown = json.loads(tonne("factors", "show", "farm-2025/wool", "--json").stdout)
    assert (shown["kg_co2e"], shown["withdrawn_at"] is not None) == ("20", True)
    again = run(HEADER + "wool,Wool of our farm,NZL,kg,20\n", source="farm")
    assert (again["is_new"], again["withdrawn"]) == (False, True)
    for changed in (True, False):
        assert json.loads(tonne("factors", "restore", "farm-2025", "--json").stdout)["changed"] is changed
    assert json.loads(tonne("factors", "search", "wool", "--json").stdout)["found"] == 1
    assert audited(run_sql, "farm-2025")[1:] == [
        ("withdraw", {"withdrawn": False}, {"withdrawn": True}),
        ("restore", {"withdrawn": True}, {"withdrawn": False}),
    ]


@pytest.mark.parametrize("command", ["withdraw", "restore"])
def test_an_unknown_edition_is_said_and_one_of_tonne_s_own_stays(tonne, command):
    said = tonne("factors", command, "nobody-2025", status=1).output
    assert "There is no edition nobody-2025; `tonne factors list` shows them." in said
    ours = next(iter(builtin_editions().values())).edition_id
    assert f"{ours} comes with Tonne" in tonne("factors", command, ours, status=1).output


def test_revisions_go_on_from_the_edition_that_comes_with_tonne(tonne, tmp_path):
    ours = next(edition for edition in builtin_editions().values() if edition.source == "desnz")
    file = tmp_path / "desnz.csv"
    header = "year,factor_id,scope,level_1,level_2,level_3,level_4,column_text,uom,kg_co2e_per_uom\n"
    file.write_text(header + f"{ours.publication_year},x,Scope 1,Fuels,Peat,,,,kg,1.5\n")
    told = json.loads(
        tonne("factors", "import", str(file), "--format", "desnz", "--dry-run", "--json").stdout
    )
    assert told["edition"] == f"{ours.edition_id}.2"
    assert told["new"] == 1
    assert told["gone"] > 0


def test_what_comes_with_tonne_is_listed_and_shown(tonne):
    listed = editions(tonne)
    for edition in builtin_editions().values():
        row = listed[edition.edition_id]
        assert (row["builtin"], row["loaded_at"]) == (True, None)
        assert row["factors"] > 0
        shown = json.loads(tonne("factors", "show", edition.edition_id, "--json").stdout)
        assert sum(shown["units"].values()) == row["factors"]
    assert "comes with Tonne" in tonne("factors", "list").output


def test_a_factor_is_shown_with_all_it_says(run, tonne):
    run(HEADER + "copper,Copper of our supplier,CHL,kg,4.100\n", source="metal")
    shown = json.loads(tonne("factors", "show", "metal-2025/copper", "--json").stdout)
    assert {name: shown[name] for name in ("factor", "name", "kg_co2e", "unit", "region", "attribution")} == {
        "factor": "metal-2025/copper",
        "name": "Copper of our supplier",
        "kg_co2e": "4.1",
        "unit": "kg",
        "region": "CHL",
        "attribution": "Acme GmbH",
    }
    assert "Copper of our supplier" in tonne("factors", "show", "metal-2025/copper").output
    assert "1 by kg" in tonne("factors", "show", "metal-2025").output
    assert "no factor metal-2025/tin" in tonne("factors", "show", "metal-2025/tin", status=1).output
    assert "no edition metal-2024" in tonne("factors", "show", "metal-2024", status=1).output


def test_factors_are_searched(run, tonne):
    run(HEADER + "a,Zinc sheet,CHL,kg,3\nb,Zinc,CHL,kg,2\nc,Zinc,DEU,t,2000\n", source="zinc")

    def found(*arguments):
        told = json.loads(tonne("factors", "search", *arguments, "--json").stdout)
        return told["found"], [factor["factor"] for factor in told["factors"]]

    assert found("ZIN", "--source", "zinc") == (3, ["zinc-2025/b", "zinc-2025/c", "zinc-2025/a"])
    assert found("zinc", "--limit", "1") == (3, ["zinc-2025/b"])
    assert found("zinc", "--region", "chile", "--unit", "KG") == (2, ["zinc-2025/b", "zinc-2025/a"])
    assert found("zinc", "--year", "2024") == (0, [])
    assert "2 more" in tonne("factors", "search", "zinc", "--limit", "1").output
    assert "No factor matches." in tonne("factors", "search", "unobtainium").output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((), ("import", "list", "show", "search", "withdraw", "restore")),
        (("import",), ("--format", "--source", "--year", "--attribution", "--dry-run", "--errors")),
        (("search",), ("--region", "--unit", "--limit")),
    ],
)
def test_help_names_what_there_is(command, said):
    from click.testing import CliRunner

    from tonne.cli.main import main

    output = CliRunner().invoke(main, ["factors", *command, "--help"]).output
    assert [word for word in said if word not in output] == []


def test_the_same_file_imported_at_once_is_one_edition(database_url, run_sql):
    files = [
        read_factors(
            f"{HEADER}race,Race,DEU,kg,{kg}\n", FactorFormat.CSV, Stated("race", 2025, "Race", "Race")
        )
        for kg in (1, 2)
    ]

    async def all_at_once(pool):
        return await asyncio.gather(
            *(import_factors(pool, file, at=utc_now(), actor=SERVICE) for file in files * 4)
        )

    done = on_pool(database_url, all_at_once)
    assert sum(each.is_new for each in done) == 2
    stored = run_sql("SELECT edition_id FROM factor_editions WHERE source = 'race' ORDER BY revision")
    assert [row["edition_id"] for row in stored] == ["race-2025", "race-2025.2"]


def test_published_editions_are_loaded_once_as_published(tonne, shared_data, run_sql):
    for name, layout, options, count in (
        ("desnz_2024_factors", "desnz", (), 2616),
        ("desnz_2025_scope3_factors", "desnz", (), 1702),
        ("epa_ghg_hub_2025", "epa", (), 206),
        ("epa_spend_factors_naics_v1_3", "epa", ("--year", "2024"), 1016),
        ("grid_intensity", "owid", ("--year", "2026"), 6332),
    ):
        arguments = ("factors", "import", str(shared_data / f"{name}.csv"), "--format", layout, *options)
        told = json.loads(tonne(*arguments, "--json").stdout)
        assert (told["factors"], told["is_new"]) == (count, True)
        stored = run_sql("SELECT count(*) FROM emission_factors WHERE edition_id = $1", told["edition"])
        assert stored[0][0] == count
        if told["compared_with"] == told["edition"].partition(".")[0]:
            # What comes with Tonne was taken from the same files.
            assert told["changed"] == 0
        assert "says the same" in tonne(*arguments).output


def test_check_finds_an_edition_that_no_longer_says_what_it_said(run, tonne, run_sql):
    run(HEADER + "x,X,DEU,kg,1\ny,Y,DEU,kg,2\n", source="altered")

    def findings():
        rules = json.loads(tonne("check", "--json", status=1).stdout)["rules"]
        return next(rule["findings"] for rule in rules if rule["rule"] == EDITIONS_RULE)

    rules = json.loads(tonne("check", "--json").stdout)["rules"]
    assert any(rule["rule"] == EDITIONS_RULE for rule in rules)
    run_sql("UPDATE emission_factors SET kg_co2e = 1.1 WHERE edition_id = 'altered-2025' AND activity = 'x'")
    assert findings() == ["edition altered-2025: a factor was edited, or what is said of the edition"]
    run_sql("UPDATE emission_factors SET kg_co2e = 1 WHERE edition_id = 'altered-2025' AND activity = 'x'")
    assert json.loads(tonne("check", "--json").stdout)["sound"] is True
    run_sql("DELETE FROM emission_factors WHERE edition_id = 'altered-2025' AND activity = 'x'")
    assert findings() == ["edition altered-2025 has 1 factors, it was loaded with 2"]
    run_sql("INSERT INTO emission_factors VALUES ('altered-2025', 'x', 'X', 'DEU', 'kg', 1.00, NULL)")
    assert json.loads(tonne("check", "--json").stdout)["sound"] is True
