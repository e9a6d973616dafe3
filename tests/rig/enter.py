"""Become a command in a file system of its own: what `mount`, `chroot` and a change of user make of a folder.

    unshare --mount --propagation private -- python -I -S enter.py SPEC

SPEC is a file of JSON (see `rig.sandbox`). Only root may do this. The process stays the same one, so whoever started it
can signal and await it.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38


def main(argv: list[str]) -> int:
    """Build the file system, enter it, give up all rights, and become the command."""
    spec = json.loads(Path(argv[1]).read_text())
    root = Path(spec["root"])
    root.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", "mode=755,size=1m", "none", root)
    for link, target in spec["links"].items():
        inside(root, link).symlink_to(target)
    for source, target, writable in spec["binds"]:
        bind(Path(source), inside(root, target), writable=writable)
    mount("-o", "remount,ro,size=1m", root)
    os.chroot(root)
    os.chdir("/")
    become(spec["user"], spec["group"], spec["groups"])
    os.execve(spec["argv"][0], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted


def inside(root: Path, path: str) -> Path:
    """Return where a path of the new file system is now, with the folders above it."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def bind(source: Path, target: Path, *, writable: bool) -> None:
    """Show a file or folder at another place."""
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    mount("--rbind" if source in (Path("/proc"), Path("/dev")) else "--bind", source, target)
    if not writable:
        mount("-o", "remount,bind,ro", target)


def mount(*words: str | Path) -> None:
    """Mount something; raises CalledProcessError, after it has said why."""
    subprocess.run(["/bin/mount", *map(str, words)], check=True)


def become(user: int, group: int, groups: list[int]) -> None:
    """Become somebody who can get no more rights, and who dies with the thread that started the process."""
    library = ctypes.CDLL(None)
    os.setgroups(groups)
    os.setgid(group)
    os.setuid(user)
    library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # the change of user has cleared it


if __name__ == "__main__":
    sys.exit(main(sys.argv))
