"""Serve the application over HTTPS until the process is told to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.server.descriptors import DescriptorWatch, probe_of
from adapter.server.operations import Shutdown
from adapter.server.protocol import PatientProtocol
from adapter.server.quiet import QuietServer
from adapter.server.tls import Tls, TlsOptions, server_tls

_log = logging.getLogger("adapter.server")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BACKLOG = 2048
# How often the files of the certificate are looked at (as k8s.io/apiserver does).
_RELOAD_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where and how to serve; times are in seconds."""

    bind_address: str = "127.0.0.1"
    port: int = 6443
    tls: TlsOptions = field(default_factory=TlsOptions)
    keep_alive_seconds: int = 90  # IdleTimeout of k8s.io/apiserver, and what its aggregator keeps connections for
    shutdown_delay_seconds: float = 0.0  # how long requests are still taken after `readyz` began to fail
    checks_callers: bool = False  # any address may be bound then
    drain_seconds: int = 15  # how long requests that are under way may take to end; above our request timeout


def check_bind(address: str) -> None:
    """Refuse, with a ConfigError, an address that others can reach: for when callers are not checked."""
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise _refused(f"{address!r} is not an IP address") from None
    if not is_loopback:
        raise _refused(f"{address} can be reached from other machines, and there is no cluster to check callers with")


def open_listener(options: ServeOptions) -> socket.socket:
    """Bind and listen; raises ConfigError for an address that is refused, taken or not ours."""
    if not options.checks_callers:
        check_bind(options.bind_address)
    family = socket.AF_INET6 if ":" in options.bind_address else socket.AF_INET
    try:
        return socket.create_server((options.bind_address, options.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _refused(f"cannot listen on {options.bind_address} port {options.port}: {error}") from error


async def serve(
    app: ASGIApp,
    options: ServeOptions,
    *,
    shutdown: Shutdown,
    clock: Callable[[], float],
    listener: socket.socket | None = None,
    on_tls: Callable[[Tls], None] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or `shutdown`, then drain; return 0, or 1 if a second signal cut the draining short.

    `clock` gives seconds since 1970. `on_tls` is told how TLS is spoken before the first handshake. A `listener` that
    is given is closed at the end. Raises ConfigError before anything is served.
    """
    with closing(listener or open_listener(options)) as bound:
        address, port = bound.getsockname()[:2]
        if not options.checks_callers:
            check_bind(address)
        tls = server_tls(options.tls, bind_address=options.bind_address, clock=clock)
        if on_tls is not None:
            on_tls(tls)
        server = QuietServer(_config(app, options, tls.context))
        _log.info("serving address=%s port=%s", address, port)
        with _signals_to(server, shutdown):
            stop = _stop(server, shutdown, delay_seconds=options.shutdown_delay_seconds)
            descriptors = DescriptorWatch(probe_of(bound.fileno()))
            async with _beside(stop), _beside(_reload(tls)), _beside(descriptors.run()):
                try:
                    await server.serve(sockets=[bound])
                finally:
                    shutdown.begin()
    _log.info("stopped forced=%s", server.force_exit)
    return int(server.force_exit)


def _config(app: ASGIApp, options: ServeOptions, context: ssl.SSLContext) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",  # the caller's is running
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        workers=1,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=_BACKLOG,
        timeout_keep_alive=options.keep_alive_seconds,
        timeout_graceful_shutdown=options.drain_seconds,
        ssl_context_factory=lambda _config, _default: context,
    )


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let work go on in the background while the block runs, and not longer."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _stop(server: uvicorn.Server, shutdown: Shutdown, *, delay_seconds: float) -> None:
    """End the server once the process is told to stop, after time for the failing `readyz` to be noticed."""
    await shutdown.wait()
    await asyncio.sleep(delay_seconds)
    server.should_exit = True


async def _reload(tls: Tls) -> None:
    """Follow the certificate's files; what cannot be loaded is told once, and tried again."""
    told = ""
    while True:
        await asyncio.sleep(_RELOAD_SECONDS)
        try:
            if tls.reload():
                _log.info("certificate reloaded")
            told = ""
        except ConfigError as error:
            message = error.problems[0].message
            if message != told:
                _log.warning("certificate not reloaded: %s", message)
            told = message


@contextmanager
def _signals_to(server: uvicorn.Server, shutdown: Shutdown) -> Iterator[None]:
    """Take the signals while the server runs: the first one drains, the next one does not wait any longer."""
    loop = asyncio.get_running_loop()

    def told(name: str) -> None:
        _log.info("told to stop signal=%s again=%s", name, shutdown.begun)
        server.force_exit = server.should_exit = shutdown.begun
        shutdown.begin()

    for number in _SIGNALS:
        loop.add_signal_handler(number, told, number.name)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _refused(message: str) -> ConfigError:
    return ConfigError(
        (
            Problem(
                code="serve/bind-address",
                severity=Severity.ERROR,
                message=message,
                location=Location(file="--bind-address"),
                hint="bind 127.0.0.1 or ::1, or give --authentication-kubeconfig and --authorization-kubeconfig",
            ),
        )
    )
