"""Projects, bundles, their prices and what is in stock: what there is to buy, as of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from tonne.domain.errors import BundleSelectionBundleInvalid, ExchangeRateNotFound, PortfolioInvalid
from tonne.domain.money import Currency
from tonne.domain.pricing import Offer, price_offer
from tonne.domain.retirement import RetirementPolicy
from tonne.domain.selection import Choice


@dataclass(frozen=True, slots=True)
class Project:
    """A carbon project at a registry. Coordinates are WGS 84 degrees."""

    project_id: UUID
    name: str
    short_name: str
    slug: str
    description: str
    project_type: str
    registry_name: str
    registry_project_id: str
    country_name: str
    country_code: str
    registry_link: str | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    region: str | None = None
    logo: str | None = None
    primary_image: str | None = None
    thumbnail_image: str | None = None
    results: tuple[str, ...] = ()
    un_sdg: tuple[int, ...] = ()
    disabled_at: datetime | None = None
    media: Sequence[Any] | None = None
    crediting_start_date: date | None = None
    crediting_end_date: date | None = None
    registration_date: date | None = None
    protocol: str | None = None
    methodology: str | None = None
    durability: str | None = None
    additional_standards_met: tuple[str, ...] = ()
    verifying_body: str | None = None
    risk_of_reversal: str | None = None
    risk_of_predicted_emissions: str | None = None
    avg_annual_emission_reductions: int | None = None

    @property
    def disabled(self) -> bool:
        return self.disabled_at is not None


class OnShortage(StrEnum):
    """Whether a bundle takes orders that stock does not cover, to be retired when it does."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Price:
    """What a tonne of a bundle costs from a time on, in one currency; None ends a fixed price in a foreign currency."""

    currency: str
    valid_from: datetime
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A bundle selection that accounts take over by its name."""

    portfolio_id: UUID
    identifier: str
    label: str
    selection: tuple[Choice, ...]
    disabled_at: datetime | None = None

    @property
    def disabled(self) -> bool:
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Projects sold together at one price. `available_tonnes` None means that stock is not tracked.

    Of a bundle that rejects shortages, it is what is in stock and not promised to anyone. `base_price` is the first price
    of all, in `base_currency`; later ones and fixed ones in other currencies are `prices`.
    """

    bundle_id: UUID
    name: str
    base_price: Decimal
    base_currency: str
    description: str
    project_ids: tuple[UUID, ...] = ()
    available_tonnes: int | None = None
    offset_type: str | None = None
    approach: str | None = None
    carbon_permanence: str | None = None
    background_colour: str | None = None
    primary_image: str | None = None
    large_image: str | None = None
    primary_image_hires: str | None = None
    small_thumbnail: str | None = None
    disabled_at: datetime | None = None
    on_shortage: OnShortage = OnShortage.ACCEPT
    identifier: str = ""
    retirement_policy: RetirementPolicy = RetirementPolicy.OLDEST_VINTAGE
    low_stock_tonnes: int | None = None
    # Oldest first.
    prices: tuple[Price, ...] = ()

    @property
    def disabled(self) -> bool:
        return self.disabled_at is not None

    @property
    def is_low(self) -> bool:
        """Whether less is in stock than the operator wants to be warned of."""
        tracked, least = self.available_tonnes, self.low_stock_tonnes
        return not self.disabled and tracked is not None and least is not None and tracked < least

    def price_at(self, currency: str, at: datetime) -> Decimal | None:
        """The price in a currency at a time; None in a foreign one that has no fixed price then."""
        found = self.base_price if currency == self.base_currency else None
        for price in self.prices:
            if price.currency == currency and price.valid_from <= at:
                found = price.price
        return found

    def covers(self, quantity_grams: int) -> bool:
        """Whether stock covers that much now."""
        return self.available_tonnes is None or quantity_grams <= self.available_tonnes * 10**6


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be bought. Immutable: a change makes a new catalogue.

    `exchange_rates` maps (from, to) currency codes to units of the second for one of the first. `version` counts the
    changes of what orders take from the catalogue: an order decided with an older one is decided again.
    """

    bundles: Mapping[UUID, Bundle] = field(default_factory=dict)
    projects: Mapping[UUID, Project] = field(default_factory=dict)
    default_selection: tuple[Choice, ...] = ()
    portfolios: Mapping[UUID, Portfolio] = field(default_factory=dict)
    exchange_rates: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    version: int = 0
    _tracked: frozenset[UUID] | None = field(default=None, compare=False, repr=False)
    _offers: dict[tuple[UUID, str, Decimal, Decimal], Offer] = field(
        default_factory=dict, compare=False, repr=False
    )

    def offer(self, bundle: Bundle, *, currency: Currency, commission_rate: Decimal, at: datetime) -> Offer:
        """The bundle's prices at a time, for accounts of a currency and commission rate.

        Raises:
            ExchangeRateNotFound: the catalogue has no rate for the currency.
        """
        fixed = bundle.price_at(currency.code, at)
        price = fixed if fixed is not None else bundle.price_at(bundle.base_currency, at)
        assert price is not None, "a bundle always has a price in its own currency"
        wanted = (bundle.bundle_id, currency.code, commission_rate, price)
        offer = self._offers.get(wanted)
        if offer is None:
            rate = None if fixed is not None else self.exchange_rate(bundle.base_currency, currency.code)
            # Kept because prices change seldom and are asked for with every quote and order.
            offer = self._offers[wanted] = price_offer(
                bundle.bundle_id,
                price,
                exchange_rate=rate,
                commission_rate=commission_rate,
                currency=currency,
            )
        return offer

    def tracked_bundles(self) -> frozenset[UUID]:
        """Bundles whose promises are counted: those that reject shortages, and those that share projects with them."""
        if self._tracked is None:
            rejecting = [b for b in self.bundles.values() if b.on_shortage is OnShortage.REJECT]
            shared = {project_id for bundle in rejecting for project_id in bundle.project_ids}
            found = {b.bundle_id for b in self.bundles.values() if not shared.isdisjoint(b.project_ids)}
            object.__setattr__(self, "_tracked", frozenset(found | {b.bundle_id for b in rejecting}))
        assert self._tracked is not None
        return self._tracked

    def buyable(self, bundle_id: UUID) -> Bundle:
        """Find a bundle that can be bought now.

        Raises:
            BundleSelectionBundleInvalid: it is unknown or disabled.
        """
        bundle = self.bundles.get(bundle_id)
        if bundle is None:
            raise BundleSelectionBundleInvalid(f"There is no bundle {bundle_id}; GET /v1/bundles lists them.")
        if bundle.disabled:
            raise BundleSelectionBundleInvalid(
                f"The bundle {bundle_id} ({bundle.name}) is disabled; GET /v1/bundles lists those on sale."
            )
        return bundle

    def portfolio(self, portfolio_id: UUID) -> Portfolio:
        """Find a portfolio that can be taken over.

        Raises:
            PortfolioInvalid: it is unknown or disabled.
        """
        portfolio = self.portfolios.get(portfolio_id)
        if portfolio is None or portfolio.disabled:
            raise PortfolioInvalid(
                f"There is no bundle portfolio {portfolio_id}; GET /v1/bundle-portfolios lists them."
            )
        return portfolio

    def exchange_rate(self, base_currency: str, currency: str) -> Decimal | None:
        """Units of `currency` for one of `base_currency`, None where they are the same.

        Where only the rate the other way round is known, its inverse counts, rounded to 12 significant digits (half up).

        Raises:
            ExchangeRateNotFound: neither is known.
        """
        if base_currency == currency:
            return None
        rate = self.exchange_rates.get((base_currency, currency))
        if rate is None:
            inverse = self.exchange_rates.get((currency, base_currency))
            if inverse is None:
                raise ExchangeRateNotFound(f"There is no exchange rate from {base_currency} to {currency}.")
            rate = _INVERSE.divide(Decimal(1), inverse)
        return rate


_INVERSE = Context(prec=12, rounding=ROUND_HALF_UP)
