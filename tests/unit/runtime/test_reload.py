"""Rules files that change while serving: swapped whole, refused whole, and nothing that is still valid is asked again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from relist_rig import FakeBackend, HandClock, Reports

from adapter.config.settings import parse_flags
from adapter.errors import QueryRejected
from adapter.kube.resources import GroupResource, kubernetes_kinds
from adapter.runtime.demand import Demand
from adapter.runtime.relist import Relist, RelistSettings
from adapter.runtime.reload import Reload
from adapter.runtime.rule_files import RuleFiles, Rules, read_rules

pytestmark = pytest.mark.anyio

PODS = GroupResource("pods")
SERIES = ['up_a{namespace="shop",pod="web"}', 'up_b{namespace="shop",pod="web"}']
RULE = """
- seriesQuery: '{name}{{pod!=""}}'
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  metricsQuery: 'sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'
"""


def rules_of(*names: str) -> str:
    """Return a rules file that gives the metrics."""
    return "rules:" + ("".join(RULE.format(name=name) for name in names) or " []") + "\n"


@dataclass
class Told:
    """Keeps what a reload reports."""

    results: list[str] = field(default_factory=list)
    in_force: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    rules: list[int] = field(default_factory=list)

    def config_in_force(self, *, at_seconds: float) -> None:
        self.in_force.append(at_seconds)

    def reload_ended(self, *, result: str) -> None:
        self.results.append(result)

    def metrics_lost(self, *, metrics: int) -> None:
        self.lost.append(metrics)

    def rules_loaded(self, *, rules: int, problems: object) -> None:
        self.rules.append(rules)


class World:
    """A rules file, a backend that has series, and the reload between them."""

    def __init__(self, file: Path, text: str, *, protect: bool = False, flags: tuple[str, ...] = ()) -> None:
        self.file, self.clock, self.backend, self.told = (
            file,
            HandClock(),
            FakeBackend(series_there=list(SERIES)),
            Told(),
        )
        file.write_text(text)
        settings = parse_flags(["--config", str(file), "--prometheus-url=http://p", *flags], {}).settings

        def read() -> Rules:
            return read_rules(settings, kinds=kubernetes_kinds(), environment={})

        async def kinds() -> object:
            return kubernetes_kinds()

        clocks = self.clock.clocks()
        files = RuleFiles(paths=settings.config)
        rules = read()
        self.relist = Relist(
            rulebook=rules.compiled.rulebook,
            backend=self.backend,
            kinds=kinds,  # type: ignore[arg-type]  # the kinds are those of Kubernetes
            settings=RelistSettings(interval_seconds=60, max_age_seconds=600, concurrency=4),
            clocks=clocks,
            observer=Reports(),
        )
        self.demand = Demand(clock=clocks.monotonic)
        self.reload = Reload(
            rules=rules,
            files=files,
            read=read,
            relist=self.relist,
            demand=self.demand,
            clocks=clocks,
            observer=self.told,
            protect=protect,
        )

    @property
    def metrics(self) -> set[str]:
        """Return the names of the metrics of pods in the catalog."""
        return {metric for resource, metric in self.relist.catalog.by_custom if resource == PODS}

    @property
    def problems(self) -> list[str]:
        """Return the codes of what stands against the files."""
        return [one.code for one in self.reload.problems]

    async def change(self, text: str) -> None:
        """Write the file and have it looked at until it rests."""
        self.file.write_text(text)
        await self.reload.look()
        await self.reload.look()


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Return one that serves `up_a`."""
    world = World(tmp_path / "rules.yaml", rules_of("up_a"))
    await world.relist.relist()
    assert world.metrics == {"up_a"}
    return world


async def test_a_changed_file_is_asked_about_and_swapped_whole(world: World) -> None:
    """The new rules' metrics are there when the rules are, and only the new series query was asked about."""
    world.backend.asked.clear()

    await world.change(rules_of("up_a", "up_b"))

    assert world.metrics == {"up_a", "up_b"}
    assert world.told.results == ["applied"]
    assert world.told.rules == [2]
    assert world.backend.asked
    assert not [asked for asked in world.backend.asked if "up_a" in asked]


BROKEN = [
    "rules: [{",
    "rules: [{seriesQuery: 1, surprise: 2}]\n",
    "\x00\x01",
    rules_of("up_b").replace("<<.Series>>", "<<if>>"),
]


@pytest.mark.parametrize("text", BROKEN)
async def test_a_bad_file_changes_nothing_and_is_told_once(world: World, text: str) -> None:
    """The old rules serve, the problems say why, and the same bad file is not told again at each try."""
    await world.change(text)
    world.clock.now += 3600
    await world.reload.look()

    assert world.metrics == {"up_a"}
    assert world.reload.problems
    assert world.told.results == ["failed"]


async def test_a_file_that_is_gone_changes_nothing(world: World) -> None:
    """A ConfigMap that is not mounted for a moment takes no metric away."""
    world.file.unlink()
    await world.reload.look()
    await world.reload.look()

    assert world.metrics == {"up_a"}
    assert world.told.results == ["failed"]


async def test_the_old_text_again_ends_the_trouble(world: World) -> None:
    """Who takes a bad change back hears that the files are in force again."""
    await world.change("rules: [{")
    await world.change(rules_of("up_a"))

    assert world.problems == []
    assert world.told.results == ["failed", "unchanged"]
    assert len(world.told.in_force) == 1


async def test_a_file_that_is_being_written_is_not_read(world: World) -> None:
    """Only a state that two looks have found counts."""
    world.file.write_text("rules: [{")
    await world.reload.look()
    assert world.told.results == []


async def test_sighup_reads_at_once(world: World) -> None:
    """Who asks for a reload need not wait for two looks, and hears also that nothing has changed."""
    await world.reload.reload()
    world.file.write_text(rules_of("up_b"))
    await world.reload.reload()

    assert world.told.results == ["unchanged", "applied"]
    assert world.metrics == {"up_b"}


async def test_a_configmap_is_followed_through_its_links(tmp_path: Path) -> None:
    """Kubelet turns `..data` to another folder: the path of the file stays, and so do its times."""
    for name, metric in (("..1", "up_a"), ("..2", "up_b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text(rules_of(metric))
        os.utime(tmp_path / name / "rules.yaml", (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    mounted = tmp_path / "mounted.yaml"
    world = World(tmp_path / "other.yaml", rules_of("up_a"))
    mounted.symlink_to("..data/rules.yaml")
    files = RuleFiles(paths=(str(mounted),))
    assert files.have_changed() is False

    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")

    assert files.have_changed() is False  # not at rest before a second look
    assert files.have_changed() is True
    assert world.told.results == []


async def test_metrics_in_use_are_taken_away_loudly(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The change is in force, the log and a metric say what callers will miss."""
    world.demand.note((PODS, "up_a"))

    await world.change(rules_of("up_b"))

    assert world.metrics == {"up_b"}
    assert world.told.lost == [1]
    assert "pods/up_a" in caplog.text


PROTECTED: list[tuple[Callable[[World], None], list[str], set[str]]] = [
    (lambda world: world.demand.note((PODS, "up_a")), ["reload/metrics-in-use"], {"up_a"}),
    (lambda _: None, [], {"up_b"}),
]


@pytest.mark.parametrize(("use", "problems", "metrics"), PROTECTED)
async def test_protected_rules_keep_metrics_in_use(
    tmp_path: Path, use: Callable[[World], None], problems: list[str], metrics: set[str]
) -> None:
    """With --reload-protect a change that takes away what callers read is refused, another one is not."""
    world = World(tmp_path / "rules.yaml", rules_of("up_a"), protect=True)
    await world.relist.relist()
    use(world)

    await world.change(rules_of("up_b"))

    assert (world.problems, world.metrics) == (problems, metrics)


async def test_a_refused_change_is_tried_again(tmp_path: Path) -> None:
    """After an hour without readers the metric may go, and nobody has to touch the file for that."""
    world = World(tmp_path / "rules.yaml", rules_of("up_a"), protect=True)
    await world.relist.relist()
    world.demand.note((PODS, "up_a"))
    await world.change(rules_of("up_b"))

    world.clock.now += 3601
    await world.reload.look()

    assert (world.told.results, world.metrics) == (["refused", "applied"], {"up_b"})


async def test_prometheus_that_fails_takes_nothing_away(world: World) -> None:
    """Rules that come while Prometheus is down are in force; what stays keeps its metrics, what is new is retried."""
    world.backend.down()

    await world.change(rules_of("up_a", "up_b"))

    assert world.metrics == {"up_a"}
    assert world.told.results == ["applied"]
    assert [state.need.query for state in world.relist.states.values() if state.worth_retrying] == ['up_b{pod!=""}']


REFUSED = [("up_a", ["reload/series-query"], {"up_a"}), ("up_b", [], {"up_a"})]


@pytest.mark.parametrize(("start", "problems", "metrics"), REFUSED)
async def test_a_new_series_query_that_prometheus_refuses_changes_nothing(
    tmp_path: Path, start: str, problems: list[str], metrics: set[str]
) -> None:
    """It is a fault of the file; one that was refused from the start hinders no change of the others."""
    world = World(tmp_path / "rules.yaml", rules_of(start))
    world.backend.failing = {"up_b": QueryRejected("parse error", status=400, kind="bad_data")}
    await world.relist.relist()

    await world.change(rules_of("up_a", "up_b"))

    assert (world.problems, world.metrics) == (problems, metrics)


async def test_an_api_that_loses_its_last_rule_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Its APIServices would hinder every deletion of a namespace."""
    await world.change("externalRules:" + RULE.format(name="up_a"))
    assert "custom.metrics.k8s.io" in caplog.text


async def test_another_backend_needs_a_restart(tmp_path: Path) -> None:
    """Rules that name another server are refused with its place in the file."""
    backend = "backends: {{mine: {{url: 'http://{host}'}}}}\n"
    file = tmp_path / "rules.yaml"
    file.write_text(rules_of("up_a") + backend.format(host="one"))
    settings = parse_flags(["--config", str(file)], {}).settings
    world = World(tmp_path / "other.yaml", rules_of("up_a"))
    world.reload.read = lambda: read_rules(settings, kinds=kubernetes_kinds(), environment={})
    world.reload.files = RuleFiles(paths=(str(file),))
    world.reload.rules = world.reload.read()

    file.write_text(rules_of("up_b") + backend.format(host="two"))
    await world.reload.reload()

    assert world.problems == ["reload/backend"]
    assert world.reload.problems[0].location.line == 6
