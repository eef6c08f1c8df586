"""What tests of estimates share: a request of each kind, and what is read from an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

GRAMS = {"g": 1, "kg": 1000, "t": 1_000_000}

Refusal = Callable[[httpx.Response], tuple[int, str]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of estimate: where it is made, a request that is right, and the same for another mass."""

    name: str
    path: str
    body: Json
    other: Json

    def __str__(self) -> str:
        return self.name


def consuming(amount: Any, unit: str = "kWh", **rest: Any) -> Json:
    return {"consumption": {"amount": amount, "unit": unit}, **rest}


def flying(source: Any, destination: Any, **rest: Any) -> Json:
    return {"route": {"source": source, "destination": destination}, **rest}


def travelling(*legs: Json, **rest: Any) -> Json:
    return {"legs": list(legs), **rest}


def leg(amount: Any = "120", unit: str = "km", **rest: Any) -> Json:
    return {"route": {"amount": amount, "unit": unit}, **rest}


def shipping(tonnes: Any = "10", amount: Any = "500", **rest: Any) -> Json:
    shipment = {"mass": {"amount": tonnes, "unit": "t"}}
    return {"shipment": shipment, "method": "truck"} | leg(amount) | rest


def buying(value: Any = "100", currency: Any = "USD", **rest: Any) -> Json:
    merchant = {"country_code": "USA", "category_code": "5812"}
    return {"value": {"value": value, "currency": currency}, "merchant": merchant} | rest


def doing(value: Any = "1500", unit: Any = "kWh", factor: Any = "owid-2026/DEU/2025") -> Json:
    return {"emission_factor_id": factor, "activity": {"value": value, "unit": unit}}


def declaring(amount: Any = "1.25", unit: str = "t", **rest: Any) -> Json:
    mass = {"amount": amount, "unit": unit}
    return {"mass": mass, "methodology": "GHG Protocol, scope 3", "source": "Example Audit Ltd", **rest}


KINDS = [
    Kind("electricity", "electricity", consuming("1500", country_code="DEU"), consuming("2", "MWh")),
    Kind("flight", "flight", flying({"code": "LHR"}, "JFK", passengers=3), flying("LHR", "CDG")),
    Kind(
        "passenger_transportation",
        "passenger-transportation",
        travelling(
            leg(rail_type="national_rail"),
            leg("12", "mi", vehicle_type="car_small", fuel="petrol"),
            passengers=2,
        ),
        travelling(leg(ferry_type="foot_passenger")),
    ),
    Kind("shipping", "shipping", shipping(), shipping("12.5", method="rail")),
    Kind(
        "multi_leg_shipping",
        "shipping/multi-leg",
        {
            "shipment": {"containers": "2", "cargo_type": "heavyweight"},
            "legs": [
                leg("180", method="truck"),
                {
                    "route": {"source": {"locode": "NLRTM"}, "destination": "GBFXT"},
                    "method": {"vessel_type": "container_ship", "fuel": "hfo"},
                },
            ],
        },
        {"shipment": {"mass": {"amount": "3", "unit": "t"}}, "legs": [leg("90", method="van")]},
    ),
    Kind("transaction", "transactions", buying(), buying("250.75")),
    Kind("emission_factor", "emission-factor", doing(), doing("2", "MWh")),
    Kind("declared", "declared", declaring(document_hash="aB" * 32), declaring("900", "kg")),
]
BY_NAME = {kind.name: kind for kind in KINDS}
CHANGEABLE = [BY_NAME[name] for name in ("electricity", "shipping", "multi_leg_shipping", "transaction")]


def made(client: httpx.Client, kind: Kind, **rest: Any) -> Json:
    """Make an estimate of a kind."""
    answer = client.post(f"/estimates/{kind.path}", json=kind.body | rest)
    assert answer.status_code == 200, answer.text
    estimate: Json = answer.json()
    return estimate


def grams(estimate: Json) -> Decimal:
    """The mass of an estimate, or of a leg of it."""
    return Decimal(estimate["mass"]["amount"]) * GRAMS[estimate["mass"]["unit"]]


def within(part: Any, whole: Any) -> bool:
    """Whether what was sent is in what is echoed; that has nulls for what was left out."""
    if isinstance(part, dict):
        return all(
            within(part.get(name), value) if name in part else value is None for name, value in whole.items()
        ) and set(part) <= set(whole)
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    return bool(part == whole)
