"""The disclosure pack: what was retired for a beneficiary in a period, as facts, tables and a PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from tonne.application.tables import TableFormat, TableWriter
from tonne.certificates.disclosing import format_share, render_disclosure
from tonne.certificates.typesetting import TypesettingFailed
from tonne.domain.accounts import Mode
from tonne.domain.disclosure import NOT_STATED, Disclosure, RetiredCredits, Share, in_order
from tonne.domain.errors import ValidationFailed
from tonne.domain.mass import GRAMS_PER_TONNE, format_tonnes
from tonne.domain.times import format_time
from tonne.storage.database import Connection
from tonne.storage.retired_credits import (
    CreditsFilter,
    beneficiaries_like,
    count_credits,
    find_planned,
    stream_credits,
)

CREDITS_MAX = 50_000
# A row takes a few milliseconds to set.
PDF_CREDITS_MAX = 5_000
BENEFICIARIES_MAX = 50
_ALIKE_SHOWN = 10


class DisclosureTable(StrEnum):
    """Tables of a disclosure: its retirements, its projects (AB 1305), and its sums and shares (ESRS E1-7)."""

    RETIREMENTS = "retirements"
    PROJECTS = "projects"
    SUMMARY = "summary"


PROJECT_COLUMNS = (
    "seller",
    "registry_or_program",
    "project_id",
    "project_name",
    "offset_type",
    "site",
    "protocol",
    "verified_by",
    "company_data_verified",
    "quantity",
)
RETIREMENT_COLUMNS = (
    *PROJECT_COLUMNS[:-1],
    "beneficiary",
    "retired_on",
    "vintage_year",
    "serial_first",
    "serial_last",
    "retired_tonnes",
    "quantity",
    "registry_reference",
    "registry_link",
    "removal_sink",
    "quality_standard",
    "additional_standards_met",
    "in_eu",
    "corresponding_adjustment",
    "account_id",
    "retirement_id",
    "withdrawn_tonnes",
    "replaced_tonnes",
    "replaces_retirement_id",
)
SUMMARY_COLUMNS = ("disclosure", "item", "quantity", "share_percent")


async def compile_disclosure(
    connection: Connection,
    beneficiaries: Sequence[str],
    *,
    first_day: date,
    last_day: date,
    mode: Mode,
    seller: str,
    at: datetime,
) -> Disclosure:
    """Gather what was retired for beneficiaries from one day to another, as of one moment.

    Raises:
        ValidationFailed: the period ends before it begins, nothing was ever retired for the beneficiary (names that are
            alike are told), or there are over 50,000 retirements.
    """
    if last_day < first_day:
        raise ValidationFailed.at("to", f"must not be before from: {last_day} is before {first_day}")
    names = tuple(dict.fromkeys(name.strip() for name in beneficiaries))
    wanted = CreditsFilter(mode=mode, beneficiaries=names, first_day=first_day, last_day=last_day)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for name in names:
            await _refuse_unknown(connection, name, mode=mode)
        count = await count_credits(connection, wanted=wanted)
        if count > CREDITS_MAX:
            raise ValidationFailed.at(
                "to", f"there are {count} retirements: a report may have {CREDITS_MAX}, take a shorter period"
            )
        found = [each async for each in stream_credits(connection, wanted=wanted)]
        planned = await find_planned(connection, names, mode=mode)
    return Disclosure(names, first_day, last_day, mode, seller, at, in_order(found), planned)


def disclosure_pdf(disclosure: Disclosure) -> bytes:
    """The disclosure as a PDF; takes a processor for a while where it is long.

    Raises:
        ValidationFailed: it has over 5,000 retirements, or a name that can't be set.
    """
    count = len(disclosure.credits)
    if count > PDF_CREDITS_MAX:
        raise ValidationFailed.at(
            "format", f"a PDF may have {PDF_CREDITS_MAX} retirements, these are {count}: take csv or json"
        )
    try:
        return render_disclosure(disclosure)
    except TypesettingFailed:
        raise ValidationFailed.at("format", "a name in it can't be set as a PDF: take csv or json") from None


def disclosure_csv(disclosure: Disclosure, table: DisclosureTable) -> bytes:
    """One table of the disclosure as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet."""
    columns, rows = _TABLES[table](disclosure)
    written = io.BytesIO()
    writer = TableWriter(written, TableFormat.CSV, columns)
    for row in rows:
        writer.write(row)
    return written.getvalue()


def disclosure_facts(disclosure: Disclosure) -> dict[str, Any]:
    """The disclosure as JSON has it. Quantities are tonnes, shares percent with two decimals."""
    planned = disclosure.planned
    return {
        "beneficiaries": list(disclosure.beneficiaries),
        "from": disclosure.first_day.isoformat(),
        "to": disclosure.last_day.isoformat(),
        "mode": disclosure.mode.value,
        "as_of": format_time(disclosure.as_of),
        "quantity": format_tonnes(disclosure.grams),
        "ab_1305": {
            "source": "California Health and Safety Code, section 44475.1 (AB 1305)",
            "projects": _projects(disclosure)[1],
        },
        "esrs_e1_7": {
            "source": "Commission Delegated Regulation (EU) 2023/2772, ESRS E1, paragraph 59 and AR 62",
            "cancelled": format_tonnes(disclosure.grams),
            "withdrawn_since": {
                "quantity": str(disclosure.withdrawn_tonnes),
                "replaced": str(disclosure.replaced_tonnes),
            },
            **{name: [_share(share) for share in shares] for name, shares in _breakdowns(disclosure).items()},
            "planned": {
                "quantity": format_tonnes(planned.grams),
                "allocated": format_tonnes(planned.allocated_grams),
                "waiting": format_tonnes(planned.waiting_grams),
                "based_on_existing_orders": True,
            },
        },
        "retirements": _retirements(disclosure)[1],
    }


Table = tuple[Sequence[str], list[dict[str, Any]]]


def _retirements(disclosure: Disclosure) -> Table:
    rows = [
        _project_row(disclosure, each, each.ordered_grams)
        | {
            "beneficiary": each.beneficiary,
            "retired_on": None if each.retired_on is None else each.retired_on.isoformat(),
            "vintage_year": each.vintage_year,
            "serial_first": each.serial_first,
            "serial_last": each.serial_last,
            "retired_tonnes": each.tonnes,
            "registry_reference": each.registry_reference,
            "registry_link": each.registry_link,
            "removal_sink": NOT_STATED if each.offset_type_stated == "removal" else None,
            "quality_standard": each.registry_name,
            "additional_standards_met": list(each.additional_standards_met),
            "in_eu": each.is_in_eu,
            "corresponding_adjustment": NOT_STATED,
            "account_id": str(each.account_id),
            "retirement_id": str(each.retirement_id),
            "withdrawn_tonnes": each.withdrawn_tonnes,
            "replaced_tonnes": each.replaced_tonnes,
            "replaces_retirement_id": None if each.replaces_id is None else str(each.replaces_id),
        }
        for each in disclosure.credits
    ]
    return RETIREMENT_COLUMNS, rows


def _projects(disclosure: Disclosure) -> Table:
    return PROJECT_COLUMNS, [_project_row(disclosure, each, grams) for each, grams in disclosure.projects]


def _project_row(disclosure: Disclosure, project: RetiredCredits, grams: int) -> dict[str, Any]:
    return {
        "seller": disclosure.seller,
        "registry_or_program": project.registry_name,
        "project_id": project.registry_project_id,
        "project_name": project.project_name,
        "offset_type": project.offset_type_stated,
        "site": project.site,
        "protocol": project.protocol_stated,
        "verified_by": project.verifying_body or NOT_STATED,
        "company_data_verified": NOT_STATED,
        "quantity": format_tonnes(grams),
    }


def _summary(disclosure: Disclosure) -> Table:
    planned = disclosure.planned
    rows: list[dict[str, Any]] = [_sum("cancelled", "in the period", disclosure.grams)]
    for name, shares in _breakdowns(disclosure).items():
        rows += [
            _sum(name, share.name, share.grams) | {"share_percent": format_share(share)} for share in shares
        ]
    if disclosure.withdrawn_tonnes:
        rows += [
            _sum("withdrawn_since", name, tonnes * GRAMS_PER_TONNE)
            for name, tonnes in (
                ("reversed or invalidated later", disclosure.withdrawn_tonnes),
                ("others retired in their place", disclosure.replaced_tonnes),
            )
        ]
    rows.append(_sum("planned", "allocated, not confirmed yet", planned.allocated_grams))
    rows.append(_sum("planned", "waiting for credits or for the rest of a tonne", planned.waiting_grams))
    return SUMMARY_COLUMNS, rows


def _sum(disclosure: str, item: str, grams: int) -> dict[str, Any]:
    return {"disclosure": disclosure, "item": item, "quantity": format_tonnes(grams)}


def _breakdowns(disclosure: Disclosure) -> dict[str, list[Share]]:
    return {
        "by_offset_type": disclosure.by_offset_type,
        "removals_by_sink": disclosure.removals_by_sink,
        "by_quality_standard": disclosure.by_standard,
        "by_place": disclosure.by_place,
        "by_corresponding_adjustment": disclosure.by_corresponding_adjustment,
    }


def _share(share: Share) -> dict[str, str]:
    return {
        "name": share.name,
        "quantity": format_tonnes(share.grams),
        "share_percent": format_share(share),
    }


_TABLES = {
    DisclosureTable.RETIREMENTS: _retirements,
    DisclosureTable.PROJECTS: _projects,
    DisclosureTable.SUMMARY: _summary,
}


async def _refuse_unknown(connection: Connection, name: str, *, mode: Mode) -> None:
    ever = CreditsFilter(states=None, mode=mode, beneficiaries=[name])
    if await count_credits(connection, wanted=ever):
        return
    alike = await beneficiaries_like(connection, name, mode=mode, limit=_ALIKE_SHOWN)
    hint = f" Alike are: {', '.join(alike)}." if alike else ""
    raise ValidationFailed.at(
        "beneficiary",
        f"nothing was ever allocated to or retired for {name!r}; names are compared exactly.{hint}",
    )
