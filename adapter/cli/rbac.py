"""The permissions that rules need in a cluster, and no others: `tidegauge rbac`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapter.cli.manifest_format import Extent, ManifestFormat
from adapter.cli.metric_reader import reader_rules
from adapter.cli.output import Page, Streams, write_json
from adapter.cli.rbac_options import RbacOptions, check_options
from adapter.cli.rules_looked_at import LookedAt, look_at_rules
from adapter.cli.usage import UsageError
from adapter.cli.wording import listed
from adapter.kube.commented_yaml import Noted, comment_text, commented_yaml, plain
from adapter.kube.rbac_documents import Account, binding, policy_rule, role
from adapter.kube.resources import GroupResource, Kinds, parse_group_resource
from adapter.rules.permissions import (
    Certainty,
    Known,
    ObjectNeed,
    full_resource,
    metric_names,
    metric_reads,
    object_needs,
    rule_name,
    template_rules,
)
from adapter.rules.rule import Rule

EXIT_NOT_ASKED = 1

_AUTOSCALER: Final = Account(namespace="kube-system", name="horizontal-pod-autoscaler")
# The names under which the adapter's APIs may be registered; it looks at each of them.
API_SERVICES: Final = (
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
    "v1beta1.external.metrics.k8s.io",
    "v1beta1.metrics.k8s.io",
    "v1.metrics.k8s.io",
)


async def print_rbac(
    paths: Sequence[str],
    *,
    flags: Sequence[str],
    options: RbacOptions,
    format_: ManifestFormat,
    streams: Streams,
) -> int:
    """Print the roles and their bindings; the exit code is 1 if a series query could not be asked."""
    check_options(options)
    looked = await look_at_rules([*(f"--config={path}" for path in paths), *flags], streams)
    page = _Roles(looked=looked, options=options)
    documents = list(page.documents())
    head = [f"What these rules need: tidegauge rbac {' '.join(paths)}", *page.notes(), *page.warnings()]
    if format_ is ManifestFormat.JSON:
        write_json(streams.out, {"apiVersion": "v1", "kind": "List", "items": plain(documents)})
    else:
        streams.out.write("---\n".join([comment_text(head), *map(commented_yaml, documents)]))
    aside = Page(streams.err)
    for warning in page.warnings():
        aside.line(f"warning: {warning}")
    return EXIT_NOT_ASKED if looked.failing else 0


@dataclass(slots=True, kw_only=True)
class _Roles:
    """The documents of one command line."""

    looked: LookedAt
    options: RbacOptions
    _known: Known = field(init=False)
    _needs: tuple[ObjectNeed, ...] = field(init=False)

    def __post_init__(self) -> None:
        looked = self.looked
        told = tuple(_named_kind(text, looked.kinds) for text in self.options.kinds) or None
        self._known = Known(
            kinds=looked.kinds,
            template_resources=told,
            entries=looked.entries,
            unanswered=frozenset(looked.failing),
        )
        self._needs = object_needs(looked.rulebook, self._known)

    def documents(self) -> Iterator[Noted]:
        """Yield what was asked for, in the order in which it is understood best."""
        if self.options.reader:
            yield from self._reader()
            return
        yield from self._objects()
        if self.options.extent is Extent.ALL:
            yield from self._delegation()
            yield from self._autoscaler()
        if self.options.certificate:
            yield from self._certificate()

    def notes(self) -> Iterator[str]:
        """Yield what is good to know, one sentence each."""
        if self.looked.entries is not None and any(map(_depends_on_series, self.looked.rulebook.rules)):
            yield "Some of it depends on the series that Prometheus has today: print it again when there are others."

    def warnings(self) -> tuple[str, ...]:
        """Return what could not be told, one sentence each."""
        found = [f"the series query {query} could not be asked: {why}" for query, why in self.looked.failing.items()]
        if not self.options.reader:
            found += [text for need in self._needs if (text := _uncertain(need))]
            found += self._about_templates()
        return tuple(found)

    def _about_templates(self) -> Iterator[str]:
        rules = template_rules(self.looked.rulebook)
        if self.options.kinds and not rules:
            yield "--kinds says what templates of labels stand for, and no rule has one"
        if guessed := [rule_name(rule) for rule in rules if not self._known.knows_resources(rule)]:
            yield (
                f"a template of labels may name any resource, so those of {listed(guessed)} are a guess: name them "
                "with --kinds, or let --prometheus-url show which labels there are"
            )
        served = {entry.rule.id for entry in self.looked.entries or ()}
        asked = [rule for rule in rules if self._known.has_asked(rule) and rule.id not in served]
        if asked and self._known.template_resources is None:
            yield f"Prometheus has no series for {listed(map(rule_name, asked))} now, so no labels are known"

    # ---- the adapter itself

    def _objects(self) -> Iterator[Noted]:
        name = f"{self.options.name}-resource-reader"
        why = "Names and labels of the objects that metrics are about: the adapter lists and watches their metadata."
        if not self._needs:
            why = "No objects have to be listed: no rule is known to be about any."
        yield role(name, [*self._object_rules()], why=[why])
        yield binding(name, role=name, account=self.options.account)

    def _object_rules(self) -> Iterator[Noted]:
        granted = [need for need in self._needs if need.certainty is not Certainty.NAMELESS]
        for group in dict.fromkeys(need.resource.group for need in granted):
            needs = [need for need in granted if need.resource.group == group]
            yield policy_rule(
                group=group,
                resources=list(dict.fromkeys(need.resource.resource for need in needs)),
                verbs=("list", "watch"),
                why=[f"{need.resource.resource}: {listed(need.rules)}{_doubt(need)}" for need in needs],
            )

    def _delegation(self) -> Iterator[Noted]:
        name, account = self.options.name, self.options.account
        yield binding(
            f"{name}-system-auth-delegator",
            role="system:auth-delegator",
            account=account,
            why=["Who calls, and may he: the adapter asks kube-apiserver (TokenReview, SubjectAccessReview)."],
        )
        yield binding(
            f"{name}-auth-reader",
            namespace="kube-system",
            role_kind="Role",
            role="extension-apiserver-authentication-reader",
            account=account,
            why=["By which authorities kube-apiserver and clients prove who they are."],
        )

    def _certificate(self) -> Iterator[Noted]:
        namespace, _, service = self.options.certificate.partition("/")
        secret = self.options.certificate_secret or f"{service}-serving-cert"
        name, account = f"{self.options.name}-serving-cert", self.options.account
        yield role(
            name,
            [
                policy_rule(
                    group="", resources=["secrets"], verbs=["create"], why=["RBAC cannot say by which name to create."]
                ),
                policy_rule(group="", resources=["secrets"], names=[secret], verbs=["get", "update"]),
            ],
            namespace=namespace,
            why=[f"--self-managed-certificate={self.options.certificate}: the certificate is kept in a Secret."],
        )
        yield binding(name, namespace=namespace, role_kind="Role", role=name, account=account)
        name = f"{self.options.name}-apiservices"
        rule = policy_rule(
            group="apiregistration.k8s.io", resources=["apiservices"], names=API_SERVICES, verbs=["get", "patch"]
        )
        yield role(name, [rule], why=["Its authority is written into the APIServices that lead to the Service."])
        yield binding(name, role=name, account=account)

    # ---- who reads metrics

    def _autoscaler(self) -> Iterator[Noted]:
        name = f"{self.options.name}-metrics-reader"
        yield role(
            name,
            reader_rules(self.looked.rulebook, metric_reads(self.looked.rulebook, self._known)),
            why=["Read the metrics that the rules serve."],
        )
        yield binding(
            f"{self.options.name}-hpa-controller",
            role=name,
            account=_AUTOSCALER,
            why=[
                "The HorizontalPodAutoscalers' controller.",
                "Kubernetes' own role for it reads all metrics already; this one counts where that was narrowed.",
            ],
        )

    def _reader(self) -> Iterator[Noted]:
        namespace, _, name = self.options.reader.rpartition("/")
        reads = metric_reads(self.looked.rulebook, self._known)
        rules = reader_rules(self.looked.rulebook, reads, only=self.options.metrics)
        what = listed(self.options.metrics) or "the metrics that the rules serve"
        role_name = f"{name}-metrics-reader" if namespace else name
        yield role(role_name, rules, why=[f"Read {what}, and nothing else."])
        if namespace:
            yield binding(role_name, role=role_name, account=Account(namespace=namespace, name=name))


def _named_kind(text: str, kinds: Kinds) -> GroupResource:
    """Return the resource that `--kinds` names."""
    resource, certainty = full_resource(parse_group_resource(text), kinds)
    if certainty is Certainty.NAMELESS:
        raise UsageError(
            f'--kinds: no kind of object is called "{text}"; write its group, too, as in rollouts.argoproj.io, or give '
            "its CustomResourceDefinition with --objects-file"
        )
    return resource


def _depends_on_series(rule: Rule) -> bool:
    return metric_names(rule) is None or rule.association.template is not None


def _uncertain(need: ObjectNeed) -> str:
    """Say what is not known about a resource, empty if nothing is."""
    match need.certainty:
        case Certainty.KNOWN:
            return ""
        case Certainty.GUESSED:
            return (
                f"{need.resource} is a guess for {listed(need.rules)}: its kind is none of Kubernetes' own; "
                "give its CustomResourceDefinition with --objects-file to be sure"
            )
        case Certainty.NAMELESS:
            return (
                f'no permission for "{need.resource}" of {listed(need.rules)}: no kind is called so; write `group` in '
                "the rule, or give its CustomResourceDefinition with --objects-file"
            )


def _doubt(need: ObjectNeed) -> str:
    return "; a guess of the plural" if need.certainty is Certainty.GUESSED else ""
