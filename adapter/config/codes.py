"""What can be wrong with a file, code by code: why it matters, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from adapter.config.problems import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeInfo:
    """What there is to know about a code; its page in docs/checks is made from this."""

    title: str
    severity: Severity
    why: str
    fix: str


def _error(title: str, why: str, fix: str) -> CodeInfo:
    return CodeInfo(title=title, severity=Severity.ERROR, why=why, fix=fix)


def _warning(title: str, why: str, fix: str) -> CodeInfo:
    return CodeInfo(title=title, severity=Severity.WARNING, why=why, fix=fix)


# The codes of reading files. Checks of rules add theirs in a table of their own.
CODES: Final[Mapping[str, CodeInfo]] = {
    # ---- which files there are, and whether they are text
    "file/not-found": _error(
        "file not found",
        "The path names neither a file nor a directory, and it is no glob.",
        "Correct the path, or mount the file there.",
    ),
    "file/none-found": _error(
        "no file found",
        "The glob matches no file, or the directory holds no .yaml, .yml or .json file; hidden files do not count.",
        "Correct the path, or put a rules file there.",
    ),
    "file/unreadable": _error(
        "file cannot be read",
        "The operating system refuses to open the file.",
        "Give the user that the adapter runs as the right to read it.",
    ),
    "file/too-large": _error(
        "file too large",
        "A rules file has a few kilobytes; one above 8 MiB is something else, and would hold up the adapter.",
        "Split it into several files in one directory, or look at what it really is.",
    ),
    "file/binary": _error(
        "file is not text",
        "The file contains zero bytes, so it is not text.",
        "Name the rules file itself, not an archive or a compressed copy.",
    ),
    "file/encoding": _error(
        "file is not UTF-8",
        "YAML is UTF-8 (or UTF-16 with a byte order mark); other encodings would change names and queries.",
        "Save the file as UTF-8.",
    ),
    "file/empty": _warning(
        "file is empty",
        "The file holds no value at all; prometheus-adapter starts with such a file and serves nothing.",
        "Write rules into it, or do not name it.",
    ),
    "file/no-rules": _warning(
        "no rules",
        "None of the files has a rule, so no metrics API is served.",
        "Add a rule under `rules`, `externalRules`, `metrics` or `resourceRules`.",
    ),
    "file/second-document": _warning(
        "second document",
        "Only the first YAML document of a file is read, as in prometheus-adapter; what follows `---` is ignored.",
        "Put the other rules into the first document, or into a file of their own.",
    ),
    "file/given-twice": _warning(
        "file named twice",
        "The file is named more than once, by itself or through a directory; it is read once.",
        "Name it once.",
    ),
    "file/manifest": _error(
        "a Kubernetes manifest, not a rules file",
        "The file has the keys of a Kubernetes object; the rules are a text inside it.",
        "Save the text under `data` of the ConfigMap as a file, or mount the ConfigMap.",
    ),
    "file/too-many-problems": _warning(
        "too many problems",
        "The file has more problems than anybody reads; the rest is left out.",
        "Solve the first ones; often one cause has many effects.",
    ),
    # ---- whether the text is YAML
    "yaml/syntax": _error(
        "not YAML",
        "The text cannot be read as YAML, so nothing in it is known.",
        "Correct the text at the place shown; the cause may be a few characters before it.",
    ),
    "yaml/control-character": _error(
        "control character",
        "YAML allows no control characters in its text.",
        'Remove the character, or write it as an escape inside double quotes ("\\x07").',
    ),
    "yaml/too-large": _error(
        "too many values",
        "The file holds, or its aliases expand to, more values than any rules file needs.",
        "Split the file; do not nest aliases in aliases.",
    ),
    "yaml/too-deep": _error(
        "nested too deeply",
        "No rules file is nested deeper than a few levels.",
        "Close the brackets; look for a missing `]` or `}`.",
    ),
    "yaml/alias": _error(
        "bad alias",
        "An alias names an anchor that does not exist before it, or one that contains the alias itself.",
        "Define the anchor (&name) before the alias (*name), outside of it.",
    ),
    "yaml/merge": _error(
        "bad merge",
        "A merge key takes a mapping or a list of mappings.",
        "Write `<<: *anchor`, where the anchor is at a mapping.",
    ),
    "yaml/merge-order": _warning(
        "merge overrides a key",
        "What comes later wins, as in prometheus-adapter: a merge after a key replaces that key's value.",
        "Put `<<` first in its mapping.",
    ),
    "yaml/binary": _error(
        "bad !!binary value",
        "A value tagged !!binary is not base64 of a UTF-8 text.",
        "Write the text itself.",
    ),
    # ---- whether the keys and values are those of a rules file
    "schema/unknown-key": _error(
        "unknown key",
        "A key that nobody reads is a typing error or a wrong indentation. prometheus-adapter refuses it too.",
        "Correct the name, or the indentation.",
    ),
    "schema/duplicate-key": _error(
        "duplicate key",
        "A key given twice means that one of the values would be lost. prometheus-adapter refuses it too.",
        "Keep one of them; merge their contents if both are needed.",
    ),
    "schema/key-type": _error(
        "key is not text",
        "Every key of a rules file is a name.",
        "Put text that begins with { or [ in quotes; render a Helm template ({{ ... }}) first.",
    ),
    "schema/type": _error(
        "wrong type",
        "The value is of another type than its key takes.",
        "Write a value of the type that the message names.",
    ),
    "schema/choice": _error("not a choice", "The key takes only certain words.", "Write one of the words listed."),
    "schema/range": _error("out of range", "The number is outside what makes sense.", "Write a number within range."),
    "schema/duration": _error(
        "not a duration",
        "Durations are written as in Prometheus: whole numbers with units, from the longest unit to the shortest.",
        "Write 10s, 5m, 1h30m, 1d or 0.",
    ),
    "schema/id": _error(
        "bad name",
        "The name appears in messages and as a label value, so it must be short and fit on a line.",
        "Write a short name such as http-rps.",
    ),
    "schema/label-name": _error(
        "not a label name",
        "The value must name a Prometheus label.",
        "Write the name of a label that the series carries.",
    ),
    "schema/label-name-utf8": _warning(
        "label name needs Prometheus 3",
        "Only Prometheus 3 and later know label names other than letters, digits and underscores.",
        "Write the label's name as the server shows it; older servers replace dots and dashes by underscores.",
    ),
    "schema/invalid": _error("invalid value", "The value cannot be used.", "Follow the message."),
    # ---- prometheus-adapter's form of a rule
    "filter/both": _error(
        "filter with `is` and `isNot`",
        "A filter is one condition; prometheus-adapter refuses both in one.",
        "Write two filters; both must hold.",
    ),
    "filter/neither": _error(
        "filter without condition",
        "A filter needs `is` or `isNot`; an empty text counts as missing.",
        "Write the condition, or remove the filter.",
    ),
    "rule/series-query-missing": _warning(
        "no seriesQuery",
        "Without a series query the rule discovers nothing; in prometheus-adapter the whole discovery fails.",
        "Write the selector of the series, or use `metrics`.",
    ),
    "rule/metrics-query-missing": _warning(
        "no metricsQuery",
        "Without a query every request for the rule's metrics is answered 404, as in prometheus-adapter.",
        "Write the query, for example sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>).",
    ),
    # ---- the keys that rules have beyond prometheus-adapter's
    "rule/hold-for-unused": _warning(
        "holdFor without hold",
        "`holdFor` says how long `onEmpty: hold` holds; without that it has no effect.",
        "Add `onEmpty: hold`, or remove `holdFor`.",
    ),
    "rule/selector-label-key": _error(
        "not a label key",
        "The keys of `selectorLabels` are those of Kubernetes label selectors; this one can never be asked for.",
        "Write a label key such as app.kubernetes.io/name.",
    ),
    "rule/namespace-pattern": _error(
        "pattern matches no namespace",
        "Names of namespaces are lower-case letters, digits and dashes; this pattern cannot match one.",
        "Write a name or a pattern such as team-*.",
    ),
    "rule/no-namespace": _error(
        "nobody may ask",
        "An empty `allowNamespaces` could mean nobody or everybody, and must not be taken for the other.",
        "Name the namespaces, or remove the key to allow all.",
    ),
    "metric/name-missing": _error(
        "no metric name", "An entry of `metrics` is one metric, which needs a name.", "Add `metric: name`."
    ),
    "metric/query-missing": _error(
        "no query", "An entry of `metrics` is answered by its query.", "Add `query` with <<.LabelMatchers>> in it."
    ),
    "metric/object-or-external": _error(
        "object or external",
        "A metric describes objects, or it is external; it must be said which, and cannot be both.",
        "Add `object: {resource: pods, label: pod}` or `external: true`.",
    ),
    "metric/object-incomplete": _error(
        "object is incomplete",
        "`object` needs the resource and the label that holds the objects' names.",
        "Write both, for example {resource: deployments.apps, label: deployment}.",
    ),
    "resource-rule/query-missing": _warning(
        "no query for containers or nodes",
        "Without both queries for cpu and memory the list of pods or of nodes stays empty.",
        "Add containerQuery and nodeQuery under cpu and under memory.",
    ),
    "resource-rule/window-missing": _warning(
        "no window",
        "The window is reported with each value; without it that is 0s, as in prometheus-adapter.",
        "Add `window: 5m`, the range of the queries.",
    ),
    # ---- servers to ask
    "backend/name": _error(
        "bad name of a backend",
        "`default` is the server of --prometheus-url; any other short name on one line is free.",
        "Choose another name.",
    ),
    "backend/url": _error(
        "not a server's address",
        "The address must be one that HTTP can reach.",
        "Write https://host:port/path.",
    ),
    "backend/url-missing": _error("no address", "A backend needs an address.", "Add `url`."),
    "backend/header": _error(
        "bad header",
        "The name or the value cannot be sent in an HTTP request.",
        "Use letters, digits and dashes in names; remove line breaks from values.",
    ),
    "backend/client-certificate": _error(
        "certificate or key missing",
        "A client certificate is of use only with its key, and the key only with it.",
        "Give both clientCertFile and clientKeyFile.",
    ),
    "backend/env-unset": _error(
        "environment variable is not set",
        "${NAME} under `backends` is replaced by the environment variable, which must exist.",
        "Set the variable, or write $${ for a literal ${.",
    ),
    "backend/env-syntax": _error(
        "bad ${...}",
        "Under `backends`, ${ begins the name of an environment variable.",
        "Write ${NAME}, or $${ for a literal ${.",
    ),
    # ---- the command line
    "flag/unknown": _error(
        "unknown flag",
        "No flag has this name; prometheus-adapter refuses unknown flags too.",
        "Correct the name; `tidegauge serve --help` lists all flags.",
    ),
    "flag/syntax": _error(
        "malformed flag", "The word cannot be read as a flag.", "Write --name=value or --name value."
    ),
    "flag/value": _error(
        "bad value of a flag",
        "The value is missing, cannot be read, or is out of range.",
        "Write a value of the kind that `tidegauge serve --help` shows.",
    ),
    "flag/missing": _error(
        "flag is missing",
        "Without the flag the adapter does not know what to do.",
        "Add the flag.",
    ),
    "flag/conflict": _error(
        "flags contradict each other",
        "The flags cannot all be followed.",
        "Remove one of them, or add the one that is missing.",
    ),
    "flag/stray": _error(
        "unexpected argument",
        "Only flags are expected. A word after a boolean flag is not its value.",
        "Write --flag=false, or remove the word.",
    ),
}
