"""What the operator does to accounts and orders of every organisation: payments, balances, billing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from litestar import Response, get, post, put
from litestar.params import JSONBody

from tonne.application.bill_accounts import (
    change_billing,
    change_test_behaviour,
    read_balance,
    refund,
    top_up,
)
from tonne.application.identifiers import read_id, utc_now
from tonne.application.manage_accounts import suspend_account
from tonne.application.pay_orders import PayOutcome, PayResult, pay_orders
from tonne.domain.accounts import Account
from tonne.domain.errors import InsufficientCredits, InsufficientScope, NotFound, PaymentReferenceReused
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.guards import operators_only
from tonne.http.request import ApiRequest
from tonne.wire.common import read_decimal
from tonne.wire.operator import (
    AccountRules,
    BalanceBody,
    ChangeBilling,
    MovePayment,
    PaidOrders,
    PaymentBody,
    PayOrders,
    SuspensionBody,
    account_rules,
    balance_body,
    paid_order,
    payment_body,
)
from tonne.wire.sandbox import ChangeTestBehaviour

TAGS = ["Operator"]


@post(
    "/operator/orders/pay",
    status_code=200,
    tags=TAGS,
    operation_id="payOrders",
    summary="Record paid orders",
    responses=refusals(*WITH_BODY, InsufficientScope),
    guards=[operators_only],
)
async def pay_placed_orders(request: ApiRequest, data: JSONBody[PayOrders]) -> Response[PaidOrders]:
    """Record that placed orders are paid, of any organisation. Repeating it changes nothing."""
    ids = {text: read_id(text) for text in data.order_ids}
    results = await pay_orders(
        request.services.pool,
        [order_id for order_id in ids.values() if order_id is not None],
        mode=request.caller.key.mode,
        at=utc_now(),
        actor=request.actor,
    )
    found = {result.order_id: result for result in results}
    return answer(
        PaidOrders([paid_order(text, _result(ids[text], found)) for text in data.order_ids]),
    )


@get(
    "/operator/accounts/{id:str}/balance",
    tags=TAGS,
    operation_id="getBalance",
    summary="Get an account's balance",
    responses=refusals(InsufficientScope, NotFound),
    guards=[operators_only],
)
async def get_balance(request: ApiRequest) -> Response[BalanceBody]:
    """Get what an account has with us, what it owes, and what is held for its orders."""
    return answer(balance_body(await read_balance(request.services.pool, await _account(request))))


@post(
    "/operator/accounts/{id:str}/top-up",
    status_code=200,
    tags=TAGS,
    operation_id="topUp",
    summary="Record a top-up",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound, PaymentReferenceReused),
    guards=[operators_only],
)
async def top_up_account(request: ApiRequest, data: JSONBody[MovePayment]) -> Response[PaymentBody]:
    """Add money that came in to an account's prepaid balance, once for each reference."""
    payment = await top_up(
        request.services.pool,
        await _account(request),
        read_decimal(data.amount, "/amount"),
        reference=data.reference,
        at=utc_now(),
        actor=request.actor,
    )
    return answer(payment_body(payment))


@post(
    "/operator/accounts/{id:str}/refund",
    status_code=200,
    tags=TAGS,
    operation_id="refund",
    summary="Record a refund",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound, InsufficientCredits, PaymentReferenceReused),
    guards=[operators_only],
)
async def refund_account(request: ApiRequest, data: JSONBody[MovePayment]) -> Response[PaymentBody]:
    """Take money that went back out of an account's prepaid balance, once for each reference."""
    payment = await refund(
        request.services.pool,
        await _account(request),
        read_decimal(data.amount, "/amount"),
        reference=data.reference,
        at=utc_now(),
        actor=request.actor,
    )
    return answer(payment_body(payment))


@put(
    "/operator/accounts/{id:str}/billing",
    tags=TAGS,
    operation_id="putBilling",
    summary="Set an account's billing",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    guards=[operators_only],
)
async def put_billing(request: ApiRequest, data: JSONBody[ChangeBilling]) -> Response[AccountRules]:
    """Set how an account pays from its next order on."""
    account = await _account(request)
    changed = await change_billing(
        request.services.pool, account, data.billing, at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(account_rules(replace(account, billing=data.billing), changed=changed))


@put(
    "/operator/accounts/{id:str}/test-behaviour",
    tags=TAGS,
    operation_id="putTestBehaviour",
    summary="Set how things go for a test account",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    guards=[operators_only],
)
async def put_test_behaviour(
    request: ApiRequest, data: JSONBody[ChangeTestBehaviour]
) -> Response[AccountRules]:
    """Set how things go for a test account from now on, so that every path can be tried."""
    account = await _account(request)
    changed = await change_test_behaviour(
        request.services.pool, account, data.test_behaviour, at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(account_rules(replace(account, test_behaviour=data.test_behaviour), changed=changed))


@post(
    "/operator/accounts/{id:str}/suspend",
    status_code=200,
    tags=TAGS,
    operation_id="suspendAccount",
    summary="Suspend an account",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    guards=[operators_only],
)
async def suspend(request: ApiRequest) -> Response[SuspensionBody]:
    """Stop an account from ordering. It can still be quoted and read. The request needs no body."""
    return await _suspend(request, suspended=True)


@post(
    "/operator/accounts/{id:str}/resume",
    status_code=200,
    tags=TAGS,
    operation_id="resumeAccount",
    summary="Resume an account",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    guards=[operators_only],
)
async def resume(request: ApiRequest) -> Response[SuspensionBody]:
    """Let a suspended account order again. The request needs no body."""
    return await _suspend(request, suspended=False)


async def _suspend(request: ApiRequest, *, suspended: bool) -> Response[SuspensionBody]:
    await request.refuse_content()
    account = await _account(request)
    changed = await suspend_account(
        request.services.pool, account, suspended=suspended, at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(SuspensionBody(str(account.account_id), suspended, changed))


async def _account(request: ApiRequest) -> Account:
    account = await request.find_account(read_id(request.path_params["id"]))
    if account is None:
        raise NotFound
    return account


def _result(order_id: Any, found: dict[Any, PayResult]) -> PayResult:
    return found.get(order_id) or PayResult(order_id, PayOutcome.REFUSED, "There is no such order.")
