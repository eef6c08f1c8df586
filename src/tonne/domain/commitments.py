"""Whether stock covers what is promised of bundles, whichever credits go first.

A bundle whose `on_shortage` is `reject` sells no gram more than what is there. Bundles may share projects, and credits
are taken by policy, not so that every promise works out: a promise counts as covered only where it is, even if all
others take what they share with it first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.terms import Restrictions

# A project and a vintage.
Supply = tuple[UUID, int]
# A bundle, and which of its credits may be given.
Demand = tuple[UUID, Restrictions]


@dataclass(frozen=True, slots=True)
class Commitments:
    """Grams promised and not covered yet, and grams in stock, as of one moment.

    `reach` says from which supplies a demand may be served; `rejecting` are the bundles that refuse a shortage.
    """

    committed: Mapping[Demand, int]
    in_stock: Mapping[Supply, int]
    reach: Mapping[Demand, frozenset[Supply]]
    rejecting: frozenset[UUID]

    def shortage(self, more: Mapping[Demand, int]) -> UUID | None:
        """A rejecting bundle that stock would not cover with `more` promised; None where all are covered.

        Promises that bundles which accept shortages made before may be more than there is: those wait. Only demands
        that share stock with `more` are looked at.
        """
        committed = dict(self.committed)
        for demand, grams in more.items():
            committed[demand] = committed.get(demand, 0) + grams
        touched = frozenset[Supply]().union(*(self.reach[demand] for demand in more))
        for demand, grams in committed.items():
            concerned = demand in more or not touched.isdisjoint(self.reach[demand])
            if grams and concerned and demand[0] in self.rejecting and not self._covered(demand, committed):
                return demand[0]
        return None

    def free_tonnes(self, demand: Demand, tonnes: int) -> int:
        """How many of so many tonnes may be taken for a demand that was promised nothing, at nobody's expense."""
        return bisect_left(
            range(1, tonnes + 1),
            True,
            key=lambda some: self.shortage({demand: some * GRAMS_PER_TONNE}) is not None,
        )

    def without(self, taken: Mapping[Supply, int]) -> Commitments:
        """As after grams were taken from supplies for what was promised nothing."""
        left = {supply: grams - taken.get(supply, 0) for supply, grams in self.in_stock.items()}
        return replace(self, in_stock=left)

    def _covered(self, demand: Demand, committed: Mapping[Demand, int]) -> bool:
        reach = self.reach[demand]
        left = self._grams(reach) - committed[demand]
        for other, grams in committed.items():
            if other != demand and grams:
                left -= min(grams, self._grams(reach & self.reach[other]))
        return left >= 0

    def _grams(self, supplies: Iterable[Supply]) -> int:
        return sum(self.in_stock[supply] for supply in supplies)
