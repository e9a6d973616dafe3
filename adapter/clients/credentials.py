"""Who we are for a Prometheus and whom we trust, always as the files of flags, kubeconfig and pod are now."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from adapter.clients.files import FileFaultError, LastGood, WatchedFile
from adapter.clients.options import PrometheusOptions
from adapter.clients.tls import NoAuthoritiesError, TlsMaterial, tls_context
from adapter.config.kubeconfig import Kubeconfig, read_kubeconfig
from adapter.config.problems import ConfigError, Location, Problem, Severity

# A bearer token is printable ASCII without spaces (RFC 6750 section 2.1 allows less); else it would break the header.
_TOKEN: Final = re.compile(r"[!-~]+")

Piece = WatchedFile | bytes
_MakePiece = Callable[[str | Path | bytes | None], Piece | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a call needs; two are equal when nothing has changed between them."""

    authorization: str | None = field(repr=False)  # the value of the header
    context: ssl.SSLContext
    server_name: str  # the name that the server's certificate must have, empty for the host's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """Where each piece comes from, after the order of precedence was applied."""

    authorities: Piece | None = None
    certificate: Piece | None = None
    key: Piece | None = None
    verify: bool = True
    server_name: str = ""
    token: Piece | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)


class Credentials:
    """Knows the identity of this moment."""

    def __init__(self, options: PrometheusOptions) -> None:
        """Read everything once.

        Raises:
            OSError: a file cannot be read.
            ValueError: the options contradict each other, or a file holds nothing that can be used.
        """
        _refuse_contradictions(options)
        self._options = options
        self._own_header = any(name.lower() == "authorization" for name, _ in options.headers)
        self._watched: dict[Path, WatchedFile] = {}
        self._kubeconfig = self._file(options.auth_config) if options.auth_config else None
        self._combined: tuple[bytes, _Sources] | None = None  # from which kubeconfig, and what came of it
        self._built: tuple[TlsMaterial, ssl.SSLContext] | None = None
        self._sources = LastGood(self._read_sources, what="kubeconfig")
        self._context = LastGood(self._read_context, what="TLS certificates")
        self._authorization = LastGood(self._read_authorization, what="token")

    def now(self) -> Identity:
        """Return the identity; its context is another object when a certificate has changed."""
        return Identity(
            authorization=self._authorization.now(),
            context=self._context.now(),
            server_name=self._sources.now().server_name,
        )

    def read_again(self) -> Identity:
        """Return the identity after reading every file, whether it seems to have changed or not."""
        for file in self._watched.values():
            file.forget()
        return self.now()

    # ---- what the last good values are made of

    def _read_sources(self) -> _Sources:
        content = self._kubeconfig.read() if self._kubeconfig is not None else b""
        if self._combined is None or self._combined[0] != content:
            self._combined = (content, _combine(self._options, self._read_kubeconfig(content), self._piece))
        return self._combined[1]

    def _read_kubeconfig(self, content: bytes) -> Kubeconfig:
        if self._kubeconfig is None:
            return Kubeconfig()
        path = self._kubeconfig.path
        try:
            return read_kubeconfig(content.decode(), directory=path.parent)
        except UnicodeDecodeError:
            raise FileFaultError(path, "it is not UTF-8") from None
        except ValueError as error:
            raise FileFaultError(path, str(error)) from error

    def _read_context(self) -> ssl.SSLContext:
        sources = self._sources.now()
        material = TlsMaterial(
            authorities=_content(sources.authorities),
            certificate=_content(sources.certificate),
            key=_content(sources.key),
            verify=sources.verify,
        )
        if self._built is None or self._built[0] != material:
            try:
                self._built = (material, tls_context(material))
            except NoAuthoritiesError as error:
                raise FileFaultError(_path(sources.authorities), str(error)) from error
            except ValueError as error:
                raise FileFaultError(_path(sources.certificate), str(error)) from error
        return self._built[1]

    def _read_authorization(self) -> str | None:
        sources = self._sources.now()
        if self._own_header:
            return None
        if sources.basic is not None:
            return "Basic " + base64.b64encode(":".join(sources.basic).encode()).decode()
        token = _content(sources.token)
        return None if token is None else f"Bearer {_token(token, _path(sources.token))}"

    # ---- pieces

    def _piece(self, source: str | Path | bytes | None) -> Piece | None:
        match source:
            case None | "" | b"":
                return None
            case bytes():
                return source
            case _:
                return self._file(source)

    def _file(self, path: str | Path) -> WatchedFile:
        """Return the one reader of a path, so that what was read stays known when the sources are combined again."""
        return self._watched.setdefault(Path(path), WatchedFile(Path(path)))


def open_credentials(options: PrometheusOptions) -> Credentials:
    """Return the credentials that the options name.

    Raises:
        ConfigError: a file cannot be read or used, or the options contradict each other.
    """
    try:
        return Credentials(options)
    except OSError as error:
        raise refusal((error.strerror or str(error)).lower(), str(error.filename or options.name)) from error
    except FileFaultError as error:
        raise refusal(error.fault, str(error.path or options.name)) from error
    except ValueError as error:
        raise refusal(str(error), options.name) from error


def refusal(message: str, file: str) -> ConfigError:
    """Return the error that ends the start: options that no client can be built from."""
    problem = Problem(
        code="backend/credentials",
        severity=Severity.ERROR,
        message=message,
        location=Location(file=file),
        hint="certificates and keys are PEM files, a token file holds one token and nothing else",
    )
    return ConfigError((problem,))


def _combine(options: PrometheusOptions, known: Kubeconfig, piece: _MakePiece) -> _Sources:
    """Apply the order of precedence that PrometheusOptions promises."""
    account = Path(options.service_account_directory) if options.auth_incluster else None
    token = options.token_file or known.token_file or known.token.encode() or (account and account / "token")
    certificate, key = (
        (options.client_cert_file, options.client_key_file)
        if options.client_cert_file
        else (known.certificate, known.key)
    )
    basic = _user_of(options.url)
    if basic is None and known.username and not token:
        basic = (known.username, known.password)
    return _Sources(
        authorities=piece(options.ca_file or known.authorities or _existing(account, "ca.crt")),
        certificate=piece(certificate),
        key=piece(key),
        verify=known.verify or bool(options.ca_file),
        server_name=known.server_name,
        token=piece(token),
        basic=basic,
    )


def _refuse_contradictions(options: PrometheusOptions) -> None:
    if options.auth_incluster and options.auth_config:
        raise ValueError("may not use both in-cluster auth and an explicit kubeconfig at the same time")
    if bool(options.client_cert_file) != bool(options.client_key_file):
        raise ValueError("a client certificate and its key are given together or not at all")


def _user_of(url: str) -> tuple[str, str] | None:
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def _existing(directory: Path | None, name: str) -> Path | None:
    """Return a file of the service account; client-go goes on without the CA when there is none."""
    path = directory / name if directory is not None else None
    return path if path is not None and path.exists() else None


def _content(piece: Piece | None) -> bytes | None:
    return piece.read() if isinstance(piece, WatchedFile) else piece


def _path(piece: Piece | None) -> Path | None:
    return piece.path if isinstance(piece, WatchedFile) else None


def _token(content: bytes, path: Path | None) -> str:
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise FileFaultError(path, "there is no token in it")
    if not _TOKEN.fullmatch(text):
        raise FileFaultError(path, "the token has spaces or other characters that no token has")
    return text
