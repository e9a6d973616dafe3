"""The application: the gateway inside a FastAPI application.

FastAPI's own routes come first, so pages for people may be added to what `build_app` returns.
"""

from __future__ import annotations

from fastapi import FastAPI

from adapter.server.gateway import Gateway, Services


def build_app(services: Services) -> FastAPI:
    """Return the application; routes that are added to it go before the Kubernetes paths."""
    app = FastAPI(
        title="Tidegauge",
        version=services.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.default = Gateway(services)
    return app
