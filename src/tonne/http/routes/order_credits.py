"""An order's credits: which were allocated and retired for it, and its certificate."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from tonne.application.certificate_facts import certificate_body
from tonne.certificates.languages import choose_language
from tonne.domain.errors import NotFound
from tonne.http.answers import answer
from tonne.http.documentation import refusals
from tonne.http.request import ApiRequest
from tonne.http.routes.orders import find_own_order
from tonne.storage.progress import find_order_parts
from tonne.wire.credits import (
    AllocationBody,
    RetirementBody,
    allocation_body,
    retirement_body,
)

TAGS = ["Orders"]


@get(
    "/orders/{id:str}/allocations",
    tags=TAGS,
    operation_id="listOrderAllocations",
    summary="List an order's allocations",
    responses=refusals(NotFound),
)
async def list_order_allocations(request: ApiRequest) -> list[AllocationBody]:
    """List an order's parts in retirements, in the order in which they were allocated.

    A part whose retirement the registry rejected is gone from the list; others take its place.
    """
    order = await find_own_order(request)
    async with request.services.pool.acquire(timeout=5) as connection:
        parts = await find_order_parts(connection, request.account, order.order_id)
    return [allocation_body(part) for part in parts]


@get(
    "/orders/{id:str}/retirements",
    tags=TAGS,
    operation_id="listOrderRetirements",
    summary="List an order's retirements",
    responses=refusals(NotFound),
)
async def list_order_retirements(request: ApiRequest) -> list[RetirementBody]:
    """List the retirements that an order has a part in, rejected ones too: registry, serial numbers, state."""
    order = await find_own_order(request)
    async with request.services.pool.acquire(timeout=5) as connection:
        parts = await find_order_parts(connection, request.account, order.order_id, with_rejected=True)
    return [retirement_body(part) for part in parts]


@get(
    "/orders/{id:str}/certificate",
    tags=TAGS,
    operation_id="getOrderCertificate",
    summary="Get an order's certificate",
    media_type="application/pdf",
    responses=refusals(NotFound),
)
async def get_order_certificate(request: ApiRequest) -> Response[Any]:
    """Get the certificate of a complete order: a signed PDF, or its facts with `Accept: application/json`.

    The PDF is in the language that `Accept-Language` asks for, English unless one of ours is asked for; for an order
    and a language it is always the same file, byte for byte.
    """
    order = await find_own_order(request)
    proofs = request.services.proofs
    if _prefers_json(request):
        return answer(certificate_body(await proofs.facts(request.account, order)))
    language = choose_language(request.headers.get("accept-language"))
    pdf = await proofs.pdf(request.account, order, language=language)
    return Response(
        pdf,
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'inline; filename="certificate-{order.order_id}.pdf"',
            "Content-Language": language.value,
            "Vary": "Accept, Accept-Language",
        },
    )


def _prefers_json(request: ApiRequest) -> bool:
    accepted = parse_accept_header(request.headers.get("accept"), MIMEAccept)
    return accepted.best_match(["application/pdf", "application/json"]) == "application/json"
