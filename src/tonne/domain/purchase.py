"""What a caller wants to buy, and what it costs: the one calculation behind quotes and orders alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.catalogue import Bundle, Catalogue
from tonne.domain.decimals import EXACT, plain
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    EstimateNotFound,
    OrderValueInvalid,
    RestrictionsUnmet,
    UnitPriceAboveMaximum,
    ValidationFailed,
)
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.money import Currency
from tonne.domain.pricing import (
    Offer,
    Priced,
    price_quantities,
    quantities_by_bundle_masses,
    quantities_by_mass,
    quantities_by_value,
)
from tonne.domain.selection import Choice
from tonne.domain.terms import NO_TERMS, Terms


@dataclass(frozen=True)
class ByMass:
    mass: Mass


@dataclass(frozen=True, slots=True)
class ByBundleMasses:
    """Masses bundle by bundle; no bundle twice."""

    masses: tuple[tuple[UUID, Mass], ...]


@dataclass(frozen=True, slots=True)
class ByValue:
    """A value in the account's currency, commission included."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class ByEstimate:
    """The mass of an emission estimate; `tonnes` is None where the account has no such estimate."""

    estimate_id: UUID
    tonnes: Decimal | None = None


Wanted = ByMass | ByBundleMasses | ByValue | ByEstimate


@dataclass(frozen=True)
class Purchase:
    """A wish to buy. Without a selection the account's own counts, else its portfolio's, else the platform's default."""

    wanted: Wanted
    selection: tuple[Choice, ...] | None = None
    precision: MassUnit = MassUnit.G
    terms: Terms = NO_TERMS


@dataclass(frozen=True)
class Quote:
    """A purchase with its price. `requested_tonnes` is None by value, `requested_value_minor` otherwise."""

    currency: Currency
    priced: Priced
    requested_tonnes: Decimal | None = None
    requested_value_minor: int | None = None


def price_purchase(purchase: Purchase, *, account: Account, catalogue: Catalogue, at: datetime) -> Quote:
    """Price a purchase for an account, at the prices of a time.

    Raises:
        BundleSelectionBundleInvalid, ExchangeRateNotFound, EstimateNotFound, OrderValueInvalid,
        OrderQuantityInvalid, UnitPriceAboveMaximum, RestrictionsUnmet: as their messages say.
    """
    _refuse_unknown_projects(purchase.terms, catalogue)
    match purchase.wanted:
        case ByMass(mass):
            return _by_tonnes(mass.tonnes, purchase, account, catalogue, at)
        case ByEstimate(estimate_id, tonnes):
            if tonnes is None:
                raise EstimateNotFound(f"This account has no emission estimate {estimate_id}.")
            return _by_tonnes(tonnes, purchase, account, catalogue, at)
        case ByBundleMasses(masses):
            return _by_bundle_masses(masses, purchase, account, catalogue, at)
        case ByValue(value):
            return _by_value(value, purchase, account, catalogue, at)


def _by_tonnes(
    tonnes: Decimal, purchase: Purchase, account: Account, catalogue: Catalogue, at: datetime
) -> Quote:
    choices = _choices(purchase, account, catalogue)
    offers = _offers([choice.bundle_id for choice in choices], purchase, account, catalogue, at)
    quantities = quantities_by_mass(Mass(tonnes, MassUnit.T).grams, choices, precision=purchase.precision)
    priced = price_quantities(quantities, offers, currency=account.currency)
    return Quote(account.currency, priced, requested_tonnes=tonnes)


def _by_bundle_masses(
    masses: tuple[tuple[UUID, Mass], ...],
    purchase: Purchase,
    account: Account,
    catalogue: Catalogue,
    at: datetime,
) -> Quote:
    offers = _offers([bundle_id for bundle_id, _ in masses], purchase, account, catalogue, at)
    quantities = quantities_by_bundle_masses([mass.grams for _, mass in masses], precision=purchase.precision)
    priced = price_quantities(quantities, offers, currency=account.currency)
    requested = Decimal(0)
    for _, mass in masses:
        requested = EXACT.add(requested, mass.tonnes)
    return Quote(account.currency, priced, requested_tonnes=requested)


def _by_value(
    value: Decimal, purchase: Purchase, account: Account, catalogue: Catalogue, at: datetime
) -> Quote:
    value_minor = account.currency.minor_from(value)
    if value_minor < 1:
        raise OrderValueInvalid(
            f"The order value must be at least {account.currency.format(1)} {account.currency.code}."
        )
    choices = _choices(purchase, account, catalogue)
    offers = _offers([choice.bundle_id for choice in choices], purchase, account, catalogue, at)
    quantities = quantities_by_value(
        value_minor,
        choices,
        offers,
        precision=purchase.precision,
        currency=account.currency,
    )
    priced = price_quantities(quantities, offers, currency=account.currency)
    return Quote(account.currency, priced, requested_value_minor=value_minor)


def _choices(purchase: Purchase, account: Account, catalogue: Catalogue) -> tuple[Choice, ...]:
    choices = purchase.selection or account.selection or _of_portfolio(account, catalogue)
    choices = choices or catalogue.default_selection
    if not choices:
        raise BundleSelectionBundleInvalid(
            "Name a bundle_selection: neither this account nor the platform has a default one."
        )
    return choices


def _of_portfolio(account: Account, catalogue: Catalogue) -> tuple[Choice, ...]:
    if account.bundle_portfolio_id is None:
        return ()
    portfolio = catalogue.portfolios.get(account.bundle_portfolio_id)
    return () if portfolio is None else portfolio.selection


def _offers(
    bundle_ids: Sequence[UUID], purchase: Purchase, account: Account, catalogue: Catalogue, at: datetime
) -> list[Offer]:
    offers = []
    for bundle_id in bundle_ids:
        bundle = catalogue.buyable(bundle_id)
        offer = catalogue.offer(
            bundle, currency=account.currency, commission_rate=account.organisation.commission_rate, at=at
        )
        if purchase.terms is not NO_TERMS:
            _refuse_unacceptable(bundle, offer, purchase.terms, account, catalogue)
        offers.append(offer)
    return offers


def _refuse_unacceptable(
    bundle: Bundle, offer: Offer, terms: Terms, account: Account, catalogue: Catalogue
) -> None:
    most = terms.max_unit_price
    if most is not None and offer.gross_unit_price > most:
        code = account.currency.code
        raise UnitPriceAboveMaximum(
            f"A tonne of {bundle.name} costs {plain(offer.gross_unit_price)} {code}, commission included: "
            f"that is above the max_unit_price of {plain(most)} {code}."
        )
    projects = [catalogue.projects[project_id] for project_id in bundle.project_ids]
    if not any(terms.restrictions.allow_project(p) for p in projects if not p.disabled):
        raise RestrictionsUnmet(
            f"Every project of {bundle.name} is excluded: choose another bundle, or exclude fewer countries and projects."
        )


def _refuse_unknown_projects(terms: Terms, catalogue: Catalogue) -> None:
    for project_id in terms.restrictions.excluded_projects:
        if project_id not in catalogue.projects:
            raise ValidationFailed.at(
                "/excluded_projects", f"there is no project {project_id}; GET /v1/projects lists them"
            )
