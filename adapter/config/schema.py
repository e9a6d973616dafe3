"""The rules file as a person writes it: every key, its type, and what it means."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapter.config.fields import (
    Clamp,
    Count,
    Flag,
    Fuse,
    HeaderValue,
    LabelName,
    NamespacePattern,
    OnDuplicates,
    OnEmpty,
    OnNaN,
    PartialResponse,
    Round,
    RuleId,
    Scale,
    Seconds,
    SomeSeconds,
    StaleSeconds,
    Text,
    Url,
    Verb,
    refusal,
    type_refusal,
)
from adapter.promql.matchers import quote

# How long `onEmpty: hold` holds where no `holdFor` says: twenty periods of the HorizontalPodAutoscaler.
DEFAULT_HOLD_SECONDS: Final = 300.0


class FileModel(BaseModel):
    """A mapping of the file: no other keys than its own, and a key without a value is a key that is not there."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _zero_values(cls, data: Any) -> Any:
        """Read nothing as the zero value, as yaml.v2 does."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise type_refusal("a mapping", data)
        known = {info.alias or field for field, info in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


class GroupResourceRef(FileModel):
    """A Kubernetes resource; singular or plural, in any case."""

    group: Text = Field("", description="API group; empty means that Kubernetes' preferred one is taken")
    resource: Text = Field("", description="resource name, singular or plural: pod, deployments, ...")


class SeriesFilter(FileModel):
    """A condition on the name of a series: exactly one of the two keys."""

    is_: Text = Field("", alias="is", description="RE2 expression that must be found in the name, anywhere in it")
    is_not: Text = Field("", alias="isNot", description="RE2 expression that must not be found in the name")

    @model_validator(mode="after")
    def _exactly_one(self) -> SeriesFilter:
        if self.is_ and self.is_not:
            both = f"an `is` ({quote(self.is_)}) and `isNot` ({quote(self.is_not)}) expression"
            message = f"cannot have both {both} in a single filter"
            raise refusal("filter/both", message, "write two filters; both must hold")
        if not (self.is_ or self.is_not):
            raise refusal("filter/neither", "must have either an `is` or `isNot` expression in a filter")
        return self


class Resources(FileModel):
    """How labels of a series name Kubernetes objects."""

    template: Text = Field("", description="Go template of the label of a resource, from .Group and .Resource")
    overrides: dict[str, GroupResourceRef] = Field(
        default_factory=dict, description="label name -> the resource that it names; comes before the template"
    )
    namespaced: Flag | None = Field(
        None, description="external rules: whether the query is confined to the caller's namespace (default true)"
    )


class NameMapping(FileModel):
    """How a series name becomes a metric name."""

    matches: Text = Field("", description="RE2 expression, found anywhere in the series name; also a filter")
    as_: Text = Field("", alias="as", description="metric name from its groups: $0, $1, ${1}_per_second")


class ValueShape(FileModel):
    """What happens to a number before it becomes a quantity: scaled, clamped, rounded, in this order."""

    scale: Scale | None = Field(None, description="factor (default 1)")
    clamp: Clamp | None = Field(None, description="[lowest, highest]; .inf leaves an end open")
    round: Round | None = Field(None, description="to a whole number: none (default), nearest, up or down")


class PolicyKeys(FileModel):
    """The keys that `rules`, `externalRules` and `metrics` share; what is not given is None."""

    id: RuleId | None = Field(None, description="name of the rule wherever it is shown (default: rules[3])")
    description: Text | None = Field(None, description="what the metric means, for people")
    owner: Text | None = Field(None, description="who looks after the rule")
    backend: Text | None = Field(None, description="which Prometheus is asked: `default` or a key of `backends`")
    cache_ttl: Seconds | None = Field(
        None, alias="cacheTTL", description="how old an answer may get; 0 turns the cache off (default --cache-ttl)"
    )
    stale_if_error: StaleSeconds | None = Field(
        None,
        alias="staleIfError",
        description="how long after its TTL the last answer is told while refreshes fail (default --stale-if-error)",
    )
    max_sample_age: SomeSeconds | None = Field(
        None,
        alias="maxSampleAge",
        description="values whose newest raw sample is older count as absent (default: any age)",
    )
    on_empty: OnEmpty | None = Field(
        None,
        alias="onEmpty",
        description="what an object without a value gets: omit (default), error, zero, a number, hold",
    )
    hold_for: SomeSeconds | None = Field(
        None, alias="holdFor", description="how long `onEmpty: hold` repeats the last good value (default 5m)"
    )
    on_nan: OnNaN | None = Field(
        None, alias="onNaN", description="what NaN becomes: zero (default of custom metrics), drop (of external), error"
    )
    on_duplicates: OnDuplicates | None = Field(
        None, alias="onDuplicates", description="several samples for one object: last (default), first, error, sum, ..."
    )
    value: ValueShape | None = Field(None, description="scale, clamp and rounding of the values")
    selector_labels: dict[str, LabelName] | None = Field(
        None, alias="selectorLabels", description="key of a metric selector -> the Prometheus label that it stands for"
    )
    allow_namespaces: list[NamespacePattern] | None = Field(
        None, alias="allowNamespaces", description="namespaces that may ask, as shell patterns (default: all)"
    )
    fuse: Fuse | None = Field(None, description="whether requests may share a query: auto (default) or never")


class Rule(PolicyKeys):
    """A rule from the series' end, as prometheus-adapter has it."""

    series_query: Text = Field("", alias="seriesQuery", description="PromQL selector of the series to discover")
    series_filters: list[SeriesFilter] = Field(
        default_factory=list,
        alias="seriesFilters",
        description="further conditions on the series' names; all must hold",
    )
    resources: Resources | None = Field(None, description="which labels name which Kubernetes objects")
    name: NameMapping | None = Field(None, description="how a series name becomes a metric name")
    metrics_query: Text = Field("", alias="metricsQuery", description="Go template, between << and >>, of the PromQL")


class ObjectRef(FileModel):
    """The objects that a metric describes, and the label that names them."""

    resource: Text = Field("", description="resource with its group: pods, deployments.apps")
    label: Text = Field("", description="label whose value is the object's name")


class Metric(PolicyKeys):
    """A rule from the answer's end: one metric, its query, and no regular expression."""

    metric: Text = Field("", description="name of the metric")
    object: ObjectRef | None = Field(None, description="what the metric describes; or `external: true`")
    external: Flag = Field(False, description="whether this is an external metric, which describes no object")  # noqa: FBT003 - pydantic's way to give a default
    namespace_label: LabelName | None = Field(
        None,
        alias="namespaceLabel",
        description="label that holds the namespace; without it no namespace confines the query",
    )
    query: Text = Field("", description="Go template, between << and >>, of the PromQL")


class ResourceRule(FileModel):
    """How cpu or memory of metrics.k8s.io is measured."""

    container_query: Text = Field("", alias="containerQuery", description="Go template of the query for containers")
    node_query: Text = Field("", alias="nodeQuery", description="Go template of the query for nodes")
    resources: Resources | None = Field(None, description="which labels name namespaces, pods and nodes")
    container_label: Text = Field("", alias="containerLabel", description="label that names the container")


class ResourceRules(FileModel):
    """Where the metrics.k8s.io API takes its values from; it is served if this is given."""

    cpu: ResourceRule | None = Field(None, description="processor use, in cores")
    memory: ResourceRule | None = Field(None, description="memory use, in bytes")
    window: Seconds = Field(0.0, description="the period that the values cover, as reported")


class BackendEntry(FileModel):
    """A Prometheus server, or something that speaks its API; `${NAME}` in here comes from the environment."""

    url: Url = Field("", repr=False, description="base address; its path and query are kept")
    headers: dict[str, HeaderValue] = Field(default_factory=dict, repr=False, description="headers of every request")
    params: dict[str, Text] = Field(default_factory=dict, repr=False, description="query parameters of every request")
    verb: Verb | None = Field(None, description="GET or POST (default --prometheus-verb)")
    bearer_token_file: Text | None = Field(
        None, alias="bearerTokenFile", description="file of the bearer token, read again when it changes"
    )
    ca_file: Text | None = Field(None, alias="caFile", description="PEM file of the authorities to trust")
    client_cert_file: Text | None = Field(
        None, alias="clientCertFile", description="PEM file of the client certificate"
    )
    client_key_file: Text | None = Field(None, alias="clientKeyFile", description="PEM file of its key")
    timeout: SomeSeconds | None = Field(None, description="limit of one query (default --prometheus-timeout)")
    max_connections: Count | None = Field(None, alias="maxConnections", description="connections at a time")
    max_answer_bytes: Count | None = Field(None, alias="maxAnswerBytes", description="largest answer that is read")
    partial_response: PartialResponse | None = Field(
        None,
        alias="partialResponse",
        description="what an answer with a warning is: refuse (default: an error) or allow",
    )


class Defaults(FileModel):
    """What the rules of this file say where they do not say it themselves."""

    owner: Text | None = Field(None, description="see the rule's key")
    backend: Text | None = Field(None, description="see the rule's key")
    cache_ttl: Seconds | None = Field(None, alias="cacheTTL", description="see the rule's key")
    stale_if_error: StaleSeconds | None = Field(None, alias="staleIfError", description="see the rule's key")
    max_sample_age: SomeSeconds | None = Field(None, alias="maxSampleAge", description="see the rule's key")
    on_empty: OnEmpty | None = Field(None, alias="onEmpty", description="see the rule's key")
    hold_for: SomeSeconds | None = Field(None, alias="holdFor", description="see the rule's key")
    on_nan: OnNaN | None = Field(None, alias="onNaN", description="see the rule's key")
    on_duplicates: OnDuplicates | None = Field(None, alias="onDuplicates", description="see the rule's key")
    selector_labels: dict[str, LabelName] | None = Field(None, alias="selectorLabels", description="see the rule's key")
    allow_namespaces: list[NamespacePattern] | None = Field(
        None, alias="allowNamespaces", description="see the rule's key"
    )
    fuse: Fuse | None = Field(None, description="see the rule's key")


class RulesFile(FileModel):
    """A rules file of Tidegauge; every rules file of prometheus-adapter is one."""

    rules: list[Rule] = Field(default_factory=list, description="custom metrics: values of Kubernetes objects")
    external_rules: list[Rule] = Field(
        default_factory=list, alias="externalRules", description="external metrics: values of no object"
    )
    resource_rules: ResourceRules | None = Field(
        None, alias="resourceRules", description="cpu and memory for the metrics.k8s.io API"
    )
    metrics: list[Metric] = Field(default_factory=list, description="rules written from the answer's end")
    backends: dict[str, BackendEntry] = Field(
        default_factory=dict, description="further Prometheus servers by name; --prometheus-url is `default`"
    )
    defaults: Defaults | None = Field(None, description="policies of all rules of this file")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the rules file, for editors; config/rules.schema.json is this."""
    schema = RulesFile.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
    models = [schema, *schema.get("$defs", {}).values()]
    for model in models:
        model.pop("title", None)
        model["properties"] = {key: _for_editors(value) for key, value in model["properties"].items()}
    definitions = schema.pop("$defs")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # the draft that every editor knows
        "title": "Rules file of Tidegauge",
        **schema,
        "definitions": definitions,
    }


def _for_editors(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key so that it may also be left empty, which the file may do everywhere."""
    kind = {key: part for key, part in value.items() if key not in ("title", "default", "description")}
    kinds = [one for one in kind.pop("anyOf", [kind]) if one != {"type": "null"}]
    described = {"description": value["description"]}
    if len(kinds) > 1 or "type" not in kinds[0]:
        return {**described, "anyOf": [*kinds, {"type": "null"}]}
    only = dict(kinds[0])
    types = only.pop("type")
    only["type"] = [*(types if isinstance(types, list) else [types]), "null"]
    if "enum" in only:
        only["enum"] = [*only["enum"], None]
    return {**described, **only}
