"""The live view: what an HPA sees while the load rises and falls, and what it would do."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.autoscaler import Decision, Hpa, decide, read_hpas
from demo.questions import Answer, Explained, ask, discovered, explain, path_of
from demo.scene import HPAS, Scene

_TICK_SECONDS = 1.0
_SYNC_SECONDS = 5.0  # a real HPA looks every 15 s; who watches a demo has less time
_UNITS = {"Pods": "/s", "Object": " s", "External": ""}
_BARS = "▁▂▃▄▅▆▇█"
_BARS_KEPT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one autoscaler sees now, and would do."""

    hpa: Hpa
    answer: Answer
    pods: tuple[str, ...]
    decision: Decision


@dataclass(slots=True)
class Explanations:
    """Where each answer comes from, asked in the background and again when the pods change."""

    scene: Scene
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    _asked: dict[str, tuple[tuple[str, ...], Future[Explained | str]]] = field(default_factory=dict)
    _known: dict[str, Explained | str] = field(default_factory=dict)

    def of(self, hpa: Hpa, pods: tuple[str, ...]) -> Explained | str:
        """Return what is known; a text says why nothing is."""
        asked_for, future = self._asked.get(hpa.name, (None, None))
        if future and future.done():
            self._known[hpa.name] = future.result()
        if asked_for != pods and (future is None or future.done()):
            self._asked[hpa.name] = (pods, self._pool.submit(explain, self.scene, path_of(hpa)))
        return self._known.get(hpa.name, "asking tidegauge explain ...")

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_live(scene: Scene, console: Console, *, curl: str) -> None:
    """Show and scale until interrupted: a display on a terminal, else lines of text.

    Raises:
        ChildEndedError: Prometheus or the adapter has ended.
        KeyboardInterrupt: by whoever watches.
    """
    hpas, explanations = read_hpas(HPAS), Explanations(scene)
    started, synced = time.monotonic(), 0.0
    loads: deque[float] = deque(maxlen=_BARS_KEPT)
    screen = Live(console=console, auto_refresh=False, vertical_overflow="crop") if console.is_terminal else None
    try:
        if screen:
            screen.start()
        while scene.check_alive():
            seconds = time.monotonic() - started
            loads.append(scene.workload.load())
            seen = [look(scene, hpa) for hpa in hpas]
            if screen:
                screen.update(_display(scene, seen, explanations, loads=loads, curl=curl), refresh=True)
            if seconds - synced >= _SYNC_SECONDS:
                synced = seconds
                if not screen:
                    _print_lines(console, seen, explanations, load=loads[-1], seconds=seconds)
                scale(scene, seen)
            time.sleep(_TICK_SECONDS)
    finally:
        if screen:
            screen.stop()
        explanations.close()


def look(scene: Scene, hpa: Hpa) -> Seen:
    """Ask what the autoscaler asks, and decide as it would."""
    answer, pods = ask(scene, path_of(hpa)), scene.workload.pods(hpa.name)
    return Seen(hpa=hpa, answer=answer, pods=pods, decision=decide(hpa, answer.values, pods=frozenset(pods)))


def scale(scene: Scene, seen: list[Seen]) -> None:
    """Let the workload follow its autoscalers."""
    for one in seen:
        if one.decision.replicas != len(one.pods):
            scene.scale(one.hpa.name, one.decision.replicas)


def _display(
    scene: Scene, seen: list[Seen], explanations: Explanations, *, loads: deque[float], curl: str
) -> RenderableType:
    listed = ", ".join(name for names in discovered(scene).values() for name in names)
    return Group(
        Text.assemble(("load      ", "bold"), f"{loads[-1]:6.1f}/s  ", (_sparkline(loads), "cyan")),
        Text.assemble(("listed    ", "bold"), listed),
        _answers_table(seen, explanations),
        _replicas_table(seen),
        Text.assemble(("try       ", "bold"), curl),
        Text("Ctrl-C ends everything", style="dim"),
    )


def _answers_table(seen: list[Seen], explanations: Explanations) -> Table:
    table = Table(title="what an HPA sees", title_justify="left", expand=True)
    for header in ("object", "value"):
        table.add_column(header, no_wrap=True)
    table.add_column("rule and PromQL behind it", overflow="fold", ratio=1)
    for one in seen:
        values = _values(one)
        names, numbers = "\n".join(values), "\n".join(values.values())
        table.add_row(names, numbers, _source(explanations.of(one.hpa, one.pods)), end_section=True)
    return table


def _values(one: Seen) -> dict[str, str]:
    """Return what is shown of an answer: also the pods that have no value yet."""
    known = {name: f"{value:.3f}{_UNITS[one.hpa.kind]}" for name, value in sorted(one.answer.values.items())}
    if one.hpa.kind == "Pods":
        return {pod: known.get(pod, "none yet") for pod in one.pods}
    return known or {one.hpa.name: "none: nothing is scaled"}


def _replicas_table(seen: list[Seen]) -> Table:
    table = Table(title="what it would do", title_justify="left")
    for header in ("deployment", "metric", "target", "of target", "pods", "chosen", ""):
        table.add_column(header, no_wrap=True)
    for one in seen:
        ratio, chosen = one.decision.ratio, one.decision.replicas
        table.add_row(
            one.hpa.name,
            f"{one.hpa.kind} {one.hpa.metric}",
            f"{one.hpa.target:g}{_UNITS[one.hpa.kind]}",
            "?" if ratio is None else f"{ratio:.0%}",
            str(len(one.pods)),
            str(chosen),
            Text("▇" * chosen, style="green" if chosen == len(one.pods) else "yellow"),
        )
    return table


def _source(found: Explained | str) -> Text:
    if isinstance(found, Explained):
        return Text.assemble((found.rule, "bold"), "\n", found.promql)
    return Text(found, style="dim")


def _print_lines(
    console: Console, seen: list[Seen], explanations: Explanations, *, load: float, seconds: float
) -> None:
    console.print(f"{seconds:4.0f} s  load {load:5.1f}/s", highlight=False)
    for one in seen:
        values = " ".join(f"{name}={value:.3f}" for name, value in sorted(one.answer.values.items())) or "no value"
        ratio = "?" if one.decision.ratio is None else f"{one.decision.ratio:.0%}"
        change = f"{len(one.pods)} -> {one.decision.replicas}"
        console.print(
            f"        {one.hpa.name:9} {change}  {ratio:>5} of target  {values}", highlight=False, soft_wrap=True
        )
        source = explanations.of(one.hpa, one.pods)
        text = f"{source.rule}: {source.promql}" if isinstance(source, Explained) else source
        console.print(f"                  {text}", highlight=False, soft_wrap=True, markup=False)


def _sparkline(values: deque[float]) -> str:
    top = max(values)
    return "".join(_BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] for value in values)
