"""A command as a container would run it, without a container engine: its own file system, an ordinary user.

It sees the system's libraries, this Python and this project read-only, and what it is given; nothing else can be read or
written. Linux and root are needed (`unshare`, `mount`, `chroot`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ENTER = Path(__file__).with_name("enter.py")
_PROJECT = Path(__file__).resolve().parents[2]
# The command that the image calls /adapter as well.
COMMAND: Final = Path(sys.executable).with_name("tidegauge")
ENTRY_POINT: Final = "/adapter"
_NEEDED = ("unshare", "mount")
_SYSTEM = ("/usr", "/etc/ssl", "/etc/ld.so.cache", "/proc", "/dev")
_MERGED = ("bin", "sbin", "lib", "lib64")  # links into /usr on most systems, folders on some


class SandboxMissingError(Exception):
    """This machine cannot run a sandbox; the text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of this machine, and where the command sees it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What a command runs in.

    Attributes:
        folder: for what the sandbox itself writes; one for each sandbox.
        mounts: what the command is given; an outer folder before what lies inside it.
        hosts: names of its /etc/hosts, and their addresses.
        prefix: what is put before the command, such as what enters a network.
        user: its user; the group is the same.
        groups: further groups.
    """

    folder: Path
    mounts: Sequence[Mount] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    user: int = 10001
    groups: Sequence[int] = ()

    def argv(self, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """Return what has to be run, as root, for a command to run inside with this environment and no other.

        Raises:
            SandboxMissingError: this machine cannot.
        """
        check_sandbox()
        self.folder.mkdir(parents=True, exist_ok=True)
        spec = self.folder / "sandbox.json"
        document = {
            "root": str(self.folder / "root"),
            "links": {ENTRY_POINT: str(COMMAND)} | {f"/{name}": target for name, target in _links().items()},
            "binds": [[str(one.source), one.target, one.writable] for one in (*self.mounts, *self._own())],
            "user": self.user,
            "group": self.user,
            "groups": [*self.groups],
            "argv": [*command],
            "environment": {"PATH": f"{COMMAND.parent}:/usr/bin:/bin", **environment},
        }
        spec.write_text(json.dumps(document))
        python = str(Path(sys.executable).resolve())
        return [
            *self.prefix,
            "unshare",
            "--mount",
            "--propagation",
            "private",
            python,
            "-I",
            "-S",
            str(_ENTER),
            str(spec),
        ]

    def _own(self) -> Sequence[Mount]:
        hosts = self.folder / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.hosts.items())]
        hosts.write_text("\n".join([*lines, ""]))
        places = [Path(one) for one in _SYSTEM] + [Path("/", one) for one in _MERGED if one not in _links()]
        places += [Path(sys.base_prefix), Path(sys.prefix), _PROJECT / "adapter", _PROJECT / "config"]
        present = [one for one in dict.fromkeys(places) if one.exists() and not _is_below(one, Path("/usr"))]
        return [Mount(source=one, target=str(one)) for one in present] + [Mount(source=hosts, target="/etc/hosts")]


def check_sandbox() -> None:
    """Do nothing on a machine that can run a sandbox.

    Raises:
        SandboxMissingError: it cannot; the text says why.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SandboxMissingError("pods run in namespaces of their own, which takes Linux and root")
    if missing := [name for name in _NEEDED if not shutil.which(name)]:
        raise SandboxMissingError(f"not on PATH: {', '.join(missing)} (Debian, Ubuntu: apt-get install util-linux)")


def _links() -> dict[str, str]:
    return {name: str(Path("/", name).readlink()) for name in _MERGED if Path("/", name).is_symlink()}


def _is_below(path: Path, folder: Path) -> bool:
    return path != folder and path.is_relative_to(folder)
