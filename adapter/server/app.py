"""The application: the gateway inside a FastAPI application, and before it where Kubernetes calls.

FastAPI's own routes come first, so pages for people may be added to what `build_app` returns; but the paths of the APIs
are Kubernetes' own, and go straight to the gateway: the way through FastAPI takes as long as half of a kept answer.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from adapter.server.gateway import Gateway, Services

_APIS = "/apis/"


class Application(FastAPI):
    """A FastAPI application whose paths below `/apis/` are the gateway's."""

    def __init__(self, gateway: Gateway, *, version: str) -> None:
        super().__init__(
            title="Tidegauge",
            version=version,
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        self.router.default = self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith(_APIS):
            await self._gateway(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build_app(services: Services) -> FastAPI:
    """Return the application; routes that are added to it go before the Kubernetes paths, but for those of the APIs."""
    return Application(Gateway(services), version=services.version)
