"""Flags that only serving has are left out of a command line that asks once, and nothing else is."""

from __future__ import annotations

import pytest

from adapter.cli.serving_flags import without_serving_flags


@pytest.mark.parametrize(
    ("line", "kept", "dropped"),
    [
        ("list --config=a --secure-port=1 --prometheus-url=b", "list --config=a --prometheus-url=b", "--secure-port"),
        ("list --secure-port 1 --config a", "list --config a", "--secure-port"),
        ("list -v=4 -v6 -v 2 --v=1 -c a", "list -c a", "-v --v"),
        ("explain pods/* rps --logtostderr -n shop", "explain pods/* rps -n shop", "--logtostderr"),
        ("get external q --tls_cert_file=a", "get external q", "--tls-cert-file"),
        ("get external q --cert-dir", "get external q", "--cert-dir"),
        ("list --prometheus-auth-incluster=true", "list --prometheus-auth-incluster", ""),
        ("list --prometheus-auth-incluster=false", "list", ""),
        ("list --prometheus-auth-incluster=maybe", "list --prometheus-auth-incluster=maybe", ""),
        ("list --nonsense --secure-ports=1", "list --nonsense --secure-ports=1", ""),
        ("explain -- --secure-port=1", "explain -- --secure-port=1", ""),
        ("rbac a --self-managed-certificate b/c", "rbac a --self-managed-certificate b/c", ""),
        ("check a --secure-port=1", "check a --secure-port=1", ""),
        ("", "", ""),
    ],
)
def test_what_is_left(line: str, kept: str, dropped: str) -> None:
    """The words that stay are those of the command."""
    assert without_serving_flags(line.split()) == (kept.split(), tuple(dropped.split()))
