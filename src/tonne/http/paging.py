"""Cursor paging: contract, section 6. A cursor is the id of the last object of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from tonne.application.identifiers import read_id
from tonne.domain.errors import BundleIdInvalid, IdInvalid, PaginationLimitInvalid, ValidationFailed

LIMIT_DEFAULT = 10
LIMIT_MAX = 100

Item = TypeVar("Item")


def read_limit(query: dict[str, str]) -> int:
    """Read `limit`.

    Raises:
        PaginationLimitInvalid: it is not a whole number from 1 to 100.
    """
    text = query.get("limit")
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= LIMIT_MAX):
        raise PaginationLimitInvalid
    return int(text)


def read_cursor(query: dict[str, str], invalid: type[IdInvalid | BundleIdInvalid] = IdInvalid) -> UUID | None:
    """Read `after`.

    Raises:
        IdInvalid, BundleIdInvalid: it can't be a cursor of ours.
    """
    text = query.get("after")
    if text is None:
        return None
    cursor = read_id(text)
    if cursor is None:
        raise invalid
    return cursor


def read_flag(query: dict[str, str], name: str) -> bool:
    """Read a boolean parameter.

    Raises:
        ValidationFailed: it is neither true nor false.
    """
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise ValidationFailed.at(name, "must be true or false")
    return text == "true"


def first_page(found: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """Cut a page from one object more than it holds, and say whether there is more."""
    return found[:limit], len(found) > limit
