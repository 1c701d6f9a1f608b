"""`python -m puna` is `puna`."""

from puna.cli import main

main()
