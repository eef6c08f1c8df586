"""Emissions of what money was spent on: dollars of the factor's year times the factor of the industry that was paid.

Factors: US EPA, Supply Chain GHG Emission Factors by NAICS industry, in purchaser prices. They are for the United States;
a purchase elsewhere is estimated with them too, and told so. Prices: US consumer price index CPI-U, annual averages.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from importlib.resources import files

from rapidfuzz import fuzz, process, utils

from tonne.domain.decimals import plain
from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Calculation, Step, factor_grams, factor_step, grams_from, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.near import hint, near_codes

SOURCE = "epa-spend"
FACTOR_CURRENCY = "USD"
FACTOR_REGION = "USA"
PRICES_SOURCE = "U.S. Bureau of Labor Statistics, CPI-U, US city average, all items, annual averages"
# How alike a search term and what it is taken for must be, of 100; below it, near matches are only proposed.
_TAKEN_SCORE_MIN = 86
_SHOWN_SCORE_MIN = 60
_SHOWN_MAX = 3
# Words that half the names have, or that any sentence has: alone they say nothing of what was bought. For energy there is no
# factor by money: `electricity` takes it by the kilowatt-hour.
_EVERYWHERE = (
    "a all an and at by company electricity energy equipment except for from general goods in manufacturing "
    "miscellaneous name of on or power part related day air new small human "
    "other product products production sales service services shop shops store stores supplies the to trade wholesale with"
)
# What an industry's name says that it is not.
_EXCEPTED = re.compile(r" ?\(except[^)]*\)")
_SAYS_NOTHING = frozenset(_EVERYWHERE.split())
# So many words of a term are looked for.
_WORDS_MAX = 10
_TERMS_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class DollarRate:
    """How many US dollars a unit of a currency was worth, from which day on, and who says so."""

    dollars: Decimal
    as_of: date
    source: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """Money spent in a currency on a day, at a merchant in a country (alpha-3).

    What for is told by a merchant category code (ISO 18245), and where that has no factor by search terms, the best first.
    """

    value: Decimal
    currency: str
    on: date
    country_code: str
    category_code: str | None = None
    search_terms: tuple[str, ...] = ()


def estimate_transaction(wanted: Transaction, rate: DollarRate | None, book: FactorBook) -> Calculation:
    """Estimate the emissions of a purchase; `rate` is that of its currency, None for US dollars.

    Raises:
        ValidationFailed: the category is unknown or has no factor, or the mass is beyond 10^9 tonnes.
    """
    factor, found_by = _industry(wanted, book)
    dollars = Fraction(wanted.value)
    steps: tuple[Step, ...] = ()
    if rate is not None:
        dollars *= Fraction(rate.dollars)
        steps += (_converted(wanted, rate, dollars),)
    assert factor.price_year is not None, "a factor for spending has a price year"
    real, step = _in_prices_of(factor.price_year, dollars, wanted.on.year)
    exact = factor_grams(factor, real)
    counted = factor_step(
        factor,
        {"spent": f"{shown(real)} USD ({factor.price_year})"},
        exact,
        description=_told(factor, wanted, found_by),
    )
    grams = grams_from(exact, "/value/value")
    return Calculation(grams, (*steps, *step, counted), factor=factor, found_by=found_by)


def _told(factor: Factor, wanted: Transaction, found_by: str | None) -> str:
    if found_by is None:
        why = f"merchant category {wanted.category_code}: {_category_name(wanted.category_code or '')}"
    else:
        why = f"taken for {found_by!r}"
    abroad = (
        ""
        if wanted.country_code == FACTOR_REGION
        else f"; a factor for the United States, used for {wanted.country_code} for want of one"
    )
    return f"{factor.name} ({why}{abroad})"


def _converted(wanted: Transaction, rate: DollarRate, dollars: Fraction) -> Step:
    return Step(
        description=f"In US dollars, at the exchange rate of {rate.as_of.isoformat()}",
        inputs={
            "spent": f"{plain(wanted.value)} {wanted.currency}",
            "rate": f"{plain(rate.dollars)} USD/{wanted.currency}",
        },
        result=f"{shown(dollars)} USD",
        source=rate.source,
    )


def _in_prices_of(price_year: int, dollars: Fraction, year: int) -> tuple[Fraction, tuple[Step, ...]]:
    """Dollars of a year in the prices of another, and the step that converts them, if they differ."""
    index = price_levels()
    years = sorted(index)
    if year < years[0]:
        raise ValidationFailed.at(
            "/transaction_processed_at", f"prices are known from {years[0]} on; this is of {year}"
        )
    known = years[bisect_right(years, year) - 1]
    if known == price_year:
        return dollars, ()
    if price_year not in index:
        raise ValidationFailed.at(
            "/merchant", f"the factor counts in prices of {price_year}, which are not known"
        )
    real = dollars * Fraction(index[price_year]) / Fraction(index[known])
    late = f"; the index of {known} is the latest known" if known != year else ""
    step = Step(
        description=f"In the prices of {price_year}, which the factor counts in{late}",
        inputs={
            "spent": f"{shown(dollars)} USD ({year})",
            f"index_{price_year}": plain(index[price_year]),
            f"index_{known}": plain(index[known]),
        },
        result=f"{shown(real)} USD ({price_year})",
        source=PRICES_SOURCE,
    )
    return real, (step,)


def _industry(wanted: Transaction, book: FactorBook) -> tuple[Factor, str | None]:
    """The factor of what was paid for, and what a search term was taken for."""
    if wanted.category_code is not None:
        naics = _categories().get(wanted.category_code)
        factor = None if naics is None else book.newest.get((SOURCE, naics))
        if factor is None and not wanted.search_terms:
            near = [
                f"{code} ({_category_names()[code]})"
                for code in near_codes(wanted.category_code, list(_category_names()))
            ]
            raise ValidationFailed.at(
                "/merchant/category_code",
                f"there is no emission factor for merchant category {wanted.category_code[:20]!r}: "
                "give another, or a search_term" + hint(near),
            )
        if factor is not None:
            return factor, None
    assert wanted.search_terms, "a merchant has a category or a search term"
    likest: tuple[str, ...] = ()
    name_and_industry = None
    for term in wanted.search_terms:
        name_and_industry, alike = _search(book, term)
        likest = likest or alike
        if name_and_industry is not None:
            break
    if name_and_industry is None:
        raise ValidationFailed.at(
            "/merchant/search_term",
            f"nothing that has an emission factor is called {wanted.search_terms[0][:80]!r}: "
            "use other words, or a category_code" + hint(likest),
        )
    name, naics = name_and_industry
    return book.newest[(SOURCE, naics)], name


@dataclass(frozen=True, slots=True)
class _Index:
    """What search terms are looked for in: what merchant categories and industries are called."""

    # The industry of each name.
    industries: Mapping[str, str]
    # Each name as terms are compared with it: in small letters, without punctuation.
    processed: Mapping[str, str]
    # Where each word occurs.
    names: Mapping[str, frozenset[str]]
    words: tuple[str, ...]
    # What was looked for before; it ends with the book.
    known_terms: dict[str, _Found]
    known_words: dict[str, str | None]


_Found = tuple[tuple[str, str] | None, tuple[str, ...]]


def _search(book: FactorBook, term: str) -> _Found:
    """What a term is taken for: its name and its industry; and what else is like it."""
    index = _index(book)
    term = utils.default_process(term)
    found = index.known_terms.get(term)
    if found is None:
        if len(index.known_terms) >= _TERMS_KEPT:
            index.known_terms.clear()
        found = index.known_terms[term] = _look_for(index, term)
    return found


def _look_for(index: _Index, term: str) -> _Found:
    words = term.split()[:_WORDS_MAX]
    if _SAYS_NOTHING.issuperset(word for word in words if len(word) > 1):
        return None, ()
    meant = [_known_word(index, word) or word for word in words]
    wanted = " ".join(meant)
    sharing = {
        name for word in meant if word not in _SAYS_NOTHING for name in index.names.get(word, frozenset())
    }
    alike = process.extract(
        wanted,
        {name: index.processed[name] for name in sharing},
        scorer=fuzz.token_set_ratio,
        score_cutoff=_SHOWN_SCORE_MIN,
        limit=None,
    )
    # Among those that hold all its words, one that is called so, or else the one with the fewest others.
    ranked = sorted(
        alike,
        key=lambda each: (
            -round(each[1]),
            wanted not in _called(each[2]),
            -fuzz.ratio(wanted, index.processed[each[2]]),
            each[2],
        ),
    )
    near = tuple(name for _, _, name in ranked[:_SHOWN_MAX])
    if ranked and ranked[0][1] >= _TAKEN_SCORE_MIN:
        name = ranked[0][2]
        return (name, index.industries[name]), near
    return None, near


def _known_word(index: _Index, word: str) -> str | None:
    """The word of a name that is written so, or nearly."""
    if word in index.names:
        return word
    if word not in index.known_words:
        if len(index.known_words) >= _TERMS_KEPT:
            index.known_words.clear()
        near = process.extractOne(word, index.words, scorer=fuzz.ratio, score_cutoff=_TAKEN_SCORE_MIN)
        index.known_words[word] = None if near is None else near[0]
    return index.known_words[word]


@cache
def _called(name: str) -> tuple[str, ...]:
    """The words for it that a name lists."""
    return tuple(utils.default_process(word) for word in name.split(","))


# Two: while editions change, some requests still work with the book of before.
@lru_cache(maxsize=2)
def _index(book: FactorBook) -> _Index:
    industries = {_EXCEPTED.sub("", factor.name): factor.activity for factor in book.of_source(SOURCE)}
    known = set(industries.values())
    industries |= {
        name: _categories()[code] for code, name in _category_names().items() if _categories()[code] in known
    }
    processed = {name: utils.default_process(name) for name in industries}
    names: dict[str, set[str]] = {}
    for name, text in processed.items():
        for word in text.split():
            names.setdefault(word, set()).add(name)
    return _Index(
        industries,
        processed,
        {word: frozenset(here) for word, here in names.items()},
        tuple(word for word in sorted(names) if len(word) > 1 and word not in _SAYS_NOTHING),
        {},
        {},
    )


@cache
def _category_rows() -> tuple[Mapping[str, str], ...]:
    table = files("tonne.estimates").joinpath("merchant_categories.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(table.splitlines()))


@cache
def _categories() -> Mapping[str, str]:
    """The NAICS industry of each merchant category code."""
    return {
        f"{code:04}": row["naics"]
        for row in _category_rows()
        for code in range(int(row["first"]), int(row["last"]) + 1)
    }


@cache
def _category_names() -> Mapping[str, str]:
    """The name of each merchant category, by its first code."""
    return {row["first"]: row["name"] for row in _category_rows()}


def _category_name(code: str) -> str:
    return next(row["name"] for row in _category_rows() if row["first"] <= code <= row["last"])


@cache
def price_levels() -> Mapping[int, Decimal]:
    """The price index of each year that is known."""
    table = files("tonne.estimates").joinpath("price_levels.csv").read_text(encoding="utf-8")
    return {int(row["year"]): Decimal(row["index"]) for row in csv.DictReader(table.splitlines())}
