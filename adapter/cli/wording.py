"""How names are put into sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_SHOWN = 5  # names in one sentence; a person reads no more
_CUTOFF = 0.7  # difflib takes 0.6, which finds daemonsets for deployments


def close_matches(word: str, known: Iterable[str]) -> Sequence[str]:
    """Return up to three known words that are spelled like this one, the closest first."""
    return get_close_matches(word, sorted(known), n=3, cutoff=_CUTOFF)


def either(names: Iterable[str]) -> str:
    """Return `"a" or "b"`."""
    return listed((f'"{name}"' for name in names), " or ")


def listed(names: Iterable[str], joint: str = ", ") -> str:
    """Return the first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return joint.join(every[:_SHOWN]) + more
