"""Reports of what was retired, for operators."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter

from tonne.application.disclosures import (
    DisclosureTable,
    compile_disclosure,
    disclosure_csv,
    disclosure_facts,
    disclosure_pdf,
)
from tonne.application.identifiers import utc_now
from tonne.domain.disclosure import Disclosure
from tonne.domain.errors import InsufficientScope, ValidationFailed
from tonne.http.answers import answer
from tonne.http.documentation import refusals
from tonne.http.guards import operators_only
from tonne.http.request import ApiRequest
from tonne.wire.common import NO_NUL
from tonne.wire.reports import DisclosureBody

FORMATS = ("json", "csv", "pdf")


@get(
    "/operator/reports/retirements",
    tags=["Operator"],
    operation_id="reportRetirements",
    summary="Report what was retired for a beneficiary",
    responses=refusals(ValidationFailed, InsufficientScope),
    guards=[operators_only],
)
async def report_retirements(
    request: ApiRequest,
    beneficiary: Annotated[
        str | None,
        QueryParameter(description="For whom; names are compared exactly.", schema_extra=NO_NUL),
    ] = None,
    first_day: Annotated[
        str | None,
        QueryParameter(name="from", description="The first day.", schema_extra={"format": "date"}),
    ] = None,
    last_day: Annotated[
        str | None, QueryParameter(name="to", description="The last day.", schema_extra={"format": "date"})
    ] = None,
    format_: Annotated[
        str | None,
        QueryParameter(
            name="format",
            required=False,
            description="json, unless said otherwise.",
            schema_extra={"enum": list(FORMATS)},
        ),
    ] = None,
    table: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="Of csv: each retirement, each project (AB 1305), or sums and shares (ESRS E1-7).",
            schema_extra={"enum": [table.value for table in DisclosureTable]},
        ),
    ] = None,
) -> Response[DisclosureBody]:
    """Tell what was retired for a beneficiary, with the fields that AB 1305 and ESRS E1-7 ask for.

    Confirmed retirements of the key's mode count, by the day at the registry, with the grams that the beneficiary's own
    orders hold of them. What the records do not say is "not stated".
    """
    query = request.query("beneficiary", "from", "to", "format", "table")
    kind = _one_of(query, "format", FORMATS)
    chosen = DisclosureTable(_one_of(query, "table", [each.value for each in DisclosureTable]))
    name, first, last = _required(query, "beneficiary"), _read_day(query, "from"), _read_day(query, "to")
    async with request.services.pool.acquire(timeout=5) as connection:
        disclosure = await compile_disclosure(
            connection,
            [name],
            first_day=first,
            last_day=last,
            mode=request.caller.key.mode,
            seller=request.services.operator_name,
            at=utc_now(),
        )
    return await _render(disclosure, kind, chosen)


async def _render(disclosure: Disclosure, kind: str, table: DisclosureTable) -> Response[Any]:
    match kind:
        case "pdf":
            pdf = await asyncio.to_thread(disclosure_pdf, disclosure)
            return _file(pdf, "application/pdf", disclosure, "pdf")
        case "csv":
            text = await asyncio.to_thread(disclosure_csv, disclosure, table)
            return _file(text, "text/csv; charset=utf-8; header=present", disclosure, "csv")
        case _:
            return answer(disclosure_facts(disclosure))


def _file(content: bytes, media_type: str, disclosure: Disclosure, ending: str) -> Response[Any]:
    name = f"retirements-{disclosure.first_day}-{disclosure.last_day}.{ending}"
    return Response(
        content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _one_of(query: dict[str, str], name: str, choices: tuple[str, ...] | list[str]) -> str:
    text = query.get(name, choices[0])
    if text not in choices:
        raise ValidationFailed.at(name, f"must be one of {', '.join(choices)}")
    return text


def _required(query: dict[str, str], name: str) -> str:
    text = query.get(name, "").strip()
    if not text:
        raise ValidationFailed.at(name, "is required")
    return text


def _read_day(query: dict[str, str], name: str) -> date:
    text = _required(query, name)
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise ValidationFailed.at(name, "must be a day such as 2026-01-31")
    return found
