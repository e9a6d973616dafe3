"""The `${NAME}` of a file: replaced from the environment under `backends`, and nowhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from adapter.config.document import Expand, Fault, Path

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{", re.ASCII)


def expander(environment: Mapping[str, str]) -> Expand:
    """Return what gives each scalar its final text; no message of it ever shows a value."""

    def expand(path: Path, text: str) -> tuple[str, tuple[Fault, ...]]:
        if path[:1] != ("backends",) or "${" not in text:  # elsewhere ${1} belongs to name.as
            return text, ()
        faults = tuple(fault for match in _REFERENCE.finditer(text) if (fault := _fault(match, path, environment)))
        return _REFERENCE.sub(lambda match: _value(match, environment), text), faults

    return expand


def _fault(match: re.Match[str], path: Path, environment: Mapping[str, str]) -> Fault | None:
    name = match.group(1)
    if match.group() == "$${" or name in environment:
        return None
    code, message = "backend/env-syntax", "${ without the name of a variable and }"
    if name:
        code, message = "backend/env-unset", f"the environment variable {name} is not set"
    hint = "$${ stands for a literal ${"
    return Fault(code=code, message=message, path=path, hint=hint, offset=match.start(), length=len(match.group()))


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match.group() == "$${":
        return "${"
    return environment.get(match.group(1) or "", match.group())
