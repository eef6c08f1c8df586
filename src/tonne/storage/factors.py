"""Rows of `factor_editions` and `emission_factors`: editions that were imported, each as it was published."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tonne.domain.decimals import plain
from tonne.domain.factors import Edition, Factor
from tonne.storage.changes import announce_change
from tonne.storage.database import Connection, Record

_EDITIONS = """
    SELECT edition_id, source, publication_year, revision, title, attribution, licence, url, content_sha256,
           factor_count, loaded_at, withdrawn_at
      FROM factor_editions
"""
_INSERT_FACTORS = """
    INSERT INTO emission_factors (edition_id, activity, name, region, unit, kg_co2e, price_year)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::int[])
"""


@dataclass(frozen=True, slots=True)
class StoredEdition:
    """An edition that was imported. One that is withdrawn is used for no new estimate, and still found by its ids."""

    edition: Edition
    factor_count: int
    content_sha256: bytes
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class ImportedFactors:
    """The factors of every edition that was imported and is not withdrawn, and those of withdrawn ones.

    The same object as long as the editions are the same.
    """

    editions: tuple[StoredEdition, ...] = ()
    used: tuple[Factor, ...] = ()
    withdrawn: tuple[Factor, ...] = ()


def content_of(edition: Edition, factors: Sequence[Factor]) -> bytes:
    """The SHA-256 of what an edition says and of whom: the same for the same figures in any order of rows."""
    rows = sorted([f.activity, f.name, f.region, f.unit, plain(f.kg_co2e), f.price_year] for f in factors)
    whose = [
        edition.source,
        edition.publication_year,
        edition.title,
        edition.attribution,
        edition.licence,
        edition.url,
    ]
    return hashlib.sha256(msgspec.json.encode([whose, rows])).digest()


async def lock_editions(connection: Connection) -> list[StoredEdition]:
    """Keep others from importing until this transaction ends; returns the editions there are."""
    await connection.execute("LOCK TABLE factor_editions IN SHARE ROW EXCLUSIVE MODE")
    return await list_editions(connection)


async def list_editions(connection: Connection) -> list[StoredEdition]:
    """Every edition that was imported, by source and the newest first."""
    rows = await connection.fetch(_EDITIONS + "ORDER BY source, publication_year DESC, revision DESC")
    return [_edition(row) for row in rows]


async def insert_edition(
    connection: Connection, edition: Edition, factors: Sequence[Factor], *, at: datetime
) -> None:
    """Store an edition with its factors and tell every process."""
    await connection.execute(
        """
        INSERT INTO factor_editions (edition_id, source, publication_year, revision, title, attribution, licence, url,
                                     content_sha256, factor_count, loaded_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        edition.edition_id,
        edition.source,
        edition.publication_year,
        edition.revision,
        edition.title,
        edition.attribution,
        edition.licence,
        edition.url,
        content_of(edition, factors),
        len(factors),
        at,
    )
    await connection.execute(
        _INSERT_FACTORS,
        edition.edition_id,
        [factor.activity for factor in factors],
        [factor.name for factor in factors],
        [factor.region for factor in factors],
        [factor.unit for factor in factors],
        [factor.kg_co2e for factor in factors],
        [factor.price_year for factor in factors],
    )
    await announce_change(connection)


async def set_withdrawn(connection: Connection, edition_id: str, withdrawn_at: datetime | None) -> None:
    """Withdraw an edition, or take it up again, and tell every process."""
    await connection.execute(
        "UPDATE factor_editions SET withdrawn_at = $2 WHERE edition_id = $1", edition_id, withdrawn_at
    )
    await announce_change(connection)


async def load_imported_factors(connection: Connection, known: ImportedFactors) -> ImportedFactors:
    """The factors of every edition; `known` itself where no edition came or went since it was loaded."""
    editions = tuple(await list_editions(connection))
    if editions == known.editions:
        return known
    used: list[Factor] = []
    withdrawn: list[Factor] = []
    for stored in editions:
        (used if stored.withdrawn_at is None else withdrawn).extend(
            await list_factors(connection, stored.edition)
        )
    return ImportedFactors(editions, tuple(used), tuple(withdrawn))


async def list_factors(connection: Connection, edition: Edition) -> list[Factor]:
    """The factors of an edition, by their activities."""
    rows = await connection.fetch(
        """
        SELECT activity, name, region, unit, kg_co2e, price_year
          FROM emission_factors WHERE edition_id = $1 ORDER BY activity COLLATE "C"
        """,
        edition.edition_id,
    )
    return [
        Factor(edition, r["activity"], r["name"], r["region"], r["unit"], r["kg_co2e"], r["price_year"])
        for r in rows
    ]


def _edition(row: Record) -> StoredEdition:
    edition = Edition(
        row["source"],
        row["publication_year"],
        row["title"],
        row["attribution"],
        row["licence"],
        row["url"],
        row["revision"],
        row["loaded_at"],
    )
    return StoredEdition(edition, row["factor_count"], row["content_sha256"], row["withdrawn_at"])
