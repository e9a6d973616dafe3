"""The whole process under thousands of requests that a grammar makes: right ones, wrong ones, and what is no HTTP."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fuzz_grammar import Batch, batches, errands
from fuzz_laws import SENTINEL, findings
from fuzz_scene import SERIES, Scene, running
from fuzz_wire import Answer, BrokenAnswerError, Client, Raw, Request
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

if TYPE_CHECKING:
    from rig.prometheus import StartPrometheus

AT_LEAST = 10_000
# Another seed makes other requests: FUZZ_SEED=7 pytest tests/integration/test_fuzz.py
SEED = int(os.environ.get("FUZZ_SEED", "1"))
EXAMPLES_A_ROUND = 100
CLIENTS = 6  # threads, each with connections of its own
# What a good request gets before, and has to get after; times differ, and are left out.
GOOD: Mapping[str, tuple[str, int]] = {
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/load?labelSelector=app%3Dweb": ("MetricValueList", 2),
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/metrics/load": ("MetricValueList", 1),
    "/apis/custom.metrics.k8s.io/v1beta1/nodes/n1/node_load": ("MetricValueList", 1),
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/*/ranged": ("MetricValueList", 2),
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/web-1/held": ("MetricValueList", 1),
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/deployments.apps/web/latency": ("MetricValueList", 1),
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue_depth": ("ExternalMetricValueList", 2),
    "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods": ("PodMetricsList", 2),
    "/apis/metrics.k8s.io/v1/nodes": ("NodeMetricsList", 1),
}
# Only requests that came past the grammar of HTTP, paths, options and access have all of these.
REACHED = {200, 301, 304, 400, 401, 403, 404, 405, 406, 422}
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING) [a-z_.]+ ")


@dataclass(kw_only=True)
class Tally:
    """What was sent and what came back."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    compressed: int = 0
    turned_away: int = 0

    def count(self, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[answer.status] += 1
        self.media[answer.header("content-type").partition(";")[0]] += 1
        self.compressed += bool(answer.header("content-encoding"))

    def __str__(self) -> str:
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        media = ", ".join(f"{name}: {count}" for name, count in sorted(self.media.items()))
        return (
            f"seed {SEED}: {self.sent} requests sent, {sum(self.statuses.values())} answers ({statuses}), "
            f"{self.turned_away} connections turned away; {media}; {self.compressed} compressed"
        )


@dataclass(kw_only=True)
class Fuzzer:
    """Sends batches of requests from several threads."""

    clients: Sequence[Client]
    pool: ThreadPoolExecutor
    tally: Tally = field(default_factory=Tally)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def send(self, batch: Batch) -> list[str]:
        """Send requests over all connections at once, and return what is wrong with the answers."""
        numbered = [self._numbered(asked) for asked in batch]
        shares = [(client, numbered[at :: len(self.clients)]) for at, client in enumerate(self.clients)]
        outcomes = [one for share in self.pool.map(_ask_all, shares) for one in share]
        wrong = []
        for asked, answers, found in outcomes:
            self.tally.sent += 1
            for answer in answers:
                self.tally.count(answer)
            self.tally.turned_away += not answers
            wrong += [f"{one}\n    to {asked}" for one in found]
        return wrong

    def _numbered(self, asked: Request | Raw) -> Request | Raw:
        """Give a request an id to know its answer by, unless it has one."""
        if isinstance(asked, Raw) or asked.values(b"audit-id"):
            return asked
        return replace(asked, headers=((b"Audit-ID", b"fuzz-%d" % next(self.numbers)), *asked.headers))


Outcome = tuple[Request | Raw, list[Answer], list[str]]


def _ask_all(share: tuple[Client, Sequence[Request | Raw]]) -> list[Outcome]:
    client, requests = share
    return [_outcome(client, asked) for asked in requests]


def _outcome(client: Client, asked: Request | Raw) -> Outcome:
    try:
        if isinstance(asked, Request):
            answers = [client.ask(asked)]
        elif asked.caller in {"forged", "no tls"}:
            return asked, [], [] if client.is_turned_away(asked) else ["TLS let somebody in"]
        else:
            answers = client.send(asked)
    except (BrokenAnswerError, OSError) as error:
        return asked, [], [f"no complete answer: {type(error).__name__}: {error}"]
    found = [one for answer in answers for one in findings(asked, answer)]
    return asked, answers, found if answers else ["no answer"]


@pytest.fixture
def scene(prometheus: StartPrometheus, tmp_path: Path) -> Iterator[Scene]:
    """Run an adapter with a real Prometheus."""
    with running(prometheus(SERIES), tmp_path) as found:
        yield found


@pytest.fixture
def fuzzer(scene: Scene) -> Iterator[Fuzzer]:
    """Open what sends requests to it."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Client(scene.address))) for _ in range(CLIENTS)]
        yield Fuzzer(clients=clients, pool=stack.enter_context(ThreadPoolExecutor(CLIENTS)))


def good_answers(scene: Scene) -> dict[str, tuple[str, int]]:
    """Return the kind of the answers to good requests, and how many items with the value they have."""
    found = {}
    for path in GOOD:
        document: dict[str, Any] = json.loads(scene.get(path).body)
        found[path] = document["kind"], sum(SENTINEL in json.dumps(item).encode() for item in document["items"])
    return found


def tags(scene: Scene) -> tuple[bytes, ...]:
    """Return the ETags of some documents, so that requests may hold them."""
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answers = [scene.get("/apis", Accept=aggregated), scene.get("/openapi/v2"), scene.get("/openapi/v3")]
    return tuple(answer.header("etag").encode() for answer in answers)


def strange_lines(scene: Scene) -> list[str]:
    """Return the lines of the log that are no lines of ours, or tell of a bug."""
    lines = scene.child.log.read_text(errors="backslashreplace").splitlines()
    return [line for line in lines if not LOG_LINE.match(line) or "Traceback" in line or "unexpected error" in line]


def audit_lines(scene: Scene) -> list[str]:
    """Return the whole lines of the audit log; JSON may hold other characters that end a line to Python."""
    return scene.audit.read_text().split("\n")[:-1]


def send_round(fuzzer: Fuzzer, known_tags: tuple[bytes, ...], *, seed: str) -> None:
    """Send the requests that a seed makes; the first that breaks a law is sought in its smallest form, and shown."""

    @seeded(seed)
    @settings(
        max_examples=EXAMPLES_A_ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(known_tags))
    def obeys(batch: Batch) -> None:
        wrong = fuzzer.send(batch)
        assert wrong == [], "\n".join([f"seed {seed}", *wrong])

    obeys()


def test_every_request_gets_a_whole_and_lawful_answer(
    scene: Scene, fuzzer: Fuzzer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten thousand requests, right, wrong or broken, get whole answers by the laws, and leave the process as it was."""
    assert good_answers(scene) == GOOD
    known_tags = tags(scene)
    assert fuzzer.send([*errands(known_tags)]) == []
    assert fuzzer.tally.compressed > 0

    rounds = itertools.count()
    while fuzzer.tally.sent < AT_LEAST:
        send_round(fuzzer, known_tags, seed=f"{SEED}-{next(rounds)}")

    with capsys.disabled():
        sys.stdout.write(f"\n{fuzzer.tally}\n")
    assert fuzzer.tally.sent >= AT_LEAST
    assert set(fuzzer.tally.statuses) >= REACHED
    assert strange_lines(scene) == []
    assert [line for line in audit_lines(scene) if json.loads(line)["kind"] != "Event"] == []
    assert scene.child.check_alive()
    assert good_answers(scene) == GOOD
