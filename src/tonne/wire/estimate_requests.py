"""What is sent to have emissions estimated: contract, section 10."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonne.application.calculate import ByFactor
from tonne.domain.errors import ValidationFailed
from tonne.domain.money import VALUE_MAX
from tonne.estimates.by_factor import Activity
from tonne.estimates.declared import Declaration
from tonne.estimates.electricity import Consumption, Electricity, EnergyUnit
from tonne.estimates.spending import Transaction
from tonne.storage.countries import is_country
from tonne.storage.currencies import find_currency
from tonne.wire.common import (
    NO_NUL,
    Amount,
    BundleSelection,
    CurrencyCode,
    IdempotencyKey,
    MassBody,
    Metadata,
    QuantityTrunc,
    read_decimal,
    read_time,
)

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        extra_json_schema=NO_NUL,
        description="Your name for it.",
        examples=["Office, 2025"],
    ),
]
Word = Annotated[str, Meta(max_length=100, extra_json_schema=NO_NUL)]
Year = Annotated[int, Meta(ge=1900, le=2200)]
Text = Annotated[str, Meta(min_length=1, max_length=500, extra_json_schema=NO_NUL)]
Term = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=NO_NUL)]
CountryCode = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Z]{3}$"})]
Moment = Annotated[
    str,
    Meta(
        description="A day, or an RFC 3339 time with its offset.",
        examples=["2026-01-31"],
        max_length=40,
        extra_json_schema=NO_NUL,
    ),
]


class EstimateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every estimate may have beside what is estimated; each kind's `to_estimated` reads that."""

    name: Name | None = None
    bundle_selection: BundleSelection | None = None
    quantity_trunc: QuantityTrunc | None = None
    metadata: Metadata | None = None
    idempotency_key: IdempotencyKey | None = None


class ConsumptionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Electrical energy consumed."""

    amount: Amount
    unit: Annotated[EnergyUnit, Meta(description="Kilowatt-, megawatt- or gigawatt-hours.")]


class CreateElectricityEstimate(EstimateRequest, frozen=True, kw_only=True):
    """Electricity to estimate the emissions of."""

    consumption: ConsumptionBody
    country_code: Annotated[
        str | None,
        Meta(
            description="Where it was consumed: ISO 3166-1 alpha-3. Without it the world average is used.",
            examples=["DEU"],
            extra_json_schema={"pattern": "^[A-Z]{3}$"},
        ),
    ] = None
    year: Annotated[
        Year | None,
        Meta(description="When it was consumed; the latest year that is known unless said otherwise."),
    ] = None

    def to_estimated(self) -> Electricity:
        amount = read_positive(self.consumption.amount, "/consumption/amount")
        return Electricity(Consumption(amount, self.consumption.unit), self.country_code, self.year)


class MonetaryAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money, without taxes and shipping."""

    value: Amount
    currency: CurrencyCode


class MerchantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who was paid: where, and for what, by a merchant category code (ISO 18245) or by words to search for."""

    country_code: Annotated[CountryCode, Meta(description="ISO 3166-1 alpha-3.", examples=["USA"])]
    category_code: Annotated[Word | None, Meta(description="Four digits.", examples=["5812"])] = None
    search_term: Term | None = None
    category: Annotated[Term | None, Meta(description="Looked for where `search_term` finds nothing.")] = None
    category_hierarchy: Annotated[
        Annotated[list[Term], Meta(max_length=10)] | None,
        Meta(description="Looked for where `search_term` finds nothing, the last first."),
    ] = None
    name: Name | None = None


class CreateTransactionEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A purchase to estimate the emissions of."""

    value: MonetaryAmount
    merchant: MerchantRequest
    is_transaction: bool | None = None
    transaction_processed_at: Annotated[
        Moment | None,
        Meta(description="When it was paid: decides the exchange rate and the prices. Now, unless told."),
    ] = None

    def to_estimated(self, today: date | None = None) -> Transaction:
        value = read_positive(self.value.value, "/value/value")
        if value > VALUE_MAX:
            raise ValidationFailed.at("/value/value", f"must be at most {VALUE_MAX}")
        currency = _currency(self.value.currency, "/value/currency")
        merchant = self.merchant
        if not is_country(merchant.country_code):
            raise ValidationFailed.at(
                "/merchant/country_code", "must be an ISO 3166-1 alpha-3 code, such as USA"
            )
        terms = (merchant.search_term, merchant.category, *reversed(merchant.category_hierarchy or ()))
        searched = tuple(term for term in terms if term is not None)
        if merchant.category_code is None and not searched:
            raise ValidationFailed.at("/merchant", "give a category_code or a search_term")
        told = read_day(self.transaction_processed_at, "/transaction_processed_at")
        on = told or today
        assert on is not None, "the day is told or today"
        if today is not None and on > today + timedelta(days=1):
            raise ValidationFailed.at("/transaction_processed_at", f"{on} is yet to come")
        return Transaction(value, currency, on, merchant.country_code, merchant.category_code, searched)


class ActivityRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much was done."""

    value: Amount
    unit: Annotated[
        str,
        Meta(
            description="The factor's unit, or one that measures the same: km, kWh, kg, l, t*km, USD …",
            examples=["kWh"],
            max_length=40,
            extra_json_schema=NO_NUL,
        ),
    ]


class CreateEmissionFactorEstimate(EstimateRequest, frozen=True, kw_only=True):
    """An activity to estimate the emissions of, and the factor to do it with."""

    emission_factor_id: Annotated[
        str,
        Meta(
            description="See GET /v1/emission-factors.",
            examples=["desnz-2025/27_315_3151_14_1"],
            max_length=300,
            extra_json_schema=NO_NUL,
        ),
    ]
    activity: ActivityRequest

    def to_estimated(self) -> ByFactor:
        value = read_positive(self.activity.value, "/activity/value")
        return ByFactor(self.emission_factor_id, Activity(value, self.activity.unit))


class CreateDeclaredEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A mass that was calculated elsewhere."""

    mass: MassBody
    methodology: Annotated[
        Text, Meta(description="How it was calculated.", examples=["GHG Protocol, scope 3"])
    ]
    source: Annotated[Text, Meta(description="By whom, or with what.", examples=["Example Audit Ltd"])]
    document_hash: Annotated[
        str | None,
        Meta(
            description="SHA-256 of the document that proves it, in hexadecimal.",
            extra_json_schema={"pattern": "^[0-9a-fA-F]{64}$"},
        ),
    ] = None

    def to_estimated(self) -> Declaration:
        read_positive(self.mass.amount, "/mass/amount")
        return Declaration(
            self.mass.to_mass("/mass"), self.methodology, self.source, _sha256(self.document_hash)
        )


def read_positive(text: str, pointer: str) -> Decimal:
    """Read a decimal of more than 0.

    Raises:
        ValidationFailed: it is none.
    """
    amount = read_decimal(text, pointer)
    if amount == 0:
        raise ValidationFailed.at(pointer, "must be more than 0")
    return amount


def _currency(code: str, pointer: str) -> str:
    try:
        return find_currency(code).code
    except KeyError:
        raise ValidationFailed.at(pointer, f"{code[:20]!r} is no ISO 4217 currency code") from None


def read_day(text: str | None, pointer: str) -> date | None:
    """Read a day, or the day of a time in UTC; None where none is told.

    Raises:
        ValidationFailed: it is neither.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else read_time(text, pointer).date()
    except ValueError:
        raise ValidationFailed.at(pointer, f"{text[:40]!r} is no day such as 2026-01-31") from None


def _sha256(text: str | None) -> str | None:
    if text is None:
        return None
    if _SHA256.fullmatch(text) is None:
        raise ValidationFailed.at("/document_hash", "must be the 64 hexadecimal digits of a SHA-256")
    return text.lower()


def request_of(body: EstimateRequest) -> dict[str, Any]:
    """What was sent, as it is kept and printed."""
    return dict(msgspec.to_builtins(body))
