"""The fonts that come with the package, and which characters they can print."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FONTS_DIRECTORY = Path(__file__).parent / "fonts"
# A character no font has is printed as this one where refusing it is too late.
REPLACEMENT = "\ufffd"
# They shape their neighbours, set the direction or choose a variant, and have no picture of their own.
_WITHOUT_PICTURE = "\u200c-\u200f\ufe00-\ufe0f"


def unprintable_characters(text: str) -> list[str]:
    """Tell which characters of `text` no certificate can print, each once, in order of appearance.

    Among them are line breaks, control characters and the marks that turn the direction of what follows them.
    """
    return list(dict.fromkeys(_unprintable().findall(text)))


def printable(text: str) -> str:
    """Return `text` with a space for each control character and a replacement sign for what no font has."""
    return _unprintable().sub(_stand_in, text)


def _stand_in(found: re.Match[str]) -> str:
    character = found[0]
    if character <= "\x1f" or character in "\x7f\x85\u2028\u2029":
        return " "
    return "" if character in _INVISIBLE else REPLACEMENT


# Soft hyphens, zero-width spaces, and what turns the direction of text: a name must not read differently from its bytes.
_INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@cache
def _unprintable() -> re.Pattern[str]:
    ranges = (FONTS_DIRECTORY / "coverage.txt").read_text(encoding="ascii").split()
    covered = "".join(_character_range(*each.split("-")) for each in ranges)
    return re.compile(f"[^{_WITHOUT_PICTURE}{covered}]")


def _character_range(first: str, last: str | None = None) -> str:
    return rf"\U{int(first, 16):08x}-\U{int(last or first, 16):08x}"
