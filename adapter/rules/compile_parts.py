"""What compiling a rule of any kind needs: its templates, its labels, and a place for what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapter.config.load import LoadedFile
from adapter.config.problems import Location, Problem, Severity
from adapter.config.schema import PolicyKeys, Resources
from adapter.kube.resources import GroupResource, Kinds
from adapter.promql.template import Template, TemplateRunError, TemplateSyntaxError, parse_template
from adapter.rules.association import Association, LabelTemplate, label_template
from adapter.rules.rule import Compat

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a compilation depends on besides the files."""

    kinds: Kinds
    compat: Compat = Compat.FIXED
    cache_ttl_seconds: float = 10.0  # below the HPA's period of 15 s
    stale_if_error_seconds: float = 0.0
    backend: str = "default"  # the name of the one backend in force


@dataclass(slots=True, kw_only=True)
class FileCompiler:
    """Compiles parts of one file; problems go to the list that all files share, under the id of the rule in hand."""

    file: LoadedFile
    terms: Terms
    problems: list[Problem]
    rule_id: str = ""
    failed: bool = False  # whether the rule in hand has an error

    def chosen(self, written: PolicyKeys, key: str) -> Any:
        """Return what a rule says of a policy, else what the file's defaults say, else None."""
        own = getattr(written, key)
        defaults = self.file.model.defaults
        return own if own is not None or defaults is None else getattr(defaults, key, None)

    def backend_serves(self, name: str | None, *, at: Path) -> bool:
        """Say whether the backend of this name is in force; one that is not is reported."""
        if not name or name == self.terms.backend:
            return True
        self.report(
            "rule/backend-not-in-force",
            Severity.WARNING,
            f'the rule names the backend "{name}"; "{self.terms.backend}" is in force, so the rule is left out',
            at,
            hint="one backend is served: --prometheus-url, or without that flag the only entry of `backends`",
        )
        return False

    def template(self, path: Path, text: str) -> Template | None:
        """Return a template, None if there is none or its syntax is wrong, which is reported."""
        if not text:
            return None
        try:
            return parse_template(text)
        except TemplateSyntaxError as error:
            self.report(
                "template/syntax",
                Severity.ERROR,
                error.message,
                path,
                offset=error.offset,
                length=error.length,
                hint="templates are Go's text/template between << and >>",
            )
            return None

    def location(self, path: Path) -> Location:
        """Return where a key is written."""
        return self.file.source.locate(path)

    def report(
        self,
        code: str,
        severity: Severity,
        message: str,
        path: Path,
        *,
        hint: str = "",
        offset: int = 0,
        length: int | None = None,
    ) -> None:
        """Add a problem of the rule in hand; an error makes it fail."""
        self.failed = self.failed or severity is Severity.ERROR
        where = self.file.source.locate(path, offset=offset, length=length)
        self.problems.append(
            Problem(code=code, severity=severity, message=message, location=where, hint=hint, rule=self.rule_id)
        )

    def association(self, path: Path, written: Resources | None) -> Association | None:
        """Return what a rule maps, None if its template is wrong, which is reported."""
        if written is None:
            return Association()
        template = self._label_template((*path, "template"), written.template)
        if written.template and template is None:
            return None
        overrides = tuple(
            (label, GroupResource(resource=one.resource, group=one.group)) for label, one in written.overrides.items()
        )
        for label, resource in overrides:
            if self.terms.kinds.resolve(resource) is None:
                self.report(
                    "association/unknown-resource",
                    Severity.WARNING,
                    f'no kind of object is called "{resource}"; the label "{label}" names nothing until there is one',
                    (*path, "overrides", label),
                    hint="resource is the singular or plural name, group is what follows the first dot",
                )
        return Association(overrides=overrides, template=template)

    def _label_template(self, path: Path, text: str) -> LabelTemplate | None:
        template = self.template(path, text)
        if template is None:
            return None
        try:
            return label_template(template)
        except (ValueError, TemplateRunError) as error:
            self.report("association/template", Severity.ERROR, str(error), path, hint='for example "<<.Resource>>"')
            return None
