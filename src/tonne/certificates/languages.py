"""The languages certificates are written in, and which one a reader wants."""

from __future__ import annotations

from enum import StrEnum

from babel import negotiate_locale

# Browsers send some ten; a longer list is not read to its end.
_WISHES_MAX = 50


class Language(StrEnum):
    """ISO 639-1 codes; they are Babel's locales and the language tag in the document too."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"
    SPANISH = "es"
    ITALIAN = "it"
    PORTUGUESE = "pt"
    DUTCH = "nl"


def choose_language(accept_language_header: str | None) -> Language:
    """Choose the language a reader likes best of those there are; English where none of them is liked.

    Source: RFC 9110, section 12.5.4. What isn't written as it says is passed over.
    """
    wishes = [_wish(each) for each in (accept_language_header or "").split(",")[:_WISHES_MAX]]
    # The sort is stable: between equals, the earlier wins.
    liked = sorted((wish for wish in wishes if wish[1] > 0), key=lambda wish: -wish[1])
    refused = {tag for tag, weight in wishes if weight == 0}
    available = [language.value for language in Language if language.value not in refused]
    for tag, _ in liked:
        if tag == "*" and available:
            return Language(available[0])
        chosen = negotiate_locale([tag], available, sep="-")
        if chosen is not None:
            return Language(chosen)
    return Language.ENGLISH


def _wish(text: str) -> tuple[str, int]:
    """One language range and its weight in thousandths; a weight that can't be read makes it unwanted, not refused."""
    tag, _, parameter = text.partition(";")
    name, _, value = parameter.strip().partition("=")
    tag = tag.strip().lower()
    if not parameter.strip():
        return tag, 1000
    if name.strip().lower() != "q":
        return tag, -1
    return tag, _thousandths(value.strip())


def _thousandths(value: str) -> int:
    whole, _, rest = value.partition(".")
    if whole not in {"0", "1"} or len(rest) > 3 or (rest and not (rest.isascii() and rest.isdigit())):
        return -1
    weight = int(whole) * 1000 + int(rest.ljust(3, "0"))
    return weight if weight <= 1000 else -1
