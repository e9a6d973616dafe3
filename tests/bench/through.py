"""The storm once more, through a real kube-apiserver: HPA controller, aggregator, adapter, with the real reviews."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from e2e.rig import objects
from e2e.rig.audit import AuditLog, access_reviews, lists, token_reviews
from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ControlPlane
from e2e.rig.pki import Authority, PairFiles
from e2e.rig.programs import find_programs
from e2e.rig.registration import CUSTOM, HOST, USER, Registration

from bench import world
from bench.connection import Target
from bench.load import closed_loop
from bench.scene import (
    ACCEPT,
    CONTROLLER,
    CONTROLLER_GROUPS,
    Bench,
    Server,
    filled_prometheus,
    running_adapter,
)
from bench.storm_run import AFTER_SECONDS, COLUMNS, RATIOS, Pace, Watched, run, wait_for_first
from bench.table import Table

_LOADERS = 16  # connections that create pods
_CREATED = 201
_TTL_SECONDS = 10.0
_PACE: Final = Pace()
_QUICK: Final = Pace(period_seconds=2.0, settling=1, periods=1)
_ONLY_HTTP1: Final = ("http/1.1",)


@dataclass(frozen=True, slots=True)
class _Audited:
    """What the adapter asks of a real kube-apiserver, by its audit log."""

    log: AuditLog

    def counts(self) -> Mapping[str, int]:
        """Return the numbers since the log was last forgotten."""
        kinds = {"LISTs": lists(USER), "access reviews": access_reviews(USER), "token reviews": token_reviews(USER)}
        entries = self.log.entries()
        return {name: sum(map(matches, entries)) for name, matches in kinds.items()}


def through_tables(bench: Bench) -> list[Table]:
    """Measure one storm straight at the adapter and one through kube-apiserver, the same process behind both.

    Raises:
        ProgramMissingError: there is no control plane, and none can be built; the text says what to do.
        WrongFigureError: the client failed; answers that are wrong or missing become faults of the bench.
    """
    programs = find_programs(os.environ, say=bench.say)
    count = bench.sizes["through"][0]
    pace = _QUICK if bench.quick else _PACE
    with ControlPlane(programs, bench.home / "plane") as plane:
        begin = time.monotonic()
        pods = _create_pods(plane, count)
        bench.say(f"through: {pods:,} pods created in {time.monotonic() - begin:.1f} s")
        return [_measured(bench, plane, count=count, pace=pace)]


def _measured(bench: Bench, plane: ControlPlane, *, count: int, pace: Pace) -> Table:
    seconds = (pace.seconds + AFTER_SECONDS) * 2
    series = world.series(count, now_seconds=time.time(), seconds=seconds)
    direct, through = "straight to the adapter", "through kube-apiserver"
    with (
        filled_prometheus(bench, "through", series) as prometheus,
        _registered(bench, plane, prometheus.url) as adapter,
    ):
        plane.audit.forget()
        watched = Watched(prometheus=prometheus, adapter=adapter, cluster=_Audited(plane.audit))
        rows, notes = {}, []
        for name, target in ((direct, _as_front_proxy(plane, adapter)), (through, _as_controller(bench, plane))):
            bench.say(f"through: {count:,} HPAs, {name}")
            wait_for_first(adapter, target)
            stormed = run(target, watched, hpas=count, pace=pace, oldest_seconds=_TTL_SECONDS)
            rows[name] = stormed.row
            notes.append(f"{name}: {stormed.words}")
            bench.faults.extend(filter(None, [stormed.fault]))
    return Table(
        key="through",
        title=f"Storm of {count:,} HPAs per {pace.period_seconds:g} s with a real kube-apiserver, answers kept"
        f" {_TTL_SECONDS:g} s; {pace.periods} periods after {pace.settling} that are not measured",
        head="asked",
        columns=COLUMNS,
        rows=rows,
        ratios=RATIOS,
        base=dict.fromkeys(rows, direct),
        notes=notes,
    )


def _create_pods(plane: ControlPlane, count: int) -> int:
    """Create the pods of so many HPAs, as many at a time as kube-apiserver takes."""
    cluster = Cluster(plane)
    pods = list(world.pods(count))
    for space in sorted({space for space, _, _ in pods}):
        cluster.create_namespace(space)
    admin = Target(
        url=plane.url,
        certificate=str(plane.admin.certificate),
        key=str(plane.admin.key),
        headers={},
        protocols=_ONLY_HTTP1,
    )
    requests = [
        admin.request(
            f"/api/v1/namespaces/{space}/pods",
            method="POST",
            body=json.dumps(objects.pod(name, space, labels=labels)).encode(),
        )
        for space, name, labels in pods
    ]
    closed_loop(admin, requests, clients=_LOADERS, count=len(requests), accepted=(_CREATED,))
    return len(pods)


@contextlib.contextmanager
def _registered(bench: Bench, plane: ControlPlane, prometheus_url: str) -> Iterator[Server]:
    """Start an adapter that the cluster's aggregator leads to."""
    registration, authority = Registration(Cluster(plane)), Authority("bench-serving-ca")
    serving = PairFiles(certificate=bench.home / "through.crt", key=bench.home / "through.key")
    serving.write(authority.server([HOST]))
    kubeconfig = registration.prepare()
    flags = [f"--{name}-kubeconfig={kubeconfig}" for name in ("lister", "authentication", "authorization")]
    flags += [f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}"]
    flags += [f"--cache-ttl={_TTL_SECONDS:g}s", "--metrics-relist-interval=10m"]
    with running_adapter(bench, "through", rules=world.rules(), prometheus_url=prometheus_url, flags=flags) as adapter:
        wait_for_first(adapter, _as_front_proxy(plane, adapter))
        registration.register(adapter.port, authority=authority.pem, apis=(CUSTOM,))
        registration.wait_available((CUSTOM,))
        yield adapter


def _as_front_proxy(plane: ControlPlane, adapter: Server) -> Target:
    files = plane.front_proxy.files
    headers = {"X-Remote-User": CONTROLLER, "X-Remote-Group": CONTROLLER_GROUPS[0], "Accept": ACCEPT}
    return Target(url=adapter.url, certificate=str(files.certificate), key=str(files.key), headers=headers)


def _as_controller(bench: Bench, plane: ControlPlane) -> Target:
    """Return kube-apiserver as the HPA controller asks it; unlike that we offer HTTP/1.1 alone."""
    pair = PairFiles(certificate=bench.home / "controller.crt", key=bench.home / "controller.key")
    pair.write(plane.authority.client(CONTROLLER, *CONTROLLER_GROUPS))
    target = Target(url=plane.url, certificate=str(pair.certificate), key=str(pair.key), headers={"Accept": ACCEPT})
    return replace(target, protocols=_ONLY_HTTP1)
