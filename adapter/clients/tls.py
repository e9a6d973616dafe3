"""TLS contexts from certificates in memory."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import httpx

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class NoAuthoritiesError(ValueError):
    """There is no certificate to trust in what should hold some; the words are prometheus-adapter's."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("no certs found in prometheus-ca-file" + (f": {detail}" if detail else ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsMaterial:
    """What a context is made of, all of it PEM; without `authorities` those of the system are trusted."""

    authorities: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    verify: bool = True


def tls_context(material: TlsMaterial) -> ssl.SSLContext:
    """Return a client's context for TLS 1.2 and later.

    Raises:
        NoAuthoritiesError: there is no certificate among the authorities.
        ValueError: certificate and key cannot be used together.
    """
    context = _trusting_system() if material.authorities is None else _trusting(material.authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not material.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if material.certificate is not None and material.key is not None:
        _load_certificate(context, material.certificate, material.key)
    return context


def _trusting(authorities: bytes) -> ssl.SSLContext:
    """Trust the certificates of a PEM bundle, and read nothing else in it: comments may be in any encoding."""
    blocks = _CERTIFICATE.findall(authorities)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As Go does: an intermediate authority, or the server's own certificate, may be all there is in the bundle.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=b"\n".join(blocks).decode("ascii"))
    except ValueError as error:  # an empty text, or one that is not ASCII
        raise NoAuthoritiesError from error
    except ssl.SSLError as error:
        raise NoAuthoritiesError(error.reason or str(error)) from error
    return context


def _trusting_system() -> ssl.SSLContext:
    """Trust what the system trusts (SSL_CERT_FILE and SSL_CERT_DIR too), or the bundle that comes with httpx."""
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        return httpx.create_ssl_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    try:
        with _as_file(certificate) as certificate_path, _as_file(key) as key_path:
            context.load_cert_chain(certificate_path, key_path, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(f"the client certificate and its key cannot be used: {error.reason or error}") from error


def _no_password() -> NoReturn:
    """Refuse an encrypted key: OpenSSL would ask for the password at the terminal."""
    raise ValueError("the key of the client certificate is encrypted, which is not supported")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Lend a path to bytes, since OpenSSL takes certificates from files only; on Linux they never touch a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    descriptor, path = tempfile.mkstemp()  # readable by its owner only
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        yield path
    finally:
        Path(path).unlink()
