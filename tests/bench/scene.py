"""What runs: a Prometheus with series, the stand-in for kube-apiserver, and the adapter as its users start it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from e2e.rig.kubeconfig import token_user, write_kubeconfig
from e2e.rig.pki import Authority, PairFiles
from rig.processes import Child, free_port, wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess
from rig.remote_write import FLAG, WrittenSeries, remote_write

from bench.connection import Answer, Target, ask
from bench.truth import WrongFigureError
from bench.usage import cpu_seconds

COMMAND: Final = Path(sys.executable).with_name("tidegauge")
PROXY: Final = "front-proxy-client"
ACCEPT: Final = "application/vnd.kubernetes.protobuf,application/json"
CONTROLLER: Final = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
CONTROLLER_GROUPS: Final = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
_TESTS = str(Path(__file__).parents[1])
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.01
Pods = Sequence[tuple[str, str, Mapping[str, str]]]  # namespace, name and labels of each
_QUERY = 'handler="/api/v1/query"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all parts are given: the programs, a folder, how much to do, and where to say what went wrong.

    A storm goes on after a wrong answer, so that all of it is seen; `faults` make the run fail in the end.
    """

    binaries: Path
    home: Path
    quick: bool
    sizes: Mapping[str, Sequence[int]]
    faults: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Tell what is going on, aside from the figures."""
        sys.stderr.write(f"{line}\n")


@contextlib.contextmanager
def filled_prometheus(bench: Bench, name: str, series: Iterable[WrittenSeries]) -> Iterator[PrometheusProcess]:
    """Start a Prometheus whose head has these series.

    Raises:
        TimeoutError: it was not ready in time.
    """
    files = PrometheusFiles(binaries=bench.binaries, home=bench.home / f"prometheus-{name}")
    with PrometheusProcess.start(files, flags=[FLAG]) as prometheus:
        begin = time.monotonic()
        sent = remote_write(prometheus.url, series)
        bench.say(f"{name}: {sent:,} series written in {time.monotonic() - begin:.1f} s")
        yield prometheus


class Cluster:
    """A stand-in for kube-apiserver with pods, and certificates of its front proxy."""

    def __init__(self, home: Path, *, hpas: int = 0, pods: Pods = ()) -> None:
        """The pods are those that are given, and those of so many HPAs of the storm."""
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._hpas = hpas
        self._pods = pods
        self._authority = Authority("bench-ca")
        self._front_proxy = Authority("bench-front-proxy-ca")
        self._serving = PairFiles(certificate=home / "cluster.crt", key=home / "cluster.key")
        self._proxy = PairFiles(certificate=home / "front-proxy.crt", key=home / "front-proxy.key")
        self._serving.write(self._authority.server(["localhost"]))
        self._proxy.write(self._front_proxy.client(PROXY))
        self._url = f"https://127.0.0.1:{free_port()}"
        self.kubeconfig = write_kubeconfig(
            home / "kubeconfig", server=self._url, authority=self._authority.pem, user=token_user("bench")
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[Child]:
        """Serve until the block ends."""
        spec = {
            "hpas": self._hpas,
            "pods": list(self._pods),
            "front_proxy": self._front_proxy.pem.decode(),
            "port": int(self._url.rpartition(":")[2]),
            "certificate": str(self._serving.certificate),
            "key": str(self._serving.key),
        }
        path = self._home / "spec.json"
        path.write_text(json.dumps(spec))
        argv: list[str | Path] = [sys.executable, "-m", "bench.stand_in", path]
        log = self._home / "cluster.log"
        with Child("the stand-in", argv, log=log, environment={"PYTHONPATH": _TESTS}) as child:
            wait_until(
                "the stand-in",
                lambda: child.check_alive() and self.counts() is not None,
                timeout_seconds=_READY_SECONDS,
            )
            yield child

    def counts(self) -> Mapping[str, int]:
        """Return how often the stand-in was asked for what."""
        answer = ask(Target(url=self._url, headers={}), "/counts")
        found: Mapping[str, int] = json.loads(answer.body)
        if unknown := [name for name in found if name.startswith("unknown")]:
            raise WrongFigureError(f"the stand-in was asked for what it does not know: {unknown}")
        return found

    @contextlib.contextmanager
    def floor(self, body: bytes) -> Iterator[tuple[Server, float]]:
        """Start a server that does nothing but to answer so; also return how long after its start it did."""
        authority, answer = self._home / "front-proxy-ca.crt", self._home / "body"
        authority.write_bytes(self._front_proxy.pem)
        answer.write_bytes(body)
        port, begin = free_port(), time.monotonic()
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "bench.floor",
            str(port),
            self._serving.certificate,
            self._serving.key,
        ]
        argv += [authority, answer]
        log = self._home / "floor.log"
        with Child("the do-nothing application", argv, log=log, environment={"PYTHONPATH": _TESTS}) as child:
            floor = Server(child, port=port, begin=begin)
            yield floor, floor.wait_for(self.caller(floor.url), "/")

    def caller(self, adapter_url: str) -> Target:
        """Return how kube-apiserver's aggregator asks the adapter, on behalf of the HPA controller."""
        headers = {"X-Remote-User": CONTROLLER, "X-Remote-Group": CONTROLLER_GROUPS[0], "Accept": ACCEPT}
        return Target(
            url=adapter_url, certificate=str(self._proxy.certificate), key=str(self._proxy.key), headers=headers
        )

    @property
    def flags(self) -> list[str]:
        """What tells the adapter of this cluster."""
        names = ("lister", "authentication", "authorization")
        return [f"--{name}-kubeconfig={self.kubeconfig}" for name in names]


class Server:
    """A process that serves TLS on loopback.

    Attributes:
        begin: when it was started, by the monotonic clock.
    """

    def __init__(self, child: Child, *, port: int, begin: float) -> None:
        self.child = child
        self.port = port
        self.begin = begin
        self.url = f"https://127.0.0.1:{port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def wait_for(self, target: Target, path: str, is_right: object = None) -> float:
        """Ask a path until it is answered rightly; return the seconds since the start of the process.

        `is_right` is called with the body; what it raises as WrongFigureError means not yet.

        Raises:
            TimeoutError: it never was; the text has the last answer.
        """
        end, last = time.monotonic() + _READY_SECONDS, ""
        while time.monotonic() < end:
            self.child.check_alive()
            try:
                answer = ask(target, path)
                _check(answer, is_right)
            except (OSError, WrongFigureError) as error:
                last = str(error)
                time.sleep(_POLL_SECONDS)
            else:
                return time.monotonic() - self.begin
        raise TimeoutError(f"{path}: {last}")


def _check(answer: Answer, is_right: object) -> None:
    if answer.status != httpx.codes.OK:
        raise WrongFigureError(f"{answer.status} {answer.body[:300]!r}")
    if callable(is_right):
        is_right(answer.body)


@contextlib.contextmanager
def running_adapter(
    bench: Bench, name: str, *, rules: str, prometheus_url: str, flags: Sequence[str]
) -> Iterator[Server]:
    """Start `tidegauge`, and do not wait for it."""
    home = bench.home / f"adapter-{name}"
    home.mkdir(parents=True, exist_ok=True)
    (home / "rules.yaml").write_text(rules)
    port = free_port()
    argv: list[str | Path] = [COMMAND, f"--config={home / 'rules.yaml'}", f"--prometheus-url={prometheus_url}"]
    argv += ["--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={bench.home / 'certificates'}"]
    argv += ["--metrics-max-age=1h", *flags]
    begin = time.monotonic()
    with Child("the adapter", argv, log=home / "adapter.log") as child:
        yield Server(child, port=port, begin=begin)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusCounts:
    """Prometheus' CPU seconds, and its own counters: instant queries, API calls, their bytes on the wire."""

    cpu_seconds: float
    queries: float
    calls: float
    wire_bytes: float

    @classmethod
    def of(cls, prometheus: PrometheusProcess) -> PrometheusCounts:
        """Read them."""
        text = httpx.get(f"{prometheus.url}/metrics", timeout=30, trust_env=False).text
        return cls(
            cpu_seconds=cpu_seconds(prometheus.pid),
            queries=_total(text, "prometheus_http_requests_total", _QUERY),
            calls=_total(text, "prometheus_http_requests_total", "/api/"),
            wire_bytes=_total(text, "prometheus_http_response_size_bytes_sum", "/api/"),
        )


def _total(exposition: str, metric: str, part: str) -> float:
    lines = exposition.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{metric}{{") and part in line)
