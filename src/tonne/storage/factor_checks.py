"""Do editions of emission factors say what they said when they were loaded?"""

from __future__ import annotations

from tonne.storage.database import Connection
from tonne.storage.factors import content_of, list_editions, list_factors


async def find_altered_editions(connection: Connection) -> tuple[str, ...]:
    """Name each edition whose factors are others, more or fewer; call it in a transaction that sees one moment."""
    found = []
    for stored in await list_editions(connection):
        name = stored.edition.edition_id
        factors = await list_factors(connection, stored.edition)
        if len(factors) != stored.factor_count:
            found.append(
                f"edition {name} has {len(factors)} factors, it was loaded with {stored.factor_count}"
            )
        elif content_of(stored.edition, factors) != stored.content_sha256:
            found.append(f"edition {name}: a factor was edited, or what is said of the edition")
    return tuple(found)
