"""Documents as YAML, as sigs.k8s.io/yaml writes them.

Keys are sorted, two spaces indent, and no text is written bare that another reader takes for a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import yaml

MEDIA_TYPE: Final = "application/yaml"

_TEXT: Final = "tag:yaml.org,2002:str"
# Wider than any line; the largest number that libyaml takes.
_NO_WRAPPING: Final = 2**31 - 1
# Booleans of YAML 1.1 that PyYAML writes bare and Go's reader takes for true and false.
_OTHER_BOOLEANS: Final = frozenset("yYnN")


try:
    from yaml import CSafeDumper as SafeDumper  # several times as fast
except ImportError:  # PyYAML can be built without libyaml
    from yaml import SafeDumper  # type: ignore[assignment]  # the same interface, in Python


class _Dumper(SafeDumper):
    """Quotes doubtful text with double quotes, and writes what occurs twice twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True


def _represent_text(dumper: SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TEXT, text, style='"' if _is_doubtful(dumper, text) else None)


_Dumper.add_representer(str, _represent_text)


def encode_yaml(document: Mapping[str, object]) -> bytes:
    """Return a document as YAML in UTF-8, ending with a newline."""
    written = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=True,
        allow_unicode=True,
        default_flow_style=False,
        width=_NO_WRAPPING,
    )
    return written.encode()


def _is_doubtful(dumper: SafeDumper, text: str) -> bool:
    # Only double quotes escape: the other styles fold what counts as a line break, NEL among them.
    if text in _OTHER_BOOLEANS or not text.isprintable():
        return True
    if dumper.resolve(yaml.ScalarNode, text, (True, False)) != _TEXT:  # type: ignore[no-untyped-call]  # PyYAML's own
        return True
    try:
        float(text)  # YAML 1.1 wants a point in 1e3, Go's reader does not
    except ValueError:
        return False
    return True
