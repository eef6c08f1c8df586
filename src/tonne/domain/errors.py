"""Every refusal a caller can meet: its code, its status and a message that says what would be right.

Codes and statuses are fixed by the wire contract, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Violation:
    """One place in a request that does not match; `pointer` is an RFC 6901 JSON pointer or a parameter's name."""

    pointer: str
    message: str


class TonneError(Exception):
    """The request could not be carried out."""

    code: ClassVar[str]
    http_status: ClassVar[HTTPStatus]

    def __init__(self, message: str | None = None, *, violations: Sequence[Violation] = ()) -> None:
        """Without a message, the first line of the class docstring is said."""
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.violations = tuple(violations)
        super().__init__(self.message)

    @classmethod
    def at(cls, pointer: str, message: str) -> Self:
        """Refuse one place of the request."""
        place = f"{pointer}: " if pointer else ""
        return cls(f"{place}{message}", violations=[Violation(pointer, message)])

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with the answer."""
        return {}


def declared_errors(base: type[TonneError] = TonneError) -> Iterator[type[TonneError]]:
    """Walk every declared error."""
    for error in base.__subclasses__():
        yield error
        yield from declared_errors(error)


class ValidationFailed(TonneError):
    """The request does not match what this operation takes."""

    code = "validation_error"
    http_status = HTTPStatus.BAD_REQUEST


class BundleSelectionBundleInvalid(TonneError):
    """A bundle of the selection is unknown or disabled."""

    code = "bundle_selection_bundle_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class BundleSelectionRatiosInvalid(TonneError):
    """The percentages of a bundle selection must add up to exactly 100."""

    code = "bundle_selection_ratios_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class BundleSelectionRatiosInvalidFormat(TonneError):
    """Give a percentage for every bundle of the selection or for none, with at most 2 decimals."""

    code = "bundle_selection_ratios_invalid_format"
    http_status = HTTPStatus.BAD_REQUEST


class PortfolioInvalid(TonneError):
    """There is no such bundle portfolio, or it is disabled."""

    code = "bundle_portfolio_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class CatalogueConflict(TonneError):
    """Another object of the catalogue has this name, slug, identifier or registry id."""

    code = "catalogue_conflict"
    http_status = HTTPStatus.CONFLICT


class OrderValueInvalid(TonneError):
    """The order value must be at least the currency's smallest unit."""

    code = "order_value_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class AirportInvalid(TonneError):
    """There is no airport with this IATA or ICAO code."""

    code = "airport_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class LocodeNotFound(TonneError):
    """There is no sea port with this UN/LOCODE."""

    code = "locode_not_found"
    http_status = HTTPStatus.BAD_REQUEST


class PortNotFound(TonneError):
    """There is no sea port near this place."""

    code = "port_not_found"
    http_status = HTTPStatus.BAD_REQUEST


class AddressNotFound(TonneError):
    """Addresses are not looked up: give coordinates, a code or the distance."""

    code = "address_not_found"
    http_status = HTTPStatus.BAD_REQUEST


class DistanceInvalid(TonneError):
    """A distance must be more than 0 and no longer than such a journey can be."""

    code = "distance_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class EmissionFactorIdInvalid(TonneError):
    """There is no emission factor with this id."""

    code = "emission_factor_id_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class EmissionFactorUnitMismatch(TonneError):
    """The activity is measured in another kind of unit than the emission factor."""

    code = "emission_factor_unit_mismatch"
    http_status = HTTPStatus.BAD_REQUEST


class EstimateNotFound(TonneError):
    """This account has no such emission estimate."""

    code = "estimate_not_found"
    http_status = HTTPStatus.BAD_REQUEST


class PaginationLimitInvalid(TonneError):
    """The limit must be a whole number from 1 to 100."""

    code = "pagination_limit_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class IdInvalid(TonneError):
    """This cannot be an id: pass the `next_cursor` of the page before, or an order's id."""

    code = "id_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class BundleIdInvalid(TonneError):
    """This cannot be a bundle's id: pass the `next_cursor` of the page before, or a bundle's id."""

    code = "bundle_id_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class ApiVersionInvalid(TonneError):
    """This API version is unknown: send 2024-08-08, or leave the Lune-Version header out."""

    code = "api_version_invalid"
    http_status = HTTPStatus.BAD_REQUEST


class Unauthorised(TonneError):
    """Send a valid API key: Authorization: Bearer <api key>."""

    code = "unauthorised"
    http_status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class AccountScopeIncorrect(TonneError):
    """The Lune-Account header must name an account of the API key's own organisation and mode."""

    code = "account_scope_incorrect"
    http_status = HTTPStatus.FORBIDDEN


class InsufficientScope(TonneError):
    """This API key lacks the scope for this operation: use a key that was created with it (`--scope`)."""

    code = "insufficient_scope"
    http_status = HTTPStatus.FORBIDDEN


class AddressNotAllowed(TonneError):
    """This API key may not be used from this address: use it from one of the networks it was created for."""

    code = "address_not_allowed"
    http_status = HTTPStatus.FORBIDDEN


class NotFound(TonneError):
    """There is nothing here, or it is not yours."""

    code = "not_found"
    http_status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(TonneError):
    """This path does not take this method; the Allow header names those it takes."""

    code = "method_not_allowed"
    http_status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, message: str | None = None, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(sorted(self.allowed))}


class AccountSuspended(TonneError):
    """This account is suspended: it can be quoted and read, but places no orders."""

    code = "account_suspended"
    http_status = HTTPStatus.CONFLICT


class OrderIdempotencyAlreadyExists(TonneError):
    """An order with this idempotency_key exists in this account; the Location header names it."""

    code = "order_idempotency_already_exists"
    http_status = HTTPStatus.CONFLICT

    def __init__(self, message: str | None = None, *, order_id: UUID | None = None) -> None:
        super().__init__(message)
        self.order_id = order_id

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.order_id is None else {"Location": f"/v1/orders/{self.order_id}"}


class _Located(Exception):
    """What is to be made was made before; the Location header names it."""

    def __init__(self, message: str | None = None, *, location: str | None = None) -> None:
        super().__init__(message)
        self.location = location

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.location is None else {"Location": self.location}


class EstimateIdempotencyAlreadyExists(_Located, TonneError):
    """An estimate with this idempotency_key exists in this account; the Location header names it."""

    code = "estimate_idempotency_already_exists"
    http_status = HTTPStatus.CONFLICT


class EstimateOrderAlreadyPlaced(TonneError):
    """An order for this emission estimate has already been placed."""

    code = "estimate_order_already_placed"
    http_status = HTTPStatus.CONFLICT


class InsufficientCredits(TonneError):
    """The prepaid balance does not cover this: have it topped up, or take less."""

    code = "insufficient_credits"
    http_status = HTTPStatus.CONFLICT


class HandleTaken(TonneError):
    """Another account of the organisation has this handle."""

    code = "account_handle_already_exists"
    http_status = HTTPStatus.CONFLICT


class AccountIdempotencyAlreadyExists(_Located, TonneError):
    """A client account with this idempotency_key exists; the Location header names it."""

    code = "account_idempotency_already_exists"
    http_status = HTTPStatus.CONFLICT


class StockInsufficient(TonneError):
    """Stock does not cover the order, and its bundle takes no orders that would have to wait."""

    code = "insufficient_stock"
    http_status = HTTPStatus.CONFLICT


class SpendingCapExceeded(TonneError):
    """The order is more than the API key may still spend today."""

    code = "spending_cap_exceeded"
    http_status = HTTPStatus.CONFLICT


class UnitPriceAboveMaximum(TonneError):
    """A bundle costs more than the order's `max_unit_price`."""

    code = "unit_price_above_maximum"
    http_status = HTTPStatus.CONFLICT


class RestrictionsUnmet(TonneError):
    """A bundle has no project that the order's restrictions allow."""

    code = "restrictions_unmet"
    http_status = HTTPStatus.CONFLICT


class OrderNotAdvanceable(TonneError):
    """The test order can't be moved to this status from where it is."""

    code = "order_not_advanceable"
    http_status = HTTPStatus.CONFLICT


class OrderNotCancellable(TonneError):
    """Only an order that is received or placed can be cancelled."""

    code = "order_not_cancellable"
    http_status = HTTPStatus.CONFLICT


class PaymentReferenceReused(TonneError):
    """This reference stands for another amount already: take a new one for a new payment."""

    code = "payment_reference_reused"
    http_status = HTTPStatus.CONFLICT


class OrderQuantityInvalid(TonneError):
    """Order quantity must be positive."""

    code = "order_quantity_invalid"
    http_status = HTTPStatus.CONFLICT


class ExchangeRateNotFound(TonneError):
    """There is no exchange rate for the account's currency; ask the operator to import one."""

    code = "exchange_rate_not_found"
    http_status = HTTPStatus.CONFLICT


class IdempotencyKeyReused(TonneError):
    """This Idempotency-Key was sent before with another payload: take a new key for a new request."""

    code = "idempotency_key_reused"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class IdempotencyKeyInUse(TonneError):
    """A request with this Idempotency-Key is still being carried out: repeat it in a moment."""

    code = "idempotency_key_in_use"
    http_status = HTTPStatus.CONFLICT

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


class PayloadTooLarge(TonneError):
    """A request body may have at most 100 kB (100,000 bytes)."""

    code = "payload_too_large"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(TonneError):
    """Send the body as Content-Type: application/json, in UTF-8."""

    code = "unsupported_media_type"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RateLimited(TonneError):
    """Too many requests with this API key: wait as long as Retry-After says."""

    code = "rate_limited"
    http_status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class InternalError(TonneError):
    """Something went wrong on our side; it has been logged under the X-Request-Id of this answer."""

    code = "internal_error"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR


class ServiceUnavailable(TonneError):
    """The service cannot answer right now: repeat the request in a moment, with its idempotency key."""

    code = "service_unavailable"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}
