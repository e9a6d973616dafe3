"""From a document's data to the model of a rules file, with every fault of every value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from pydantic import ValidationError

from adapter.config.checks import check_file
from adapter.config.codes import CODES
from adapter.config.document import Document, Fault, Path
from adapter.config.fields import nearest, type_refusal
from adapter.config.problems import Severity
from adapter.config.schema import FileModel, RulesFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

# Faults of a document that concern a value, about which nothing else needs to be said.
_VALUE_CODES: Final = frozenset({"backend/env-unset", "backend/env-syntax", "yaml/binary"})
_SECTIONS: Final = frozenset({"rules", "externalRules", "metrics"})
_MANIFEST_KEYS: Final = frozenset({"apiVersion", "kind", "metadata", "data", "binaryData", "spec", "status"})
_CHART_KEYS: Final = frozenset({"default", "custom", "existing", "external", "resource"})
_WANTED: Final = {"list_type": "a list", "dict_type": "a mapping"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The model as far as it can be read, all faults, and the paths of the entries that have one that is an error."""

    model: RulesFile
    faults: tuple[Fault, ...]
    broken: frozenset[Path]


def validate(document: Document) -> Validated:
    """Return the model of a document; what is wrong with a value does not hide what is wrong with another."""
    data = document.data
    spoilt = {fault.path for fault in document.faults if fault.code in _VALUE_CODES}
    errors = [error for error in _errors(data) if tuple(error["loc"]) not in spoilt]
    faults = [*document.faults, *_without_manifest_keys([_fault(error, data) for error in errors])]
    wrong = spoilt | {tuple(error["loc"]) for error in errors}
    for path in wrong:
        data = _pruned(data, path)
    model = RulesFile() if _errors(data) else _model(data)
    faults += [
        fault
        for fault in check_file(model)
        if not any(_is_within(path, wrong) for path in (fault.path, *fault.relies_on))
    ]
    grave = [fault.path for fault in faults if CODES[fault.code].severity is Severity.ERROR]
    return Validated(model=model, faults=tuple(faults), broken=frozenset(map(_entry, grave)))


def _model(data: object) -> RulesFile:
    return RulesFile.model_validate(data, by_alias=True, by_name=False)


def _errors(data: object) -> Sequence[ErrorDetails]:
    try:
        _model(data)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=True)
    return ()


def _is_within(path: Path, wrong: set[Path]) -> bool:
    return any(path[:length] in wrong for length in range(len(path) + 1))


def _entry(path: Path) -> Path:
    return path[: 2 if path[:1] and path[0] in _SECTIONS else 1]


# ---- from pydantic's errors to ours


def _fault(error: ErrorDetails, data: object) -> Fault:
    fault = _told(error, data)
    if error["loc"][:1] == ("backends",) and fault.code == "schema/duration":
        # Among the backends any value may be a secret that stands at the wrong key: it is not repeated.
        return replace(fault, message="not a valid duration string", hint="for example 10s, 5m or 1h30m")
    return fault


def _told(error: ErrorDetails, data: object) -> Fault:
    path, kind = tuple(error["loc"]), error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind in _WANTED:
        context = (type_refusal(_WANTED[kind], error["input"]).context) or {}
        return _made("schema/type", context["message"], path, _hint_for_type(path, data))
    context = error.get("ctx", {})
    if "/" not in kind:  # an error of pydantic's own that none of our fields should let through
        return _made("schema/invalid", f"{{field}}: {error['msg']}", path, "")
    return _made(kind, context["message"], path, context["hint"])


def _made(code: str, message: str, path: Path, hint: str) -> Fault:
    text = message.replace("{field}", _field_name(path))
    return Fault(code=code, message=text, path=path, hint=hint, at_key=code == "backend/header")


def _field_name(path: Path) -> str:
    if not path:
        return "the file"
    last = len(path) - 1
    while last > 0 and isinstance(path[last], int):
        last -= 1
    return f"`{path[last]}" + "".join(f"[{index}]" for index in path[last + 1 :]) + "`"


def _hint_for_type(path: Path, data: object) -> str:
    value = data.get(path[0]) if isinstance(data, dict) and len(path) == 1 else None
    if isinstance(value, dict) and value and value.keys() <= _CHART_KEYS:
        return "these are values of the Helm chart; a rules file has the list itself under `rules`"
    if isinstance(value, dict):
        return "begin each entry with a dash"
    return ""


def _unknown_key(path: Path) -> Fault:
    key = str(path[-1])
    model, parent = _models_at(path)
    hint = nearest(key, _keys(model)) or "it may be " + ", ".join(sorted(_keys(model)))
    if below := [name for name, one in _nested(model) if key in _keys(one)]:
        hint = f'"{key}" belongs under `{below[0]}`; check the indentation'
    elif parent is not None and key in _keys(parent):
        hint = f'"{key}" belongs one level up; check the indentation'
    elif path == ("groups",):
        hint = "recording and alerting rules are for Prometheus itself"
    message = f'unknown key "{key}"'
    return Fault(code="schema/unknown-key", message=message, path=path, hint=hint, at_key=True)


def _without_manifest_keys(faults: list[Fault]) -> list[Fault]:
    """Put one fault in the place of all the unknown keys that a Kubernetes object has."""
    manifest = [fault for fault in faults if len(fault.path) == 1 and fault.path[0] in _MANIFEST_KEYS]
    if not {("apiVersion",), ("kind",)} <= {fault.path for fault in manifest}:
        return faults
    message = "this is a Kubernetes object, not a rules file"
    hint = "the rules are the text under `data` of the ConfigMap"
    one = Fault(code="file/manifest", message=message, path=manifest[0].path, hint=hint, at_key=True)
    return [one, *(fault for fault in faults if fault not in manifest)]


# ---- the models along a path


def _keys(model: type[FileModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def _nested(model: type[FileModel]) -> Iterator[tuple[str, type[FileModel]]]:
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None:
            yield info.alias or name, inner


def _model_in(annotation: Any) -> type[FileModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_is_mapping(one) for one in get_args(annotation))


def _models_at(path: Path) -> tuple[type[FileModel], type[FileModel] | None]:
    """Return the model that the last key of a path is looked up in, and the one around that."""
    model: type[FileModel] = RulesFile
    parent: type[FileModel] | None = None
    free_key = False
    for step in path[:-1]:
        if isinstance(step, int) or free_key:
            free_key = False
            continue
        info = next(info for name, info in model.model_fields.items() if (info.alias or name) == step)
        inner = _model_in(info.annotation)
        if inner is None:
            break
        model, parent, free_key = inner, model, _is_mapping(info.annotation)
    return model, parent


# ---- what is left of the data without its errors


def _pruned(data: object, path: Path) -> object:
    """Take the value of a path out of the data: a key goes, an entry of a list of rules becomes an empty one."""
    if not path or not isinstance(data, dict):
        return {}
    if len(path) == 2 and path[0] in _SECTIONS and isinstance(path[1], int):  # noqa: PLR2004 - (section, index)
        data[path[0]][path[1]] = None
        return data
    keys = list(path)
    while isinstance(keys[-1], int):  # an item of another list takes the list with it
        keys.pop()
    around: Any = data
    for step in keys[:-1]:
        if isinstance(around, dict):
            around = around.get(step)
        elif isinstance(around, list) and isinstance(step, int):
            around = around[step]
    if isinstance(around, dict):
        around.pop(keys[-1], None)
    return data
