"""What the audit log says of an organisation that is opened with its accounts and first keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tonne.application.manage_accounts import account_facts
from tonne.application.manage_keys import key_facts
from tonne.application.open_accounts import NewKey
from tonne.domain.accounts import Organisation
from tonne.domain.audit import Actor, Change
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection


async def record_opening(
    connection: Connection, organisation: Organisation, keys: Sequence[NewKey], *, at: datetime, actor: Actor
) -> None:
    """Record an organisation, the keys' accounts and the keys as created; call it in the transaction that stores them."""
    changes = [
        Change(
            "organisation",
            organisation.organisation_id,
            "create",
            after={"name": organisation.name, "commission_rate": organisation.commission_rate},
        )
    ]
    for new in keys:
        account = new.account
        changes += [
            Change("account", account.account_id, "create", after=account_facts(account)),
            _created(new),
        ]
    await record_changes(connection, actor, changes, at=at, organisation_id=organisation.organisation_id)


async def record_keys(
    connection: Connection, organisation_id: UUID, keys: Sequence[NewKey], *, at: datetime, actor: Actor
) -> None:
    """Record keys of accounts that are there as created; call it in the transaction that stores them."""
    changes = [_created(new) for new in keys]
    await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)


def _created(new: NewKey) -> Change:
    return Change("api_key", new.key.key_id, "create", after=key_facts(new.key, new.name))
