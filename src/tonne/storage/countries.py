"""ISO 3166-1: which countries there are, by their three-letter codes."""

from __future__ import annotations

from functools import cache

from babel import Locale
from babel.core import get_global

_CODE_LENGTH = 3
# Parts of countries, countries that are no more, and codes that CLDR made up.
_NOT_IN_ISO_3166 = frozenset(
    {"ASC", "BUR", "CPT", "DDR", "DGA", "FXX", "QUU", "TAA", "TMP", "XAA", "XBB", "XKK", "YMD", "ZAR", "ZZZ"}
)


def country_name(code: str) -> str:
    """The English name of a country by its alpha-3 code.

    Raises:
        KeyError: there is no such country.
    """
    return _names()[code]


def is_country(code: str) -> bool:
    """Whether there is a country with that alpha-3 code."""
    return code in _names()


@cache
def _names() -> dict[str, str]:
    # CLDR's aliases lead from alpha-3 codes to the alpha-2 codes that names are kept under.
    names = Locale("en").territories
    return {
        alias: names[targets[0]]
        for alias, targets in get_global("territory_aliases").items()
        if len(alias) == _CODE_LENGTH
        and alias.isalpha()
        and len(targets) == 1
        and targets[0] in names
        and alias not in _NOT_IN_ISO_3166
    }


# Names that others use, in lower case.
_OTHER_NAMES = {
    "bolivia, plurinational state of": "BOL",
    "congo": "COG",
    "congo, the democratic republic of the": "COD",
    "england": "GBR",
    "korea, republic of": "KOR",
    "myanmar": "MMR",
    "scotland": "GBR",
    "south sweden": "SWE",
    "tanzania, united republic of": "TZA",
    "turkey": "TUR",
    "united states of america": "USA",
    "usa": "USA",
    "viet nam": "VNM",
}


def find_country(name: str) -> str | None:
    """A country's alpha-3 code by its English name, as it is usual or as ISO has it, or by its alpha-2 code."""
    wanted = name.strip()
    return _codes().get(wanted.lower()) or _OTHER_NAMES.get(wanted.lower())


@cache
def _codes() -> dict[str, str]:
    names = Locale("en").territories
    by_alpha_2 = {
        targets[0]: alias for alias, targets in get_global("territory_aliases").items() if alias in _names()
    }
    found = {name.lower(): code for code, name in _names().items()}
    return found | {alpha_2.lower(): code for alpha_2, code in by_alpha_2.items() if alpha_2 in names}
