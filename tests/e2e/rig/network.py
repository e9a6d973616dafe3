"""A network of pods on this machine: a bridge, and for each pod a network namespace with an address of its own.

The machine itself has the first address, where pods reach what runs outside of the cluster's network. Root is needed.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_SECONDS = 20.0
# Private addresses (RFC 1918) that Kubernetes' own tools choose for pods, as kubeadm's documentation does.
_RANGE = ipaddress.IPv4Network("10.244.0.0/16")


class NetworkMissingError(Exception):
    """This machine cannot have such a network; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pod is: its address, and the name of its network namespace."""

    address: str
    namespace: str

    def enter(self) -> Sequence[str]:
        """Return what is put before a command, for root to run it there."""
        return ("nsenter", f"--net=/run/netns/{self.namespace}")


class PodNetwork:
    """Makes places; use it as a context manager, which takes everything away at its end.

    Attributes:
        gateway: the machine's own address in it.
    """

    def __init__(self) -> None:
        self._bridge = f"tge{os.getpid()}"  # names of interfaces have at most 15 characters
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: list[str] = []
        self.gateway = ""

    def __enter__(self) -> Self:
        if not shutil.which("ip"):
            raise NetworkMissingError("ip is not on PATH (Debian, Ubuntu: apt-get install iproute2)")
        _sweep()
        network = _free_network()
        self._addresses = network.hosts()
        self._length = network.prefixlen
        self.gateway = str(next(self._addresses))
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.gateway}/{self._length}", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._open:
            _ip("netns", "del", name)
        _ip("link", "del", self._bridge)

    def place(self) -> Place:
        """Make a place with the next address."""
        with self._lock:
            number, address = next(self._numbers), str(next(self._addresses))
            name = f"{self._bridge}-{number}"
            _ip("netns", "add", name)
            self._open.append(name)
        outer = f"{self._bridge}v{number}"
        _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", outer, "master", self._bridge, "up")
        _ip("-n", name, "addr", "add", f"{address}/{self._length}", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", self.gateway)
        return Place(address=address, namespace=name)


def _sweep() -> None:
    """Take away what runs that were killed have left."""
    names = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True, timeout=_SECONDS)
    for line in names.stdout.splitlines():
        name = line.split()[0]
        if name.startswith("tge") and _is_dead(name.removeprefix("tge").split("-")[0]):
            _ip("netns", "del", name)
    for link in _links():
        if link.startswith("tge") and _is_dead(link.removeprefix("tge")):
            _ip("link", "del", link)


def _is_dead(process: str) -> bool:
    return process.isdigit() and not os.path.exists(f"/proc/{process}")  # noqa: PTH110 - no path of a person's


def _links() -> list[str]:
    return [one["ifname"] for one in json.loads(_ip("-json", "link", "show", "type", "bridge") or "[]") if one]


def _free_network() -> ipaddress.IPv4Network:
    used = [
        ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in json.loads(_ip("-json", "-4", "addr", "show") or "[]")
        for address in link.get("addr_info", ())
    ]
    for network in _RANGE.subnets(new_prefix=24):
        if not any(network.overlaps(one) for one in used if isinstance(one, ipaddress.IPv4Network)):
            return network
    raise NetworkMissingError(f"every network of {_RANGE} is in use on this machine")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        raise NetworkMissingError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
