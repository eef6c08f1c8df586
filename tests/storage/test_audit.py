"""The audit log: entries are chained, and whatever is done to one of them shows."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.domain.audit import PLATFORM, SERVICE, Actor, Change
from tonne.storage.audit import find_heads, list_entries, record_changes, verify_chains

ORGANISATION = UUID(int=7)


def record(url: str, *changes: Change, organisation_id: UUID = PLATFORM, actor: Actor = SERVICE) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await record_changes(connection, actor, changes, at=utc_now(), organisation_id=organisation_id)

    on_connection(url, work)


def verified(url: str) -> tuple[int, list[str]]:
    async def work(connection: asyncpg.Connection) -> tuple[int, list[str]]:
        async with connection.transaction():
            return await verify_chains(connection)

    return on_connection(url, work)


@pytest.fixture
def audited(new_database) -> str:
    url: str = new_database()
    for number in range(3):
        record(
            url,
            Change("project", new_id(), "create", after={"name": f"Project {number}"}),
            Change("bundle", "a", "change", {"price": "1"}, {"price": str(number)}),
            actor=Actor("user someone"),
        )
    record(url, Change("account", new_id(), "suspend"), organisation_id=ORGANISATION)
    return url


def test_an_untouched_log_is_whole(audited):
    assert verified(audited) == (7, [])
    heads = on_connection(audited, find_heads)
    assert {chain: sequence for chain, (sequence, _) in heads.items()} == {PLATFORM: 6, ORGANISATION: 1}


@pytest.mark.parametrize(
    "edit",
    [
        "at = at + interval '1 microsecond'",
        "actor = 'user another'",
        "request_id = ''",
        "action = 'delete'",
        "object_type = 'lot'",
        "object_id = 'b'",
        "before = NULL",
        "before = ''",
        "after = '{}'",
        "hash = sha256(hash)",
        "object_type = 'bundl', object_id = 'ea'",
    ],
)
def test_an_edited_entry_is_named(audited, edit):
    on_connection(audited, lambda c: c.execute(f"UPDATE audit_entries SET {edit} WHERE sequence = 4"))
    _, found = verified(audited)
    assert found
    assert "platform's chain: entry 4" in found[0] or "entry 4 or the link" in "\n".join(found)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM audit_entries WHERE sequence = 3", "entries 3 to 3 are missing"),
        ("DELETE FROM audit_entries WHERE sequence = 6", "the last entries are missing"),
        ("DELETE FROM audit_entries WHERE sequence <= 2", "entries 1 to 2 are missing"),
        (
            f"DELETE FROM audit_entries WHERE organisation_id = '{ORGANISATION}'",
            "the last entries are missing",
        ),
        ("DELETE FROM audit_heads WHERE sequence = 6", "the end was changed"),
        (
            """
            UPDATE audit_entries SET sequence = 9 WHERE sequence = 2;
            UPDATE audit_entries SET sequence = 2 WHERE sequence = 3;
            UPDATE audit_entries SET sequence = 3 WHERE sequence = 9
            """,
            "entry 2",
        ),
    ],
)
def test_a_removed_or_moved_entry_is_named(audited, damage, said):
    on_connection(audited, lambda c: c.execute(damage))
    _, found = verified(audited)
    assert said in "\n".join(found)


def test_entries_are_listed_newest_first(audited):
    found = on_connection(audited, lambda c: list_entries(c, object_id="a", limit=2))
    assert [(entry.sequence, entry.before, entry.after) for entry in found] == [
        (6, '{"price":"1"}', '{"price":"2"}'),
        (4, '{"price":"1"}', '{"price":"1"}'),
    ]
    assert {entry.actor for entry in found} == {"user someone"}


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
    assert verified(url) == (80, [])
