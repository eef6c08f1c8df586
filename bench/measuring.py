"""Measuring a service under load: what it answers is held against what is stored, and what else the machine did is told."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.servers import BENCH, Service
else:
    from servers import BENCH, Service

RESULTS = BENCH / "results"
PACKAGES = (
    "tonne", "litestar", "msgspec", "fastapi", "pydantic", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "httptools",
)  # fmt: skip
# Of a tenth of a second: less than this is housekeeping.
IDLE_CPU_SECONDS = 0.03
# Above this the figures are those of a busy machine.
OTHER_WORK_CORES_MAX = 0.2
# What is different about the same order in two services.
OWN = ("id", "created_at", "status_history")

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: `{key}` in the body is another each time."""

    name: str
    method: str
    path: str
    body: str = ""


ORDER = Request(
    "order",
    "POST",
    "/orders/by-mass",
    '{"mass":{"amount":"12.07","unit":"kg"},"idempotency_key":"{key}"}',
)


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


def measure_orders(
    service: Service, database_server: psutil.Process, connections: int, seconds: int, generator: str
) -> Round:
    """Load a service with orders, and hold what it answered against what is stored."""
    # What the other service left to be written would be written in this one's time.
    service.database.query("CHECKPOINT")
    stored_before = service.database.orders()
    before = _cpu_seconds(service.process, database_server)
    began = time.monotonic()
    answered = send(ORDER, service, connections, seconds, generator)
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


def measure_requests(
    request: Request, service: Service, connections: int, seconds: int, generator: str
) -> dict[str, float]:
    """Load a service with a request that writes nothing; requests a second, and latencies."""
    _wait_until_idle(service)
    answered = send(request, service, connections, seconds, generator)
    if not answered["answers"] or answered["refused"] or answered["broken"]:
        raise SystemExit(f"The {service.name} service did not answer {request.name} with 200: {answered}")
    return answered | {"per_second": answered["answers"] / answered["seconds"]}


def _wait_until_idle(service: Service) -> None:
    """What callers of before had asked for when they went away is answered in their time, not in that of the next."""
    before = _family_cpu_seconds(service.process)
    for _ in range(100):
        time.sleep(0.1)
        now = _family_cpu_seconds(service.process)
        if now - before < IDLE_CPU_SECONDS:
            return
        before = now
    raise SystemExit(f"The {service.name} service works though nobody asks.")


def send(
    request: Request, service: Service, connections: int, seconds: int, generator: str
) -> dict[str, float]:
    """Send a request again and again; what came back."""
    api_key, run = service.database.api_key, uuid.uuid4().hex
    url = service.url.removesuffix("/orders/by-mass") + request.path
    if generator == "wrk":
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
            "-s",
            os.fspath(BENCH / "requests.lua"),
        ]
        command += [url, "--", api_key, run, request.method, *([request.body] if request.body else [])]
    else:
        command = [sys.executable, os.fspath(BENCH / "load.py"), url, "--api-key", api_key, "--run", run]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
        command += ["--method", request.method, "--body", request.body]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"{generator} failed:\n{done.stdout}{done.stderr}")
    answered: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answered


def find_generator() -> str:
    if shutil.which("wrk") is not None:
        return "wrk"
    console.print(
        "wrk is not installed, so a slower generator in Python sends the orders, to both services alike. "
        "Install wrk for better figures: apt-get install wrk, or brew install wrk."
    )
    return "load.py"


def check_that_answers_are_equal(ours: Service, plain: Service) -> None:
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


def machine_facts(folder: Path) -> dict[str, Any]:
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


def versions_of(service: Service, generator: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    found["postgresql"] = str(service.database.query("SHOW server_version"))
    if generator == "wrk":
        # It prints its version with its usage, and calls that an error.
        said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
        found["wrk"] = said.stdout.splitlines()[0].split()[1]
    return found | {name: version(name) for name in PACKAGES}
