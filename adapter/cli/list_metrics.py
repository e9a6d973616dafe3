"""Every metric there is now, with the rule that gives it and the path at which it is answered: `tidegauge list`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapter.cli.output import Format, Page, Streams, plural, write_json
from adapter.cli.session import discover, open_session
from adapter.cli.words import CUSTOM, EXTERNAL, Words, path_of
from adapter.kube.resources import Kinds
from adapter.rules.catalog import Catalog, Entry, Overlap
from adapter.rules.fusion import NotFusable, fusability
from adapter.rules.rule import Rulebook
from adapter.runtime.wiring import Runtime

_HEADERS = ("API", "RESOURCE", "METRIC", "NAMESPACED", "RULE", "PLACE", "SERIES", "PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric; `resource` and `series` are empty where there is none."""

    api: str
    resource: str
    metric: str
    namespaced: bool
    rule: str
    place: str
    series: str
    path: str


async def list_metrics(*, flags: Sequence[str], format_: Format, streams: Streams) -> int:
    """Print all metrics; the exit code is 1 if a series query could not be asked, since some may be absent then."""
    async with open_session(flags, streams) as session:
        await discover(session, streams)
        runtime = session.runtime
        rows = tuple(metric_rows(runtime.provider.catalog, runtime.provider.kinds))
        failing = failing_queries(runtime)
        alone = tuple(asked_alone(runtime.relist.rulebook, runtime.provider.kinds))
        overlaps = runtime.provider.catalog.overlaps
    if format_ is Format.JSON:
        write_json(streams.out, _document(rows, overlaps, failing) | {"askedAlone": [asdict(one) for one in alone]})
    else:
        _write_text(rows, overlaps, failing, streams)
        _write_alone(alone, streams)
    return 1 if failing else 0


def metric_rows(catalog: Catalog, kinds: Kinds) -> Iterator[Row]:
    """Yield all metrics: custom ones in the order of discovery, then external ones."""
    for listed in catalog.custom:
        entry = catalog.by_custom[listed.resource, listed.metric]
        yield _row(entry, str(listed.resource), namespaced=listed.namespaced, kinds=kinds)
    for metric in catalog.external:
        yield _row(catalog.by_external[metric], "", namespaced=True, kinds=kinds)


def _row(entry: Entry, resource: str, *, namespaced: bool, kinds: Kinds) -> Row:
    subject = f"{resource}/*" if resource else "external"
    namespace = "NAMESPACE" if namespaced else None
    return Row(
        api=(CUSTOM if resource else EXTERNAL).split("/")[2],
        resource=resource,
        metric=entry.metric,
        namespaced=namespaced,
        rule=entry.rule.id,
        place=entry.rule.place,
        series=entry.series,
        path=path_of(Words(request=(subject, entry.metric), namespace=namespace), kinds) if _reachable(entry) else "",
    )


def _reachable(entry: Entry) -> bool:
    """Say whether a path can name the metric: no empty name, and none with a slash, can be asked for."""
    return bool(entry.metric) and "/" not in entry.metric


def failing_queries(runtime: Runtime) -> Mapping[str, str]:
    """Return the series queries that could not be asked, and why."""
    return {query: str(state.error) for query, state in runtime.relist.states.items() if state.error is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A rule whose requests share no query, why, and what would change that (empty if nothing does)."""

    rule: str
    reason: str
    hint: str = ""


def asked_alone(rulebook: Rulebook, kinds: Kinds) -> Iterator[Alone]:
    """Yield the rules whose requests share no query, in their order."""
    for rule in rulebook.rules:
        found = fusability(rule, kinds) if rule.may_share else NotFusable(reason="fuse: never")
        if isinstance(found, NotFusable):
            yield Alone(rule=rule.id, reason=found.reason, hint=found.hint)


def _write_alone(alone: Sequence[Alone], streams: Streams) -> None:
    if alone:
        page = Page(streams.out)
        page.line()
        page.line(f"{plural(len(alone), 'rule')} whose requests share no query:", style="title")
        page.table(
            ("RULE", "WHY", "WHAT WOULD CHANGE IT"), [(one.rule, one.reason, one.hint) for one in alone], indent=2
        )


def _write_text(rows: Sequence[Row], overlaps: Sequence[Overlap], failing: Mapping[str, str], streams: Streams) -> None:
    page, aside = Page(streams.out), Page(streams.err)
    if rows:
        page.table(_HEADERS, map(_cells, rows))
    elif not failing:
        aside.line("no metrics: no series in Prometheus match the rules")
    if overlaps:
        page.line()
        page.line(
            f"{plural(len(overlaps), 'metric')} with several claims; the last one with series wins:", style="title"
        )
        page.table(("METRIC", "WINS", "LOSE"), map(_overlap_cells, overlaps), indent=2)
    if failing:
        if rows:
            page.line()
        title = f"{plural(len(failing), 'series query')} could not be asked; their metrics are absent:"
        page.line(title, style="bad")
        page.table(("SERIES QUERY", "WHY"), failing.items(), indent=2)


def _cells(row: Row) -> tuple[str, ...]:
    yes_or_no = "true" if row.namespaced else "false"
    return (row.api, row.resource, row.metric, yes_or_no, row.rule, row.place, row.series, row.path)


def _overlap_cells(overlap: Overlap) -> tuple[str, str, str]:
    return (_name(overlap.winner), _claim(overlap.winner), "; ".join(map(_claim, overlap.losers)))


def _name(entry: Entry) -> str:
    return f"{entry.kind.group_resource}/{entry.metric}" if entry.kind else entry.metric


def _claim(entry: Entry) -> str:
    return f"{entry.rule.id} ({entry.rule.place})" + (f" {entry.series}" if entry.series else "")


def _document(rows: Sequence[Row], overlaps: Sequence[Overlap], failing: Mapping[str, str]) -> dict[str, Any]:
    return {
        "metrics": [
            {
                "api": row.api,
                "resource": row.resource or None,
                "metric": row.metric,
                "namespaced": row.namespaced,
                "rule": row.rule,
                "place": row.place,
                "series": row.series or None,
                "path": row.path,
            }
            for row in rows
        ],
        "overlaps": [
            {
                "metric": _name(overlap.winner),
                "winner": _claim_document(overlap.winner),
                "losers": [_claim_document(one) for one in overlap.losers],
            }
            for overlap in overlaps
        ],
        "failing": [{"seriesQuery": query, "error": error} for query, error in failing.items()],
    }


def _claim_document(entry: Entry) -> Mapping[str, Any]:
    return {"rule": entry.rule.id, "place": entry.rule.place, "series": entry.series or None}
