"""Proof for everyone who has the address: the facts about an order, and whether a file is one of our certificates."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from tonne.application.certificate_facts import certificate_body
from tonne.application.proofs import ProofDesk
from tonne.certificates.verifying import FILE_BYTES_MAX, Verdict
from tonne.domain.accounts import Mode
from tonne.domain.errors import TonneError, UnsupportedMediaType
from tonne.domain.terms import hidden_on
from tonne.domain.times import format_time
from tonne.web.pages import HEADERS, page

HTML, JSON = "text/html", "application/json"
# A form has some lines around the file.
UPLOAD_BYTES_MAX = FILE_BYTES_MAX + 10_000

Asked = Request[Any, Any, Any]


@get("/{code:str}")
async def show_proof(request: Asked, code: FromPath[str]) -> Response[Any]:
    """The facts about an order: a page, or JSON for who asks for it."""
    desk = _desk(request)
    account, order = await desk.find(code)
    hidden_until = hidden_on(order.terms, desk.now().date())
    facts = certificate_body(await desk.facts(account, order), hidden_until=hidden_until)
    if _wants(request) == JSON:
        return _json(facts)
    return page("proof.html", facts=facts, is_test=order.mode is Mode.TEST)


@get("/check", sync_to_thread=False)
def show_check_form() -> Response[str]:
    """A form to check a certificate with."""
    return page("check.html", verdict=None)


@post("/check", status_code=200, request_max_body_size=UPLOAD_BYTES_MAX)
async def check_file(request: Asked) -> Response[Any]:
    """Say whether a PDF, sent as it is or in a form, is a certificate of ours and unchanged."""
    verdict = await _desk(request).check(await _sent_file(request))
    if _wants(request) == JSON:
        return _json(
            {
                "valid": verdict.valid,
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
    status = error.http_status.value if isinstance(error, TonneError) else getattr(error, "status_code", 500)
    message = error.message if isinstance(error, TonneError) else getattr(error, "detail", "")
    if _wants(request) == JSON:
        code = error.code if isinstance(error, TonneError) else "validation_error"
        told = {"error_code": code, "message": message}
        return _json({"error": told, "errors": [told]}, status_code=status)
    return page("refused.html", status_code=status, message=message)


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
    try:
        return request.accept.best_match([JSON, HTML], default=JSON) or JSON
    except OverflowError:
        # A weight of infinity, which is none.
        return JSON


async def _sent_file(request: Asked) -> bytes:
    content_type = request.content_type[0]
    if content_type == "application/pdf":
        return await request.body()
    if content_type == "multipart/form-data":
        sent = (await request.form()).get("file")
        if isinstance(sent, UploadFile):
            return await sent.read()
    raise UnsupportedMediaType(
        "Send the PDF as Content-Type: application/pdf, or in a form as the field `file`."
    )


def _json(body: object, *, status_code: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=JSON, headers=HEADERS)


def _time(verdict: Verdict) -> str | None:
    return None if verdict.signed_at is None else format_time(verdict.signed_at)


@cache
def _style() -> bytes:
    return files("tonne.web").joinpath("style.css").read_bytes()
