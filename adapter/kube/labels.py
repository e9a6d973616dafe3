"""Which texts may be label keys and label values, and what Kubernetes says of those that may not."""

from __future__ import annotations

import re

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME})?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

_NAME_PATTERN = re.compile(_NAME)
_VALUE_PATTERN = re.compile(_VALUE)
_SUBDOMAIN_PATTERN = re.compile(_SUBDOMAIN)

# In UTF-8 bytes: what the Kubernetes API allows for names and values, and RFC 1123 for domains.
_NAME_BYTES = _VALUE_BYTES = 63
_SUBDOMAIN_BYTES = 253

_CHARACTERS = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_NAME_FAULT = (
    f"must consist of {_CHARACTERS}"
    f" (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_PREFIX_HINT = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_VALUE_FAULT = (
    f"a valid label must be an empty string or consist of {_CHARACTERS}"
    f" (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_SUBDOMAIN_FAULT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_EMPTY_FAULT = "must be non-empty"


def key_fault(key: str) -> str | None:
    """Say what is wrong with a label key, None if nothing is."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return f"a valid label key {_NAME_FAULT}{_PREFIX_HINT}"
    faults = [f"prefix part {fault}" for fault in _prefix_faults(prefix)] if slash else []
    faults += [f"name part {fault}" for fault in _name_faults(name)]
    return "; ".join(faults) or None


def value_fault(value: str) -> str | None:
    """Say what is wrong with a label value, None if nothing is."""
    faults = [_too_long(_VALUE_BYTES)] if _bytes(value) > _VALUE_BYTES else []
    if not _VALUE_PATTERN.fullmatch(value):
        faults.append(_VALUE_FAULT)
    return "; ".join(faults) or None


def _prefix_faults(prefix: str) -> list[str]:
    if not prefix:
        return [_EMPTY_FAULT]
    faults = [_too_long(_SUBDOMAIN_BYTES)] if _bytes(prefix) > _SUBDOMAIN_BYTES else []
    return faults if _SUBDOMAIN_PATTERN.fullmatch(prefix) else [*faults, _SUBDOMAIN_FAULT]


def _name_faults(name: str) -> list[str]:
    faults = [] if name else [_EMPTY_FAULT]
    if _bytes(name) > _NAME_BYTES:
        faults.append(_too_long(_NAME_BYTES))
    return faults if _NAME_PATTERN.fullmatch(name) else [*faults, _NAME_FAULT]


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
