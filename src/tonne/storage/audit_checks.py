"""Is the audit log as it was written? Every chain is walked from its first entry to its head."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from uuid import UUID

from tonne.domain.audit import FIRST_HASH, PLATFORM
from tonne.storage.audit import AuditEntry, entry_hash, entry_of
from tonne.storage.database import Connection

_FETCHED_TOGETHER = 1000
# Whoever rewrites a whole chain wants no line for each entry.
FINDINGS_MAX = 100

Head = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """How many entries there are, how each chain ends, and what is wrong: at most 100 findings."""

    entries: int
    heads: dict[UUID, Head]
    findings: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """What was seen of the chains so far: the last entry of each, and what is wrong."""

    entries: int = 0
    ends: dict[UUID, Head] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    met: set[Head] = field(default_factory=set)

    def see(self, entry: AuditEntry) -> None:
        """Check that an entry follows on the one before it in its chain."""
        self.entries += 1
        chain = entry.organisation_id
        sequence, last = self.ends.get(chain, (0, FIRST_HASH))
        if entry.sequence != sequence + 1:
            self.say(chain, f"{_entries(sequence + 1, entry.sequence - 1)} missing")
        elif entry_hash(entry, last) != entry.hash:
            what = f"{entry.action} {entry.object_type} {entry.object_id}"
            self.say(chain, f"entry {entry.sequence} ({what}) or the one before it was edited or moved")
        self.ends[chain] = (entry.sequence, entry.hash)

    def say(self, chain: UUID, what: str) -> None:
        if len(self.found) < FINDINGS_MAX:
            self.found.append(f"{chain_name(chain)}: {what}")


async def verify_chains(connection: Connection, *, expected: Collection[Head] = ()) -> AuditVerdict:
    """Walk every chain; call it in a transaction that sees one moment.

    `expected` are heads that were noted earlier, as (sequence, hash): whoever can write to the database can also write
    a chain anew from its beginning, but not so that it still holds a hash that is kept elsewhere.
    """
    heads: dict[UUID, Head] = {
        row["organisation_id"]: (row["sequence"], row["hash"])
        for row in await connection.fetch("SELECT * FROM audit_heads ORDER BY organisation_id")
    }
    walk = _Walk()
    wanted = set(expected)
    async for entry in _every_entry(connection):
        walk.see(entry)
        if (entry.sequence, entry.hash) in wanted:
            walk.met.add((entry.sequence, entry.hash))
    for chain in sorted(heads.keys() | walk.ends.keys()):
        wrong = _wrong_end(heads.get(chain), walk.ends.get(chain, (0, FIRST_HASH)))
        if wrong is not None:
            walk.say(chain, wrong)
    lost = [
        f"no chain has an entry {sequence} with the hash {hash_.hex()}: entries were cut off or written anew"
        for sequence, hash_ in sorted(wanted - walk.met)
    ]
    return AuditVerdict(
        walk.entries, {chain: head for chain, head in heads.items() if head[0]}, (*walk.found, *lost)
    )


def chain_name(chain: UUID) -> str:
    """What a chain is called."""
    return "the platform's chain" if chain == PLATFORM else f"the chain of organisation {chain}"


async def _every_entry(connection: Connection) -> AsyncIterator[AuditEntry]:
    cursor = connection.cursor(
        "SELECT * FROM audit_entries ORDER BY organisation_id, sequence", prefetch=_FETCHED_TOGETHER
    )
    async for row in cursor:
        yield entry_of(row)


def _wrong_end(head: Head | None, end: Head) -> str | None:
    if head is None:
        return f"its head is gone, the last entry is {end[0]}"
    if head[0] > end[0]:
        return f"{_entries(end[0] + 1, head[0])} missing at the end"
    if head[0] < end[0]:
        return f"{_entries(head[0] + 1, end[0])} not accounted for by its head: added, or the head was edited"
    return (
        None if head == end else f"its head does not have the hash of entry {end[0]}: one of them was edited"
    )


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
