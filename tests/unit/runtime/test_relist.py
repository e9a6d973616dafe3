"""The catalog stays right: what fails keeps its last good metrics, what is new is found, nothing is asked twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from relist_rig import FakeBackend, HandClock, Reports
from rules_rig import KINDS, rulebook_from

from adapter.errors import ObjectsUnavailable, PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.kube.resources import Kind, Kinds
from adapter.rules.rule import Api
from adapter.runtime.look_ups import LOOK_UP_SECONDS
from adapter.runtime.relist import Relist, RelistSettings

pytestmark = pytest.mark.anyio

GADGET = Kind(group="example.com", version="v1", kind="Gadget", plural="gadgets", singular="gadget", namespaced=False)
PODS = "{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}"
TWO = f"""
rules:
- {{seriesQuery: 'a{{pod!=""}}', resources: {PODS}}}
- {{seriesQuery: 'b{{pod!=""}}', resources: {PODS}}}
externalRules:
- {{seriesQuery: 'queue_depth'}}
"""
ANY = f"""rules: [{{seriesQuery: '{{pod!=""}}', resources: {PODS}}}]"""
SERIES = ['a{namespace="n",pod="p"}', 'b{namespace="n",pod="p"}', "queue_depth{}"]


class Rig:
    """A relist over a fake backend."""

    def __init__(self, text: str, directory: Path, *series: str, concurrency: int = 4) -> None:
        self.backend = FakeBackend(series_there=list(series))
        self.clock = HandClock()
        self.reports = Reports()
        self.kinds: Kinds | UpstreamError = KINDS
        self.relist = Relist(
            rulebook=rulebook_from(text, directory),
            backend=self.backend,
            kinds=self.kinds_now,
            settings=RelistSettings(interval_seconds=60.0, max_age_seconds=60.0, concurrency=concurrency),
            clocks=self.clock.clocks(),
            observer=self.reports,
        )

    async def kinds_now(self) -> Kinds:
        """Return the kinds, or the error that hides them."""
        if isinstance(self.kinds, UpstreamError):
            raise self.kinds
        return self.kinds

    def listed(self) -> list[str]:
        """Return the metrics that there are."""
        catalog = self.relist.catalog
        return [f"{one.resource}/{one.metric}" for one in catalog.custom] + list(catalog.external)


ALL = ["namespaces/a", "namespaces/b", "pods/a", "pods/b", "queue_depth"]


async def test_the_first_relist_finds_everything(tmp_path: Path) -> None:
    """All metrics of all rules are listed after one round, looking back by max age."""
    rig = Rig(TWO, tmp_path, *SERIES)

    await rig.relist.relist()

    assert rig.listed() == ALL
    assert set(rig.backend.at) == {1_700_000_000.0 + 1000.0 - 60.0}
    assert rig.reports.relists[0]["metrics"] == 5
    assert rig.reports.relists[0]["failed"] == 0


async def test_each_rule_says_what_it_has(tmp_path: Path) -> None:
    """Series names, metrics, and when that was known last; a rule that was never answered says so."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down("queue")

    await rig.relist.relist()

    found = [(one.series_names, one.metrics, one.good_at_seconds) for one in rig.reports.rules.values()]
    assert found == [(1, 2, 1_700_001_000.0), (1, 2, 1_700_001_000.0), (0, 0, None)]


async def test_selectors_of_different_metrics_share_calls(tmp_path: Path) -> None:
    """Names attribute themselves, so exact selectors go into few calls, and no series are dumped."""
    rig = Rig(TWO, tmp_path, *SERIES)

    await rig.relist.relist()

    assert all(call.startswith("names ") for call in rig.backend.asked)
    assert len(rig.backend.asked) <= 2


async def test_two_selectors_of_one_metric_never_share_a_call(tmp_path: Path) -> None:
    """The answer to a union could not be told apart, so each of them is asked by itself."""
    text = f"""
rules:
- {{seriesQuery: 'a{{pod!="",code="1"}}', name: {{as: one}}, resources: {PODS}}}
- {{seriesQuery: 'a{{pod!="",code="2"}}', name: {{as: two}}, resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, 'a{namespace="n",pod="p",code="1"}')

    await rig.relist.relist()

    assert rig.listed() == ["namespaces/one", "pods/one"]


async def test_one_failing_selector_fails_alone(tmp_path: Path) -> None:
    """A selector that cannot be asked keeps its last good metrics while the others go on, and is named."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.backend.down("a{")
    rig.backend.series_there[1] = 'c{namespace="n",pod="p"}'

    await rig.relist.relist()

    assert rig.listed() == ["namespaces/a", "pods/a", "queue_depth"]
    assert rig.relist.states['a{pod!=""}'].error is not None
    assert rig.reports.relists[-1]["failed"] == 1


async def test_a_shared_call_that_fails_is_asked_again_one_by_one(tmp_path: Path) -> None:
    """One bad selector in a batch does not take its neighbours with it, even at the first relist."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down("a{")

    await rig.relist.relist()

    assert rig.listed() == ["namespaces/b", "pods/b", "queue_depth"]


async def test_a_dead_prometheus_keeps_the_metrics_until_max_age(tmp_path: Path) -> None:
    """Failure is not absence: the list stays while Prometheus is away, but not for ever."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.backend.down()
    rig.clock.now += 100.0
    await rig.relist.relist()
    kept = rig.listed()
    rig.clock.now += 100.0

    await rig.relist.relist()

    assert kept == ALL
    assert rig.listed() == []


async def test_a_metric_that_is_gone_goes(tmp_path: Path) -> None:
    """An empty answer is an answer: the metric is no longer listed."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    del rig.backend.series_there[0]

    await rig.relist.relist()

    assert rig.listed() == ["namespaces/b", "pods/b", "queue_depth"]


async def test_a_prometheus_that_has_just_restarted_takes_nothing_away(tmp_path: Path) -> None:
    """When the backend has no series at all the last good metrics stay."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.backend.series_there = []

    await rig.relist.relist()

    assert rig.listed() == ALL


async def test_a_partial_answer_adds_and_never_removes(tmp_path: Path) -> None:
    """With a warning some series may be missing, so what was known stays."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.backend.series_there = [SERIES[1]]
    rig.backend.warnings = ("store is down",)

    await rig.relist.relist()

    assert rig.listed() == ALL


@pytest.mark.parametrize("how", ["labels do not work", "endpoint unsupported"])
async def test_without_label_endpoints_names_come_from_series(tmp_path: Path, how: str) -> None:
    """Old servers and proxies are served through the series endpoint, with the same result."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.labels_work = how != "labels do not work"
    rig.backend.unsupported = how == "endpoint unsupported"

    await rig.relist.relist()

    assert rig.listed() == ALL
    assert any(call.startswith("series ") for call in rig.backend.asked)


async def test_templates_ask_which_labels_there_are(tmp_path: Path) -> None:
    """A template rule asks for label names first, and then only for those that name a kind."""
    text = """rules: [{seriesQuery: '{namespace!=""}', resources: {template: "<<.Resource>>"}}]"""
    rig = Rig(text, tmp_path, 'a{namespace="n",deployment="d",instance="i"}', 'b{namespace="n",pod="p"}')

    await rig.relist.relist()

    assert rig.listed() == ["deployments.apps/a", "namespaces/a", "namespaces/b", "pods/b"]
    assert not [call for call in rig.backend.asked if "instance" in call]


async def test_who_is_alive_wins(tmp_path: Path) -> None:
    """Where two series claim one metric, the series endpoint says which of them still has samples."""
    text = f"""
rules:
- {{id: first, seriesQuery: 'a{{pod!=""}}', name: {{as: m}}, resources: {PODS}}}
- {{id: last, seriesQuery: 'b{{pod!=""}}', name: {{as: m}}, resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *SERIES)
    rig.backend.old = {"b"}

    await rig.relist.relist()

    assert {entry.rule.id for entry in rig.relist.catalog.by_custom.values()} == {"first"}
    assert len(rig.relist.catalog.overlaps) == 2


async def test_calls_run_in_parallel_under_a_cap(tmp_path: Path) -> None:
    """However many selectors there are, only so many calls are under way."""
    rules = "\n".join(f'- {{seriesQuery: \'{{x="{n}",pod!=""}}\', resources: {PODS}}}' for n in range(20))
    rig = Rig(f"rules:\n{rules}", tmp_path, *SERIES, concurrency=3)

    await rig.relist.relist()

    assert len(rig.backend.asked) == 40
    assert rig.backend.most_under_way == 3


async def test_an_unknown_metric_is_looked_up_at_once(tmp_path: Path) -> None:
    """A metric works in its first seconds: nobody has to wait for the next relist."""
    rig = Rig(TWO, tmp_path, SERIES[0])
    await rig.relist.relist()
    rig.backend.series_there = list(SERIES)
    rig.clock.now += LOOK_UP_SECONDS

    await rig.relist.look_up(Api.CUSTOM, "b")

    assert "pods/b" in rig.listed()
    assert rig.reports.lookups == [True]


async def test_look_ups_are_limited(tmp_path: Path) -> None:
    """A metric that does not exist is asked for at most once in a while, however often callers ask."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.clock.now += LOOK_UP_SECONDS
    await rig.relist.look_up(Api.CUSTOM, "nothing")
    asked = len(rig.backend.asked)

    for _ in range(100):
        await rig.relist.look_up(Api.CUSTOM, "nothing")

    assert len(rig.backend.asked) == asked


async def test_concurrent_look_ups_are_one(tmp_path: Path) -> None:
    """All callers that miss a metric at one time share one round of questions."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.clock.now += LOOK_UP_SECONDS
    before = len(rig.backend.asked)

    await asyncio.gather(*(rig.relist.look_up(Api.CUSTOM, "nothing") for _ in range(50)))

    assert len(rig.backend.asked) - before <= 2


async def test_a_look_up_asks_only_rules_that_may_give_the_metric(tmp_path: Path) -> None:
    """A rule with a fixed name is not asked for another one."""
    text = f"""
rules:
- {{seriesQuery: 'a{{pod!=""}}', name: {{as: fixed}}, resources: {PODS}}}
- {{seriesQuery: 'b{{pod!=""}}', resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.clock.now += LOOK_UP_SECONDS
    before = len(rig.backend.asked)

    await rig.relist.look_up(Api.CUSTOM, "other")

    assert not [call for call in rig.backend.asked[before:] if "a{" in call]


async def test_what_was_never_answered_is_not_absent(tmp_path: Path) -> None:
    """Before the first good answer nobody can say that a metric does not exist."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down()
    await rig.relist.relist()

    assert isinstance(rig.relist.unknown_because_failed(Api.CUSTOM, "a"), PrometheusUnavailable)
    rig.backend.failing = {}
    await rig.relist.relist()
    assert rig.relist.unknown_because_failed(Api.CUSTOM, "nothing") is None


async def test_a_refused_series_query_hides_nothing(tmp_path: Path) -> None:
    """A rule whose series query Prometheus refuses does not turn every unknown metric into an outage."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.failing = {"a{": QueryRejected("parse error", status=400, kind="bad_data")}
    await rig.relist.relist()

    assert rig.relist.unknown_because_failed(Api.CUSTOM, "nothing") is None
    assert "pods/b" in rig.listed()


async def test_readers_see_the_old_or_the_new_catalog(tmp_path: Path) -> None:
    """The catalog is swapped whole: while a relist runs the old one serves."""
    rig = Rig(TWO, tmp_path, *SERIES)
    await rig.relist.relist()
    before = rig.relist.catalog
    rig.backend.gate = asyncio.Event()
    running = asyncio.create_task(rig.relist.relist())
    await asyncio.sleep(0)

    assert rig.relist.catalog is before
    rig.backend.gate.set()
    await running
    assert rig.relist.catalog is not before


async def test_the_loop_says_when_the_first_relist_has_ended_even_badly(tmp_path: Path) -> None:
    """Readiness does not hang on a Prometheus that is down."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down()
    loop = asyncio.create_task(rig.relist.run())

    await rig.relist.first_done.wait()

    assert rig.listed() == []
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


# ---- labels beyond the classic alphabet

ODD_LABEL = "{namespace: {resource: namespace}, k8s.pod: {resource: pod}}"
REFUSED = QueryRejected("1:20: parse error: unexpected string", status=400, kind="bad_data")
# the overrides of a rule, and what a server that knows no such label still gives
ODD_LABELS = [
    ("{namespace: {resource: namespace}, k8s.pod: {resource: pod}}", ["namespaces/a"]),
    ("{k8s.pod: {resource: pod}}", []),
    ("{k8s.pod: {resource: pod}, k8s.node: {resource: node}, namespace: {resource: namespace}}", ["namespaces/a"]),
]


@pytest.mark.parametrize(("overrides", "listed"), ODD_LABELS)
async def test_a_label_that_a_server_cannot_read_is_one_that_it_does_not_have(
    tmp_path: Path, overrides: str, listed: list[str]
) -> None:
    """A server before 3.0 refuses the question for such a label, and the rule's other resources are served."""
    rig = Rig(f"rules: [{{seriesQuery: a, resources: {{overrides: {overrides}}}}}]", tmp_path, 'a{namespace="n"}')
    rig.backend.failing = {'"k8s.': REFUSED}

    await rig.relist.relist()

    assert rig.listed() == listed
    assert rig.relist.states["a"].error is None


@pytest.mark.parametrize(
    "failing",
    [
        {"": REFUSED},
        {"names a": REFUSED},
        {'"k8s.': PrometheusUnavailable("late", kind="timeout")},
        {"namespace!=": REFUSED},
    ],
)
async def test_any_other_refusal_is_a_failure(tmp_path: Path, failing: dict[str, UpstreamError]) -> None:
    """A selector that is refused itself, a classic label that is, or a question without an answer, is never absence."""
    rig = Rig(f"rules: [{{seriesQuery: a, resources: {{overrides: {ODD_LABEL}}}}}]", tmp_path, 'a{namespace="n"}')
    await rig.relist.relist()
    before = rig.listed()
    rig.backend.failing = failing

    await rig.relist.relist()

    assert (rig.listed(), rig.relist.states["a"].error is None) == (before, False)


# ---- accidents


@pytest.mark.parametrize("part", ["names a", "labels ", "series a", ""])
async def test_an_accident_is_one_selector_s_failure(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw fails as any failure does: its selector alone, named, with the cause in the log."""
    template = "- {seriesQuery: 'c{x!=\"\"}', resources: {template: 'k_<<.Resource>>'}}\nexternalRules:"
    rig = Rig(TWO.replace("externalRules:", template), tmp_path, *SERIES)
    rig.backend.labels_work = part != "series a"
    rig.backend.failing = {part: ZeroDivisionError("nobody foresaw this")}  # type: ignore[dict-item]  # that is the point

    await rig.relist.relist()

    failed = {query for query, state in rig.relist.states.items() if state.error is not None}
    assert (
        failed
        == {
            "names a": {'a{pod!=""}'},
            "labels ": {'c{x!=""}'},
            "series a": {'a{pod!=""}'},
            "": set(rig.relist.states),
        }[part]
    )
    assert "nobody foresaw this" in caplog.text
    assert rig.reports.relists[-1]["failed"] == len(failed)


async def test_a_metric_waits_for_the_first_answer(tmp_path: Path) -> None:
    """As long as the first relist has no answer, nobody knows whether a metric exists: who asks for it waits."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.gate = asyncio.Event()
    relisting = asyncio.create_task(rig.relist.relist())
    looking = asyncio.create_task(rig.relist.look_up(Api.EXTERNAL, "queue_depth"))
    await until_asked(rig)

    assert not looking.done()
    assert isinstance(rig.relist.unknown_because_failed(Api.EXTERNAL, "queue_depth"), PrometheusUnavailable)
    rig.backend.gate.set()
    await asyncio.gather(relisting, looking)

    assert rig.listed() == ALL
    assert rig.relist.unknown_because_failed(Api.EXTERNAL, "queue_depth") is None


async def until_asked(rig: Rig) -> None:
    """Return once the backend has questions."""
    while not rig.backend.under_way:  # noqa: ASYNC110 - the fake backend tells nobody
        await asyncio.sleep(0)


async def test_a_look_up_asks_only_rules_that_can_give_the_name(tmp_path: Path) -> None:
    """A rule whose names look otherwise is not asked for a metric that nobody has."""
    text = f"""
rules:
- {{seriesQuery: '{{__name__=~"a.*",pod!=""}}', name: {{as: "${{0}}_per_second"}}, resources: {PODS}}}
- {{seriesQuery: '{{__name__=~"b.*",pod!=""}}', name: {{as: "b_$0"}}, resources: {PODS}}}
- {{seriesQuery: 'c{{pod!=""}}', name: {{as: "${{0}}_per_second"}}, resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.clock.now += LOOK_UP_SECONDS
    rig.backend.asked.clear()

    await rig.relist.look_up(Api.CUSTOM, "x_per_second")

    assert rig.backend.asked
    assert not any("b.*" in call or "c{" in call for call in rig.backend.asked)


async def test_a_look_up_that_heals_is_reported(tmp_path: Path) -> None:
    """A series query that answers again counts as failing no longer, also when a look-up asked it."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down("queue_depth")
    await rig.relist.relist()
    rig.backend.failing.clear()
    rig.clock.now += LOOK_UP_SECONDS

    await rig.relist.look_up(Api.EXTERNAL, "queue_depth")

    assert [report["failed"] for report in rig.reports.relists] == [1, 0]


async def test_new_kinds_wait_for_nobody(tmp_path: Path) -> None:
    """When kinds come or go the catalog follows at once, also while Prometheus says nothing."""
    text = f"""
rules:
- {{seriesQuery: 'a{{pod!=""}}', name: {{as: one}}, resources: {PODS}}}
- {{seriesQuery: 'b{{pod!=""}}', name: {{as: one}}, resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *SERIES)
    await rig.relist.relist()
    rig.backend.gate = asyncio.Event()
    before = rig.relist.catalog
    rig.relist.follow_kinds(Kinds(KINDS))
    assert rig.relist.catalog is before

    rig.relist.follow_kinds(KINDS.extended([GADGET]))
    await rig.relist.kinds_followed()

    assert rig.relist.catalog is not before
    assert rig.listed() == ["namespaces/one", "pods/one"]
    await rig.relist.close()


async def test_a_metric_that_stays_away_is_looked_up_seldomer(tmp_path: Path) -> None:
    """Each look-up in vain doubles the time to the next, up to two periods of an HPA; another metric starts anew."""
    rig = Rig(ANY, tmp_path, *SERIES)
    await rig.relist.relist()
    asked_at: list[float] = []

    for second in range(1, 121):
        rig.clock.now += 1.0
        before = len(rig.backend.asked)
        await asyncio.gather(*(rig.relist.look_up(Api.CUSTOM, "nothing") for _ in range(5)))
        asked_at += [second] if len(rig.backend.asked) > before else []
    before = len(rig.backend.asked)
    rig.clock.now += LOOK_UP_SECONDS
    await rig.relist.look_up(Api.CUSTOM, "another")

    assert asked_at == [5, 10, 20, 40, 70, 100]
    assert len(rig.backend.asked) > before


async def test_a_look_up_waits_for_its_own_questions(tmp_path: Path) -> None:
    """Who misses a metric while another one is looked up is not told that it does not exist before it was asked for."""
    rig = Rig(TWO, tmp_path, "x{}")
    await rig.relist.relist()
    rig.backend.series_there = list(SERIES)
    rig.clock.now += LOOK_UP_SECONDS
    rig.backend.gate = asyncio.Event()
    first = asyncio.create_task(rig.relist.look_up(Api.CUSTOM, "a"))
    await until_asked(rig)
    others = [asyncio.create_task(rig.relist.look_up(Api.CUSTOM, name)) for name in ("b", "a")]
    while not any("b{" in call for call in rig.backend.asked[-1:]):  # noqa: ASYNC110 - the fake backend tells nobody
        await asyncio.sleep(0)

    assert not any(task.done() for task in (first, *others))
    rig.backend.gate.set()
    await asyncio.gather(first, *others)

    assert rig.listed() == ["namespaces/a", "namespaces/b", "pods/a", "pods/b"]
    assert rig.reports.lookups == [True, True, True]


async def test_kinds_that_cannot_be_told_are_a_failure(tmp_path: Path) -> None:
    """Without the kinds nobody knows which metrics there are: what is asked for is an error, and is asked again."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.kinds = ObjectsUnavailable("no answer")

    await rig.relist.relist()

    assert isinstance(rig.relist.unknown_because_failed(Api.CUSTOM, "a"), ObjectsUnavailable)
    assert rig.reports.relists[-1]["failed"] == 3
    rig.kinds = KINDS
    await rig.relist.relist()
    assert rig.listed() == ALL


async def test_who_is_dead_stays_dead_while_kinds_change(tmp_path: Path) -> None:
    """A catalog that follows the kinds keeps to what was found out about the series, and finds out again behind."""
    text = f"""
rules:
- {{id: first, seriesQuery: 'a{{pod!=""}}', name: {{as: m}}, resources: {PODS}}}
- {{id: last, seriesQuery: 'b{{pod!=""}}', name: {{as: m}}, resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *SERIES)
    rig.backend.old = {"b"}
    await rig.relist.relist()
    rig.backend.gate = asyncio.Event()

    rig.relist.follow_kinds(KINDS.extended([GADGET]))
    await rig.relist.kinds_followed()
    await until_asked(rig)
    meanwhile = {entry.rule.id for entry in rig.relist.catalog.by_custom.values()}
    before = rig.relist.catalog
    rig.backend.old = {"a"}
    rig.backend.gate.set()
    while rig.relist.catalog is before:  # noqa: ASYNC110 - it is swapped behind everybody's back
        await asyncio.sleep(0)

    assert meanwhile == {"first"}
    assert {entry.rule.id for entry in rig.relist.catalog.by_custom.values()} == {"last"}


async def test_only_what_may_do_better_is_retried_early(tmp_path: Path) -> None:
    """Between two relists only series queries that failed are asked again, and none that Prometheus refuses."""
    rig = Rig(TWO, tmp_path, *SERIES)
    rig.backend.down("queue_depth")
    rig.backend.failing["a{"] = QueryRejected("parse error", status=422, kind="bad_data")
    loop = asyncio.create_task(rig.relist.run())
    await rig.relist.first_done.wait()
    rig.backend.asked.clear()

    while len(rig.reports.relists) < 2:  # noqa: ASYNC110 - the loop tells nobody
        await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    assert rig.backend.asked
    assert all("queue_depth" in call for call in rig.backend.asked)


async def test_a_large_catalog_is_the_same(tmp_path: Path) -> None:
    """Thousands of metrics, which a thread puts together, are listed like few."""
    many = [f'm{number:05}{{namespace="n",pod="p"}}' for number in range(3000)]
    text = f"""
rules:
- {{seriesQuery: '{{__name__=~"m.*",pod!=""}}', resources: {PODS}}}
"""
    rig = Rig(text, tmp_path, *many)

    await rig.relist.relist()

    assert len(rig.listed()) == 6000
    assert rig.relist.catalog.custom[-1].metric == "m02999"
