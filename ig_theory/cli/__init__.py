"""The command line, ``ig-theory``; thin: every command asks the packages and prints."""

from ig_theory.cli.app import main

__all__ = ["main"]
