"""Serial blocks as registries write them: which numbers a block has, and in which row of numbers they stand.

Verra writes a block as `batch-first-last-VCU-…`, since 2022 as `batch-first-last-VCS-VCU-…`; the numbers of all its
projects stand in one row. Others put the block's numbers last, as `…-first-last` or `…-first to last`. Sources: serial
numbers as the registries publish them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_VERRA = re.compile(
    r"(?P<batch>\d+)-(?P<first>\d+)-(?P<last>\d+)-(?P<rest>(?:VCS-)?VCU-\d+-[A-Z]+-(?P<country>[A-Z]{2})-\d+-"
    r"(?P<project>\d+)-(?P<begin>\d{8})-(?P<end>\d{8})-[01])",
    re.ASCII,
)
_NUMBERS_LAST = re.compile(r"(?P<prefix>\S(?:.*\S)?)-(?P<first>\d+)(?:-|\s+to\s+)(?P<last>\d+)", re.ASCII)
# PostgreSQL's bigint.
NUMBER_MAX = 2**63 - 2


@dataclass(frozen=True, slots=True)
class SerialBlock:
    """Numbers from `first` to `last`, both inclusive, of a row of numbers (`space`) in which each stands once.

    `prefix` is how one of them is printed (`tonne.domain.retirement.format_serial`).
    """

    space: str
    prefix: str
    first: int
    last: int

    @property
    def tonnes(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class VerraBlock:
    """What Verra's serial number says besides: the project's number, its country (alpha-2) and the vintage's days."""

    block: SerialBlock
    project: str
    country: str
    vintage_begin: date
    vintage_end: date


def parse_verra(text: str) -> VerraBlock:
    """Read a block of Verra's.

    Raises:
        ValueError: it is none, or its numbers or days can't be.
    """
    found = _VERRA.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is no serial number of Verra's, such as 1234-1-50-VCU-005-APX-BR-14-1686-01072014-31122014-1"
        raise ValueError(msg)
    first, last = _numbers(found["first"], found["last"])
    prefix = f"{found['batch']}-{{}}-{found['rest']}"
    begin, end = _day(found["begin"]), _day(found["end"])
    if begin > end:
        msg = f"the vintage of {text!r} ends before it begins"
        raise ValueError(msg)
    return VerraBlock(
        SerialBlock("Verra", prefix, first, last), found["project"], found["country"], begin, end
    )


def format_verra(block: SerialBlock) -> str:
    """A block as Verra writes it."""
    return block.prefix.replace("{}", f"{block.first}-{block.last}")


def parse_numbers_last(text: str, *, registry: str) -> SerialBlock:
    """Read a block whose numbers come last.

    Raises:
        ValueError: it is none.
    """
    found = _NUMBERS_LAST.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} does not end with a block of numbers, such as ACR-US-1-2015-2-1 to 5000"
        raise ValueError(msg)
    first, last = _numbers(found["first"], found["last"])
    return SerialBlock(f"{registry}:{found['prefix']}", found["prefix"], first, last)


def block_of(prefix: str, first: str, last: str, *, registry: str) -> SerialBlock:
    """A block whose parts are given one by one.

    Raises:
        ValueError: they can't be.
    """
    if not prefix.strip() or not prefix.isprintable():
        msg = "serial_prefix must be printable characters"
        raise ValueError(msg)
    return SerialBlock(f"{registry}:{prefix}", prefix, *_numbers(first, last))


def _numbers(first: str, last: str) -> tuple[int, int]:
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        msg = f"serial numbers are whole numbers; these are {first!r} and {last!r}"
        raise ValueError(msg)
    numbers = (int(first), int(last))
    if not 0 < numbers[0] <= numbers[1] <= NUMBER_MAX:
        msg = f"a block's numbers go up from 1; these go from {first} to {last}"
        raise ValueError(msg)
    return numbers


def _day(digits: str) -> date:
    try:
        return date(int(digits[4:]), int(digits[2:4]), int(digits[:2]))
    except ValueError:
        msg = f"{digits!r} is no day as Verra writes it (ddmmyyyy)"
        raise ValueError(msg) from None
