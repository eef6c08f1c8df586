"""An example of each operation's body, for the OpenAPI description."""

from __future__ import annotations

from typing import Any

_PROJECT = {
    "name": "Example Forest",
    "project_type": "Improved forest management",
    "registry_name": "Verra",
    "registry_project_id": "VCS0000",
    "country_code": "PER",
}
_BUNDLE = {
    "name": "Example forests",
    "currency": "USD",
    "price": "13.57",
    "projects": ["example-forest"],
}
_PORTFOLIO = {
    "label": "Nature first",
    "selection": [{"bundle": "example-forests", "percentage": "100"}],
}
_ELECTRICITY = {"consumption": {"amount": "1200", "unit": "kWh"}, "country_code": "DEU"}
_SHIPPING = {
    "shipment": {"mass": {"amount": "12.5", "unit": "t"}},
    "route": {"source": {"locode": "NLRTM"}, "destination": {"locode": "SGSIN"}},
    "method": "container_ship",
}
_MULTI_LEG = {
    "shipment": {"containers": "2", "cargo_type": "average"},
    "legs": [
        {"route": {"amount": "180", "unit": "km"}, "method": "truck"},
        {
            "route": {"source": {"locode": "DEHAM"}, "destination": {"locode": "USNYC"}},
            "method": "container_ship",
        },
    ],
}
_PURCHASE = {
    "value": {"value": "42.50", "currency": "USD"},
    "merchant": {"country_code": "USA", "category_code": "5812"},
}
BODY_EXAMPLES: dict[str, Any] = {
    "createKey": {
        "account_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e16",
        "name": "web shop",
        "scopes": ["orders:write", "orders:read"],
        "daily_cap": "500.00",
        "allowed_networks": ["203.0.113.0/24"],
    },
    "rotateKey": {"overlap_hours": 24},
    "createWebhook": {"url": "https://example.com/hook"},
    "updateWebhook": {"url": "https://example.com/hook", "enabled": True},
    "rotateWebhookSecret": {"overlap_hours": 24},
    "replayWebhook": {"sequence": "00000000000000000001"},
    "quoteOrderByMass": {"mass": {"amount": "12.07", "unit": "kg"}},
    "quoteOrderByValue": {"value": "25.00"},
    "quoteOrderByEstimate": {"estimate_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"},
    "createOrderByMass": {"mass": {"amount": "12.07", "unit": "kg"}, "idempotency_key": "invoice-1042"},
    "createOrderByValue": {"value": "25.00", "metadata": {"invoice": "1042"}},
    "createOrderByEstimate": {"estimate_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"},
    "putBundleSelection": [
        {"bundle_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e12", "percentage": 95},
        {"bundle_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e13", "percentage": "5"},
    ],
    "payOrders": {"order_ids": ["0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e14"]},
    "topUp": {"amount": "500.00", "reference": "bank-2026-0042"},
    "refund": {"amount": "20.00", "reference": "bank-2026-0043"},
    "putBilling": {"billing": "prepaid"},
    "putTestBehaviour": {"test_behaviour": "by_hand"},
    "advanceOrder": {"to": "complete"},
    "putBehaviour": {"test_behaviour": "slow"},
    "putBundlePortfolio": {"bundle_portfolio_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e15"},
    "createAccount": {"name": "Example Freight", "currency": "EUR", "beneficiary": "Example Freight Ltd"},
    "createClientAccount": {"name": "A customer", "currency": "EUR", "idempotency_key": "customer-42"},
    **{
        key: {"name": "Example Freight", "beneficiary": "Example Freight Ltd", "handle": "example-freight"}
        for key in ("putOwnAccount", "putAccount", "putOwnClientAccount", "putClientAccount")
    },
    **{
        key: {"beneficiary": "Example Freight Ltd"}
        for key in ("patchOwnAccount", "patchAccount", "patchOwnClientAccount", "patchClientAccount")
    },
    "suspendLot": {"reason": "The registry looks into it."},
    "withdrawLot": {
        "kind": "reversed",
        "reason": "The forest burnt.",
        "serial_first": 101,
        "serial_last": 250,
    },
    "createProject": _PROJECT,
    "putProject": _PROJECT,
    "patchProject": {"methodology": "VM0007", "disabled": False},
    "createBundle": _BUNDLE,
    "putBundle": _BUNDLE,
    "patchBundle": {"price": "14.20", "on_shortage": "reject"},
    "setPrice": {"currency": "EUR", "price": "12.90", "valid_from": "2199-01-01T00:00:00Z"},
    "createPortfolio": _PORTFOLIO,
    "putPortfolio": _PORTFOLIO,
    "patchPortfolio": {"label": "Nature above all"},
    "putDefaultSelection": {"selection": [{"bundle": "example-forests"}]},
    "setExchangeRates": {
        "rates": [
            {
                "base_currency": "USD",
                "quote_currency": "EUR",
                "rate": "0.92",
                "as_of": "2026-01-31",
                "source": "European Central Bank",
            }
        ]
    },
    "createElectricityEstimate": _ELECTRICITY,
    "updateElectricityEstimate": _ELECTRICITY,
    "createFlightEstimate": {
        "route": {"source": {"code": "LHR"}, "destination": {"code": "JFK"}},
        "cabin_class": "economy",
        "passengers": 1,
        "trip": "return",
    },
    "createPassengerTransportationEstimate": {
        "legs": [
            {"route": {"amount": "42", "unit": "km"}, "rail_type": "national_rail"},
            {"route": {"source": {"code": "LHR"}, "destination": {"code": "JFK"}}, "cabin_class": "business"},
            {"route": {"amount": "12", "unit": "mi"}, "vehicle_type": "taxi"},
        ],
        "passengers": 2,
    },
    "createShippingEstimate": _SHIPPING,
    "updateShippingEstimate": _SHIPPING,
    "createMultiLegShippingEstimate": _MULTI_LEG,
    "updateMultiLegShippingEstimate": _MULTI_LEG,
    "createTransactionEstimate": _PURCHASE,
    "updateTransactionEstimate": _PURCHASE,
    "createBatchTransactionEstimate": [_PURCHASE],
    "createEmissionFactorEstimate": {
        "emission_factor_id": "desnz-2025/27_315_3151_14_1",
        "activity": {"value": "1500", "unit": "t*km"},
    },
    "createDeclaredEstimate": {
        "mass": {"amount": "1.25", "unit": "t"},
        "methodology": "GHG Protocol, scope 3, category 6",
        "source": "Example Audit Ltd",
    },
}
