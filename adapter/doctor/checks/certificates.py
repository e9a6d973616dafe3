"""Whether kube-apiserver can verify the certificate that the adapter serves with."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from adapter.doctor.certificates import certificates_of, is_for, is_trusted, issuer_of, names_of, subject_of
from adapter.doctor.facts import ApiService, Facts, Served, Unknown
from adapter.doctor.findings import Notes, Outcome, skipped

# Everything that renews certificates does so when a third of the life is left (cert-manager, and the adapter itself):
# with a tenth left it has failed for long.
_LEFT: Final = 1 / 10
# What Go's crypto/x509 says, as it comes in the condition of an APIService.
_SAID: Final = (
    (re.compile(r"x509: certificate signed by unknown authority"), "certificate/untrusted"),
    (re.compile(r"x509: certificate is (?:valid for|not valid for any)|doesn't contain any IP SANs|legacy Common Name"),
     "certificate/name"),
    (re.compile(r"x509: certificate has expired or is not yet valid: current time \S+ is before"),
     "certificate/not-yet-valid"),
    (re.compile(r"x509: certificate has expired"), "certificate/expired"),
)  # fmt: skip


def look(facts: Facts) -> Outcome:
    """Compare the certificate with the bundles of the APIServices, its names, and the time."""
    if isinstance(facts.api_services, Unknown):
        return skipped(facts.api_services)
    ours = [one for one in facts.api_services.values() if one.service == facts.target]
    if not ours:
        return Outcome(skipped=("no APIService leads to the adapter",))
    notes = Notes()
    for one in ours:
        _look_at_bundle(notes, one, facts.now)
    served = facts.served
    if isinstance(served, Unknown) or served is None:
        why = served or Unknown(reason="the adapter makes it itself, in a folder of the pod")
        _read_words(notes, ours)
        if not notes.findings and not all(one.insecure for one in ours):
            notes.skip("the certificate that is served", why)
        return notes.outcome("not verified (insecureSkipTLSVerify)" if all(one.insecure for one in ours) else "")
    chain = certificates_of(served.pem)
    if not chain:
        notes.skip("the certificate that is served", Unknown(reason=f"{served.where} holds none that can be read"))
        _read_words(notes, ours)
        return notes.outcome()
    verified = [one for one in ours if not one.insecure]
    if verified:
        _look_at_times(notes, chain[0], facts.now, served.where)
        _look_at_name(notes, chain[0], facts, served.where)
        _look_at_trust(notes, chain, verified, served)
        if not any(one.code.startswith("certificate/") for one in notes.findings):
            _read_words(notes, verified)
    until = chain[0].not_valid_after_utc.date().isoformat()
    return notes.outcome(f"{served.where}, until {until}")


def _look_at_bundle(notes: Notes, one: ApiService, now: datetime) -> None:
    if one.insecure:
        return
    if not one.bundle:
        notes.find("certificate/no-bundle", f"the APIService {one.name} has neither caBundle nor insecureSkipTLSVerify")
        return
    bundle = certificates_of(one.bundle)
    if not bundle:
        notes.find("certificate/bundle", f"the caBundle of the APIService {one.name} cannot be read")
    elif all(found.not_valid_after_utc < now for found in bundle):
        ends = max(found.not_valid_after_utc for found in bundle)
        message = f"the authority in the caBundle of the APIService {one.name} has expired"
        notes.find("certificate/expired", message, seen=(f"it ended {_shown(ends)}",))


def _look_at_times(notes: Notes, leaf: x509.Certificate, now: datetime, where: str) -> None:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    seen = (f"{subject_of(leaf)} ({where})", f"from {_shown(begins)} until {_shown(ends)}")
    if ends < now:
        notes.find("certificate/expired", "the serving certificate has expired", seen=seen)
    elif begins > now:
        notes.find("certificate/not-yet-valid", "the serving certificate is not valid yet", seen=seen)
    elif ends - now < (ends - begins) * _LEFT:
        message = f"the serving certificate ends in {_days(ends - now)}"
        notes.find("certificate/expires-soon", message, seen=seen)


def _days(left: timedelta) -> str:
    hours = int(left.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"  # noqa: PLR2004 - two days


def _look_at_name(notes: Notes, leaf: x509.Certificate, facts: Facts, where: str) -> None:
    if isinstance(facts.target, Unknown):
        return
    name = f"{facts.target.name}.{facts.target.namespace}.svc"
    if not is_for(leaf, name):
        has = ", ".join(names_of(leaf)[:10]) or "none"
        notes.find(
            "certificate/name", f"the serving certificate is not for {name}", seen=(f"its names: {has} ({where})",)
        )


def _look_at_trust(notes: Notes, chain: tuple[x509.Certificate, ...], ours: list[ApiService], served: Served) -> None:
    where, whole = served.where, served.whole
    for one in ours:
        bundle = certificates_of(one.bundle)
        if bundle and not is_trusted(chain, bundle) and (whole or _is_final(chain[0], bundle)):
            notes.find(
                "certificate/untrusted",
                f"the caBundle of the APIService {one.name} does not stand for the serving certificate",
                seen=(
                    f"the certificate is signed by {issuer_of(chain[0])} ({where})",
                    f"the bundle has {', '.join(map(subject_of, bundle[:5]))}",
                ),
                cure=(f"kubectl get apiservice {one.name} -o jsonpath='{{.spec.caBundle}}' | base64 -d",),
            )


def _is_final(leaf: x509.Certificate, bundle: tuple[x509.Certificate, ...]) -> bool:
    """Say whether no certificate in between can help: it signed itself, or its issuer is in the bundle by name."""
    return leaf.issuer == leaf.subject or any(leaf.issuer == one.subject for one in bundle)


def _read_words(notes: Notes, ours: list[ApiService]) -> None:
    """Take kube-apiserver's own words where nobody else can say, or where they say more."""
    for one in ours:
        state = one.available
        said = state.message if state is not None and state.status != "True" else ""
        code = next((code for pattern, code in _SAID if pattern.search(said)), "")
        if code:
            notes.find(
                code, f"kube-apiserver does not accept the certificate behind the APIService {one.name}", seen=(said,)
            )


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
