"""What a certificate says: which credits were retired for an order, for whom, and where that can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.retirement import RetirementState
from tonne.domain.withdrawal import WithdrawalKind


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Tonnes of a retirement whose credits turned out to be none, when that was recorded, and why."""

    kind: WithdrawalKind
    reason: str
    at: datetime
    tonnes: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """A retirement that stands in for one whose credits were withdrawn; done when it is confirmed."""

    retirement_id: UUID
    state: RetirementState
    project_name: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    vintage_year: int
    serial_first: str
    serial_last: str
    tonnes: int
    retired_on: date | None
    registry_reference: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of a retirement's credits after the fact."""

    withdrawn: tuple[Withdrawn, ...]
    replaced_by: tuple[Replacement, ...]

    @property
    def as_of(self) -> datetime:
        """When the last of it happened."""
        decided = [each.decided_at for each in self.replaced_by if each.decided_at is not None]
        return max([each.at for each in self.withdrawn] + decided)


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
    aftermath: Aftermath | None = None


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

    @property
    def as_of(self) -> datetime:
        """When the last of what it says happened."""
        later = [each.aftermath.as_of for each in self.retirements if each.aftermath is not None]
        return max([self.completed_at, *later])
