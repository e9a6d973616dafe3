"""Does the demo's autoscaler decide as Kubernetes documents, and does its workload keep honest books?"""

from __future__ import annotations

import math

import pytest
from demo.autoscaler import Hpa, decide, number, read_hpas
from demo.scene import HPAS
from demo.workload import BUCKETS, Load, Workload

POD_NAMES = ("a", "b", "c", "d")

# metric type, values, pods, replicas; the target is 10, at least 1 and at most 8 replicas
DECISIONS = [
    ("Pods", {"a": 10.0, "b": 10.0}, 2, 2),
    ("Pods", {"a": 11.0, "b": 11.0}, 2, 2),  # 10% above is tolerated
    ("Pods", {"a": 12.0, "b": 11.0}, 2, 3),
    ("Pods", {"a": 30.0, "b": 30.0}, 2, 6),
    ("Pods", {"a": 100.0, "b": 100.0}, 2, 8),  # the maximum
    ("Pods", {"a": 0.0, "b": 0.0}, 2, 1),  # the minimum
    ("Pods", {"a": 4.0, "b": 4.0}, 2, 1),
    ("Pods", {}, 3, 3),  # no value: nothing is changed
    ("Pods", {"a": 40.0}, 2, 4),  # a new pod without a value counts as idle
    ("Pods", {"a": 15.0}, 2, 2),  # and turns the direction: nothing is changed
    ("Pods", {"a": 1.0, "b": 1.0}, 3, 2),  # and counts as busy enough when there is little to do
    ("Pods", {"a": 30.0, "gone": 90.0}, 1, 3),  # a pod that is no more does not count
    ("Object", {"queue": 10.5}, 3, 3),
    ("Object", {"queue": 20.0}, 3, 6),
    ("Object", {"queue": 2.0}, 4, 1),
    ("Object", {}, 3, 3),
    ("External", {"": 45.0}, 2, 5),
    ("External", {"queue=a": 20.0, "queue=b": 25.0}, 2, 5),  # several series are summed
    ("External", {"": 21.0}, 2, 2),
    ("External", {"": 0.0}, 2, 1),
]


@pytest.mark.parametrize(("kind", "values", "pods", "replicas"), DECISIONS)
def test_replicas_follow_the_documented_algorithm(
    kind: str, values: dict[str, float], pods: int, replicas: int
) -> None:
    """Ratio, tolerance, missing pods and limits give the replicas that Kubernetes documents."""
    hpa = Hpa(name="web", minimum=1, maximum=8, kind=kind, metric="hits", target=10.0)

    assert decide(hpa, values, pods=frozenset(POD_NAMES[:pods])).replicas == replicas


@pytest.mark.parametrize(
    ("quantity", "value"), [("0", 0.0), ("21500m", 21.5), ("1500", 1500.0), ("2k", 2000.0), ("-5m", -0.005)]
)
def test_quantities_are_read(quantity: str, value: float) -> None:
    """The demo reads quantities by itself, so that the adapter's own writer is checked."""
    assert number(quantity) == pytest.approx(value)


def test_shipped_autoscalers_can_be_read() -> None:
    """Each kind of metric has an autoscaler in the demo's manifests."""
    assert [(hpa.name, hpa.kind, hpa.target) for hpa in read_hpas(HPAS)] == [
        ("web", "Pods", 200.0),
        ("checkout", "Object", 0.5),
        ("worker", "External", 300.0),
    ]


class Clock:
    """A clock turned by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time set."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock turned by hand."""
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Workload:
    """A shop at a steady 400 requests per second."""
    pods = {"web": 2, "checkout": 2, "worker": 1}
    return Workload(load=Load(low=400, high=400, period_seconds=60), pods=pods, clock=clock)


def rates(shop: Workload, clock: Clock) -> dict[str, float]:
    """Return what each web pod did in the last ten seconds."""
    return {pod: shop.requests_per_second(pod, until_seconds=clock.now, window_seconds=10) for pod in shop.pods("web")}


def test_web_pods_share_the_load_unequally(shop: Workload, clock: Clock) -> None:
    """The pods' rates add up to the load, and no two are equal, so a mix-up of pods shows."""
    clock.now += 30

    found = rates(shop, clock)

    assert sum(found.values()) == pytest.approx(400, rel=0.02)
    assert len(set(found.values())) == len(found)


def test_what_is_scraped_is_what_was_done(shop: Workload, clock: Clock) -> None:
    """The counters that a pod exposes add up to the requests in the books."""
    clock.now += 30
    text = shop.exposition("/pods/web-1") or ""

    counted = sum(int(line.split()[-1]) for line in text.splitlines() if not line.startswith("#"))

    done = shop.requests_per_second("web-1", until_seconds=clock.now, window_seconds=30) * 30
    assert counted == pytest.approx(done, abs=2)


def test_a_new_pod_has_a_new_name(shop: Workload) -> None:
    """A pod's name never comes back, as in a Deployment."""
    shop.scale("web", 1)
    shop.scale("web", 3)

    assert shop.pods("web") == ("web-1", "web-3", "web-4")


def test_checkouts_are_slow_when_pods_are_few(shop: Workload, clock: Clock) -> None:
    """Fewer pods for the same load make the 95th percentile rise, and it stays within the buckets."""
    clock.now += 30
    calm = shop.checkout_quantile(0.95, until_seconds=clock.now, window_seconds=10)
    shop.scale("checkout", 1)
    clock.now += 30

    busy = shop.checkout_quantile(0.95, until_seconds=clock.now, window_seconds=10)

    assert 0 < calm < busy <= BUCKETS[-2]
    assert not math.isnan(busy)


def test_the_queue_grows_when_workers_are_few(shop: Workload, clock: Clock) -> None:
    """Messages wait while more come than workers do, and the books hold their least and greatest number."""
    clock.now += 10

    least, most = shop.depths(since_seconds=clock.now - 2, until_seconds=clock.now)

    assert most - least == pytest.approx(2 * (400 * 0.5 - 140), rel=0.1)


def test_gone_pods_are_no_longer_scraped(shop: Workload) -> None:
    """The targets are those of the running pods that expose something, and the queue."""
    shop.scale("web", 1)

    assert [target["__metrics_path__"] for target in shop.targets()] == [
        "/pods/web-1",
        "/pods/checkout-1",
        "/pods/checkout-2",
        "/queue",
    ]
    assert shop.exposition("/pods/web-2") is None
