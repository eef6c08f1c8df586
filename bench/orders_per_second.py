"""Orders per second and latency, beside a plain service on the same machine, database server and load.

See README.md. Exits with an error if an answer was not 200, or if an order that was answered is not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tonne.application.identifiers import utc_now

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.servers import BENCH, Service, durability, make_databases, plain_service, postgres, tonne
else:
    from servers import BENCH, Service, durability, make_databases, plain_service, postgres, tonne

RESULTS = BENCH / "results"
WARM_UP_SECONDS = 3
ONE_CONNECTION_SECONDS = 3
PACKAGES = (
    "tonne", "litestar", "msgspec", "fastapi", "pydantic", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "httptools",
)  # fmt: skip
ROWS = (
    ("latency p50, ms", "p50_ms", 1),
    ("latency p99, ms", "p99_ms", 1),
    ("CPU of the service, µs an order", "service_cpu_us", 0),
    ("CPU of PostgreSQL, µs an order", "postgres_cpu_us", 0),
    ("CPU of the load, µs an order", "generator_cpu_us", 0),
    ("other work meanwhile, cores", "other_work_cores", 2),
)
# Above this the figures are those of a busy machine.
OTHER_WORK_CORES_MAX = 0.2
# What is different about the same order in two services.
OWN = ("id", "created_at", "status_history")

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Round:
    """What one load came to.

    CPU times are those of all processes of a kind, per order; `other_work_cores` is what else the machine did.
    """

    connections: int
    orders: int
    orders_per_second: float
    p50_ms: float
    p99_ms: float
    service_cpu_us: float
    postgres_cpu_us: float
    generator_cpu_us: float
    other_work_cores: float


def main() -> None:
    """Compare, print a table and write the figures."""
    arguments = _parse()
    # Asked to end, end in order: every process that was started is ended.
    signal.signal(signal.SIGTERM, _interrupted)
    RESULTS.mkdir(exist_ok=True)
    generator = _generator()
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        found = _compare(arguments, Path(folder), generator)
    _print(found)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written to {arguments.json}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=64, help="callers at once [64]")
    parser.add_argument("--seconds", type=int, default=8, help="length of a round [8]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each service, taking turns [3]")
    parser.add_argument("--workers", type=int, default=1, help="processes of each service [1]")
    parser.add_argument(
        "--json", type=Path, default=RESULTS / "orders_per_second.json", help="where the figures go"
    )
    arguments = parser.parse_args()
    if min(arguments.connections, arguments.seconds, arguments.rounds, arguments.workers) < 1:
        parser.error("numbers must be 1 or more")
    return arguments


def _compare(arguments: argparse.Namespace, folder: Path, generator: str) -> dict[str, Any]:
    with postgres(folder / "data") as server:
        ours_database, plain_database = make_databases(server.url, ["ours", "plain"])
        with (
            tonne(ours_database, workers=arguments.workers, logs=folder) as ours,
            plain_service(plain_database, workers=arguments.workers, logs=folder) as plain,
        ):
            _check_that_answers_are_equal(ours, plain)
            assert server.server_pid is not None
            database_server = psutil.Process(server.server_pid)
            load_before = os.getloadavg()[0]

            def measure(service: Service, connections: int, seconds: int) -> Round:
                return _measure(service, database_server, connections, seconds, generator)

            rounds = _take_turns([ours, plain], measure, arguments)
            return {
                "taken_at": utc_now().isoformat(),
                "machine": _machine(folder) | {"load_average_before": load_before},
                "durability": durability(server.url),
                "versions": _versions(ours, generator),
                "load": {
                    "generator": generator,
                    **{
                        name: getattr(arguments, name)
                        for name in ("connections", "seconds", "rounds", "workers")
                    },
                },
                "services": {name: _summary(of_service) for name, of_service in rounds.items()},
                "ratio_of_medians": _median(rounds["tonne"]) / _median(rounds["plain"]),
            }


def _take_turns(
    services: Sequence[Service], measure: Callable[[Service, int, int], Round], arguments: argparse.Namespace
) -> dict[str, dict[str, list[Round]]]:
    """Load the services in turns, so that whatever else the machine does meets both alike."""
    found: dict[str, dict[str, list[Round]]] = {
        service.name: {"loaded": [], "alone": []} for service in services
    }
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(services) * (1 + 2 * arguments.rounds))
        for service in services:
            progress.update(task, description=f"warming up {service.name}")
            measure(service, arguments.connections, WARM_UP_SECONDS)
            progress.advance(task)
        for kind, connections, seconds in (
            ("loaded", arguments.connections, arguments.seconds),
            ("alone", 1, min(arguments.seconds, ONE_CONNECTION_SECONDS)),
        ):
            for number in range(arguments.rounds):
                for service in services:
                    progress.update(
                        task, description=f"{service.name}, {connections} at once, round {number + 1}"
                    )
                    found[service.name][kind].append(measure(service, connections, seconds))
                    progress.advance(task)
    return found


def _measure(
    service: Service, database_server: psutil.Process, connections: int, seconds: int, generator: str
) -> Round:
    """Load a service, and hold what it answered against what is stored."""
    # What the other service left to be written would be written in this one's time.
    service.database.query("CHECKPOINT")
    stored_before = service.database.orders()
    before = _cpu_seconds(service.process, database_server)
    began = time.monotonic()
    answered = _send(service, connections, seconds, generator)
    took_seconds = time.monotonic() - began
    of_service, of_postgres, of_generator, of_machine = (
        after - earlier
        for after, earlier in zip(_cpu_seconds(service.process, database_server), before, strict=True)
    )
    orders = int(answered["answers"])
    if not orders or answered["refused"] or answered["broken"]:
        raise SystemExit(f"The {service.name} service did not answer every order with 200: {answered}")
    stored = service.database.orders() - stored_before
    if not orders <= stored <= orders + connections:
        raise SystemExit(f"The {service.name} service answered {orders} orders and stored {stored}.")
    return Round(
        connections=connections,
        orders=orders,
        orders_per_second=orders / answered["seconds"],
        p50_ms=answered["p50_ms"],
        p99_ms=answered["p99_ms"],
        service_cpu_us=of_service / orders * 1e6,
        postgres_cpu_us=of_postgres / orders * 1e6,
        generator_cpu_us=of_generator / orders * 1e6,
        other_work_cores=max(0.0, of_machine - of_service - of_postgres - of_generator) / took_seconds,
    )


def _send(service: Service, connections: int, seconds: int, generator: str) -> dict[str, float]:
    api_key, run = service.database.api_key, uuid.uuid4().hex
    if generator == "wrk":
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", os.fspath(BENCH / "orders.lua")]
        command += [service.url, "--", api_key, run]
    else:
        command = [
            sys.executable,
            os.fspath(BENCH / "load.py"),
            service.url,
            "--api-key",
            api_key,
            "--run",
            run,
        ]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"{generator} failed:\n{done.stdout}{done.stderr}")
    answered: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answered


def _generator() -> str:
    if shutil.which("wrk") is not None:
        return "wrk"
    console.print(
        "wrk is not installed, so a slower generator in Python sends the orders, to both services alike. "
        "Install wrk for better figures: apt-get install wrk, or brew install wrk."
    )
    return "load.py"


def _check_that_answers_are_equal(ours: Service, plain: Service) -> None:
    """Both sell the same: the same order has the same answer, and its repeat is refused."""
    answers = [service.place("compare") for service in (ours, plain)]
    repeats = [service.place("compare") for service in (ours, plain)]
    bodies = [{name: value for name, value in body.items() if name not in OWN} for _, body in answers]
    names = [list(body) for _, body in answers]
    if [status for status, _ in answers] != [200, 200] or bodies[0] != bodies[1] or names[0] != names[1]:
        raise SystemExit(f"The services answer differently:\n{answers[0]}\n{answers[1]}")
    if [status for status, _ in repeats] != [409, 409]:
        raise SystemExit(f"A repeat must be refused with 409:\n{repeats[0]}\n{repeats[1]}")


def _cpu_seconds(service: psutil.Process, database_server: psutil.Process) -> tuple[float, ...]:
    """CPU time so far of the service, of PostgreSQL, of generators that have ended, and of the whole machine."""
    generators = resource.getrusage(resource.RUSAGE_CHILDREN)
    machine = psutil.cpu_times()
    busy = ("user", "nice", "system", "irq", "softirq", "steal")
    return (
        _family_cpu_seconds(service),
        _family_cpu_seconds(database_server),
        generators.ru_utime + generators.ru_stime,
        sum(getattr(machine, kind, 0.0) for kind in busy),
    )


def _family_cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process and all that it started, also of those that have ended."""
    own = process.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return float(seconds)


def _machine(folder: Path) -> dict[str, Any]:
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    disk = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "file_system": None if disk is None else disk.fstype,
        "fdatasync_ms": _fdatasync_ms(folder),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def _fdatasync_ms(folder: Path) -> float:
    """How long the disk takes to make 8 kB durable: the least that a commit of its own can take."""
    sync = getattr(os, "fdatasync", os.fsync)
    taken = []
    with (folder / "sync").open("wb") as file:
        for _ in range(100):
            file.write(bytes(8192))
            file.flush()
            began = time.perf_counter()
            sync(file.fileno())
            taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1e3, 3)


def _versions(service: Service, generator: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    found["postgresql"] = str(service.database.query("SHOW server_version"))
    if generator == "wrk":
        # It prints its version with its usage, and calls that an error.
        said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
        found["wrk"] = said.stdout.splitlines()[0].split()[1]
    return found | {name: version(name) for name in PACKAGES}


def _median(rounds: dict[str, list[Round]]) -> float:
    return statistics.median(found.orders_per_second for found in rounds["loaded"])


def _summary(rounds: dict[str, list[Round]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for kind, found in rounds.items():
        rates = [one.orders_per_second for one in found]
        summary[kind] = {
            "orders_per_second": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)},
            **{name: statistics.median(getattr(one, name) for one in found) for _, name, _ in ROWS},
            "rounds": [asdict(one) for one in found],
        }
    return summary


def _print(found: dict[str, Any]) -> None:
    services = found["services"]
    load, machine = found["load"], found["machine"]
    table = Table(title=f"{load['rounds']} rounds of {load['seconds']} s each, taking turns")
    table.add_column("Orders by mass")
    for name in services:
        table.add_column(name, justify="right")
    for kind, callers in (("loaded", f"{load['connections']} callers"), ("alone", "1 caller")):
        of_kind = [service[kind] for service in services.values()]
        rates = [one["orders_per_second"] for one in of_kind]
        table.add_row(f"[bold]{callers}[/bold]")
        table.add_row("orders/s, median", *(f"{rate['median']:,.0f}" for rate in rates))
        table.add_row("orders/s, min-max", *(f"{rate['min']:,.0f}-{rate['max']:,.0f}" for rate in rates))
        for label, name, digits in ROWS:
            table.add_row(label, *(f"{one[name]:,.{digits}f}" for one in of_kind))
        table.add_section()
    console.print(table)
    console.print(f"Ratio of the medians at {load['connections']} callers: {found['ratio_of_medians']:.1f}")
    other_work = max(service["loaded"]["other_work_cores"] for service in services.values())
    if other_work > OTHER_WORK_CORES_MAX:
        console.print(
            f"[bold]Other work took {other_work:.1f} cores meanwhile[/bold], so a quiet machine would show other "
            "figures, and perhaps another ratio."
        )
    shown = ", ".join(f"{name} {value}" for name, value in found["durability"].items())
    console.print(
        f"Durability: {shown}; fdatasync takes {machine['fdatasync_ms']} ms on {machine['file_system']}"
    )
    console.print(
        f"Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}; "
        f"load average before: {machine['load_average_before']:.1f}"
    )
    console.print("Versions: " + ", ".join(f"{name} {value}" for name, value in found["versions"].items()))


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
