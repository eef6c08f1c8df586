"""Which characters the vendored fonts have; run as a program, it writes that beside them."""

from __future__ import annotations

import unicodedata

from fontTools.ttLib import TTFont

from tonne.certificates.fonts import FONTS_DIRECTORY

# Control, format, private-use and surrogate characters and separators of lines have no picture of their own.
_LEFT_OUT = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def covered() -> set[int]:
    """The code points that at least one font has."""
    points: set[int] = set()
    for path in sorted(FONTS_DIRECTORY.glob("*.[ot]tf")):
        with TTFont(path, lazy=True) as font:
            points.update(font.getBestCmap())
    return {point for point in points if unicodedata.category(chr(point)) not in _LEFT_OUT}


def as_ranges(points: set[int]) -> str:
    """One range for each line, in hexadecimal digits."""
    ranges: list[list[int]] = []
    for point in sorted(points):
        if ranges and point == ranges[-1][1] + 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{first:X}-{last:X}\n" if first != last else f"{first:X}\n" for first, last in ranges)


if __name__ == "__main__":
    (FONTS_DIRECTORY / "coverage.txt").write_text(as_ranges(covered()), encoding="ascii")
