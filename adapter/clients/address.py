"""Where a Prometheus is: its address joined with the paths of the API, and the same without what is secret in it."""

from __future__ import annotations

from posixpath import normpath
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit, urlunsplit

import httpx

from adapter.config.urls import redacted_url


class Address:
    """An address: its path goes before those of the API, its query goes with every call, its user is left out.

    `params` go with every call too; they are no part of `redacted`.
    """

    def __init__(self, url: str, params: tuple[tuple[str, str], ...] = ()) -> None:
        bare = _without_user(urlsplit(url))
        self._base = bare._replace(query="", fragment="")
        self._query = _joined(bare.query, urlencode(params))
        self.redacted = redacted_url(urlunsplit(bare))

    def url(self, path: str, query: str) -> httpx.URL:
        """Return the URL of a path of the API, joined as Go's path.Join does, with an encoded query."""
        joined = "/" + normpath(f"{self._base.path}/{path}").lstrip("/")
        return httpx.URL(urlunsplit(self._base._replace(path=joined, query=_joined(self._query, query))))

    def redirected(self, location: str) -> str:
        """Return where a redirect points; its user and its query may be secret and are left out."""
        try:
            parts = urlsplit(urljoin(urlunsplit(self._base), location))
        except ValueError:
            return "an address that cannot be read"
        return redacted_url(urlunsplit(_without_user(parts)._replace(query="", fragment="")))


def _without_user(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _joined(*queries: str) -> str:
    return "&".join(query for query in queries if query)
