"""The `tonne` command."""

from __future__ import annotations

import click

import tonne
from tonne.cli.accounts import accounts
from tonne.cli.audit import audit
from tonne.cli.billing import BILLING_COMMANDS
from tonne.cli.catalogue import catalogue
from tonne.cli.check import check
from tonne.cli.db import db, init
from tonne.cli.estimate import estimate
from tonne.cli.exports import export_orders, report_retirements
from tonne.cli.factors import factors
from tonne.cli.inventory import inventory
from tonne.cli.keys import keys
from tonne.cli.listen import listen
from tonne.cli.lots import lots, projects
from tonne.cli.order_import import import_file
from tonne.cli.orders import orders
from tonne.cli.proof import proof
from tonne.cli.rates import rates
from tonne.cli.replacements import replace_retirements
from tonne.cli.report import report
from tonne.cli.retire import retire
from tonne.cli.retirements import retirements
from tonne.cli.serve import serve
from tonne.cli.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tonne.__version__, prog_name="tonne")
def main() -> None:
    """Sell carbon offsets through an API: quote, order, allocate, retire, prove.

    Every option can be set as a variable too: --data-dir as TONNE_DATA_DIR, and so on.
    """


for command in BILLING_COMMANDS:
    accounts.add_command(command)
orders.add_command(export_orders)
orders.add_command(import_file)
retirements.add_command(report_retirements)
retirements.add_command(replace_retirements)
for command in (
    serve,
    init,
    db,
    catalogue,
    rates,
    factors,
    projects,
    lots,
    inventory,
    keys,
    accounts,
    estimate,
    orders,
    retirements,
    report,
    retire,
    worker,
    listen,
    proof,
    audit,
    check,
):
    main.add_command(command)
