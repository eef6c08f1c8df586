"""What a company tells about credits that were retired on its behalf.

The lists followed are those of California's AB 1305 (Health and Safety Code, section 44475.1, letters a to f) and of
ESRS E1-7 (Commission Delegated Regulation (EU) 2023/2772, ESRS E1, paragraph 59 and AR 62). What is not known is said to
be not stated; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.pricing import split_by_largest_remainder
from tonne.domain.retirement import RetirementState

NOT_STATED = "not stated"
# Hundredths of a percent.
WHOLE = 10_000
_OFFSET_TYPES = {"carbon_removal": "removal", "emissions_reduction": "emissions avoided or reduced"}
# The member states, ISO 3166-1 alpha-3. Source: Treaty on European Union, article 52, as of 1 February 2020.
EU_MEMBERS = frozenset({
    "AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST", "FIN", "FRA", "GRC", "HRV", "HUN", "IRL", "ITA", "LTU",
    "LUX", "LVA", "MLT", "NLD", "POL", "PRT", "ROU", "SVK", "SVN", "SWE",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class RetiredCredits:
    """One retirement at a registry: credits of one project and vintage, with serial numbers in a row.

    `tonnes` is the whole of it; `ordered_grams` is what orders hold of it. The rest, if any, the operator added to fill
    a tonne. Serial numbers are printed whole, both inclusive. `withdrawn_tonnes` of it were reversed or invalidated later,
    and `replaced_tonnes` of other credits, good ones, are retired in their place; `replaces_id` is of the retirement that this one
    stands in for.
    """

    retirement_id: UUID
    organisation_id: UUID
    organisation_name: str
    account_id: UUID
    account_name: str
    mode: Mode
    state: RetirementState
    beneficiary: str
    beneficiary_registration_number: str | None
    project_id: UUID
    project_name: str
    project_type: str
    country_name: str
    country_code: str
    region: str | None
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    protocol: str | None
    methodology: str | None
    verifying_body: str | None
    additional_standards_met: tuple[str, ...]
    bundle_name: str | None
    offset_type: str | None
    vintage_year: int
    serial_first: str
    serial_last: str
    tonnes: int
    ordered_grams: int
    registry_reference: str | None
    retired_on: date | None
    reason: str | None
    created_at: datetime
    withdrawn_tonnes: int = 0
    replaced_tonnes: int = 0
    replaces_id: UUID | None = None

    @property
    def offset_type_stated(self) -> str:
        """Whether emissions were removed, or avoided or reduced: as the catalogue says of the bundle ordered from."""
        return _OFFSET_TYPES.get(self.offset_type or "", NOT_STATED)

    @property
    def protocol_stated(self) -> str:
        """The protocol that reductions or removals were estimated with."""
        return self.protocol or self.methodology or NOT_STATED

    @property
    def is_in_eu(self) -> bool:
        return self.country_code in EU_MEMBERS

    @property
    def site(self) -> str:
        """Where the project is."""
        country = f"{self.country_name} ({self.country_code})"
        return f"{self.region}, {country}" if self.region else country


@dataclass(frozen=True, slots=True)
class Planned:
    """Grams that are ordered and paid and will be retired: allocated already, or waiting for credits."""

    allocated_grams: int
    waiting_grams: int

    @property
    def grams(self) -> int:
        return self.allocated_grams + self.waiting_grams


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the whole by name. `hundredths` are of a percent; those of one breakdown add up to 10,000."""

    name: str
    grams: int
    hundredths: int


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Confirmed retirements for a beneficiary from the first day to the last, both inclusive.

    `seller` is who sold the credits: the operator. In test mode nothing was retired, and every rendering must say so.
    """

    beneficiaries: tuple[str, ...]
    first_day: date
    last_day: date
    mode: Mode
    seller: str
    as_of: datetime
    credits: tuple[RetiredCredits, ...]
    planned: Planned

    @property
    def grams(self) -> int:
        """What was retired for the beneficiary: its own grams, to the gram."""
        return sum(each.ordered_grams for each in self.credits)

    @property
    def withdrawn_tonnes(self) -> int:
        """Of the retirements listed that orders have parts in, whole tonnes that were reversed or invalidated later."""
        return sum(each.withdrawn_tonnes for each in self._ordered)

    @property
    def replaced_tonnes(self) -> int:
        """Whole tonnes that are retired in place of those, in the period or after it."""
        return sum(each.replaced_tonnes for each in self._ordered)

    @property
    def by_offset_type(self) -> list[Share]:
        return self._shares(lambda each: each.offset_type_stated)

    @property
    def by_standard(self) -> list[Share]:
        return self._shares(lambda each: each.registry_name)

    @property
    def by_place(self) -> list[Share]:
        return self._shares(lambda each: f"{'in' if each.is_in_eu else 'outside'} the European Union")

    @property
    def removals_by_sink(self) -> list[Share]:
        """Of removals alone: biogenic or technological, which nothing here says."""
        grams = sum(each.ordered_grams for each in self.credits if each.offset_type_stated == "removal")
        return _share_out([(NOT_STATED, grams)]) if grams else []

    @property
    def by_corresponding_adjustment(self) -> list[Share]:
        """Whether the host country adjusts its account under Article 6 of the Paris Agreement: nothing here says."""
        return _share_out([(NOT_STATED, self.grams)]) if self.grams else []

    @property
    def projects(self) -> list[tuple[RetiredCredits, int]]:
        """Each project and offset type, by one of its retirements, with the grams retired of it; largest first."""
        first: dict[tuple[UUID, str], RetiredCredits] = {}
        grams: dict[tuple[UUID, str], int] = {}
        for each in self._ordered:
            key = (each.project_id, each.offset_type_stated)
            first.setdefault(key, each)
            grams[key] = grams.get(key, 0) + each.ordered_grams
        return sorted(
            ((first[key], grams[key]) for key in first), key=lambda found: (-found[1], found[0].project_name)
        )

    def _shares(self, name_of: Callable[[RetiredCredits], str]) -> list[Share]:
        return _share_out((name_of(each), each.ordered_grams) for each in self._ordered)

    @property
    def _ordered(self) -> list[RetiredCredits]:
        """Without those that only stand in for others, in which no order has a part."""
        return [each for each in self.credits if each.replaces_id is None]


def in_order(credits_: Iterable[RetiredCredits]) -> tuple[RetiredCredits, ...]:
    """Retirements as they are listed: by day, then by project and serial number."""

    def place(each: RetiredCredits) -> tuple[date, str, str, UUID]:
        return each.retired_on or date.max, each.project_name, each.serial_first, each.retirement_id

    return tuple(sorted(credits_, key=place))


def _share_out(parts: Iterable[tuple[str, int]]) -> list[Share]:
    """Add up by name, largest first, with shares that lose nothing to rounding."""
    grams: dict[str, int] = {}
    for name, part in parts:
        grams[name] = grams.get(name, 0) + part
    ranked: Sequence[tuple[str, int]] = sorted(grams.items(), key=lambda item: (-item[1], item[0]))
    weights = [part for _, part in ranked]
    hundredths = split_by_largest_remainder(WHOLE if sum(weights) else 0, weights)
    return [Share(name, part, share) for (name, part), share in zip(ranked, hundredths, strict=True)]
