"""Tonne beside a plain service, beside PostgreSQL's own load generator, beside its own ceiling: all in one run, by turns.

make bench, make bench-quick. See README.md. Exits with an error if an answer was not 200, or if an order that was
answered is not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import psutil
from rich.progress import Progress
from rich.table import Table

from tonne.application.identifiers import utc_now

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.measuring import (
        OTHER_WORK_CORES_MAX,
        RESULTS,
        Request,
        check_that_answers_are_equal,
        console,
        find_generator,
        machine_facts,
        measure_orders,
        measure_requests,
        versions_of,
    )
    from bench.pgbench import run_pgbench
    from bench.servers import (
        BENCH,
        Database,
        Service,
        durability,
        fixed_service,
        make_databases,
        plain_service,
        postgres,
        tonne,
    )
else:
    from measuring import (
        OTHER_WORK_CORES_MAX,
        RESULTS,
        Request,
        check_that_answers_are_equal,
        console,
        find_generator,
        machine_facts,
        measure_orders,
        measure_requests,
        versions_of,
    )
    from pgbench import run_pgbench
    from servers import (
        BENCH,
        Database,
        Service,
        durability,
        fixed_service,
        make_databases,
        plain_service,
        postgres,
        tonne,
    )

LATEST = RESULTS / "latest.json"
CONNECTIONS = (1, 32, 64, 128)
LOADED = 64
# The target of each ratio, and whether more or less is better.
TARGETS = {
    "orders_vs_plain": (20.0, ">="),
    "orders_vs_pgbench": (1.0, ">="),
    "orders_vs_raw_batch": (0.4, ">="),
    "single_latency_vs_pgbench": (4.0, "<="),
    "get_order_vs_fixed": (0.6, ">="),
    "quote_vs_fixed": (0.7, ">="),
    "p99_vs_p50": (10.0, "<="),
}
QUOTE = Request("quote", "POST", "/orders/by-mass/quote", '{"mass":{"amount":"12.07","unit":"kg"}}')


@dataclass(slots=True)
class Plan:
    """How long and how often to measure."""

    seconds: int
    rounds: int
    connections: tuple[int, ...]
    workers: int


@dataclass(slots=True)
class Found:
    """Figures of each round, by what was measured and how many callers there were."""

    rounds: dict[str, dict[int, list[dict[str, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, name: str, callers: int, figures: dict[str, float]) -> None:
        """Keep what a round came to."""
        self.rounds[name][callers].append(figures)

    def median(self, name: str, callers: int, figure: str) -> float:
        """The median of a figure over the rounds."""
        return statistics.median(each[figure] for each in self.rounds[name][callers])


def main() -> None:
    """Compare, print a table and write the figures."""
    plan, target = _parse()
    # Asked to end, end in order: every process that was started is ended.
    signal.signal(signal.SIGTERM, _interrupted)
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        figures = _compare(plan, Path(folder))
    _print(figures)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written to {target}")


def _parse() -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round each: under a minute")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round [5]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, taking turns [3]")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes of each service [as many as cores]",
    )
    parser.add_argument("--json", type=Path, default=LATEST, help="where the figures go")
    arguments = parser.parse_args()
    if min(arguments.seconds, arguments.rounds, arguments.workers) < 1:
        parser.error("numbers must be 1 or more")
    if arguments.quick:
        return Plan(2, 1, (1, LOADED), arguments.workers), arguments.json
    return Plan(arguments.seconds, arguments.rounds, CONNECTIONS, arguments.workers), arguments.json


def _compare(plan: Plan, folder: Path) -> dict[str, Any]:
    generator = find_generator()
    with postgres(folder / "data") as server:
        ours_database, plain_database, pgbench_database, raw_database = make_databases(
            server.url, ["ours", "plain", "pgbench", "raw"]
        )
        assert server.server_pid is not None
        database_server = psutil.Process(server.server_pid)
        load_before = os.getloadavg()[0]
        with (
            tonne(ours_database, workers=plan.workers, logs=folder) as ours,
            plain_service(plain_database, workers=plan.workers, logs=folder) as plain,
        ):
            check_that_answers_are_equal(ours, plain)
            requests = _reads(ours)
            bodies = _bodies(ours, requests)
            with fixed_service(ours_database, bodies=bodies, workers=plan.workers, logs=folder) as fixed:
                found = Found()

                def orders(service: Service) -> Callable[[int], dict[str, float]]:
                    return lambda callers: asdict(
                        measure_orders(service, database_server, callers, plan.seconds, generator)
                    )

                writes: dict[str, Callable[[int], dict[str, float]]] = {
                    "tonne": orders(ours),
                    "plain": orders(plain),
                    "pgbench": lambda callers: run_pgbench(
                        pgbench_database, callers, plan.seconds, folder, like=ours_database
                    ),
                }
                _take_turns(plan, found, writes, lambda: _raw_batch(raw_database, plan.seconds))
                _read_in_turns(plan, found, requests, (ours, fixed), generator)
                memory = max(_memory_mib(ours.process))
            return {
                "taken_at": utc_now().isoformat(),
                "ratios": _ratios(found),
                "targets": {name: f"{sign} {target:g}" for name, (target, sign) in TARGETS.items()},
                "memory_mib_a_process": memory,
                "machine": machine_facts(folder) | {"load_average_before": load_before},
                "durability": durability(server.url),
                "versions": versions_of(ours, generator),
                "load": {"generator": generator} | asdict(plan),
                "rounds": found.rounds,
            }


def _take_turns(
    plan: Plan,
    found: Found,
    writes: dict[str, Callable[[int], dict[str, float]]],
    raw: Callable[[], dict[str, float]],
) -> None:
    """Measure in turns, so that whatever else the machine does meets all alike."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(
            "", total=plan.rounds * (len(plan.connections) * len(writes) + 1) + len(writes)
        )
        for name, measure in writes.items():
            progress.update(task, description=f"warming up {name}")
            measure(LOADED)
            progress.advance(task)
        for number in range(plan.rounds):
            for callers in plan.connections:
                for name, measure in writes.items():
                    progress.update(task, description=f"round {number + 1}: {name}, {callers} at once")
                    found.add(name, callers, measure(callers))
                    progress.advance(task)
            progress.update(task, description=f"round {number + 1}: raw batch")
            found.add("raw batch", 2, raw())
            progress.advance(task)


def _read_in_turns(
    plan: Plan,
    found: Found,
    requests: list[Request],
    services: tuple[Service, Service],
    generator: str,
) -> None:
    """Twice as many rounds of half the length; each second one the other way round."""
    for number in range(plan.rounds * 2 if plan.rounds > 1 else 1):
        for request in requests:
            for service in services if number % 2 == 0 else reversed(services):
                figures = measure_requests(request, service, LOADED, max(1, plan.seconds // 2), generator)
                found.add(f"{request.name}, {service.name}", LOADED, figures)


def _reads(ours: Service) -> list[Request]:
    _, order = ours.place("read-again-and-again")
    return [
        Request("get order", "GET", f"/orders/{order['id']}"),
        Request("10 orders", "GET", "/orders?limit=10"),
        Request("100 orders", "GET", "/orders?limit=100"),
        QUOTE,
    ]


def _bodies(ours: Service, requests: list[Request]) -> dict[str, str]:
    """What the fixed service answers: what Tonne does."""
    base = ours.url.removesuffix("/orders/by-mass")
    headers = {"Authorization": f"Bearer {ours.database.api_key}", "Content-Type": "application/json"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        for number in range(100):
            ours.place(f"to-be-listed-{number}")
        answers = {
            request.path: client.request(request.method, base + request.path, content=request.body or None)
            for request in requests
        }
    bodies = {f"{request.method} /v1{request.path}": answers[request.path].text for request in requests}
    return bodies | {"POST /v1/orders/by-mass": "{}"}


def _raw_batch(database: Database, seconds: int) -> dict[str, float]:
    database.query("CHECKPOINT")
    command = [sys.executable, os.fspath(BENCH / "raw_batch.py"), database.url, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds * 10 + 120)
    if done.returncode != 0:
        raise SystemExit(f"The raw batch failed:\n{done.stdout}{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _memory_mib(process: psutil.Process) -> list[float]:
    family = [process, *process.children(recursive=True)]
    return [each.memory_info().rss / 2**20 for each in family]


def _ratios(found: Found) -> dict[str, float]:
    def rate(name: str, callers: int = LOADED) -> float:
        return found.median(name, callers, "orders_per_second")

    def reads(name: str) -> float:
        ours, fixed = (found.median(f"{name}, {who}", LOADED, "per_second") for who in ("tonne", "fixed"))
        return ours / fixed

    return {
        "orders_vs_plain": rate("tonne") / rate("plain"),
        "orders_vs_pgbench": rate("tonne") / rate("pgbench"),
        "orders_vs_raw_batch": rate("tonne") / rate("raw batch", 2),
        "single_latency_vs_pgbench": found.median("tonne", 1, "p50_ms")
        / found.median("pgbench", 1, "p50_ms"),
        "get_order_vs_fixed": reads("get order"),
        "quote_vs_fixed": reads("quote"),
        "p99_vs_p50": found.median("tonne", LOADED, "p99_ms") / found.median("tonne", LOADED, "p50_ms"),
    }


def _print(figures: dict[str, Any]) -> None:
    table = Table("orders by mass", "at once", "a second", "p50 ms", "p99 ms", "other work, cores")
    for name, by_callers in figures["rounds"].items():
        for callers, rounds in by_callers.items():
            rate = "orders_per_second" if "orders_per_second" in rounds[0] else "per_second"

            def median(figure: str, digits: int, rounds: list[dict[str, float]] = rounds) -> str:
                known = [each[figure] for each in rounds if figure in each]
                return f"{statistics.median(known):,.{digits}f}" if known else ""

            table.add_row(
                name,
                str(callers),
                median(rate, 0),
                median("p50_ms", 2),
                median("p99_ms", 2),
                median("other_work_cores", 2),
            )
    console.print(table)
    ratios = Table("ratio", "measured", "target", "")
    for name, measured in figures["ratios"].items():
        target, sign = TARGETS[name]
        met = measured >= target if sign == ">=" else measured <= target
        ratios.add_row(name, f"{measured:.2f}", f"{sign} {target:g}", "met" if met else "missed")
    console.print(ratios)
    others = [
        figure["other_work_cores"]
        for by_callers in figures["rounds"].values()
        for rounds in by_callers.values()
        for figure in rounds
        if "other_work_cores" in figure
    ]
    if max(others) > OTHER_WORK_CORES_MAX:
        console.print(
            f"The machine was busy with up to {max(others):.1f} cores of other work: measure again when it is not."
        )
    console.print(f"Memory of the largest process: {figures['memory_mib_a_process']:.0f} MiB")
    shown = ", ".join(f"{name} {value}" for name, value in figures["durability"].items())
    machine = figures["machine"]
    console.print(
        f"Durability: {shown}; fdatasync takes {machine['fdatasync_ms']} ms on {machine['file_system']}"
    )
    console.print(
        f"Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}; "
        f"load average before: {machine['load_average_before']:.1f}"
    )


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
