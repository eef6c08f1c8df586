"""Retirements as a table with the column names of the CAD Trust data model.

Names and meanings of `unit_…`, `project_…`, `methodology_…` and `location_…` follow the tables `unit`, `project`, `methodology`
and `location` of data model 2.0 of the Climate Action Data Trust. What it asks for and is not known is left out; the other
columns are our own.
"""

from __future__ import annotations

from typing import Any

from tonne.domain.disclosure import RetiredCredits
from tonne.domain.mass import format_tonnes
from tonne.domain.retirement import RetirementState

CREDIT_COLUMNS = (
    "unit_serial_id",
    "unit_start_block",
    "unit_end_block",
    "unit_count",
    "unit_type",
    "unit_vintage_year",
    "unit_status",
    "unit_status_reason",
    "unit_status_date",
    "unit_retirement_detail",
    "unit_retirement_beneficiary",
    "unit_retirement_beneficiary_id",
    "unit_link",
    "unit_metric",
    "project_registry_name",
    "project_id",
    "project_name",
    "project_link",
    "project_type",
    "methodology_code",
    "location_country",
    "retirement_id",
    "state",
    "mode",
    "account_id",
    "account_name",
    "organisation_name",
    "ordered_quantity",
    "offset_type",
    "created_at",
    "withdrawn_tonnes",
    "replaced_tonnes",
    "replaces_retirement_id",
)


def credit_row(credits_: RetiredCredits) -> dict[str, Any]:
    """A retirement's row. `unit_count` is whole tonnes, `ordered_quantity` the tonnes that orders hold of them."""
    is_retired = credits_.state is RetirementState.CONFIRMED
    return {
        "unit_serial_id": f"{credits_.serial_first}-{credits_.serial_last}",
        "unit_start_block": credits_.serial_first,
        "unit_end_block": credits_.serial_last,
        "unit_count": credits_.tonnes,
        # The list of types asks for "nature" or "technical" too, which nothing here says: see `offset_type`.
        "unit_type": "Not Determined",
        "unit_vintage_year": credits_.vintage_year,
        "unit_status": "Retired" if is_retired else "Held",
        "unit_status_reason": credits_.reason,
        "unit_status_date": credits_.retired_on,
        "unit_retirement_detail": credits_.registry_reference,
        "unit_retirement_beneficiary": credits_.beneficiary,
        "unit_retirement_beneficiary_id": credits_.beneficiary_registration_number,
        "unit_link": credits_.registry_link,
        "unit_metric": "tCO2e",
        "project_registry_name": credits_.registry_name,
        "project_id": credits_.registry_project_id,
        "project_name": credits_.project_name,
        "project_link": credits_.registry_link,
        "project_type": credits_.project_type,
        "methodology_code": credits_.methodology,
        "location_country": credits_.country_name,
        "retirement_id": str(credits_.retirement_id),
        "state": credits_.state.value,
        "mode": credits_.mode.value,
        "account_id": str(credits_.account_id),
        "account_name": credits_.account_name,
        "organisation_name": credits_.organisation_name,
        "ordered_quantity": format_tonnes(credits_.ordered_grams),
        "offset_type": credits_.offset_type_stated,
        "created_at": credits_.created_at,
        "withdrawn_tonnes": credits_.withdrawn_tonnes,
        "replaced_tonnes": credits_.replaced_tonnes,
        "replaces_retirement_id": None if credits_.replaces_id is None else str(credits_.replaces_id),
    }
