"""The sandbox on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.accounts import SandboxBehaviour
from tonne.domain.orders import OrderStatus


class AdvanceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to move a test order."""

    to: Annotated[OrderStatus | None, Meta(description="The status to reach; without it, the next one.")] = (
        None
    )


class ChangeTestBehaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How things go for a test account."""

    test_behaviour: Annotated[
        SandboxBehaviour,
        Meta(
            description="`by_hand`: orders stay where they are until advanced. `slow`: the registry does not answer. "
            "`out_of_stock`: no credits are found. `rejecting`: the registry rejects every retirement once. `unsure`: "
            "nobody knows what the registry did. `normal`: everything goes well, at once."
        ),
    ]
