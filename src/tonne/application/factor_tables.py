"""Files of emission factors as tables: rows by their lines, and what becomes of each."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tonne.application.factor_cells import Row, check_factor, shown
from tonne.application.inventory_files import FileRefused
from tonne.domain.factors import Factor

BYTES_MAX = 50_000_000
ROWS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a row can't be taken; `line` counts from 1, the header's."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file by their lines, and those that are no rows of a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    damages: tuple[Damage, ...]


@dataclass(slots=True)
class Found:
    """What was found in a table so far."""

    damages: list[Damage]
    factors: list[Factor] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, line: int, make: Callable[[], Factor]) -> None:
        """Add a factor, or say why it can't be one."""
        try:
            factor = make()
            check_factor(factor)
            if factor.activity in self.lines:
                msg = (
                    f"the activity {shown(factor.activity)} is on line {self.lines[factor.activity]} already"
                )
                raise ValueError(msg)  # noqa: TRY301
        except ValueError as error:
            self.damages.append(Damage(line, str(error)))
        else:
            self.lines[factor.activity] = line
            self.factors.append(factor)


def read_table(text: str) -> Table:
    """Read CSV with a header; cells without the spaces around them.

    Raises:
        FileRefused: it is no CSV, has too many rows, or a column twice.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    rows: list[tuple[int, Row]] = []
    damages: list[Damage] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        twice = [name for name, times in Counter(columns).items() if times > 1]
        if twice:
            raise FileRefused(f"the column {shown(twice[0])} is there twice")
        for cells in reader:
            if not cells:
                continue
            if len(rows) + len(damages) >= ROWS_MAX:
                raise FileRefused(f"it has more than {ROWS_MAX} rows")
            if len(cells) != len(columns):
                message = f"the row has {len(cells)} columns, the header {len(columns)}"
                damages.append(Damage(reader.line_num, message))
            elif any("\0" in cell for cell in cells):
                damages.append(Damage(reader.line_num, "the row has a NUL character"))
            else:
                row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise FileRefused(f"line {reader.line_num}: this is no CSV: {error}") from None
    return Table(columns, tuple(rows), tuple(damages))
