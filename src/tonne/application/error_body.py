"""The one error body: contract, section 3, with the members of RFC 9457 beside it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.errors import TonneError


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong."""

    error_code: Annotated[str, Meta(description="Stable; meant for programs.")]
    message: Annotated[str, Meta(description="What is wrong and what would be right; meant for people.")]


class ViolationBody(msgspec.Struct, frozen=True):
    """One place of the request that does not match."""

    pointer: Annotated[str, Meta(description="JSON pointer into the body, or the parameter's name.")]
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Every error has this body."""

    error: ErrorDetail
    errors: Annotated[list[ErrorDetail], Meta(description="The same error, for older clients.")]
    type: str
    title: str
    status: int
    detail: str
    instance: str
    violations: list[ViolationBody]


def error_body(error: TonneError, *, instance: str) -> ErrorBody:
    """Print an error; `instance` is the path that was asked."""
    detail = ErrorDetail(error.code, error.message)
    return ErrorBody(
        error=detail,
        errors=[detail],
        type=f"urn:tonne:error:{error.code}",
        title=error.http_status.phrase,
        status=error.http_status.value,
        detail=error.message,
        instance=instance,
        violations=[ViolationBody(violation.pointer, violation.message) for violation in error.violations],
    )
