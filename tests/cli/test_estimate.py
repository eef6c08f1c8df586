"""`tonne estimate`: the same calculators as over HTTP, each step printed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tonne.application.identifiers import utc_now
from tonne.cli.main import main


@pytest.fixture
def refused(database_url):
    """Run a command that is refused; returns what it tells, on one line."""

    def run(*arguments):
        result = CliRunner().invoke(main, [*arguments, "--database-url", database_url])
        assert result.exit_code in (1, 2)
        assert isinstance(result.exception, SystemExit)
        return " ".join(result.output.replace("│", " ").split())

    return run


@pytest.mark.parametrize(
    ("arguments", "kilograms", "told"),
    [
        (("flight", "LHR", "JFK", "--class", "economy"), "650.101", "long-haul"),
        (("flight", "--distance", "600 km", "--passengers", "2"), None, "radiative forcing"),
        (("electricity", "1.2 MWh", "--country", "DEU"), None, "grid"),
        (("travel", "--by", "car_medium", "--fuel", "diesel", "--distance", "180 km"), None, "car"),
        (("travel", "--by", "national_rail", "--from", "LHR", "--to", "CDG"), None, "detours"),
        (("shipping", "12.5 t", "--by", "container_ship", "--from", "NLRTM", "--to", "SGSIN"), None, "Suez"),
        (("spend", "42.50 USD", "--for", "coffee"), None, "taken for"),
        (("factor", "desnz-2025/27_315_3151_14_1", "1000 t*km"), "27.79", "Freight"),
    ],
)
def test_an_estimate_shows_each_step_and_prints_json_for_programs(tonne, arguments, kilograms, told):
    text = tonne("estimate", *arguments).output
    assert told.casefold() in text.casefold()
    assert "1. " in text
    assert "source: " in text
    facts = json.loads(tonne("estimate", *arguments, "--json").output)
    assert facts["calculation"]
    if kilograms is not None:
        assert facts["mass"] == {"amount": kilograms, "unit": "kg"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("flight", "LHR", "JFX"), "near matches"),
        (("flight", "LHR", "LHR"), "two places"),
        (("flight", "LHR", "JFK", "--passengers", "0"), "0"),
        (("electricity", "-1 kWh"), "-1"),
        (("electricity", "1 mile"), "kWh"),
        (("travel", "--by", "national_rail", "--fuel", "diesel", "--distance", "18 km"), "no fuel"),
        (("travel", "--by", "ferry", "--distance", "1000000000000 km"), "60000 km"),
        (("shipping", "1 t", "--by", "container_ship", "--from", "NLRTN", "--to", "SGSIN"), "NLRTM"),
        (("spend", "10 USD", "--for", "coffee", "--on", "2999-01-01"), "yet to come"),
        (("spend", "10 XXZ", "--for", "coffee"), "ISO 4217"),
        (("factor", "desnz-2025/27_315_3151_14_2", "1 t*km"), "desnz-2025/27_315_3151_14_1"),
        (("factor", "desnz-2025/27_315_3151_14_1", "1 kWh"), "t*km"),
    ],
)
def test_nonsense_is_refused_with_what_to_do(refused, arguments, told):
    assert told in refused("estimate", *arguments)


def test_today_is_not_yet_to_come(tonne):
    tonne("estimate", "spend", "10 USD", "--for", "coffee", "--on", utc_now().date().isoformat())
