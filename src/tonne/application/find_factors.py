"""Search among emission factors: by what they are called, who says them, where they hold and what they count by."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rapidfuzz import fuzz, process

from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.units import UNITS
from tonne.storage.countries import country_name, find_country

_WORD = re.compile(r"\w+")


class LogicalUnit(StrEnum):
    """What a factor counts by, whatever the size of its unit."""

    CURRENCY = "currency"
    DISTANCE = "distance"
    ENERGY = "energy"
    ITEM = "item"
    VOLUME = "volume"
    WEIGHT = "weight"


_UNITS_OF = {
    LogicalUnit.DISTANCE: frozenset(["m", "km", "mi", "nm"]),
    LogicalUnit.ENERGY: frozenset(["Wh", "kWh", "MWh", "GWh", "MJ", "GJ", "MMBtu"]),
    LogicalUnit.ITEM: frozenset({"item"}),
    LogicalUnit.VOLUME: frozenset(["l", "m3", "Ml", "gal", "scf"]),
    LogicalUnit.WEIGHT: frozenset(["g", "kg", "t", "lb", "short_ton"]),
}


@dataclass(frozen=True, slots=True)
class _Index:
    """Factors by their ids, and where each word of them occurs: in which of `factors`, by position."""

    factors: tuple[Factor, ...]
    # What a text is compared with: a factor's name, and its region as people call it.
    names: tuple[str, ...]
    newest: frozenset[int]
    words: tuple[str, ...]
    places: dict[str, list[int]]


def find_factors(
    book: FactorBook,
    *,
    text: str | None = None,
    sources: Collection[str] = (),
    regions: Collection[str] = (),
    unit: str | None = None,
    years: Collection[int] = (),
    logical_unit: str | None = None,
) -> list[Factor]:
    """The factors that match everything that is asked for, in any case; the best matches first, or by id without a text.

    Every word of the text begins a word of the factor's name, region or activity. Regions are codes or names of
    countries, and wider ones by their source's name. With `years` of publication, factors of older editions are found
    too; without, only the newest of each activity. Those of withdrawn editions are not found.

    Raises:
        ValueError: the logical unit is none.
    """
    index = _index(book)
    found: Iterable[int] = range(len(index.factors)) if years else index.newest
    text = (text or "").strip().casefold()
    if text:
        matching = _containing(index, _WORD.findall(text))
        found = [place for place in found if place in matching]
    keep = _Filter.of(
        sources=sources,
        regions=regions,
        unit=unit,
        years=years,
        logical_unit=logical_unit,
    )
    places = [place for place in found if keep.takes(index.factors[place])]
    # Factors are indexed in the order of their ids.
    if not text:
        return [index.factors[place] for place in sorted(places)]
    scores = _scores(index, places, text)
    places.sort(key=lambda place: (-scores[place], len(index.factors[place].name), place))
    return [index.factors[place] for place in places]


@dataclass(frozen=True, slots=True)
class _Filter:
    """What is asked of a factor beside its words; None asks nothing."""

    sources: frozenset[str] | None
    regions: frozenset[str] | None
    unit: str | None
    years: frozenset[int] | None
    logical_unit: LogicalUnit | None

    @classmethod
    def of(
        cls,
        *,
        sources: Collection[str],
        regions: Collection[str],
        unit: str | None,
        years: Collection[int],
        logical_unit: str | None,
    ) -> _Filter:
        codes = [find_country(region) for region in regions]
        wanted = {name.casefold() for name in [*regions, *codes] if name is not None}
        return cls(
            frozenset(source.casefold() for source in sources) if sources else None,
            frozenset(wanted) if regions else None,
            None if unit is None else unit.casefold(),
            frozenset(years) if years else None,
            None if logical_unit is None else LogicalUnit(logical_unit),
        )

    def takes(self, factor: Factor) -> bool:
        """Whether a factor is all that is asked for."""
        edition = factor.edition
        return (
            (self.sources is None or edition.source in self.sources)
            and (self.years is None or edition.publication_year in self.years)
            and (self.unit is None or factor.unit.casefold() == self.unit)
            and (self.regions is None or factor.region.casefold() in self.regions)
            and (self.logical_unit is None or _counts_by(factor.unit, self.logical_unit))
        )


def _counts_by(unit: str, logical_unit: LogicalUnit) -> bool:
    if logical_unit is LogicalUnit.CURRENCY:
        # Factors count by known units or by money.
        return unit not in UNITS
    return unit in _UNITS_OF[logical_unit]


def _containing(index: _Index, words: Iterable[str]) -> set[int]:
    """Where each of the words begins a word of the factor; nowhere without any."""
    found: set[int] | None = None
    for word in set(words):
        here = {place for known in _beginning(index.words, word) for place in index.places[known]}
        found = here if found is None else found & here
    return found or set()


def _beginning(words: tuple[str, ...], start: str) -> Iterator[str]:
    for position in range(bisect_left(words, start), len(words)):
        if not words[position].startswith(start):
            return
        yield words[position]


def _scores(index: _Index, places: list[int], text: str) -> dict[int, float]:
    wanted = " ".join(_WORD.findall(text))
    names = {place: index.names[place] for place in places}
    return {
        place: score
        for _, score, place in process.extract(wanted, names, scorer=fuzz.token_set_ratio, limit=None)
    }


# Two: while editions change, some requests still work with the book of before. A book is hashed by its identity.
@lru_cache(maxsize=2)
def _index(book: FactorBook) -> _Index:
    known = sorted(book.by_id.items())
    factors = tuple(factor for _, factor in known if factor.edition.edition_id not in book.withdrawn)
    names = []
    places: dict[str, list[int]] = {}
    for place, factor in enumerate(factors):
        name = f"{factor.name} {_region_name(factor.region)}".casefold()
        names.append(" ".join(_WORD.findall(name)))
        for word in {*_WORD.findall(name), *_WORD.findall(f"{factor.region} {factor.activity}".casefold())}:
            places.setdefault(word, []).append(place)
    newest_ids = {factor.factor_id for factor in book.newest.values()}
    newest = frozenset(place for place, factor in enumerate(factors) if factor.factor_id in newest_ids)
    return _Index(factors, tuple(names), newest, tuple(sorted(places)), places)


def _region_name(region: str) -> str:
    try:
        return country_name(region)
    except KeyError:
        return region
