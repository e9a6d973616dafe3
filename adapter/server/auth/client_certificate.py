"""Who a client certificate names: the common name is the user, the organizations are the groups."""

from __future__ import annotations

from typing import Final

from adapter.server.auth.certificates import Bundle, InvalidCertificateError, Verifier
from adapter.server.auth.users import ABSENT, Accepted, Outcome, Refused, User

_KIND: Final = "client_certificate"
_CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"


def certificate_user(certificate: bytes | None, trusted: Bundle | None, verifier: Verifier) -> Outcome:
    """Return whom a certificate names, if one of the clients' authorities signed it."""
    if certificate is None or trusted is None:
        return ABSENT
    try:
        verified = verifier.verify(certificate, trusted)
    except InvalidCertificateError as error:
        return Refused(kind=_KIND, reason=str(error))
    if not verified.common_name:
        return ABSENT
    extra = {_CREDENTIAL_ID: (f"X509SHA256={verified.fingerprint}",)}
    return Accepted(kind=_KIND, user=User(name=verified.common_name, groups=verified.organizations, extra=extra))
