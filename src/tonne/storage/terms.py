"""What orders ask for beyond a mass, as it is stored: only what is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from tonne.domain.decimals import plain
from tonne.domain.terms import NO_TERMS, UNRESTRICTED, Beneficiary, Restrictions, Terms


def terms_row(terms: Terms) -> dict[str, Any] | None:
    """Terms as they are stored; None where there are none. The beneficiary's name is a column of its own."""
    if terms is NO_TERMS:
        return None
    beneficiary = terms.beneficiary
    details = beneficiary and _present(
        {
            "email": beneficiary.email,
            "country": beneficiary.country,
            "registration_number": beneficiary.registration_number,
            "hidden_until": beneficiary.hidden_until and beneficiary.hidden_until.isoformat(),
        }
    )
    return (
        _present(
            {
                "beneficiary": details,
                "max_unit_price": None if terms.max_unit_price is None else plain(terms.max_unit_price),
                "restrictions": restrictions_row(terms.restrictions) or None,
            }
        )
        or None
    )


def read_terms(row: Mapping[str, Any] | None, beneficiary_name: str | None) -> Terms:
    """Terms as they were stored."""
    if not row:
        return NO_TERMS
    details = row.get("beneficiary")
    beneficiary = None
    if details is not None and beneficiary_name is not None:
        hidden_until = details.get("hidden_until")
        beneficiary = Beneficiary(
            beneficiary_name,
            details.get("email"),
            details.get("country"),
            details.get("registration_number"),
            None if hidden_until is None else date.fromisoformat(hidden_until),
        )
    most = row.get("max_unit_price")
    return Terms(
        beneficiary,
        None if most is None else Decimal(most),
        read_restrictions(row.get("restrictions", {})),
    )


def restrictions_row(restrictions: Restrictions) -> dict[str, Any]:
    """Restrictions as they are stored."""
    return _present(
        {
            "min_vintage_year": restrictions.min_vintage_year,
            "excluded_countries": list(restrictions.excluded_countries) or None,
            "excluded_projects": [str(project_id) for project_id in restrictions.excluded_projects] or None,
        }
    )


def read_restrictions(row: Mapping[str, Any]) -> Restrictions:
    """Restrictions as they were stored."""
    if not row:
        return UNRESTRICTED
    return Restrictions(
        row.get("min_vintage_year"),
        tuple(row.get("excluded_countries", ())),
        tuple(UUID(text) for text in row.get("excluded_projects", ())),
    )


def _present(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
