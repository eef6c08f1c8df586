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

import httpx
import pytest
from tests.support import Service

EXAMPLES, EXAMPLES_WELL_INFORMED, EXAMPLES_LONG = 15, 40, 1000
RUN_SECONDS_MAX = 280
RUN_SECONDS_MAX_LONG = 3500
# Deterministic: the same requests in every run, so that what fails here fails on the next machine too.
CONFIGURATION = """\
headers = {{ Authorization = "Bearer {key}" }}
suppress-health-check = ["all"]

[generation]
max-examples = {examples}
deterministic = true
database = "none"

[checks.positive_data_acceptance]
enabled = false
"""

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


@pytest.fixture
def well_informed(service: Service, bundles: dict[str, str], tmp_path: Path) -> Path:
    """The description as someone reads it who knows bundles and countries, so that requests go through."""
    document = httpx.get(f"{service.base_url}/v1/openapi.json", trust_env=False).json()
    for name in ("BundleChoice", "BundleMass"):
        properties = document["components"]["schemas"][name]["properties"]
        properties["bundle_id"] = {"type": "string", "enum": list(bundles.values())}
    electricity = document["components"]["schemas"]["CreateElectricityEstimate"]["properties"]
    electricity["country_code"] = {"enum": ["DEU", "FRA", None]}
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


@pytest.mark.long
@pytest.mark.timeout(2 * RUN_SECONDS_MAX_LONG)
def test_every_answer_to_a_thousand_generated_requests_each_is_as_described(
    generate: Generate, well_informed: Path
) -> None:
    generate(examples=EXAMPLES_LONG, seconds_max=RUN_SECONDS_MAX_LONG)
    generate("--phases", "fuzzing", schema=well_informed, examples=EXAMPLES_LONG)
