"""Two transactions that met: one is carried out again, and gives up in the end."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tonne.application.contention import TRIES_MAX, carried_out
from tonne.domain.errors import ServiceUnavailable
from tonne.storage.lots import LotChanged


@pytest.mark.parametrize("met", [LotChanged, asyncpg.DeadlockDetectedError])
@pytest.mark.parametrize(("times", "succeeds"), [(0, True), (TRIES_MAX - 1, True), (TRIES_MAX, False)])
def test_work_is_carried_out_again_a_limited_number_of_times(met, times, succeeds):
    tries = []

    async def work():
        tries.append(1)
        if len(tries) <= times:
            raise met("met another")
        return "done"

    if succeeds:
        assert asyncio.run(carried_out(work)) == "done"
        assert len(tries) == times + 1
    else:
        with pytest.raises(ServiceUnavailable, match="Repeat it in a moment"):
            asyncio.run(carried_out(work))
        assert len(tries) == TRIES_MAX


def test_other_errors_are_not_tried_again():
    tries = []

    async def work():
        tries.append(1)
        raise ValueError("no matter of others")

    with pytest.raises(ValueError, match="no matter"):
        asyncio.run(carried_out(work))
    assert len(tries) == 1
