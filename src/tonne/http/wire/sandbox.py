"""The sandbox on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.orders import OrderStatus


class AdvanceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to move a test order."""

    to: Annotated[OrderStatus | None, Meta(description="The status to reach; without it, the next one.")] = (
        None
    )
