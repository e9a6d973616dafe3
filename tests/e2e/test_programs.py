"""Where the control plane's programs and helm come from, with a Go that only pretends to build."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.rig.programs import ProgramMissingError, Programs, cache_folder, find_programs

# Writes each program that it is asked for, and the line that Go writes for each package.
_GO = """
import pathlib, sys
output = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
for package in sys.argv[sys.argv.index("-o") + 2:]:
    print(package)
    program = output / package.rpartition("/")[2]
    program.write_text("")
    program.chmod(0o755)
"""
_BROKEN_GO = "import sys; print('dial tcp: lookup failed'); sys.exit(1)"
_SAYS = "print({!r})"


@dataclass(slots=True)
class Machine:
    """A machine with nothing on it but what a test puts on PATH."""

    home: Path
    said: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a program sees of it."""
        return {"PATH": str(self.home / "bin"), "HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache")}

    def put(self, name: str, source: str = "", *, folder: str = "bin") -> Path:
        """Put a program there, written in Python."""
        path = self.home / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable} -IS\n{source}")
        path.chmod(0o755)
        return path

    def find(self, **more: str) -> Programs:
        """Look for the programs."""
        return find_programs({**self.environment, **more}, say=self.said.append)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with etcd, which is else fetched, and with helm."""
    machine = Machine(tmp_path)
    machine.put("etcd")
    machine.put("helm", helm("v3.22.0+g1"))
    return machine


def kubectl(minor: str) -> str:
    """Return a kubectl that says this version."""
    return _SAYS.format(json.dumps({"clientVersion": {"major": "1", "minor": minor}}))


def helm(version: str) -> str:
    """Return a helm that says this version."""
    return _SAYS.format(version)


def test_programs_of_envtest_are_used(machine: Machine) -> None:
    """What KUBEBUILDER_ASSETS holds is neither built nor looked for elsewhere."""
    for name in ("kube-apiserver", "kube-controller-manager", "etcd"):
        machine.put(name, folder="assets")
    machine.put("kubectl", kubectl("33"), folder="assets")
    assets = machine.home / "assets"

    found = machine.find(KUBEBUILDER_ASSETS=str(assets))

    assert {
        path.parent for path in (found.etcd, found.kube_apiserver, found.kube_controller_manager, found.kubectl)
    } == {assets}
    assert machine.said == []


@pytest.mark.parametrize(("minor", "is_used"), [("31", False), ("32", True), ("40+", True)])
def test_kubectl_of_the_system_is_used_if_it_is_new_enough(machine: Machine, minor: str, is_used: bool) -> None:  # noqa: FBT001 - a table's column
    """An old kubectl is left alone, and one that fits the control plane is built."""
    machine.put("go", _GO)
    on_path = machine.put("kubectl", kubectl(minor))

    built = cache_folder(machine.environment) / "kubectl"
    if is_used:
        assert machine.find().kubectl == on_path
    else:
        with pytest.raises(ProgramMissingError, match="kubectl"):  # what our Go builds says no version
            machine.find()
    assert built.exists() is not is_used


@pytest.mark.parametrize(("version", "is_used"), [("v3.16.4", False), ("v3.17.0", True), ("v4.0.1", True), ("", False)])
def test_helm_of_the_system_is_used_if_it_is_new_enough(machine: Machine, version: str, is_used: bool) -> None:  # noqa: FBT001 - a table's column
    """An old helm is left alone, and one is built into a cache of its own."""
    machine.put("go", _GO.replace('""', repr(f"#!{sys.executable} -IS\n{helm('v3.22')}")))
    machine.put("kubectl", kubectl("36"))
    on_path = machine.put("helm", helm(version))

    cache = cache_folder(machine.environment, "helm")

    assert machine.find().helm == (on_path if is_used else cache / "helm")
    assert (cache / "helm").exists() is not is_used
    assert cache != cache_folder(machine.environment)


def test_what_is_missing_is_built_once(machine: Machine) -> None:
    """Built programs appear whole in the cache, and are found there the next time."""
    machine.put("go", _GO)
    machine.put("kubectl", kubectl("36"))
    cache = cache_folder(machine.environment)

    found = machine.find()
    said = list(machine.said)
    again = machine.find()

    assert found == again
    assert (found.kube_apiserver, found.kube_controller_manager) == (
        cache / "kube-apiserver",
        cache / "kube-controller-manager",
    )
    assert "kube-apiserver, kube-controller-manager" in said[0]
    assert machine.said == said


NO_BUILD: dict[str, tuple[Callable[[Machine], object], str]] = {
    "no Go": (lambda _: None, "there is no Go on PATH"),
    "Go fails, as without a network": (lambda machine: machine.put("go", _BROKEN_GO), "dial tcp: lookup failed"),
}


@pytest.mark.parametrize("case", NO_BUILD)
def test_a_machine_that_cannot_build_is_told_what_to_do(machine: Machine, case: str) -> None:
    """One message says what is missing, why, and both ways to get it; the cache holds no half of anything."""
    prepare, reason = NO_BUILD[case]
    prepare(machine)

    with pytest.raises(ProgramMissingError) as caught:
        machine.find()

    for part in (reason, "kube-apiserver, kube-controller-manager, kubectl", "go.mod", "KUBEBUILDER_ASSETS"):
        assert part in str(caught.value)
    assert [path.name for path in cache_folder(machine.environment).iterdir()] == [".lock"]


def test_etcd_is_missing(machine: Machine) -> None:
    """Without etcd and without the system's packages the message says how to get it."""
    (machine.home / "bin" / "etcd").unlink()
    machine.put("go", _GO)
    machine.put("kubectl", kubectl("36"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(machine.home / "bin"))
        with pytest.raises(ProgramMissingError, match=r"etcd: .*no apt-get"):
            machine.find()
