"""The processes that a comparison needs: a durable PostgreSQL, and a service on each of two equal databases in it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import psutil

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.domain.accounts import Mode
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

BENCH = Path(__file__).parent
HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 20
MUST_BE_ON = ("fsync", "synchronous_commit", "full_page_writes")
NO_LIMIT = "100000000"
PLAIN_CONNECTIONS = 24

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Database:
    """A database with the demo in it, and the API key of one of its accounts."""

    url: str
    api_key: str

    def query(self, statement: str) -> Any:
        """The one value a statement returns."""
        return on_connection(self.url, lambda connection: connection.fetchval(statement))

    def execute(self, statement: str, *arguments: Any) -> None:
        """Run a statement, however long it takes."""
        on_connection(self.url, lambda connection: connection.execute(statement, *arguments))

    def orders(self) -> int:
        """How many orders are stored, once none are on their way any more."""
        last = -1
        for _ in range(100):
            found = int(self.query("SELECT count(*) FROM orders"))
            if found == last:
                return found
            last = found
            time.sleep(0.2)
        raise SystemExit("Orders still come in though nobody sends any.")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    name: str
    url: str
    database: Database
    process: psutil.Process

    def place(self, idempotency_key: str) -> tuple[int, dict[str, Any]]:
        """Order 12.07 kg; returns the status and the body of the answer."""
        body = {"mass": {"amount": "12.07", "unit": "kg"}, "idempotency_key": idempotency_key}
        request = urllib.request.Request(
            self.url,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.database.api_key}",
                "Content-Type": "application/json",
            },
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


@contextmanager
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of our own, as durable as it is out of the box."""
    with EmbeddedPostgres(data_dir) as server:
        for name, value in durability(server.url).items():
            if name in MUST_BE_ON and value != "on":
                raise SystemExit(f"PostgreSQL must not lose orders, but {name} is {value}.")
        yield server


def durability(url: str) -> dict[str, str]:
    """The settings that decide whether an order that was answered survives a power cut."""
    names = (*MUST_BE_ON, "wal_sync_method", "commit_delay")

    async def read(connection: asyncpg.Connection) -> dict[str, str]:
        return {name: await connection.fetchval(f"SHOW {name}") for name in names}

    return on_connection(url, read)


def make_databases(url: str, names: Sequence[str]) -> list[Database]:
    """Make databases that are equal to the last id: the newest schema and the demo."""
    upgrade_schema(url)
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None, "the database is new"
    api_key = next(
        key.api_key for key in keys if key.account.currency.code == "USD" and key.account.mode is Mode.LIVE
    )
    made = []
    for name in names:
        named = url.replace("/tonne?", f"/{name}?", 1)
        assert named != url
        administer = url.replace("/tonne?", "/postgres?", 1)
        _execute(administer, f'CREATE DATABASE "{name}" TEMPLATE tonne')
        made.append(Database(named, api_key))
    return made


def _execute(url: str, statement: str) -> None:
    on_connection(url, lambda connection: connection.execute(statement))


@contextmanager
def tonne(
    database: Database, *, workers: int, logs: Path, more: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Tonne, started as its users start it; `more` are settings."""
    port = _free_port()
    settings = {
        "TONNE_DATABASE_URL": database.url,
        "TONNE_HOST": HOST,
        "TONNE_PORT": str(port),
        "TONNE_WORKERS": str(workers),
        "TONNE_RATE_LIMIT_PER_SECOND": NO_LIMIT,
        "TONNE_DATA_DIR": str(logs),
        **(more or {}),
    }
    command = [os.fspath(Path(sysconfig.get_path("scripts")) / "tonne"), "serve"]
    with _service("tonne", command, settings, database=database, port=port, logs=logs) as service:
        yield service


@contextmanager
def plain_service(database: Database, *, workers: int, logs: Path) -> Iterator[Service]:
    """The service of `plain_service.py`, under the same web server as its manual has it started."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "plain_service:app", "--app-dir", os.fspath(BENCH)]
    command += ["--host", HOST, "--port", str(port), "--workers", str(workers), "--backlog", "2048"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command += ["--no-server-header"]
    settings = {
        "DATABASE_URL": database.url,
        "DATABASE_CONNECTIONS": str(max(8, PLAIN_CONNECTIONS // workers)),
    }
    with _service("plain", command, settings, database=database, port=port, logs=logs) as service:
        yield service


@contextmanager
def fixed_service(
    database: Database, *, bodies: Mapping[str, str], workers: int, logs: Path
) -> Iterator[Service]:
    """A service of the same framework and web server that answers with bodies that are made already, by path."""
    port = _free_port()
    folder = logs / "fixed.json"
    folder.write_text(json.dumps(dict(bodies)), encoding="utf-8")
    command = [sys.executable, os.fspath(BENCH / "fixed_service.py"), str(port), str(workers)]
    settings = {"FIXED_BODIES": os.fspath(folder)}
    with _service("fixed", command, settings, database=database, port=port, logs=logs) as service:
        yield service


@contextmanager
def _service(
    name: str,
    command: Sequence[str],
    settings: Mapping[str, str],
    *,
    database: Database,
    port: int,
    logs: Path,
) -> Iterator[Service]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TONNE_")}
    log = logs / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**inherited, **settings}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        url = f"http://{HOST}:{port}/v1/orders/by-mass"
        service = Service(name, url, database, psutil.Process(process.pid))
        _wait_for_an_answer(service, process, log)
        yield service
    finally:
        _end(process)


def _wait_for_an_answer(service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            service.place("started")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"The {service.name} service did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a service and the processes it has started, each by its own number."""
    workers = []
    if process.poll() is None:
        workers = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        _, left = psutil.wait_procs(workers, timeout=1)
        for worker in left:
            worker.kill()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def on_connection(url: str, work: Callable[[asyncpg.Connection], Awaitable[Result]]) -> Result:
    """Do something on a connection of its own."""

    async def run() -> Result:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
