"""Where a character of a value stands in its file."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.config.document import Fault, Path, read_document
from adapter.config.problems import Location
from adapter.config.source import Source, split_lines
from adapter.config.tree import compose


def as_it_is(_path: Path, text: str) -> tuple[str, tuple[Fault, ...]]:
    """Expand nothing."""
    return text, ()


def source_of(text: str) -> Source:
    """Return the source of a text."""
    return Source(file="rules.yaml", text=text, places=read_document(compose(text), expand=as_it_is).places)


def written_at(source: Source, location: Location) -> str:
    """Return the characters that a location underlines."""
    line = split_lines(source.text)[location.line - 1]
    return line[location.column - 1 : location.column - 1 + location.length]


LITERAL = "rules:\n- metricsQuery: |\n    sum(\n\n      rate(<<.Bad)\n    )\n"
FOLDED = "rules:\n- metricsQuery: >-\n    sum(\n    rate(<<.Bad)\n    )\n  name: {}\n"
SINGLE = "rules:\n- metricsQuery: 'it''s <<.Bad'\n"
DOUBLE = 'rules:\n- metricsQuery: "\\u0061\\t\\"x\\" <<.Bad"\n'
PLAIN = "rules:\n- metricsQuery: sum(rate(x[2m])) <<.Bad\n"
PLAIN_LINES = "rules:\n- metricsQuery: sum(\n    rate(x)\n\n    <<.Bad\n  name: {}\n"
DOUBLE_LINES = 'rules:\n- metricsQuery: "sum(\\\n    rate(x)\n    <<.Bad"\n'
INDENTED = "rules:\n- metricsQuery: |2-\n      sum\n    <<.Bad\n"


@pytest.mark.parametrize("text", [LITERAL, FOLDED, SINGLE, DOUBLE, PLAIN, PLAIN_LINES, DOUBLE_LINES, INDENTED])
def test_an_offset_inside_a_text_is_found_where_it_is_written(text: str) -> None:
    """Escapes, folding and indentation do not move the caret, whatever the style."""
    source = source_of(text)
    value = yaml.safe_load(text)["rules"][0]["metricsQuery"]

    location = source.locate(("rules", 0, "metricsQuery"), offset=value.index("<<.Bad"), length=6)

    assert written_at(source, location) == "<<.Bad"


@pytest.mark.parametrize(
    ("path", "underlined"),
    [
        ((), "backends: {a: {url: x}}"),
        (("backends",), "{a: {url: x}}"),
        (("backends", "a", "url"), "x"),
        (("backends", "a", "missing", "deeper"), "{url: x}"),
        (("rules", 0), "name:"),
        (("rules", 0, "name", "as"), '"a b"'),
        (("rules", 0, "text"), "|"),
        (("rules", 7), "- name:"),
        (("nowhere", 1), "backends: {a: {url: x}}"),
    ],
)
def test_a_value_is_underlined_on_its_first_line(path: Path, underlined: str) -> None:
    """A path gives its value, or the nearest around it that exists."""
    source = source_of('backends: {a: {url: x}}\nrules:\n- name:\n    as: "a b" # why\n  text: |\n    lines\n')

    assert written_at(source, source.locate(path)) == underlined


def test_a_key_is_underlined_by_itself() -> None:
    """A key has a place of its own; an item of a list has none and gives its value."""
    source = source_of("rules:\n- name: x\n")

    assert written_at(source, source.locate_key(("rules", 0, "name"))) == "name"
    assert written_at(source, source.locate_key(("rules", 0))) == "name: x"


def test_the_end_of_a_text_is_behind_its_last_character() -> None:
    """What is missing at the end of a value is shown right after it."""
    source = source_of("a: 'it''s'\nb: abc\nc: |\n  abc\n")

    ends = [source.locate((key,), offset=length, length=1) for key, length in (("a", 4), ("b", 3), ("c", 3))]

    assert [(one.line, one.column) for one in ends] == [(1, 10), (2, 7), (4, 6)]


def test_a_source_without_a_tree_knows_only_its_file() -> None:
    """A file that could not be read as YAML still has a name."""
    assert Source(file="x.yaml", text="[").locate(("rules", 0)) == Location(file="x.yaml")


@pytest.mark.parametrize("style", ["", "'", '"', "|", ">"])
@given(text=st.text(st.sampled_from("ab<> '\"\\\n\t:é\u3042"), min_size=1, max_size=30), width=st.integers(5, 40))
@example(text="a b\n\n c", width=5)
def test_every_visible_character_is_found(style: str, text: str, width: int) -> None:
    """Wherever a YAML writer puts a text, each of its plain characters is found at a place that shows it."""
    written = yaml.safe_dump({"k": [text]}, default_style=style or None, width=width, allow_unicode=True)
    source = source_of(written)

    for offset, character in enumerate(text):
        if character in "ab<>:é\u3042":
            location = source.locate(("k", 0), offset=offset, length=1)
            assert written_at(source, location) == character
