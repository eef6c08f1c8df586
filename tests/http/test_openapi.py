"""The OpenAPI description says what the contract says, and the documentation page needs no other host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.core.result import Ok
from tests.support import Service

from tonne.domain.errors import declared_errors
from tonne.http.documentation import EVERYWHERE

DRAFT = "https://json-schema.org/draft/2020-12/schema"
OPERATIONS = {
    "POST /v1/orders/by-mass", "POST /v1/orders/by-value", "POST /v1/orders/by-estimate", "GET /v1/orders",
    "GET /v1/orders/{id}", "GET /v1/orders/{id}/certificate",
    "GET /v1/orders/by-idempotency-key/{idempotency_key}", "POST /v1/orders/by-mass/quote",
    "POST /v1/orders/by-value/quote", "POST /v1/orders/by-estimate/quote", "GET /v1/bundles",
    "GET /v1/bundles/{id}", "GET /v1/projects", "GET /v1/projects/{id}", "GET /v1/projects/by-slug/{slug}",
    "GET /v1/bundle-selections", "PUT /v1/bundle-selections", "GET /v1/accounts/me",
    "POST /v1/estimates/electricity", "GET /v1/estimates/electricity/{id}", "POST /v1/orders/{id}/cancel",
    "GET /v1/orders/{id}/allocations", "GET /v1/orders/{id}/retirements", "POST /v1/test/orders/{id}/advance",
    "GET /v1/test/behaviour", "PUT /v1/test/behaviour", "POST /v1/operator/orders/pay", "GET /v1/operator/accounts/{id}/balance",
    "POST /v1/operator/accounts/{id}/top-up", "POST /v1/operator/accounts/{id}/refund",
    "PUT /v1/operator/accounts/{id}/billing", "PUT /v1/operator/accounts/{id}/test-behaviour",
    "GET /v1/bundle-portfolios", "PUT /v1/bundle-portfolios", "POST /v1/operator/projects",
    "PUT /v1/operator/projects/{id}", "PATCH /v1/operator/projects/{id}", "POST /v1/operator/bundles",
    "PUT /v1/operator/bundles/{id}", "PATCH /v1/operator/bundles/{id}", "GET /v1/operator/bundles/{id}/prices",
    "POST /v1/operator/bundles/{id}/prices", "POST /v1/operator/portfolios", "PUT /v1/operator/portfolios/{id}",
    "PATCH /v1/operator/portfolios/{id}", "PUT /v1/operator/default-selection", "POST /v1/operator/exchange-rates",
    "POST /v1/operator/images", "POST /v1/operator/keys", "GET /v1/operator/keys", "POST /v1/operator/keys/{id}/rotate",
    "DELETE /v1/operator/keys/{id}", "GET /v1/events", "GET /v1/events/{id}", "POST /v1/webhooks", "GET /v1/webhooks",
    "GET /v1/webhooks/{id}", "PUT /v1/webhooks/{id}", "DELETE /v1/webhooks/{id}", "PUT /v1/webhooks/{id}/rotate-secret",
    "POST /v1/webhooks/{id}/ping", "GET /v1/webhooks/{id}/attempts", "POST /v1/webhooks/{id}/replay",
    "GET /v1/operator/lots", "POST /v1/operator/lots/{id}/suspend", "POST /v1/operator/lots/{id}/release",
    "POST /v1/operator/lots/{id}/withdraw", "GET /v1/operator/inventory",
    "GET /v1/accounts", "POST /v1/accounts", "PUT /v1/accounts/me", "PATCH /v1/accounts/me", "GET /v1/accounts/{id}",
    "PUT /v1/accounts/{id}", "PATCH /v1/accounts/{id}", "GET /v1/accounts/client", "POST /v1/accounts/client",
    "GET /v1/accounts/client/me", "PUT /v1/accounts/client/me", "PATCH /v1/accounts/client/me",
    "GET /v1/accounts/client/{id}", "PUT /v1/accounts/client/{id}", "PATCH /v1/accounts/client/{id}",
    "PUT /v1/accounts/me/logo", "DELETE /v1/accounts/me/logo", "POST /v1/operator/accounts/{id}/suspend",
    "POST /v1/operator/accounts/{id}/resume",
    "POST /v1/orders/bulk", "GET /v1/operator/audit", "GET /v1/operator/reports/retirements",
    "PUT /v1/estimates/electricity/{id}", "POST /v1/estimates/flight", "GET /v1/estimates/flight/{id}",
    "POST /v1/estimates/passenger-transportation", "GET /v1/estimates/passenger-transportation/{id}",
    "POST /v1/estimates/shipping", "GET /v1/estimates/shipping/{id}", "PUT /v1/estimates/shipping/{id}",
    "POST /v1/estimates/shipping/multi-leg", "GET /v1/estimates/shipping/multi-leg/{id}",
    "PUT /v1/estimates/shipping/multi-leg/{id}", "POST /v1/estimates/transactions",
    "GET /v1/estimates/transactions/{id}", "PUT /v1/estimates/transactions/{id}",
    "GET /v1/estimates/transactions/by-idempotency-key/{idempotency_key}", "POST /v1/estimates/transactions/batch",
    "POST /v1/estimates/emission-factor", "GET /v1/estimates/emission-factor/{id}", "POST /v1/estimates/declared",
    "GET /v1/estimates/declared/{id}", "GET /v1/estimates", "GET /v1/estimates/{id}", "GET /v1/emission-factors",
    "GET /v1/emission-factors/regions", "GET /v1/emission-factors/by-id/{factor_id}",
}  # fmt: skip
BODY = {"validation_error", "payload_too_large", "unsupported_media_type"}
SELECTION = {
    "bundle_selection_bundle_invalid", "bundle_selection_ratios_invalid",
    "bundle_selection_ratios_invalid_format",
}  # fmt: skip
PRICED = BODY | SELECTION | {
    "order_quantity_invalid", "exchange_rate_not_found", "unit_price_above_maximum", "restrictions_unmet",
}  # fmt: skip
ORDERED = PRICED | {
    "account_suspended", "order_idempotency_already_exists", "idempotency_key_in_use", "idempotency_key_reused",
    "insufficient_credits", "insufficient_stock", "spending_cap_exceeded",
}  # fmt: skip
ESTIMATED = BODY | SELECTION | {"estimate_idempotency_already_exists"}
MADE = ESTIMATED | {"idempotency_key_reused"}
CHANGED = ESTIMATED | {"not_found", "estimate_order_already_placed"}
ROUTED = {"airport_invalid", "locode_not_found", "port_not_found", "address_not_found", "distance_invalid"}
OPERATED = {"insufficient_scope", "not_found"}
PAGED = {"validation_error", "pagination_limit_invalid"}
# Beside those that every operation may answer with.
OWN_ERRORS = {
    "POST /v1/orders/by-mass": ORDERED,
    "POST /v1/orders/by-value": ORDERED | {"order_value_invalid"},
    "POST /v1/orders/by-estimate": ORDERED | {"estimate_not_found", "estimate_order_already_placed"},
    "GET /v1/orders": PAGED | {"id_invalid"},
    "GET /v1/orders/{id}": {"not_found"},
    "GET /v1/orders/{id}/certificate": {"not_found"},
    "GET /v1/orders/by-idempotency-key/{idempotency_key}": {"not_found"},
    "POST /v1/orders/by-mass/quote": PRICED,
    "POST /v1/orders/by-value/quote": PRICED | {"order_value_invalid"},
    "POST /v1/orders/by-estimate/quote": PRICED | {"estimate_not_found"},
    "GET /v1/bundles": PAGED | {"bundle_id_invalid", "exchange_rate_not_found"},
    "GET /v1/bundles/{id}": {"not_found", "exchange_rate_not_found"},
    "GET /v1/projects": PAGED | {"id_invalid"},
    "GET /v1/projects/{id}": {"not_found"},
    "GET /v1/projects/by-slug/{slug}": {"not_found"},
    "GET /v1/bundle-selections": set(),
    "PUT /v1/bundle-selections": BODY | SELECTION,
    "GET /v1/accounts/me": set(),
    **dict.fromkeys(["POST /v1/estimates/electricity", "POST /v1/estimates/declared"], MADE),
    **{
        f"POST /v1/estimates/{kind}": MADE | ROUTED
        for kind in ("flight", "passenger-transportation", "shipping", "shipping/multi-leg")
    },
    "POST /v1/estimates/transactions": MADE | {"exchange_rate_not_found"},
    "POST /v1/estimates/emission-factor": MADE
    | {"emission_factor_id_invalid", "emission_factor_unit_mismatch"},
    "POST /v1/estimates/transactions/batch": BODY,
    "PUT /v1/estimates/electricity/{id}": CHANGED,
    "PUT /v1/estimates/shipping/{id}": CHANGED | ROUTED,
    "PUT /v1/estimates/shipping/multi-leg/{id}": CHANGED | ROUTED,
    "PUT /v1/estimates/transactions/{id}": CHANGED | {"exchange_rate_not_found"},
    **{
        f"GET /v1/estimates/{path}": {"not_found"}
        for path in (
            "electricity/{id}",
            "flight/{id}",
            "passenger-transportation/{id}",
            "shipping/{id}",
            "shipping/multi-leg/{id}",
            "transactions/{id}",
            "transactions/by-idempotency-key/{idempotency_key}",
            "emission-factor/{id}",
            "declared/{id}",
            "{id}",
        )
    },
    "GET /v1/estimates": PAGED | {"id_invalid"},
    "GET /v1/emission-factors": PAGED | {"id_invalid"},
    "GET /v1/emission-factors/regions": {"validation_error"},
    "GET /v1/emission-factors/by-id/{factor_id}": {"not_found"},
    "GET /v1/orders/{id}/allocations": {"not_found"},
    "GET /v1/orders/{id}/retirements": {"not_found"},
    "POST /v1/test/orders/{id}/advance": BODY
    | {"not_found", "order_not_advanceable", "order_not_cancellable"},
    "GET /v1/test/behaviour": {"not_found"},
    "PUT /v1/test/behaviour": BODY | {"not_found"},
    "POST /v1/orders/{id}/cancel": BODY | {"not_found", "order_not_cancellable"},
    "POST /v1/operator/orders/pay": BODY | {"insufficient_scope"},
    "GET /v1/operator/accounts/{id}/balance": OPERATED,
    "POST /v1/operator/accounts/{id}/top-up": BODY | OPERATED | {"payment_reference_reused"},
    "POST /v1/operator/accounts/{id}/refund": BODY
    | OPERATED
    | {"payment_reference_reused", "insufficient_credits"},
    "PUT /v1/operator/accounts/{id}/billing": BODY | OPERATED,
    "PUT /v1/operator/accounts/{id}/test-behaviour": BODY | OPERATED,
    "GET /v1/events": PAGED | {"id_invalid"},
    "GET /v1/events/{id}": {"not_found"},
    "POST /v1/webhooks": BODY,
    "GET /v1/webhooks": {"validation_error"},
    "GET /v1/webhooks/{id}": {"not_found"},
    "PUT /v1/webhooks/{id}": BODY | {"not_found"},
    "DELETE /v1/webhooks/{id}": {"not_found"},
    "PUT /v1/webhooks/{id}/rotate-secret": BODY | {"not_found"},
    "POST /v1/webhooks/{id}/ping": BODY | {"not_found"},
    "GET /v1/webhooks/{id}/attempts": PAGED | {"id_invalid", "not_found"},
    "POST /v1/webhooks/{id}/replay": BODY | {"not_found"},
    "POST /v1/operator/keys": BODY | {"insufficient_scope"},
    "GET /v1/operator/keys": PAGED | {"id_invalid", "insufficient_scope"},
    "POST /v1/operator/keys/{id}/rotate": BODY | OPERATED,
    "DELETE /v1/operator/keys/{id}": OPERATED,
    "GET /v1/bundle-portfolios": set(),
    **dict.fromkeys(["GET /v1/accounts", "GET /v1/accounts/client"], PAGED | {"id_invalid"}),
    "POST /v1/accounts": BODY | {"account_handle_already_exists", "account_suspended"},
    "POST /v1/accounts/client": BODY
    | {"account_suspended"}
    | {"account_handle_already_exists", "account_idempotency_already_exists"},
    **{
        key: {"not_found"}
        for key in ["GET /v1/accounts/{id}", "GET /v1/accounts/client/{id}", "GET /v1/accounts/client/me"]
    },
    **{
        f"{method} /v1/accounts/{path}": BODY
        | {"account_handle_already_exists"}
        | (set() if path == "me" else {"not_found"})
        for method in ("PUT", "PATCH")
        for path in ("me", "{id}", "client/me", "client/{id}")
    },
    "PUT /v1/accounts/me/logo": BODY,
    "DELETE /v1/accounts/me/logo": set(),
    "GET /v1/operator/lots": PAGED | {"id_invalid"},
    "POST /v1/operator/lots/{id}/suspend": BODY | OPERATED,
    "POST /v1/operator/lots/{id}/release": BODY | OPERATED,
    "POST /v1/operator/lots/{id}/withdraw": BODY | OPERATED | {"catalogue_conflict"},
    "GET /v1/operator/inventory": {"insufficient_scope"},
    "POST /v1/operator/accounts/{id}/suspend": BODY | OPERATED,
    "POST /v1/operator/accounts/{id}/resume": BODY | OPERATED,
    "PUT /v1/bundle-portfolios": BODY | {"bundle_portfolio_invalid"},
    "GET /v1/operator/bundles/{id}/prices": OPERATED,
    "PUT /v1/operator/default-selection": BODY | {"insufficient_scope"},
    "POST /v1/operator/images": BODY | {"insufficient_scope"},
    **{
        f"POST /v1/operator/{kind}": BODY | {"insufficient_scope", "catalogue_conflict"}
        for kind in ("projects", "bundles", "portfolios", "exchange-rates")
    },
    **{
        f"{method} /v1/operator/{kind}/{{id}}": BODY | OPERATED | {"catalogue_conflict"}
        for kind in ("projects", "bundles", "portfolios")
        for method in ("PUT", "PATCH")
    },
    "POST /v1/operator/bundles/{id}/prices": BODY | OPERATED | {"catalogue_conflict"},
    "POST /v1/orders/bulk": BODY,
    "GET /v1/operator/reports/retirements": {"validation_error", "insufficient_scope"},
    "GET /v1/operator/audit": PAGED | {"id_invalid", "insufficient_scope"},
}
ORDER = {
    "id", "idempotency_key", "type", "status", "currency", "offset_cost", "commission", "total_cost", "quantity",
    "requested_quantity", "requested_value", "estimate_id", "payment_method", "created_at", "bundles", "projects",
    "certificate", "public_certificate_url", "metadata", "offset_link_id", "email", "account_id", "mode",
    "beneficiary", "status_history", "retire_by", "waiting_for", "max_unit_price", "min_vintage_year",
    "excluded_countries", "excluded_projects",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    """The description, got without a key."""
    answer = httpx.get(f"{service.base_url}/v1/openapi.json", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def under(node: Any, pointer: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document, with the place it is at."""
    if isinstance(node, dict):
        yield pointer, node
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(child, dict | list):
            yield from under(child, f"{pointer}/{name}")


def validator(schema: Any, document: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        {"$schema": DRAFT, "allOf": [schema], "components": document["components"]}, validate_formats=True
    )


# The document.


def test_the_description_is_openapi_3_1_that_a_client_can_load(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"]["title"] == "Tonne"
    assert document["info"]["description"]
    found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    assert {each.ok().label for each in found if isinstance(each, Ok)} == OPERATIONS
    assert len(found) == len(OPERATIONS)


def test_every_operation_that_is_due_exists_and_no_other(operations: dict[str, Any]) -> None:
    assert set(operations) == OPERATIONS == set(OWN_ERRORS)


def test_every_schema_is_json_schema(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": DRAFT, **schema}), name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for pointer, node in under(document):
        if isinstance(node.get("$ref"), str):
            _, _, name = node["$ref"].partition("#/components/schemas/")
            assert name in document["components"]["schemas"], pointer


def test_the_server_is_the_one_the_document_came_from(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_a_bearer_key_is_needed_everywhere(document: dict[str, Any], operations: dict[str, Any]) -> None:
    (name,) = [name for requirement in document["security"] for name in requirement]
    scheme = document["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert not any("security" in operation for operation in operations.values())


# Descriptions, errors, examples.


def test_every_operation_says_what_it_does(document: dict[str, Any], operations: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert set(operation["tags"]) <= tags, name
        assert all(answer["description"] for answer in operation["responses"].values()), name


def test_every_parameter_says_what_it_is(operations: dict[str, Any]) -> None:
    missing = [
        f"{name}: {parameter['name']}"
        for name, operation in operations.items()
        for parameter in operation["parameters"]
        if not parameter.get("description")
    ]
    assert missing == []


def test_no_format_narrows_what_a_path_takes(operations: dict[str, Any]) -> None:
    # An idempotency key is any text; a client that checked it to be a URI would refuse good ones.
    operation = operations["GET /v1/orders/by-idempotency-key/{idempotency_key}"]
    (key,) = [parameter for parameter in operation["parameters"] if parameter["in"] == "path"]
    assert "format" not in key["schema"]
    assert key["schema"]["type"] == "string"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_describes_every_error_it_can_answer_with(operations: dict[str, Any], name: str) -> None:
    statuses = {error.code: str(error.http_status.value) for error in declared_errors()}
    described = {
        (status, example["value"]["error"]["error_code"])
        for status, answer in operations[name]["responses"].items()
        if status not in ("200", "204")
        for example in answer["content"]["application/json"]["examples"].values()
    }
    codes = OWN_ERRORS[name] | {error.code for error in EVERYWHERE}
    assert described == {(statuses[code], code) for code in codes}
    for status, code in described:
        assert f"`{code}`" in operations[name]["responses"][status]["description"]


def test_every_declared_error_is_described_somewhere_but_the_405_that_is_no_operations() -> None:
    codes = set().union(*OWN_ERRORS.values()) | {error.code for error in EVERYWHERE}
    assert {error.code for error in declared_errors()} - codes == {"method_not_allowed"}


def test_every_answer_describes_the_headers_it_has(operations: dict[str, Any]) -> None:
    for operation in operations.values():
        for status, answer in operation["responses"].items():
            expected = {"X-Request-Id", "Lune-Version", "RateLimit-Policy", "RateLimit"}
            if status in ("429", "503"):
                expected |= {"Retry-After"}
            if status == "401":
                expected |= {"WWW-Authenticate"}
            assert expected <= set(answer["headers"])


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    shown = 0
    for pointer, node in under(document):
        schema = node.get("schema", node)
        examples = node.get("examples", [])
        values = (
            [example["value"] for example in examples.values()]
            if isinstance(examples, dict)
            else list(examples)
        )
        if isinstance(node.get("properties"), dict) and "examples" in node["properties"]:
            continue
        for value in values:
            assert validator({k: v for k, v in schema.items() if k != "examples"}, document).is_valid(
                value
            ), pointer
            shown += 1
    assert shown > 100


def test_every_request_body_has_an_example_to_start_from(
    document: dict[str, Any], operations: dict[str, Any]
) -> None:
    for name, operation in operations.items():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = media["schema"]
            if schema.get("format") == "binary":
                continue
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            properties = schema.get("properties", {}).values()
            assert (
                "examples" in media
                or "examples" in schema
                or any("examples" in text for text in map(str, [schema, *properties]))
            ), name


# Shapes.


def test_an_order_is_described_with_the_contracts_properties_none_of_them_optional(
    document: dict[str, Any],
) -> None:
    order = document["components"]["schemas"]["OrderBody"]
    assert set(order["properties"]) == ORDER
    assert set(order["required"]) == ORDER


def test_answers_never_omit_a_property(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Body", "Page", "Summary")) and name not in ("MassBody", "ConsumptionBody"):
            assert set(schema["required"]) == set(schema["properties"]), name


def test_requests_take_no_property_that_is_not_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name.startswith(("Create", "QuoteBy")) or name in ("MassBody", "BundleChoice", "BundleMass"):
            assert schema["additionalProperties"] is False, name


@pytest.mark.parametrize(
    ("schema", "body", "fits"),
    [
        ("CreateOrderByMass", {"mass": {"amount": "1", "unit": "kg"}}, True),
        ("CreateOrderByMass", {"mass": {"amount": 1, "unit": "kg"}}, False),
        ("CreateOrderByMass", {"mass": {"amount": "1", "unit": "lb"}}, False),
        ("CreateOrderByMass", {"mass": {"amount": "-1", "unit": "kg"}}, False),
        ("CreateOrderByMass", {"mass": {"amount": "٣", "unit": "kg"}}, False),
        ("CreateOrderByMass", {}, False),
        ("CreateOrderByMass", {"mass": None}, False),
        ("QuoteByMass", {"mass": {"amount": "1", "unit": "kg"}, "metadata": {}}, False),
        ("CreateOrderByValue", {"value": "1", "metadata": {"a": "b"}}, True),
        ("CreateOrderByValue", {"value": "1", "metadata": {"a": 1}}, False),
        ("CreateOrderByValue", {"value": "1", "idempotency_key": "k" * 100}, True),
        ("CreateOrderByValue", {"value": "1", "idempotency_key": "k" * 101}, False),
        ("CreateOrderByValue", {"value": "1", "idempotency_key": ""}, False),
        ("CreateOrderByValue", {"value": "1", "bundle_selection": []}, False),
        ("BundleChoice", {"bundle_id": "x", "percentage": 100}, True),
        ("BundleChoice", {"bundle_id": "x", "percentage": "33.33"}, True),
        ("BundleChoice", {"bundle_id": "x", "percentage": 33.33}, False),
        ("BundleChoice", {"bundle_id": "x", "percentage": True}, False),
    ],
)
def test_the_schemas_refuse_what_the_service_refuses(
    document: dict[str, Any], schema: str, body: Any, *, fits: bool
) -> None:
    described = {"$ref": f"#/components/schemas/{schema}"}
    assert validator(described, document).is_valid(body) is fits


# The page.


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href", "action", "data") and value]


def test_the_documentation_page_and_all_it_loads_come_from_this_server(service: Service) -> None:
    with httpx.Client(base_url=service.base_url, trust_env=False) as anyone:
        page = anyone.get("/docs")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"(https?:)?//[a-z]", page.text)
        links = Links()
        links.feed(page.text)
        assets = [link for link in links.found if not link.startswith("data:")]
        assert len(assets) >= 2
        for asset in assets:
            assert asset.startswith("/")
            answer = anyone.get(asset)
            assert answer.status_code == 200
            expected = "text/css" if asset.endswith(".css") else "text/javascript"
            assert answer.headers["content-type"].startswith(expected)
            if asset.endswith(".css"):
                assert not re.search(r"@import|url\(['\"]?(https?:)?//", answer.text)
        assert '"/v1/openapi.json"' in page.text


def test_the_licence_of_the_pages_assets_is_served_with_them(service: Service) -> None:
    answer = httpx.get(f"{service.base_url}/docs/LICENSE", trust_env=False)
    assert answer.status_code == 200
    assert "Apache License" in answer.text


def test_the_root_is_the_documentation_too(service: Service) -> None:
    root, docs = (httpx.get(service.base_url + path, trust_env=False) for path in ("/", "/docs"))
    assert root.content == docs.content


@pytest.mark.parametrize(
    "path", ["", "/", "/swagger", "/redoc", "/scalar", "/elements", "/rapidoc", "/openapi.json"]
)
def test_there_is_no_other_documentation_page_that_would_load_from_elsewhere(
    service: Service, path: str
) -> None:
    with service.client() as client:
        assert client.get(f"/openapi{path}").status_code == 404
