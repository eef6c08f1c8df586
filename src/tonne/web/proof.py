"""Proof for everyone who has the address: the facts about an order, and whether a file is one of our certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from tonne.application.certificate_facts import certificate_body
from tonne.application.error_body import error_body
from tonne.application.proofs import ProofDesk
from tonne.certificates.verifying import FILE_BYTES_MAX, Verdict, mode_of
from tonne.domain.accounts import Mode
from tonne.domain.errors import (
    InternalError,
    NotFound,
    PayloadTooLarge,
    ServiceUnavailable,
    TonneError,
    UnsupportedMediaType,
    ValidationFailed,
)
from tonne.domain.terms import hidden_on
from tonne.domain.times import format_time
from tonne.web.pages import HEADERS, page

HTML, JSON = "text/html", "application/json"
# A form has some lines around the file.
UPLOAD_BYTES_MAX = FILE_BYTES_MAX + 10_000
_UPLOADS = asyncio.Semaphore(4)

Asked = Request[Any, Any, Any]


@get("/{code:str}")
async def show_proof(request: Asked, code: FromPath[str]) -> Response[Any]:
    """The facts about an order: a page, or JSON for who asks for it."""
    desk = _desk(request)
    account, order = await desk.find(code)
    hidden_until = hidden_on(order.terms, desk.now().date())
    facts = certificate_body(await desk.facts(account, order), hidden_until=hidden_until)
    # Whoever has the address may look; search engines only where the account's pages are public.
    headers = {} if account.external_pages_visibility == "public" else {"X-Robots-Tag": "noindex"}
    if _wants(request) == JSON:
        return _json(facts, headers=headers)
    return page("proof.html", headers=headers, facts=facts, is_test=order.mode is Mode.TEST)


@get("/check", sync_to_thread=False)
def show_check_form() -> Response[str]:
    """A form to check a certificate with."""
    return page("check.html", verdict=None)


@post("/check", status_code=200, request_max_body_size=UPLOAD_BYTES_MAX)
async def check_file(request: Asked) -> Response[Any]:
    """Say whether a PDF, sent as it is or in a form, is a certificate of ours and unchanged."""
    # Each of them is held in memory whole.
    if _UPLOADS.locked():
        raise ServiceUnavailable
    async with _UPLOADS:
        verdict = await _desk(request).check(await _sent_file(request))
    if _wants(request) == JSON:
        return _json(
            {
                "valid": verdict.valid,
                "mode": mode_of(verdict),
                "findings": [
                    {"code": finding.code.value, "message": finding.message} for finding in verdict.findings
                ],
                "signed_at": _time(verdict),
                "signer_name": verdict.signer_name,
                "sha256": verdict.sha256,
            }
        )
    return page("check.html", verdict=verdict, signed_at=_time(verdict))


@get("/style.css", sync_to_thread=False)
def style() -> Response[bytes]:
    """The pages' style."""
    return Response(_style(), media_type="text/css", headers={"Cache-Control": "max-age=86400"})


def _refused(request: Asked, error: Exception) -> Response[Any]:
    refused = error if isinstance(error, TonneError) else _of_litestar(error)
    status = refused.http_status.value
    if _wants(request) == JSON:
        body = error_body(refused, instance=request.scope["path"])
        return _json(body, status_code=status, headers=dict(refused.headers))
    sought = isinstance(refused, NotFound)
    return page(
        "refused.html",
        status_code=status,
        headers=dict(refused.headers),
        message=refused.message,
        sought=sought,
    )


def _of_litestar(error: Exception) -> TonneError:
    status = getattr(error, "status_code", InternalError.http_status.value)
    if status == PayloadTooLarge.http_status:
        return PayloadTooLarge(f"A certificate has at most {FILE_BYTES_MAX // 10**6} MB.")
    if status == NotFound.http_status:
        return NotFound()
    if status >= InternalError.http_status:
        return InternalError()
    return ValidationFailed(str(getattr(error, "detail", "")) or None)


PROOF_PAGES = Router(
    "/proof",
    route_handlers=[show_proof, show_check_form, check_file, style],
    request_class=Request,
    exception_handlers={TonneError: _refused, HTTPException: _refused},
    include_in_schema=False,
)


def _desk(request: Asked) -> ProofDesk:
    desk: ProofDesk = request.app.state["services"].proofs
    return desk


def _wants(request: Asked) -> str:
    accepted = parse_accept_header(request.headers.get("accept"), MIMEAccept)
    return accepted.best_match([JSON, HTML], default=JSON) or JSON


async def _sent_file(request: Asked) -> bytes:
    content_type = request.content_type[0]
    if content_type == "application/pdf":
        return await request.body()
    if content_type == "multipart/form-data":
        try:
            sent = (await request.form()).get("file")
        except (LookupError, ValueError) as error:
            # A charset that there is none of, or a form that is none.
            raise ValidationFailed.at("", f"the form can't be read: {error}") from None
        if isinstance(sent, UploadFile):
            return await sent.read()
    raise UnsupportedMediaType(
        "Send the PDF as Content-Type: application/pdf, or in a form as the field `file`."
    )


def _json(
    body: object, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    sent = {**HEADERS, **(headers or {})}
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=JSON, headers=sent)


def _time(verdict: Verdict) -> str | None:
    return None if verdict.signed_at is None else format_time(verdict.signed_at)


@cache
def _style() -> bytes:
    return files("tonne.web").joinpath("style.css").read_bytes()
