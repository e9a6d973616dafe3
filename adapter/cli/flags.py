"""The adapter's own flags on the commands that look where it looks: listed once, read by the adapter's own parser."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer

from adapter.cli.output import Streams
from adapter.config.flag_table import FLAGS, PROMETHEUS, RULES
from adapter.config.flags import Flag, Kind
from adapter.config.settings import Settings, parse_flags

# Nothing but what decides where the rules, the objects and the series come from.
_OTHERS: Final = frozenset({"relist-concurrency"})
CONFIG: Final = tuple(flag for flag in FLAGS if flag.name == "config")
SHARED: Final = tuple(
    flag
    for flag in FLAGS
    if flag.group in (RULES, PROMETHEUS) and not flag.idle and flag.name not in _OTHERS and flag not in CONFIG
)
_WORDS: Final = {
    Kind.STRING: "TEXT",
    Kind.REPEATED: "TEXT",
    Kind.DURATION: "DURATION",
    Kind.INT: "N",
    Kind.BYTES: "BYTES",
}


def taking(flags: Sequence[Flag]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command these flags as options; the command gets them as one list, `flags`, as the adapter takes them."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        def with_flags(**values: Any) -> int:
            given = [text for flag in flags for text in _given(flag, values.pop(_parameter_name(flag)))]
            return command(**values, flags=given)

        own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "flags"]
        every = [*own, *map(_parameter, flags)]
        with_flags.__name__, with_flags.__doc__ = command.__name__, command.__doc__
        with_flags.__annotations__ = {one.name: one.annotation for one in every}
        vars(with_flags)["__signature__"] = inspect.Signature([_keyword(one) for one in every])
        return with_flags

    return decorate


def _keyword(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _parameter(flag: Flag) -> inspect.Parameter:
    names = (f"--{flag.name}", f"-{flag.shorthand}") if flag.shorthand else (f"--{flag.name}",)
    option = typer.Option(*names, help=flag.help, rich_help_panel=flag.group, show_default=False)
    if flag.kind is Kind.BOOL:
        annotation: Any = Annotated[bool, option]
    else:
        option.metavar = _WORDS.get(flag.kind, "TEXT")
        annotation = Annotated[list[str] | None if flag.kind.adds else str | None, option]
    default = False if flag.kind is Kind.BOOL else None
    name = _parameter_name(flag)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter_name(flag: Flag) -> str:
    return flag.name.replace("-", "_")


def _given(flag: Flag, value: Any) -> list[str]:
    """Return a flag as the adapter's parser takes it, nothing if it was not given."""
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{flag.name}"]
    return [f"--{flag.name}={one}" for one in (value if isinstance(value, list) else [value])]


def read_settings(flags: Sequence[str], streams: Streams) -> Settings:
    """Return the settings that flags mean; what is odd about them is said on the side.

    Raises:
        ConfigError: a flag cannot be read.
    """
    parsed = parse_flags(flags, os.environ)
    for warning in parsed.warnings:
        streams.err.write(f"warning: {warning}\n")
    return parsed.settings


def set_up_logs(streams: Streams, *, told: Sequence[str] = ()) -> None:
    """Let warnings through to the side, one line each, except those of modules whose failures the command tells."""
    handler = logging.StreamHandler(streams.err)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    root = logging.getLogger("adapter")
    root.handlers = [handler]
    root.propagate = False
    root.setLevel(logging.WARNING)
    for name in told:
        logging.getLogger(name).setLevel(logging.CRITICAL)
