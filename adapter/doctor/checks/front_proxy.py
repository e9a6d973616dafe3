"""Whether the adapter recognises kube-apiserver: the ConfigMap, the flags, and how it was answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from adapter.config.settings import Settings
from adapter.doctor.certificates import certificates_of, subject_of
from adapter.doctor.documents import words
from adapter.doctor.facts import Facts, Reply, Unknown
from adapter.doctor.findings import Notes, Outcome

_PLACE: Final = "kube-system/extension-apiserver-authentication"
_CA: Final = "requestheader-client-ca-file"
# What kube-apiserver says of an extension server that turned it away, in the condition and in a refusal.
_REFUSED: Final = re.compile(r"bad status from \S+: 401\b")
_ANONYMOUS: Final = re.compile(r"bad status from \S+: 403\b")
# These lists, as the ConfigMap and the flags name them.
_LISTS: Final = (
    ("requestheader-allowed-names", "requestheader_allowed_names"),
    ("requestheader-username-headers", "requestheader_username_headers"),
    ("requestheader-group-headers", "requestheader_group_headers"),
    ("requestheader-extra-headers-prefix", "requestheader_extra_headers_prefix"),
)
_UNAUTHORIZED: Final = 401


def look(facts: Facts) -> Outcome:
    """Look at what kube-apiserver publishes, at the flags that take its place, and at who was turned away."""
    notes = Notes()
    data = facts.front_proxy
    if isinstance(data, Unknown):
        notes.skip(f"the ConfigMap {_PLACE}", data)
    elif data is None:
        notes.find("front-proxy/configmap", f"there is no ConfigMap {_PLACE}")
    elif not certificates_of(data.get(_CA, "").encode()):
        notes.find("front-proxy/no-authority", f"the ConfigMap {_PLACE} names no front proxy", seen=(f"no {_CA}",))
    if not isinstance(facts.settings, Unknown):
        _look_at_flags(notes, facts.settings, facts)
    _look_at_refusals(notes, facts)
    names = _names(data, "requestheader-allowed-names") if isinstance(data, Mapping) else ()
    return notes.outcome(f"allowed names: {', '.join(names) or 'any'}" if isinstance(data, Mapping) else "")


def _look_at_flags(notes: Notes, settings: Settings, facts: Facts) -> None:
    data = facts.front_proxy
    if not settings.requestheader_client_ca_file or not isinstance(data, Mapping):
        return  # without that flag none of the others counts
    published = certificates_of(data.get(_CA, "").encode())
    given = facts.files.get(settings.requestheader_client_ca_file, Unknown(reason="its volume was not looked at"))
    cure = ("leave the --requestheader-* flags out: the ConfigMap says the same, and follows kube-apiserver",)
    if isinstance(given, Unknown):
        notes.skip(f"--{_CA}", given)
    elif given is None or not certificates_of(given):
        path = settings.requestheader_client_ca_file
        notes.find("front-proxy/flags", f"--{_CA} names {path}, which holds no certificate", cure=cure)
    elif published and not set(published) & set(certificates_of(given)):
        seen = (
            f"the flag: {', '.join(map(subject_of, certificates_of(given)[:5]))}",
            f"kube-apiserver: {', '.join(map(subject_of, published[:5]))}",
        )
        notes.find("front-proxy/flags", f"--{_CA} holds another authority than kube-apiserver's", seen=seen, cure=cure)
    for key, attribute in _LISTS:
        _compare(notes, key, getattr(settings, attribute), _names(data, key), cure)


def _compare(notes: Notes, key: str, given: tuple[str, ...], published: tuple[str, ...], cure: tuple[str, ...]) -> None:
    if key == "requestheader-allowed-names":
        contradict = bool(given) and not (set(given) & set(published) if published else True)
    else:
        contradict = not {one.lower() for one in published} <= {one.lower() for one in given}
    if contradict:
        seen = (f"the flag: {', '.join(given) or 'none'}", f"kube-apiserver: {', '.join(published) or 'none'}")
        notes.find("front-proxy/flags", f"--{key} is not what kube-apiserver uses", seen=seen, cure=cure)


def _names(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        return words(json.loads(data.get(key, "") or "[]"))
    except (ValueError, RecursionError):
        return ()


def _look_at_refusals(notes: Notes, facts: Facts) -> None:
    if isinstance(facts.api_services, Unknown):
        return
    for one in facts.api_services.values():
        if one.service != facts.target:
            continue
        state = one.available
        said = state.message if state is not None and state.status != "True" else ""
        reply = facts.apis.get(one.name, Reply(status=0))
        if _REFUSED.search(said) or reply.status == _UNAUTHORIZED:
            seen = (said or f"discovery of {one.name} is answered with {reply.status}: {reply.text[:200]}",)
            notes.find("front-proxy/refused", "the adapter turns kube-apiserver away", seen=seen)
        elif _ANONYMOUS.search(said):
            notes.find("front-proxy/anonymous", "the adapter takes kube-apiserver for nobody", seen=(said,))
