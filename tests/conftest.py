"""One embedded PostgreSQL for the run, a fresh database for each module, and the service on a real socket."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from tests.support import Service, on_connection, serving

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.settings import Settings
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

settings.register_profile("tonne", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tonne")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The run's PostgreSQL server. Not durable: it is thrown away."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with the newest schema, to copy."""
    name = "tonne_template"
    _administer(postgres.url, f"CREATE DATABASE {name}")
    upgrade_schema(_named(postgres.url, name))
    return name


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """A fresh database with the newest schema."""
    name = f"tonne_{next(_numbers)}"
    _administer(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _named(postgres.url, name)
    _administer(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_database(postgres: EmbeddedPostgres, template: str) -> Iterator[Callable[[], str]]:
    """Makes fresh databases with the newest schema, for this test alone."""
    names: list[str] = []

    def make() -> str:
        names.append(f"tonne_{next(_numbers)}")
        _administer(postgres.url, f"CREATE DATABASE {names[-1]} TEMPLATE {template}")
        return _named(postgres.url, names[-1])

    yield make
    for name in names:
        _administer(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def run_sql(database_url: str) -> Callable[..., list[asyncpg.Record]]:
    """Run a statement in the module's database and return its rows."""

    def run(statement: str, *arguments: Any) -> list[asyncpg.Record]:
        return on_connection(database_url, lambda connection: connection.fetch(statement, *arguments))

    return run


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where services of the run keep what is not in the database: the key that signs certificates."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(database_url: str, data_dir: Path) -> Iterator[Service]:
    """The service on a free loopback port, limits switched up, with the demo's catalogue, accounts and keys."""
    keys = on_connection(database_url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    settings = Settings(
        database_url=database_url,
        data_dir=data_dir,
        rate_limit_per_second=1_000_000,
        webhook_allow_http="on",
        webhook_allowed_networks="127.0.0.0/8",
        webhook_timeout_seconds=2,
    )
    with serving(settings) as base_url:
        yield Service(
            base_url, database_url, {(key.account.currency.code, key.account.mode): key for key in keys}
        )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data beside the checkout; tests that use it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data files are not here")
    return folder


def _administer(url: str, statement: str) -> None:
    on_connection(url, lambda connection: connection.execute(statement))


def _named(url: str, name: str) -> str:
    parts = urlsplit(url)
    assert parts.path == "/tonne"
    return url.replace("/tonne?", f"/{name}?", 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no core waits for it at the end."""
    items.sort(key=lambda item: "test_schemathesis" not in item.nodeid)
