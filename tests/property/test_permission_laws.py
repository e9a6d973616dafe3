"""Laws of `tidegauge rbac`: whatever the rules serve, the printed roles let the adapter list and a reader read."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rules_rig import KINDS, catalog_from, rulebook_from

from adapter.cli.main import main
from adapter.cli.words import Words, path_of
from adapter.kube.commented_yaml import Noted, commented_yaml, plain
from adapter.kube.resources import GroupResource
from adapter.rules.catalog import Catalog
from adapter.server.auth import Attributes, attributes_of

CONFIG = Path(__file__).parents[2] / "config"
FILES = sorted(path for path in CONFIG.glob("*.yaml") if path.name != "demo-objects.yaml")
# Labels that name resources, by themselves or through the template `kube_<<.Resource>>`.
RESOURCES = ("namespace", "pod", "services", "node", "deployment.apps", "job", "ingress", "persistentvolume", "cronjob")
_MANY_RULES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

LABELS = st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=4, unique=True)
NAMES = st.sampled_from(["", "^(.*)_total$", "^app_(.*)$"])
SERIES = st.sampled_from(["app_requests_total", "app_queue", "{__name__=~'^app_.*'}", "{__name__=~'^app_queue$'}"])
RULE = st.fixed_dictionaries(
    {"labels": LABELS, "series": SERIES, "matches": NAMES, "template": st.booleans(), "external": st.booleans()}
)


def label_of(resource: str, *, template: bool) -> str:
    """Return the label through which a rule knows a resource."""
    name = resource.partition(".")[0].removesuffix("s")
    return f"kube_{name}" if template else f"l_{name}"


def rules_text(rules: Sequence[Mapping[str, Any]]) -> str:
    """Return a rules file, in JSON, which is YAML."""
    sections: dict[str, list[object]] = {"rules": [], "externalRules": []}
    for rule in rules:
        overrides = {}
        for resource in rule["labels"]:
            name, _, group = resource.partition(".")
            overrides[label_of(resource, template=False)] = {"resource": name, "group": group}
        resources = {"template": "kube_<<.Resource>>"} if rule["template"] else {"overrides": overrides}
        written = {
            "seriesQuery": rule["series"],
            "resources": resources,
            "name": {"matches": rule["matches"]},
            "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        }
        sections["externalRules" if rule["external"] else "rules"].append(written)
    return json.dumps(sections)


def series_of(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return series that carry every label that some rule knows."""
    labels = [label_of(one, template=rule["template"]) for rule in rules for one in rule["labels"]]
    told = ",".join(f'{label}="x"' for label in dict.fromkeys(labels))
    return [f"{name}{{{told}}}" for name in ("app_requests_total", "app_queue", "other")]


def printed(*words: str) -> tuple[list[dict[str, Any]], str]:
    """Return the manifests that `tidegauge rbac` prints, and what it says besides."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["rbac", "--format=json", *words])
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue())["items"], err.getvalue()


def granted(manifests: Iterable[Mapping[str, Any]], wanted: Attributes) -> bool:
    """Say whether a role allows something, as kube-apiserver's RBAC decides it."""
    resource = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    return any(
        wanted.verb in rule["verbs"]
        and wanted.group in rule["apiGroups"]
        and bool({"*", resource} & set(rule["resources"]))
        and (wanted.name in rule["resourceNames"] if "resourceNames" in rule else True)
        for manifest in manifests
        for rule in manifest.get("rules", ())
    )


def may_list(manifests: Sequence[Mapping[str, Any]], resource: GroupResource) -> bool:
    """Say whether the role lists and watches a resource."""
    wanted = [
        Attributes(verb=verb, path="", group=resource.group, resource=resource.resource) for verb in ("list", "watch")
    ]
    return all(granted(manifests, one) for one in wanted)


def check_law(path: Path, catalog: Catalog, *flags: str, guessed: bool) -> None:
    """Check that the roles cover every metric of a catalog; of what was guessed, that somebody was told."""
    objects, told = printed(str(path), "--for=objects", *flags)
    listed = {resource for resource, _ in catalog.by_custom}
    uncovered = sorted(str(one) for one in listed if not may_list(objects, one))
    assert not uncovered or (guessed and "are a guess" in told), uncovered

    reader, _ = printed(str(path), "--reader=somebody", *flags)
    subjects = [(f"{resource}/*", metric) for resource, metric in catalog.by_custom]
    for request in (*subjects, *(("external", metric) for metric in catalog.by_external)):
        wanted = path_of(Words(request=request), KINDS)
        assert granted(reader, attributes_of("GET", wanted, {})), wanted


@_MANY_RULES
@given(st.lists(RULE, min_size=1, max_size=3), st.booleans())
@example([{"labels": ["pod"], "series": "app_queue", "matches": "", "template": True, "external": False}], True)  # noqa: FBT003 - an example
def test_the_roles_cover_what_the_rules_serve(tmp_path: Path, rules: list[dict[str, Any]], name_kinds: bool) -> None:  # noqa: FBT001 - hypothesis hands it in
    """Every resource that may be listed is granted or said to be a guess, and every metric may be read."""
    text = rules_text(rules)
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    catalog = catalog_from(rulebook_from(text, tmp_path), series_of(rules))
    kinds = sorted({one for rule in rules if rule["template"] for one in rule["labels"]})

    flags = [f"--kinds={','.join(kinds)}"] if kinds and name_kinds else []
    # The template has no group, so it names what the first kind of that name is.
    check_law(path, catalog, *flags, guessed=not flags)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_roles_cover_the_files_that_are_shipped(path: Path, tmp_path: Path) -> None:
    """The roles for each file of config/ cover whatever its series and labels may be, and cpu and memory."""
    rulebook = rulebook_from(path.read_text(), tmp_path)
    labels = {label for rule in rulebook.rules for label, _ in rule.association.overrides}
    told = ",".join(f'{label}="x"' for label in sorted(labels))
    names = {need for rule in rulebook.rules for query in rule.series_queries if (need := query.partition("{")[0])}
    catalog = catalog_from(rulebook, [f"{name}{{{told}}}" for name in sorted(names)])

    check_law(path, catalog, guessed=False)
    if rulebook.resource:
        objects, _ = printed(str(path), "--for=objects")
        reader, _ = printed(str(path), "--reader=somebody")
        assert all(may_list(objects, GroupResource(one)) for one in ("pods", "nodes"))
        paths = ("/apis/metrics.k8s.io/v1beta1/nodes/n1", "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods")
        assert all(granted(reader, attributes_of("GET", one, {})) for one in paths)


SCALAR = st.one_of(
    st.text(max_size=20), st.integers(), st.booleans(), st.sampled_from(["1e3", "y", "*", "", "0x1", "~"])
)
TREE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(SCALAR, max_size=4),
        st.lists(st.dictionaries(st.text(min_size=1, max_size=5), inner, min_size=1, max_size=3), max_size=3),
        st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), TREE, min_size=1, max_size=4), st.text(max_size=200))
def test_commented_yaml_says_what_the_document_says(document: dict[str, Any], comment: str) -> None:
    """Comments change nothing: what is read back is the document, whatever its texts hold."""
    import yaml  # noqa: PLC0415 - another reader than the one that wrote it

    noted = {key: Noted(value, above=(comment,), beside=comment) for key, value in document.items()}

    assert yaml.safe_load(commented_yaml(Noted(noted, above=(comment,)))) == plain(noted) == document
