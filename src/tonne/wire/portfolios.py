"""Bundle portfolios on the wire: contract, section 10."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.catalogue import Portfolio
from tonne.wire.common import NO_NUL, ChoiceBody, Id, choice_body


class PortfolioBody(msgspec.Struct, frozen=True):
    """A bundle selection with a name."""

    id: Id
    identifier: Annotated[str, Meta(examples=["nature-first"])]
    label: str
    bundle_selection: list[ChoiceBody]


class ChoosePortfolio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which portfolio to buy when an order names no selection; null: none."""

    bundle_portfolio_id: Annotated[str, Meta(min_length=1, max_length=100, extra_json_schema=NO_NUL)] | None


def portfolio_body(portfolio: Portfolio) -> PortfolioBody:
    """Print a portfolio."""
    return PortfolioBody(
        id=str(portfolio.portfolio_id),
        identifier=portfolio.identifier,
        label=portfolio.label,
        bundle_selection=[choice_body(choice) for choice in portfolio.selection],
    )
