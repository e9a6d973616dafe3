"""Laws of selectors and of the names of resources."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidSelector
from adapter.kube.documents import label_selector_document
from adapter.kube.labels import key_fault, value_fault
from adapter.kube.resources import Kind, kubernetes_kinds, parse_group_resource
from adapter.kube.selectors import (
    FieldSelector,
    FieldTerm,
    Op,
    Requirement,
    Selector,
    parse_field_selector,
    parse_selector,
)

KINDS = kubernetes_kinds()

names = st.from_regex(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,5})?[A-Za-z0-9]", fullmatch=True)
keys = st.one_of(st.sampled_from(["a", "b", "in", "notin", "example.com/a"]), names)
values = st.one_of(st.sampled_from(["", "x", "y", "in", "5"]), names)
numbers = st.integers(0, 2**63 - 1).map(str)

requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from([Op.EXISTS, Op.NOT_EXISTS])),
    st.builds(
        lambda key, op, value: Requirement(key, op, (value,)),
        keys,
        st.sampled_from([Op.EQUALS, Op.DOUBLE_EQUALS, Op.NOT_EQUALS]),
        values,
    ),
    st.builds(
        lambda key, op, several: Requirement(key, op, tuple(several)),
        keys,
        st.sampled_from([Op.IN, Op.NOT_IN]),
        st.lists(values, min_size=1, max_size=4),
    ),
    st.builds(
        lambda key, op, number: Requirement(key, op, (number,)), keys, st.sampled_from([Op.GREATER, Op.LESS]), numbers
    ),
)
selectors = st.lists(requirements, max_size=5).map(lambda some: Selector(tuple(some)))
labels = st.dictionaries(keys, values, max_size=5)

# Anything may be a field or its value, as long as the field holds no operator and does not end in what begins one.
field_names = st.text(st.characters(exclude_characters="\\,=!"), max_size=5)
terms = st.builds(
    lambda field, value, negated: FieldTerm(field=field, value=value, negated=negated),
    field_names,
    st.text(max_size=5),
    st.booleans(),
)


@given(selectors)
def test_a_printed_selector_reads_back(selector: Selector) -> None:
    """The canonical text of a selector means the selector."""
    assert parse_selector(str(selector)) == selector


@given(selectors)
def test_spaces_change_nothing(selector: Selector) -> None:
    """Space around symbols is not part of a selector."""
    spaced = str(selector).replace(",", " ,\t").replace("(", " ( ").replace(")", "\n)\r")

    assert parse_selector(spaced) == selector


@given(selectors, labels)
def test_a_selector_matches_if_all_requirements_do(selector: Selector, found: Mapping[str, str]) -> None:
    """A selector is the conjunction of its requirements."""
    assert selector.matches(found) == all(Selector((one,)).matches(found) for one in selector.requirements)


@given(keys, st.lists(values, min_size=1, max_size=4), labels)
def test_notin_is_the_contrary_of_in(key: str, several: list[str], found: Mapping[str, str]) -> None:
    """`notin` matches what `in` does not, objects without the label among them; `!=` is `notin` of one value."""
    within = Selector((Requirement(key, Op.IN, tuple(several)),))
    without = Selector((Requirement(key, Op.NOT_IN, tuple(several)),))
    different = Selector(tuple(Requirement(key, Op.NOT_EQUALS, (one,)) for one in several))

    assert without.matches(found) == different.matches(found) == (not within.matches(found))
    assert without.matches({name: value for name, value in found.items() if name != key})


@given(selectors, labels)
def test_a_document_means_the_selector(selector: Selector, found: Mapping[str, str]) -> None:
    """A LabelSelector selects what its selector does, as long as no two equalities contradict each other."""
    single = {one.key: one for one in selector.requirements if one.op not in (Op.GREATER, Op.LESS)}
    selector = Selector(tuple(single.values()))
    document = label_selector_document(selector) or {}

    exact = [Requirement(key, Op.EQUALS, (value,)) for key, value in document.get("matchLabels", {}).items()]
    operators = {"In": Op.IN, "NotIn": Op.NOT_IN, "Exists": Op.EXISTS, "DoesNotExist": Op.NOT_EXISTS}
    others = [
        Requirement(one["key"], operators[one["operator"]], tuple(one.get("values", ())))
        for one in document.get("matchExpressions", [])
    ]

    assert Selector((*exact, *others)).matches(found) == selector.matches(found)


@given(st.lists(terms, max_size=4))
def test_a_printed_field_selector_reads_back(several: list[FieldTerm]) -> None:
    """A field selector's text means the same terms, in the order of their texts; a term of nothing vanishes."""
    written = FieldSelector(tuple(several))

    read = parse_field_selector(str(written))

    assert sorted(map(str, read.terms)) == sorted(str(term) for term in several if term.field or term.value)
    assert parse_field_selector(str(read)) == read


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text breaks the readers: they raise InvalidSelector and nothing else."""
    for read in (parse_selector, parse_field_selector):
        try:
            str(read(text))
        except InvalidSelector as error:
            assert str(error)  # noqa: PT017 - most texts raise, some do not


@given(st.text(max_size=70))
def test_a_selector_takes_the_labels_that_are_valid(text: str) -> None:
    """What may be a label value may stand in a selector, and what may be a key may be selected by."""
    if value_fault(text) is None:
        assert parse_selector(f"a in ({text})") == Selector((Requirement("a", Op.IN, (text,)),))
    if key_fault(text) is None:
        assert parse_selector(f"!{text}") == Selector((Requirement(text, Op.NOT_EXISTS),))


@given(st.sampled_from(list(KINDS)))
def test_a_kind_is_found_by_its_own_names(kind: Kind) -> None:
    """With its whole group, each kind's plural and singular mean the kind, in capitals too."""
    for name in (kind.plural, kind.singular):
        assert KINDS.resolve(parse_group_resource(f"{name.upper()}.{kind.group}")) == kind
