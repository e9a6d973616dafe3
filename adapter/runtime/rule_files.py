"""The rules files: what they say, and whether they have changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapter.config.files import find_files
from adapter.config.load import Loaded, load_rules
from adapter.config.settings import Settings
from adapter.kube.resources import Kinds
from adapter.rules.compile import Compiled, Terms, compile_rules
from adapter.rules.rule import Compat
from adapter.runtime.backend_choice import Choice, choose_backend

# One state of all files: path, resolved path, time of change, size and inode of each. A ConfigMap's files are links
# through `..data`, which kubelet turns to another folder: the resolved path and the inode change, the path does not.
Mark = tuple[tuple[str, str, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The files as they were read, the backend in force, and the rules that came of them."""

    loaded: Loaded
    compiled: Compiled
    choice: Choice

    def say_the_same(self, other: Rules) -> bool:
        """Say whether the files hold the same, whatever became of them on disk."""
        return _texts(self.loaded) == _texts(other.loaded) and self.loaded.problems == other.loaded.problems


def read_rules(settings: Settings, *, kinds: Kinds, environment: dict[str, str]) -> Rules:
    """Return the rules that the settings name, with every problem of the files; raises nothing for their content."""
    read = load_rules(settings.config, environment)
    # A file with an error cannot serve, and what can be read of it may have further problems: all are told at once.
    loaded = replace(read, files=(*read.files, *read.partial), partial=())
    choice = choose_backend(settings, loaded)
    terms = Terms(
        kinds=kinds,
        compat=Compat(settings.compat),
        cache_ttl_seconds=settings.cache_ttl_seconds,
        stale_if_error_seconds=settings.stale_if_error_seconds,
        backend=choice.name,
    )
    compiled = compile_rules(loaded, terms)
    everything = Compiled(rulebook=compiled.rulebook, problems=(*compiled.problems, *choice.problems))
    return Rules(loaded=loaded, compiled=everything, choice=choice)


@dataclass(slots=True, kw_only=True)
class RuleFiles:
    """The files that `--config` names; a state of them counts once two looks have found it."""

    paths: Sequence[str]
    _read: Mark = field(init=False)
    _seen: Mark = field(init=False)

    def __post_init__(self) -> None:
        # Before they are read for the first time: a change that comes while they are must be seen as one.
        self._read = self._seen = self.mark()

    def mark(self) -> Mark:
        """Return the state that the files are in; directories and globs are looked through again."""
        names, _ = find_files(self.paths)
        return tuple(_mark_of(name) for name in names)

    def have_changed(self) -> bool:
        """Look at the files: say whether they are not as they were read, and at rest since the last look."""
        now = self.mark()
        at_rest, self._seen = now == self._seen, now
        return at_rest and now != self._read

    def note_read(self, mark: Mark) -> None:
        """Remember in which state the files were read."""
        self._read = self._seen = mark


def _mark_of(name: str) -> tuple[str, str, int, int, int]:
    path = Path(name)
    try:
        found = path.stat()
        return (name, str(path.resolve()), found.st_mtime_ns, found.st_size, found.st_ino)
    except (OSError, RuntimeError):  # gone, not ours to read, or a loop of links
        return (name, "", 0, 0, 0)


def _texts(loaded: Loaded) -> list[tuple[str, str]]:
    return [(file.source.file, file.source.text) for file in loaded.files]
