"""Every refusal is declared once, with its code, its status and what would be right: contract, section 3."""

from __future__ import annotations

import re
from http import HTTPStatus
from uuid import UUID

import pytest

from tonne.domain.errors import (
    EstimateIdempotencyAlreadyExists,
    IdempotencyKeyInUse,
    MethodNotAllowed,
    OrderIdempotencyAlreadyExists,
    OrderQuantityInvalid,
    RateLimited,
    ServiceUnavailable,
    TonneError,
    Unauthorised,
    ValidationFailed,
    Violation,
    declared_errors,
)

# The contract's table.
CONTRACT = {
    "validation_error": 400,
    "bundle_selection_bundle_invalid": 400,
    "bundle_selection_ratios_invalid": 400,
    "bundle_selection_ratios_invalid_format": 400,
    "order_value_invalid": 400,
    "estimate_not_found": 400,
    "pagination_limit_invalid": 400,
    "id_invalid": 400,
    "bundle_id_invalid": 400,
    "api_version_invalid": 400,
    "unauthorised": 401,
    "account_scope_incorrect": 403,
    "insufficient_scope": 403,
    "not_found": 404,
    "account_suspended": 409,
    "order_idempotency_already_exists": 409,
    "estimate_order_already_placed": 409,
    "order_quantity_invalid": 409,
    "exchange_rate_not_found": 409,
    "insufficient_credits": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal_error": 500,
    "service_unavailable": 503,
}

# What it has elsewhere (section 4, the Idempotency-Key header), and what we add where HTTP or an endpoint needs it.
ADDITIONS = {
    "address_not_allowed": 403,
    "idempotency_key_reused": 422,
    "idempotency_key_in_use": 409,
    "method_not_allowed": 405,
    "estimate_idempotency_already_exists": 409,
    "order_not_cancellable": 409,
    "order_not_advanceable": 409,
    "payment_reference_reused": 409,
    "insufficient_stock": 409,
    "account_handle_already_exists": 409,
    "account_idempotency_already_exists": 409,
    "bundle_portfolio_invalid": 400,
    "catalogue_conflict": 409,
    "spending_cap_exceeded": 409,
    "unit_price_above_maximum": 409,
    "restrictions_unmet": 409,
    "airport_invalid": 400,
    "locode_not_found": 400,
    "port_not_found": 400,
    "address_not_found": 400,
    "distance_invalid": 400,
    "emission_factor_id_invalid": 400,
    "emission_factor_unit_mismatch": 400,
}

ERRORS = sorted(
    {error for error in declared_errors() if error.__module__.startswith("tonne.")},
    key=lambda error: error.__name__,
)
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def first_line(error: type[TonneError]) -> str:
    return (error.__doc__ or "").partition("\n")[0]


def is_a_sentence(text: str) -> bool:
    """A capital, some words, a full stop, and nothing left over around it."""
    return re.fullmatch(r"[A-Z].* .*[^.\s]\.", text) is not None


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in ERRORS]
    assert sorted(codes) == sorted(set(codes))


@each_error
def test_every_code_and_status_is_the_contracts_or_a_known_addition(error: type[TonneError]) -> None:
    known = CONTRACT | ADDITIONS
    assert error.code in known
    assert error.http_status == known[error.code]


def test_every_code_of_the_contract_is_declared() -> None:
    assert CONTRACT.keys() | ADDITIONS.keys() == {error.code for error in ERRORS}


def test_no_code_is_in_the_contract_and_an_addition_at_once() -> None:
    assert not CONTRACT.keys() & ADDITIONS.keys()


@each_error
def test_every_error_declares_its_own_code_status_and_docstring(error: type[TonneError]) -> None:
    declared_here = vars(error)
    assert isinstance(declared_here["http_status"], HTTPStatus)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", declared_here["code"])
    assert declared_here["__doc__"]


@each_error
def test_every_docstring_begins_with_a_sentence(error: type[TonneError]) -> None:
    assert is_a_sentence(first_line(error))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Order quantity must be positive.", True),
        ("Send a valid API key: Authorization: Bearer <api key>.", True),
        ("order quantity must be positive.", False),
        ("Order quantity must be positive", False),
        ("Order quantity must be positive...", False),
        ("Order quantity must be positive. ", False),
        ("Invalid.", False),
        ("", False),
    ],
)
def test_a_sentence_has_a_capital_words_and_a_full_stop(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_a_sentence(text) == is_one


@each_error
def test_without_a_message_the_first_line_of_the_docstring_is_said(error: type[TonneError]) -> None:
    assert error().message == str(error()) == first_line(error)


@each_error
def test_with_a_message_that_is_said(error: type[TonneError]) -> None:
    assert error("Something else.").message == str(error("Something else.")) == "Something else."


@each_error
def test_headers_are_texts_without_line_breaks(error: type[TonneError]) -> None:
    for name, value in error().headers.items():
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert not re.search(r"[\r\n]", value)


def test_errors_of_errors_are_walked_too() -> None:
    # Not made of TonneError: other tests that walk the errors would meet them.
    class Root:
        pass

    class Broader(Root):
        pass

    class Narrower(Broader):
        pass

    walked = declared_errors(Root)  # type: ignore[arg-type]
    assert [error.__name__ for error in walked] == ["Broader", "Narrower"]


def test_a_violation_says_where_and_what() -> None:
    error = ValidationFailed.at("/mass/amount", "must be a decimal number")
    assert error.message == "/mass/amount: must be a decimal number"
    assert error.violations == (Violation("/mass/amount", "must be a decimal number"),)


def test_a_violation_of_the_whole_body_has_no_place() -> None:
    error = ValidationFailed.at("", "must be an object")
    assert error.message == "must be an object"
    assert error.violations == (Violation("", "must be an object"),)


ORDER_ID = UUID(int=7)


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (Unauthorised(), {"WWW-Authenticate": "Bearer"}),
        (OrderIdempotencyAlreadyExists(order_id=ORDER_ID), {"Location": f"/v1/orders/{ORDER_ID}"}),
        (OrderIdempotencyAlreadyExists(), {}),
        (EstimateIdempotencyAlreadyExists(location="/v1/estimates/7"), {"Location": "/v1/estimates/7"}),
        (EstimateIdempotencyAlreadyExists(), {}),
        (MethodNotAllowed(allowed=["POST", "GET"]), {"Allow": "GET, POST"}),
        (RateLimited(retry_after_seconds=3), {"Retry-After": "3"}),
        (RateLimited(), {"Retry-After": "1"}),
        (IdempotencyKeyInUse(), {"Retry-After": "1"}),
        (ServiceUnavailable(), {"Retry-After": "1"}),
        (OrderQuantityInvalid(), {}),
    ],
)
def test_errors_bring_the_headers_that_tell_what_to_do(error: TonneError, headers: dict[str, str]) -> None:
    assert dict(error.headers) == headers
