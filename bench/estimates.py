"""How much an emission estimate takes: one beside a quote of the same mass, and 10,000 purchases in one request.

make bench-estimates
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.servers import make_databases, postgres, tonne
else:
    from servers import make_databases, postgres, tonne

ROUNDS = 9
CALLS_A_ROUND = 200
PURCHASES = 10_000
CODES = ("5812", "5411", "4121", "3000", "7011", "5732", "5651", "7372", "4814", "5942")
TERMS = ("coffee", "software", "restaurant", "office furniture", "taxi", "hotel", "books", "laptop")

FLIGHT = {"route": {"source": {"code": "LHR"}, "destination": {"code": "JFK"}}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "quote by mass": ("/orders/by-mass/quote", {"mass": {"amount": "650.101", "unit": "kg"}}),
    "electricity": (
        "/estimates/electricity",
        {"consumption": {"amount": "1200", "unit": "kWh"}, "country_code": "DEU"},
    ),
    "flight": ("/estimates/flight", FLIGHT),
    "shipping by sea, route known": (
        "/estimates/shipping",
        {
            "shipment": {"mass": {"amount": "1", "unit": "t"}},
            "route": {"source": {"locode": "NLRTM"}, "destination": {"locode": "SGSIN"}},
            "method": "container_ship",
        },
    ),
    "purchase": (
        "/estimates/transactions",
        {
            "value": {"value": "42.50", "currency": "USD"},
            "merchant": {"country_code": "USA", "category_code": "5812"},
        },
    ),
}


def main() -> None:
    """Run everything against a service of its own."""
    place = Path(__file__).parent / "results"
    place.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        postgres(Path(folder)) as server,
    ):
        (database,) = make_databases(server.url, ["estimates"])
        with tonne(database, workers=1, logs=Path(folder)) as service:
            base = service.url.rsplit("/orders", 1)[0]
            headers = {"Authorization": f"Bearer {database.api_key}"}
            with httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False) as client:
                _single(client)
                _batch(client, service.process)


def _single(client: httpx.Client) -> None:
    took: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(ROUNDS):
        # By turns, so that whatever else the machine does falls on all of them.
        for name, (path, body) in KINDS.items():
            times = []
            for _ in range(CALLS_A_ROUND):
                began = time.perf_counter()
                answer = client.post(path, json=body)
                times.append(time.perf_counter() - began)
                if answer.status_code != 200:
                    raise SystemExit(answer.text)
            took[name].append(statistics.median(times) * 1000)
    quote = statistics.median(took["quote by mass"])
    print(f"{'':32}{'median ms':>10}{'beyond a quote':>16}")
    for name, medians in took.items():
        median = statistics.median(medians)
        print(f"{name:32}{median:>10.2f}{median - quote:>16.2f}")


def _batch(client: httpx.Client, process: psutil.Process) -> None:
    chance = random.Random(5)
    rows = [
        {
            "value": {"value": f"{chance.randrange(1, 100_000) / 100:.2f}", "currency": "USD"},
            "merchant": {"country_code": "USA"}
            | ({"category_code": chance.choice(CODES)} if n % 2 else {"search_term": chance.choice(TERMS)}),
        }
        for n in range(PURCHASES)
    ]
    body = json.dumps(rows).encode()
    for round_ in range(3):
        began = time.perf_counter()
        answer = client.post(
            "/estimates/transactions/batch", content=body, headers={"Content-Type": "application/json"}
        )
        seconds = time.perf_counter() - began
        made = answer.json()
        wrong = [row for row in made if "error" in row]
        if answer.status_code != 200 or wrong:
            raise SystemExit(f"{answer.status_code} {wrong[:1]}")
        memory = process.memory_info().rss / 2**20
        print(
            f"batch {round_ + 1}: {len(made)} purchases in {seconds:.2f} s, {len(answer.content) / 1e6:.1f} MB answered, "
            f"the process has {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
