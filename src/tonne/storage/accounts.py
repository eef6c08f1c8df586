"""Rows of `organisations`, `accounts`, `account_selections` and `api_keys`.

What is written here is read from memory by every process: each change ends with `announce_change`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network
from uuid import UUID

from tonne.domain.accounts import (
    Account,
    AccountScope,
    ApiKey,
    Billing,
    Directory,
    Mode,
    Organisation,
    SandboxBehaviour,
    Scope,
)
from tonne.domain.selection import Choice
from tonne.storage.changes import announce_change
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection, Record


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as the operator sees it."""

    key: ApiKey
    name: str
    last_characters: str
    created_at: datetime
    disabled_at: datetime | None


_KEY = "SELECT * FROM api_keys WHERE key_id = $1"
_LOCKED_KEY = "SELECT * FROM api_keys WHERE key_id = $1 FOR UPDATE"


async def insert_organisation(connection: Connection, organisation: Organisation, *, at: datetime) -> None:
    """Store a new organisation."""
    await connection.execute(
        """
        INSERT INTO organisations (organisation_id, name, organisation_type, commission_rate, created_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        organisation.organisation_id,
        organisation.name,
        organisation.organisation_type,
        organisation.commission_rate,
        at,
    )


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """How far an account and its sibling are trusted: how the live one pays, and whether one of them is suspended."""

    live_billing: Billing
    is_suspended: bool


async def lock_account_terms(connection: Connection, account: Account) -> AccountTerms:
    """Read the terms of an account and its sibling; they stay so until the transaction ends."""
    rows = await connection.fetch(
        """
        SELECT mode, billing, suspended_at IS NOT NULL AS is_suspended FROM accounts
         WHERE organisation_id = $1 AND (account_id = $2 OR account_id = $3)
         ORDER BY account_id FOR SHARE
        """,
        account.organisation_id,
        account.account_id,
        account.sibling_id,
    )
    live = [Billing(row["billing"]) for row in rows if row["mode"] == Mode.LIVE.value]
    # A client account of tests has no live sibling: what it opens pays before it orders.
    return AccountTerms(live[0] if live else Billing.PREPAID, any(row["is_suspended"] for row in rows))


async def insert_account(connection: Connection, account: Account, *, at: datetime) -> None:
    """Store a new account."""
    await connection.execute(
        """
        INSERT INTO accounts (organisation_id, account_id, name, mode, currency, sibling_id, handle, beneficiary,
                              billing, scope, idempotency_key, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        account.organisation_id,
        account.account_id,
        account.name,
        account.mode.value,
        account.currency.code,
        account.sibling_id,
        account.handle,
        account.beneficiary,
        account.billing.value,
        account.scope.value,
        account.idempotency_key,
        at,
    )
    await announce_change(connection)


async def lock_account(connection: Connection, account: Account) -> Account:
    """An account as it is now in what it may change of itself; it stays so until the transaction ends."""
    row = await connection.fetchrow(
        """
        SELECT name, handle, beneficiary, logo, external_pages_visibility FROM accounts
         WHERE organisation_id = $1 AND account_id = $2 FOR NO KEY UPDATE
        """,
        account.organisation_id,
        account.account_id,
    )
    assert row is not None
    return replace(account, **dict(row))


async def update_account(connection: Connection, account: Account) -> None:
    """Store what an account may change of itself: name, handle, beneficiary, logo, visibility.

    Raises:
        asyncpg.UniqueViolationError: another account of the organisation and mode has the handle.
    """
    await connection.execute(
        """
        UPDATE accounts SET name = $3, handle = $4, beneficiary = $5, logo = $6, external_pages_visibility = $7,
                            version = version + 1
         WHERE organisation_id = $1 AND account_id = $2
        """,
        account.organisation_id,
        account.account_id,
        account.name,
        account.handle,
        account.beneficiary,
        account.logo,
        account.external_pages_visibility,
    )
    await announce_change(connection)


async def find_client_by_key(connection: Connection, account: Account, key: str) -> UUID | None:
    """The client account that an organisation opened under an idempotency key, in the account's mode."""
    found: UUID | None = await connection.fetchval(
        "SELECT account_id FROM accounts WHERE organisation_id = $1 AND mode = $2 AND idempotency_key = $3",
        account.organisation_id,
        account.mode.value,
        key,
    )
    return found


async def insert_key(
    connection: Connection, key: ApiKey, *, name: str, key_hash: bytes, last_characters: str, at: datetime
) -> None:
    """Store a new key, by its hash."""
    await connection.execute(
        """
        INSERT INTO api_keys (organisation_id, key_id, account_id, mode, name, key_hash, last_characters,
                              rate_limit_per_second, scopes, daily_cap_minor, expires_at, allowed_networks,
                              created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        key.organisation_id,
        key.key_id,
        key.account_id,
        key.mode.value,
        name,
        key_hash,
        last_characters,
        key.rate_limit_per_second,
        sorted(key.scopes),
        key.daily_cap_minor,
        key.expires_at,
        [str(network) for network in key.allowed_networks],
        at,
    )
    await announce_change(connection)


async def disable_key(connection: Connection, key: ApiKey, *, at: datetime) -> bool:
    """Disable a key; False where it was disabled before."""
    status = await connection.execute(
        "UPDATE api_keys SET disabled_at = $3 WHERE organisation_id = $1 AND key_id = $2 AND disabled_at IS NULL",
        key.organisation_id,
        key.key_id,
        at,
    )
    await announce_change(connection)
    return bool(status == "UPDATE 1")


async def expire_key(connection: Connection, key: ApiKey, *, at: datetime) -> None:
    """Let a key end at a time, unless it ends earlier already."""
    await connection.execute(
        """
        UPDATE api_keys SET expires_at = $3
         WHERE organisation_id = $1 AND key_id = $2 AND (expires_at IS NULL OR expires_at > $3)
        """,
        key.organisation_id,
        key.key_id,
        at,
    )
    await announce_change(connection)


async def find_key_row(connection: Connection, key_id: UUID, *, lock: bool = False) -> KeyRow | None:
    """A key by its id, of any organisation; with `lock`, others who change it wait for this transaction."""
    row = await connection.fetchrow(_LOCKED_KEY if lock else _KEY, key_id)
    return None if row is None else _key_row(row)


async def key_is_enabled(connection: Connection, key: ApiKey) -> bool:
    """Whether a key still opens anything: asked again by whoever writes, since memory may be a moment old."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM api_keys WHERE organisation_id = $1 AND key_id = $2 AND disabled_at IS NULL)",
            key.organisation_id,
            key.key_id,
        )
    )


async def set_suspended(connection: Connection, account: Account, *, at: datetime | None) -> bool:
    """Suspend an account as of `at`, or let it order again with None; False where it was so before."""
    status = await connection.execute(
        """
        UPDATE accounts SET suspended_at = $3
         WHERE organisation_id = $1 AND account_id = $2 AND (suspended_at IS NULL) <> ($3::timestamptz IS NULL)
        """,
        account.organisation_id,
        account.account_id,
        at,
    )
    await announce_change(connection)
    return bool(status == "UPDATE 1")


async def set_billing(connection: Connection, account: Account, billing: Billing) -> bool:
    """Change how an account pays for its next orders; False where it pays so already."""
    status = await connection.execute(
        """
        UPDATE accounts SET billing = $3, version = version + 1
         WHERE organisation_id = $1 AND account_id = $2 AND billing <> $3
        """,
        account.organisation_id,
        account.account_id,
        billing.value,
    )
    await announce_change(connection)
    return bool(status == "UPDATE 1")


async def set_test_behaviour(connection: Connection, account: Account, behaviour: SandboxBehaviour) -> bool:
    """Change how things go for a test account from now on; False where they go so already."""
    status = await connection.execute(
        """
        UPDATE accounts SET test_behaviour = $3, version = version + 1
         WHERE organisation_id = $1 AND account_id = $2 AND test_behaviour <> $3
        """,
        account.organisation_id,
        account.account_id,
        behaviour.value,
    )
    await announce_change(connection)
    return bool(status == "UPDATE 1")


async def set_portfolio(connection: Connection, account: Account, portfolio_id: UUID | None) -> None:
    """Set the portfolio whose selection an account's orders buy."""
    await connection.execute(
        """
        UPDATE accounts SET bundle_portfolio_id = $3, version = version + 1
         WHERE organisation_id = $1 AND account_id = $2 AND bundle_portfolio_id IS DISTINCT FROM $3
        """,
        account.organisation_id,
        account.account_id,
        portfolio_id,
    )
    await announce_change(connection)


async def replace_selection(connection: Connection, account: Account, selection: Sequence[Choice]) -> None:
    """Replace an account's bundle selection; call it in a transaction."""
    # Two replacements at once would mix: the account's row is what they queue for. Its version tells processes that
    # still have the old selection in memory.
    await connection.execute(
        "UPDATE accounts SET version = version + 1 WHERE organisation_id = $1 AND account_id = $2",
        account.organisation_id,
        account.account_id,
    )
    await connection.execute(
        "DELETE FROM account_selections WHERE organisation_id = $1 AND account_id = $2",
        account.organisation_id,
        account.account_id,
    )
    await connection.execute(
        """
        INSERT INTO account_selections (organisation_id, account_id, position, bundle_id, percentage)
        SELECT $1, $2, n.position - 1, n.bundle_id, n.percentage
          FROM unnest($3::uuid[], $4::numeric[]) WITH ORDINALITY AS n (bundle_id, percentage, position)
        """,
        account.organisation_id,
        account.account_id,
        [choice.bundle_id for choice in selection],
        [choice.percentage for choice in selection],
    )
    await announce_change(connection)


async def find_selection(connection: Connection, account: Account) -> tuple[Choice, ...]:
    """An account's own bundle selection; empty where it has none."""
    rows = await connection.fetch(
        """
        SELECT bundle_id, percentage FROM account_selections
         WHERE organisation_id = $1 AND account_id = $2 ORDER BY position
        """,
        account.organisation_id,
        account.account_id,
    )
    return tuple(Choice(row["bundle_id"], row["percentage"]) for row in rows)


async def load_accounts(connection: Connection, accounts: Sequence[Account]) -> dict[UUID, Account]:
    """Load accounts as they are now, by their ids."""
    rows = await connection.fetch(
        """
        SELECT a.*,
               array(SELECT (s.bundle_id, s.percentage) FROM account_selections s
                      WHERE s.organisation_id = a.organisation_id AND s.account_id = a.account_id
                      ORDER BY s.position) AS chosen
          FROM unnest($1::uuid[], $2::uuid[]) AS w (organisation_id, account_id)
          JOIN accounts a ON a.organisation_id = w.organisation_id AND a.account_id = w.account_id
        """,
        [account.organisation_id for account in accounts],
        [account.account_id for account in accounts],
    )
    organisations = {account.organisation_id: account.organisation for account in accounts}
    return {
        row["account_id"]: _account(
            row, organisations, {row["account_id"]: [Choice(*choice) for choice in row["chosen"]]}
        )
        for row in rows
    }


async def load_directory(connection: Connection) -> Directory:
    """Load all accounts and all enabled keys, of every organisation."""
    organisations = {
        row["organisation_id"]: Organisation(
            row["organisation_id"], row["name"], row["organisation_type"], row["commission_rate"]
        )
        for row in await connection.fetch("SELECT * FROM organisations")
    }
    selections: dict[UUID, list[Choice]] = defaultdict(list)
    for row in await connection.fetch("SELECT * FROM account_selections ORDER BY account_id, position"):
        selections[row["account_id"]].append(Choice(row["bundle_id"], row["percentage"]))
    accounts = {
        row["account_id"]: _account(row, organisations, selections)
        for row in await connection.fetch("SELECT * FROM accounts")
    }
    keys = {
        row["key_hash"]: _key(row)
        for row in await connection.fetch("SELECT * FROM api_keys WHERE disabled_at IS NULL")
    }
    return Directory(keys, accounts)


async def list_keys(connection: Connection) -> list[KeyRow]:
    """All keys of every organisation, the disabled ones too, oldest first."""
    rows = await connection.fetch("SELECT * FROM api_keys ORDER BY created_at, key_id")
    return [_key_row(row) for row in rows]


async def list_organisation_ids(connection: Connection) -> list[UUID]:
    """The ids of all organisations, in order."""
    rows = await connection.fetch("SELECT organisation_id FROM organisations ORDER BY organisation_id")
    return [row["organisation_id"] for row in rows]


async def lock_for_set_up(connection: Connection) -> None:
    """Keep others from opening organisations or filling the catalogue until this transaction ends."""
    await connection.execute("LOCK TABLE organisations, bundles, projects IN SHARE ROW EXCLUSIVE MODE")


async def has_organisations(connection: Connection) -> bool:
    """Whether there is anyone to sell to yet."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM organisations)"))


def _key_row(row: Record) -> KeyRow:
    return KeyRow(_key(row), row["name"], row["last_characters"], row["created_at"], row["disabled_at"])


def _key(row: Record) -> ApiKey:
    return ApiKey(
        row["key_id"],
        row["organisation_id"],
        row["account_id"],
        Mode(row["mode"]),
        row["rate_limit_per_second"],
        frozenset(Scope(scope) for scope in row["scopes"]),
        row["daily_cap_minor"],
        row["expires_at"],
        tuple(ip_network(network) for network in row["allowed_networks"]),
    )


def _account(
    row: Record, organisations: Mapping[UUID, Organisation], selections: Mapping[UUID, Sequence[Choice]]
) -> Account:
    return Account(
        organisation=organisations[row["organisation_id"]],
        account_id=row["account_id"],
        name=row["name"],
        mode=Mode(row["mode"]),
        currency=find_currency(row["currency"]),
        sibling_id=row["sibling_id"],
        handle=row["handle"],
        beneficiary=row["beneficiary"],
        logo=row["logo"],
        bundle_portfolio_id=row["bundle_portfolio_id"],
        external_pages_visibility=row["external_pages_visibility"],
        suspended=row["suspended_at"] is not None,
        selection=tuple(selections.get(row["account_id"], ())),
        version=row["version"],
        billing=Billing(row["billing"]),
        test_behaviour=SandboxBehaviour(row["test_behaviour"]),
        scope=AccountScope(row["scope"]),
        idempotency_key=row["idempotency_key"],
    )
