"""Generated requests against our own description: every answer is as described, and none is a 5xx.

The command line is what others will run against us, so it is what is run here, with every check it has. One check is
replaced: schemathesis_hooks.py says by what and why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.estimating import BY_NAME, CHANGEABLE, KINDS, made
from tests.support import Service

EXAMPLES, EXAMPLES_WELL_INFORMED, EXAMPLES_LONG = 15, 40, 1000
RUN_SECONDS_MAX = 280
RUN_SECONDS_MAX_LONG = 3500
# Deterministic: the same requests in every run, so that what fails here fails on the next machine too. A file of rows is
# text whatever is in it, and its rows are refused one by one.
CONFIGURATION = """\
headers = {{ Authorization = "Bearer {key}" }}
suppress-health-check = ["all"]

[generation]
max-examples = {examples}
deterministic = true
database = "none"

[checks.positive_data_acceptance]
enabled = false

[[operations]]
include-name = "POST /v1/orders/bulk"
checks.negative_data_rejection.enabled = false

[[operations]]
include-name = "POST /v1/estimates/transactions/batch"
checks.negative_data_rejection.enabled = false
"""

BY_KEY = "/v1/estimates/transactions/by-idempotency-key/{idempotency_key}"
BY_ID = "/v1/emission-factors/by-id/{factor_id}"
FACTOR = "owid-2026/DEU/2025"
A_DAY: dict[str, Any] = {"enum": ["2026-01-31", "2025-12-31T23:30:00-05:00", None]}
NOTHING: dict[str, Any] = {"enum": [None]}
# What can be told of properties when one knows what there is.
KNOWN: dict[str, dict[str, Any]] = {
    "CreateElectricityEstimate": {
        "country_code": {"enum": ["DEU", "FRA", None]},
        "year": {"enum": [2025, None]},
    },
    "CreatePassengerTransportationEstimate": {"passenger_transportation_travelled_at": A_DAY},
    "CreateShippingEstimate": {
        "method": {"enum": ["truck", "rail", {"vessel_type": "container_ship", "fuel": "hfo"}]},
        "country_code": {"enum": ["GBR", None]},
        "shipped_at": A_DAY,
        "radiative_forcing": NOTHING,
    },
    "CreateMultiLegShippingEstimate": {"shipped_at": A_DAY},
    "ShippingLegRequest": {
        "method": {"enum": ["air", "cargo_plane"]},
        "country_code": {"enum": ["GBR", None]},
    },
    "CreateTransactionEstimate": {"transaction_processed_at": A_DAY},
    "MonetaryAmount": {"currency": {"enum": ["USD"]}},
    "MerchantRequest": {
        "country_code": {"enum": ["USA", "DEU"]},
        "category_code": {"enum": ["5812", "4511"]},
    },
    "CreateEmissionFactorEstimate": {"emission_factor_id": {"enum": [FACTOR]}},
    "ActivityRequest": {"unit": {"enum": ["kWh", "MWh"]}},
}


def only(**properties: Any) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PLACE = {"enum": ["LHR", "JFK", {"code": "CDG"}, {"lat": 48.2, "lon": 16.4}]}
ROUTE = {"$ref": "#/components/schemas/RouteRequest"}
TOLD_IN_ONE_WAY: dict[str, Any] = {
    "RouteRequest": {
        "anyOf": [
            only(amount={"enum": ["12.07", "900"]}, unit={"enum": ["km", "mi", "nm"]}),
            only(source=PLACE, destination={"enum": ["HND", {"code": "KSFO"}]}),
        ]
    },
    "JourneyLegRequest": {
        "anyOf": [
            only(
                route=ROUTE, cabin_class={"enum": ["economy", "first"]}, radiative_forcing={"type": "boolean"}
            ),
            only(route=ROUTE, rail_type={"enum": ["national_rail", "underground"]}),
            only(
                route=ROUTE,
                vehicle_type={"enum": ["car_small", "car_average"]},
                fuel={"enum": ["petrol", None]},
            ),
        ]
    },
    "ShipmentRequest": {
        "anyOf": [
            only(mass={"$ref": "#/components/schemas/MassBody"}),
            only(containers={"enum": ["1", "2.5"]}, cargo_type={"enum": ["average", "container_only", None]}),
        ]
    },
}

Generate = Callable[..., dict[str, Any]]


@pytest.fixture
def generate(service: Service, tmp_path: Path) -> Generate:
    """Run schemathesis and demand that it finds nothing; returns its report."""

    def run(
        *options: str,
        schema: Path | None = None,
        examples: int = EXAMPLES,
        seconds_max: int = RUN_SECONDS_MAX,
    ) -> dict[str, Any]:
        configuration, report = tmp_path / "schemathesis.toml", tmp_path / "report.json"
        configuration.write_text(CONFIGURATION.format(key=service.key().api_key, examples=examples))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
        command += [str(schema or f"{service.base_url}/v1/openapi.json"), "--url", service.base_url]
        command += ["--continue-on-failure", "--no-color", "--report-json-path", str(report), *options]
        told = {
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(Path(__file__).parent),
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | told,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds_max,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        assert found["complete"] is True
        assert found["failures"] == found["errors"] == []
        return found

    return run


def know(operation: dict[str, Any], name: str, value: str) -> None:
    """Let a parameter in a path be one that is there."""
    (parameter,) = [each for each in operation["parameters"] if each["name"] == name]
    parameter["schema"] = {"type": "string", "enum": [value]}


@pytest.fixture
def well_informed(service: Service, bundles: dict[str, str], tmp_path: Path) -> Path:
    """The description as someone reads it who knows bundles, countries, airports and means of transport, and the ids of
    estimates: so that requests go through.
    """
    document = httpx.get(f"{service.base_url}/v1/openapi.json", trust_env=False).json()
    for name in ("BundleChoice", "BundleMass"):
        properties = document["components"]["schemas"][name]["properties"]
        properties["bundle_id"] = {"type": "string", "enum": list(bundles.values())}
    for name, known in KNOWN.items():
        schema = document["components"]["schemas"][name]
        assert known.keys() <= schema["properties"].keys(), name
        schema["properties"] |= known
    document["components"]["schemas"] |= TOLD_IN_ONE_WAY
    with service.client() as client:
        for kind in KINDS:
            found = made(client, kind)["id"]
            path = document["paths"][f"/v1/estimates/{kind.path}/{{id}}"]
            paths = [path, *([document["paths"]["/v1/estimates/{id}"]] if kind is KINDS[0] else [])]
            for operation in [operation for path in paths for operation in path.values()]:
                know(operation, "id", found)
        key = str(uuid4())
        made(client, BY_NAME["transaction"], idempotency_key=key)
    know(document["paths"][BY_KEY]["get"], "idempotency_key", key)
    know(document["paths"][BY_ID]["get"], "factor_id", FACTOR)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_every_answer_to_generated_requests_is_as_described(generate: Generate) -> None:
    report = generate()
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}
    assert report["test_cases"]["generated"] > 1000


def test_generated_orders_of_real_bundles_go_through_and_are_as_described(
    generate: Generate, well_informed: Path
) -> None:
    report = generate(
        *("--phases", "fuzzing", "--mode", "positive", "--include-method", "POST"),
        schema=well_informed,
        examples=EXAMPLES_WELL_INFORMED,
    )
    for path in ("orders/by-mass", "orders/by-value", "orders/by-mass/quote", "estimates/electricity"):
        assert report["valid_rates"][f"POST /v1/{path}"]["fuzzing"]["accepted"] >= 1


def test_generated_estimates_of_known_things_go_through_and_are_as_described(
    generate: Generate, well_informed: Path
) -> None:
    report = generate(
        *("--phases", "fuzzing", "--mode", "positive"),
        *("--include-path-regex", "^/v1/(estimates|emission-factors)"),
        schema=well_informed,
        examples=EXAMPLES_WELL_INFORMED,
    )
    assert report["operations"]["tested"] >= 2 * len(KINDS) + len(CHANGEABLE) + 6
    for operation, rates in report["valid_rates"].items():
        assert rates["fuzzing"]["accepted"] >= 1, operation


@pytest.mark.long
@pytest.mark.timeout(2 * RUN_SECONDS_MAX_LONG)
def test_every_answer_to_a_thousand_generated_requests_each_is_as_described(
    generate: Generate, well_informed: Path
) -> None:
    generate(examples=EXAMPLES_LONG, seconds_max=RUN_SECONDS_MAX_LONG)
    generate("--phases", "fuzzing", schema=well_informed, examples=EXAMPLES_LONG)
