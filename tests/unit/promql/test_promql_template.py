"""Templates: what they print, what is wrong with them, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.promql.template import TemplateRunError, TemplateSyntaxError, TemplateValue, parse_template

TABLE = Path(__file__).with_name("go_templates.jsonl")
FIELDS: dict[str, TemplateValue] = {
    "Series": "http_requests_total",
    "LabelMatchers": 'namespace="shop"',
    "LabelValuesByName": {"namespace": "shop", "pod": "a|b"},
    "GroupBy": "pod",
    "GroupBySlice": ["pod", "container"],
}


def cases_of_go() -> list[Any]:
    """Return the cases that Go's text/template answered; the first line of the file holds the fields they name."""
    about, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    sets = json.loads(about)["fields"]
    cases = [json.loads(line) for line in lines]
    return [pytest.param(case["template"], sets[case["fields"]], case, id=case["template"][:60]) for case in cases]


@pytest.mark.parametrize(("template", "fields", "expected"), cases_of_go())
def test_templates_print_what_go_prints(template: str, fields: dict[str, TemplateValue], expected: Any) -> None:
    """A template prints what Go's text/template prints, or fails where that fails: when read, or when run."""
    assert outcome(template, fields) == (expected.get("output"), expected.get("error"))


def outcome(template: str, fields: dict[str, TemplateValue]) -> tuple[str | None, str | None]:
    """Return what a template prints, or in which of Go's two steps it fails."""
    try:
        return parse_template(template).render(fields), None
    except TemplateSyntaxError:
        return None, "parse"
    except TemplateRunError:
        return None, "execute"


@pytest.mark.parametrize(
    ("template", "message", "blamed"),
    [
        ("sum(rate(<<.Series{<<.LabelMatchers>>}[2m]))", 'unclosed "<<"', "<<.Series"),
        ("a <<.Series", 'unclosed "<<"', "<<.Series"),
        ("a << << .Series>>", 'unclosed "<<"', "<< "),
        ("a <<.Series}>>", "unexpected '}' after .Series", "}"),
        ("a <<foo .Series>>", 'function "foo" not defined', "foo"),
        ("a <<urlquery .Series>>", 'function "urlquery" is not supported', "urlquery"),
        ('<<define "x">>y<<end>>', "nested templates (<<define>>) are not supported", "define"),
        ('<<template "x">>', "nested templates (<<template>>) are not supported", "template"),
        ('<<block "x" .>>y<<end>>', "nested templates (<<block>>) are not supported", "block"),
        ("a <<if .Series>>b", "<<if>> without <<end>>", "<<if .Series>>"),
        ("a <<range .GroupBySlice>>b<<else>>c", "<<range>> without <<end>>", "<<range .GroupBySlice>>"),
        ("a<<end>>", "unexpected <<end>>", "end"),
        ("<<if 1>>a<<else>>b<<else>>c<<end>>", "expected <<end>>, found <<else>>", "else"),
        ("é <<$x>>", "undefined variable $x", "$x"),
        ("<<break>>", "<<break>> outside <<range>>", "break"),
        ("<<.Series | 5>>", "non executable command in pipeline stage 2", "5"),
        ("<<(.Series>>", "unclosed left parenthesis", ">"),
        ("<<.Series)>>", "unexpected right parenthesis", ")"),
        ('<<"abc>>', "unterminated quoted string", '"'),
        ("<</* abc>>", "unclosed comment", "/*"),
        ("<</* abc */ .Series>>", 'a comment must end right before ">>" or " ->>"', "*/"),
        ("<<>>", "missing value for command", ">>"),
        ("<<if>>a<<end>>", "missing value for if", ">>"),
        ("<<print 2i>>", "complex numbers such as 2i are not supported", "2i"),
        ("<<99999999999999999999>>", "99999999999999999999 overflows int", "99999999999999999999"),
        (r'<<"\xff">>', r'"\xff" is not UTF-8 text', r'"\xff"'),
        (r'<<print "\q">>', r"wrong escape \q", r'"\q"'),
        ("<<nil.x>>", 'unexpected "." after "nil"', ".x"),
        ("<<if 1>>" * 65, "nested more than 64 deep", "if"),
        ("<<" + "(" * 65, "nested more than 64 deep", "("),
    ],
)
def test_syntax_errors_say_where(template: str, message: str, blamed: str) -> None:
    """A template that cannot be read says what is wrong, and which part of its text is to blame."""
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(template)

    error = caught.value
    assert (error.message, template[error.offset : error.offset + error.length]) == (message, blamed)


@pytest.mark.parametrize(
    ("template", "message", "blamed"),
    [
        (
            "a <<.Sries>>",
            f"can't evaluate field Sries: the fields are {', '.join(sorted(FIELDS))}",
            ".Sries",
        ),
        ("<<.Series.x>>", "can't evaluate field x in type string", ".Series.x"),
        ("<<index .GroupBySlice 2>>", "error calling index: index out of range: 2", "index"),
        ("<<.>>", "the whole data cannot be printed; name one of its fields", "<<.>>"),
        ('<<slice "é" 1>>', "error calling slice: the slice cuts a character in two; indexes count bytes", "slice"),
        ('<<printf "%b" 1.5>>', "error calling printf: printf does not support %b of a float64 here", "printf"),
        ("<<printf 5>>", "printf wants a format, a string; got int", "printf"),
        ("<<range .Series>>x<<end>>", "range can't iterate over http_requests_total", "<<range .Series>>"),
        ("<<$x = 1>>", "undefined variable: $x", "$x = 1"),
    ],
)
def test_run_errors_say_where(template: str, message: str, blamed: str) -> None:
    """A template that fails on its values says what failed, and which part of its text is to blame."""
    with pytest.raises(TemplateRunError) as caught:
        parse_template(template).render(FIELDS)

    error = caught.value
    assert (error.message, template[error.offset : error.offset + error.length]) == (message, blamed)


@pytest.mark.parametrize(
    ("template", "limit"),
    [
        ("<<range 1000000000>><<end>>", "steps"),
        ("<<range 1000>><<range 1000>><<end>><<end>>", "steps"),
        ('<<$x := printf "%500000s" "é">><<range 100000>><<$y := eq $x $x>><<end>>', "steps"),
        ("<<$a := 1>>" + "<<$b := 2>>" * 9000 + "<<$a>>" * 9000, "steps"),
        ('<<$x := "aaaaaaaaaa">><<range 100>><<$x = print $x $x>><<end>>', "bytes"),
        ('<<printf "%9999999d%9999999d" 1 1>>', "bytes"),
        ('<<range 3>><<printf "%1000000d" 1>><<end>>', "bytes"),
        ("x" * 1_048_577, "bytes"),
        ("é" * 524_289, "bytes"),
    ],
)
def test_no_template_hangs_or_eats_the_memory(template: str, limit: str) -> None:
    """A template that runs on, or whose text grows on, is stopped."""
    with pytest.raises(TemplateRunError, match=f"more than 100000 {limit}|beyond 1048576 {limit}"):
        parse_template(template).render(FIELDS)


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        ("up", set()),
        ("<<.Series>>{<<.LabelMatchers>>} <<.Series>>", {"Series", "LabelMatchers"}),
        ("<<.LabelValuesByName.pod>>", {"LabelValuesByName"}),
        ('<<index .LabelValuesByName "pod" | printf "%s" .Nope>>', {"LabelValuesByName", "Nope"}),
        ("<<if .A>><<.B>><<else if .C>><<.D>><<else>><<.E>><<end>>", {"A", "B", "C", "D", "E"}),
        ("<<range .A>><<.b>><<$.C>><<else>><<.D>><<end>><<.E>>", {"A", "C", "D", "E"}),
        ("<<with .A>><<.b>><<else with .C>><<.d>><<else>><<.E>><<end>>", {"A", "C", "E"}),
        ("<<with $>><<.A>><<with (.)>><<.B>><<end>><<end>>", {"A", "B"}),
        ("<<(.).A>><<($).B>><<(print .C).d>>", {"A", "B", "C"}),
    ],
)
def test_fields_that_a_template_names(template: str, fields: set[str]) -> None:
    """The fields of the data are known without a run; what `range` and `with` make of the dot is not taken for one."""
    assert parse_template(template).fields == fields


def test_field_uses_say_where() -> None:
    """Each use of a field has its place, so that a check can point at the one that does not exist."""
    template = "é <<.Series>> <<index $.Labels 1>>"

    uses = parse_template(template).field_uses

    assert [(use.name, template[use.at.offset : use.at.offset + use.at.length]) for use in uses] == [
        ("Series", ".Series"),
        ("Labels", ".Labels"),
    ]


def test_a_template_remembers_its_text_and_can_be_rendered_again() -> None:
    """Rendering leaves nothing behind: the second result does not depend on the first."""
    template = parse_template("<<$x := .Series>><<$x>>")

    rendered = [template.render({"Series": text}) for text in ("a", "b")]

    assert (template.text, rendered) == ("<<$x := .Series>><<$x>>", ["a", "b"])


def test_values_of_any_kind() -> None:
    """Fields may be texts, numbers, booleans, mappings and sequences, also ones that are no dict and no list."""
    fields: dict[str, TemplateValue] = {"I": 3, "F": 1.5, "B": True, "M": {"k": "v"}, "S": ("a", "b")}

    rendered = parse_template("<<.I>> <<.F>> <<.B>> <<.M>> <<.S>> <<range .S>><<.>><<end>>").render(fields)

    assert rendered == "3 1.5 true map[k:v] [a b] ab"
