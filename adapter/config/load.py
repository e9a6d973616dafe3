"""From file names to the rules a person wrote, with every problem of every file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from adapter.config.checks import has_rules
from adapter.config.document import Document, Expand, Fault, Path, read_document
from adapter.config.environment import expander
from adapter.config.files import find_files, problem, read_text
from adapter.config.hints import syntax_hint, usual_hint
from adapter.config.problems import Location, Problem, Severity
from adapter.config.source import Source
from adapter.config.tree import Tree, UnreadableYamlError, compose
from adapter.config.validate import Validated, validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter.config.schema import PolicyKeys, RulesFile

__all__ = ["Loaded", "LoadedFile", "Source", "load_rules"]

_MAX_PROBLEMS: Final = 1000  # of one file; nobody reads more


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """A file that was read; `broken` has the paths of its entries with an error, such as ("rules", 3)."""

    source: Source
    model: RulesFile
    broken: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What files hold: `files` without any error, `partial` as far as they can be read, for checks only."""

    files: tuple[LoadedFile, ...]
    problems: tuple[Problem, ...]
    partial: tuple[LoadedFile, ...] = ()


def load_rules(paths: Sequence[str], environment: Mapping[str, str]) -> Loaded:
    """Read files, directories and globs; whatever they contain, the answer is data and a list of problems."""
    names, problems = find_files(paths)
    expand = expander(environment)
    good: list[LoadedFile] = []
    partial: list[LoadedFile] = []
    for name in names:
        file, found = _load_file(name, expand, many_files=len(names) > 1)
        problems += found
        if file is not None:
            (partial if _has_error(found) else good).append(file)
    said = any(one.severity is Severity.ERROR or one.code == "file/empty" for one in problems)
    if good and not said and not any(has_rules(file.model) for file in good):
        problems.append(problem("file/no-rules", "there are no rules", Location(file=good[0].source.file)))
    return Loaded(files=tuple(good), problems=tuple(problems), partial=tuple(partial))


def _has_error(problems: Sequence[Problem]) -> bool:
    return any(one.severity is Severity.ERROR for one in problems)


def _load_file(name: str, expand: Expand, *, many_files: bool) -> tuple[LoadedFile | None, list[Problem]]:
    text = read_text(name)
    if isinstance(text, Problem):
        return None, [text]
    source = Source(file=name, text=text)
    try:
        tree = compose(text)
        document = read_document(tree, expand=expand)
    except UnreadableYamlError as error:
        hint = syntax_hint(text, error)
        return None, [problem(error.code, error.message, source.locate_mark(error.mark), hint)]
    source = Source(file=name, text=text, places=document.places)
    validated = validate(document)
    reporter = _Reporter(source=source, validated=validated, many_files=many_files)
    problems = [*_about_documents(source, tree, document), *map(reporter.problem, validated.faults)]
    file = LoadedFile(source=source, model=validated.model, broken=validated.broken)
    return file, _limited(sorted(problems, key=_order), name)


def _order(one: Problem) -> tuple[int, int]:
    return one.location.line, one.location.column


def _limited(problems: list[Problem], name: str) -> list[Problem]:
    if len(problems) <= _MAX_PROBLEMS:
        return problems
    errors_first = sorted(problems, key=lambda one: one.severity is not Severity.ERROR)
    message = f"{len(problems)} problems; only {_MAX_PROBLEMS} are shown"
    kept = sorted(errors_first[:_MAX_PROBLEMS], key=_order)
    return [*kept, problem("file/too-many-problems", message, Location(file=name))]


def _about_documents(source: Source, tree: Tree, document: Document) -> list[Problem]:
    problems = []
    if document.data is None:
        problems.append(problem("file/empty", "the file is empty", Location(file=source.file)))
    if tree.second_document is not None:
        message = "only the first document of a file is read; what begins here is ignored"
        problems.append(problem("file/second-document", message, source.locate_mark(tree.second_document, length=3)))
    return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reporter:
    """Turns faults of a document into problems of its file."""

    source: Source
    validated: Validated
    many_files: bool

    def problem(self, fault: Fault) -> Problem:
        rule = self._rule(fault.path)
        hint = fault.hint or usual_hint(fault.code)
        return problem(fault.code, fault.message, self._location(fault), hint, rule)

    def _location(self, fault: Fault) -> Location:
        if fault.at is not None:
            return self.source.locate_node(fault.at)
        if fault.at_key:
            return self.source.locate_key(fault.path)
        return self.source.locate(fault.path, offset=fault.offset, length=fault.length)

    def _rule(self, path: Path) -> str:
        """Return the id of the rule that a path lies in, or where it stands if it has none."""
        sections: dict[str, Sequence[PolicyKeys]] = {
            "rules": self.validated.model.rules,
            "externalRules": self.validated.model.external_rules,
            "metrics": self.validated.model.metrics,
        }
        if len(path) < 2 or path[0] not in sections or not isinstance(path[1], int):  # noqa: PLR2004 - (section, index)
            return ""
        rules = sections[str(path[0])]
        own = rules[path[1]].id if path[1] < len(rules) else None
        place = f"{path[0]}[{path[1]}]"
        return own or (f"{PurePath(self.source.file).name}:{place}" if self.many_files else place)
