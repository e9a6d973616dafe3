"""The adapter's own metrics over plain HTTP, for a Prometheus that has no credentials; nothing else is served there."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.server.operations import EXPOSITION
from adapter.server.protocol import PatientProtocol
from adapter.server.quiet import QuietServer

_log = logging.getLogger("adapter.server")

_BACKLOG = 128
_DRAIN_SECONDS = 1
# More than the scrapers that a set-up has; who comes above that gets a 503 of uvicorn.
_CONNECTIONS = 64


@asynccontextmanager
async def metrics_shown(bind: tuple[str, int] | None, render: Callable[[], bytes]) -> AsyncIterator[None]:
    """Show what `render` returns at `/metrics` of an address and port while the block runs; None shows nothing.

    Raises:
        ConfigError: the address is taken or not ours.
    """
    if bind is None:
        yield
        return
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(closing(_listener(bind)))
        server = QuietServer(_config(_app(render)))
        task = asyncio.create_task(server.serve(sockets=[listener]), name="plain metrics")
        _log.info("metrics are shown to anybody address=%s port=%s", *listener.getsockname()[:2])
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([task])


def _app(render: Callable[[], bytes]) -> Callable[[Scope, Receive, Send], object]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(Request(scope), render)(scope, receive, send)

    return app


def _answer(request: Request, render: Callable[[], bytes]) -> Response:
    if request.url.path != "/metrics":
        return PlainTextResponse("only /metrics is here\n", status_code=404)
    if request.method not in {"GET", "HEAD"}:
        return PlainTextResponse("method not allowed\n", status_code=405, headers={"allow": "GET, HEAD"})
    return Response(render(), media_type=EXPOSITION)


def _listener(bind: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
    try:
        return socket.create_server(bind, family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot listen on {bind[0]} port {bind[1]}: {error}"
        location = Location(file="--metrics-bind-address")
        problem = Problem(code="serve/bind-address", severity=Severity.ERROR, message=message, location=location)
        raise ConfigError((problem,)) from error


def _config(app: Callable[[Scope, Receive, Send], object]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
