"""The demo's keys: made once, kept in <data-dir>/demo.json, shown at every start."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo, renew_demo_keys
from tonne.application.open_accounts import NewKey
from tonne.cli.session import console, on_database, print_table
from tonne.domain.api_keys import hash_api_key
from tonne.settings import Settings
from tonne.storage.accounts import load_directory
from tonne.storage.database import Connection


class DemoAccount(msgspec.Struct):
    """A demo account and its key."""

    account_id: str
    mode: str
    currency: str
    api_key: str


class Demo(msgspec.Struct):
    """What demo.json holds."""

    base_url: str
    accounts: list[DemoAccount]


def prepare_demo(database_url: str, settings: Settings) -> Demo | None:
    """Load the demo into an empty database; None where the database holds something else.

    demo.json is written before the transaction commits: killed in between, the next start loads the demo again.
    """
    path = settings.data_dir / "demo.json"

    async def prepare(connection: Connection) -> Demo | None:
        async with connection.transaction():
            new = await load_demo(connection, at=utc_now())
            if new is None:
                kept = await _kept(connection, path)
                if kept is not None:
                    kept.base_url = settings.base_url
                    _write(path, kept)
                    return kept
                new = await renew_demo_keys(connection, at=utc_now())
            if new is None:
                return None
            demo = Demo(settings.base_url, [_account(key) for key in new])
            _write(path, demo)
            return demo

    return on_database(database_url, prepare)


def show_demo(demo: Demo | None, settings: Settings) -> None:
    """Show the demo's keys and something to try."""
    if demo is None:
        console.print("The database is not empty and holds no demo: create keys with `tonne keys create`.")
        return
    print_table(
        ["mode", "currency", "account", "API key"],
        [[account.mode, account.currency, account.account_id, account.api_key] for account in demo.accounts],
    )
    test_key = next(account.api_key for account in demo.accounts if account.mode == "test")
    console.print(f"\nThe keys are in {settings.data_dir / 'demo.json'}. Try:\n")
    console.print(
        f"  curl {demo.base_url}/v1/orders/by-mass/quote \\\n"
        f"    -H 'Authorization: Bearer {test_key}' -H 'Content-Type: application/json' \\\n"
        """    -d '{"mass": {"amount": "12.07", "unit": "kg"}}'\n""",
        markup=False,
    )


async def _kept(connection: Connection, path: Path) -> Demo | None:
    demo = _read(path)
    if demo is None:
        return None
    # A file left from another database is no use: its keys open nothing here.
    known = (await load_directory(connection)).keys
    usable = all(hash_api_key(account.api_key) in known for account in demo.accounts)
    return demo if usable and demo.accounts else None


def _read(path: Path) -> Demo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Demo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _account(key: NewKey) -> DemoAccount:
    account = key.account
    return DemoAccount(str(account.account_id), account.mode.value, account.currency.code, key.api_key)


def _write(path: Path, demo: Demo) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    # Made with its mode, so that the keys are never readable by others, not even for a moment.
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(demo), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
