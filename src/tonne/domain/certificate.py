"""What a certificate says: which credits were retired for an order, for whom, and where that can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from tonne.domain.accounts import Mode


@dataclass(frozen=True, slots=True)
class CertifiedRetirement:
    """One retirement at a registry, and the part of it that is the order's.

    `serial_first` and `serial_last` are whole serial numbers as the registry prints them, both inclusive, of the whole
    retirement; `tonnes` is its size, `quantity_grams` the order's part. An order's part may be less than a tonne: the
    rest of that tonne belongs to other orders of the same account and beneficiary.
    """

    retirement_id: UUID
    project_name: str
    project_type: str
    country_name: str
    country_code: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    methodology: str | None
    vintage_year: int
    serial_first: str
    serial_last: str
    tonnes: int
    quantity_grams: int
    retired_on: date
    registry_reference: str


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture: PNG, JPEG or SVG bytes, checked when they were uploaded."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts about one complete order.

    `code` is the unguessable part of `proof_url`, the public page with the same facts. In test mode nothing was
    retired, and every rendering must say so.
    """

    code: str
    proof_url: str
    order_id: UUID
    mode: Mode
    organisation_name: str
    beneficiary: str
    quantity_grams: int
    ordered_at: datetime
    completed_at: datetime
    retirements: tuple[CertifiedRetirement, ...]
    logo: Logo | None = None
