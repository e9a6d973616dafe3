"""What a person got wrong on the command line."""

from __future__ import annotations


class UsageError(Exception):
    """A command line that cannot be understood; the text says what to write, and the exit code is 2."""
