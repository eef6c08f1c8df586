"""The audit log: entries are chained, and whatever is done to one of them shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.domain.audit import PLATFORM, SERVICE, Actor, Change
from tonne.storage.audit import (
    AuditPlace,
    entry_hash,
    entry_of,
    find_heads,
    list_entries,
    record_changes,
)
from tonne.storage.audit_checks import AuditVerdict, verify_chains

ORGANISATION = UUID(int=7)


def record(url: str, *changes: Change, organisation_id: UUID = PLATFORM, actor: Actor = SERVICE) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await record_changes(connection, actor, changes, at=utc_now(), organisation_id=organisation_id)

    on_connection(url, work)


def verified(url: str, *expected: tuple[int, bytes]) -> AuditVerdict:
    async def work(connection: asyncpg.Connection) -> AuditVerdict:
        async with connection.transaction():
            return await verify_chains(connection, expected=expected)

    return on_connection(url, work)


def damaged(
    url: str,
    damage: str,
    *expected: tuple[int, bytes],
    then: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
) -> AuditVerdict:
    """What is found after some damage, which is undone again."""

    async def work(connection: asyncpg.Connection) -> AuditVerdict:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(damage)
            if then is not None:
                await then(connection)
            return await verify_chains(connection, expected=expected)
        finally:
            await transaction.rollback()

    return on_connection(url, work)


async def write_anew(connection: asyncpg.Connection) -> None:
    """What somebody can do who knows how hashes are made: put all of them right after an edit."""
    last = bytes(32)
    for row in await connection.fetch(
        "SELECT * FROM audit_entries WHERE organisation_id = $1 ORDER BY sequence", PLATFORM
    ):
        last = entry_hash(entry_of(row), last)
        await connection.execute(
            "UPDATE audit_entries SET hash = $3 WHERE organisation_id = $1 AND sequence = $2",
            PLATFORM,
            row["sequence"],
            last,
        )
    await connection.execute("UPDATE audit_heads SET hash = $2 WHERE organisation_id = $1", PLATFORM, last)


def fill(url: str) -> None:
    for number in range(3):
        record(
            url,
            Change("project", new_id(), "create", after={"name": f"Project {number}"}),
            Change("bundle", "a", "change", {"price": "1"}, {"price": str(number)}),
            actor=Actor("user someone"),
        )
    record(url, Change("account", new_id(), "suspend"), organisation_id=ORGANISATION)


@pytest.fixture(scope="module")
def audited(database_url) -> str:
    """A log that no test changes for good."""
    fill(database_url)
    return str(database_url)


def test_an_untouched_log_is_whole(audited):
    verdict = verified(audited)
    assert (verdict.entries, verdict.findings) == (7, ())
    assert {chain: sequence for chain, (sequence, _) in verdict.heads.items()} == {
        PLATFORM: 6,
        ORGANISATION: 1,
    }
    assert verdict.heads == on_connection(audited, find_heads)


@pytest.mark.parametrize(
    "edit",
    [
        "organisation_id = gen_random_uuid()",
        "sequence = 40",
        "at = at + interval '1 microsecond'",
        "actor = 'user another'",
        "request_id = ''",
        "action = 'delete'",
        "object_type = 'lot'",
        "object_id = 'b'",
        "before = NULL",
        "before = ''",
        "after = '{}'",
        "after = after || ' '",
        "hash = sha256(hash)",
        "object_type = 'bundl', object_id = 'ea'",
    ],
)
def test_an_edited_entry_is_named(audited, edit):
    first = damaged(audited, f"UPDATE audit_entries SET {edit} WHERE sequence = 4").findings[0]
    assert first.startswith("the platform's chain: entry 4 ")
    assert "edited" in first or "missing" in first


def test_every_column_of_an_entry_is_edited_by_these_tests(audited):
    columns = on_connection(
        audited,
        lambda c: c.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_entries'"
        ),
    )
    [mark] = [mark for mark in test_an_edited_entry_is_named.pytestmark if mark.name == "parametrize"]
    edited = {part.split(" = ")[0].strip() for edit in mark.args[1] for part in edit.split(", ")}
    assert edited == {row["column_name"] for row in columns}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM audit_entries WHERE sequence = 3", "platform's chain: entry 3 is missing"),
        ("DELETE FROM audit_entries WHERE sequence = 6", "entry 6 is missing at the end"),
        ("DELETE FROM audit_entries WHERE sequence >= 4", "entries 4 to 6 are missing at the end"),
        ("DELETE FROM audit_entries WHERE sequence <= 2", "platform's chain: entries 1 to 2 are missing"),
        (
            f"DELETE FROM audit_entries WHERE organisation_id = '{ORGANISATION}'",
            f"organisation {ORGANISATION}: entry 1 is missing at the end",
        ),
        ("DELETE FROM audit_heads WHERE sequence = 6", "its head is gone, the last entry is 6"),
        ("UPDATE audit_heads SET sequence = 5 WHERE sequence = 6", "entry 6 is not accounted for"),
        (
            "UPDATE audit_heads SET hash = sha256(hash) WHERE sequence = 6",
            "does not have the hash of entry 6",
        ),
        (
            (
                "INSERT INTO audit_entries SELECT organisation_id, 7, at, actor, request_id, action, object_type, "
                "object_id, before, after, hash FROM audit_entries WHERE sequence = 6"
            ),
            "entry 7 (change bundle a)",
        ),
        (
            """
            UPDATE audit_entries SET sequence = 9 WHERE sequence = 2;
            UPDATE audit_entries SET sequence = 2 WHERE sequence = 3;
            UPDATE audit_entries SET sequence = 3 WHERE sequence = 9
            """,
            "entry 2 (create project",
        ),
        (
            (
                f"UPDATE audit_entries SET organisation_id = '{UUID(int=8)}' WHERE organisation_id = '{ORGANISATION}'; "
                f"UPDATE audit_heads SET organisation_id = '{UUID(int=8)}' WHERE organisation_id = '{ORGANISATION}'"
            ),
            f"organisation {UUID(int=8)}: entry 1",
        ),
    ],
)
def test_a_removed_added_or_moved_entry_is_named(audited, damage, said):
    assert said in "\n".join(damaged(audited, damage).findings)


def test_a_chain_written_anew_lacks_the_head_that_was_noted(audited):
    noted = verified(audited).heads[PLATFORM]
    assert verified(audited, noted).findings == ()
    edit = "UPDATE audit_entries SET actor = 'user x' WHERE sequence = 2"
    assert damaged(audited, edit, then=write_anew).findings == ()
    [found] = damaged(audited, edit, noted, then=write_anew).findings
    assert f"no chain has an entry 6 with the hash {noted[1].hex()}" in found


def test_an_end_cut_off_with_its_head_lacks_the_head_that_was_noted(audited):
    noted = verified(audited).heads[PLATFORM]
    cut = (
        "DELETE FROM audit_entries WHERE sequence > 4; "
        "UPDATE audit_heads h SET sequence = 4, hash = e.hash FROM audit_entries e "
        "WHERE e.organisation_id = h.organisation_id AND e.sequence = 4"
    )
    assert damaged(audited, cut).findings == ()
    assert len(damaged(audited, cut, noted).findings) == 1


def test_a_log_that_was_ruined_throughout_is_told_in_a_hundred_findings(audited):
    async def many(connection: asyncpg.Connection) -> None:
        changes = [Change("lot", str(number), "change") for number in range(150)]
        await record_changes(connection, SERVICE, changes, at=utc_now(), organisation_id=UUID(int=9))
        await connection.execute("UPDATE audit_entries SET actor = 'user x'")

    verdict = damaged(audited, "SELECT 1", then=many)
    assert (verdict.entries, len(verdict.findings)) == (157, 100)


def test_entries_are_listed_newest_first(audited):
    found = on_connection(audited, lambda c: list_entries(c, object_id="a", limit=2))
    assert [(entry.sequence, entry.before, entry.after) for entry in found] == [
        (6, '{"price":"1"}', '{"price":"2"}'),
        (4, '{"price":"1"}', '{"price":"1"}'),
    ]
    assert {entry.actor for entry in found} == {"user someone"}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 7),
        ({"object_type": "bundle"}, 3),
        ({"object_type": "bundl"}, 0),
        ({"actor": "SOME"}, 6),
        ({"actor": "service"}, 1),
        ({"actor": "%"}, 0),
        ({"object_id": "a", "object_type": "project"}, 0),
    ],
)
def test_entries_are_filtered(audited, wanted, count):
    assert len(on_connection(audited, lambda c: list_entries(c, **wanted, limit=100))) == count


def test_since_includes_its_moment_and_leaves_out_what_was_before(audited):
    entries = on_connection(audited, lambda c: list_entries(c, limit=100))
    at = entries[2].at
    found = on_connection(audited, lambda c: list_entries(c, since=at, limit=100))
    assert found == [entry for entry in entries if entry.at >= at]


def test_a_walk_of_pages_sees_every_entry_once_whatever_is_added(new_database):
    audited = new_database()
    fill(audited)
    every = on_connection(audited, lambda c: list_entries(c, limit=100))
    seen, after = [], None
    while True:
        page = on_connection(audited, partial(list_entries, after=after, limit=2))
        if not page:
            break
        seen += page
        after = AuditPlace(page[-1].at, page[-1].organisation_id, page[-1].sequence)
        record(audited, Change("lot", "new", "change"))
    assert seen == every


def test_changes_made_at_once_form_one_chain(new_database):
    url = new_database()

    async def work() -> None:
        async def change(number: int) -> None:
            connection = await asyncpg.connect(url)
            try:
                for _ in range(10):
                    async with connection.transaction():
                        await record_changes(
                            connection, SERVICE, [Change("lot", str(number), "change")], at=utc_now()
                        )
            finally:
                await connection.close()

        await asyncio.gather(*(change(number) for number in range(8)))

    asyncio.run(work())
    verdict = verified(url)
    assert (verdict.entries, verdict.findings) == (80, ())
