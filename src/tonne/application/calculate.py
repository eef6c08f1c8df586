"""Which calculator estimates what, and what an estimate tells beyond its mass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tonne.domain.decimals import plain, shifted
from tonne.domain.errors import EmissionFactorIdInvalid
from tonne.domain.estimates import Calculation, EstimateKind, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.domain.mass import readable_mass
from tonne.domain.times import format_time
from tonne.estimates.by_factor import Activity, estimate_by_factor
from tonne.estimates.declared import Declaration, declare
from tonne.estimates.electricity import Electricity, estimate_electricity
from tonne.estimates.flights import Flight, estimate_flight
from tonne.estimates.near import hint, near_codes
from tonne.estimates.passengers import Journey, estimate_journey
from tonne.estimates.shipping import Shipment, ShippingLeg, estimate_multi_leg_shipping, estimate_shipping
from tonne.estimates.spending import DollarRate, Transaction, estimate_transaction


@dataclass(frozen=True, slots=True)
class Shipping:
    """A shipment on one way."""

    shipment: Shipment
    leg: ShippingLeg


@dataclass(frozen=True, slots=True)
class MultiLegShipping:
    """A shipment over several legs."""

    shipment: Shipment
    legs: Sequence[ShippingLeg]


@dataclass(frozen=True, slots=True)
class ByFactor:
    """An activity, and the id of the factor to estimate it with."""

    emission_factor_id: str
    activity: Activity


Estimated = (
    Electricity | Flight | Journey | Shipping | MultiLegShipping | Transaction | ByFactor | Declaration
)


def calculate(wanted: Estimated, book: FactorBook, rate: DollarRate | None = None) -> Calculation:
    """Estimate anything; `rate` is that of a transaction in another currency than US dollars.

    It may take some tens of milliseconds where a sea route is looked for that was not before.

    Raises:
        TonneError: as the calculator's.
    """
    if isinstance(wanted, Transaction):
        return estimate_transaction(wanted, rate, book)
    return _CALCULATORS[type(wanted)](wanted, book)


def kind_of(wanted: Estimated) -> EstimateKind:
    """What kind of estimate it is."""
    return _KINDS[type(wanted)]


def find_factor(factor_id: str, book: FactorBook) -> Factor:
    """Find a factor of any edition by its id.

    Raises:
        EmissionFactorIdInvalid: there is none; the message names near matches.
    """
    found = book.by_id.get(factor_id)
    if found is not None and found.edition.edition_id in book.withdrawn:
        raise EmissionFactorIdInvalid.at(
            "/emission_factor_id",
            f"{found.edition.edition_id} was withdrawn: take a factor of another edition",
        )
    if found is None:
        # Compared in capitals, as all codes are.
        known = {each.upper(): each for each in book.by_id}
        raise EmissionFactorIdInvalid.at(
            "/emission_factor_id",
            f"there is no emission factor {factor_id[:80]!r}: GET /v1/emission-factors lists them"
            + hint([known[near] for near in near_codes(factor_id, list(known))]),
        )
    return found


def outcome_of(calculation: Calculation) -> dict[str, Any]:
    """What an estimate tells beyond its mass, as it is printed and stored."""
    outcome: dict[str, Any] = {}
    if calculation.distance_km is not None:
        outcome["distance"] = {"amount": shown(calculation.distance_km), "unit": "km"}
    if calculation.legs is not None:
        outcome["legs"] = [
            {
                "mass": _mass(leg.grams),
                "distance": None
                if leg.distance_km is None
                else {"amount": shown(leg.distance_km), "unit": "km"},
            }
            for leg in calculation.legs
        ]
    if calculation.factor is not None:
        outcome["emission_factor"] = factor_facts(calculation.factor)
    if calculation.found_by is not None:
        outcome["search_term_match"] = calculation.found_by
    return outcome


def factor_facts(factor: Factor) -> dict[str, Any]:
    """A factor as it is printed."""
    edition = factor.edition
    return {
        "id": factor.factor_id,
        "name": factor.name,
        "source": edition.source,
        "source_version": edition.edition_id,
        "publication_year": edition.publication_year,
        "numerator_unit": "kg",
        "denominator_unit": factor.unit,
        "value": plain(factor.kg_co2e),
        "region": factor.region,
        "price_year": factor.price_year,
        "attribution": edition.attribution,
        "licence": edition.licence,
        "url": edition.url,
        "created_at": None if edition.loaded_at is None else format_time(edition.loaded_at),
    }


def _mass(grams: Any) -> dict[str, str]:
    mass = readable_mass(shifted(grams, -6))
    return {"amount": plain(mass.amount), "unit": mass.unit.value}


_CALCULATORS: Mapping[type, Callable[[Any, FactorBook], Calculation]] = {
    Electricity: estimate_electricity,
    Flight: estimate_flight,
    Journey: estimate_journey,
    Shipping: lambda wanted, book: estimate_shipping(wanted.shipment, wanted.leg, book),
    MultiLegShipping: lambda wanted, book: estimate_multi_leg_shipping(wanted.shipment, wanted.legs, book),
    ByFactor: lambda wanted, book: estimate_by_factor(
        wanted.activity, find_factor(wanted.emission_factor_id, book)
    ),
    Declaration: lambda wanted, _: declare(wanted),
}
_KINDS: Mapping[type, EstimateKind] = {
    Electricity: EstimateKind.ELECTRICITY,
    Flight: EstimateKind.FLIGHT,
    Journey: EstimateKind.PASSENGER_TRANSPORTATION,
    Shipping: EstimateKind.SHIPPING,
    MultiLegShipping: EstimateKind.MULTI_LEG_SHIPPING,
    Transaction: EstimateKind.TRANSACTION,
    ByFactor: EstimateKind.EMISSION_FACTOR,
    Declaration: EstimateKind.DECLARED,
}
