"""Laws of templates: any text is read or refused, any run ends."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapter.promql.matchers import quote
from adapter.promql.template import Template, TemplateRunError, TemplateSyntaxError, TemplateValue, parse_template

PIECES = st.sampled_from(
    [
        *(
            "<<",
            ">>",
            "<<- ",
            " ->>",
            " ",
            "\n",
            "|",
            "(",
            ")",
            ".",
            "$",
            ":=",
            "=",
            ",",
            "x",
            "é",
            "`",
            '"',
            "'",
            "\\",
        ),
        *(".Series", ".LabelValuesByName", ".GroupBySlice", "$x", "$k, $v := ", "$x := ", "nil", "true", "0", "1.5"),
        *("if ", "else", "else if ", "end", "range ", "with ", "break", "continue", "define", "/*", "*/"),
        *("index ", "len ", "printf ", '"%5.2[1]*d %q"', "print ", "eq ", "and ", "not ", "slice "),
        *("<<end>>", "<<else>>", "<<range .GroupBySlice>>", "<<if .Series>>", "<<$x := 1>>", "<<.Series>>"),
    ],
)
TEMPLATES = st.lists(PIECES, max_size=20).map("".join) | st.text()
FIELDS: dict[str, TemplateValue] = {
    "Series": "up",
    "LabelValuesByName": {"pod": "a", "é": "b"},
    "GroupBySlice": ["pod", "container"],
}


@settings(deadline=None, max_examples=500)
@given(TEMPLATES)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    """No text breaks the parser; what is wrong has a place within the text, or right behind it."""
    template = read(text)

    if isinstance(template, TemplateSyntaxError):
        assert 0 <= template.offset <= len(text)
        assert template.length >= 1
    else:
        assert all(text[use.at.offset : use.at.offset + use.at.length] == "." + use.name for use in template.field_uses)


@settings(deadline=None, max_examples=500)
@given(TEMPLATES)
def test_any_template_prints_or_fails_with_a_place(text: str) -> None:
    """Whatever a template does, it prints a text or says which part of it failed."""
    result = rendered_or_error(read(text))

    if isinstance(result, TemplateRunError):
        assert text[result.offset : result.offset + result.length] != ""


def read(text: str) -> Template | TemplateSyntaxError:
    """Return a template, or why it is none."""
    try:
        return parse_template(text)
    except TemplateSyntaxError as error:
        return error


def rendered_or_error(template: Template | TemplateSyntaxError) -> str | TemplateRunError:
    """Return what a template prints, or why it does not; nothing for what is none."""
    try:
        return template.render(FIELDS) if isinstance(template, Template) else ""
    except TemplateRunError as error:
        return error


@settings(deadline=None)
@given(st.text().filter(lambda text: "<<" not in text))
@example("sum(rate(x{a!=\"\"}[5m])) > 1 >> '{{.Series}}'")
def test_a_text_without_actions_prints_itself(text: str) -> None:
    """A template without actions is its own result."""
    template = parse_template(text)

    assert (template.render({}), template.fields) == (text, frozenset())


@settings(deadline=None)
@given(st.text(), st.text())
@example("<<.Other>>", ">> <<")
def test_values_are_never_read_as_templates(value: str, other: str) -> None:
    """What a field holds is printed as it is, also when it looks like an action."""
    template = parse_template("a<<.Series>>{<<.Other>>}")

    assert template.render({"Series": value, "Other": other}) == f"a{value}{{{other}}}"


@settings(deadline=None)
@given(st.text().filter(lambda text: "\ufffd" not in text))
def test_a_string_literal_prints_what_it_quotes(text: str) -> None:
    """Go's quoting, as we write it, is Go's quoting, as we read it."""
    assert parse_template(f"<<{quote(text)}>>").render({}) == text


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_printed_integers_read_back(number: int) -> None:
    """An integer prints, in any base, as a literal of the same number."""
    printed = parse_template('<<printf "%d %#x %O %#b" .N .N .N .N>>').render({"N": number})

    again = [parse_template(f"<<{literal}>>").render({}) for literal in printed.split()]

    assert again == [str(number)] * 4


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_printed_floats_read_back(number: float) -> None:
    """A float prints as the shortest text that means the same number."""
    assert float(parse_template("<<.F>>").render({"F": number})) == number


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()), st.lists(st.text()))
def test_loops_visit_every_element_in_order(mapping: dict[str, str], sequence: list[str]) -> None:
    """A loop over a mapping goes by its sorted keys, one over a sequence by its order."""
    template = parse_template(
        "<<range $k, $v := .M>>[<<$k>>:<<$v>>]<<end>><<range $i, $v := .S>>[<<$i>>:<<$v>>]<<end>>"
    )

    expected = "".join(f"[{key}:{mapping[key]}]" for key in sorted(mapping))
    expected += "".join(f"[{place}:{text}]" for place, text in enumerate(sequence))
    assert template.render({"M": mapping, "S": sequence}) == expected
