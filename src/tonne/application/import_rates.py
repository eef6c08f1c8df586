"""Exchange rates from a file or an operator: dated, with their source, and never changed unnoticed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from tonne.application.callers import refuse_disabled_key
from tonne.domain.audit import Actor, Change
from tonne.domain.decimals import parse_decimal, plain
from tonne.domain.errors import CatalogueConflict, ValidationFailed, Violation
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import ExchangeRate, count_change, find_rates, store_rates
from tonne.storage.currencies import find_currency
from tonne.storage.database import Pool

_RATE_MAX = Decimal(10) ** 12
SOURCE_LENGTH_MAX = 200


class RateFormat(StrEnum):
    """How a file of rates is laid out.

    `csv`: base_currency, quote_currency, as_of, rate and, unless one is given for all, source. `monthly`: month,
    currency, units_per_usd.
    """

    CSV = "csv"
    MONTHLY = "monthly"


_COLUMNS = {
    RateFormat.CSV: ("base_currency", "quote_currency", "as_of", "rate"),
    RateFormat.MONTHLY: ("month", "currency", "units_per_usd"),
}


@dataclass(frozen=True, slots=True)
class ImportedRates:
    """How many rates are new, were there already, and were replaced."""

    added: int
    unchanged: int
    replaced: int


def read_rates(text: str, *, layout: RateFormat, source: str | None) -> list[ExchangeRate]:
    """Read rates from CSV.

    Raises:
        ValidationFailed: a column is missing, or some row is damaged; each violation's pointer is `line N`.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [name for name in _COLUMNS[layout] if name not in (reader.fieldnames or ())]
    if missing:
        raise ValidationFailed.at("line 1", f"the column {missing[0]} is missing")
    rates: list[ExchangeRate] = []
    violations: list[Violation] = []
    seen: dict[tuple[str, str, date], int] = {}
    try:
        for row in reader:
            try:
                rate = _read_rate(row, layout, source)
                key = (rate.base_currency, rate.quote_currency, rate.as_of)
                if key in seen:
                    raise ValueError(f"the same pair and day as line {seen[key]}")  # noqa: TRY301
            except ValueError as error:
                violations.append(Violation(f"line {reader.line_num}", str(error)))
            else:
                seen[key] = reader.line_num
                rates.append(rate)
    except csv.Error as error:
        violations.append(Violation(f"line {reader.line_num}", f"this is no CSV: {error}"))
    if not rates and not violations:
        violations.append(Violation("line 1", "no row follows the header"))
    if violations:
        raise ValidationFailed(
            f"{violations[0].pointer}: {violations[0].message}"
            + (f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""),
            violations=violations,
        )
    return rates


def check_rate(rate: ExchangeRate) -> None:
    """Refuse what can't be a rate.

    Raises:
        ValueError: saying what is wrong.
    """
    for code in (rate.base_currency, rate.quote_currency):
        try:
            find_currency(code)
        except KeyError:
            msg = f"{code!r} is no ISO 4217 currency"
            raise ValueError(msg) from None
    if rate.base_currency == rate.quote_currency:
        msg = "a currency has no rate to itself"
        raise ValueError(msg)
    if not 0 < rate.rate <= _RATE_MAX:
        msg = f"a rate must be more than 0 and at most {_RATE_MAX}"
        raise ValueError(msg)
    if not 0 < len(rate.source.strip()) <= SOURCE_LENGTH_MAX or not rate.source.isprintable():
        msg = f"a rate's source must have 1 to {SOURCE_LENGTH_MAX} printable characters"
        raise ValueError(msg)


async def import_rates(
    pool: Pool,
    rates: Sequence[ExchangeRate],
    *,
    replace: bool = False,
    dry_run: bool = False,
    at: datetime,
    actor: Actor,
) -> ImportedRates:
    """Store rates, all of them or none; those that are there already change nothing.

    Raises:
        CatalogueConflict: another rate is there for the same pair and day, and it is not to be replaced.
        Unauthorised: the actor's key was disabled since.
    """
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        await count_change(connection)
        known = await find_rates(connection, rates)
        new = [rate for rate in rates if _key(rate) not in known]
        other = [rate for rate in rates if known.get(_key(rate), rate.rate) != rate.rate]
        if other and not replace:
            first = other[0]
            raise CatalogueConflict(
                f"{first.base_currency} to {first.quote_currency} is {plain(known[_key(first)])} on {first.as_of} "
                f"already, not {plain(first.rate)} ({len(other)} rates differ): say that they are to be replaced, or leave "
                "them out."
            )
        if not dry_run:
            await store_rates(connection, [*new, *other])
            changes = [_change(rate, None) for rate in new] + [_change(r, known[_key(r)]) for r in other]
            await record_changes(connection, actor, changes, at=at)
        return ImportedRates(len(new), len(rates) - len(new) - len(other), len(other))


def _key(rate: ExchangeRate) -> tuple[str, str, date]:
    return (rate.base_currency, rate.quote_currency, rate.as_of)


def _change(rate: ExchangeRate, before: Decimal | None) -> Change:
    name = f"{rate.base_currency}/{rate.quote_currency}/{rate.as_of}"
    told = {"rate": plain(rate.rate), "source": rate.source}
    if before is None:
        return Change("exchange rate", name, "create", None, told)
    return Change("exchange rate", name, "replace", {"rate": plain(before)}, told)


def _read_rate(row: dict[str, str | None], layout: RateFormat, source: str | None) -> ExchangeRate:
    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    monthly = layout is RateFormat.MONTHLY
    day = cell("month" if monthly else "as_of")
    try:
        as_of = date.fromisoformat(day)
    except ValueError:
        msg = f"{day!r} is no day such as 2026-01-31"
        raise ValueError(msg) from None
    rate = ExchangeRate(
        "USD" if monthly else cell("base_currency"),
        cell("currency" if monthly else "quote_currency"),
        parse_decimal(cell("units_per_usd" if monthly else "rate")),
        as_of,
        source or cell("source"),
    )
    check_rate(rate)
    return rate
