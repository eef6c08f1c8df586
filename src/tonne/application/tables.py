"""Tables as files: CSV for spreadsheets, JSON lines for programs, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, BinaryIO

import msgspec

from tonne.application.csv_cells import safe_cell
from tonne.domain.times import format_time


class TableFormat(StrEnum):
    """`csv` is RFC 4180 in UTF-8 with a header row; `jsonl` one JSON object a line."""

    CSV = "csv"
    JSONL = "jsonl"


class TableWriter:
    """Writes rows as they come; a row may leave out columns, which are empty or null then."""

    def __init__(self, to: BinaryIO, kind: TableFormat, columns: Sequence[str]) -> None:
        self._to = to
        self._columns = tuple(columns)
        self._is_csv = kind is TableFormat.CSV
        if self._is_csv:
            self._write_csv(self._columns)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        if self._is_csv:
            self._write_csv([csv_cell(row.get(column)) for column in self._columns])
            return
        told = {column: _json_value(row.get(column)) for column in self._columns}
        self._to.write(msgspec.json.encode(told) + b"\n")

    def _write_csv(self, cells: Sequence[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(cells)
        self._to.write(text.getvalue().encode())


def csv_cell(value: Any) -> str:
    """A cell's text; one that a spreadsheet would take for a formula gets an apostrophe in front.

    Lists and objects are printed as JSON.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    told = _json_value(value)
    text = told if isinstance(told, str) else msgspec.json.encode(told).decode()
    return safe_cell(text) or ""


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return value.isoformat() if isinstance(value, date) else value
