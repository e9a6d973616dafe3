"""Which texts may be names: of headers, of rules, of namespaces."""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110, token
# Names of namespaces are DNS labels; a pattern may hold nothing else but the wild cards of a shell.
_NAMESPACE_PATTERN: Final = re.compile(r"(?:[a-z0-9*?-]|\[!?[a-z0-9-]+\])+", re.ASCII)
MAX_NAME_CHARACTERS: Final = 100  # an id becomes a label value of our own metrics


def is_one_line(text: str) -> bool:
    """Say whether a text is fit to be a name: not blank, short, and without control characters."""
    return bool(text.strip()) and len(text) <= MAX_NAME_CHARACTERS and not has_control_characters(text)


def has_control_characters(text: str) -> bool:
    """Say whether a text holds something that is no character to look at, such as a line break."""
    return _CONTROL.search(text) is not None


def is_header_name(text: str) -> bool:
    """Say whether a text can be the name of an HTTP header (RFC 9110)."""
    return _HEADER_NAME.fullmatch(text) is not None


def is_header_value(text: str) -> bool:
    """Say whether a text can be the value of an HTTP header: anything on one line (RFC 9110)."""
    return not has_control_characters(text.replace("\t", " "))


def is_namespace_pattern(text: str) -> bool:
    """Say whether a shell pattern can match the name of a namespace."""
    return _NAMESPACE_PATTERN.fullmatch(text) is not None
