"""The API as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from tonne.domain.accounts import Network
from tonne.http.answers import error_answer
from tonne.http.documentation import openapi_config
from tonne.http.failures import error_for
from tonne.http.front_door import FrontDoor
from tonne.http.guards import with_scope
from tonne.http.rate_limits import RateLimiter
from tonne.http.request import BODY_BYTES_MAX, ApiRequest, Services
from tonne.http.routes import (
    account,
    accounts,
    audit,
    bulk,
    catalogue,
    emission_factors,
    estimate_lists,
    estimates,
    events,
    operator,
    operator_catalogue,
    operator_inventory,
    operator_keys,
    order_changes,
    order_credits,
    orders,
    portfolios,
    quotes,
    reports,
    sandbox,
    service,
    webhooks,
)
from tonne.http.shortcut import Shortcut

V1 = (
    orders.create_order_by_mass,
    orders.create_order_by_value,
    orders.create_order_by_estimate,
    bulk.order_in_bulk,
    orders.list_account_orders,
    orders.get_order,
    order_credits.list_order_allocations,
    order_credits.list_order_retirements,
    order_credits.get_order_certificate,
    orders.get_order_by_idempotency_key,
    order_changes.cancel_own_order,
    sandbox.advance_own_order,
    sandbox.get_behaviour,
    sandbox.put_behaviour,
    quotes.quote_by_mass,
    quotes.quote_by_value,
    quotes.quote_by_estimate,
    catalogue.list_bundles,
    catalogue.get_bundle,
    catalogue.list_projects,
    catalogue.get_project,
    catalogue.get_project_by_slug,
    account.get_own_account,
    accounts.list_accounts,
    accounts.create_account,
    accounts.put_own_account,
    accounts.patch_own_account,
    accounts.put_logo,
    accounts.delete_logo,
    accounts.list_client_accounts,
    accounts.create_client_account,
    accounts.get_own_client_account,
    accounts.put_own_client_account,
    accounts.patch_own_client_account,
    accounts.get_client_account,
    accounts.put_client_account,
    accounts.patch_client_account,
    accounts.get_account,
    accounts.put_account,
    accounts.patch_account,
    account.get_bundle_selection,
    account.put_bundle_selection,
    estimates.create_electricity_estimate,
    estimates.get_electricity_estimate,
    estimates.put_electricity_estimate,
    estimates.create_flight_estimate,
    estimates.get_flight_estimate,
    estimates.create_passenger_transportation_estimate,
    estimates.get_passenger_transportation_estimate,
    estimates.create_shipping_estimate,
    estimates.get_shipping_estimate,
    estimates.put_shipping_estimate,
    estimates.create_multi_leg_shipping_estimate,
    estimates.get_multi_leg_shipping_estimate,
    estimates.put_multi_leg_shipping_estimate,
    estimates.create_transaction_estimate,
    estimates.get_transaction_estimate,
    estimates.put_transaction_estimate,
    estimates.create_emission_factor_estimate,
    estimates.get_emission_factor_estimate,
    estimates.create_declared_estimate,
    estimates.get_declared_estimate,
    estimate_lists.list_account_estimates,
    estimate_lists.get_estimate,
    estimate_lists.get_transaction_estimate_by_key,
    estimate_lists.create_batch_transaction_estimate,
    emission_factors.list_emission_factors,
    emission_factors.list_emission_factor_regions,
    emission_factors.get_emission_factor,
    events.list_events,
    events.get_event,
    webhooks.create_webhook,
    webhooks.list_webhooks,
    webhooks.get_webhook,
    webhooks.put_webhook,
    webhooks.delete_webhook,
    webhooks.rotate_webhook_secret,
    webhooks.ping_webhook,
    webhooks.list_webhook_attempts,
    webhooks.replay_webhook,
    operator.pay_placed_orders,
    operator.get_balance,
    operator.top_up_account,
    operator.refund_account,
    operator.put_billing,
    operator.put_test_behaviour,
    operator.suspend,
    operator.resume,
    portfolios.list_bundle_portfolios,
    portfolios.put_bundle_portfolio,
    operator_catalogue.create_project,
    operator_catalogue.put_project,
    operator_catalogue.patch_project,
    operator_catalogue.create_bundle,
    operator_catalogue.put_bundle,
    operator_catalogue.patch_bundle,
    operator_catalogue.list_prices,
    operator_catalogue.set_price,
    operator_catalogue.create_portfolio,
    operator_catalogue.put_portfolio,
    operator_catalogue.patch_portfolio,
    operator_catalogue.put_default_selection,
    operator_catalogue.set_exchange_rates,
    operator_catalogue.upload_picture,
    operator_inventory.list_lots,
    operator_inventory.suspend,
    operator_inventory.release,
    operator_inventory.withdraw,
    operator_inventory.get_inventory,
    audit.list_audit_entries,
    reports.report_retirements,
    operator_keys.create_key,
    operator_keys.list_all_keys,
    operator_keys.rotate,
    operator_keys.disable,
)
ABOUT = (
    service.livez,
    service.readyz,
    service.openapi_document,
    service.documentation_page,
    service.documentation_asset,
)

# What Litestar hands to exception handlers.
Asked = Request[Any, Any, Any]
# Operations at a fixed path with a JSON body that every key may call: the hot ones, all of them writes or quotes.
SHORT_CUT = tuple(
    handler
    for handler in V1
    if handler.http_methods == {"POST"}
    and not handler.guards
    and handler not in (bulk.order_in_bulk, estimate_lists.create_batch_transaction_estimate)
    and not any("{" in path for path in handler.paths)
)

ServicesRunning = Callable[[], AbstractAsyncContextManager[Services]]


def create_api(
    services_running: ServicesRunning,
    limiter: RateLimiter,
    *,
    trusted_proxies: Sequence[Network] = (),
    pages: Sequence[Router] = (),
) -> ASGIApp:
    """Assemble the API, and pages beside it, around services that run as long as it does."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with services_running() as services:
            app.state["services"] = services
            door.snapshots = services.snapshots
            yield

    app = Litestar(
        route_handlers=[Router("/v1", route_handlers=V1, guards=[with_scope]), *ABOUT, *pages],
        request_class=ApiRequest,
        exception_handlers={
            HTTPException: _refused,
            Exception: _refused,
        },
        lifespan=[lifespan],
        openapi_config=openapi_config(),
        logging_config=None,
        request_max_body_size=BODY_BYTES_MAX,
    )
    by_key = {
        orders.BY_KEY_PATH: orders.get_order_by_idempotency_key,
        estimate_lists.BY_KEY_PATH: estimate_lists.get_transaction_estimate_by_key,
    }
    in_short = Shortcut(app, SHORT_CUT, by_key, {"/v1/orders": orders.get_order})
    door = FrontDoor(in_short, limiter, tuple(trusted_proxies))
    return door


def _refused(request: Asked, raised: Exception) -> Response[Any]:
    return error_answer(error_for(raised, request.scope), path=request.scope["path"])
