"""Orders in a file: NDJSON, or CSV with the same names as columns; one order a row, each with its own idempotency key.

A row that can't be read is refused by itself; the file as a whole is refused only where no row of it can be told.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NoReturn
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.order_terms import EXCLUDED_MAX, read_terms
from tonne.domain.decimals import parse_decimal
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    EstimateNotFound,
    TonneError,
    ValidationFailed,
)
from tonne.domain.mass import QUANTITY_GRAMS_MAX, Mass, MassUnit
from tonne.domain.money import VALUE_MAX
from tonne.domain.purchase import ByEstimate, ByMass, ByValue, Purchase, Wanted
from tonne.domain.selection import Choice, refuse_repeated, selection_from

# A CSV row: bundles, countries and projects in one cell are separated by it.
SEPARATOR = ";"
_NESTED = ("email", "country", "registration_number", "hidden_until")
COLUMNS = (
    "idempotency_key", "mass", "unit", "value", "estimate_id", "bundle_selection", "quantity_trunc", "beneficiary",
    *(f"beneficiary_{name}" for name in _NESTED),
    "max_unit_price", "min_vintage_year", "excluded_countries", "excluded_projects",
)  # fmt: skip
_LINE_CHARACTERS_MAX = 100_000


class BulkFormat(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"
    CSV = "csv"


class RowBeneficiary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom a row's credits are retired."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    email: Annotated[str, Meta(max_length=254)] | None = None
    country: str | None = None
    registration_number: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    hidden_until: str | None = None


class RowChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle of a row's selection, and its share in percent."""

    bundle_id: str
    percentage: Annotated[int, Meta(ge=0)] | str | None = None


class BulkRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order of a file: a `mass` with its `unit`, or a `value`, or an `estimate_id`."""

    idempotency_key: Annotated[
        str, Meta(min_length=1, max_length=100, description="Your own key; what makes the file repeatable.")
    ]
    mass: Annotated[str | None, Meta(description="A decimal number, with `unit`.")] = None
    unit: MassUnit | None = None
    value: Annotated[str | None, Meta(description="In the account's currency, commission included.")] = None
    estimate_id: str | None = None
    bundle_selection: list[RowChoice] | None = None
    quantity_trunc: MassUnit | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=500)]],
            Meta(max_length=50),
        ]
        | None
    ) = None
    beneficiary: RowBeneficiary | None = None
    max_unit_price: str | None = None
    min_vintage_year: Annotated[int, Meta(ge=1990, le=2100)] | None = None
    excluded_countries: Annotated[list[str], Meta(max_length=EXCLUDED_MAX)] | None = None
    excluded_projects: Annotated[list[str], Meta(max_length=EXCLUDED_MAX)] | None = None

    def to_purchase(self) -> Purchase:
        """Read the purchase.

        Raises:
            TonneError: none or several of mass, value and estimate_id, or one that can't be.
        """
        terms = read_terms(self, self.beneficiary)
        precision = self.quantity_trunc or MassUnit.G
        return Purchase(self._wanted(), _selection(self.bundle_selection), precision, terms)

    def _wanted(self) -> Wanted:
        given = [name for name in ("mass", "value", "estimate_id") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise ValidationFailed.at(
                "/mass", f"give one of mass, value and estimate_id; this row has {told}"
            )
        if (self.mass is None) != (self.unit is None):
            raise ValidationFailed.at("/unit", "mass and unit (g, kg or t) go together")
        if self.mass is not None:
            assert self.unit is not None
            mass = Mass(_decimal(self.mass, "/mass"), self.unit)
            if mass.grams > QUANTITY_GRAMS_MAX:
                raise ValidationFailed.at("/mass", "must be at most 1000000000 tonnes")
            return ByMass(mass)
        if self.value is not None:
            value = _decimal(self.value, "/value")
            if value > VALUE_MAX:
                raise ValidationFailed.at("/value", f"must be at most {VALUE_MAX}")
            return ByValue(value)
        estimate_id = _id(self.estimate_id or "")
        if estimate_id is None:
            raise EstimateNotFound(f"This account has no emission estimate {self.estimate_id!r}.")
        return ByEstimate(estimate_id)


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row as it was read, counting from 1; `error` says why it can't be ordered."""

    row: int
    idempotency_key: str | None = None
    purchase: Purchase | None = None
    metadata: Mapping[str, str] | None = None
    error: TonneError | None = None


def read_rows(content: bytes, kind: BulkFormat, *, rows_max: int | None = None) -> list[ReadRow]:
    """Read every row of a file in UTF-8.

    Raises:
        ValidationFailed: it is no such file, has no rows or too many, or its columns are not those of rows.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationFailed.at("", "the file is not UTF-8 text") from None
    said = _csv_rows(text) if kind is BulkFormat.CSV else _json_rows(text)
    rows: list[ReadRow] = []
    for number, each in enumerate(said, start=1):
        if rows_max is not None and number > rows_max:
            raise ValidationFailed.at("", f"there may be at most {rows_max} rows: split the file")
        rows.append(_read(number, each))
    if not rows:
        raise ValidationFailed.at("", "there are no rows")
    return rows


def _read(number: int, said: Any) -> ReadRow:
    if isinstance(said, TonneError):
        return ReadRow(number, error=said)
    key = said.get("idempotency_key") if isinstance(said, dict) else None
    key = key if isinstance(key, str) else None
    try:
        row = msgspec.convert(said, BulkRow)
        return ReadRow(number, row.idempotency_key, row.to_purchase(), row.metadata)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        pointer = path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        return ReadRow(number, key, error=ValidationFailed.at(pointer, what.replace("`", '"')))
    except TonneError as error:
        return ReadRow(number, key, error=error)


# --- NDJSON ---


def _json_rows(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        if line.strip():
            yield _json_row(line)


def _json_row(line: str) -> Any:
    if len(line) > _LINE_CHARACTERS_MAX:
        return ValidationFailed.at("", f"a row may have at most {_LINE_CHARACTERS_MAX} characters")
    if "\\u0000" in line:
        return ValidationFailed.at("", "strings must not contain NUL (\\u0000)")
    try:
        said = _STRICT.decode(line.strip())
        # Half of a surrogate pair is no character.
        line.encode()
        json.dumps(said, ensure_ascii=False).encode()
    except TonneError as error:
        return error
    except json.JSONDecodeError as error:
        return ValidationFailed.at("", f"is no JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError):
        return ValidationFailed.at(
            "", "is no well-formed JSON: lone surrogates, too deep, or a number of thousands of digits"
        )
    return said if isinstance(said, dict) else ValidationFailed.at("", "must be a JSON object")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValidationFailed.at("", "a property is given twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValidationFailed.at("", f"{name} is not JSON")


# Floating point numbers are kept as such here, to be refused where a text or a whole number is due.
_STRICT = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


# --- CSV ---


def _csv_rows(text: str) -> Iterator[Any]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_columns(header)
        for cells in reader:
            if any(cells):
                yield _csv_row(header, cells)
    except csv.Error as error:
        raise ValidationFailed.at(
            "", f"line {reader.line_num} is no CSV (RFC 4180, commas, double quotes): {error}"
        ) from None


def _refuse_columns(header: Sequence[str]) -> None:
    def is_known(name: str) -> bool:
        return name in COLUMNS or (name.startswith("metadata[") and name.endswith("]"))

    for name in header:
        if not is_known(name):
            raise ValidationFailed.at(
                name, f"is no column of orders; there are {', '.join(COLUMNS)} and metadata[key]"
            )
        if header.count(name) > 1:
            raise ValidationFailed.at(name, "is a column twice")
    if "idempotency_key" not in header:
        raise ValidationFailed.at("idempotency_key", "is the column that every file of orders needs")


def _csv_row(header: Sequence[str], cells: Sequence[str]) -> Any:
    if len(cells) != len(header):
        return ValidationFailed.at("", f"has {len(cells)} cells, the header has {len(header)}")
    if any("\x00" in cell for cell in cells):
        return ValidationFailed.at("", "cells must not contain NUL")
    # An empty cell says nothing.
    given = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    said: dict[str, Any] = {
        name: cell
        for name, cell in given.items()
        if not name.startswith(("metadata[", "beneficiary", "excluded_")) and name != "bundle_selection"
    }
    metadata = {name[9:-1]: cell for name, cell in given.items() if name.startswith("metadata[")}
    if metadata:
        said["metadata"] = metadata
    if any(name.startswith("beneficiary") for name in given):
        named = {name: given[f"beneficiary_{name}"] for name in _NESTED if f"beneficiary_{name}" in given}
        said["beneficiary"] = named | ({"name": given["beneficiary"]} if "beneficiary" in given else {})
    for name in ("excluded_countries", "excluded_projects"):
        if name in given:
            said[name] = _parts(given[name])
    if "bundle_selection" in given:
        said["bundle_selection"] = [_choice(part) for part in _parts(given["bundle_selection"])]
    year = said.get("min_vintage_year", "")
    if year.isascii() and year.isdigit():
        said["min_vintage_year"] = int(year[:9])
    return said


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]


def _choice(part: str) -> dict[str, str]:
    bundle_id, colon, percentage = part.partition(":")
    return {"bundle_id": bundle_id.strip()} | ({"percentage": percentage.strip()} if colon else {})


# --- Values ---


def _selection(said: Iterable[RowChoice] | None) -> tuple[Choice, ...] | None:
    if said is None:
        return None
    chosen: list[tuple[UUID, Decimal | None]] = []
    for position, choice in enumerate(said):
        bundle_id = _id(choice.bundle_id)
        if bundle_id is None:
            raise BundleSelectionBundleInvalid(
                f"There is no bundle {choice.bundle_id!r}; GET /v1/bundles lists them."
            )
        chosen.append((bundle_id, _percentage(choice.percentage, f"/bundle_selection/{position}/percentage")))
    refuse_repeated([bundle_id for bundle_id, _ in chosen], pointer="/bundle_selection")
    return selection_from(chosen)


def _percentage(said: int | str | None, pointer: str) -> Decimal | None:
    if isinstance(said, str):
        return _decimal(said, pointer)
    return None if said is None else Decimal(said)


def _decimal(text: str, pointer: str) -> Decimal:
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise ValidationFailed.at(pointer, str(error)) from None


def _id(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
