"""Which Prometheus is in force: the one of the flag, else the only one that the files name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from adapter.clients.options import PrometheusOptions
from adapter.config.load import Loaded, LoadedFile
from adapter.config.problems import Problem, Severity
from adapter.config.schema import BackendEntry
from adapter.config.settings import Settings

DEFAULT = "default"  # what the backend of --prometheus-url is called


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The backend in force, how to reach it, and what is odd about the choice."""

    name: str
    options: PrometheusOptions
    partial_response_allowed: bool = False
    problems: tuple[Problem, ...] = ()

    def same_backend(self, other: Choice) -> bool:
        """Say whether the other choice is the same server, reached in the same way."""
        return (self.name, self.options, self.partial_response_allowed) == (
            other.name,
            other.options,
            other.partial_response_allowed,
        )


def choose_backend(settings: Settings, loaded: Loaded) -> Choice:
    """Return the backend that serves: --prometheus-url, or without that flag the only entry of `backends`.

    Several entries without the flag are an error among the problems: nobody could say which one is meant.
    """
    entries = [(file, name, entry) for file in loaded.files for name, entry in file.model.backends.items()]
    if settings.prometheus_url_given or not entries:
        return Choice(name=DEFAULT, options=_options(settings))
    if len(entries) > 1:
        return Choice(name=DEFAULT, options=_options(settings), problems=tuple(_too_many(entries)))
    _, name, entry = entries[0]
    return Choice(
        name=name,
        options=_of_entry(_options(settings), name, entry),
        partial_response_allowed=entry.partial_response == "allow",
    )


def _options(settings: Settings) -> PrometheusOptions:
    return PrometheusOptions(
        name=DEFAULT,
        url=settings.prometheus_url,
        headers=settings.prometheus_headers,
        verb=settings.prometheus_verb,
        ca_file=settings.prometheus_ca_file,
        client_cert_file=settings.prometheus_client_tls_cert_file,
        client_key_file=settings.prometheus_client_tls_key_file,
        token_file=settings.prometheus_token_file,
        auth_incluster=settings.prometheus_auth_incluster,
        auth_config=settings.prometheus_auth_config,
        timeout_seconds=settings.prometheus_timeout_seconds,
        max_connections=settings.prometheus_max_connections,
        max_answer_bytes=settings.prometheus_max_answer_bytes,
    )


def _of_entry(flags: PrometheusOptions, name: str, entry: BackendEntry) -> PrometheusOptions:
    """Return the options of an entry; where it says nothing, the flags do."""
    return replace(
        flags,
        name=name,
        url=entry.url,
        headers=(*flags.headers, *entry.headers.items()),
        params=tuple(entry.params.items()),
        verb=entry.verb or flags.verb,
        ca_file=entry.ca_file or flags.ca_file,
        client_cert_file=entry.client_cert_file or flags.client_cert_file,
        client_key_file=entry.client_key_file or flags.client_key_file,
        token_file=entry.bearer_token_file or flags.token_file,
        timeout_seconds=entry.timeout or flags.timeout_seconds,
        max_connections=entry.max_connections or flags.max_connections,
        max_answer_bytes=entry.max_answer_bytes or flags.max_answer_bytes,
    )


def _too_many(entries: list[tuple[LoadedFile, str, BackendEntry]]) -> Iterator[Problem]:
    for file, name, _ in entries[1:]:
        yield Problem(
            code="backend/several",
            severity=Severity.ERROR,
            message=f'"{name}" is one of {len(entries)} backends, and nothing says which one serves',
            location=file.source.locate_key(("backends", name)),
            hint="give --prometheus-url, or keep one entry",
        )
