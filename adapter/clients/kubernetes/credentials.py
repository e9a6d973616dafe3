"""Who we are for kube-apiserver, always as the files, and the exec plugin, have it now."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from adapter.clients.files import FileFaultError, LastGood, WatchedFile
from adapter.clients.kubernetes.access import Access
from adapter.clients.kubernetes.exec_login import ExecLogin
from adapter.clients.kubernetes.exec_plugin import ExecCredential, ExecPluginError
from adapter.clients.tls import NoAuthoritiesError, TlsMaterial, tls_context

# A bearer token is printable ASCII without spaces (RFC 6750 section 2.1 allows less); else it would break the header.
_TOKEN: Final = re.compile(r"[!-~]+")
_NOTHING: Final = ExecCredential()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a call needs: headers, and a TLS context, which is another object when a certificate has changed."""

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    context: ssl.SSLContext
    given: ExecCredential = field(default=_NOTHING, repr=False)  # the part that an exec plugin gave


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """A context and what it was made of."""

    material: TlsMaterial
    context: ssl.SSLContext


class ClusterCredentials:
    """Knows the identity of this moment."""

    def __init__(self, access: Access, login: ExecLogin | None) -> None:
        """Read every file once.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file holds nothing that can be used.
        """
        self._access = access
        self._login = login
        self._watched: dict[Path, WatchedFile] = {}
        self._built: _Trust | None = None
        self._given: _Trust | None = None
        self._token = LastGood(self._read_token, what="kube-apiserver's token")
        self._own = LastGood(self._read_own, what="kube-apiserver's TLS certificates")

    async def now(self) -> Identity:
        """Return the identity.

        Raises:
            ExecPluginError: the exec plugin gives none.
        """
        given = await self._login.credential() if self._login is not None else _NOTHING
        own = self._own.now()
        try:
            context = own.context if given.certificate is None else self._given_context(own.material, given)
            headers = self._headers(given)
        except ValueError as error:
            raise ExecPluginError(f"what the exec plugin gave cannot be used: {error}") from error
        return Identity(headers=headers, context=context, given=given)

    async def after_refusal(self, used: Identity) -> Identity | None:
        """Return another identity than the one that was not accepted, None if there is none.

        Raises:
            ExecPluginError: the exec plugin gives none.
        """
        for file in self._watched.values():
            file.forget()
        if self._login is not None:
            self._login.refuse(used.given)
        found = await self.now()
        return None if (found.headers, found.context) == (used.headers, used.context) else found

    async def close(self) -> None:
        """End a run of the exec plugin that is under way."""
        if self._login is not None:
            await self._login.close()

    # ---- what an identity is made of

    def _headers(self, given: ExecCredential) -> tuple[tuple[str, str], ...]:
        authorization = ""
        if token := self._token.now() or _token(given.token.encode(), None):
            authorization = f"Bearer {token}"
        elif self._access.basic is not None:
            authorization = "Basic " + base64.b64encode(":".join(self._access.basic).encode()).decode()
        own = (("Authorization", authorization),) if authorization else ()
        return (*own, *self._access.impersonation)

    def _read_token(self) -> str:
        match self._access.token:
            case None:
                return ""
            case Path() as path:
                token = _token(self._file(path).read(), path)
                if not token:
                    raise FileFaultError(path, "there is no token in it")
                return token
            case content:
                return _token(content, None)

    def _read_own(self) -> _Trust:
        """Return the context of the files as they are; a pair that is half renewed fails, and the last good stays."""
        material = TlsMaterial(
            authorities=self._content(self._access.authorities),
            certificate=self._content(self._access.certificate),
            key=self._content(self._access.key),
            verify=self._access.verify,
        )
        if self._built is None or self._built.material != material:
            self._built = self._trust(material)
        return self._built

    def _given_context(self, own: TlsMaterial, given: ExecCredential) -> ssl.SSLContext:
        material = replace(own, certificate=given.certificate, key=given.key)
        if self._given is None or self._given.material != material:
            self._given = self._trust(material)
        return self._given.context

    def _trust(self, material: TlsMaterial) -> _Trust:
        try:
            return _Trust(material=material, context=tls_context(material))
        except NoAuthoritiesError as error:
            path = self._access.authorities if isinstance(self._access.authorities, Path) else None
            raise FileFaultError(path, "there is no certificate to trust in it") from error

    def _content(self, source: Path | bytes | None) -> bytes | None:
        return self._file(source).read() if isinstance(source, Path) else source

    def _file(self, path: Path) -> WatchedFile:
        return self._watched.setdefault(path, WatchedFile(path))


def _token(content: bytes, path: Path | None) -> str:
    text = content.decode("ascii", "replace").strip()
    if text and not _TOKEN.fullmatch(text):
        raise FileFaultError(path, "the token has spaces or other characters that no token has")
    return text
