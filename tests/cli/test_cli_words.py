"""Which path the words of a request mean."""

from __future__ import annotations

import pytest

from adapter.cli.usage import UsageError
from adapter.cli.words import Words, path_of
from adapter.kube.resources import Kind, kubernetes_kinds

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
ROLLOUT = Kind(
    group="argoproj.io", version="v1alpha1", kind="Rollout", plural="rollouts", singular="rollout", namespaced=True
)
FLEET = Kind(group="example.com", version="v1", kind="Fleet", plural="fleets", singular="fleet", namespaced=False)
KINDS = kubernetes_kinds().extended([ROLLOUT, FLEET])

PATHS = [
    (["pods/*", "m"], {"namespace": "shop"}, f"{CUSTOM}/namespaces/shop/pods/*/m"),
    (["pods", "m"], {"namespace": "shop"}, f"{CUSTOM}/namespaces/shop/pods/*/m"),
    (["pods/web-1", "m"], {}, f"{CUSTOM}/namespaces/default/pods/web-1/m"),
    (["rollouts.argoproj.io/web", "m"], {"namespace": "shop"}, f"{CUSTOM}/namespaces/shop/rollouts.argoproj.io/web/m"),
    (["nodes/n1", "m"], {}, f"{CUSTOM}/nodes/n1/m"),
    (["fleets.example.com/a", "m"], {}, f"{CUSTOM}/fleets.example.com/a/m"),
    (["nodes/n1", "m"], {"namespace": "shop"}, f"{CUSTOM}/namespaces/shop/nodes/n1/m"),
    (["namespaces/shop", "m"], {}, f"{CUSTOM}/namespaces/shop/metrics/m"),
    (["namespace/shop", "m"], {"namespace": "other"}, f"{CUSTOM}/namespaces/shop/metrics/m"),
    (["namespaces", "m"], {"selector": "team=a"}, f"{CUSTOM}/namespaces/*/metrics/m?labelSelector=team%3Da"),
    (["unknown/x", "m"], {}, f"{CUSTOM}/namespaces/default/unknown/x/m"),
    (
        ["pods/*", "m"],
        {"namespace": "a", "selector": "app in (x, y)", "metric_selector": "code=200"},
        f"{CUSTOM}/namespaces/a/pods/*/m?labelSelector=app%20in%20%28x%2C%20y%29&metricLabelSelector=code%3D200",
    ),
    (["pods/a b", "job:m?x%"], {}, f"{CUSTOM}/namespaces/default/pods/a%20b/job:m%3Fx%25"),
    (["external", "m"], {"namespace": "shop", "selector": "q=a"}, f"{EXTERNAL}/namespaces/shop/m?labelSelector=q%3Da"),
    (["external", "m"], {}, f"{EXTERNAL}/namespaces/default/m"),
    (["/apis/x?labelSelector=a%3Db"], {}, "/apis/x?labelSelector=a%3Db"),
    (["https://10.0.0.1:6443/apis/x?a=b"], {}, "/apis/x?a=b"),
    (["http://localhost/apis/x"], {}, "/apis/x"),
]

MISUSES = [
    (["http://[bad"], {}),
    ([], {}),
    (["pods/*"], {}),
    (["external"], {}),
    (["external", ""], {}),
    (["pods/*", "m", "n"], {}),
    (["pods/", "m"], {}),
    (["pods/a/b", "m"], {}),
    (["pods/*", "a/b"], {}),
    (["pods/web-1", "m"], {"selector": "app=web"}),
    (["external", "m"], {"metric_selector": "code=200"}),
    (["/apis/x"], {"namespace": "shop"}),
    (["/apis/x"], {"selector": "a=b"}),
    (["/apis/x"], {"metric_selector": "a=b"}),
]


@pytest.mark.parametrize(("request_", "options", "path"), PATHS)
def test_words_mean_a_path(request_: list[str], options: dict[str, str], path: str) -> None:
    """Words mean the path that Kubernetes' own client would ask for."""
    assert path_of(Words(request=tuple(request_), **options), KINDS) == path


@pytest.mark.parametrize(("request_", "options"), MISUSES)
def test_other_words_mean_nothing(request_: list[str], options: dict[str, str]) -> None:
    """Words that make no request, and options that mean nothing beside them, are refused."""
    with pytest.raises(UsageError):
        path_of(Words(request=tuple(request_), **options), KINDS)
