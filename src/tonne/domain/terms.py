"""What an order asks for beyond a mass: whom the credits are retired for, and which ones it may be given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from tonne.domain.catalogue import Project


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """For whom credits are retired.

    Until `hidden_until` the public page does not show the name. `country` is ISO 3166-1 alpha-3.
    """

    name: str
    email: str | None = None
    country: str | None = None
    registration_number: str | None = None
    hidden_until: date | None = None


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Which credits an order may be given. Countries are ISO 3166-1 alpha-3; both tuples are sorted."""

    min_vintage_year: int | None = None
    excluded_countries: tuple[str, ...] = ()
    excluded_projects: tuple[UUID, ...] = ()

    def allow_project(self, project: Project) -> bool:
        """Whether a project's credits may be given, those of some vintage at least."""
        return (
            project.project_id not in self.excluded_projects
            and project.country_code not in self.excluded_countries
        )

    def allow_vintage(self, vintage_year: int) -> bool:
        """Whether credits of a vintage may be given."""
        return self.min_vintage_year is None or vintage_year >= self.min_vintage_year


UNRESTRICTED = Restrictions()


@dataclass(frozen=True, slots=True)
class Terms:
    """All of it together. `max_unit_price` is what a tonne may cost at most, commission included."""

    beneficiary: Beneficiary | None = None
    max_unit_price: Decimal | None = None
    restrictions: Restrictions = UNRESTRICTED


NO_TERMS = Terms()


def hidden_on(terms: Terms, day: date) -> date | None:
    """Until when the beneficiary's name is not shown in public; None where it is shown that day."""
    until = None if terms.beneficiary is None else terms.beneficiary.hidden_until
    return until if until is not None and day < until else None
