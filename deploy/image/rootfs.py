"""Put together the root of the image: Python, a virtual environment, the libraries that both load, and nothing else.

    python3 rootfs.py VENV ROOT

Runs inside the build stage, with the base's own Python and nothing installed. What is not copied is not in the image:
no shell, no package manager, no compiler, no pip.
"""  # noqa: INP001 - a program, not a module of the package

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

USER = 10001
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# Parts of the standard library for developing, teaching and installing; site-packages is the base's pip.
NOT_FOR_RUNNING = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo"}
)
# Modules whose libraries are those of terminals, windows and databases, and the ones that only Python's own tests load.
NOT_LOADED = re.compile(r"(_tkinter|readline|_curses\w*|_g?dbm|_sqlite3|nis|ossaudiodev|_test\w+|_ctypes_test|xx\w+)\.")
# glibc opens it when a thread is cancelled, so that no program names it (NOTES of pthread_cancel's implementation).
OPENED_LATE = "libgcc_s.so.1"
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\ntidegauge:x:{USER}:{USER}:tidegauge:/tmp:/sbin/nologin\n",
    "etc/group": f"root:x:0:\ntidegauge:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/ld.so.conf": "/usr/local/lib\n",
}
COPYRIGHT = "usr/share/doc/{}/copyright"


def main(argv: list[str]) -> int:
    """Fill the folder that the second word names; return 0, or let an error end the build."""
    venv, root = Path(argv[1]), Path(argv[2])
    like_the_base(root)
    stdlib = Path(sysconfig.get_path("stdlib"))
    copy_tree(stdlib, under(root, stdlib), leave_out=not_for_running)
    copy_file(Path(sys.executable).resolve(), root)
    copy_venv(venv, root)
    libraries = sorted(set(loaded_by(root)))
    for library in libraries:
        copy_file(library, root)
    copy_file(AUTHORITIES, root)
    copy_file(Path("/etc/os-release"), root)
    record_packages([*libraries, AUTHORITIES], root)
    for name, text in TEXTS.items():
        write(root / name, text)
    compile_all([under(root, stdlib), under(root, venv)], root)
    finish(root)
    return 0


def under(root: Path, path: Path) -> Path:
    """Return where a path of the base is in the root."""
    return root / path.relative_to("/")


def like_the_base(root: Path) -> None:
    """Begin with the base's links of / (/lib to usr/lib), through which programs name their loader."""
    root.mkdir()
    for link in Path("/").iterdir():
        if link.is_symlink() and link.name.startswith("lib"):
            (root / link.name).symlink_to(link.readlink())
            under(root, link.resolve()).mkdir(parents=True, exist_ok=True)


def copy_tree(source: Path, target: Path, *, leave_out: Callable[[str, list[str]], set[str]]) -> None:
    """Copy a folder with its links as they are, but for what the filter names."""
    shutil.copytree(source, target, symlinks=True, ignore=leave_out)


def not_for_running(folder: str, names: list[str]) -> set[str]:
    """Name what is not copied of a folder of the standard library; config-* is for those who embed Python."""
    dynamic = Path(folder).name == "lib-dynload"
    return {
        name
        for name in names
        if name in NOT_FOR_RUNNING or name.startswith("config-") or (dynamic and NOT_LOADED.match(name))
    }


def copy_file(path: Path, root: Path) -> None:
    """Copy one file's content to the path that it is asked for by, its folder's links followed."""
    target = under(root, path.parent.resolve() / path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def copy_venv(venv: Path, root: Path) -> None:
    """Copy the packages, and of their commands ours alone; link it to where charts and people look for it."""
    target = under(root, venv)
    copy_tree(venv, target, leave_out=shutil.ignore_patterns("bin", "include", "__pycache__"))
    binaries = target / "bin"
    binaries.mkdir()
    shutil.copy(venv / "bin" / "tidegauge", binaries)
    for name in ("python", "python3"):
        (binaries / name).symlink_to(Path(sys.executable).resolve())
    (root / "adapter").symlink_to((venv / "bin" / "tidegauge").relative_to("/"))
    shared = root / "usr/share"
    shared.mkdir(parents=True)
    (shared / "tidegauge").symlink_to(venv / "share/tidegauge")


def loaded_by(root: Path) -> Iterator[Path]:
    """Name the shared libraries that the programs and modules of the root load, wherever the base has them."""
    programs = [path for path in sorted(root.rglob("*")) if path.is_file() and is_elf(path)]
    # They are at the same places in the base: asked about there, relative paths lead to what stands beside them.
    words = ["ldd", *(f"/{path.relative_to(root)}" for path in programs)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 - the base's own
    if lost := re.findall(r"(\S+) => not found", told.stdout):
        raise SystemExit(f"rootfs.py: not in the base: {', '.join(sorted(set(lost)))}")
    for name in re.findall(r"(/\S+) \(0x", told.stdout):
        if not under(root, Path(name)).exists():
            yield Path(name)
            if Path(name).name == "libc.so.6":
                yield Path(name).with_name(OPENED_LATE)


def is_elf(path: Path) -> bool:
    """Tell a program or library by its first bytes."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def record_packages(files: Iterable[Path], root: Path) -> None:
    """Say which Debian packages the files are of, where scanners look for it, with the licences of each."""
    lists = {path: path.read_text().splitlines() for path in Path("/var/lib/dpkg/info").glob("*.list")}
    owners = {
        line: path.name.removesuffix(".list").partition(":")[0] for path, lines in lists.items() for line in lines
    }
    stanzas = Path("/var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n")
    described = {found[1]: stanza for stanza in stanzas if (found := re.match(r"Package: (\S+)", stanza))}
    # /etc/ssl/certs/ca-certificates.crt is generated, so no list has it.
    packages = {"ca-certificates"} | {owner for file in files for name in names_of(file) if (owner := owners.get(name))}
    for package in sorted(packages & described.keys()):
        write(root / "var/lib/dpkg/status.d" / package, described[package] + "\n")
        licences = COPYRIGHT.format(package)
        if Path("/", licences).is_file():
            write(root / licences, Path("/", licences).read_text(encoding="utf-8"))
        else:  # no reason to have no image, and every reason to say so
            sys.stderr.write(f"rootfs.py: the base has no /{licences}\n")


def names_of(path: Path) -> set[str]:
    """Return the paths by which dpkg may know a file: as asked for, and with links followed; /lib for /usr/lib."""
    both = {str(path), str(path.resolve())}
    return both | {name.removeprefix("/usr") for name in both}


def write(path: Path, text: str) -> None:
    """Write a text file, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def compile_all(folders: Iterable[Path], root: Path) -> None:
    """Write bytecode that is believed without a look at the source, since nobody can change either."""
    for folder in folders:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        if not compileall.compile_dir(folder, quiet=1, stripdir=str(root), prependdir="/", invalidation_mode=mode):
            raise SystemExit(f"rootfs.py: not all of {folder} compiles")


def finish(root: Path) -> None:
    """Index the libraries; let nobody but root write, except in /tmp; date all of it as the release is."""
    subprocess.run(["ldconfig", "-r", str(root)], check=True)  # noqa: S603, S607 - the base's own
    shutil.rmtree(root / "var/cache", ignore_errors=True)  # what some ldconfigs keep for their next run
    temporary = root / "tmp"
    temporary.mkdir(exist_ok=True)
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [*sorted(root.rglob("*"), reverse=True), root]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)
    temporary.chmod(0o1777)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
