"""`python -m maskdial` is the command line."""

from maskdial.cli import main

main()
