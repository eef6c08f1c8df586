"""What a change of an object changed."""

from __future__ import annotations

import pytest

from tonne.domain.audit import Difference, chain_hash, differences


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("b", 2, 3)]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"b": 1}, [("a", 1, None), ("b", None, 1)]),
        ({"a": {"b": {"c": "x"}, "d": 1}}, {"a": {"b": {"c": "y"}, "d": 1}}, [("a.b.c", "x", "y")]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", [1, 2], [2, 1])]),
        ({"a": None}, {"a": {"b": 1}}, [("a.b", None, 1)]),
        (None, {"a": 1, "b": {"c": 2}}, [("a", None, 1), ("b.c", None, 2)]),
        ({"a": 1}, None, [("a", 1, None)]),
        (None, None, []),
        (None, {}, [("", None, {})]),
        ("edited by hand", {"a": 1}, [("", "edited by hand", {"a": 1})]),
    ],
)
def test_a_difference_is_told_property_by_property(before, after, found):
    assert differences(before, after) == [Difference(*each) for each in found]


def test_text_does_not_move_from_one_field_to_the_next_unnoticed():
    assert chain_hash(bytes(32), ["ab", "c"]) != chain_hash(bytes(32), ["a", "bc"])
    assert chain_hash(bytes(32), ["a", ""]) != chain_hash(bytes(32), ["a"])
    assert chain_hash(bytes(32), ["a"]) != chain_hash(b"\1" * 32, ["a"])
