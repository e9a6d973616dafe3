"""The commands that print manifests, with their arguments and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from adapter.cli.manifest_format import Extent, ManifestFormat, Measure, MetricKind
from adapter.cli.running import RELIST, option_value, run, streams

RulesFiles = Annotated[
    list[str], typer.Argument(metavar="RULES...", help="rules files, directories or globs", show_default=False)
]


def rbac(
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
    from adapter.cli.rbac import print_rbac  # noqa: PLC0415 - each command loads what it needs
    from adapter.cli.rbac_options import RbacOptions  # noqa: PLC0415 - the same

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
    own = streams()
    return run(print_rbac(rules, flags=flags, options=options, format_=format_, streams=own), own, RELIST)


def hpa_snippet(
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
    from adapter.cli.hpa_snippet import SnippetOptions, print_hpa_snippet  # noqa: PLC0415 - the same

    options = SnippetOptions(
        wish=Wish(metric=metric, kind=kind, object=object_, namespace=option_value(namespace) or ""),
        target=target,
        measure=measure,
        selector=option_value(selector),
        deployment=deployment,
        minimum=minimum,
        maximum=maximum,
    )
    own = streams()
    return run(print_hpa_snippet(options, flags=flags, format_=format_, streams=own), own, RELIST)
