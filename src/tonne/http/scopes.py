"""Which scopes open which operation: any one of those named, or every valid key where none is."""

from __future__ import annotations

from collections.abc import Iterable

from tonne.domain.accounts import ApiKey, Scope
from tonne.domain.errors import InsufficientScope

_OPERATIONS: dict[tuple[Scope, ...], str] = {
    (): "getOwnAccount listAccounts getAccount listClientAccounts getClientAccount getOwnClientAccount",
    (
        Scope.ORDERS_READ,
    ): "listOrders getOrder getOrderByIdempotencyKey getOrderCertificate listOrderAllocations "
    "listOrderRetirements listEvents getEvent",
    (
        Scope.ORDERS_WRITE,
    ): "createOrderByMass createOrderByValue createOrderByEstimate orderInBulk cancelOrder "
    "advanceOrder putBehaviour createElectricityEstimate updateElectricityEstimate createFlightEstimate "
    "createPassengerTransportationEstimate createShippingEstimate updateShippingEstimate "
    "createMultiLegShippingEstimate updateMultiLegShippingEstimate createTransactionEstimate "
    "updateTransactionEstimate createBatchTransactionEstimate createEmissionFactorEstimate createDeclaredEstimate",
    (Scope.ORDERS_READ, Scope.ORDERS_WRITE): "quoteOrderByMass quoteOrderByValue quoteOrderByEstimate "
    "listEstimates getEstimate getElectricityEstimate getFlightEstimate getPassengerTransportationEstimate "
    "getShippingEstimate getMultiLegShippingEstimate getTransactionEstimate getTransactionEstimateByIdempotencyKey "
    "getEmissionFactorEstimate getDeclaredEstimate getBehaviour listEmissionFactors listEmissionFactorRegions "
    "getEmissionFactor",
    (
        Scope.CATALOGUE_READ,
    ): "listBundles getBundle listProjects getProject getProjectBySlug getBundleSelection "
    "listBundlePortfolios",
    (
        Scope.ACCOUNTS_WRITE,
    ): "putBundleSelection putBundlePortfolio createAccount putOwnAccount patchOwnAccount "
    "putAccount patchAccount createClientAccount putOwnClientAccount patchOwnClientAccount putClientAccount "
    "patchClientAccount putLogo deleteLogo",
    (
        Scope.WEBHOOKS_WRITE,
    ): "createWebhook listWebhooks getWebhook updateWebhook deleteWebhook rotateWebhookSecret pingWebhook "
    "listWebhookAttempts replayWebhook",
    (
        Scope.OPERATOR,
    ): "payOrders getBalance topUp refund putBilling putTestBehaviour createProject putProject "
    "patchProject createBundle putBundle patchBundle listPrices setPrice createPortfolio putPortfolio patchPortfolio "
    "putDefaultSelection setExchangeRates uploadImage listAuditEntries suspendAccount resumeAccount listLots suspendLot releaseLot withdrawLot "
    "getInventory reportRetirements createKey listKeys rotateKey disableKey",
}
NEEDED = {name: frozenset(scopes) for scopes, names in _OPERATIONS.items() for name in names.split()}


def refuse_without(needed: Iterable[Scope], key: ApiKey) -> None:
    """Refuse a key that has none of the scopes; with none named, every key will do.

    Raises:
        InsufficientScope: it names them.
    """
    if needed and key.scopes.isdisjoint(needed):
        named = " or ".join(sorted(needed))
        raise InsufficientScope(
            f"This API key lacks the scope {named}: use a key that was created with `--scope {min(needed)}`."
        )
