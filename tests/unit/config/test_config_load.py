"""Files, directories and globs, and what is said of files that are no text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapter.config.files import MAX_FILE_BYTES
from adapter.config.load import Loaded, load_rules
from adapter.config.problems import Problem, Severity

QUERIES = "{containerQuery: a, nodeQuery: b}"
RULE = "rules: [{seriesQuery: up, metricsQuery: up}]\n"


def put(folder: Path, **files: str) -> None:
    """Write files; two underscores in a name stand for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(loaded: Loaded) -> list[str]:
    """Return the names of the files that are good."""
    return [Path(one.source.file).name for one in loaded.files]


def told(problems: tuple[Problem, ...]) -> list[str]:
    """Return each problem's file name and code."""
    return [f"{Path(one.location.file).name} {one.code}" for one in problems]


def test_a_directory_is_its_visible_rules_files_in_order(tmp_path: Path) -> None:
    """Other files, hidden ones, sub-directories and a ConfigMap's own links are left out."""
    put(tmp_path, b__yml=RULE, a__yaml=RULE, c__json='{"rules": []}', d__txt="x", __hidden__yaml="[")
    (tmp_path / "..data").symlink_to(tmp_path)
    (tmp_path / "e.yaml").mkdir()

    assert names(load_rules([str(tmp_path)], {})) == ["a.yaml", "b.yml", "c.json"]


def test_a_glob_is_its_files_in_order(tmp_path: Path) -> None:
    """A glob takes any name it matches, and no directory."""
    put(tmp_path, b__conf=RULE, a__conf=RULE, c__yaml=RULE)
    (tmp_path / "d.conf").mkdir()

    assert names(load_rules([f"{tmp_path}/*.conf"], {})) == ["a.conf", "b.conf"]


def test_a_name_with_wild_cards_is_first_of_all_a_name(tmp_path: Path) -> None:
    """A file that is called like a glob can be named."""
    put(tmp_path, **{"[a]__yaml": RULE, "a__yaml": RULE})

    assert names(load_rules([f"{tmp_path}/[a].yaml"], {})) == ["[a].yaml"]


def test_what_names_nothing_is_an_error(tmp_path: Path) -> None:
    """A missing file, an empty directory and a glob without match each say so."""
    (tmp_path / "empty").mkdir()

    loaded = load_rules([f"{tmp_path}/none.yaml", f"{tmp_path}/empty", f"{tmp_path}/*.conf"], {})

    assert told(loaded.problems) == ["none.yaml file/not-found", "empty file/none-found", "*.conf file/none-found"]
    assert {one.severity for one in loaded.problems} == {Severity.ERROR}


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    """By its name, its directory or a link: a file's rules count once."""
    put(tmp_path, a__yaml=RULE)
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")

    loaded = load_rules([f"{tmp_path}/a.yaml", str(tmp_path)], {})

    assert names(loaded) == ["a.yaml"]
    assert told(loaded.problems) == ["a.yaml file/given-twice", "b.yaml file/given-twice"]


def test_one_bad_file_hides_nothing_of_the_others(tmp_path: Path) -> None:
    """Each file's problems are named, good files are there, and bad ones are kept apart."""
    put(tmp_path, a__yaml="rules: [", b__yaml="rules: [{wrong: 1}, {seriesQuery: up, metricsQuery: up}]", c__yaml=RULE)

    loaded = load_rules([str(tmp_path)], {})

    assert "a.yaml yaml/syntax" in told(loaded.problems)
    assert "b.yaml schema/unknown-key" in told(loaded.problems)
    assert names(loaded) == ["c.yaml"]
    (partial,) = loaded.partial
    assert partial.broken == {("rules", 0)}
    assert partial.model.rules[1].series_query == "up"


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b"rules: \0", "file/binary", 1, 8),
        (b"\x7fELF\0\0", "file/binary", 1, 5),
        ("rules: []\n# é".encode("latin-1"), "file/encoding", 2, 3),
        (b"\xff\xfea", "file/encoding", 1, 1),
        (b"rules: []\n# \x07", "yaml/control-character", 2, 3),
        (b"a: \xef\xbf\xbf", "yaml/control-character", 1, 4),
        (b"x" * (MAX_FILE_BYTES + 1), "file/too-large", 0, 0),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(
    content: bytes, code: str, line: int, column: int, tmp_path: Path
) -> None:
    """A binary, a foreign encoding and a huge file are one problem each."""
    file = tmp_path / "rules.yaml"
    file.write_bytes(content)

    (problem,) = load_rules([str(file)], {}).problems

    assert (problem.code, problem.location.line, problem.location.column) == (code, line, column)


@pytest.mark.parametrize("content", ["\ufeff" + RULE, RULE.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_encodings_of_yaml_are_read(content: str, encoding: str, tmp_path: Path) -> None:
    """UTF-8 and UTF-16 with a byte order mark are YAML's encodings, as they are for prometheus-adapter."""
    file = tmp_path / "rules.yaml"
    file.write_bytes(content.encode(encoding) if encoding == "utf-8" else content.lstrip("\ufeff").encode(encoding))

    loaded = load_rules([str(file)], {})

    assert loaded.problems == ()
    assert loaded.files[0].model.rules[0].series_query == "up"


def test_a_limit_says_what_it_is(tmp_path: Path) -> None:
    """Who meets the limit of size learns its value."""
    file = tmp_path / "rules.yaml"
    file.write_bytes(b" " * (10 * 1024 * 1024))

    assert "8 MiB" in load_rules([str(file)], {}).problems[0].message


def test_a_file_that_may_not_be_read_says_why(tmp_path: Path) -> None:
    """A dangling link is named with the operating system's reason."""
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")

    (problem,) = load_rules([f"{tmp_path}/gone.yaml"], {}).problems

    assert (problem.code, problem.message) == ("file/unreadable", os.strerror(2).lower())


def test_nobody_gets_a_hundred_thousand_problems(tmp_path: Path) -> None:
    """Of a file with more problems than anybody reads, the errors come before the warnings, and the rest is counted."""
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n" + "- {}\n" * 1000 + "- {wrong: 1}\n", encoding="utf-8")

    problems = load_rules([str(file)], {}).problems

    assert len(problems) == 1001
    assert [one.severity for one in problems].count(Severity.ERROR) == 1
    assert problems[-1].message == "2003 problems; only 1000 are shown"


@pytest.mark.parametrize(
    ("files", "codes"),
    [
        ({"a": ""}, ["file/empty"]),
        ({"a": "rules: []"}, ["file/no-rules"]),
        ({"a": "backends: {b: {url: http://p}}", "b": RULE}, []),
        ({"a": f"resourceRules: {{window: 1m, cpu: {QUERIES}, memory: {QUERIES}}}"}, []),
        ({"a": "", "b": RULE}, ["file/empty"]),
    ],
)
def test_no_rules_are_at_most_a_warning(files: dict[str, str], codes: list[str], tmp_path: Path) -> None:
    """The adapter starts without rules, as prometheus-adapter does, and says so."""
    put(tmp_path, **{f"{name}__yaml": text for name, text in files.items()})

    loaded = load_rules([str(tmp_path)], {})

    assert [one.code for one in loaded.problems] == codes
    assert {one.severity for one in loaded.problems} <= {Severity.WARNING}


def test_a_problem_names_its_rule(tmp_path: Path) -> None:
    """A rule is named by its id, else by its place, with the file's name where there are several."""
    put(tmp_path, a__yaml="rules: [{id: mine}, {}]", b__yaml="metrics: [{}]")

    one = load_rules([f"{tmp_path}/a.yaml"], {}).problems
    two = load_rules([str(tmp_path)], {}).problems

    assert {problem.rule for problem in one} == {"mine", "rules[1]"}
    assert {problem.rule for problem in two} == {"mine", "a.yaml:rules[1]", "b.yaml:metrics[0]"}
