"""Which label names which kind of object, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.promql.template import Template, TemplateRunError
from adapter.rules.naming import Pattern, compile_pattern

NAMESPACES = GroupResource(resource="namespaces")

# prometheus-adapter registers these as not namespaced, and every other kind as namespaced.
ROOT_RESOURCES = frozenset({"namespaces", "nodes", "persistentvolumes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTemplate:
    """The template of a rule's resource labels, and the same read backwards."""

    template: Template
    reverse: Pattern

    def label_of(self, kind: Kind) -> str:
        """Return the label that names objects of this kind; a ValueError if the template gives none."""
        group = kind.group.replace(".", "_").replace("-", "_")
        text = self.template.render({"Group": group, "Resource": kind.singular})
        if not text:
            raise TemplateRunError("the resource template gives an empty label")
        return text

    def group_resource_of(self, label: str) -> GroupResource | None:
        """Return what a label says it names, known kind or not; None if it has not the template's form."""
        match: Any = self.reverse.compiled.search(label)
        if match is None:
            return None
        groups = match.groupdict()
        return GroupResource(resource=groups["resource"], group=groups.get("group") or "")


def label_template(template: Template) -> LabelTemplate:
    """Read a resource template backwards, as prometheus-adapter does; a ValueError says why it cannot be."""
    text = template.render({"Group": "(?P<group>.+?)", "Resource": "(?P<resource>.+?)"})
    if not text:
        raise ValueError("unable to convert label template to matcher: empty template")
    reverse = compile_pattern(f"^{text}$")
    if "resource" not in reverse.compiled.groupindex:
        raise ValueError("must include at least `<<.Resource>>` in the label template")
    return LabelTemplate(template=template, reverse=reverse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """The overrides and the template of a rule; which kinds there are is asked each time, since they come and go."""

    overrides: tuple[tuple[str, GroupResource], ...] = ()
    template: LabelTemplate | None = None

    @property
    def is_empty(self) -> bool:
        """Say whether the rule maps nothing."""
        return not self.overrides and self.template is None

    def kind_of(self, label: str, kinds: Kinds) -> Kind | None:
        """Return the kind that a label names, None if it names none or an unknown one."""
        for name, resource in self.overrides:
            if name == label:
                return kinds.resolve(resource)
        named = self.template.group_resource_of(label) if self.template else None
        return kinds.resolve(named) if named else None

    def label_of(self, kind: Kind, kinds: Kinds) -> str | None:
        """Return the label that names objects of a kind: the first override for it, else what the template gives."""
        for name, resource in self.overrides:
            if kinds.resolve(resource) == kind:
                return name
        if self.template is None:
            return None
        try:
            return self.template.label_of(kind)
        except TemplateRunError:
            return None

    def namespace_label(self, kinds: Kinds) -> str | None:
        """Return the label that names namespaces, None if the rule maps none."""
        namespaces = kinds.resolve(NAMESPACES)
        return self.label_of(namespaces, kinds) if namespaces else None
