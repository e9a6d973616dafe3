"""Reading of documents that anybody may have written: what is missing, or of another shape, is empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

# Ports, replicas and codes are far below; a number of a thousand digits would be an error where it is printed.
_LARGEST: Final = 2**63


def at(value: Any, *path: str) -> Any:
    """Return what stands at a path of keys, None if nothing does."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the mapping at a path, an empty one if there is none."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def text(value: Any, *path: str) -> str:
    """Return the text at a path, an empty one if there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number(value: Any, *path: str) -> int | None:
    """Return the whole number at a path, None if there is none."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < _LARGEST else None


def is_true(value: Any, *path: str) -> bool:
    """Say whether there is a `true` at a path."""
    return at(value, *path) is True


def items(value: Any, *path: str) -> tuple[Any, ...]:
    """Return the list at a path, an empty one if there is none."""
    found = at(value, *path)
    return tuple(found) if isinstance(found, list) else ()


def mappings(value: Any, *path: str) -> tuple[Mapping[str, Any], ...]:
    """Return the mappings of the list at a path."""
    return tuple(one for one in items(value, *path) if isinstance(one, Mapping))


def moment(value: Any, *path: str) -> datetime | None:
    """Return the time at a path, as Kubernetes writes it (RFC 3339), None if there is none."""
    try:
        found = datetime.fromisoformat(text(value, *path))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def words(value: Any, *path: str) -> tuple[str, ...]:
    """Return the texts of the list at a path."""
    return tuple(one for one in items(value, *path) if isinstance(one, str))


def texts(value: Any, *path: str) -> Mapping[str, str]:
    """Return the entries of the mapping at a path whose values are texts, such as labels."""
    return {key: found for key, found in mapping(value, *path).items() if isinstance(found, str)}
