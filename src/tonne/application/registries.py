"""Registries: where credits are retired.

A registry is asked twice at most about a retirement's request: `submit` hands it in, once; `look_up` asks what became of
it, as often as need be, and never hands it in again. *Manual* is a registry that people file requests at: the operator
exports a worklist, and confirms or rejects what stands on it, so nothing here submits to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from tonne.domain.accounts import SandboxBehaviour
from tonne.domain.retirement import Confirmed, RegistryAnswer, Rejected, Undecided, Unknown
from tonne.storage.retirements import Filed


class Registry(Protocol):
    """A registry that requests can be submitted to without a person. It is called outside of any transaction."""

    async def submit(self, filed: Sequence[Filed], *, at: datetime) -> Mapping[UUID, RegistryAnswer]:
        """Hand in requests; returns what is known of each by now."""

    async def look_up(self, filed: Sequence[Filed], *, at: datetime) -> Mapping[UUID, RegistryAnswer]:
        """Ask what became of requests that were handed in."""


class SimulatedRegistry:
    """The sandbox's registry: it answers at once, the way the test account's switch says."""

    async def submit(self, filed: Sequence[Filed], *, at: datetime) -> Mapping[UUID, RegistryAnswer]:
        return {retirement.retirement_id: self._answer(retirement, at) for retirement in filed}

    async def look_up(self, filed: Sequence[Filed], *, at: datetime) -> Mapping[UUID, RegistryAnswer]:
        return await self.submit(filed, at=at)

    def _answer(self, filed: Filed, at: datetime) -> RegistryAnswer:
        match filed.behaviour:
            case SandboxBehaviour.SLOW | SandboxBehaviour.BY_HAND:
                return Undecided()
            case SandboxBehaviour.UNSURE:
                return Unknown("The simulated registry did not say what became of the request.")
            case SandboxBehaviour.REJECTING if not filed.replaces_rejected:
                return Rejected("The simulated registry rejects every request once.", credits_are_good=True)
            case _:
                return simulated_confirmation(filed.retirement_id, at)


def simulated_confirmation(retirement_id: UUID, at: datetime) -> Confirmed:
    """The sandbox's word that it retired: nothing was retired anywhere."""
    return Confirmed(f"TEST-{retirement_id}", at.date())
