"""Selectors against what apimachinery read, printed and refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import pytest
from kube_vectors import SELECTORS_AND_MORE, lines

from adapter.errors import InvalidSelector, UnsupportedSelector
from adapter.kube.documents import label_selector_document
from adapter.kube.selectors import (
    EVERYTHING,
    Op,
    Requirement,
    Selector,
    check_known_fields,
    parse_field_selector,
    parse_selector,
)

TEXT = r'("(?:[^"\\]|\\.)*")'


LABEL = rf"LABEL {TEXT}\s+(?:-> {TEXT}\s+empty=(true|false) LS=(\{{.*\}}|null) (.*)|ERR (.*))"
FIELD = rf"FIELD {TEXT}\s+(?:-> {TEXT}\s+name={TEXT},(true|false)|ERR (.*))"


def taken_apart(line: str, pattern: str) -> tuple[str, ...]:
    """Return the parts of a line, empty where it has none; a line of another form is an error."""
    match = re.fullmatch(pattern, line)
    assert match, line
    return match.groups("")


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "LABEL"))
def test_reads_label_selectors(line: str) -> None:
    """A label selector is read, printed and refused as by Kubernetes."""
    text, printed, empty, _, _, error = taken_apart(line, LABEL)

    if error:
        with pytest.raises(InvalidSelector) as caught:
            parse_selector(json.loads(text))
        assert str(caught.value) == error
        return

    selector = parse_selector(json.loads(text))

    assert str(selector) == json.loads(printed)
    assert bool(selector) is (empty == "false")
    assert parse_selector(str(selector)) == selector


@pytest.mark.parametrize("line", [line for line in lines(SELECTORS_AND_MORE, "LABEL") if " LS=" in line])
def test_writes_label_selector_documents(line: str) -> None:
    """A selector becomes the LabelSelector that Kubernetes makes; `!=`, which it refuses, becomes NotIn."""
    text, _, _, document, error, _ = taken_apart(line, LABEL)
    selector = parse_selector(json.loads(text))

    if "isn't supported" in error:
        with pytest.raises(UnsupportedSelector, match=f"^{re.escape(error)}"):
            label_selector_document(selector)
        return

    ours = label_selector_document(selector)

    if error == '"!=" is not a valid label selector operator':
        values = list(selector.requirements[0].values)
        assert ours == {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": values}]}
    elif document == "{}":
        assert ours is None
    else:
        assert (json.dumps(ours, separators=(",", ":")), error) == (document, "<nil>")


def test_a_document_has_its_parts_in_order() -> None:
    """`matchLabels` comes first, whichever key is sorted first."""
    document = label_selector_document(parse_selector("z=1,a in (b)"))

    assert list(document or {}) == ["matchLabels", "matchExpressions"]


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "FIELD"))
def test_reads_field_selectors(line: str) -> None:
    """A field selector is read, printed and refused as by Kubernetes."""
    text, printed, name, exact, error = taken_apart(line, FIELD)

    if error:
        with pytest.raises(InvalidSelector) as caught:
            parse_field_selector(json.loads(text))
        assert str(caught.value) == error
        return

    selector = parse_field_selector(json.loads(text))

    assert str(selector) == json.loads(printed)
    assert selector.requires_exact("metadata.name") == (json.loads(name) if exact == "true" else None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "a in (-b,-c)",
            "unable to parse requirement: [values[0][a]: Invalid value: {b}, values[1][a]: Invalid value: {c}]",
        ),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a>9223372036854775808", "unable to parse requirement: values[0]: Invalid value: "),
        ("a\u200b", 'unable to parse requirement: <nil>: Invalid value: "a\\u200b": name part must consist'),
        ("a\x00", 'unable to parse requirement: <nil>: Invalid value: "a\\x00": name part must consist'),
        ("a\U000e0001", 'unable to parse requirement: <nil>: Invalid value: "a\\U000e0001": name part must'),
        (
            "a/=b",
            'unable to parse requirement: <nil>: Invalid value: "a/": name part must be non-empty; name part must',
        ),
        (
            "a" * 64,
            f'unable to parse requirement: <nil>: Invalid value: "{"a" * 64}": name part must be no more than 63',
        ),
        (
            "a." * 127 + "a/b",
            f'unable to parse requirement: <nil>: Invalid value: "{"a." * 127}a/b": prefix part must be no more than',
        ),
    ],
)
def test_refuses_in_kubernetes_words(text: str, error: str) -> None:
    """Rarer faults, too, are told as Kubernetes tells them."""
    rule = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start"
        " and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for"
        " validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )

    with pytest.raises(InvalidSelector) as caught:
        parse_selector(text)

    assert str(caught.value).startswith(error.replace("{b}", f'"-b": {rule}').replace("{c}", f'"-c": {rule}'))


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a==b", {"a": "b"}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {}, True),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c)", {"a": "d"}, False),
        ("a in (b,c)", {}, False),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a notin (b,c)", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a>5", {"a": "x"}, False),
        ("a>5", {}, False),
        ("a<5", {"a": "4"}, True),
        ("a<5", {"a": "9223372036854775808"}, False),
        ("a=b,c", {"a": "b", "c": "d"}, True),
        ("a=b,c", {"a": "b"}, False),
    ],
)
def test_matches_labels(text: str, labels: Mapping[str, str], *, selected: bool) -> None:
    """A selector picks what Kubernetes picks: an absent label passes `!=`, `notin` and `!`, and nothing else."""
    assert parse_selector(text).matches(labels) is selected


def test_requirements_are_canonical_however_they_are_built() -> None:
    """Values are sorted and single, requirements sorted by key, so equal selectors are equal."""
    one = Selector((Requirement("b", Op.EXISTS), Requirement("a", Op.IN, ("y", "x", "y"))))

    assert one == parse_selector("a in (x,y),b")
    assert str(one) == "a in (x,y),b"
    assert not EVERYTHING


def test_names_the_field_that_is_unknown() -> None:
    """Only the fields that every object has may be named."""
    check_known_fields(parse_field_selector("metadata.name=a,metadata.namespace!=b"))

    with pytest.raises(InvalidSelector) as caught:
        check_known_fields(parse_field_selector("status.phase=Running,metadata.name=a"))

    known = 'only "metadata.name", "metadata.namespace"'
    assert str(caught.value) == f'"status.phase" is not a known field selector: {known}'


def test_fields_are_named_in_order() -> None:
    """The fields of a selector come in the order of its canonical text."""
    assert parse_field_selector("b=1,a!=2").fields == ("a", "b")


@pytest.mark.parametrize("parse", [parse_selector, parse_field_selector])
def test_a_selector_has_a_longest_length(parse: Callable[[str], object]) -> None:
    """What nobody's selector comes near is refused before it is read, as reading it would hold up everybody else."""
    longest = f"metadata.name={'a' * 50}," * 2200
    with pytest.raises(InvalidSelector, match=r"the selector has 143000 characters, and 131072 are allowed"):
        parse(longest)
