"""Lets ``python -m hwsim.cli`` be the command line."""

from hwsim.cli import main

main()
