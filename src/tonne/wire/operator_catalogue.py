"""The catalogue as the operator changes it: the words of `catalogue_entries`, with ids and times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.catalogue_entries import ChoiceEntry, CurrencyText, PriceText
from tonne.application.catalogue_plan import bundle_fields, portfolio_fields, project_fields
from tonne.application.import_rates import check_rate
from tonne.domain.catalogue import Bundle, Portfolio, Project
from tonne.domain.decimals import parse_decimal, plain
from tonne.domain.errors import ValidationFailed
from tonne.domain.times import format_time
from tonne.storage.catalogue import ExchangeRate
from tonne.wire.common import Id, Time


class Changed(msgspec.Struct, frozen=True):
    """An object of the catalogue after a change, in the words in which it was asked for."""

    id: Id
    changed: Annotated[bool, Meta(description="false where it was so already.")]
    fields: Annotated[dict[str, Any], Meta(description="All its fields, as they are now.")]


class SetPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price of a bundle from now on, or from a time to come."""

    currency: CurrencyText
    price: Annotated[
        PriceText | None, Meta(description="null ends a fixed price: the exchange rate decides again.")
    ]
    valid_from: (
        Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2027-01-01T00:00:00Z"])]
        | None
    ) = None


class PriceBody(msgspec.Struct, frozen=True):
    """A price from a time on, until the next one in its currency; a null price ends a fixed one."""

    currency: str
    valid_from: Annotated[Time | None, Meta(description="null: from the beginning.")]
    price: str | None


class SetDefaultSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What orders buy that name no selection, of accounts that have none."""

    selection: Annotated[
        list[ChoiceEntry], Meta(max_length=100, description="Empty: such orders are refused.")
    ]


class RateEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate` units of `quote_currency` for one of `base_currency`, from a day on."""

    base_currency: CurrencyText
    quote_currency: CurrencyText
    rate: PriceText
    as_of: Annotated[str, Meta(extra_json_schema={"format": "date"}, examples=["2026-01-31"])]
    source: Annotated[str, Meta(min_length=1, max_length=200, examples=["European Central Bank"])]


class SetRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exchange rates to store: all of them, or none."""

    rates: Annotated[list[RateEntry], Meta(min_length=1, max_length=500)]
    replace: Annotated[bool, Meta(description="Whether they replace those of the same pair and day.")] = False

    def to_rates(self) -> list[ExchangeRate]:
        """Read the rates.

        Raises:
            ValidationFailed: one can't be, or a pair is named twice for one day.
        """
        rates = []
        for position, entry in enumerate(self.rates):
            try:
                rate = ExchangeRate(
                    entry.base_currency,
                    entry.quote_currency,
                    parse_decimal(entry.rate),
                    date.fromisoformat(entry.as_of),
                    entry.source,
                )
                check_rate(rate)
            except ValueError as error:
                raise ValidationFailed.at(f"/rates/{position}", str(error)) from None
            rates.append(rate)
        if len({(r.base_currency, r.quote_currency, r.as_of) for r in rates}) < len(rates):
            raise ValidationFailed.at("/rates", "name a pair twice for one day")
        return rates


class RatesBody(msgspec.Struct, frozen=True):
    """What became of rates."""

    added: int
    unchanged: int
    replaced: int


class ImageBody(msgspec.Struct, frozen=True):
    """A picture that was uploaded."""

    url: Annotated[str, Meta(description="Its address, for projects and bundles.")]
    media_type: str


def changed_project(project: Project, *, changed: bool) -> Changed:
    """Print a project after a change."""
    return Changed(str(project.project_id), changed, project_fields(project))


def changed_bundle(
    bundle: Bundle, projects: Mapping[UUID, Project], *, changed: bool, at: datetime
) -> Changed:
    """Print a bundle after a change."""
    return Changed(str(bundle.bundle_id), changed, bundle_fields(bundle, projects, at=at))


def changed_portfolio(portfolio: Portfolio, bundles: Mapping[UUID, Bundle], *, changed: bool) -> Changed:
    """Print a portfolio after a change."""
    return Changed(str(portfolio.portfolio_id), changed, portfolio_fields(portfolio, bundles))


def price_history(bundle: Bundle) -> list[PriceBody]:
    """Print all prices of a bundle, oldest first."""
    first = PriceBody(bundle.base_currency, None, plain(bundle.base_price))
    later = [
        PriceBody(
            price.currency, format_time(price.valid_from), None if price.price is None else plain(price.price)
        )
        for price in bundle.prices
    ]
    return [first, *later]
