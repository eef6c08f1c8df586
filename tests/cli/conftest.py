"""The `tonne` command, on the module's database."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tonne.cli.main import main


@pytest.fixture(scope="module")
def tonne(database_url):
    """Run a command on the module's database; returns its result."""

    def run(*arguments: str, status: int = 0):
        result = CliRunner().invoke(main, [*arguments, "--database-url", database_url])
        assert result.exit_code == status, result.output
        return result

    return run
