"""Reports on the wire. The words of the lists they follow are kept, so these are described, and printed, elsewhere."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.wire.common import Time, Tonnes

Day = Annotated[
    str, Meta(description="A day.", extra_json_schema={"format": "date"}, examples=["2026-01-31"])
]
Stated = Annotated[str, Meta(description="`not stated` where the records do not say.")]


class ProjectDisclosure(msgspec.Struct, frozen=True):
    """A project, as California's AB 1305 asks for it (Health and Safety Code, section 44475.1)."""

    seller: Annotated[str, Meta(description="(a) The business that sold the offsets.")]
    registry_or_program: Annotated[str, Meta(description="(a) The offset registry or programme.")]
    project_id: Annotated[str, Meta(description="(b) The id at the registry.")]
    project_name: Annotated[str, Meta(description="(c) The name at the registry.")]
    offset_type: Annotated[Stated, Meta(description="(d) Removal, or emissions avoided or reduced.")]
    site: Annotated[str, Meta(description="(d) Where the project is.")]
    protocol: Annotated[Stated, Meta(description="(e) What reductions or removals were estimated with.")]
    verified_by: Annotated[Stated, Meta(description="(f) Who verified the project.")]
    company_data_verified: Annotated[
        Stated, Meta(description="(f) Whether a third party verified the company's own data and claims.")
    ]
    quantity: Tonnes


class RetirementDisclosure(ProjectDisclosure, frozen=True):
    """A retirement at a registry."""

    beneficiary: str
    retired_on: Day
    vintage_year: int
    serial_first: str
    serial_last: Annotated[str, Meta(description="Inclusive.")]
    retired_tonnes: Annotated[
        int, Meta(description="The whole retirement; `quantity` is the orders' part of it.")
    ]
    registry_reference: str
    registry_link: str | None
    removal_sink: Annotated[
        str | None, Meta(description="Biogenic or technological; null where nothing was removed.")
    ]
    quality_standard: str
    additional_standards_met: list[str]
    in_eu: bool
    corresponding_adjustment: Stated
    account_id: str
    retirement_id: str


class ShareDisclosure(msgspec.Struct, frozen=True):
    """A part of the volume."""

    name: str
    quantity: Tonnes
    share_percent: Annotated[str, Meta(description="Two decimals; those of one list add up to 100.00.")]


class PlannedDisclosure(msgspec.Struct, frozen=True):
    """What is paid and will be cancelled (ESRS E1, paragraph 59 b)."""

    quantity: Tonnes
    allocated: Annotated[Tonnes, Meta(description="Allocated, and not confirmed by the registry yet.")]
    waiting: Annotated[Tonnes, Meta(description="Waiting for credits, or for the rest of a tonne.")]
    based_on_existing_orders: bool


class ProjectsDisclosure(msgspec.Struct, frozen=True):
    """What AB 1305 asks for."""

    source: str
    projects: list[ProjectDisclosure]


class CreditsDisclosure(msgspec.Struct, frozen=True):
    """What ESRS E1-7 asks for (ESRS E1, paragraph 59 and AR 62)."""

    source: str
    cancelled: Tonnes
    by_offset_type: list[ShareDisclosure]
    removals_by_sink: list[ShareDisclosure]
    by_quality_standard: list[ShareDisclosure]
    by_place: list[ShareDisclosure]
    by_corresponding_adjustment: list[ShareDisclosure]
    planned: PlannedDisclosure


class DisclosureBody(msgspec.Struct, frozen=True, rename={"first_day": "from", "last_day": "to"}):
    """What was retired for a beneficiary in a period."""

    beneficiaries: list[str]
    first_day: Day
    last_day: Annotated[Day, Meta(description="Inclusive.")]
    mode: Annotated[
        str, Meta(description="`test`: nothing was retired.", extra_json_schema={"enum": ["live", "test"]})
    ]
    as_of: Time
    quantity: Tonnes
    ab_1305: ProjectsDisclosure
    esrs_e1_7: CreditsDisclosure
    retirements: list[RetirementDisclosure]
