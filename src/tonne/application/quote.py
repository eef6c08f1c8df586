"""Quote a purchase. A quote writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tonne.domain.accounts import Account
from tonne.domain.catalogue import Catalogue
from tonne.domain.purchase import ByEstimate, Purchase, Quote, price_purchase
from tonne.storage.database import Pool
from tonne.storage.estimates import find_estimated_tonnes


async def quote_estimate(
    pool: Pool, purchase: Purchase, *, account: Account, catalogue: Catalogue, at: datetime
) -> Quote:
    """Quote the mass of an emission estimate.

    Raises:
        TonneError: the estimate does not exist, or as `price_purchase`.
    """
    wanted = purchase.wanted
    assert isinstance(wanted, ByEstimate)
    async with pool.acquire(timeout=5) as connection:
        tonnes = await find_estimated_tonnes(
            connection, [(account.organisation_id, account.account_id, wanted.estimate_id)]
        )
    known = ByEstimate(wanted.estimate_id, tonnes.get((account.account_id, wanted.estimate_id)))
    return price_purchase(replace(purchase, wanted=known), account=account, catalogue=catalogue, at=at)
