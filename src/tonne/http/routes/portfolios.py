"""Bundle portfolios: selections that an account takes over by name."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from tonne.application.identifiers import read_id, utc_now
from tonne.application.select_bundles import select_portfolio
from tonne.domain.errors import PortfolioInvalid
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.request import ApiRequest
from tonne.wire.accounts import AccountBody, account_body
from tonne.wire.portfolios import ChoosePortfolio, PortfolioBody, portfolio_body

TAGS = ["Account"]


@get(
    "/bundle-portfolios",
    tags=TAGS,
    operation_id="listBundlePortfolios",
    summary="List bundle portfolios",
    responses=refusals(),
)
async def list_bundle_portfolios(request: ApiRequest) -> list[PortfolioBody]:
    """List the bundle selections that an account can take over by name."""
    portfolios = request.catalogue.portfolios.values()
    return [portfolio_body(portfolio) for portfolio in portfolios if not portfolio.disabled]


@put(
    "/bundle-portfolios",
    tags=TAGS,
    operation_id="putBundlePortfolio",
    summary="Choose a bundle portfolio",
    responses=refusals(*WITH_BODY, PortfolioInvalid),
)
async def put_bundle_portfolio(request: ApiRequest, data: JSONBody[ChoosePortfolio]) -> AccountBody:
    """Let orders that name no selection buy a portfolio's; null: the platform's default again.

    The account's own selection is given up for it; setting one later gives up the portfolio.
    """
    portfolio_id = None
    if data.bundle_portfolio_id is not None:
        portfolio_id = read_id(data.bundle_portfolio_id)
        if portfolio_id is None:
            raise PortfolioInvalid(
                f"There is no bundle portfolio {data.bundle_portfolio_id!r}; GET /v1/bundle-portfolios lists them."
            )
    account = await select_portfolio(
        request.services.pool,
        request.account,
        portfolio_id,
        catalogue=request.catalogue,
        at=utc_now(),
        actor=request.actor,
    )
    await request.services.snapshots.refresh()
    return account_body(account)
