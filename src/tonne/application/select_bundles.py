"""Change an account's own bundle selection."""

from __future__ import annotations

from tonne.application.callers import refuse_disabled_key
from tonne.domain.accounts import Caller
from tonne.domain.catalogue import Catalogue
from tonne.domain.selection import Choice
from tonne.storage.accounts import replace_selection
from tonne.storage.database import Pool


async def select_bundles(
    pool: Pool, selection: tuple[Choice, ...], *, caller: Caller, catalogue: Catalogue
) -> None:
    """Make a selection the account's own; orders that name none will use it.

    Raises:
        Unauthorised: the key was disabled since.
        BundleSelectionBundleInvalid: one of its bundles is unknown or disabled.
    """
    for choice in selection:
        catalogue.buyable(choice.bundle_id)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, caller)
        await replace_selection(connection, caller.account, selection)
