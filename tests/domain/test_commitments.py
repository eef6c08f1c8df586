"""What is promised under `reject` is there, whichever credits go first."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.commitments import Commitments
from tonne.domain.terms import UNRESTRICTED, Restrictions

A, B, C = (UUID(int=number) for number in range(1, 4))
P, Q, R = (UUID(int=number) for number in range(11, 14))


def commitments(reach, in_stock, rejecting, committed=None):
    """Bundles reach (project, 2020) supplies."""
    return Commitments(
        {(bundle, UNRESTRICTED): grams for bundle, grams in (committed or {}).items()},
        {(project, 2020): grams for project, grams in in_stock.items()},
        {
            (bundle, UNRESTRICTED): frozenset((p, 2020) for p in projects)
            for bundle, projects in reach.items()
        },
        frozenset(rejecting),
    )


def test_the_last_gram_is_sold_and_not_one_more():
    alone = commitments({A: [P]}, {P: 10}, [A], {A: 4})
    assert alone.shortage({(A, UNRESTRICTED): 6}) is None
    assert alone.shortage({(A, UNRESTRICTED): 7}) == A


def test_a_bundle_that_accepts_is_never_short():
    assert commitments({A: [P]}, {P: 10}, [], {A: 4}).shortage({(A, UNRESTRICTED): 100}) is None


def test_what_another_bundle_may_take_from_shared_projects_is_not_sold_again():
    shared = commitments({A: [P, Q], B: [Q, R]}, {P: 5, Q: 5, R: 5}, [A], {B: 7})
    # B may take all five of Q before A does.
    assert shared.shortage({(A, UNRESTRICTED): 5}) is None
    assert shared.shortage({(A, UNRESTRICTED): 6}) == A


def test_what_is_free_is_what_nobody_was_promised_in_whole_tonnes():
    t = 10**6
    alone = commitments({A: [P]}, {P: 10 * t}, [A], {A: 4 * t + 1})
    assert alone.free_tonnes((A, UNRESTRICTED), 100) == 5
    assert alone.free_tonnes((A, UNRESTRICTED), 3) == 3
    full = commitments({A: [P], B: [P]}, {P: 10 * t}, [A], {A: 10 * t})
    assert full.free_tonnes((B, UNRESTRICTED), 1) == 0


def test_what_was_taken_beside_promises_is_not_free_any_more():
    t = 10**6
    shared = commitments({A: [P, Q], B: [Q]}, {P: 5 * t, Q: 5 * t}, [A], {A: 3 * t, B: t})
    assert shared.free_tonnes((A, UNRESTRICTED), 10) == 6
    left = shared.without({(Q, 2020): 2 * t, (R, 2020): t})
    assert left.free_tonnes((A, UNRESTRICTED), 10) == 4
    assert shared.free_tonnes((A, UNRESTRICTED), 10) == 6


def test_a_promise_is_not_undone_by_a_new_one_of_a_neighbour():
    shared = commitments({A: [P, Q], B: [Q]}, {P: 5, Q: 5}, [A, B], {B: 5})
    assert shared.shortage({(A, UNRESTRICTED): 1}) == B


def test_a_backlog_elsewhere_takes_no_more_than_what_is_shared():
    shared = commitments({A: [P, Q], B: [Q]}, {P: 5, Q: 5}, [A], {B: 1_000})
    assert shared.shortage({(A, UNRESTRICTED): 5}) is None
    assert shared.shortage({(A, UNRESTRICTED): 6}) == A


def test_restricted_orders_are_promised_what_they_may_be_given():
    young = Restrictions(min_vintage_year=2021)
    both = Commitments(
        {},
        {(P, 2020): 10, (P, 2021): 3},
        {(A, UNRESTRICTED): frozenset({(P, 2020), (P, 2021)}), (A, young): frozenset({(P, 2021)})},
        frozenset({A}),
    )
    assert both.shortage({(A, young): 3}) is None
    assert both.shortage({(A, young): 4}) == A
    # Orders without restrictions may be given the young ones first.
    assert both.shortage({(A, young): 3, (A, UNRESTRICTED): 1}) == A


@given(st.data())
def test_whoever_is_served_first_every_promise_is_kept(data):
    projects = [P, Q, R]
    reach = {b: data.draw(st.sets(st.sampled_from(projects), min_size=1)) for b in (A, B, C)}
    in_stock = {p: data.draw(st.integers(0, 6)) for p in projects}
    rejecting = [b for b in (A, B, C) if data.draw(st.booleans())]
    sold = dict.fromkeys((A, B, C), 0)
    for _ in range(data.draw(st.integers(0, 8))):
        bundle, grams = data.draw(st.sampled_from((A, B, C))), data.draw(st.integers(1, 5))
        now = commitments(reach, in_stock, rejecting, sold)
        # Bundles that accept shortages take their orders first: later ones are not for those who reject to prevent.
        accepts_late = bundle not in rejecting and any(sold[b] for b in rejecting)
        if not accepts_late and (
            bundle not in rejecting or now.shortage({(bundle, UNRESTRICTED): grams}) is None
        ):
            sold[bundle] += grams
    left = dict(in_stock)
    waiting = [bundle for bundle, grams in sold.items() for _ in range(grams)]
    for bundle in data.draw(st.permutations(waiting)):
        there = [p for p in reach[bundle] if left[p]]
        assert there or bundle not in rejecting
        if there:
            left[data.draw(st.sampled_from(there))] -= 1
