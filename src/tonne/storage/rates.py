"""Rows of `exchange_rates` by the day they count for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from tonne.storage.catalogue import ExchangeRate
from tonne.storage.database import Connection

_ON = """
    SELECT w.currency, w.day, r.base_currency, r.quote_currency, r.rate, r.as_of, r.source
      FROM unnest($1::text[], $2::date[]) AS w (currency, day)
      JOIN LATERAL (
        SELECT * FROM (
            (SELECT * FROM exchange_rates
              WHERE base_currency = w.currency AND quote_currency = $3 AND as_of <= w.day
              ORDER BY as_of DESC LIMIT 1)
            UNION ALL
            (SELECT * FROM exchange_rates
              WHERE base_currency = $3 AND quote_currency = w.currency AND as_of <= w.day
              ORDER BY as_of DESC LIMIT 1)) AS found
         ORDER BY as_of DESC, base_currency = w.currency DESC LIMIT 1) AS r ON true
"""


async def find_rates_on(
    connection: Connection, wanted: Sequence[tuple[str, date]], *, quote_currency: str
) -> Mapping[tuple[str, date], ExchangeRate]:
    """The latest rate between each currency and another on or before a day, either way round.

    Of two of the same day the direct one counts.
    """
    rows = await connection.fetch(
        _ON, [currency for currency, _ in wanted], [day for _, day in wanted], quote_currency
    )
    return {
        (row["currency"], row["day"]): ExchangeRate(
            row["base_currency"], row["quote_currency"], row["rate"], row["as_of"], row["source"]
        )
        for row in rows
    }
