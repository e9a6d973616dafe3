"""Where the server may listen while callers are not checked."""

from __future__ import annotations

import socket

import pytest

from adapter.config.problems import ConfigError
from adapter.server.serve import ServeOptions, check_bind, open_listener


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_loopback(address: str) -> None:
    """Addresses of the loopback interface are taken."""
    check_bind(address)


OUTSIDE = ["0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "203.0.113.7", "fe80::1", "::ffff:10.0.0.1", "169.254.1.1"]  # noqa: S104 - they are refused


@pytest.mark.parametrize("address", OUTSIDE)
def test_other_addresses(address: str) -> None:
    """Every other address is refused before anything is bound, with the reason and what to do."""
    with pytest.raises(ConfigError) as caught:
        open_listener(ServeOptions(bind_address=address, port=0))

    (problem,) = caught.value.problems
    assert (
        problem.message
        == f"{address} can be reached from other machines, and there is no cluster to check callers with"
    )
    assert (problem.code, problem.location.file) == ("serve/bind-address", "--bind-address")
    assert problem.hint.startswith("bind 127.0.0.1 or ::1, or give ")


@pytest.mark.parametrize("address", ["", "localhost", "example.com", "127.0.0.1:6443", "127.1", "0", "0x7f000001", "*"])
def test_what_is_no_address(address: str) -> None:
    """A name is refused: what it means is decided elsewhere."""
    with pytest.raises(ConfigError) as caught:
        check_bind(address)

    assert caught.value.problems[0].message == f"{address!r} is not an IP address"


def test_port_that_is_taken() -> None:
    """A port that somebody else has is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError) as caught:
        open_listener(ServeOptions(port=taken.getsockname()[1]))

    assert "cannot listen on 127.0.0.1 port" in caught.value.problems[0].message
