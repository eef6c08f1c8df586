"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

# What a spreadsheet takes for the beginning of a formula. Source: OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(text: str | None) -> str | None:
    """Free text as a cell: an apostrophe keeps a spreadsheet from taking it for a formula."""
    return f"'{text}" if text is not None and text.startswith(_FORMULA) else text
