"""What can be said on the command line of `tidegauge rbac`, and what of it makes no sense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from adapter.cli.manifest_format import Extent
from adapter.cli.usage import UsageError
from adapter.kube.rbac_documents import Account

# Names as kube-apiserver takes them: RFC 1123 labels and subdomains; roles may have colons besides.
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ROLE: Final = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9]([-A-Za-z0-9:._]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacOptions:
    """What the roles are called, who gets them, and which are wanted; empty text means not given."""

    name: str = "tidegauge"
    namespace: str = "custom-metrics"
    service_account: str = "tidegauge"
    extent: Extent = Extent.ALL
    kinds: tuple[str, ...] = ()  # what templates of labels stand for
    certificate: str = ""  # NAMESPACE/SERVICE
    certificate_secret: str = ""
    reader: str = ""  # NAME, or NAMESPACE/ACCOUNT
    metrics: tuple[str, ...] = ()  # of the reader

    @property
    def account(self) -> Account:
        """Return who the adapter is."""
        return Account(namespace=self.namespace, name=self.service_account)


def check_options(options: RbacOptions) -> None:
    """Refuse what kube-apiserver would refuse, and options that contradict each other; a UsageError says why."""
    for flag, pattern, text in (
        ("--name", _ROLE, options.name),
        ("--namespace", _LABEL, options.namespace),
        ("--service-account", _SUBDOMAIN, options.service_account),
    ):
        if not pattern.fullmatch(text):
            raise UsageError(f'{flag}: Kubernetes allows no such name as "{text}"')
    namespace, _, service = options.certificate.partition("/")
    if options.certificate and not (_LABEL.fullmatch(namespace) and _LABEL.fullmatch(service)):
        raise UsageError(f'--self-managed-certificate: "{options.certificate}" is not NAMESPACE/SERVICE')
    if options.certificate_secret and not options.certificate:
        raise UsageError("--self-managed-certificate-secret is of no use without --self-managed-certificate")
    if options.certificate_secret and not _SUBDOMAIN.fullmatch(options.certificate_secret):
        raise UsageError(f'--self-managed-certificate-secret: no Secret can be called "{options.certificate_secret}"')
    reader_namespace, slash, reader = options.reader.rpartition("/")
    if options.reader and not (_SUBDOMAIN if slash else _ROLE).fullmatch(reader):
        raise UsageError(f'--reader: "{options.reader}" is neither a NAME nor NAMESPACE/ACCOUNT')
    if slash and not _LABEL.fullmatch(reader_namespace):
        raise UsageError(f'--reader: no namespace can be called "{reader_namespace}"')
    if options.metrics and not options.reader:
        raise UsageError("--metric narrows what a reader may read: give --reader, too")
    if options.reader and (options.certificate or options.extent is Extent.OBJECTS):
        raise UsageError("--reader prints a consumer's role alone: leave out --for and --self-managed-certificate")
