"""What is wrong with an installation, and how to cure it: `tidegauge doctor`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapter.cli.doctor_report import Report, write_json_report, write_text_report
from adapter.cli.output import Format, Streams
from adapter.cli.session import with_spinner
from adapter.cli.usage import UsageError
from adapter.clients.kubernetes import ClusterClient, ClusterOptions, open_cluster
from adapter.config.kubeconfig import kubeconfig_document
from adapter.config.problems import ConfigError
from adapter.doctor.checks import examine
from adapter.doctor.gather import NotReachableError, gather
from adapter.doctor.gather_serving import Request
from adapter.doctor.locate import Wanted
from adapter.kube.durations import parse_duration
from adapter.runtime.clock import Clocks

_NANOSECONDS = 1_000_000_000
_MOST_SECONDS = 600.0
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were typed; empty for what was not given."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    service: str = ""
    address: str = ""
    prometheus_url: str = ""
    config: tuple[str, ...] = ()
    timeout: str = "60s"


async def doctor(options: Options, *, format_: Format, streams: Streams) -> int:
    """Print what is wrong; the exit code is 0, or 1 if there are errors or warnings.

    Raises:
        UsageError: the options cannot be used, or the cluster cannot be looked at at all.
    """
    environment = dict(os.environ)
    kubeconfig = kubeconfig_of(options, environment)
    request = Request(
        wanted=Wanted(namespace=options.namespace, service=options.service),
        config=options.config,
        address=_address(options.address),
        prometheus_url=options.prometheus_url,
        in_cluster=not kubeconfig,
        environment=environment,
    )
    clocks, seconds = Clocks(), _seconds(options.timeout)
    cluster = _open(ClusterOptions(kubeconfig=kubeconfig, context=options.context, environment=environment), clocks)
    try:
        work = gather(cluster, request, clocks=clocks, timeout_seconds=seconds)
        facts = await with_spinner(work, f"looking at {cluster.server}", streams)
    except NotReachableError as error:
        raise UsageError(str(error)) from error
    finally:
        await cluster.close()
    report = Report(server=facts.server, outcomes=examine(facts))
    (write_json_report if format_ is Format.JSON else write_text_report)(report, streams)
    return report.exit_code


class _Silent:
    """Counts nothing of what the client reports."""

    def kubernetes_request_done(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        """Note a request."""

    def exec_plugin_done(self, *, outcome: str, seconds: float) -> None:
        """Note a run of the kubeconfig's exec plugin."""


def _open(options: ClusterOptions, clocks: Clocks) -> ClusterClient:
    try:
        return open_cluster(options, observer=_Silent(), clock=clocks.monotonic, wall=clocks.wall)
    except ConfigError as error:
        (problem,) = error.problems
        where = f"{problem.location.file}: " if options.kubeconfig else ""
        raise UsageError(f"{where}{problem.message}; name a kubeconfig with --kubeconfig") from error


def kubeconfig_of(options: Options, environment: Mapping[str, str]) -> str:
    """Return the kubeconfig to use, empty for the pod's own cluster: as kubectl chooses it.

    Of several files in KUBECONFIG the one that has the context is taken; they are not merged.
    """
    if options.kubeconfig:
        return options.kubeconfig
    if files := [one for one in environment.get("KUBECONFIG", "").split(os.pathsep) if one]:
        there = [one for one in files if Path(one).expanduser().exists()]
        return next((one for one in there if _has_context(one, options.context)), (there or files)[0])
    own = Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"
    return str(own) if own.exists() or not environment.get("KUBERNETES_SERVICE_HOST") else ""


def _has_context(path: str, context: str) -> bool:
    try:
        document = kubeconfig_document(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    contexts = document.get("contexts")
    named = {one.get("name") for one in contexts if isinstance(one, dict)} if isinstance(contexts, list) else set()
    return (context or document.get("current-context")) in named


def _address(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) <= _MAX_PORT:
        raise UsageError(f"--address must be HOST:PORT, and `{text}` is not")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text) / _NANOSECONDS
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from error
    if not 0 < seconds <= _MOST_SECONDS:
        raise UsageError(f"--timeout must be between 0 and {_MOST_SECONDS / 60:.0f}m")
    return seconds
