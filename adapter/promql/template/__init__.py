"""Go's text/template, as far as rules files use it: parsed with positions, walked as a tree, never run as code.

Delimiters are `<<` and `>>`. Left out, each with an error that says so: nested templates, complex numbers, the
functions call, html, js and urlquery, a few exotic printf verbs, and printing the whole data as `.`.
Source: Go's text/template and fmt, 1.26; tests/unit/promql/go_templates.jsonl holds what they print.
"""

from __future__ import annotations

from adapter.promql.template.parser import FieldUse
from adapter.promql.template.problems import TemplateRunError, TemplateSyntaxError
from adapter.promql.template.run import Template, parse_template
from adapter.promql.template.values import TemplateValue

__all__ = ["FieldUse", "Template", "TemplateRunError", "TemplateSyntaxError", "TemplateValue", "parse_template"]
