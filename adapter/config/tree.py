"""What a YAML text is made of: its nodes, each with its place, within bounds that no text can escape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import yaml

# 64 levels: a rules file needs eight; every walk of the tree may recurse that deep without harm.
MAX_DEPTH: Final = 64
# 100,000 nodes: about five thousand rules, which take two seconds to read.
MAX_NODES: Final = 100_000

# libyaml speaks with yaml.v2's words (one is the port of the other) and is ten times faster; its marks are the same.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NO_CONTEXT: Final = "while scanning for the next token"
_UNCLOSED: Final = "found unexpected end of stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in a text: line and column, both counted from 0, in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scalar:
    """A piece of text; `style` is empty for a plain one, else its first character; `tag` only if one is written."""

    text: str
    style: str
    tag: str
    start: Mark
    end: Mark


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """A list; its items and its end come while it is being read."""

    start: Mark
    end: Mark
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Mapping:
    """A mapping as written: in order, duplicate keys and merge keys included; filled as a list is."""

    start: Mark
    end: Mark
    entries: list[tuple[Node, Node]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The first document of a text; `second_document` is where another one begins, which nobody reads."""

    root: Node | None
    second_document: Mark | None = None


class UnreadableYamlError(Exception):
    """A text that has no tree; `code` says why, `mark` where."""

    def __init__(self, code: str, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.mark = mark


def compose(text: str) -> Tree:
    """Return the tree of the first document of a text; an alias is the very node it names.

    Raises:
        UnreadableYamlError: The text is not YAML, or exceeds the bounds of this module.
    """
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                composer.finished = True
            elif isinstance(event, yaml.DocumentStartEvent) and composer.finished:
                return Tree(root=composer.root, second_document=_mark(event.start_mark))
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                composer.take(event)
    except yaml.MarkedYAMLError as error:
        if not composer.finished:  # what comes after the first document is not ours to judge
            raise _syntax_error(error) from error
    except yaml.YAMLError as error:
        if not composer.finished:
            raise UnreadableYamlError("yaml/syntax", str(error), Mark(line=0, column=0)) from error
    return Tree(root=composer.root)


def _syntax_error(error: yaml.MarkedYAMLError) -> UnreadableYamlError:
    message = error.problem or error.context or "not YAML"
    place, begin = error.problem_mark or error.context_mark, error.context_mark
    if error.context and error.context != _NO_CONTEXT and begin and place:
        since = "" if begin.line == place.line else f" that begins on line {begin.line + 1}"
        message = f"{message} ({error.context}{since})"
    # Where a text is never closed, its beginning says more than the end of the file.
    return UnreadableYamlError("yaml/syntax", message, _mark(begin if message.startswith(_UNCLOSED) else place))


class _Place(Protocol):
    """What libyaml's marks and PyYAML's own have in common."""

    line: int
    column: int


def _mark(mark: _Place | None) -> Mark:
    return Mark(line=mark.line, column=mark.column) if mark else Mark(line=0, column=0)


class _Composer:
    """Builds nodes from events with a stack of its own: PyYAML's composer recurses and follows any depth."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.finished = False
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []  # for each open collection, the key that waits for its value
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop().end = _mark(event.end_mark)
            self._keys.pop()
            return
        self._count += 1
        if self._count > MAX_NODES:
            raise UnreadableYamlError("yaml/too-large", f"more than {MAX_NODES} values", _mark(event.start_mark))
        node = self._node(event)
        self._attach(node)
        if isinstance(event, yaml.CollectionStartEvent) and not isinstance(node, Scalar):
            if len(self._open) == MAX_DEPTH:
                raise UnreadableYamlError("yaml/too-deep", f"nested deeper than {MAX_DEPTH} levels", node.start)
            self._open.append(node)
            self._keys.append(None)

    def _node(self, event: yaml.Event) -> Node:
        start = _mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event.anchor or "", start)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            style, tag, end = event.style or "", event.tag or "", _mark(event.end_mark)
            node = Scalar(text=event.value, style=style, tag=tag, start=start, end=end)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Sequence(start=start, end=start)
        else:
            node = Mapping(start=start, end=start)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, anchor: str, start: Mark) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            raise UnreadableYamlError("yaml/alias", f"unknown anchor '{anchor}' referenced", start)
        if any(node is one for one in self._open):
            raise UnreadableYamlError("yaml/alias", f"anchor '{anchor}' value contains itself", start)
        return node

    def _attach(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        collection = self._open[-1]
        if isinstance(collection, Sequence):
            collection.items.append(node)
            return
        key = self._keys[-1]
        if key is not None:
            collection.entries.append((key, node))
        self._keys[-1] = node if key is None else None
