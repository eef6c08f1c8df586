"""What tests of money share: accounts that pay in some way, and what the books say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import httpx
from tests.support import Service, on_connection

from tonne.application.bill_accounts import Balance, read_balance, top_up
from tonne.application.identifiers import new_id, utc_now
from tonne.application.open_accounts import create_key, open_account_pair
from tonne.domain.accounts import BUYER_SCOPES, Account, ApiKey, Billing, Mode, SandboxBehaviour, Scope
from tonne.storage.accounts import insert_organisation, set_billing, set_test_behaviour
from tonne.storage.checks import run_checks
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection, Pool, open_pool

Result = TypeVar("Result")


@dataclass(frozen=True)
class Payer:
    """An account of its own with a key."""

    service: Service
    account: Account
    key: ApiKey
    api_key: str

    @contextmanager
    def client(self, base_url: str | None = None) -> Iterator[httpx.Client]:
        """A client with the key, which the service knows by now."""
        with httpx.Client(
            base_url=f"{base_url or self.service.base_url}/v1",
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=60,
            trust_env=False,
        ) as client:
            assert any(client.get("/accounts/me").status_code == 200 for _ in range(2000))
            yield client

    def balance(self) -> Balance:
        return on_pool(self.service.database_url, lambda pool: read_balance(pool, self.account))

    def money(self) -> tuple[int, int, int]:
        """Minor units that are prepaid, owed and held."""
        balance = self.balance()
        return balance.prepaid_minor, balance.owed_minor, balance.held_minor

    def events(self) -> list[str]:
        """Types of the account's events, in order."""
        rows = on_connection(
            self.service.database_url,
            lambda c: c.fetch(
                "SELECT event_types, order_ids FROM event_chunks WHERE organisation_id = $1 AND account_id = $2 "
                "ORDER BY chunk_id",
                self.account.organisation_id,
                self.account.account_id,
            ),
        )
        return [kind for row in rows for _ in row["order_ids"] for kind in row["event_types"]]


def open_payer(
    service: Service,
    *,
    billing: Billing = Billing.INVOICE,
    mode: Mode = Mode.LIVE,
    behaviour: SandboxBehaviour = SandboxBehaviour.NORMAL,
    balance: str | None = None,
    scopes: frozenset[Scope] = frozenset(),
    rate_limit: int = 1_000_000,
    apart: bool = False,
) -> Payer:
    """Open an account in US dollars that pays as told, with a balance and a key; `apart`, in an organisation of its own."""

    async def work(connection: Connection) -> Payer:
        async with connection.transaction():
            organisation = service.key().account.organisation
            if apart:
                organisation = replace(organisation, organisation_id=new_id(), name="Apart")
                await insert_organisation(connection, organisation, at=utc_now())
            pair = await open_account_pair(
                connection,
                organisation,
                name="Payer",
                currency=find_currency("USD"),
                at=utc_now(),
            )
            account = replace(pair[mode], billing=billing, test_behaviour=behaviour)
            await set_billing(connection, account, billing)
            await set_test_behaviour(connection, account, behaviour)
            new = await create_key(
                connection,
                account,
                name="payer",
                rate_limit_per_second=rate_limit,
                scopes=scopes | BUYER_SCOPES,
                at=utc_now(),
            )
        return Payer(service, account, new.key, new.api_key)

    payer = on_connection(service.database_url, work)
    if balance is not None:
        on_pool(
            service.database_url,
            lambda pool: top_up(pool, payer.account, Decimal(balance), reference=None, at=utc_now()),
        )
    return payer


def on_pool(database_url: str, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    """Do something with a pool of its own."""

    async def run() -> Result:
        async with await open_pool(database_url, connections_max=8) as pool:
            return await work(pool)

    return asyncio.run(run())


def broken_rules(database_url: str) -> dict[str, tuple[str, ...]]:
    """What `tonne check` finds."""

    async def work(connection: Connection) -> dict[str, tuple[str, ...]]:
        return {found.rule: found.findings async for found in run_checks(connection) if found.findings}

    return on_connection(database_url, work)
