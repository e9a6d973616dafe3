"""The tree of a YAML text, its marks and its bounds."""

from __future__ import annotations

import pytest
import yaml

from adapter.config.tree import MAX_DEPTH, MAX_NODES, Mapping, Scalar, Sequence, UnreadableYamlError, compose

TEXTS = [
    "a: |\n  x\n  y\n\nb: >-\n  foo\n  bar\n\n# c\nc: 'x\n  y'\nd: \"a\\tb\n   c\"\ne: \U0001f600 ü\nf: [1, {a: b}]\n",
    "a: \r\n  b: c\r\n  d:   e\r\n",
    "a: ~\nb:\nc: ''\n",
    "- \n- a\n-\n  b: &x 1\n  c: *x\n",
    "a: !!str 5\nb: ! x\nc: !<tag:yaml.org,2002:int> 3\n",
    '{"json": [1, 2.5, null, true], "k": "\\u00e9"}',
    "? complex\n: value\n",
    "a:\u2028  b: c\n",
    "\u0085a: b\n",
]


def places(text: str, loader: type[yaml.SafeLoader | yaml.CSafeLoader]) -> list[tuple[str, list[int]]]:
    """Return every event that makes a node, with its begin and its end."""
    found = []
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            marks = [mark for mark in (event.start_mark, event.end_mark) if mark]
            found.append((type(event).__name__, [place for mark in marks for place in (mark.line, mark.column)]))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_the_fast_parser_marks_places_as_the_pure_one(text: str) -> None:
    """The C parser and PyYAML's own agree on every event and its place, so carets do not depend on the build."""
    assert places(text, yaml.CSafeLoader) == places(text, yaml.SafeLoader)


def test_the_tree_keeps_what_is_written() -> None:
    """Order, duplicates, styles, tags and places survive."""
    root = compose("a: 1\na: 'x'\nb: [!!str 2]\n").root

    assert isinstance(root, Mapping)
    keys = [key.text for key, _ in root.entries if isinstance(key, Scalar)]
    assert keys == ["a", "a", "b"]
    second, last = root.entries[1][1], root.entries[2][1]
    assert isinstance(second, Scalar)
    assert (second.text, second.style, second.start.line, second.start.column) == ("x", "'", 1, 3)
    assert isinstance(last, Sequence)
    assert isinstance(last.items[0], Scalar)
    assert last.items[0].tag == "tag:yaml.org,2002:str"


def test_an_alias_is_the_node_it_names() -> None:
    """An alias costs nothing until it is expanded."""
    root = compose("- &a [1]\n- *a\n").root

    assert isinstance(root, Sequence)
    assert root.items[0] is root.items[1]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_nothing_has_no_tree(text: str) -> None:
    """An empty text is not an error."""
    assert compose(text).root is None


def test_only_the_first_document_counts() -> None:
    """What follows the first document is located, and never read, be it YAML or not."""
    tree = compose("a: 1\n--- [ {\n")

    assert isinstance(tree.root, Mapping)
    assert tree.second_document is not None
    assert tree.second_document.line == 1


@pytest.mark.parametrize(
    ("text", "code", "message", "line", "column"),
    [
        ("a: *b", "yaml/alias", "unknown anchor 'b' referenced", 0, 3),
        ("a: &a\n  b: *a", "yaml/alias", "anchor 'a' value contains itself", 1, 5),
        ("[" * (MAX_DEPTH + 1), "yaml/too-deep", f"nested deeper than {MAX_DEPTH} levels", 0, MAX_DEPTH),
        ("- " * 5000 + "a", "yaml/too-deep", f"nested deeper than {MAX_DEPTH} levels", 0, 2 * MAX_DEPTH),
        ("[" + "a," * MAX_NODES, "yaml/too-large", f"more than {MAX_NODES} values", 0, 1 + 2 * (MAX_NODES - 1)),
        ("a: [", "yaml/syntax", "did not find expected node content (while parsing a flow node)", 1, 0),
        ('a: "b', "yaml/syntax", "found unexpected end of stream (while scanning a quoted scalar)", 0, 3),
        ("a: b: c", "yaml/syntax", "mapping values are not allowed in this context", 0, 4),
        ("%YAML 3.0\n---\na", "yaml/syntax", "found incompatible YAML document", 0, 0),
    ],
)
def test_what_is_no_tree_is_refused_with_its_place(text: str, code: str, message: str, line: int, column: int) -> None:
    """Bad YAML, deep nesting and endless lists end with one error that says where, without recursion."""
    with pytest.raises(UnreadableYamlError) as caught:
        compose(text)

    error = caught.value
    assert (error.code, error.message, error.mark.line, error.mark.column) == (code, message, line, column)
