"""The arguments and options of `tidegauge doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapter.cli.output import Format
from adapter.cli.running import run, streams

# What the command tells itself, with the reason.
_TOLD = ("adapter.runtime", "adapter.clients")


def doctor(
    *,
    kubeconfig: Annotated[
        str, typer.Option("--kubeconfig", metavar="FILE", help="as kubectl's; KUBECONFIG and ~/.kube/config count too")
    ] = "",
    context: Annotated[str, typer.Option("--context", metavar="NAME", help="context of the kubeconfig")] = "",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="where the adapter is; found if not given")
    ] = "",
    service: Annotated[str, typer.Option("--service", metavar="NAME", help="the adapter's Service")] = "",
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", metavar="FILE", help="rules files here, instead of the Deployment's"),
    ] = None,
    prometheus_url: Annotated[
        str, typer.Option("--prometheus-url", metavar="URL", help="where Prometheus can be asked from here")
    ] = "",
    address: Annotated[
        str, typer.Option("--address", metavar="HOST:PORT", help="where the adapter shows its certificate")
    ] = "",
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="for all of it, at most 10m")] = "60s",
    format_: Annotated[Format, typer.Option("--format", help="for people or for programs")] = Format.TEXT,
) -> int:
    """Look at a cluster, and say what is wrong with the adapter in it and how to cure that; nothing is changed.

    The exit code is 0, 1 if there are errors or warnings, 2 if the cluster cannot be looked at or flags are wrong.
    """
    from adapter.cli.doctor import Options  # noqa: PLC0415 - each command loads what it needs
    from adapter.cli.doctor import doctor as look  # noqa: PLC0415 - the same

    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        service=service,
        address=address,
        prometheus_url=prometheus_url,
        config=tuple(config or ()),
        timeout=timeout,
    )
    own = streams()
    return run(look(options, format_=format_, streams=own), own, *_TOLD)
