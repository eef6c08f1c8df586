"""`python -m tonne` is the `tonne` command."""

from tonne.cli.main import main

main(prog_name="tonne")
