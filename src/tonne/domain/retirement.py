"""Which credits are retired for a pool of orders, and which gram of the pool each of their tonnes is for.

A pool is the paid lines of one account, beneficiary and bundle, standing in a row gram after gram. Whole tonnes of the
row are covered from its beginning on: first come, first served. Source: design, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from tonne.domain.mass import GRAMS_PER_TONNE


class RetirementPolicy(StrEnum):
    """Which of a bundle's credits go first.

    `spread` takes from every project alike; what can't be divided comes from the project with the most in stock.
    """

    OLDEST_VINTAGE = "oldest_vintage"
    CHEAPEST = "cheapest"
    SPREAD = "spread"


class RetirementState(StrEnum):
    """Only `confirmed` counts as retired. From `unknown` one asks the registry, and never submits again."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


OPEN_STATES = frozenset({RetirementState.PENDING, RetirementState.SUBMITTED, RetirementState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Block:
    """Serial numbers in stock, from `serial_first` on; `is_returned` when a rejected retirement gave them back."""

    serial_first: int
    tonnes: int
    is_returned: bool = False


@dataclass(frozen=True, slots=True)
class LotStock:
    """What a lot has in stock. `cost_per_tonne` None is not known, and counts as dearest."""

    project_id: UUID
    lot_id: UUID
    vintage_year: int
    serial_prefix: str
    blocks: tuple[Block, ...]
    cost_per_tonne: Decimal | None = None

    @property
    def tonnes(self) -> int:
        return sum(block.tonnes for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Take:
    """Whole tonnes taken from one block of a lot: the block's first serial numbers."""

    lot: LotStock
    serial_first: int
    tonnes: int
    is_returned: bool

    @property
    def serial_last(self) -> int:
        return self.serial_first + self.tonnes - 1


@dataclass(frozen=True, slots=True)
class Gap:
    """Whole tonnes of a pool that no retirement covers; `was_covered` by one that was rejected."""

    gram_first: int
    tonnes: int
    was_covered: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """Credits for tonnes of a pool: a retirement to be."""

    gram_first: int
    take: Take
    was_covered: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The registry retired the credits, and can be asked under `reference`."""

    reference: str
    retired_on: date


@dataclass(frozen=True, slots=True)
class Rejected:
    """The registry retired nothing; `credits_are_good` puts them back in stock, else they are set aside."""

    reason: str
    credits_are_good: bool = False


@dataclass(frozen=True, slots=True)
class Undecided:
    """The registry took the request, and has not answered yet."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the registry carried it out: ask it, do not submit again."""

    reason: str


RegistryAnswer = Confirmed | Rejected | Undecided | Unknown


def plan_takes(stock: Sequence[LotStock], *, tonnes: int, policy: RetirementPolicy) -> list[Take]:
    """Choose credits for `tonnes`; fewer where the stock is short. Serial numbers of a block go in order."""
    return _PLANS[policy]([lot for lot in stock if lot.tonnes > 0], tonnes)


def without(stock: Sequence[LotStock], takes: Sequence[Take]) -> list[LotStock]:
    """The stock after takes that were planned from it."""
    taken: dict[UUID, dict[int, int]] = {}
    for take in takes:
        blocks = taken.setdefault(take.lot.lot_id, {})
        blocks[take.serial_first] = take.tonnes
    return [_less(lot, taken[lot.lot_id]) if lot.lot_id in taken else lot for lot in stock]


def cover_gaps(gaps: Sequence[Gap], takes: Sequence[Take]) -> list[Cover]:
    """Match credits to tonnes of a pool, first to first; pieces are as large as both sides allow."""
    covers: list[Cover] = []
    waiting = list(reversed(gaps))
    for take in takes:
        left = take
        while left.tonnes and waiting:
            gap = waiting.pop()
            tonnes = min(gap.tonnes, left.tonnes)
            covers.append(Cover(gap.gram_first, replace(left, tonnes=tonnes), gap.was_covered))
            left = replace(left, serial_first=left.serial_first + tonnes, tonnes=left.tonnes - tonnes)
            if gap.tonnes > tonnes:
                waiting.append(
                    replace(
                        gap,
                        gram_first=gap.gram_first + tonnes * GRAMS_PER_TONNE,
                        tonnes=gap.tonnes - tonnes,
                    )
                )
        assert not left.tonnes, "no more is taken than is waited for"
    return covers


def grams_to_fill(waiting_grams: int) -> int:
    """How many grams are missing to the next whole tonne; 0 where it is whole."""
    return -waiting_grams % GRAMS_PER_TONNE


def format_serial(prefix: str, number: int) -> str:
    """A serial number as it is printed: the block's prefix and the unit's number.

    Where a registry writes the number in the middle, as a block from it to itself, the prefix says where: `{}`.
    """
    return prefix.replace("{}", f"{number}-{number}") if "{}" in prefix else f"{prefix}-{number}"


def _oldest_vintage(stock: list[LotStock], tonnes: int) -> list[Take]:
    return _in_turn(sorted(stock, key=lambda lot: (lot.vintage_year, lot.lot_id)), tonnes)


def _cheapest(stock: list[LotStock], tonnes: int) -> list[Take]:
    def dearness(lot: LotStock) -> tuple[bool, Decimal, int, UUID]:
        cost = lot.cost_per_tonne
        return (cost is None, cost or Decimal(0), lot.vintage_year, lot.lot_id)

    return _in_turn(sorted(stock, key=dearness), tonnes)


def _spread(stock: list[LotStock], tonnes: int) -> list[Take]:
    by_project: dict[UUID, list[LotStock]] = {}
    for lot in stock:
        by_project.setdefault(lot.project_id, []).append(lot)
    held = {project_id: sum(lot.tonnes for lot in lots) for project_id, lots in by_project.items()}
    shares = _even_shares(held, tonnes)
    return [
        take
        for project_id, share in shares.items()
        for take in _oldest_vintage(by_project[project_id], share)
    ]


def _even_shares(held: Mapping[UUID, int], tonnes: int) -> dict[UUID, int]:
    """Divide tonnes evenly among projects, none getting more than it holds; the fullest come first."""
    fullest_first = sorted(held, key=lambda project_id: (-held[project_id], project_id))
    shares = dict.fromkeys(fullest_first, 0)
    while tonnes:
        with_more = [project_id for project_id in fullest_first if held[project_id] > shares[project_id]]
        if not with_more:
            break
        # What can't be divided any more is a tonne each for the fullest.
        each = max(tonnes // len(with_more), 1)
        for project_id in with_more[:tonnes]:
            share = min(each, held[project_id] - shares[project_id])
            shares[project_id] += share
            tonnes -= share
    return shares


def _in_turn(stock: Sequence[LotStock], tonnes: int) -> list[Take]:
    takes: list[Take] = []
    for lot in stock:
        for block in sorted(lot.blocks, key=lambda block: block.serial_first):
            if not tonnes:
                return takes
            taken = min(block.tonnes, tonnes)
            takes.append(Take(lot, block.serial_first, taken, block.is_returned))
            tonnes -= taken
    return takes


def _less(lot: LotStock, taken: Mapping[int, int]) -> LotStock:
    blocks = []
    for block in lot.blocks:
        tonnes = taken.get(block.serial_first, 0)
        if tonnes < block.tonnes:
            blocks.append(
                replace(block, serial_first=block.serial_first + tonnes, tonnes=block.tonnes - tonnes)
            )
    return replace(lot, blocks=tuple(blocks))


_PLANS: Mapping[RetirementPolicy, Callable[[list[LotStock], int], list[Take]]] = {
    RetirementPolicy.OLDEST_VINTAGE: _oldest_vintage,
    RetirementPolicy.CHEAPEST: _cheapest,
    RetirementPolicy.SPREAD: _spread,
}
