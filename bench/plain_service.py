"""The service to compare with: `POST /v1/orders/by-mass` the usual way, one transaction for each order.

FastAPI, Pydantic and the SQLAlchemy ORM on asyncpg, set up as their manuals advise. The table, the rules, the
arithmetic and the answer are Tonne's; so is what it keeps in memory: the catalogue, the accounts and their keys.
`compare.py` runs it and sets `DATABASE_URL`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ARRAY, BigInteger, DateTime, Numeric, Text, Uuid, bindparam, make_url, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from tonne.application.identifiers import new_id, utc_now
from tonne.domain.accounts import Caller
from tonne.domain.catalogue import Catalogue
from tonne.domain.decimals import DECIMAL_LENGTH_MAX, DECIMAL_PATTERN, plain
from tonne.domain.errors import (
    AccountSuspended,
    OrderIdempotencyAlreadyExists,
    TonneError,
    Unauthorised,
    ValidationFailed,
)
from tonne.domain.mass import Mass, MassUnit, format_tonnes
from tonne.domain.pricing import Line
from tonne.domain.purchase import ByBundleMasses, ByMass, Purchase, Quote, price_purchase
from tonne.domain.selection import selection_from
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue

DATABASE_URL = os.environ["DATABASE_URL"]
# Of all processes together, with 64 callers, 16 and 24 had the highest medians of 8, 16, 24 and 32, by less than rounds differ.
POOL_SIZE = int(os.environ["DATABASE_CONNECTIONS"])

engine = create_async_engine(
    make_url(DATABASE_URL).set(drivername="postgresql+asyncpg"), pool_size=POOL_SIZE, max_overflow=0
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class OrderLines(UserDefinedType[Sequence[tuple[object, ...]]]):
    """`order_line[]`, which asyncpg writes from tuples."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "order_line[]"


class Row(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it from the class
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, str]: JSONB(none_as_null=True),
        Sequence[tuple[object, ...]]: OrderLines,
    }


class AccountRow(Row):
    __tablename__ = "accounts"
    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    suspended_at: Mapped[datetime | None]


class ApiKeyRow(Row):
    __tablename__ = "api_keys"
    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    disabled_at: Mapped[datetime | None]


class OrderRow(Row):
    __tablename__ = "orders"
    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str]
    status: Mapped[str]
    currency: Mapped[str]
    quantity_grams: Mapped[int]
    requested_tonnes: Mapped[Decimal | None]
    offset_cost_minor: Mapped[int]
    total_cost_minor: Mapped[int]
    lines: Mapped[Sequence[tuple[object, ...]]]
    idempotency_key: Mapped[str | None]
    order_metadata: Mapped[dict[str, str] | None] = mapped_column("metadata")
    beneficiary: Mapped[str | None]
    created_at: Mapped[datetime]
    placed_at: Mapped[datetime | None]
    key_id: Mapped[UUID | None]


class EventRow(Row):
    __tablename__ = "event_chunks"
    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    chunk_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    order_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    created_at: Mapped[datetime]


class TransferRow(Row):
    __tablename__ = "ledger_transfers"
    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    transfer_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[Decimal] = mapped_column(Numeric(60, 0))
    order_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    created_at: Mapped[datetime]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MassBody(Body):
    amount: Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=DECIMAL_LENGTH_MAX)]
    unit: MassUnit

    def to_mass(self) -> Mass:
        return Mass(Decimal(self.amount), self.unit)


class BundleMass(Body):
    bundle_id: UUID
    mass: MassBody


class BundleChoice(Body):
    bundle_id: UUID
    percentage: Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)] | None = None


class CreateOrderByMass(Body):
    mass: MassBody | None = None
    bundle_masses: Annotated[list[BundleMass], Field(min_length=1, max_length=100)] | None = None
    bundle_selection: Annotated[list[BundleChoice], Field(min_length=1, max_length=100)] | None = None
    quantity_trunc: MassUnit = MassUnit.G
    idempotency_key: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=50)] | None = None

    def to_purchase(self) -> Purchase:
        selection = None
        if self.bundle_selection is not None:
            selection = selection_from([(part.bundle_id, part.percentage) for part in self.bundle_selection])
        if self.mass is not None and self.bundle_masses is None:
            return Purchase(ByMass(self.mass.to_mass()), selection, self.quantity_trunc)
        if self.bundle_masses is None or self.mass is not None or selection is not None:
            raise ValidationFailed.at("/mass", "give either mass or bundle_masses")
        masses = tuple((part.bundle_id, part.mass.to_mass()) for part in self.bundle_masses)
        return Purchase(ByBundleMasses(masses), precision=self.quantity_trunc)


class OrderBundle(Body):
    bundle_id: UUID
    bundle_name: str
    primary_image: str | None
    quantity: str
    unit_price: str
    gross_unit_price: str
    offset_cost: str
    insufficient_available_quantity: bool | None


class StatusReached(Body):
    status: str
    at: str


class BeneficiaryBody(Body):
    name: str
    email: str | None = None
    country: str | None = None
    registration_number: str | None = None
    hidden_until: str | None = None


class OrderBody(Body):
    id: UUID
    idempotency_key: str | None
    type: str
    status: str
    currency: str
    offset_cost: str
    commission: str
    total_cost: str
    quantity: str
    requested_quantity: str | None
    requested_value: str | None = None
    estimate_id: str | None = None
    payment_method: str = "invoice"
    created_at: str
    bundles: list[OrderBundle]
    projects: list[str] = []
    certificate: str | None = None
    public_certificate_url: str | None = None
    metadata: dict[str, str]
    offset_link_id: str | None = None
    email: str | None = None
    account_id: UUID
    mode: str
    beneficiary: BeneficiaryBody | None
    max_unit_price: str | None = None
    min_vintage_year: int | None = None
    excluded_countries: list[str] = []
    excluded_projects: list[str] = []
    status_history: list[StatusReached]
    retire_by: datetime | None = None
    waiting_for: str | None = "payment"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    connection = await asyncpg.connect(DATABASE_URL)
    app.state.catalogue = await load_catalogue(connection, on=utc_now().date())
    app.state.directory = await load_directory(connection)
    await connection.close()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(TonneError)
async def refused(_: Request, error: TonneError) -> JSONResponse:
    detail = {"error_code": error.code, "message": error.message}
    return JSONResponse({"error": detail, "errors": [detail]}, status_code=error.http_status)


async def authenticated(request: Request, authorization: Annotated[str, Header()] = "") -> Caller:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorised
    directory = request.app.state.directory
    caller: Caller = directory.caller(directory.key(hashlib.sha256(key.encode()).digest()), None)
    return caller


STATES = (
    select(ApiKeyRow.disabled_at, AccountRow.suspended_at)
    .join(AccountRow, AccountRow.organisation_id == ApiKeyRow.organisation_id)
    .where(
        ApiKeyRow.organisation_id == bindparam("organisation_id"),
        ApiKeyRow.key_id == bindparam("key_id"),
        AccountRow.account_id == bindparam("account_id"),
    )
)


@app.post("/v1/orders/by-mass")
async def create_order_by_mass(
    data: CreateOrderByMass, request: Request, caller: Annotated[Caller, Depends(authenticated)]
) -> OrderBody:
    """Price the order from memory; check the caller and store the order in one transaction."""
    catalogue: Catalogue = request.app.state.catalogue
    quote = price_purchase(data.to_purchase(), account=caller.account, catalogue=catalogue, at=utc_now())
    order = to_row(data, quote, caller)
    try:
        async with new_session.begin() as session:
            await refuse_locked_out(session, caller)
            session.add_all([order, told(order), moved(order)])
    except IntegrityError as error:
        if "orders_idempotency_key" in str(error.orig):
            raise OrderIdempotencyAlreadyExists from error
        raise
    return to_body(order, quote, caller, catalogue)


async def refuse_locked_out(session: AsyncSession, caller: Caller) -> None:
    """Refuse a key that is disabled, or an account that is suspended, by now."""
    wanted = {
        "organisation_id": caller.account.organisation_id,
        "key_id": caller.key.key_id,
        "account_id": caller.account.account_id,
    }
    states = (await session.execute(STATES, wanted)).one_or_none()
    if states is None or states.disabled_at is not None:
        raise Unauthorised
    if states.suspended_at is not None:
        raise AccountSuspended


def to_row(data: CreateOrderByMass, quote: Quote, caller: Caller) -> OrderRow:
    now = utc_now()
    return OrderRow(
        organisation_id=caller.account.organisation_id,
        account_id=caller.account.account_id,
        order_id=new_id(),
        type="quantity",
        status="placed",
        currency=quote.currency.code,
        quantity_grams=quote.priced.quantity_grams,
        requested_tonnes=quote.requested_tonnes,
        offset_cost_minor=quote.priced.offset_cost_minor,
        total_cost_minor=quote.priced.total_cost_minor,
        lines=[to_composite(line) for line in quote.priced.lines],
        idempotency_key=data.idempotency_key,
        order_metadata=data.metadata,
        beneficiary=caller.account.beneficiary,
        created_at=now,
        placed_at=now,
        key_id=caller.key.key_id,
    )


def told(order: OrderRow) -> EventRow:
    return EventRow(
        organisation_id=order.organisation_id,
        account_id=order.account_id,
        chunk_id=order.order_id,
        event_types=["order.received", "order.placed"],
        order_ids=[order.order_id],
        created_at=order.created_at,
    )


def moved(order: OrderRow) -> TransferRow:
    return TransferRow(
        organisation_id=order.organisation_id,
        account_id=order.account_id,
        transfer_id=order.order_id,
        kind="order_placed",
        debit="receivable",
        credit="held",
        currency=order.currency,
        amount_minor=Decimal(order.total_cost_minor),
        order_ids=[order.order_id],
        created_at=order.created_at,
    )


def to_composite(line: Line) -> tuple[object, ...]:
    return (
        line.bundle_id,
        line.quantity_grams,
        line.unit_price,
        line.gross_unit_price,
        line.offset_cost_minor,
    )


def to_body(order: OrderRow, quote: Quote, caller: Caller, catalogue: Catalogue) -> OrderBody:
    money = quote.currency.format
    created_at = f"{order.created_at:%Y-%m-%dT%H:%M:%S}.{order.created_at.microsecond // 1000:03d}Z"
    return OrderBody(
        id=order.order_id,
        idempotency_key=order.idempotency_key,
        type=order.type,
        status=order.status,
        currency=order.currency,
        offset_cost=money(order.offset_cost_minor),
        commission=money(quote.priced.commission_minor),
        total_cost=money(order.total_cost_minor),
        quantity=format_tonnes(order.quantity_grams),
        requested_quantity=None if quote.requested_tonnes is None else plain(quote.requested_tonnes),
        created_at=created_at,
        bundles=[to_bundle(line, money(line.offset_cost_minor), catalogue) for line in quote.priced.lines],
        metadata=order.order_metadata or {},
        account_id=order.account_id,
        mode=caller.account.mode,
        beneficiary=None if order.beneficiary is None else BeneficiaryBody(name=order.beneficiary),
        status_history=[StatusReached(status=status, at=created_at) for status in ("received", "placed")],
    )


def to_bundle(line: Line, offset_cost: str, catalogue: Catalogue) -> OrderBundle:
    bundle = catalogue.bundles[line.bundle_id]
    return OrderBundle(
        bundle_id=line.bundle_id,
        bundle_name=bundle.name,
        primary_image=bundle.primary_image,
        quantity=format_tonnes(line.quantity_grams),
        unit_price=plain(line.unit_price),
        gross_unit_price=plain(line.gross_unit_price),
        offset_cost=offset_cost,
        insufficient_available_quantity=None if bundle.covers(line.quantity_grams) else True,
    )
