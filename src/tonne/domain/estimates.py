"""Emission estimates: a mass, how it was found, and what it was found from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tonne.domain.mass import MassUnit
from tonne.domain.selection import Choice


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a calculation, so that a mass can be checked by hand."""

    description: str
    inputs: Mapping[str, str]
    result: str
    factor_id: str | None = None
    factor_value: str | None = None
    factor_unit: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate as stored. `request` is what the caller sent; `tonnes` is exact to the milligram."""

    organisation_id: UUID
    account_id: UUID
    estimate_id: UUID
    kind: str
    tonnes: Decimal
    request: Mapping[str, Any]
    calculation: tuple[Step, ...]
    precision: MassUnit
    created_at: datetime
    selection: tuple[Choice, ...] | None = None
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    idempotency_key: str | None = None
