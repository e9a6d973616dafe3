"""What to do about a problem, where the one who found it does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from adapter.config.codes import CODES
from adapter.config.source import split_lines

if TYPE_CHECKING:
    from adapter.config.tree import UnreadableYamlError

# Characters that YAML gives a meaning at the start of a plain text.
_INDICATORS: Final = tuple("@`%*&!|>[]{},")

# Problems whose message says what is wanted.
_SELF_EXPLAINING: Final = frozenset({"schema/type", "schema/choice", "schema/range", "schema/invalid"})


def usual_hint(code: str) -> str:
    """Return the remedy of a code as a hint; those of the schema say in the message what they want."""
    fix = CODES[code].fix
    return "" if code in _SELF_EXPLAINING else fix[0].lower() + fix[1:].rstrip(".")


def syntax_hint(text: str, error: UnreadableYamlError) -> str:
    """Return what to do about a text that the parser refuses, by the look of the line."""
    lines = split_lines(text)
    line = lines[error.mark.line] if error.mark.line < len(lines) else ""
    before, rest = line[: error.mark.column].rstrip(), line[error.mark.column :]
    other = "single" if before.endswith('"') else "double"
    hints = {
        "this looks like a Helm template; render it first": "{{" in line,
        "put a text with ${...} in quotes; a brace has a meaning of its own between braces": "${" in line,
        "YAML takes no tabs for indentation; use spaces": "\t" in line[: len(line) - len(line.lstrip())],
        f"the text ends at the quote before this; write it in {other} quotes": before.endswith(('"', "'")),
        "close the quotation mark": error.message.startswith("found unexpected end of stream"),
        "look for a missing bracket before this": "parsing a flow" in error.message,
        "put the text in quotes": rest.startswith(_INDICATORS) and "start any token" in error.message,
        "put a text with a colon in quotes, or check the indentation": "mapping values" in error.message,
        "remove the comma: it stands outside of { } and [ ]": before.endswith(("}", "]")) and rest.startswith(","),
    }
    return next((hint for hint, applies in hints.items() if applies), usual_hint(error.code))
