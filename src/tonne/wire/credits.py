"""What proves an order on the wire: its parts in retirements, the retirements themselves, and the certificate's facts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.mass import format_tonnes
from tonne.domain.progress import OrderPart, Retirement
from tonne.domain.retirement import RetirementState
from tonne.domain.times import format_time
from tonne.wire.common import Id, Time, Tonnes

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
