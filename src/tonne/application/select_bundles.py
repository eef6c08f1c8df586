"""Change what an account's orders buy that name no selection: its own one, or a portfolio's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor, Change
from tonne.domain.catalogue import Catalogue
from tonne.domain.selection import Choice
from tonne.storage.accounts import find_selection, replace_selection, set_portfolio
from tonne.storage.audit import record_changes
from tonne.storage.database import Pool


async def select_bundles(
    pool: Pool,
    account: Account,
    selection: tuple[Choice, ...],
    *,
    catalogue: Catalogue,
    at: datetime,
    actor: Actor,
) -> None:
    """Make a selection the account's own; orders that name none will use it.

    Raises:
        Unauthorised: the actor's key was disabled since.
        BundleSelectionBundleInvalid: one of its bundles is unknown or disabled.
    """
    for choice in selection:
        catalogue.buyable(choice.bundle_id)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        before = await find_selection(connection, account)
        await replace_selection(connection, account, selection)
        # An own selection stands in place of a portfolio's.
        await set_portfolio(connection, account, None)
        change = Change("account", account.account_id, "select_bundles", _facts(before), _facts(selection))
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)


async def select_portfolio(
    pool: Pool,
    account: Account,
    portfolio_id: UUID | None,
    *,
    catalogue: Catalogue,
    at: datetime,
    actor: Actor,
) -> Account:
    """Let an account's orders buy a portfolio's selection, or with None the default again; its own one is given up.

    Raises:
        Unauthorised: the actor's key was disabled since.
        PortfolioInvalid: there is no such portfolio, or it is disabled.
    """
    if portfolio_id is not None:
        catalogue.portfolio(portfolio_id)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        before = _facts(await find_selection(connection, account))
        before["bundle_portfolio_id"] = account.bundle_portfolio_id
        if portfolio_id is not None:
            await replace_selection(connection, account, ())
        await set_portfolio(connection, account, portfolio_id)
        after = {"bundle_portfolio_id": portfolio_id}
        change = Change("account", account.account_id, "select_portfolio", before, after)
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
    return replace(account, bundle_portfolio_id=portfolio_id)


def _facts(selection: Sequence[Choice]) -> dict[str, Any]:
    return {"bundle_selection": [[choice.bundle_id, choice.percentage] for choice in selection]}
