"""The certificate that the server shows, and how it speaks TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from adapter.config.problems import ConfigError
from adapter.server.self_signed import is_ours, make_pair
from adapter.server.sni import FLAG, ByName, Choice, NamedPair, names_of, read_pair
from adapter.server.tls_limits import limited_context, refused

_log = logging.getLogger("adapter.server")

# The names of the files are those of k8s.io/apiserver.
_CERTIFICATE, _KEY = "apiserver.crt", "apiserver.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """What the flags `--tls-*` and `--cert-dir` say; without a certificate file one is made in `cert_dir`."""

    cert_file: str = ""
    private_key_file: str = ""
    cert_dir: str = "apiserver.local.config/certificates"
    min_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    named: tuple[str, ...] = ()  # certificate,key:name,... each


class _EncryptedKeyError(Exception):
    """A private key that only a pass phrase opens; OpenSSL would ask for it on the terminal."""


class ServerTls:
    """A context for the server, and the files that its certificate comes from."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        certificate: str,
        key: str,
        clock: Callable[[], float],
        renew: Callable[[], None] | None = None,
        flag: str = "--tls-cert-file",
    ) -> None:
        """`renew` makes a new pair of the files if they are ours to make, and raises OSError."""
        self.context = context
        self.leaf: x509.Certificate | None = None  # the one that is shown
        self._flag = flag
        self._files = (certificate, key)
        self._clock = clock
        self._renew = renew
        self._stamp: tuple[int, ...] = ()
        self._told = ""

    def reload(self) -> bool:
        """Show the certificate of the files to whoever connects from now on; return whether they had changed.

        One that has expired is made anew if it is ours, and told once. Raises ConfigError, and keeps what was shown
        before, while the files cannot be loaded or do not belong together.
        """
        trouble = self._trouble()
        has_changed = self._load()
        if trouble and trouble != self._told:
            _log.warning("%s", trouble)
        self._told = trouble
        return has_changed

    def _load(self) -> bool:
        certificate, key = self._files
        try:
            stamp = tuple(Path(file).stat().st_mtime_ns for file in self._files)
            if stamp == self._stamp:
                return False
            # into a context of its own first: one that fails half way would have lost the certificate it had
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                context.load_cert_chain(certificate, key, _no_pass_phrase)
        except _EncryptedKeyError:
            message, hint = f"the key in {key} is encrypted", "give a key without a pass phrase"
            flag = "--tls-private-key-file" if self._flag == "--tls-cert-file" else self._flag
            raise refused(flag, message, hint=hint) from None
        except (OSError, ssl.SSLError) as error:
            raise refused(self._flag, f"cannot load {certificate} and {key}: {error}") from error
        self._stamp, self.leaf = stamp, _leaf(certificate)
        return True

    def _trouble(self) -> str:
        """Return what keeps clients from trusting the certificate today; one of ours is made anew."""
        leaf = _leaf(self._files[0])
        if leaf is None:
            return ""
        now = datetime.fromtimestamp(self._clock(), UTC)
        if now < leaf.not_valid_before_utc:
            return f"the certificate in {self._files[0]} is not valid before {leaf.not_valid_before_utc.isoformat()}"
        if now <= leaf.not_valid_after_utc:
            return ""
        expired = f"the certificate in {self._files[0]} has expired on {leaf.not_valid_after_utc.isoformat()}"
        if self._renew is None or not is_ours(leaf):
            return expired
        try:
            self._renew()
        except OSError as error:
            return f"{expired}, and another one cannot be written: {error}"
        return f"{expired}, so another one was made"


def _no_pass_phrase() -> str:
    raise _EncryptedKeyError


def _leaf(file: str) -> x509.Certificate | None:
    """Return the certificate that a file begins with, None if it holds none; loading it says why."""
    try:
        return x509.load_pem_x509_certificates(Path(file).read_bytes())[0]
    except (OSError, ValueError):
        return None


class Tls:
    """How the server speaks TLS: with the certificate for everybody, and those for names."""

    def __init__(self, default: ServerTls, named: Sequence[ServerTls] = ()) -> None:
        """The first one is shown to who wants no name, or one of nobody."""
        self._default = default
        self._all = (default, *named)

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context that connections begin with."""
        return self._default.context

    @property
    def contexts(self) -> tuple[ssl.SSLContext, ...]:
        """Return all contexts; what clients are asked for has to be told to each."""
        return tuple(one.context for one in self._all)

    def reload(self) -> bool:
        """Reload each certificate, as `ServerTls.reload`; one that cannot be hinders no other."""
        changed = False
        failed: list[ConfigError] = []
        for one in self._all:
            try:
                changed |= one.reload()
            except ConfigError as error:
                failed.append(error)
        if failed:
            raise ConfigError(tuple(problem for error in failed for problem in error.problems))
        return changed


def server_tls(options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> Tls:
    """Return how the server speaks TLS; raises ConfigError that names the flag.

    `clock` gives seconds since 1970, for the life of a certificate.
    """

    def context() -> ssl.SSLContext:
        return limited_context(options.min_version, options.cipher_suites)

    default = _shown(context(), options, bind_address=bind_address, clock=clock)
    pairs = [read_pair(text) for text in options.named]
    named = [ServerTls(context(), certificate=pair.certificate, key=pair.key, clock=clock, flag=FLAG) for pair in pairs]
    by_name = ByName([_choice(pair, one) for pair, one in zip(pairs, named, strict=True)])
    if named:
        by_name.install(default.context)
    tls = Tls(default, named)
    tls.reload()
    return tls


def _choice(pair: NamedPair, tls: ServerTls) -> Choice:
    return Choice(context=tls.context, patterns=pair.patterns, names=lambda: names_of(tls.leaf))


def _shown(context: ssl.SSLContext, options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> ServerTls:
    """Return what shows the given certificate, the one of an earlier start, or a new one."""
    given = (options.cert_file, options.private_key_file)
    if all(given):
        return ServerTls(context, certificate=given[0], key=given[1], clock=clock)
    if any(given):
        raise refused("--tls-cert-file", "--tls-cert-file and --tls-private-key-file must be given together")
    folder = Path(options.cert_dir)
    certificate, key = folder / _CERTIFICATE, folder / _KEY

    def renew() -> None:
        make_pair(certificate, key, bind_address=bind_address, now_seconds=clock())

    if certificate.exists() != key.exists():
        raise refused("--cert-dir", f"{certificate} and {key} must be there together, or neither of them")
    if not certificate.exists():
        try:
            renew()
        except OSError as error:
            hint = "give a directory that can be written, or --tls-cert-file and --tls-private-key-file"
            raise refused("--cert-dir", f"cannot write a certificate: {error}", hint=hint) from error
    return ServerTls(context, certificate=str(certificate), key=str(key), clock=clock, renew=renew)
