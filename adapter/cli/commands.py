"""The sub-commands, their arguments and options."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

import typer

from adapter.cli.flags import CONFIG, SHARED, set_up_logs, taking
from adapter.cli.manifest_format import Extent, ManifestFormat, Measure, MetricKind
from adapter.cli.output import Format, Streams
from adapter.cli.report_format import ReportFormat
from adapter.cli.usage import UsageError
from adapter.config.problems import ConfigError

EXIT_USAGE = 2

# Modules whose log lines say what some commands say by themselves, and better.
_SERVER, _RELIST, _OBJECTS = "adapter.server", "adapter.runtime.relist", "adapter.runtime.objects"
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
RulesFiles = Annotated[
    list[str], typer.Argument(metavar="RULES...", help="rules files, directories or globs", show_default=False)
]
TextOrJson = Annotated[Format, typer.Option("--format", help="for people or for programs")]


def run_command(words: Sequence[str]) -> int:
    """Run a sub-command; return its exit code."""
    try:
        # Not `main()`: it would take broken pipes and interrupts for itself.
        command = typer.main.get_command(_app())
        with command.make_context("tidegauge", list(words)) as context:
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

    streams = _streams()
    return _run(check(rules, flags=flags, format_=format_, strict=strict, streams=streams), streams)


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

    streams = _streams()
    words = _words(request, namespace, selector, metric_selector)
    return _run(explain(words, flags=flags, format_=format_, streams=streams), streams, _SERVER, _RELIST, _OBJECTS)


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

    streams = _streams()
    words = _words(request, namespace, selector, metric_selector)
    return _run(get(words, flags=flags, format_=format_, streams=streams), streams, _SERVER)


def _list(*, flags: Sequence[str], format_: TextOrJson = Format.TEXT) -> int:
    """List every metric there is now, with its rule, its series and its path.

    The exit code is 0, 1 if some series query could not be asked, 2 if flags or files are wrong.
    """
    from adapter.cli.list_metrics import list_metrics  # noqa: PLC0415 - each command loads what it needs

    streams = _streams()
    return _run(list_metrics(flags=flags, format_=format_, streams=streams), streams, _RELIST)


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

    return config_gen(rate_interval=rate_interval, label_prefix=label_prefix, streams=_streams())


def _rbac(
    rules: RulesFiles,
    *,
    flags: Sequence[str],
    name: Annotated[str, typer.Option("--name", help="what the names of all objects begin with")] = "tidegauge",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="namespace of the adapter's service account")
    ] = "custom-metrics",
    service_account: Annotated[str, typer.Option("--service-account", help="the adapter's account")] = "tidegauge",
    extent: Annotated[
        Extent, typer.Option("--for", help="the objects that the rules are about, or everything")
    ] = Extent.ALL,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kinds", metavar="RESOURCE,...", help="resources that templates of labels stand for", show_default=False
        ),
    ] = None,
    certificate: Annotated[
        str,
        typer.Option(
            "--self-managed-certificate",
            metavar="NAMESPACE/SERVICE",
            help="also what this flag of serving needs",
            show_default=False,
        ),
    ] = "",
    certificate_secret: Annotated[
        str,
        typer.Option(
            "--self-managed-certificate-secret", metavar="NAME", help="the Secret of that flag", show_default=False
        ),
    ] = "",
    reader: Annotated[
        str,
        typer.Option(
            "--reader",
            metavar="NAME",
            help="only a ClusterRole of this name that reads the metrics; for NAMESPACE/ACCOUNT bound to it",
            show_default=False,
        ),
    ] = "",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="METRIC", help="let the reader read this one only", show_default=False),
    ] = None,
    format_: Annotated[
        ManifestFormat, typer.Option("--format", help="how manifests are written")
    ] = ManifestFormat.YAML,
) -> int:
    """Print the roles and bindings that rules need in a cluster, and no others.

    The exit code is 0, 1 if some series query could not be asked, 2 if flags or files are wrong.
    """
    from adapter.cli.rbac import RbacOptions, rbac  # noqa: PLC0415 - each command loads what it needs

    options = RbacOptions(
        name=name,
        namespace=namespace,
        service_account=service_account,
        extent=extent,
        kinds=tuple(one for text in kinds or () for one in text.split(",") if one),
        certificate=certificate,
        certificate_secret=certificate_secret,
        reader=reader,
        metrics=tuple(metric or ()),
    )
    streams = _streams()
    return _run(rbac(rules, flags=flags, options=options, format_=format_, streams=streams), streams, _RELIST)


def _hpa_snippet(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="name of the metric", show_default=False)],
    *,
    flags: Sequence[str],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="namespace of the autoscaler", show_default=False)
    ] = "",
    target: Annotated[
        str, typer.Option("--target", metavar="QUANTITY", help="100, 500m, 2k, or 50% of cpu", show_default=False)
    ] = "",
    measure: Annotated[
        Measure | None,
        typer.Option("--target-type", help="share of each pod, undivided, or percent of requests", show_default=False),
    ] = None,
    kind: Annotated[
        MetricKind | None, typer.Option("--kind", help="type of the metric; the rules decide it", show_default=False)
    ] = None,
    object_: Annotated[
        str, typer.Option("--object", metavar="RESOURCE/NAME", help="object of the type object", show_default=False)
    ] = "",
    selector: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="SELECTOR", help="labels of the metric's series", show_default=False),
    ] = None,
    deployment: Annotated[
        str, typer.Option("--deployment", metavar="NAME", help="a whole autoscaler for this one", show_default=False)
    ] = "",
    minimum: Annotated[int | None, typer.Option("--min", help="fewest pods", show_default="1")] = None,
    maximum: Annotated[int | None, typer.Option("--max", help="most pods", show_default="10")] = None,
    format_: Annotated[
        ManifestFormat, typer.Option("--format", help="how manifests are written")
    ] = ManifestFormat.YAML,
) -> int:
    """Print a metric as a HorizontalPodAutoscaler (autoscaling/v2) has it, or a whole autoscaler.

    With rules files (--config) the rules say which type of metric it is, and what cannot work is refused. The exit code
    is 0, 1 if some series query could not be asked, 2 if it cannot work, or flags or files are wrong.
    """
    from adapter.cli.hpa_choice import Wish  # noqa: PLC0415 - each command loads what it needs
    from adapter.cli.hpa_snippet import SnippetOptions, hpa_snippet  # noqa: PLC0415 - the same

    options = SnippetOptions(
        wish=Wish(metric=metric, kind=kind, object=object_, namespace=_value(namespace) or ""),
        target=target,
        measure=measure,
        selector=_value(selector),
        deployment=deployment,
        minimum=minimum,
        maximum=maximum,
    )
    streams = _streams()
    return _run(hpa_snippet(options, flags=flags, format_=format_, streams=streams), streams, _RELIST)


# What `tidegauge --help` says of each command, and the command.
_COMMANDS: dict[str, tuple[str, Callable[..., int]]] = {
    "serve": ("Serve the metrics APIs, as flags alone do.", _serve),
    "check": ("Find every problem of rules files.", taking(SHARED)(_check)),
    "explain": ("Show why a request is answered as it is.", taking((*CONFIG, *SHARED))(_explain)),
    "get": ("Show the values that a request gets.", taking((*CONFIG, *SHARED))(_get)),
    "list": ("List the metrics there are.", taking((*CONFIG, *SHARED))(_list)),
    "config-gen": ("Print prometheus-adapter's default rules.", _config_gen),
    "rbac": ("Print the permissions that rules need.", taking(SHARED)(_rbac)),
    "hpa-snippet": ("Print a metric for a HorizontalPodAutoscaler.", taking((*CONFIG, *SHARED))(_hpa_snippet)),
}


def _streams() -> Streams:
    return Streams(out=sys.stdout, err=sys.stderr)


def _words(request: Sequence[str], namespace: str | None, selector: str | None, metric_selector: str | None) -> Any:
    from adapter.cli.words import Words  # noqa: PLC0415 - the kinds, which only requests need

    return Words(
        request=tuple(request),
        namespace=_value(namespace),
        selector=_value(selector),
        metric_selector=_value(metric_selector),
    )


def _value(text: str | None) -> str | None:
    """Return the value of a short option; kubectl takes `-l=app=web` as well as `-l app=web`."""
    return text.removeprefix("=") if text is not None else None


def _run(work: Coroutine[Any, Any, int], streams: Streams, *told: str) -> int:
    set_up_logs(streams, told=told)
    return asyncio.run(work)
