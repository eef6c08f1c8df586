"""Whether a wish to order asks for what an order is already."""

from __future__ import annotations

from collections.abc import Mapping

from tonne.domain.mass import Mass, MassUnit
from tonne.domain.orders import Order
from tonne.domain.pricing import quantities_by_bundle_masses, quantities_by_mass
from tonne.domain.purchase import ByBundleMasses, ByEstimate, ByMass, ByValue, Purchase


def asks_for_same(order: Order, purchase: Purchase, metadata: Mapping[str, str] | None) -> bool:
    """Whether an order is what a purchase with such metadata would have made of the account and the prices of then.

    Without a selection the account's own of then is taken to be meant. Of an order by value the shares of a selection
    can't be told from what was bought, its bundles can.
    """
    return (
        _wants_same(order, purchase)
        and dict(order.metadata or {}) == dict(metadata or {})
        and order.terms == purchase.terms
        and _selects_same(order, purchase)
    )


def _wants_same(order: Order, purchase: Purchase) -> bool:
    match purchase.wanted:
        case ByMass(mass):
            return order.estimate_id is None and order.requested_tonnes == mass.tonnes
        case ByValue(value):
            return order.requested_value_minor == order.currency.minor_from(value)
        case ByEstimate(estimate_id):
            return order.estimate_id == estimate_id
        case ByBundleMasses(masses):
            quantities = quantities_by_bundle_masses(
                [mass.grams for _, mass in masses], precision=purchase.precision
            )
            wanted = [(bundle_id, grams) for (bundle_id, _), grams in zip(masses, quantities, strict=True)]
            return [(line.bundle_id, line.quantity_grams) for line in order.lines] == wanted


def _selects_same(order: Order, purchase: Purchase) -> bool:
    selection = purchase.selection
    if selection is None:
        return True
    if [line.bundle_id for line in order.lines] != [choice.bundle_id for choice in selection]:
        return False
    if order.requested_tonnes is None:
        return True
    grams = Mass(order.requested_tonnes, MassUnit.T).grams
    quantities = quantities_by_mass(grams, selection, precision=purchase.precision)
    return [line.quantity_grams for line in order.lines] == quantities
