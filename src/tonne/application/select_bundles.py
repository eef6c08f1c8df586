"""Change an account's own bundle selection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tonne.application.callers import refuse_disabled_key
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor, Change
from tonne.domain.catalogue import Catalogue
from tonne.domain.selection import Choice
from tonne.storage.accounts import find_selection, replace_selection
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
        change = Change("account", account.account_id, "select_bundles", _facts(before), _facts(selection))
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)


def _facts(selection: Sequence[Choice]) -> dict[str, Any]:
    return {"bundle_selection": [[choice.bundle_id, choice.percentage] for choice in selection]}
