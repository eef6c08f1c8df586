"""The demo: a small catalogue of real projects with fictional stock, one organisation, six accounts, a key for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any
from uuid import UUID

from tonne.application.identifiers import new_id
from tonne.application.open_accounts import NewKey, create_key, open_account_pair, open_organisation
from tonne.application.record_opening import record_keys, record_opening
from tonne.domain.audit import SERVICE
from tonne.domain.catalogue import Bundle, Project
from tonne.domain.selection import Choice
from tonne.storage.accounts import has_organisations, load_directory, lock_for_set_up
from tonne.storage.catalogue import (
    ExchangeRate,
    Lot,
    has_catalogue,
    insert_bundles,
    insert_exchange_rates,
    insert_lots,
    insert_projects,
    set_default_selection,
)
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection

DEMO_ORGANISATION = "Demo Shop"
# Known by its id: a customer may well have the same name.
DEMO_ORGANISATION_ID = UUID("00000000-0000-7000-8000-00000000d340")
DEMO_CURRENCIES = ("USD", "EUR", "ISK")


async def load_demo(connection: Connection, *, at: datetime) -> list[NewKey] | None:
    """Load the demo into an empty database, in one transaction; None where there is anything in it."""
    async with connection.transaction():
        await lock_for_set_up(connection)
        if await has_organisations(connection) or await has_catalogue(connection):
            return None
        await load_demo_catalogue(connection, at=at)
        return await _open_demo_accounts(connection, at=at)


async def renew_demo_keys(connection: Connection, *, at: datetime) -> list[NewKey] | None:
    """New keys for the demo's accounts, whose old ones got lost; None where there is no demo."""
    accounts = [
        account
        for account in (await load_directory(connection)).accounts.values()
        if account.organisation_id == DEMO_ORGANISATION_ID
    ]
    if not accounts:
        return None
    accounts.sort(key=lambda account: (DEMO_CURRENCIES.index(account.currency.code), account.mode))
    async with connection.transaction():
        keys = [await create_key(connection, account, name="demo", at=at) for account in accounts]
        await record_keys(connection, DEMO_ORGANISATION_ID, keys, at=at, actor=SERVICE)
        return keys


async def load_demo_catalogue(connection: Connection, *, at: datetime) -> None:
    """Load the demo's projects, lots, bundles and exchange rates."""
    demo = json.loads(files("tonne.application").joinpath("demo_catalogue.json").read_text(encoding="utf-8"))
    project_ids = {project["key"]: new_id() for project in demo["projects"]}
    bundle_ids = {bundle["key"]: new_id() for bundle in demo["bundles"]}
    await insert_projects(
        connection, [_project(project_ids[entry["key"]], entry) for entry in demo["projects"]], at=at
    )
    lots = [_lot(project_ids[entry["key"]], lot) for entry in demo["projects"] for lot in entry["lots"]]
    await insert_lots(connection, lots, at=at)
    await insert_bundles(
        connection, [_bundle(entry, bundle_ids, project_ids) for entry in demo["bundles"]], at=at
    )
    await set_default_selection(
        connection,
        [
            Choice(bundle_ids[entry["bundle"]], Decimal(entry["percentage"]))
            for entry in demo["default_selection"]
        ],
    )
    await insert_exchange_rates(connection, _rates(demo["exchange_rates"]))


async def _open_demo_accounts(connection: Connection, *, at: datetime) -> list[NewKey]:
    organisation = await open_organisation(
        connection, DEMO_ORGANISATION, organisation_id=DEMO_ORGANISATION_ID, at=at
    )
    keys = []
    for code in DEMO_CURRENCIES:
        pair = await open_account_pair(
            connection,
            organisation,
            name=f"{DEMO_ORGANISATION} {code}",
            currency=find_currency(code),
            beneficiary=DEMO_ORGANISATION,
            at=at,
        )
        keys += [await create_key(connection, account, name="demo", at=at) for account in pair.values()]
    await record_opening(connection, organisation, keys, at=at, actor=SERVICE)
    return keys


def _project(project_id: UUID, entry: dict[str, Any]) -> Project:
    dates: dict[str, Any] = {
        name: None if entry[name] is None else date.fromisoformat(entry[name])
        for name in ("crediting_start_date", "crediting_end_date", "registration_date")
    }
    rest = {name: value for name, value in entry.items() if name not in dates and name not in ("key", "lots")}
    rest["latitude"] = Decimal(rest["latitude"])
    rest["longitude"] = Decimal(rest["longitude"])
    for name in ("results", "un_sdg", "additional_standards_met"):
        rest[name] = tuple(rest[name])
    return Project(project_id=project_id, **dates, **rest)


def _lot(project_id: UUID, entry: dict[str, Any]) -> Lot:
    return Lot(project_id=project_id, lot_id=new_id(), **entry)


def _bundle(entry: dict[str, Any], bundle_ids: dict[str, UUID], project_ids: dict[str, UUID]) -> Bundle:
    rest = {
        name: value
        for name, value in entry.items()
        if name not in ("key", "currency", "projects", "base_price")
    }
    rest["identifier"] = entry["key"]
    return Bundle(
        bundle_id=bundle_ids[entry["key"]],
        base_price=Decimal(entry["base_price"]),
        base_currency=entry["currency"],
        project_ids=tuple(project_ids[key] for key in entry["projects"]),
        **rest,
    )


def _rates(entries: Sequence[dict[str, str]]) -> list[ExchangeRate]:
    return [
        ExchangeRate(
            entry["base_currency"],
            entry["quote_currency"],
            Decimal(entry["rate"]),
            date.fromisoformat(entry["as_of"]),
            entry["source"],
        )
        for entry in entries
    ]
