"""What the operator asks and is told."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.bill_accounts import Balance, Payment
from tonne.application.pay_orders import PayOutcome, PayResult
from tonne.domain.accounts import Account, Billing, SandboxBehaviour
from tonne.wire.common import NO_NUL, Amount, CurrencyCode, Id, Money

ORDERS_MAX = 1000


class PayOrders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Orders whose money has come in."""

    order_ids: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=100, extra_json_schema=NO_NUL)]],
        Meta(min_length=1, max_length=ORDERS_MAX, description="The orders' ids, of any organisation."),
    ]


class PaidOrder(msgspec.Struct, frozen=True):
    """What became of one order."""

    order_id: str
    outcome: PayOutcome
    reason: Annotated[str | None, Meta(description="Why it was refused; else null.")]


class PaidOrders(msgspec.Struct, frozen=True):
    """What became of each order, in the order of the request."""

    results: list[PaidOrder]


class MovePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that came in or went back."""

    amount: Amount
    reference: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            extra_json_schema=NO_NUL,
            description="What you call this payment. Sent again with the same amount, it changes nothing.",
        ),
    ]


class BalanceBody(msgspec.Struct, frozen=True):
    """An account's money."""

    account_id: Id
    currency: CurrencyCode
    billing: Billing
    prepaid: Annotated[Money, Meta(description="The account's own, to order from.")]
    owed: Annotated[Money, Meta(description="Invoiced and not paid.")]
    held: Annotated[Money, Meta(description="For orders that are not delivered yet.")]


class PaymentBody(msgspec.Struct, frozen=True):
    """An account's money after a payment."""

    changed: Annotated[bool, Meta(description="false where the reference was recorded before.")]
    balance: BalanceBody


class ChangeBilling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an account is to pay from its next order on."""

    billing: Billing


class AccountRules(msgspec.Struct, frozen=True):
    """How an account pays, and how things go for it."""

    account_id: Id
    billing: Billing
    test_behaviour: SandboxBehaviour
    changed: Annotated[bool, Meta(description="false where it was so before.")]


def paid_order(order_id: str, result: PayResult) -> PaidOrder:
    """Print what became of an order."""
    return PaidOrder(order_id, result.outcome, result.reason)


def balance_body(balance: Balance) -> BalanceBody:
    """Print an account's money."""
    account = balance.account
    money = account.currency.format
    return BalanceBody(
        account_id=str(account.account_id),
        currency=account.currency.code,
        billing=account.billing,
        prepaid=money(balance.prepaid_minor),
        owed=money(balance.owed_minor),
        held=money(balance.held_minor),
    )


def payment_body(payment: Payment) -> PaymentBody:
    """Print a payment."""
    return PaymentBody(payment.changed, balance_body(payment.balance))


class SuspensionBody(msgspec.Struct, frozen=True):
    """Whether an account may order."""

    account_id: Id
    suspended: bool
    changed: Annotated[bool, Meta(description="false where it was so already.")]


def account_rules(account: Account, *, changed: bool) -> AccountRules:
    """Print an account's rules."""
    return AccountRules(str(account.account_id), account.billing, account.test_behaviour, changed)
