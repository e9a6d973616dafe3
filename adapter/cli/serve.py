"""`tidegauge serve`: build everything, serve until told to stop, close it all."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import uvloop

from adapter import __version__
from adapter.cli.logs import set_up_logs
from adapter.config.problems import ConfigError, Problem, Severity
from adapter.config.report import problem_text
from adapter.config.settings import Settings, help_text, parse_flags
from adapter.interpreter import collect_seldom, switch_often
from adapter.runtime.wiring import Runtime, open_runtime
from adapter.server.app import build_app
from adapter.server.auth import Trust, ask_for_certificates
from adapter.server.callers import Callers, open_callers
from adapter.server.gateway import Services
from adapter.server.managed.opening import Shown, open_managed
from adapter.server.operations import Shutdown
from adapter.server.plain_metrics import metrics_shown
from adapter.server.serve import ServeOptions
from adapter.server.serve import serve as serve_app
from adapter.server.tls import Tls, TlsOptions

log = logging.getLogger("adapter")

# What a shell calls a misuse: the flags or the files are wrong, and starting again changes nothing.
EXIT_CONFIG = 2


def serve(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; return 0 after a drained end, 2 if the flags or files are wrong."""
    if any(word in ("-h", "--help") for word in argv):
        print(help_text())  # noqa: T201 - the command's output
        return 0
    try:
        parsed = parse_flags(argv, os.environ)
        set_up_logs(parsed.settings.log_format, verbosity=parsed.settings.verbosity)
        for warning in parsed.warnings:
            log.warning("%s", warning)
        return uvloop.run(_serve(parsed.settings))
    except ConfigError as error:
        _print_problems(error.problems)
        return EXIT_CONFIG


async def _serve(settings: Settings) -> int:
    environment = dict(os.environ)
    async with (
        open_runtime(settings, environment=environment) as runtime,
        _callers(settings, runtime) as callers,
        _certificate(settings, runtime) as certificate,
        metrics_shown(settings.metrics_bind_address, runtime.telemetry.render),
    ):
        _log_warnings(runtime)
        collect_seldom()
        switch_often()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, runtime.reload.request)
        shutdown = Shutdown()
        services = Services(
            provider=runtime.provider,
            health=runtime.health,
            render_metrics=runtime.telemetry.render,
            clock=runtime.clocks.monotonic,
            version=__version__,
            request_timeout_seconds=settings.request_timeout_seconds,
            shutdown=shutdown,
            observer=runtime.telemetry,
            access=callers.gate,
            audit=callers.audit,
            max_in_flight=settings.max_requests_inflight,
            wall_clock=runtime.clocks.wall,
            resources=runtime.resources,
        )

        def on_tls(tls: Tls) -> None:
            def ask(trust: Trust) -> None:
                for context in tls.contexts:
                    ask_for_certificates(context, trust.pem)

            if callers.trust is not None:
                callers.trust.on_change(ask)
            if certificate is not None:
                certificate.listeners.append(tls.reload)

        return await serve_app(
            build_app(services),
            _options(settings, certificate, checks_callers=callers.gate is not None),
            shutdown=shutdown,
            clock=runtime.clocks.wall,
            on_tls=on_tls,
        )


def _callers(settings: Settings, runtime: Runtime) -> AbstractAsyncContextManager[Callers]:
    return open_callers(
        settings,
        authentication=runtime.clusters.authentication,
        authorization=runtime.clusters.authorization,
        observer=runtime.telemetry,
        clock=runtime.clocks.monotonic,
        wall_clock=runtime.clocks.wall,
    )


def _certificate(settings: Settings, runtime: Runtime) -> AbstractAsyncContextManager[Shown | None]:
    cluster = runtime.clusters.lister or runtime.clusters.authentication
    return open_managed(settings, cluster, observer=runtime.telemetry, wall_clock=runtime.clocks.wall)


def _options(settings: Settings, certificate: Shown | None, *, checks_callers: bool) -> ServeOptions:
    return ServeOptions(
        bind_address=settings.bind_address,
        port=settings.secure_port,
        checks_callers=checks_callers,
        tls=TlsOptions(
            cert_file=str(certificate.certificate) if certificate else settings.tls_cert_file,
            private_key_file=str(certificate.key) if certificate else settings.tls_private_key_file,
            cert_dir=settings.cert_dir,
            min_version=settings.tls_min_version,
            cipher_suites=settings.tls_cipher_suites,
            named=settings.tls_sni_cert_key,
        ),
        shutdown_delay_seconds=settings.shutdown_delay_seconds,
    )


def _log_warnings(runtime: Runtime) -> None:
    for problem in runtime.rules.compiled.problems:
        if problem.severity is not Severity.INFO:
            where = problem.location
            log.warning("%s:%s:%s: %s: %s", where.file, where.line, where.column, problem.code, problem.message)


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(problem_text(problem, None), file=sys.stderr)  # noqa: T201 - the process ends with them
