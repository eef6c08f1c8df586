"""What purchases in other currencies were worth in US dollars, by the operator's exchange rates of their days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from tonne.domain.errors import ExchangeRateNotFound
from tonne.estimates.spending import FACTOR_CURRENCY, DollarRate, Transaction
from tonne.storage.catalogue import ExchangeRate
from tonne.storage.database import Pool
from tonne.storage.rates import find_rates_on

# As for prices: an inverse counts with twelve significant digits.
_INVERSE = Context(prec=12, rounding=ROUND_HALF_UP)


def needs_rate(wanted: object) -> bool:
    """Whether an estimate needs an exchange rate."""
    return isinstance(wanted, Transaction) and wanted.currency != FACTOR_CURRENCY


async def dollar_rates(
    pool: Pool, transactions: Iterable[Transaction]
) -> Mapping[tuple[str, date], DollarRate]:
    """The latest rate on or before the day of each purchase that is not in dollars, by currency and day."""
    wanted = {(each.currency, each.on) for each in transactions if needs_rate(each)}
    if not wanted:
        return {}
    async with pool.acquire(timeout=5) as connection:
        found = await find_rates_on(connection, sorted(wanted), quote_currency=FACTOR_CURRENCY)
    return {key: _in_dollars(rate) for key, rate in found.items()}


def rate_of(transaction: Transaction, rates: Mapping[tuple[str, date], DollarRate]) -> DollarRate | None:
    """The rate of a purchase; None for dollars.

    Raises:
        ExchangeRateNotFound: there is none on or before its day.
    """
    if not needs_rate(transaction):
        return None
    rate = rates.get((transaction.currency, transaction.on))
    if rate is None:
        raise ExchangeRateNotFound(
            f"There is no exchange rate from {transaction.currency} to {FACTOR_CURRENCY} on or before "
            f"{transaction.on.isoformat()}: give the value in {FACTOR_CURRENCY}, or have rates loaded."
        )
    return rate


def _in_dollars(rate: ExchangeRate) -> DollarRate:
    if rate.quote_currency == FACTOR_CURRENCY:
        return DollarRate(rate.rate, rate.as_of, rate.source)
    return DollarRate(_INVERSE.divide(Decimal(1), rate.rate), rate.as_of, rate.source)
