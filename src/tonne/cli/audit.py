"""`tonne audit`: who changed what, and whether the log of it is as it was written."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from tonne.cli.moments import moment
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    settings_with,
    with_connection,
)
from tonne.domain.audit import PLATFORM, Difference, differences
from tonne.storage.audit import AuditEntry, list_entries, read_state
from tonne.storage.audit_checks import AuditVerdict, Head, chain_name, verify_chains
from tonne.storage.database import Connection

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
_NOTHING = "-"


@click.group()
def audit() -> None:
    """Who changed what: the audit log of every change by keys, people and the service.

    Entries are only ever added. Those of an organisation form a chain, as do those of what belongs to none (the
    catalogue, the inventory, exchange rates): each entry's hash covers the one before it.
    """


@audit.command()
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="SEQUENCE:HASH",
    help="A head that an earlier run printed, and that you kept elsewhere; may be given several times.",
)
@database_options
@json_option
def verify(
    expected: tuple[str, ...], data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Walk the whole log; exits with 1, naming what is wrong, where an entry was edited, removed, added or moved.

    Prints each chain's head. Keep them where who can write to this database can't, and give them to --expect later:
    then even a log that was written anew from its beginning, or cut off at its end, is found.
    """
    heads = [_read_head(text) for text in expected]

    async def work(connection: Connection) -> AuditVerdict:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await verify_chains(connection, expected=heads)

    verdict = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json(_verdict_facts(verdict))
    else:
        _show_verdict(verdict, expected=len(heads))
    sys.exit(1 if verdict.findings else 0)


@audit.command()
@click.option("--object", "object_id", help="Only changes of the object with this id.")
@click.option("--type", "object_type", help="Only changes of objects of this type, such as account or order.")
@click.option(
    "--actor", help="Only changes by these: a part of a key's id or of a user's name, or `service`."
)
@click.option("--since", type=moment, help="Only changes of then or later: a day (UTC), or a time.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@database_options
@json_option
def log(
    *,
    object_id: str | None,
    object_type: str | None,
    actor: str | None,
    since: datetime | None,
    limit: int,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Show the newest changes, newest first, with what each of them changed."""

    async def work(connection: Connection) -> list[AuditEntry]:
        return await list_entries(
            connection, object_id=object_id, object_type=object_type, actor=actor, since=since, limit=limit
        )

    entries = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json([_entry_facts(entry) for entry in entries])
        return
    for entry in entries:
        _show_entry(entry)
    if not entries:
        console.print("No change matches.")


def _read_head(text: str) -> Head:
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        msg = f"--expect takes SEQUENCE:HASH as `tonne audit verify` prints it; {text!r} is none."
        raise click.UsageError(msg)
    return int(found[1]), bytes.fromhex(found[2])


def _verdict_facts(verdict: AuditVerdict) -> dict[str, Any]:
    return {
        "sound": not verdict.findings,
        "entries": verdict.entries,
        "heads": [
            {
                "organisation_id": None if chain == PLATFORM else str(chain),
                "sequence": sequence,
                "hash": hash_.hex(),
            }
            for chain, (sequence, hash_) in verdict.heads.items()
        ],
        "findings": verdict.findings,
    }


def _show_verdict(verdict: AuditVerdict, *, expected: int) -> None:
    for finding in verdict.findings:
        console.print(finding, markup=False)
    told = f"{verdict.entries} entries in {len(verdict.heads)} chains"
    if verdict.findings:
        console.print(f"[red]broken[/]  {told}: {len(verdict.findings)} findings.")
        return
    console.print(f"[green]whole[/]   {told}{', with all expected heads' if expected else ''}.")
    for chain, (sequence, hash_) in verdict.heads.items():
        console.print(f"{sequence}:{hash_.hex()}  {chain_name(chain)}", markup=False)


def _entry_facts(entry: AuditEntry) -> dict[str, Any]:
    return {
        "organisation_id": None if entry.organisation_id == PLATFORM else str(entry.organisation_id),
        "sequence": entry.sequence,
        "at": entry.at,
        "actor": entry.actor,
        "request_id": entry.request_id,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "before": read_state(entry.before),
        "after": read_state(entry.after),
        "hash": entry.hash.hex(),
    }


def _show_entry(entry: AuditEntry) -> None:
    request = f", request {entry.request_id}" if entry.request_id else ""
    console.print(
        f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.action} {entry.object_type} {entry.object_id}", markup=False
    )
    console.print(
        f"    by {entry.actor}{request}; entry {entry.sequence} of {chain_name(entry.organisation_id)}",
        markup=False,
    )
    for line in _changes(differences(read_state(entry.before), read_state(entry.after))):
        console.print(f"    {line}", markup=False)


def _changes(found: Sequence[Difference]) -> list[str]:
    return [f"{each.path or 'value'}: {_told(each.before)} → {_told(each.after)}" for each in found]


def _told(value: Any) -> str:
    # As JSON, so that a text of one line stays one and is told from a number.
    return _NOTHING if value is None else msgspec.json.encode(value).decode()
