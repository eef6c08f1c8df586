"""Files of emission factors as their sources publish them: read as one edition, with what is damaged and why.

Formats: `desnz` (UK Department for Energy Security and Net Zero), `epa` (US Environmental Protection Agency: the hub of
greenhouse gas emission factors, and spend factors by industry, told apart by their columns), `owid` (Our World in Data:
grid intensity), and `csv`, our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from tonne.application.factor_cells import (
    Row,
    decimal_cell,
    mapped_cell,
    needed_cell,
    read_year,
    refuse_other,
    shown,
    slug_cell,
    tidy,
)
from tonne.application.factor_hub import read_hub
from tonne.application.factor_tables import BYTES_MAX, Damage, Found, Table, read_table
from tonne.application.inventory_files import FileRefused
from tonne.domain.decimals import shifted
from tonne.domain.factors import Edition, Factor
from tonne.estimates.spending import FACTOR_CURRENCY, price_levels
from tonne.estimates.units import UNITS

FACT_LENGTH_MAX = 500

_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_ANYTHING = re.compile(r".+", re.DOTALL)
_ALPHA_3 = re.compile(r"[A-Z]{3}", re.ASCII)
_SPEND_COLUMN = re.compile(r"kg_co2e_per_([a-z]{3})([0-9]{4})_with_margins", re.ASCII)


class FactorFormat(StrEnum):
    """Who publishes a file of that layout; `csv` is our own."""

    DESNZ = "desnz"
    EPA = "epa"
    OWID = "owid"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the operator says of an edition: needed where the file and its format do not, refused where they say otherwise.

    Title, attribution, licence and address stand in for those a format brings along.
    """

    source: str | None = None
    year: int | None = None
    title: str | None = None
    attribution: str | None = None
    licence: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class FactorFile:
    """An edition as its file has it. With any damage it is not to be loaded.

    `left_out` counts rows that are no factors, by reason.
    """

    edition: Edition
    factors: tuple[Factor, ...]
    left_out: Mapping[str, int]
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a format is laid out, and what it brings along; texts may name the {year}.

    Without `says_year` the year of publication is for the operator to say.
    """

    source: str
    columns: tuple[str, ...]
    read: Callable[[Table, Edition, Found], None]
    says_year: bool = True
    title: str = ""
    attribution: str = ""
    licence: str = ""
    url: str = ""


def read_factors(text: str, layout: FactorFormat, stated: Stated | None = None) -> FactorFile:
    """Read an edition from CSV.

    Raises:
        FileRefused: it is no CSV or too large, a column is missing, or something of the edition is not said or is said
            differently.
    """
    if len(text) > BYTES_MAX:
        raise FileRefused(f"it is larger than {BYTES_MAX // 1_000_000} MB")
    table = read_table(text)
    kind = _layout_of(table, layout)
    edition = _edition_of(table, kind, stated or Stated())
    found = Found(list(table.damages))
    kind.read(table, edition, found)
    if not found.factors and not found.damages:
        raise FileRefused("no row is an emission factor")
    damages = tuple(sorted(found.damages, key=lambda damage: damage.line))
    return FactorFile(edition, tuple(found.factors), dict(found.left_out), damages)


# --- Editions ---


def _layout_of(table: Table, layout: FactorFormat) -> _Layout:
    choices = _LAYOUTS[layout]
    # The first column tells the files of a source apart.
    kind = next((each for each in choices if each.columns[0] in table.columns), choices[0])
    missing = [name for name in kind.columns if name not in table.columns]
    if missing:
        has = " or ".join(", ".join(each.columns) for each in choices)
        raise FileRefused(f"the column {missing[0]} is missing; this format has {has}")
    if not table.rows:
        first = next((f"line {each.line}: {each.message}" for each in table.damages), None)
        raise FileRefused(first or "no row follows the header")
    return kind


def _edition_of(table: Table, kind: _Layout, stated: Stated) -> Edition:
    own = kind.read is _read_csv
    if not own and stated.source not in (None, kind.source):
        raise FileRefused(
            f"--source names what --format csv brings; the source of this file is {kind.source}"
        )
    said = {name: _said(table, name) if own else None for name in _FACTS}
    source = kind.source or _agreed("source", said["source"], stated.source)
    if not _SOURCE.fullmatch(source):
        raise FileRefused(
            f"the source {shown(source)} must be a lower-case letter and up to 39 more letters, digits and hyphens"
        )
    if own and source in RESERVED_SOURCES:
        raise FileRefused(f"the source {source} is for the files of its publisher: choose another name")
    year = _year_of(table, kind, stated)
    # Who a factor is from must be told wherever it is used; not everything has a licence or an address.
    facts = {
        name: _agreed(name, said[name], given or None, needed=own and name in {"title", "attribution"})
        or brought.replace("{year}", str(year))
        for name, given, brought in (
            ("title", stated.title, kind.title),
            ("attribution", stated.attribution, kind.attribution),
            ("licence", stated.licence, kind.licence),
            ("url", stated.url, kind.url),
        )
    }
    for name, text in facts.items():
        if len(text) > FACT_LENGTH_MAX or not text.isprintable():
            raise FileRefused(f"the {name} must have at most {FACT_LENGTH_MAX} printable characters")
    if facts["url"] and not re.fullmatch(r"https?://\S+", facts["url"]):
        raise FileRefused("the url must begin with https:// or http://")
    return Edition(source, year, facts["title"], facts["attribution"], facts["licence"], facts["url"])


def _year_of(table: Table, kind: _Layout, stated: Stated) -> int:
    said = _said(table, "year", like=_YEAR) if kind.says_year else None
    text = _agreed("year", said, None if stated.year is None else str(stated.year))
    try:
        return read_year(text, "the year of publication")
    except ValueError as error:
        raise FileRefused(str(error)) from None


def _said(table: Table, name: str, like: re.Pattern[str] = _ANYTHING) -> str | None:
    """What the first row that says it says; the others must say the same."""
    return next((row[name] for _, row in table.rows if like.fullmatch(row.get(name, ""))), None)


def _agreed(name: str, said: str | None, stated: str | None, *, needed: bool = True) -> str:
    if said is not None and stated not in (None, said):
        raise FileRefused(f"the file says that its {name} is {shown(said)}, not {shown(stated or '')}")
    found = said or (stated or "").strip()
    if not found and needed:
        what = "year of publication" if name == "year" else name
        raise FileRefused(f"the file does not say its {what}: say it with --{name}")
    return found


# --- Rows ---


def _each(read: Callable[[Row, Edition], Factor]) -> Callable[[Table, Edition, Found], None]:
    """A reader of files whose every row is a factor."""

    def read_all(table: Table, edition: Edition, found: Found) -> None:
        for line, row in table.rows:
            found.add(line, partial(read, row, edition))

    return read_all


def _read_desnz(row: Row, edition: Edition) -> Factor:
    refuse_other("year", row, str(edition.publication_year))
    labels = [row[name] for name in _DESNZ_LABELS if row[name]]
    if not labels:
        raise ValueError("level_1 to level_4 and column_text are all missing")
    unit = mapped_cell(row, "uom", _DESNZ_UNITS)
    if row["uom"] in _CALORIFIC:
        labels.append(_CALORIFIC[row["uom"]])
    kg = decimal_cell(row, "kg_co2e_per_uom")
    return Factor(edition, needed_cell(row, "factor_id"), ", ".join(labels), "GBR", unit, kg)


def _read_spending(table: Table, edition: Edition, found: Found) -> None:
    matches = [match for name in table.columns if (match := _SPEND_COLUMN.fullmatch(name))]
    if len(matches) != 1:
        which = "is missing" if not matches else "is there for several years"
        raise FileRefused(f"the column kg_co2e_per_usd2022_with_margins, or of another year, {which}")
    column, unit, price_year = matches[0][0], matches[0][1].upper(), int(matches[0][2])
    if unit != FACTOR_CURRENCY:
        raise FileRefused(f"{column}: purchases are estimated in {FACTOR_CURRENCY} only")
    if price_year not in price_levels():
        raise FileRefused(f"{column}: prices are known from {min(price_levels())} to {max(price_levels())}")

    def read(row: Row) -> Factor:
        activity, kg = needed_cell(row, "naics_2017"), decimal_cell(row, column)
        return Factor(edition, activity, needed_cell(row, "title"), "USA", unit, kg, price_year)

    for line, row in table.rows:
        found.add(line, partial(read, row))


def _read_owid(row: Row, edition: Edition) -> Factor:
    entity, iso3, year = needed_cell(row, "entity"), row["iso3"], read_year(row["year"], "year")
    if _ALPHA_3.fullmatch(iso3):
        region = activity = iso3
    elif iso3 and not iso3.startswith("OWID_"):
        raise ValueError(f"iso3 is {shown(iso3)}, which is no code of a country")
    elif entity == "World":
        region = activity = "WORLD"
    else:
        region, activity = entity, slug_cell(row, "entity")
    grams = decimal_cell(row, "g_co2e_per_kwh")
    name = f"Grid intensity of {entity}, {year}"
    return Factor(edition, f"{activity}/{year}", name, region, "kWh", tidy(shifted(grams, -3)))


def _read_csv(table: Table, edition: Edition, found: Found) -> None:
    facts = {
        "source": edition.source,
        "year": str(edition.publication_year),
        "title": edition.title,
        "attribution": edition.attribution,
        "licence": edition.licence,
        "url": edition.url,
    }
    said = [name for name in _FACTS if _said(table, name) is not None]

    def read(row: Row) -> Factor:
        for name in said:
            refuse_other(name, row, facts[name])
        price_year = row.get("price_year")
        if price_year and row["unit"] in UNITS:
            raise ValueError(f"price_year is for factors by money, not by {row['unit']}")
        return Factor(
            edition,
            needed_cell(row, "activity"),
            needed_cell(row, "name"),
            needed_cell(row, "region"),
            needed_cell(row, "unit"),
            decimal_cell(row, "kg_co2e"),
            read_year(price_year, "price_year") if price_year else None,
        )

    for line, row in table.rows:
        found.add(line, partial(read, row))


_FACTS = ("source", "year", "title", "attribution", "licence", "url")
_DESNZ_LABELS = ("level_1", "level_2", "level_3", "level_4", "column_text")
_CALORIFIC = {"kWh (Net CV)": "net calorific value", "kWh (Gross CV)": "gross calorific value"}
_DESNZ_UNITS = {
    "km": "km",
    "miles": "mi",
    "tonne.km": "t*km",
    "passenger.km": "person*km",
    "kWh": "kWh",
    **dict.fromkeys(_CALORIFIC, "kWh"),
    "litres": "l",
    "million litres": "Ml",
    "cubic metres": "m3",
    "tonnes": "t",
    "kg": "kg",
    "GJ": "GJ",
    "Room per night": "room*night",
    "per FTE Working Hour": "employee*hour",
}
_PUBLIC_DOMAIN = "Public domain (work of the US Government)"
_LAYOUTS: Mapping[FactorFormat, tuple[_Layout, ...]] = {
    FactorFormat.DESNZ: (
        _Layout(
            "desnz",
            ("factor_id", "year", "scope", *_DESNZ_LABELS, "uom", "kg_co2e_per_uom"),
            _each(_read_desnz),
            title="UK Government GHG conversion factors {year} (DESNZ)",
            attribution="Contains public sector information licensed under the Open Government Licence v3.0.",
            licence="Open Government Licence v3.0",
            url="https://www.gov.uk/government/publications/greenhouse-gas-reporting-conversion-factors-{year}",
        ),
    ),
    FactorFormat.EPA: (
        _Layout(
            "epa",
            ("table", "year", "category", "item", "gas", "value", "value_unit", "per"),
            read_hub,
            title="GHG Emission Factors Hub {year} (US EPA)",
            attribution="US EPA Center for Corporate Climate Leadership.",
            licence=_PUBLIC_DOMAIN,
            url="https://www.epa.gov/climateleadership/ghg-emission-factors-hub",
        ),
        _Layout(
            "epa-spend",
            ("naics_2017", "title"),
            _read_spending,
            says_year=False,
            title="Supply Chain GHG Emission Factors by NAICS-6 {year} (US EPA)",
            attribution="US EPA Office of Research and Development, Supply Chain GHG Emission Factors.",
            licence=_PUBLIC_DOMAIN,
            url="https://catalog.data.gov/dataset/supply-chain-greenhouse-gas-emission-factors-v1-3-by-naics-6",
        ),
    ),
    FactorFormat.OWID: (
        _Layout(
            "owid",
            ("g_co2e_per_kwh", "entity", "iso3", "year"),
            _each(_read_owid),
            says_year=False,
            title="Carbon intensity of electricity generation {year} (Our World in Data)",
            attribution="Ember ({year}), with processing by Our World in Data, CC BY 4.0.",
            licence="CC BY 4.0",
            url="https://ourworldindata.org/grapher/carbon-intensity-electricity",
        ),
    ),
    FactorFormat.CSV: (_Layout("", ("activity", "name", "region", "unit", "kg_co2e"), _read_csv),),
}
RESERVED_SOURCES = frozenset(layout.source for choices in _LAYOUTS.values() for layout in choices) - {""}
