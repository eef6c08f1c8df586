"""Place the orders of a file from the command line, directly on the database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tonne.application.bulk_rows import ReadRow
from tonne.application.identifiers import utc_now
from tonne.application.order_desk import OrderDesk
from tonne.application.order_in_bulk import RowResult, order_rows, quote_rows
from tonne.application.place_orders import Outcome, PlaceOrder, place_orders
from tonne.domain.accounts import ApiKey, Caller, Directory
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import NotFound, Unauthorised
from tonne.storage.accounts import load_directory
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Pool
from tonne.storage.group_commit import GroupCommit


@dataclass(frozen=True, slots=True)
class OrderFile:
    """A file of orders as it was read; `sha256` is of its bytes, hexadecimal."""

    name: str
    sha256: str
    rows: Sequence[ReadRow]


def describe_file(name: str, content: bytes, rows: Sequence[ReadRow]) -> OrderFile:
    """What is known of a file."""
    return OrderFile(name, hashlib.sha256(content).hexdigest(), rows)


async def find_caller(pool: Pool, *, account_id: UUID | None, key_id: UUID | None) -> Caller:
    """The account that orders are for, and the key that they are placed with.

    Without a key, one of the account's own is taken, else one of its organisation and mode: orders need one that is
    enabled. One without a daily cap goes first.

    Raises:
        NotFound: there is no such account, or no such key that is enabled.
        Unauthorised: the account's organisation has no key that is enabled.
        AccountScopeIncorrect: the key is of another organisation or mode than the account.
    """
    async with pool.acquire(timeout=30) as connection:
        directory = await load_directory(connection)
    if account_id is not None and account_id not in directory.accounts:
        raise NotFound(f"There is no account {account_id}; `tonne accounts list` shows them.")
    key = _find_key(directory, account_id=account_id, key_id=key_id)
    return directory.caller(key, account_id)


async def import_orders(
    pool: Pool, file: OrderFile, *, caller: Caller, actor: Actor
) -> AsyncGenerator[RowResult]:
    """Place the orders of a file; results come in order, each when it is durable, and the import is in the audit log.

    Stopped anywhere and begun again, it goes on: what was placed before is answered so.
    """
    async with pool.acquire(timeout=30) as connection:
        catalogue = await load_catalogue(connection, on=utc_now().date())
    commits: GroupCommit[PlaceOrder, Outcome] = GroupCommit(pool, place_orders)
    counts: dict[str, int] = {}
    try:
        async with commits.running():
            # Orders decided with a catalogue of before its last change are decided again.
            results = order_rows(
                OrderDesk(commits), pool, file.rows, caller=caller, catalogue=lambda: catalogue, now=utc_now
            )
            async for result in results:
                counts[result.status.value] = counts.get(result.status.value, 0) + 1
                yield result
    finally:
        await _record(pool, file, counts, caller=caller, actor=actor, at=utc_now())


async def quote_file(pool: Pool, file: OrderFile, *, caller: Caller) -> AsyncGenerator[RowResult]:
    """Quote the orders of a file. Writes nothing."""
    async with pool.acquire(timeout=30) as connection:
        catalogue = await load_catalogue(connection, on=utc_now().date())
    async for result in quote_rows(
        pool, file.rows, account=caller.account, catalogue=lambda: catalogue, now=utc_now
    ):
        yield result


def _find_key(directory: Directory, *, account_id: UUID | None, key_id: UUID | None) -> ApiKey:
    keys = [key for key in directory.keys.values() if not key.has_expired(utc_now())]
    if key_id is not None:
        found = next((key for key in keys if key.key_id == key_id), None)
        if found is None:
            raise NotFound(f"There is no enabled key {key_id}; `tonne keys list` shows them.")
        return found
    if account_id is None:
        raise NotFound("Say for which account the orders are: --account, or a --key of it.")
    account = directory.accounts[account_id]
    usable = [
        key for key in keys if (key.organisation_id, key.mode) == (account.organisation_id, account.mode)
    ]
    if not usable:
        raise Unauthorised(
            f"{account.organisation.name} has no enabled {account.mode.value} key: "
            f"make one with `tonne keys create --account {account_id}`."
        )
    return min(
        usable,
        key=lambda key: (key.account_id != account_id, key.daily_cap_minor is not None, key.key_id),
    )


async def _record(
    pool: Pool, file: OrderFile, counts: dict[str, int], *, caller: Caller, actor: Actor, at: datetime
) -> None:
    account = caller.account
    about = {
        "file": file.name,
        "sha256": file.sha256,
        "rows": len(file.rows),
        "key_id": str(caller.key.key_id),
    }
    change = Change("account", account.account_id, "import_orders", after=about | counts)
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
