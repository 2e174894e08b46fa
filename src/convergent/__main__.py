"""Run the command line with ``python -m convergent``."""

from .cli import main

main()
