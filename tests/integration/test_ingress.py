"""The whole process and callers that misbehave below HTTP, and an operator who is in a hurry."""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rig.processes import wait_until
from test_attack import PATIENCE_SECONDS, PODS, Crooked, Running, Scene, adapter_on, exit_code, honest, listening

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
# More of our own metrics than all buffers between the two hold; the server stops reading long before.
MANY = 1000


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Run an adapter for one test."""
    with listening(Crooked(honest)) as prometheus, adapter_on(prometheus.url, tmp_path) as adapter:
        yield Scene(adapter=adapter, prometheus=prometheus)


def all_of(connection: ssl.SSLSocket) -> bytes:
    """Return what comes until the other side closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def told(adapter: Running, text: str) -> None:
    """Return once the log holds a text."""
    wait_until(text, lambda: text in adapter.log, timeout_seconds=PATIENCE_SECONDS)


def test_second_signal_ends_the_process_at_once(scene: Scene) -> None:
    """A second signal waits for no request: the process ends with 1, and without a traceback."""
    scene.prometheus.gate.clear()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(scene.adapter.get, PODS)
        assert scene.prometheus.arrived.acquire(timeout=PATIENCE_SECONDS)
        os.kill(scene.adapter.child.pid, signal.SIGTERM)
        told(scene.adapter, "told to stop signal=SIGTERM again=False")
        os.kill(scene.adapter.child.pid, signal.SIGTERM)

        assert exit_code(scene.adapter.child) == 1
        assert call.exception() is not None

    assert "stopped forced=True" in scene.adapter.log
    assert "Traceback" not in scene.adapter.log


def test_client_that_never_reads_holds_up_no_end(scene: Scene) -> None:
    """A client that asks and asks, and reads nothing, is left behind when the process is told to stop."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", scene.adapter.port))
    context = ssl.create_default_context(cafile=str(scene.adapter.folder / "certificates" / "apiserver.crt"))
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.settimeout(0.0)
        for _ in range(MANY):
            try:
                connection.sendall(METRICS)
            except (ssl.SSLWantWriteError, BlockingIOError):
                break
        os.kill(scene.adapter.child.pid, signal.SIGTERM)

        assert exit_code(scene.adapter.child) == 0

    assert "stopped forced=False" in scene.adapter.log
    assert "Traceback" not in scene.adapter.log


def test_nonsense_is_told_seldom_and_in_our_form(scene: Scene) -> None:
    """What is no HTTP gets a 400 each time and one line in the log, which looks like all lines."""
    answers = []
    for _ in range(3):
        with scene.adapter.connect() as connection:
            connection.sendall(b"HELLO\r\n\r\n")
            answers.append(all_of(connection))

    assert all(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") for answer in answers)
    lines = [line for line in scene.adapter.log.splitlines() if "Invalid HTTP request" in line]
    assert [line.split(" ", 2)[2] for line in lines] == ["WARNING uvicorn.error Invalid HTTP request received."]


def test_another_protocol_is_declined(scene: Scene) -> None:
    """A request to upgrade is answered as it is, and the connection closed; the log says nothing of it."""
    with scene.adapter.connect() as connection:
        connection.sendall(LIVEZ[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + LIVEZ)
        answer = all_of(connection)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert "WebSocket" not in scene.adapter.log


def test_descriptors_that_run_out_are_told(scene: Scene) -> None:
    """When no file descriptor is left the log says so, and when there are some again callers are answered."""
    pid = scene.adapter.child.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use // 2, before[1]))
    told(scene.adapter, "ERROR adapter.server no file descriptors left")

    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    assert scene.adapter.get("/livez").status == 200
    assert "Traceback" not in scene.adapter.log
