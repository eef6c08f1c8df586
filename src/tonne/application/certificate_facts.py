"""A certificate's facts as data: what the PDF says, for programs. Part of the API and of the public page alike."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.certificate import Aftermath, Certificate, CertifiedRetirement
from tonne.domain.mass import format_tonnes
from tonne.domain.retirement import RetirementState
from tonne.domain.times import format_time

Id = Annotated[str, Meta(description="Unique identifier.")]
Time = Annotated[
    str, Meta(description="RFC 3339, UTC, milliseconds.", extra_json_schema={"format": "date-time"})
]
Tonnes = Annotated[str, Meta(description="Tonnes of CO2e, exact.", examples=["0.012069"])]
Serial = Annotated[str, Meta(description="A whole serial number, as the registry prints it.")]
Day = Annotated[
    str, Meta(description="A day.", extra_json_schema={"format": "date"}, examples=["2026-01-31"])
]


class CertificateBody(msgspec.Struct, frozen=True):
    """The facts of a certificate."""

    order_id: Id
    mode: Annotated[
        str, Meta(description="`test`: nothing was retired.", extra_json_schema={"enum": ["live", "test"]})
    ]
    organisation: str
    beneficiary: Annotated[str | None, Meta(description="null where the public page is to hide the name.")]
    beneficiary_hidden_until: Annotated[
        str | None, Meta(description="The first day on which it shows the name.")
    ]
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
    withdrawn: Annotated[
        list[WithdrawnBody],
        Meta(description="Credits of it that turned out to be none. Empty: all are good."),
    ]
    replaced_by: Annotated[list[ReplacementBody], Meta(description="Retirements that stand in for those.")]


class WithdrawnBody(msgspec.Struct, frozen=True):
    """Tonnes of a retirement that were reversed or invalidated later."""

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["reversed", "invalidated"]})]
    reason: str
    at: Time
    quantity: Annotated[Tonnes, Meta(description="Whole tonnes of the retirement.")]


class ReplacementBody(msgspec.Struct, frozen=True):
    """A retirement that stands in for withdrawn credits; done when its state is `confirmed`."""

    id: Id
    state: str
    project_name: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    vintage_year: int
    serial_first: Serial
    serial_last: Annotated[str, Meta(description="Inclusive.")]
    quantity: Annotated[Tonnes, Meta(description="Whole tonnes.")]
    retired_on: str | None
    registry_reference: str | None


def certificate_body(certificate: Certificate, *, hidden_until: date | None = None) -> CertificateBody:
    """Print a certificate's facts, without the beneficiary's name where it is hidden."""
    return CertificateBody(
        order_id=str(certificate.order_id),
        mode=certificate.mode.value,
        organisation=certificate.organisation_name,
        beneficiary=certificate.beneficiary if hidden_until is None else None,
        beneficiary_hidden_until=None if hidden_until is None else hidden_until.isoformat(),
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
        withdrawn=[] if retirement.aftermath is None else _withdrawn(retirement.aftermath),
        replaced_by=[] if retirement.aftermath is None else _replaced_by(retirement.aftermath),
    )


def _withdrawn(aftermath: Aftermath) -> list[WithdrawnBody]:
    return [
        WithdrawnBody(each.kind.value, each.reason, format_time(each.at), str(each.tonnes))
        for each in aftermath.withdrawn
    ]


def _replaced_by(aftermath: Aftermath) -> list[ReplacementBody]:
    return [
        ReplacementBody(
            id=str(each.retirement_id),
            state=each.state.value,
            project_name=each.project_name,
            registry_name=each.registry_name,
            registry_project_id=each.registry_project_id,
            registry_link=each.registry_link,
            vintage_year=each.vintage_year,
            serial_first=each.serial_first,
            serial_last=each.serial_last,
            quantity=str(each.tonnes),
            retired_on=None if each.retired_on is None else each.retired_on.isoformat(),
            registry_reference=each.registry_reference,
        )
        for each in aftermath.replaced_by
    ]
