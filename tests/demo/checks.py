"""Is every answer right? One round of the demo, compared with what the workload really did."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from rig.processes import wait_until

from demo.autoscaler import Hpa, decide, read_hpas
from demo.questions import CUSTOM, EXTERNAL, Answer, Explained, ask, discovered, explain, path_of, read_answer
from demo.scene import HPAS, Scene
from demo.workload import NAMESPACE, QUEUE

WINDOW_SECONDS = 10  # of the rate() windows in config/demo.yaml
TOLERANCE = 0.05  # counters are whole numbers, and a window of 10 s holds 9 or 10 whole seconds of them
_PATIENCE_SECONDS = 60.0  # for the whole round
_GAUGE_AGE_SECONDS = 4.0  # a scrape a second, an answer that may be a second old, and times in whole seconds
_WANTED = {
    CUSTOM: {
        "pods/http_requests_per_second",
        "namespaces/http_requests_per_second",
        "deployments.apps/checkout_latency_p95",
    },
    EXTERNAL: {"queue_messages_ready"},
}


class WrongAnswerError(Exception):
    """An answer is not what it should be; the text says how."""


@dataclass(slots=True)
class Round:
    """One round of checks: what is looked at, and the time that is left for all of it."""

    scene: Scene
    ends_at: float = field(default_factory=lambda: time.monotonic() + _PATIENCE_SECONDS)

    def until(self, what: str, probe: Callable[[], object]) -> None:
        """Wait, within the time of the round, until the probe returns something true."""
        self.scene.check_alive()
        wait_until(what, probe, timeout_seconds=max(1.0, self.ends_at - time.monotonic()), interval_seconds=0.2)


def run_once(scene: Scene, say: Callable[[str], None]) -> bool:
    """Check everything, say each result in a line, and tell whether all was right."""
    this = Round(scene)
    right = True
    for title, check in _checks(this):
        try:
            say(f"✓ {title}: {check()}")
        except (WrongAnswerError, TimeoutError, httpx.TransportError) as error:
            right = False
            say(f"✗ {title}: {error}")
    return right


def _checks(this: Round) -> Iterator[tuple[str, Callable[[], str]]]:
    web, checkout, worker = read_hpas(HPAS)
    yield "TLS", lambda: _tls(this)
    yield "discovery", lambda: _discovery(this)
    yield "full windows", lambda: _full_windows(this)
    yield "pods/*", lambda: _pods(this, web)
    yield "the namespace", lambda: _namespace(this)
    yield "one object", lambda: _object(this, checkout)
    yield "external", lambda: _external(this, worker)
    for hpa in (web, checkout, worker):
        yield f"explain {hpa.metric}", lambda hpa=hpa: _explained(this, hpa)
    yield "replicas", lambda: _replicas(this, web)
    yield "unknown metric", lambda: _unknown(this)
    yield "pods come", lambda: _pods_come(this, web)
    yield "pods go", lambda: _pods_go(this, web)


def _tls(this: Round) -> str:
    address = urlsplit(this.scene.adapter_url)
    served = ssl.get_server_certificate((address.hostname or "", address.port or 0), timeout=10)
    written = this.scene.certificate.read_text()
    if served.strip() not in written:
        raise WrongAnswerError(f"the certificate served is not the one in {this.scene.certificate}")
    return "the certificate served is the one that the adapter made in --cert-dir"


def _discovery(this: Round) -> str:
    this.until(f"the lists to hold {sorted(set().union(*_WANTED.values()))}", lambda: _all_listed(this.scene))
    return ", ".join(sorted(set().union(*_WANTED.values())))


def _all_listed(scene: Scene) -> bool:
    found = discovered(scene)
    return all(names <= set(found[path]) for path, names in _WANTED.items())


def _full_windows(this: Round) -> str:
    """Wait for as many scrapes as a window holds: a younger rate() reads low."""
    for series in ("http_requests_total", "checkout_seconds_count"):
        query = f"min(count_over_time({series}[{WINDOW_SECONDS}s])) >= {WINDOW_SECONDS}"
        this.until(f"{WINDOW_SECONDS} s of {series}", lambda query=query: _query(this.scene, query))
    return f"{WINDOW_SECONDS} s of each counter have been scraped"


def _query(scene: Scene, promql: str) -> list[float]:
    answer = httpx.get(f"{scene.prometheus_url}/api/v1/query", params={"query": promql}, timeout=10, trust_env=False)
    return sorted(float(item["value"][1]) for item in answer.json()["data"]["result"])


def _pods(this: Round, hpa: Hpa) -> str:
    answer = _good(this.scene, path_of(hpa))
    pods = this.scene.workload.pods(hpa.name)
    if set(answer.values) != set(pods):
        raise WrongAnswerError(f"asked for {sorted(pods)}, got {sorted(answer.values)}")
    return ", ".join(f"{pod} {_close(answer.values[pod], _truth(this, pod, answer), '/s')}" for pod in pods)


def _namespace(this: Round) -> str:
    answer = _good(this.scene, f"{CUSTOM}/namespaces/{NAMESPACE}/metrics/http_requests_per_second")
    total = sum(_truth(this, pod, answer) for pod in this.scene.workload.pods("web"))
    return _close(answer.values[NAMESPACE], total, "/s")


def _object(this: Round, hpa: Hpa) -> str:
    answer = _good(this.scene, path_of(hpa))
    workload, until = this.scene.workload, answer.at_seconds or 0.0
    truth = workload.checkout_quantile(0.95, until_seconds=until, window_seconds=WINDOW_SECONDS)
    return f"{hpa.name} {_close(answer.values[hpa.name], truth, ' s')}"


def _external(this: Round, hpa: Hpa) -> str:
    answer = _good(this.scene, path_of(hpa))
    (value,) = answer.values.values()
    at = answer.at_seconds or 0.0
    least, most = this.scene.workload.depths(since_seconds=at - _GAUGE_AGE_SECONDS, until_seconds=at + 1)
    if not least - 1 <= value <= most + 1:
        raise WrongAnswerError(f"{value:g} messages; the queue {QUEUE} held {least:.1f} to {most:.1f}")
    return f"{value:g} messages; the queue {QUEUE} held {least:.1f} to {most:.1f}"


def _explained(this: Round, hpa: Hpa) -> str:
    found = explain(this.scene, path_of(hpa))
    if not isinstance(found, Explained):
        raise WrongAnswerError(found)
    values, asked = sorted(_good(this.scene, path_of(hpa)).values.values()), _query(this.scene, found.promql)
    if len(values) != len(asked) or not all(map(_is_close, values, asked)):
        raise WrongAnswerError(f"{found.promql} gives {asked}, the adapter answers {values}")
    return f"{found.rule}: {found.promql}"


def _replicas(this: Round, hpa: Hpa) -> str:
    answer = _good(this.scene, path_of(hpa))
    pods = frozenset(this.scene.workload.pods(hpa.name))
    truth = {pod: _truth(this, pod, answer) for pod in pods}
    chosen, right = decide(hpa, answer.values, pods=pods), decide(hpa, truth, pods=pods)
    if chosen.replicas != right.replicas:
        raise WrongAnswerError(f"{hpa.name} would get {chosen.replicas}, the real load asks for {right.replicas}")
    return f"{hpa.name} at {chosen.ratio or 0:.0%} of its target would go from {len(pods)} to {chosen.replicas} pods"


def _unknown(this: Round) -> str:
    answer = this.scene.adapter.get(f"{CUSTOM}/namespaces/{NAMESPACE}/pods/*/no_such_metric?labelSelector=app%3Dweb")
    document = answer.json()
    seen = (answer.status_code, document.get("kind"), document.get("code"), document.get("reason"))
    if seen != (404, "Status", 404, "NotFound"):
        raise WrongAnswerError(f"{seen}: {document.get('message')}")
    return f"404 {document['kind']}: {document['message']}"


def _pods_come(this: Round, hpa: Hpa) -> str:
    before = this.scene.workload.pods(hpa.name)
    this.scene.scale(hpa.name, len(before) + 1)
    newest = this.scene.workload.pods(hpa.name)[-1]
    this.until(f"{newest} to be answered", lambda: newest in ask(this.scene, path_of(hpa)).values)
    age = this.scene.workload.age_seconds(newest)
    return f"{newest} is answered {age:.1f} s after its start (rate() needs two scrapes)"


def _pods_go(this: Round, hpa: Hpa) -> str:
    before = this.scene.workload.pods(hpa.name)
    this.scene.scale(hpa.name, len(before) - 1)
    this.until(f"{before[-1]} to go", lambda: set(ask(this.scene, path_of(hpa)).values) == set(before[:-1]))
    return f"{before[-1]} is gone; {', '.join(before[:-1])} are answered"


def _good(scene: Scene, path: str) -> Answer:
    answer = scene.adapter.get(path)
    if answer.status_code != httpx.codes.OK:
        raise WrongAnswerError(f"{path}: {answer.status_code} {answer.text[:300]}")
    found = read_answer(answer.json())
    if not found.values:
        raise WrongAnswerError(f"{path}: no items")
    return found


def _truth(this: Round, pod: str, answer: Answer) -> float:
    until = answer.at_seconds or 0.0
    return this.scene.workload.requests_per_second(pod, until_seconds=until, window_seconds=WINDOW_SECONDS)


def _close(value: float, truth: float, unit: str) -> str:
    text = f"{value:.3f}{unit} (really {truth:.3f}{unit})"
    if not _is_close(value, truth):
        raise WrongAnswerError(f"{text}, more than {TOLERANCE:.0%} off")
    return text


def _is_close(value: float, truth: float) -> bool:
    return math.isclose(value, truth, rel_tol=TOLERANCE)
