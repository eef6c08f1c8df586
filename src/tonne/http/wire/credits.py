"""What proves an order on the wire: its parts in retirements, the retirements themselves, and the certificate's facts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.certificate import Certificate, CertifiedRetirement
from tonne.domain.mass import format_tonnes
from tonne.domain.progress import OrderPart, Retirement
from tonne.domain.retirement import RetirementState
from tonne.http.wire.common import Id, Time, Tonnes, format_time

Serial = Annotated[str, Meta(description="A whole serial number, as the registry prints it.")]
Day = Annotated[
    str, Meta(description="A day.", extra_json_schema={"format": "date"}, examples=["2026-01-31"])
]


class RetirementBody(msgspec.Struct, frozen=True):
    """Whole tonnes retired, or to be retired, at a registry."""

    id: Id
    state: Annotated[
        RetirementState,
        Meta(description="Only `confirmed` is retired. `unknown`: the registry is being asked what it did."),
    ]
    project_id: Id
    project_name: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    country_code: str
    methodology: str | None
    vintage_year: int
    serial_first: Serial
    serial_last: Annotated[str, Meta(description="Inclusive.")]
    quantity: Annotated[Tonnes, Meta(description="Whole tonnes of the retirement.")]
    order_quantity: Annotated[Tonnes, Meta(description="This order's part of it.")]
    beneficiary: str
    registry_reference: Annotated[str | None, Meta(description="Under which the registry knows it.")]
    retired_on: Day | None
    created_at: Time


class AllocationBody(msgspec.Struct, frozen=True):
    """An order's part in a retirement."""

    id: Annotated[str, Meta(description="Unique identifier.")]
    order_id: Id
    project_id: Id
    retirement_id: Id
    quantity: Tonnes
    status: Annotated[
        str,
        Meta(
            description="`retired` once the registry confirmed.",
            extra_json_schema={"enum": ["new", "retired"]},
        ),
    ]
    created_at: Time
    project_name: str
    registry_name: str
    registry_link: str | None
    registry_reference: str | None
    vintage_year: int
    serial_first: Serial
    serial_last: Annotated[str, Meta(description="Inclusive.")]
    state: RetirementState


class CertificateBody(msgspec.Struct, frozen=True):
    """The facts of a certificate."""

    order_id: Id
    mode: Annotated[
        str, Meta(description="`test`: nothing was retired.", extra_json_schema={"enum": ["live", "test"]})
    ]
    organisation: str
    beneficiary: str
    quantity: Tonnes
    ordered_at: Time
    completed_at: Time
    public_certificate_url: str
    retirements: list[CertifiedRetirementBody]


class CertifiedRetirementBody(msgspec.Struct, frozen=True):
    """A retirement, and the order's part in it."""

    id: Id
    project_name: str
    project_type: str
    country_name: str
    country_code: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    methodology: str | None
    vintage_year: int
    serial_first: Serial
    serial_last: Annotated[str, Meta(description="Inclusive.")]
    quantity: Annotated[Tonnes, Meta(description="Whole tonnes of the retirement.")]
    order_quantity: Annotated[Tonnes, Meta(description="This order's part of it.")]
    state: Annotated[str, Meta(extra_json_schema={"enum": ["confirmed"]})]
    retired_on: Day
    registry_reference: str


def retirement_body(part: OrderPart) -> RetirementBody:
    """Print a retirement with an order's part in it."""
    retirement = part.retirement
    return RetirementBody(
        id=str(retirement.retirement_id),
        state=retirement.state,
        project_id=str(retirement.project_id),
        project_name=retirement.project_name,
        registry_name=retirement.registry_name,
        registry_project_id=retirement.registry_project_id,
        registry_link=retirement.registry_link,
        country_code=retirement.country_code,
        methodology=retirement.methodology,
        vintage_year=retirement.vintage_year,
        serial_first=retirement.serial_first,
        serial_last=retirement.serial_last,
        quantity=str(retirement.tonnes),
        order_quantity=format_tonnes(part.quantity_grams),
        beneficiary=retirement.beneficiary,
        registry_reference=retirement.registry_reference,
        retired_on=None if retirement.retired_on is None else retirement.retired_on.isoformat(),
        created_at=format_time(retirement.created_at),
    )


def allocation_body(part: OrderPart) -> AllocationBody:
    """Print an order's part in a retirement."""
    retirement: Retirement = part.retirement
    return AllocationBody(
        id=f"{retirement.retirement_id}.{part.order_id}",
        order_id=str(part.order_id),
        project_id=str(retirement.project_id),
        retirement_id=str(retirement.retirement_id),
        quantity=format_tonnes(part.quantity_grams),
        status="retired" if retirement.state is RetirementState.CONFIRMED else "new",
        created_at=format_time(retirement.created_at),
        project_name=retirement.project_name,
        registry_name=retirement.registry_name,
        registry_link=retirement.registry_link,
        registry_reference=retirement.registry_reference,
        vintage_year=retirement.vintage_year,
        serial_first=retirement.serial_first,
        serial_last=retirement.serial_last,
        state=retirement.state,
    )


def certificate_body(certificate: Certificate) -> CertificateBody:
    """Print a certificate's facts."""
    return CertificateBody(
        order_id=str(certificate.order_id),
        mode=certificate.mode.value,
        organisation=certificate.organisation_name,
        beneficiary=certificate.beneficiary,
        quantity=format_tonnes(certificate.quantity_grams),
        ordered_at=format_time(certificate.ordered_at),
        completed_at=format_time(certificate.completed_at),
        public_certificate_url=certificate.proof_url,
        retirements=[_certified_body(retirement) for retirement in certificate.retirements],
    )


def _certified_body(retirement: CertifiedRetirement) -> CertifiedRetirementBody:
    return CertifiedRetirementBody(
        id=str(retirement.retirement_id),
        project_name=retirement.project_name,
        project_type=retirement.project_type,
        country_name=retirement.country_name,
        country_code=retirement.country_code,
        registry_name=retirement.registry_name,
        registry_project_id=retirement.registry_project_id,
        registry_link=retirement.registry_link,
        methodology=retirement.methodology,
        vintage_year=retirement.vintage_year,
        serial_first=retirement.serial_first,
        serial_last=retirement.serial_last,
        quantity=str(retirement.tonnes),
        order_quantity=format_tonnes(retirement.quantity_grams),
        state=RetirementState.CONFIRMED.value,
        retired_on=retirement.retired_on.isoformat(),
        registry_reference=retirement.registry_reference,
    )
