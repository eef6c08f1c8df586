"""Take serial numbers out of a lot's stock, wherever in it they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class WithdrawalKind(StrEnum):
    """Why credits are none any more: what they stood for was undone, or the registry or a regulator said so."""

    REVERSED = "reversed"
    INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True)
class Piece:
    """Serial numbers below those that are next in turn; available, or set aside."""

    first: int
    tonnes: int
    is_available: bool

    @property
    def last(self) -> int:
        return self.first + self.tonnes - 1


@dataclass(frozen=True, slots=True)
class Stock:
    """What a lot has in stock: `pieces`, and all numbers from `next` to `last`."""

    next: int
    last: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The stock that is left, and how many tonnes were taken out of what was available and what was set aside."""

    stock: Stock
    available_tonnes: int
    set_aside_tonnes: int


def withdraw(stock: Stock, first: int, last: int) -> Withdrawn:
    """Take the numbers from `first` to `last` (both inclusive) out, as far as they are in stock."""
    pieces: list[Piece] = []
    taken = {True: 0, False: 0}
    for piece in stock.pieces:
        kept = _outside(piece, first, last)
        pieces += kept
        taken[piece.is_available] += piece.tonnes - sum(part.tonnes for part in kept)
    low, high = max(first, stock.next), min(last, stock.last)
    following = stock.next
    if low <= high:
        taken[True] += high - low + 1
        if low > stock.next:
            # What comes before is not next in turn any more, and in stock all the same.
            pieces.append(Piece(stock.next, low - stock.next, is_available=True))
        following = high + 1
    return Withdrawn(Stock(following, stock.last, tuple(pieces)), taken[True], taken[False])


def left_of(piece: Piece, withdrawn: Sequence[tuple[int, int]]) -> list[Piece]:
    """What is left of a piece without ranges of numbers (both ends inclusive) that were withdrawn."""
    pieces = [piece]
    for first, last in withdrawn:
        pieces = [part for each in pieces for part in _outside(each, first, last)]
    return pieces


def _outside(piece: Piece, first: int, last: int) -> Sequence[Piece]:
    if piece.last < first or last < piece.first:
        return [piece]
    before = Piece(piece.first, first - piece.first, piece.is_available)
    after = Piece(last + 1, piece.last - last, piece.is_available)
    return [part for part in (before, after) if part.tonnes > 0]
