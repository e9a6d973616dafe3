"""The sub-commands, their arguments and options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from adapter.cli.doctor_command import doctor
from adapter.cli.flags import CONFIG, SHARED, taking
from adapter.cli.manifest_commands import RulesFiles, hpa_snippet, rbac
from adapter.cli.output import Format
from adapter.cli.report_format import ReportFormat
from adapter.cli.running import OBJECTS, RELIST, SERVER, option_value, run, streams
from adapter.cli.serving_flags import without_serving_flags
from adapter.cli.usage import UsageError
from adapter.config.problems import ConfigError

EXIT_USAGE = 2

_ABOUT = "A gauge that the autoscaler can trust: Kubernetes metrics APIs from Prometheus that can explain each answer."
_HELP_NAMES = {"help_option_names": ["-h", "--help"]}
_EPILOG = "Without a command, the flags are those of `serve`; `tidegauge serve --help` lists them."

Request = Annotated[
    list[str],
    typer.Argument(
        metavar="REQUEST...",
        help="`pods/* METRIC`, `deployments.apps/NAME METRIC`, `external METRIC`, or a path below /apis/",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="namespace of the objects, `default` if not given",
        show_default=False,
    ),
]
LabelSelector = Annotated[
    str | None,
    typer.Option(
        "--selector",
        "-l",
        metavar="SELECTOR",
        help="labels of the objects; of an external metric, labels of its series",
        show_default=False,
    ),
]
MetricSelector = Annotated[
    str | None,
    typer.Option(
        "--metric-selector", metavar="SELECTOR", help="labels of the series of a custom metric", show_default=False
    ),
]
TextOrJson = Annotated[Format, typer.Option("--format", help="for people or for programs")]


def run_command(words: Sequence[str]) -> int:
    """Run a sub-command; return its exit code."""
    try:
        # Not `main()`: it would take broken pipes and interrupts for itself.
        command = typer.main.get_command(_app())
        kept, dropped = without_serving_flags(words)
        if dropped:
            sys.stderr.write(f"flags of serving that change nothing here: {', '.join(dropped)}\n")
        with command.make_context("tidegauge", kept) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        getattr(error, "show", lambda: None)()  # click's own words, with the usage of the command
        return int(getattr(error, "exit_code", EXIT_USAGE))
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_USAGE
    except ConfigError as error:
        from adapter.cli.problems import write_problems  # noqa: PLC0415 - only a bad file needs it

        write_problems(error.problems, sys.stderr)
        return EXIT_USAGE


def _app() -> typer.Typer:
    app = typer.Typer(
        name="tidegauge",
        help=_ABOUT,
        epilog=_EPILOG,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings=_HELP_NAMES,
    )
    app.callback()(_options)
    for name, (told, command) in _COMMANDS.items():
        app.command(name, short_help=told, context_settings=_HELP_NAMES)(command)
    return app


def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,  # noqa: FBT002 - typer's way
    debug: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--debug", help="Show where an unexpected error came from (also TIDEGAUGE_DEBUG=1).")
    ] = False,
) -> None:
    del version, debug  # both are dealt with before any command is loaded


def _serve() -> int:
    """Serve the metrics APIs (what flags without a command do)."""
    raise AssertionError("unreachable: serving never gets here")


def _check(
    rules: RulesFiles,
    *,
    flags: Sequence[str],
    format_: Annotated[ReportFormat, typer.Option("--format", help="how problems are written")] = ReportFormat.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="let warnings fail, with exit code 1")] = False,
) -> int:
    """Find every problem of rules files; with a server, also what it does not answer as the rules expect.

    The exit code is 0 if there is no error, 1 if there are warnings and --strict is given, 2 if there are errors.
    """
    from adapter.cli.check import check  # noqa: PLC0415 - each command loads what it needs

    own = streams()
    return run(check(rules, flags=flags, format_=format_, strict=strict, streams=own), own)


def _explain(
    request: Request,
    *,
    flags: Sequence[str],
    namespace: Namespace = None,
    selector: LabelSelector = None,
    metric_selector: MetricSelector = None,
    format_: TextOrJson = Format.TEXT,
) -> int:
    """Show why a request is answered as it is: rule, series, objects, PromQL, samples, values, and what is missing.

    The exit code is 0 if the answer is a 200, 1 if it is an error, 2 if flags or files are wrong.
    """
    from adapter.cli.explain import explain  # noqa: PLC0415 - each command loads what it needs

    own = streams()
    words = _words(request, namespace, selector, metric_selector)
    return run(explain(words, flags=flags, format_=format_, streams=own), own, SERVER, RELIST, OBJECTS)


def _get(
    request: Request,
    *,
    flags: Sequence[str],
    namespace: Namespace = None,
    selector: LabelSelector = None,
    metric_selector: MetricSelector = None,
    format_: TextOrJson = Format.TEXT,
) -> int:
    """Show what the adapter would answer, as a table; no cluster is needed.

    The exit code is 0 if the answer is a 200, 1 if it is an error, 2 if flags or files are wrong.
    """
    from adapter.cli.get import get  # noqa: PLC0415 - each command loads what it needs

    own = streams()
    words = _words(request, namespace, selector, metric_selector)
    return run(get(words, flags=flags, format_=format_, streams=own), own, SERVER)


def _list(*, flags: Sequence[str], format_: TextOrJson = Format.TEXT) -> int:
    """List every metric there is now, with its rule, its series and its path.

    The exit code is 0, 1 if some series query could not be asked, 2 if flags or files are wrong.
    """
    from adapter.cli.list_metrics import list_metrics  # noqa: PLC0415 - each command loads what it needs

    own = streams()
    return run(list_metrics(flags=flags, format_=format_, streams=own), own, RELIST)


def _config_gen(
    rate_interval: Annotated[
        str, typer.Option("--rate-interval", help="window of all rates", metavar="DURATION")
    ] = "5m",
    label_prefix: Annotated[
        str, typer.Option("--label-prefix", help="what the labels that name objects begin with", show_default=False)
    ] = "",
) -> int:
    """Print prometheus-adapter's default rules, as a file to start from."""
    from adapter.cli.config_gen import config_gen  # noqa: PLC0415 - each command loads what it needs

    return config_gen(rate_interval=rate_interval, label_prefix=label_prefix, streams=streams())


# What `tidegauge --help` says of each command, and the command.
_COMMANDS: dict[str, tuple[str, Callable[..., int]]] = {
    "serve": ("Serve the metrics APIs, as flags alone do.", _serve),
    "check": ("Find every problem of rules files.", taking(SHARED)(_check)),
    "explain": ("Show why a request is answered as it is.", taking((*CONFIG, *SHARED))(_explain)),
    "get": ("Show the values that a request gets.", taking((*CONFIG, *SHARED))(_get)),
    "list": ("List the metrics there are.", taking((*CONFIG, *SHARED))(_list)),
    "config-gen": ("Print prometheus-adapter's default rules.", _config_gen),
    "rbac": ("Print the permissions that rules need.", taking(SHARED)(rbac)),
    "hpa-snippet": ("Print a metric for a HorizontalPodAutoscaler.", taking((*CONFIG, *SHARED))(hpa_snippet)),
    "doctor": ("Find what is wrong with an installation.", doctor),
}


def _words(request: Sequence[str], namespace: str | None, selector: str | None, metric_selector: str | None) -> Any:
    from adapter.cli.words import Words  # noqa: PLC0415 - the kinds, which only requests need

    return Words(
        request=tuple(request),
        namespace=option_value(namespace),
        selector=option_value(selector),
        metric_selector=option_value(metric_selector),
    )
