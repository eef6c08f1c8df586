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
    "airport_invalid": "which airports there are",
    "locode_not_found": "which sea ports there are",
    "port_not_found": "where the sea is",
    "address_not_found": "that addresses are not looked up",
    "distance_invalid": "how far two places are apart, and how much a decimal in a string is",
    "emission_factor_id_invalid": "which emission factors there are",
    "emission_factor_unit_mismatch": "what a factor counts by",
    "order_value_invalid": "the minor unit of the account's currency",
    "idempotency_key_reused": "what was sent before",
    "id_invalid": "what ids there are",
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
    "must be an integer, got a number": "that 56.0 is not the integer 56",
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
    "give either a distance (amount and unit), or source": "that a route is told in one way",
    "is missing: a route has both ends": "that a route is told in one way",
    "is missing: a distance has an amount and a unit": "that a route is told in one way",
    "tell a place in one way": "that a place is told in one way",
    "coordinates are both: lat and lon": "that a place is told in one way",
    "takes a corridor": "which properties of a route go together",
    "how far it is on rivers and canals is not known": "which means of transport need a distance",
    "a leg has exactly one of": "that a leg goes by one means of transport",
    "is for legs with a": "which properties of a leg go together",
    "is for flights": "which properties of a leg go together",
    "only cars are told apart by their fuel": "which properties of a leg go together",
    "taxis, buses and coaches count by passenger": "which properties of a leg go together",
    "there is no car_": "which cars there are",
    "give either a mass or containers": "that a shipment is told in one way",
    "is for containers": "that a shipment is told in one way",
    "there is no factor for refrigerated containers": "which ships there are factors for",
    "there is no shipping method": "which means of transport there are",
    "must be an ISO 3166-1 alpha-3 code": "which countries there are",
    "give a category_code or a search_term": "that a purchase is told in one of two ways",
    "there is no emission factor for merchant category": "which categories have a factor",
    "nothing that has an emission factor is called": "what a purchase may be called",
    "is no day such as": "what a day is",
    "must be an RFC 3339 time with its offset": "that a string is a day or a time",
    "prices are known from": "which years prices are known of",
    "must be years of four digits": "what years separated by commas are",
    "takes at most 20 values": "how many values separated by commas there are",
    "is no CSV": "what CSV is",
    "there are no rows": "what a row is",
    "km of sea": "where the sea is",
    "is yet to come": "what day it is",
    "Send a picture as": "what a picture is",
    "Send a logo as": "what a picture is",
    "certificates can't print this logo": "what a picture is",
    "must begin with https://": "what a URL of an endpoint is",
    "must be a URL": "what a URL of an endpoint is",
    "must have no user, password or fragment": "what a URL of an endpoint is",
    "is not a public address": "which addresses are public",
    "is no account's id": "which accounts there are",
    "account of this organisation": "which accounts there are",
    "webhooks already: delete one": "how many there are",
    "must be one of this account's": "which events there are",
    "there is no event yet": "which events there are",
    "must be of order.received": "which types of events, separated by commas, there are",
}
NOBODY = "http://127.0.0.1:9/hook"


@schemathesis.hook
def before_call(ctx: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Whatever is generated, nothing is sent beyond this machine."""
    body = case.body
    if (
        case.operation.path.startswith("/v1/webhooks")
        and isinstance(body, dict)
        and str(body.get("url", "")).lower().startswith("http")
    ):
        body["url"] = NOBODY


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """What is generated for a file is its text."""
    return str(value).encode()


@schemathesis.check
def what_the_description_allows_is_accepted(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """As schemathesis' own `positive_data_acceptance`, but for what is refused by contract."""
    if response.status_code in (400, 415, 422) and _refused_by_contract(response.json()["error"]):
        return None
    return positive_data_acceptance(ctx, response, case)


def _refused_by_contract(error: dict[str, Any]) -> bool:
    code, message = error["error_code"], error["message"]
    return code in REFUSED_BY_CONTRACT or any(part in message for part in REFUSED_VALUES)
