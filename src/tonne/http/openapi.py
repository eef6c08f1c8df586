"""Completing the OpenAPI document with what is known more precisely than the framework can tell."""

from __future__ import annotations

from typing import Any

import msgspec

from tonne.application.bulk_rows import BulkRow
from tonne.application.catalogue_entries import BundleEntry, PortfolioEntry, ProjectEntry
from tonne.application.certificate_facts import CertificateBody
from tonne.application.error_body import ErrorBody
from tonne.domain.selection import BUNDLES_MAX
from tonne.http.body_examples import BODY_EXAMPLES
from tonne.wire.accounts import (
    AccountBody,
    AccountPage,
    ChangeAccount,
    ClientAccountBody,
    ClientAccountPage,
    CreateAccount,
    CreateClientAccount,
    PairBody,
    ReplaceAccount,
)
from tonne.wire.audit import AuditEntryBody, AuditPage
from tonne.wire.bulk import BulkBody
from tonne.wire.catalogue import BundleBody, BundlePage, ProjectBody, ProjectPage
from tonne.wire.common import NO_NUL, ChoiceBody
from tonne.wire.credits import AllocationBody, RetirementBody
from tonne.wire.estimate_requests import (
    CreateDeclaredEstimate,
    CreateElectricityEstimate,
    CreateEmissionFactorEstimate,
    CreateTransactionEstimate,
)
from tonne.wire.estimates import (
    EmissionFactorBody,
    EmissionFactorPage,
    EmissionFactorRegions,
    EstimateBody,
    EstimatePage,
)
from tonne.wire.events import (
    AllocationEventData,
    EventBody,
    EventPage,
    OrderEventData,
    WebhookEventData,
)
from tonne.wire.inventory import (
    LotBody,
    LotPage,
    LotState,
    StockBody,
    SuspendLot,
    WithdrawalBody,
    WithdrawSerials,
)
from tonne.wire.keys import (
    CreateKey,
    DisabledKeyBody,
    KeyPage,
    NewKeyBody,
    RotatedKeyBody,
    RotateKey,
)
from tonne.wire.operator import (
    AccountRules,
    BalanceBody,
    ChangeBilling,
    MovePayment,
    PaidOrders,
    PaymentBody,
    PayOrders,
    SuspensionBody,
)
from tonne.wire.operator_catalogue import (
    Changed,
    ImageBody,
    PriceBody,
    RatesBody,
    SetDefaultSelection,
    SetPrice,
    SetRates,
)
from tonne.wire.orders import (
    CreateOrderByEstimate,
    CreateOrderByMass,
    CreateOrderByValue,
    OrderBody,
    OrderPage,
    QuoteByEstimate,
    QuoteByMass,
    QuoteByValue,
)
from tonne.wire.portfolios import ChoosePortfolio, PortfolioBody
from tonne.wire.quotes import QuoteBody
from tonne.wire.reports import DisclosureBody
from tonne.wire.sandbox import AdvanceOrder, ChangeTestBehaviour
from tonne.wire.transport_requests import (
    CreateFlightEstimate,
    CreateMultiLegShippingEstimate,
    CreatePassengerTransportationEstimate,
    CreateShippingEstimate,
)
from tonne.wire.webhooks import (
    AttemptPage,
    CreateWebhook,
    PingResult,
    Replay,
    ReplayResult,
    RotateSecret,
    UpdateWebhook,
    WebhookBody,
)

WIRE = (
    LotBody, LotPage, LotState, StockBody, SuspendLot, WithdrawalBody, WithdrawSerials,
    AccountPage, ChangeAccount, ClientAccountBody, ClientAccountPage, CreateAccount, CreateClientAccount, PairBody,
    ReplaceAccount, SuspensionBody,
    AccountBody, AccountRules, AdvanceOrder, AllocationBody, AuditEntryBody, AuditPage, BalanceBody, BulkBody, BulkRow, BundleBody, BundlePage, CertificateBody,
    ChangeBilling, ChangeTestBehaviour, ChoiceBody, DisclosureBody, CreateElectricityEstimate, CreateOrderByEstimate, MovePayment,
    CreateDeclaredEstimate, CreateEmissionFactorEstimate, CreateFlightEstimate, CreateMultiLegShippingEstimate,
    CreatePassengerTransportationEstimate, CreateShippingEstimate, CreateTransactionEstimate, EmissionFactorBody,
    EmissionFactorPage, EmissionFactorRegions, EstimatePage,
    PaidOrders, PaymentBody, PayOrders,
    CreateOrderByMass, CreateOrderByValue, ErrorBody, EstimateBody, OrderBody, OrderPage, ProjectBody,
    ProjectPage, QuoteBody, QuoteByEstimate, QuoteByMass, QuoteByValue, RetirementBody, BundleEntry, Changed,
    ChoosePortfolio, ImageBody, PortfolioBody, PortfolioEntry, PriceBody, ProjectEntry, RatesBody, SetDefaultSelection,
    SetPrice, SetRates, CreateKey, DisabledKeyBody, KeyPage, NewKeyBody, RotatedKeyBody, RotateKey,
    AllocationEventData, EventBody, EventPage, OrderEventData, WebhookEventData, AttemptPage, CreateWebhook, PingResult,
    Replay, ReplayResult, RotateSecret, UpdateWebhook, WebhookBody,
)  # fmt: skip

REQUEST_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
    "description": "Makes the request safely repeatable: the same payload is answered with the stored answer and "
    "`Idempotent-Replayed: true`, another payload with 422.",
}
PATH_PARAMETERS = {
    "id": "The object's id.",
    "slug": "The project's slug.",
    "idempotency_key": "The key it was made with; percent-encode what is not a letter or digit.",
    "factor_id": "The factor's id, with its slashes.",
}
# Operations that say everything with their path.
WITHOUT_CONTENT = {"releaseLot", "cancelOrder", "suspendAccount", "resumeAccount", "pingWebhook"}
NO_CONTENT = {
    "required": False,
    "description": "None is needed.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "maxProperties": 0},
            "examples": {"one": {"value": {}}},
        }
    },
}
METADATA_FILTER = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": NO_NUL,
        "additionalProperties": {"type": "string"} | NO_NUL,
    },
    "description": "Those whose metadata has these values: `metadata[key]=value`.",
}
ACCOUNT_HEADER = {
    "name": "Lune-Account",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "format": "uuid"},
    "description": "Act for another account of the key's organisation and mode; also `Tonne-Account`.",
}
VERSION_HEADER = {
    "name": "Lune-Version",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["2024-08-08"]},
    "description": "The API version asked for.",
}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"schema": {"type": "string"} | schema, "description": description}


COMMON_HEADERS = {
    "X-Request-Id": _header("Names this request in our logs; also sent as CF-Ray."),
    "Lune-Version": _header("The API version."),
    "RateLimit-Policy": _header("The key's limit."),
    "RateLimit": _header("Requests left, and seconds until all are there again."),
}
RETRY_AFTER = {"Retry-After": _header("Seconds to wait.", type="integer", minimum=1)}
HEADERS_BY_STATUS = {
    "401": {"WWW-Authenticate": _header("How to say who you are.", const="Bearer")},
    "429": RETRY_AFTER,
    "503": RETRY_AFTER,
}
# Of operations that take an `Idempotency-Key`.
REPEATABLE_HEADERS_BY_STATUS = {
    "200": {
        "Idempotent-Replayed": _header(
            "This is the stored answer to an earlier request with the same `Idempotency-Key`.", const="true"
        )
    },
    "409": {"Location": _header("The object that has this `idempotency_key` already.")},
}


# Operations that take a picture as it is.
PICTURES = {
    "uploadImage": ("image/png", "image/jpeg", "image/webp"),
    "putLogo": ("image/png", "image/jpeg", "image/svg+xml"),
}
# What the rows of a file have as NDJSON, in each line, and as CSV, with the same names as columns.
BULK_ROWS = {
    "required": True,
    "content": {
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "A `BulkRow` a line."},
            "examples": {
                "one": {"value": '{"idempotency_key": "invoice-1042", "mass": "12.07", "unit": "kg"}\n'}
            },
        },
        "text/csv": {
            "schema": {"type": "string"},
            "examples": {"one": {"value": "idempotency_key,mass,unit\r\ninvoice-1042,12.07,kg\r\n"}},
        },
    },
}
BATCH = {
    "type": "array",
    "minItems": 1,
    "maxItems": 10_000,
    "items": {"$ref": "#/components/schemas/CreateTransactionEstimate"},
}
BATCH_OUTCOMES = {
    "type": "array",
    "items": {
        "anyOf": [{"$ref": "#/components/schemas/EstimateBody"}, {"$ref": "#/components/schemas/ErrorBody"}]
    },
}
OPTIONAL_BODIES = {"advanceOrder": "AdvanceOrder", "rotateWebhookSecret": "RotateSecret"}


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Complete Litestar's OpenAPI document.

    Litestar knows paths, parameters and answers; msgspec knows the shapes of bodies to the last constraint.
    """
    _, shapes = msgspec.json.schema_components(WIRE, ref_template="#/components/schemas/{name}")
    known = document["components"]["schemas"]
    known.update(shapes)
    for name in ("CreateOrderByMass", "QuoteByMass"):
        known[name] |= _either_mass_or_bundle_masses()
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    return document


def _either_mass_or_bundle_masses() -> dict[str, Any]:
    null = {"type": "null"}
    return {
        "oneOf": [
            {
                "required": ["mass"],
                "properties": {"mass": {"not": null}, "bundle_masses": null},
            },
            {
                "required": ["bundle_masses"],
                "properties": {"bundle_masses": {"not": null}, "mass": null, "bundle_selection": null},
            },
        ],
    }


def _complete(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    is_repeatable = "422" in operation["responses"]
    for status, answer in operation["responses"].items():
        headers = COMMON_HEADERS | HEADERS_BY_STATUS.get(status, {})
        if is_repeatable:
            headers = headers | REPEATABLE_HEADERS_BY_STATUS.get(status, {})
        answer["headers"] = answer.get("headers", {}) | headers
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        _complete_parameter(parameter)
    if name in ("listOrders", "listEstimates"):
        parameters.append(METADATA_FILTER)
    if is_repeatable:
        parameters.append(REQUEST_KEY)
    parameters += [ACCOUNT_HEADER, VERSION_HEADER]
    if name in WITHOUT_CONTENT:
        operation["requestBody"] = NO_CONTENT
    _complete_bodies(operation)


def _complete_bodies(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    if name == "getOrderCertificate":
        facts = {"schema": {"$ref": "#/components/schemas/CertificateBody"}}
        operation["responses"]["200"]["content"] = {
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            "application/json": facts,
        }
    if name in PICTURES:
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(PICTURES[name], binary)}
    if name == "orderInBulk":
        operation["requestBody"] = BULK_ROWS
        results = {"schema": {"type": "string", "description": "A result a line, then the total."}}
        operation["responses"]["200"]["content"]["application/x-ndjson"] = results
    if name == "createBatchTransactionEstimate":
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": BATCH}}}
        operation["responses"]["200"]["content"]["application/json"]["schema"] = BATCH_OUTCOMES
    if name == "reportRetirements":
        operation["responses"]["200"]["content"] |= {
            "text/csv": {"schema": {"type": "string"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        }
    if name in OPTIONAL_BODIES:
        shape = {"$ref": f"#/components/schemas/{OPTIONAL_BODIES[name]}"}
        content = {"schema": shape, "examples": {"one": {"value": BODY_EXAMPLES[name]}}}
        operation["requestBody"] = {"required": False, "content": {"application/json": content}}
    elif name in BODY_EXAMPLES:
        content = operation["requestBody"]["content"]["application/json"]
        content["examples"] = {"one": {"value": BODY_EXAMPLES[name]}}
        if name == "putBundleSelection":
            content["schema"] |= {"minItems": 1, "maxItems": BUNDLES_MAX}


def _complete_parameter(parameter: dict[str, Any]) -> None:
    # An optional parameter is left out, there is no null in a query or header.
    parameter["schema"].pop("oneOf", None)
    parameter["schema"].setdefault("type", "string")
    parameter["schema"].pop("description", None)
    if parameter["in"] == "path":
        parameter["description"] = PATH_PARAMETERS[parameter["name"]]
        parameter["schema"] = {"type": "string"}
