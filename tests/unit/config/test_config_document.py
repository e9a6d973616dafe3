"""Trees as data: aliases, merges and duplicates as yaml.v2 settles them."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.config.document import Document, Fault, Path, read_document
from adapter.config.tree import MAX_DEPTH, MAX_NODES, UnreadableYamlError, compose


def as_it_is(_path: Path, text: str) -> tuple[str, tuple[Fault, ...]]:
    """Expand nothing."""
    return text, ()


def read(text: str) -> Document:
    """Read a text without an environment."""
    return read_document(compose(text), expand=as_it_is)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1\nb: ~\n", {"a": "1", "b": None}),
        ("- 1\n- [x, {y: z}]\n", ["1", ["x", {"y": "z"}]]),
        ('{"a": "b"}', {"a": "b"}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": "1"}, "c": {"b": "1"}}),
        # as in yaml.v2, what comes later wins, be it merged or written
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\n", {"a": {"b": "1"}, "c": {"b": "2"}}),
        ("a: &x {b: 1}\nc: {b: 2, <<: *x}\n", {"a": {"b": "1"}, "c": {"b": "1"}}),
        # the first of a list of merged mappings wins
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}\n",
            {"a": {"p": "1"}, "b": {"p": "2", "q": "2"}, "c": {"p": "1", "q": "2"}},
        ),
        # a mapping that follows a merged one is added to it, a list takes its place
        (
            "a: &x {m: {p: 1}, l: [1]}\nc: {<<: *x, m: {q: 2}, l: [2]}\n",
            {"a": {"m": {"p": "1"}, "l": ["1"]}, "c": {"m": {"p": "1", "q": "2"}, "l": ["2"]}},
        ),
        ("c: {<<: {a: {<<: {b: 1}}}}\n", {"c": {"a": {"b": "1"}}}),
        ('c: {"<<": 1}\n', {"c": {"<<": "1"}}),
        ("a: !!binary aGk=\n", {"a": "hi"}),
        ("1: a\nyes: b\n~: c\n", {"1": "a", "yes": "b", "~": "c"}),
    ],
)
def test_data_is_what_yaml_v2_decodes(text: str, data: Any) -> None:
    """A file means what it means to prometheus-adapter."""
    document = read(text)

    assert document.data == data
    assert [fault.code for fault in document.faults if fault.code != "yaml/merge-order"] == []


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("a: 1\na: 2\n", ["schema/duplicate-key"]),
        ("a: {b: 1, b: 2}\nc: {b: 1}\n", ["schema/duplicate-key"]),
        ("<<: {a: 1}\na: 2\n", []),
        ("a: 2\n<<: {a: 1}\n", ["yaml/merge-order"]),
        ("a: 2\n<<: {b: 1}\n", []),
        ("<<: [1]\n", ["yaml/merge"]),
        ("<<: a\n", ["yaml/merge"]),
        ("[a]: 1\n", ["schema/key-type"]),
        ("{a: b}: 1\n", ["schema/key-type"]),
        ("a: !!binary '*'\n", []),
        ("a: !!binary '/w=='\n", ["yaml/binary"]),
    ],
)
def test_what_is_odd_is_a_fault(text: str, codes: list[str]) -> None:
    """Duplicates, odd keys and bad merges are named; the rest of the data is there."""
    assert [fault.code for fault in read(text).faults] == codes


def laughing(depth: int) -> str:
    """Return the billion laughs: each line expands to ten of the line before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (laughing(9), "yaml/too-large"),
        ("\n".join(["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{k: *a{n - 1}}}" for n in range(1, 500))]), "yaml/too-deep"),
        ("\n".join(["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 500))]), "yaml/too-deep"),
        ("a: &a {k: 1}\nb: {" + ", ".join(f"k{n}: 1" for n in range(2000)) + ", <<: *a" * 2000 + "}", "yaml/too-large"),
    ],
)
def test_no_text_expands_without_bound(text: str, code: str) -> None:
    """Aliases of aliases, and chains of merges, end with an error before they fill the memory or the stack."""
    with pytest.raises(UnreadableYamlError) as caught:
        read(text)

    assert caught.value.code == code


def test_as_much_as_a_large_file_needs_is_read() -> None:
    """The bounds are far above what rules files hold."""
    size = MAX_NODES // 4
    document = read("rules:\n" + "- {a: b}\n" * size)

    assert isinstance(document.data, dict)
    assert len(document.data["rules"]) == size
    read("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
