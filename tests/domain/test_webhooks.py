"""Places that all have together are shared so that something is left for whoever comes next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.webhooks import room_for_more


@pytest.mark.parametrize(
    ("own", "together", "room"),
    [
        (0, 0, 4),
        (3, 3, 1),
        (4, 4, 0),
        (0, 8, 4),
        (0, 9, 4),
        (0, 10, 3),
        (2, 13, 1),
        (3, 13, 0),
        (0, 15, 1),
        (1, 15, 0),
        (0, 16, 0),
        (0, 17, 0),
    ],
)
def test_there_is_room_up_to_what_one_may_have_and_no_more_than_is_left_to_the_rest(own, together, room):
    assert room_for_more(own=own, own_max=4, together=together, together_max=16) == room


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=200))
def test_whoever_holds_nothing_finds_room_as_long_as_a_place_is_free(steps):
    taken = [0] * 10
    for one, gives_back in steps:
        together = sum(taken)
        room = room_for_more(own=taken[one], own_max=8, together=together, together_max=32)
        assert 0 <= room <= max(0, 8 - taken[one])
        if not taken[one] and together < 32:
            assert room > 0
        taken[one] = 0 if gives_back else taken[one] + room
        assert sum(taken) <= 32
