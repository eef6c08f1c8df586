"""Files of projects and lots as registries and others publish them: each row is read, or said to be damaged and why.

Formats: `carb` (California Air Resources Board: offset projects and issuances), `verra` (blocks of serial numbers),
`klima` (projects by vintage), `cdr` (offers of carbon removal), and `csv`, our own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from tonne.application.catalogue_entries import ProjectEntry, find_violations
from tonne.domain.catalogue_changes import slug_of
from tonne.domain.decimals import parse_decimal
from tonne.domain.serials import SerialBlock, block_of, parse_numbers_last, parse_verra
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.countries import country_name, find_country
from tonne.storage.currencies import find_currency

Read = TypeVar("Read")
Row = Mapping[str, str]

VINTAGE_MIN, VINTAGE_MAX = 1990, 2100
REGISTRIES = {
    "ACR": "American Carbon Registry",
    "CAR": "Climate Action Reserve",
    "VCS": "Verra",
    "GS": "Gold Standard",
    "PUR": "Puro.earth",
    "ICR": "International Carbon Registry",
}


class ProjectFormat(StrEnum):
    CARB = "carb"
    KLIMA = "klima"
    CDR = "cdr"
    CSV = "csv"


class LotFormat(StrEnum):
    CARB = "carb"
    VERRA = "verra"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row can't be taken; `line` counts from 1, the header's."""

    line: int
    code: str
    message: str
    row: Row


@dataclass(frozen=True, slots=True)
class Good(Generic[Read]):
    """A row that was read."""

    line: int
    row: Row
    read: Read


@dataclass(slots=True)
class FileRead(Generic[Read]):
    """All rows of a file: each is good, or has a problem."""

    good: list[Good[Read]] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.good) + len(self.problems)


class FileRefused(Exception):
    """The file can't be read at all; the message says why."""


class RowRefused(ValueError):
    """A row can't be taken, under a code for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class LotRow:
    """A lot as a file has it. `gone_tonnes` of its first serial numbers were used before they could be ours."""

    registry_name: str
    registry_project_id: str
    vintage_year: int
    block: SerialBlock
    raw: str
    gone_tonnes: int = 0
    cost_per_tonne: Decimal | None = None
    cost_currency: str | None = None
    seller: str | None = None
    acquired_on: date | None = None
    withdrawn: WithdrawalKind | None = None
    # What a new project would be, where the row says enough of it.
    project: ProjectEntry | None = None


@dataclass(frozen=True, slots=True)
class RetirementRow:
    """Credits of an issuance that somebody else surrendered."""

    raw: str
    vintage_year: int
    beneficiary: str
    tonnes: int
    period: str
    retired_on: date | None


def read_projects(text: str, layout: ProjectFormat) -> FileRead[ProjectEntry]:
    """Read projects, row by row.

    Raises:
        FileRefused: it is no CSV, or a column is missing.
    """
    reader, needed = _PROJECTS[layout]
    return _read(text, needed, lambda row: _checked(reader(row)))


def read_lots(text: str, layout: LotFormat) -> FileRead[LotRow]:
    """Read lots, row by row.

    Raises:
        FileRefused: it is no CSV, or a column is missing.
    """
    reader, needed = _LOTS[layout]
    return _read(text, needed, reader)


def read_retirements(text: str) -> FileRead[RetirementRow]:
    """Read what others surrendered, row by row.

    Raises:
        FileRefused: it is no CSV, or a column is missing.
    """
    return _read(text, _RETIREMENT_COLUMNS, _carb_retirement)


def _read(text: str, needed: tuple[str, ...], reader: Callable[[Row], Read]) -> FileRead[Read]:
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restkey="", restval="")
    found: FileRead[Read] = FileRead()
    try:
        missing = [name for name in needed if name not in (rows.fieldnames or ())]
        if missing:
            msg = f"the column {missing[0]} is missing; this format has {', '.join(needed)}"
            raise FileRefused(msg)
        for row in rows:
            line = rows.line_num
            if row.pop("", None):
                found.problems.append(
                    RowProblem(line, "columns", "the row has more columns than the header", row)
                )
                continue
            if any("\0" in value for value in row.values()):
                found.problems.append(RowProblem(line, "damaged", "the row has a NUL character", row))
                continue
            try:
                found.good.append(Good(line, row, reader(row)))
            except RowRefused as error:
                found.problems.append(RowProblem(line, error.code, str(error), row))
            except ValueError as error:
                found.problems.append(RowProblem(line, "damaged", str(error), row))
    except csv.Error as error:
        msg = f"line {rows.line_num}: this is no CSV: {error}"
        raise FileRefused(msg) from None
    return found


def _checked(fields: dict[str, Any]) -> ProjectEntry:
    try:
        entry = msgspec.convert(fields, ProjectEntry)
    except msgspec.ValidationError as error:
        raise RowRefused("project_invalid", str(error)) from None
    violations = find_violations(entry)
    if violations:
        raise RowRefused("project_invalid", f"{violations[0].pointer.lstrip('/')} {violations[0].message}")
    return entry


def _entry(name: str, registry: str, registry_id: str, country: str | None, **rest: Any) -> dict[str, Any]:
    if not name.strip():
        raise RowRefused("name_missing", "the project has no name")
    if not registry_id.strip():
        raise RowRefused("id_missing", "the project has no id at its registry")
    if country is None:
        raise RowRefused("country_unknown", "the place names no country")
    # Many projects share a name: the id makes the slug one project's.
    slug = f"{slug_of(name)[:70].rstrip('-')}-{slug_of(registry_id)}".strip("-")
    fields = {
        "slug": slug,
        "name": name.strip()[:200],
        "registry_name": REGISTRIES.get(registry, registry),
        "registry_project_id": registry_id.strip(),
        "country_code": country,
        "country_name": country_name(country),
        **rest,
    }
    return {key: value for key, value in fields.items() if value not in (None, "")}


def _carb_project(row: Row) -> dict[str, Any]:
    return _entry(
        row["name"],
        row["registry"],
        row["registry_project_id"],
        find_country(row["country"]),
        project_type=row["project_type"],
        region=row["state"],
        protocol=f"California {row['program']} protocol" if row["program"] else None,
        registry_link=row["registry_url"],
        description=f"Operated by {row['operator']}." if row["operator"] else "",
    )


def _klima_project(row: Row) -> dict[str, Any]:
    return _entry(
        row["name"],
        row["registry"],
        row["project_key"].replace("-", ""),
        find_country(row["country"]),
        project_type=row["category"] or "not stated",
        methodology=row["methodology"],
        region=row["region"],
    )


def _cdr_project(row: Row) -> dict[str, Any]:
    country = find_country(row["location"]) or find_country(row["location"].rpartition(",")[2])
    years = row["permanence_years"]
    return _entry(
        row["supplier"],
        "CarbonPlan CDR Database",
        row["id"],
        country,
        project_type=row["tags"].replace(";", ", ") or "not stated",
        description=row["description"],
        durability=f"{years} years" if years else None,
        registry_link=row["documentation_url"],
    )


def _csv_project(row: Row) -> dict[str, Any]:
    names = [name for name in ProjectEntry.__struct_fields__ if row.get(name)]
    taken = {name: row[name] for name in names if name not in _NOT_IN_CSV}
    country = row["country_code"] or find_country(row.get("country_name", ""))
    rest = {
        name: value for name, value in taken.items() if name not in ("name", "registry_name", "country_code")
    }
    rest.pop("registry_project_id", None)
    return _entry(row["name"], row["registry_name"], row["registry_project_id"], country or None) | rest


_NOT_IN_CSV = ("results", "un_sdg", "additional_standards_met", "media", "disabled",
               "avg_annual_emission_reductions")  # fmt: skip
_PROJECTS: dict[ProjectFormat, tuple[Callable[[Row], dict[str, Any]], tuple[str, ...]]] = {
    ProjectFormat.CARB: (
        _carb_project,
        ("registry", "registry_project_id", "name", "project_type", "program", "operator", "country", "state",
         "registry_url"),
    ),
    ProjectFormat.KLIMA: (
        _klima_project,
        ("registry", "project_key", "name", "country", "region", "methodology", "category"),
    ),
    ProjectFormat.CDR: (
        _cdr_project,
        ("id", "supplier", "description", "location", "tags", "permanence_years", "documentation_url"),
    ),
    ProjectFormat.CSV: (
        _csv_project,
        ("name", "project_type", "registry_name", "registry_project_id", "country_code"),
    ),
}  # fmt: skip


def _carb_lot(row: Row) -> LotRow:
    """An issuance. The Board numbers no credits: they are counted from 1 within the issuance.

    Credits in the buffer pool, and those that others surrendered or retired, are gone; `credits_issued` counts both.
    """
    issuance = row["carb_issuance_id"]
    issued = _tonnes(row["credits_issued"], "credits_issued")
    buffer = max(_count(row["buffer_contribution"]), _count(row["buffer_pool_retired"]))
    used = sum(_count(row[name]) for name in _CARB_USED)
    withdrawn = WithdrawalKind.INVALIDATED if row["invalidation_timeframe"] == "INVALIDATED" else None
    return LotRow(
        registry_name=REGISTRIES.get(row["registry"], row["registry"]),
        registry_project_id=row["registry_project_id"],
        vintage_year=_vintage(row["vintage"]),
        block=SerialBlock(f"CARB:{issuance}", issuance, 1, issued),
        raw=issuance,
        gone_tonnes=issued if withdrawn else min(buffer + used, issued),
        acquired_on=_day(row["issuance_date"], "issuance_date"),
        withdrawn=withdrawn,
    )


_CARB_USED = (
    "retired_intentional_reversal",
    "retired_voluntarily",
    "retired_cp1",
    "retired_cp2",
    "retired_cp3",
    "retired_cp4",
    "retired_quebec",
)


_RETIREMENT_COLUMNS = (
    "compliance_period",
    "surrendered_on",
    "entity_name",
    "carb_issuance_id",
    "vintage",
    "quantity",
)
# Some reports write a hyphen or a zero too many: CAFR-6339-A, CAFR00029-C.
_ISSUANCE = re.compile(r"([A-Z]{4})-?0*(\d{1,4})-([A-Z]\d?)", re.ASCII)


def _carb_retirement(row: Row) -> RetirementRow:
    issuance = row["carb_issuance_id"].strip()
    found = _ISSUANCE.fullmatch(issuance)
    if not row["entity_name"].strip():
        raise RowRefused("name_missing", "the row names nobody")
    return RetirementRow(
        raw=issuance if found is None else f"{found[1]}{int(found[2]):04d}-{found[3]}",
        vintage_year=_vintage(row["vintage"]),
        beneficiary=row["entity_name"].strip(),
        tonnes=_tonnes(row["quantity"], "quantity"),
        period=row["compliance_period"],
        retired_on=_day(row["surrendered_on"], "surrendered_on"),
    )


def _verra_lot(row: Row) -> LotRow:
    found = parse_verra(row["serial_number"])
    quantity = _tonnes(row["quantity"], "quantity")
    if quantity != found.block.tonnes:
        msg = f"the serial number has {found.block.tonnes} credits, the row says {quantity}"
        raise RowRefused("quantity_differs", msg)
    country = find_country(found.country)
    if country is None:
        raise RowRefused("country_unknown", f"{found.country} is no country")
    registry_id = f"VCS{found.project}"
    fields = _entry(
        row["project_name"], "VCS", registry_id, country, project_type=row["project_type"] or "not stated"
    )
    return LotRow(
        registry_name=REGISTRIES["VCS"],
        registry_project_id=registry_id,
        vintage_year=_vintage(str(found.vintage_end.year)),
        block=found.block,
        raw=row["serial_number"].strip(),
        project=_checked(
            fields | {"registry_link": f"https://registry.verra.org/app/projectDetail/VCS/{found.project}"}
        ),
    )


def _csv_lot(row: Row) -> LotRow:
    registry = REGISTRIES.get(row["registry_name"], row["registry_name"]).strip()
    serial = row.get("serial_number", "")
    if registry == REGISTRIES["VCS"] and serial:
        block = parse_verra(serial).block
    elif serial:
        block = parse_numbers_last(serial, registry=registry)
    else:
        block = block_of(
            row.get("serial_prefix", ""),
            row.get("serial_first", ""),
            row.get("serial_last", ""),
            registry=registry,
        )
    quantity = row.get("quantity", "")
    if quantity and _tonnes(quantity, "quantity") != block.tonnes:
        msg = f"the serial numbers are {block.tonnes} credits, the row says {quantity}"
        raise RowRefused("quantity_differs", msg)
    cost = row.get("cost_per_tonne", "")
    currency = row.get("cost_currency", "")
    if bool(cost) != bool(currency):
        raise RowRefused("cost_incomplete", "cost_per_tonne and cost_currency go together")
    return LotRow(
        registry_name=registry,
        registry_project_id=row["registry_project_id"].strip(),
        vintage_year=_vintage(row["vintage_year"]),
        block=block,
        raw=serial.strip() or f"{block.prefix}-{block.first}-{block.last}",
        cost_per_tonne=parse_decimal(cost) if cost else None,
        cost_currency=_currency(currency) if currency else None,
        seller=row.get("seller", "").strip()[:200] or None,
        acquired_on=_day(row.get("acquired_on", ""), "acquired_on"),
    )


_LOTS: dict[LotFormat, tuple[Callable[[Row], LotRow], tuple[str, ...]]] = {
    LotFormat.CARB: (
        _carb_lot,
        ("carb_issuance_id", "registry", "registry_project_id", "vintage", "credits_issued", "buffer_contribution",
         "buffer_pool_retired", "issuance_date", "invalidation_timeframe", *_CARB_USED),
    ),
    LotFormat.VERRA: (_verra_lot, ("serial_number", "quantity", "project_name", "project_type")),
    LotFormat.CSV: (_csv_lot, ("registry_name", "registry_project_id", "vintage_year")),
}  # fmt: skip


def _tonnes(text: str, name: str) -> int:
    if not text.strip():
        raise RowRefused("no_credits", f"the row has no {name}")
    tonnes = _count(text, name)
    if tonnes < 1:
        raise RowRefused("no_credits", f"{name} is {text}")
    return tonnes


def _count(text: str, name: str = "a number of credits") -> int:
    if not text.strip():
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise RowRefused("quantity_invalid", f"{name} is {text!r}, no whole number")
    return int(text)


def _vintage(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4 and VINTAGE_MIN <= int(text) <= VINTAGE_MAX):
        raise RowRefused(
            "vintage_invalid", f"the vintage {text!r} is no year from {VINTAGE_MIN} to {VINTAGE_MAX}"
        )
    return int(text)


def _day(text: str, name: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise RowRefused("day_invalid", f"{name} is {text!r}, no day such as 2026-01-31") from None


def _currency(code: str) -> str:
    try:
        return find_currency(code.strip()).code
    except KeyError:
        raise RowRefused("currency_invalid", f"{code!r} is no ISO 4217 currency") from None
