"""Accounts on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.accounts import Account
from tonne.http.wire.common import CurrencyCode, Id


class AccountBody(msgspec.Struct, frozen=True):
    """An account. A live account has a test sibling and the other way round."""

    id: Id
    name: str
    organisation_id: Id
    organisation_type: Annotated[str, Meta(extra_json_schema={"enum": ["shipper", "supplier"]})]
    handle: str | None
    currency: CurrencyCode
    type: Annotated[str, Meta(extra_json_schema={"enum": ["live", "test"]})]
    logo: str | None
    beneficiary: str | None
    bundle_portfolio_id: str | None
    external_pages_visibility: Annotated[
        str,
        Meta(
            description="The public page of a complete order is shown to whoever has its address, which can't be "
            "guessed; only `public` pages are for search engines.",
            extra_json_schema={"enum": ["public", "hidden", "private"]},
        ),
    ]
    scope: Annotated[str, Meta(extra_json_schema={"const": "account"})]
    sibling_id: str | None


def account_body(account: Account) -> AccountBody:
    """Print an account."""
    return AccountBody(
        id=str(account.account_id),
        name=account.name,
        organisation_id=str(account.organisation_id),
        organisation_type=account.organisation.organisation_type,
        handle=account.handle,
        currency=account.currency.code,
        type=account.mode.value,
        logo=account.logo,
        beneficiary=account.beneficiary,
        bundle_portfolio_id=None if account.bundle_portfolio_id is None else str(account.bundle_portfolio_id),
        external_pages_visibility=account.external_pages_visibility,
        scope="account",
        sibling_id=None if account.sibling_id is None else str(account.sibling_id),
    )
