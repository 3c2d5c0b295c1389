"""Lets ``python -m hwsim`` be the command line."""

from hwsim.cli import main

main()
