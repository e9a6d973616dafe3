"""Manifests for people: YAML whose keys stay in their order, with comments where they say something."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.kube.yaml_form import encode_yaml

_COLUMNS: Final = 120  # of a comment; values are never wrapped
_FLOW_COLUMNS: Final = 100  # a list that is longer has an item on each line
# What may stand between brackets as it is; a lone star is quoted.
_FLOW_ITEM: Final = re.compile(r"[A-Za-z0-9._/:-]*|\*")


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with comments: sentences on lines above it, and a few words behind it if it is a scalar."""

    value: Any
    above: tuple[str, ...] = ()
    beside: str = ""


def plain(value: Any) -> Any:
    """Return a document without its comments, of dicts, lists and scalars."""
    match value:
        case Noted():
            return plain(value.value)
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def commented_yaml(document: Any) -> str:
    """Return a mapping, or one with comments above it, as YAML that ends with a newline."""
    noted = _noted(document)
    return "\n".join([*_comment(noted.above, 0), *_mapping(noted.value, 0)]) + "\n"


def comment_text(sentences: Iterable[str]) -> str:
    """Return sentences as comments, each beginning a line."""
    return "".join(f"{line}\n" for line in _comment(sentences, 0))


def _noted(value: Any) -> Noted:
    return value if isinstance(value, Noted) else Noted(value)


def _mapping(mapping: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in mapping.items():
        noted = _noted(item)
        yield from _comment(noted.above, indent)
        yield from _entry(f"{' ' * indent}{_scalar(key)}:", noted, indent)


def _entry(head: str, noted: Noted, indent: int) -> Iterator[str]:
    match noted.value:
        case Mapping() as inner if inner:
            yield head
            yield from _mapping(inner, indent + 2)
        case list() | tuple() as items if not _flows(items):
            yield head
            for item in items:
                yield from _item(_noted(item), indent)
        case value:
            beside = f"  # {_printable(noted.beside)}" if noted.beside else ""
            yield f"{head} {_inline(value)}{beside}"


def _item(noted: Noted, indent: int) -> Iterator[str]:
    yield from _comment(noted.above, indent)
    if not isinstance(noted.value, Mapping):
        yield f"{' ' * indent}- {_scalar(noted.value)}"
        return
    first, *others = _mapping(noted.value, indent + 2)
    yield f"{' ' * indent}- {first.lstrip()}"
    yield from others


def _flows(items: Sequence[Any]) -> bool:
    texts = [item for item in items if isinstance(item, str) and _FLOW_ITEM.fullmatch(item)]
    return len(texts) == len(items) and sum(len(text) + 2 for text in texts) <= _FLOW_COLUMNS


def _inline(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    return "{}" if isinstance(value, Mapping) else _scalar(value)


def _scalar(value: Any) -> str:
    """Return a scalar as other readers of YAML take it, too: `"100"` is no number."""
    return encode_yaml({"": value}).decode().partition(": ")[2].rstrip("\n")


def _comment(sentences: Iterable[str], indent: int) -> Iterator[str]:
    for sentence in sentences:
        head = f"{' ' * indent}# "
        yield from textwrap.wrap(
            _printable(sentence),
            width=_COLUMNS,
            initial_indent=head,
            subsequent_indent=head,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _printable(text: str) -> str:
    """Keep a comment on its line, whatever the names in it hold."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "replace").decode() for one in text)
