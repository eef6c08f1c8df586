"""Emission factors: how much a unit of some activity emits, who says so, and which edition of whom is the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition of a source's factors. What it says never changes; a newer edition is another one.

    `revision` counts the editions of a source for the same year. `loaded_at` is None for those that come with Tonne.
    """

    source: str
    publication_year: int
    title: str
    attribution: str
    licence: str
    url: str
    revision: int = 1
    loaded_at: datetime | None = None

    @property
    def edition_id(self) -> str:
        """Such as `desnz-2025`, and `desnz-2025.2` for a second edition of that year."""
        name = f"{self.source}-{self.publication_year}"
        return name if self.revision == 1 else f"{name}.{self.revision}"

    @property
    def rank(self) -> tuple[int, int]:
        """Editions of a source are newer the higher this is."""
        return (self.publication_year, self.revision)


@dataclass(frozen=True, slots=True)
class Factor:
    """Kilograms of CO2e for one `unit` of an activity.

    `activity` is the source's own name for it, the same in all its editions. `region` is an ISO 3166-1 alpha-3 code,
    or `WORLD`, or a wider or narrower region by the source's name. `price_year` is the year of the money that a factor
    for spending counts in.
    """

    edition: Edition
    activity: str
    name: str
    region: str
    unit: str
    kg_co2e: Decimal
    price_year: int | None = None

    @property
    def factor_id(self) -> str:
        """Such as `desnz-2025/21_316_3170_11_1`: the edition, and the activity within it."""
        return f"{self.edition.edition_id}/{self.activity}"

    @property
    def source(self) -> str:
        return self.edition.source


@dataclass(frozen=True, slots=True, eq=False)
class FactorBook:
    """Every factor that is known, and for each activity the one of the newest edition that has it.

    `keys` are our names for the activities that calculators know, such as `flight/long-haul/economy/rf`. Those of
    editions that are `withdrawn` are found by their ids only.
    """

    by_id: Mapping[str, Factor] = field(default_factory=dict)
    newest: Mapping[tuple[str, str], Factor] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()

    @classmethod
    def of(cls, factors: Iterable[Factor], keys: Mapping[str, tuple[str, str]]) -> FactorBook:
        """Gather factors of any number of editions."""
        by_id: dict[str, Factor] = {}
        newest: dict[tuple[str, str], Factor] = {}
        for factor in factors:
            by_id[factor.factor_id] = factor
            activity = (factor.source, factor.activity)
            known = newest.get(activity)
            if known is None or known.edition.rank <= factor.edition.rank:
                newest[activity] = factor
        return cls(by_id, newest, keys)

    def with_more(self, factors: Iterable[Factor], withdrawn: Iterable[Factor] = ()) -> FactorBook:
        """The same book with factors of further editions, and of some that are withdrawn."""
        book = FactorBook.of([*self.newest.values(), *factors], self.keys)
        found = {factor.factor_id: factor for factor in withdrawn}
        editions = frozenset(factor.edition.edition_id for factor in found.values())
        return FactorBook({**self.by_id, **book.by_id, **found}, book.newest, self.keys, editions)

    def find(self, key: str) -> Factor | None:
        """The newest factor for one of our keys; None where there is none."""
        activity = self.keys.get(key)
        return None if activity is None else self.newest.get(activity)

    def __getitem__(self, key: str) -> Factor:
        """The newest factor for a key that is known to be there.

        Raises:
            KeyError: there is none.
        """
        return self.newest[self.keys[key]]

    def of_source(self, source: str) -> Iterator[Factor]:
        """The newest factors of a source."""
        return (factor for (name, _), factor in self.newest.items() if name == source)
