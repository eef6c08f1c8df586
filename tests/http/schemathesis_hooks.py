"""Loaded by schemathesis: where the contract refuses what JSON Schema can't describe."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

REFUSED_BY_CONTRACT = {
    "bundle_selection_bundle_invalid": "which bundles there are",
    "bundle_selection_ratios_invalid": "that percentages add up to 100",
    "bundle_selection_ratios_invalid_format": "that percentages are for all bundles or for none",
    "bundle_portfolio_invalid": "which portfolios there are",
    "estimate_not_found": "which estimates there are",
    "order_value_invalid": "the minor unit of the account's currency",
    "idempotency_key_reused": "what was sent before",
}
REFUSED_VALUES = {
    "this bundle is named twice": "that a property is unique among the objects of an array",
    "must be at most 1000000000 tonnes": "how much a decimal in a string is, in its unit",
    "must be at most 10000000000000": "how much a decimal in a string is",
    "must be more than 0": "how much a decimal in a string is",
    "emissions must come out at": "what comes out",
    "there is no grid intensity": "which countries have a factor",
    "must be an integer or a string or null, got a number": "that 56.0 is not the integer 56",
    "must be an integer or null, got a number": "that 56.0 is not the integer 56",
    "is no ISO 3166-1 alpha-3 country code": "which countries there are",
    "is no ISO 4217 currency": "which currencies there are",
    "can't change: the account is in": "what the account's currency is",
    "is no project's id": "which projects there are",
    "there is no project": "which projects there are",
    "has characters that certificates can't print": "what fonts can print",
    "must name somebody": "what can be seen",
    "must be printable characters": "what can be seen",
    "must be an email address": "what an email address is",
    "is no column of orders": "what columns a file of orders has",
    "is the column that every file of orders needs": "what columns a file of orders has",
    "is a column twice": "what columns a file of orders has",
    "is no CSV": "what CSV is",
    "there are no rows": "what a row is",
}


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """What is generated for a file is its text."""
    return str(value).encode()


@schemathesis.check
def what_the_description_allows_is_accepted(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """As schemathesis' own `positive_data_acceptance`, but for what is refused by contract."""
    if response.status_code in (400, 422) and _refused_by_contract(response.json()["error"]):
        return None
    return positive_data_acceptance(ctx, response, case)


def _refused_by_contract(error: dict[str, Any]) -> bool:
    code, message = error["error_code"], error["message"]
    return code in REFUSED_BY_CONTRACT or any(part in message for part in REFUSED_VALUES)
