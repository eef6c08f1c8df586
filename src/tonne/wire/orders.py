"""Orders on the wire: contract, section 4."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.identifiers import read_id
from tonne.application.proofs import Links
from tonne.domain.accounts import Billing
from tonne.domain.catalogue import Catalogue
from tonne.domain.decimals import plain
from tonne.domain.errors import EstimateNotFound, ValidationFailed
from tonne.domain.mass import MassUnit, format_tonnes
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.pricing import Line
from tonne.domain.progress import PricedPart, Progress, WaitingFor, price_parts, retire_by, waiting_for
from tonne.domain.purchase import ByBundleMasses, ByEstimate, ByMass, ByValue, Purchase
from tonne.domain.selection import BUNDLES_MAX, refuse_repeated
from tonne.domain.times import format_time
from tonne.wire.common import (
    NO_NUL,
    Amount,
    BundleId,
    BundleSelection,
    CurrencyCode,
    Id,
    IdempotencyKey,
    MassBody,
    Metadata,
    Money,
    QuantityTrunc,
    Time,
    Tonnes,
    UnitPrice,
    read_bundle_id,
    read_selection,
    read_value,
)
from tonne.wire.terms import (
    BeneficiaryBody,
    BeneficiaryOfOrder,
    Guarded,
    beneficiary_body,
)

NOT_UNDER_WAY = Progress()
# Once an order is over, it makes no difference to it what is in stock.
_OVER = frozenset({OrderStatus.COMPLETE, OrderStatus.CANCELLED, OrderStatus.FAILED})


class BundleMass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mass to buy of one bundle."""

    bundle_id: BundleId
    mass: MassBody


BundleMasses = Annotated[
    list[BundleMass],
    Meta(min_length=1, max_length=BUNDLES_MAX, description="Masses bundle by bundle, instead of `mass`."),
]


class QuoteByMass(Guarded, frozen=True, forbid_unknown_fields=True):
    """What to quote: either `mass`, with or without a bundle selection, or `bundle_masses`."""

    mass: MassBody | None = None
    bundle_masses: BundleMasses | None = None
    bundle_selection: BundleSelection | None = None
    quantity_trunc: QuantityTrunc | None = None

    def to_purchase(self) -> Purchase:
        """Read the purchase.

        Raises:
            TonneError: neither or both of mass and bundle_masses, or as the parts of the request.
        """
        precision = self.quantity_trunc or MassUnit.G
        terms = self.read_terms()
        if self.bundle_masses is None:
            if self.mass is None:
                raise ValidationFailed.at("/mass", "is required, or bundle_masses instead of it")
            wanted = ByMass(self.mass.to_mass("/mass"))
            return Purchase(wanted, read_selection(self.bundle_selection), precision, terms)
        for name in ("mass", "bundle_selection"):
            if getattr(self, name) is not None:
                raise ValidationFailed.at(
                    f"/{name}", "can't be combined with bundle_masses: leave one of them out"
                )
        masses = tuple(
            (read_bundle_id(part.bundle_id), part.mass.to_mass(f"/bundle_masses/{position}/mass"))
            for position, part in enumerate(self.bundle_masses)
        )
        refuse_repeated([bundle_id for bundle_id, _ in masses], pointer="/bundle_masses")
        return Purchase(ByBundleMasses(masses), precision=precision, terms=terms)


class CreateOrderByMass(QuoteByMass, frozen=True, forbid_unknown_fields=True):
    """What to order: either `mass`, with or without a bundle selection, or `bundle_masses`."""

    idempotency_key: IdempotencyKey | None = None
    metadata: Metadata | None = None
    beneficiary: BeneficiaryOfOrder = None


class QuoteByValue(Guarded, frozen=True, forbid_unknown_fields=True):
    """What to quote: as much as `value` pays for, commission included."""

    value: Annotated[
        Amount,
        Meta(
            description="In the account's currency, commission included. Less than a minor unit is cut off."
        ),
    ]
    bundle_selection: BundleSelection | None = None
    quantity_trunc: QuantityTrunc | None = None

    def to_purchase(self) -> Purchase:
        """Read the purchase."""
        wanted = ByValue(read_value(self.value, "/value"))
        selection = read_selection(self.bundle_selection)
        return Purchase(wanted, selection, self.quantity_trunc or MassUnit.G, self.read_terms())


class CreateOrderByValue(QuoteByValue, frozen=True, forbid_unknown_fields=True):
    """What to order: as much as `value` pays for, commission included."""

    idempotency_key: IdempotencyKey | None = None
    metadata: Metadata | None = None
    beneficiary: BeneficiaryOfOrder = None


class QuoteByEstimate(Guarded, frozen=True, forbid_unknown_fields=True):
    """What to quote: the mass of an emission estimate."""

    estimate_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            extra_json_schema=NO_NUL,
            description="The id of an emission estimate.",
        ),
    ]
    bundle_selection: BundleSelection | None = None
    quantity_trunc: QuantityTrunc | None = None

    def to_purchase(self) -> Purchase:
        """Read the purchase."""
        estimate_id = read_id(self.estimate_id)
        if estimate_id is None:
            raise EstimateNotFound(f"This account has no emission estimate {self.estimate_id!r}.")
        selection = read_selection(self.bundle_selection)
        precision = self.quantity_trunc or MassUnit.G
        return Purchase(ByEstimate(estimate_id), selection, precision, self.read_terms())


class CreateOrderByEstimate(QuoteByEstimate, frozen=True, forbid_unknown_fields=True):
    """What to order: the mass of an emission estimate, once."""

    idempotency_key: IdempotencyKey | None = None
    metadata: Metadata | None = None
    beneficiary: BeneficiaryOfOrder = None


CreateOrder = CreateOrderByMass | CreateOrderByValue | CreateOrderByEstimate


class OrderBundle(msgspec.Struct, frozen=True):
    """What an order or a quote buys of one bundle."""

    bundle_id: Id
    bundle_name: str
    primary_image: str | None
    quantity: Tonnes
    unit_price: UnitPrice
    gross_unit_price: UnitPrice
    offset_cost: Money
    insufficient_available_quantity: Annotated[
        bool | None, Meta(description="true when stock does not cover the line now, else null.")
    ]


class OrderProject(msgspec.Struct, frozen=True):
    """Credits of one project that were allocated to an order."""

    project_id: Id
    project_name: str
    project_type: str
    project_slug: str
    project_logo: str | None
    quantity: Tonnes
    unit_price: UnitPrice
    offset_cost: Money
    status: Annotated[
        str,
        Meta(description="`allocated` or `retired`.", extra_json_schema={"enum": ["allocated", "retired"]}),
    ]


class StatusReached(msgspec.Struct, frozen=True):
    """A status, and when it was reached."""

    status: OrderStatus
    at: Time


class OrderBody(msgspec.Struct, frozen=True):
    """An order. Absent values are null."""

    id: Id
    idempotency_key: str | None
    type: Annotated[
        str,
        Meta(
            description="`value` for orders by value, else `quantity`.",
            extra_json_schema={"enum": ["quantity", "value"]},
        ),
    ]
    status: OrderStatus
    currency: CurrencyCode
    offset_cost: Annotated[Money | None, Meta(description="Net cost of the credits.")]
    commission: Annotated[Money | None, Meta(description="The fee.")]
    total_cost: Annotated[Money | None, Meta(description="What is paid: credits and fee.")]
    quantity: Annotated[Tonnes | None, Meta(description="The sum of the bundles' quantities.")]
    requested_quantity: Annotated[Tonnes | None, Meta(description="By mass and by estimate; null by value.")]
    requested_value: Annotated[Money | None, Meta(description="By value; else null.")]
    estimate_id: str | None
    payment_method: Annotated[
        str | None,
        Meta(
            description="null where it is paid from a balance, or settled already.",
            extra_json_schema={"enum": ["invoice", "card", None]},
        ),
    ]
    created_at: Time
    bundles: list[OrderBundle] | None
    projects: Annotated[list[OrderProject], Meta(description="Empty until credits are allocated.")]
    certificate: Annotated[str | None, Meta(description="URL of the PDF; null until complete.")]
    public_certificate_url: Annotated[
        str | None, Meta(description="URL of the proof page; null until complete.")
    ]
    metadata: dict[str, str]
    offset_link_id: str | None
    email: str | None
    account_id: Id
    mode: Annotated[str, Meta(description="`test` or `live`.", extra_json_schema={"enum": ["live", "test"]})]
    beneficiary: Annotated[
        BeneficiaryBody | None,
        Meta(description="For whom credits are retired; null: in the name of the account."),
    ]
    max_unit_price: Annotated[UnitPrice | None, Meta(description="What the order asked for; else null.")]
    min_vintage_year: int | None
    excluded_countries: list[str]
    excluded_projects: list[str]
    status_history: Annotated[list[StatusReached], Meta(description="Oldest first.")]
    retire_by: Annotated[
        Time | None, Meta(description="When a paid order should be retired at the latest; null before.")
    ]
    waiting_for: Annotated[
        WaitingFor | None,
        Meta(
            description="Why the order is not complete. `placing`, `payment`: it is not paid. `tonne`: credits are "
            "retired in whole tonnes, and some of this order is in a tonne that other orders of the same account and "
            "beneficiary will fill. `stock`: no credits are left for now. `registry`: the registry has not retired "
            "them yet. null when the order is over."
        ),
    ]


class OrderPage(msgspec.Struct, frozen=True):
    """A page of orders, newest first."""

    data: list[OrderBody]
    has_more: Annotated[bool, Meta(description="Whether older orders follow.")]
    next_cursor: Annotated[str | None, Meta(description="Pass it as `after`; null when there is no more.")]


def order_body(
    order: Order, catalogue: Catalogue, links: Links, progress: Progress = NOT_UNDER_WAY
) -> OrderBody:
    """Print an order; names, images and stock are the catalogue's of now."""
    money = order.currency.format
    is_complete = order.status is OrderStatus.COMPLETE
    waits_for = waiting_for(order, progress)
    by = retire_by(order)
    over = order.status in _OVER
    restrictions = order.terms.restrictions
    return OrderBody(
        id=str(order.order_id),
        idempotency_key=order.idempotency_key,
        type=order.type,
        status=order.status,
        currency=order.currency.code,
        offset_cost=money(order.offset_cost_minor),
        commission=money(order.commission_minor),
        total_cost=money(order.total_cost_minor),
        quantity=format_tonnes(order.quantity_grams),
        requested_quantity=None if order.requested_tonnes is None else plain(order.requested_tonnes),
        requested_value=None if order.requested_value_minor is None else money(order.requested_value_minor),
        estimate_id=None if order.estimate_id is None else str(order.estimate_id),
        payment_method="invoice" if order.billing is Billing.INVOICE else None,
        created_at=format_time(order.created_at),
        bundles=[
            line_body(line, money(line.offset_cost_minor), catalogue, over=over) for line in order.lines
        ],
        projects=[
            _project_body(priced, money(priced.offset_cost_minor), catalogue)
            for priced in price_parts(order, progress.parts)
        ],
        certificate=links.certificate(order) if is_complete else None,
        public_certificate_url=links.proof(order) if is_complete else None,
        metadata=dict(order.metadata or {}),
        offset_link_id=None,
        email=None,
        account_id=str(order.account_id),
        mode=order.mode,
        beneficiary=beneficiary_body(order),
        max_unit_price=None if order.terms.max_unit_price is None else plain(order.terms.max_unit_price),
        min_vintage_year=restrictions.min_vintage_year,
        excluded_countries=list(restrictions.excluded_countries),
        excluded_projects=[str(project_id) for project_id in restrictions.excluded_projects],
        status_history=[StatusReached(status, format_time(at)) for status, at in order.history],
        retire_by=None if by is None else format_time(by),
        waiting_for=waits_for,
    )


def _project_body(priced: PricedPart, offset_cost: str, catalogue: Catalogue) -> OrderProject:
    """Print a part of an order. A project that left the catalogue keeps its id as its name."""
    part = priced.part
    project = catalogue.projects.get(part.project_id)
    return OrderProject(
        project_id=str(part.project_id),
        project_name=str(part.project_id) if project is None else project.name,
        project_type="" if project is None else project.project_type,
        project_slug="" if project is None else project.slug,
        project_logo=None if project is None else project.logo,
        quantity=format_tonnes(part.quantity_grams),
        unit_price=plain(priced.line.unit_price),
        offset_cost=offset_cost,
        status="retired" if part.is_retired else "allocated",
    )


def line_body(line: Line, offset_cost: str, catalogue: Catalogue, *, over: bool = False) -> OrderBundle:
    """Print a line. A bundle that left the catalogue keeps its id as its name."""
    bundle = catalogue.bundles.get(line.bundle_id)
    short = not over and bundle is not None and not bundle.covers(line.quantity_grams)
    return OrderBundle(
        bundle_id=str(line.bundle_id),
        bundle_name=str(line.bundle_id) if bundle is None else bundle.name,
        primary_image=None if bundle is None else bundle.primary_image,
        quantity=format_tonnes(line.quantity_grams),
        unit_price=plain(line.unit_price),
        gross_unit_price=plain(line.gross_unit_price),
        offset_cost=offset_cost,
        insufficient_available_quantity=True if short else None,
    )
