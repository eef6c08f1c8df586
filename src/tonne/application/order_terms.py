"""Reading what an order asks for beyond a mass, whether a request or a file says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from tonne.application.beneficiary_names import read_beneficiary_name
from tonne.domain.decimals import parse_decimal
from tonne.domain.errors import ValidationFailed
from tonne.domain.money import VALUE_MAX
from tonne.domain.terms import NO_TERMS, Beneficiary, Restrictions, Terms
from tonne.storage.countries import is_country

EXCLUDED_MAX = 250
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")


class SaidBeneficiary(Protocol):
    """For whom credits are to be retired, as it was said."""

    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str | None: ...
    @property
    def country(self) -> str | None: ...
    @property
    def registration_number(self) -> str | None: ...
    @property
    def hidden_until(self) -> str | None: ...


class SaidTerms(Protocol):
    """What is asked of price and credits, as it was said."""

    @property
    def max_unit_price(self) -> str | None: ...
    @property
    def min_vintage_year(self) -> int | None: ...
    @property
    def excluded_countries(self) -> Sequence[str] | None: ...
    @property
    def excluded_projects(self) -> Sequence[str] | None: ...


def read_terms(said: SaidTerms, beneficiary: SaidBeneficiary | None) -> Terms:
    """Read what is asked for.

    Raises:
        ValidationFailed: a price that is none, no country or project id, or as `read_beneficiary`.
    """
    countries, projects = said.excluded_countries or (), said.excluded_projects or ()
    asked = (beneficiary, said.max_unit_price, said.min_vintage_year)
    if all(each is None for each in asked) and not countries and not projects:
        return NO_TERMS
    for position, code in enumerate(countries):
        read_country(code, f"/excluded_countries/{position}")
    return Terms(
        None if beneficiary is None else read_beneficiary(beneficiary, "/beneficiary"),
        None if said.max_unit_price is None else _read_price(said.max_unit_price),
        Restrictions(said.min_vintage_year, tuple(sorted(set(countries))), _read_projects(projects)),
    )


def read_beneficiary(said: SaidBeneficiary, pointer: str) -> Beneficiary:
    """Read for whom credits are to be retired.

    Raises:
        ValidationFailed: a name that certificates can't print, or what is no email address, country or date.
    """
    name = read_beneficiary_name(said.name, f"{pointer}/name")
    if said.email is not None and _EMAIL.fullmatch(said.email) is None:
        raise ValidationFailed.at(f"{pointer}/email", "must be an email address")
    if said.country is not None:
        read_country(said.country, f"{pointer}/country")
    number = said.registration_number
    if number is not None and (not number.isprintable() or not number.strip()):
        raise ValidationFailed.at(f"{pointer}/registration_number", "must be printable characters")
    hidden_until = _read_day(said.hidden_until, f"{pointer}/hidden_until")
    return Beneficiary(name, said.email, said.country, number, hidden_until)


def read_country(code: str, pointer: str) -> str:
    """Read a country's code.

    Raises:
        ValidationFailed: there is no such country.
    """
    if not is_country(code):
        raise ValidationFailed.at(pointer, f"{code!r} is no ISO 3166-1 alpha-3 country code, such as DEU")
    return code


def _read_projects(texts: Sequence[str]) -> tuple[UUID, ...]:
    found = set()
    for position, text in enumerate(texts):
        try:
            project_id = UUID(text)
        except ValueError:
            project_id = None
        if project_id is None or str(project_id) != text:
            raise ValidationFailed.at(
                f"/excluded_projects/{position}", "is no project's id: GET /v1/projects lists them"
            )
        found.add(project_id)
    return tuple(sorted(found))


def _read_price(text: str) -> Decimal:
    try:
        price = parse_decimal(text)
    except ValueError as error:
        raise ValidationFailed.at("/max_unit_price", str(error)) from None
    if price > VALUE_MAX:
        raise ValidationFailed.at("/max_unit_price", f"must be at most {VALUE_MAX}")
    return price


def _read_day(text: str | None, pointer: str) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValidationFailed.at(pointer, "must be a date such as 2027-01-31")
    return day
