"""Who the client says it is and whom it trusts, in every combination, and while files change."""

from __future__ import annotations

import base64
import os
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
from rig.certificates import Authority
from rig.fake_prometheus import VECTOR, FakePrometheus, always, answer

from adapter.clients.credentials import Credentials, open_credentials
from adapter.clients.pool import Pool
from adapter.clients.transport import PrometheusOptions
from adapter.config.problems import ConfigError
from adapter.errors import PrometheusUnavailable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

AUTHORITY = Authority("test authority")
OTHER = Authority("another authority")
CLIENT = AUTHORITY.issue("client")
OTHER_CLIENT = AUTHORITY.issue("other client")

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://ignored", %(cluster)s}}]
users: [{name: u, user: {%(user)s}}]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with one of each file that credentials come from."""
    contents = {
        "token": b"  from-file\n",
        "ca.pem": AUTHORITY.pem,
        "client.pem": CLIENT.certificate,
        "client.key": CLIENT.key,
        "kube": (KUBECONFIG % {"cluster": "", "user": "token: from-kubeconfig"}).encode(),
        "kube-file": (KUBECONFIG % {"cluster": "", "user": "token: old, tokenFile: token"}).encode(),
        "kube-basic": (KUBECONFIG % {"cluster": "", "user": "username: me, password: it"}).encode(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("from-account\n")
    (account / "ca.crt").write_bytes(AUTHORITY.pem)
    return tmp_path


def options_in(directory: Path, **options: object) -> PrometheusOptions:
    """Return options whose files are in a directory."""
    named = {name for name in options if name.endswith("_file") or name == "auth_config"}
    located = {name: str(directory / str(value)) if name in named else value for name, value in options.items()}
    account = str(directory / "account")
    return PrometheusOptions(**{"url": "https://prom", "service_account_directory": account, **located})  # type: ignore[arg-type]  # a table's columns


def credentials_in(directory: Path, **options: object) -> Credentials:
    """Return the credentials of such options."""
    return open_credentials(options_in(directory, **options))


def replace_file(path: Path, content: bytes) -> None:
    """Put another file in its place at once, as Kubernetes does with mounted secrets."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.rename(path)


def basic(text: str) -> str:
    """Return the header of a user and password."""
    return "Basic " + base64.b64encode(text.encode()).decode()


HEADERS = [
    ({}, None),
    ({"token_file": "token"}, "Bearer from-file"),
    ({"auth_incluster": True}, "Bearer from-account"),
    ({"auth_incluster": True, "ca_file": "ca.pem"}, "Bearer from-account"),
    ({"auth_incluster": True, "token_file": "token"}, "Bearer from-file"),
    ({"auth_config": "kube"}, "Bearer from-kubeconfig"),
    ({"auth_config": "kube-file"}, "Bearer from-file"),
    ({"auth_config": "kube-basic"}, basic("me:it")),
    ({"auth_config": "kube", "ca_file": "ca.pem"}, "Bearer from-kubeconfig"),
    ({"auth_config": "kube-basic", "token_file": "token"}, "Bearer from-file"),
    ({"url": "https://a%40b:c%3Ad@prom"}, basic("a@b:c:d")),
    ({"url": "https://a@prom"}, basic("a:")),
    ({"url": "https://a:b@prom", "token_file": "token"}, basic("a:b")),
    ({"url": "https://a:b@prom", "headers": (("authorization", "mine"),)}, "mine"),
    ({"token_file": "token", "headers": (("Authorization", "mine"),)}, "mine"),
]


@pytest.mark.parametrize(("options", "header"), HEADERS)
async def test_who_we_are(files: Path, options: dict[str, object], header: str | None) -> None:
    """Of several ways to log in one counts, in a fixed order, and none switches off another kind of credentials."""
    prometheus = always(VECTOR)
    asked = options_in(files, **options)

    await prometheus.client(**{name: getattr(asked, name) for name in asked.__slots__}).query("up", at_seconds=0)

    assert prometheus.requests[0].headers.get_list("authorization") == ([] if header is None else [header])


TRUST = [
    ({"ca_file": "ca.pem"}, 1),
    ({"auth_incluster": True}, 1),
    ({"auth_incluster": True, "ca_file": "ca.pem"}, 1),
    ({"ca_file": "ca.pem", "client_cert_file": "client.pem", "client_key_file": "client.key"}, 1),
]


@pytest.mark.parametrize(("options", "authorities"), TRUST)
async def test_whom_we_trust(files: Path, options: dict[str, object], authorities: int) -> None:
    """A CA file, or the service account's, is all that is trusted then."""
    context = credentials_in(files, **options).now().context

    assert context.cert_store_stats()["x509_ca"] == authorities
    assert (context.verify_mode, context.minimum_version) == (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2)


async def test_a_client_certificate_needs_no_authority(files: Path) -> None:
    """A client certificate works with the system's authorities too."""
    options = {"client_cert_file": "client.pem", "client_key_file": "client.key"}

    assert credentials_in(files, **options).now().context.verify_mode == ssl.CERT_REQUIRED


async def test_the_service_account_may_have_no_authority(files: Path) -> None:
    """Without a ca.crt the service account's token is used with the system's authorities, as in client-go."""
    (files / "account" / "ca.crt").unlink()

    assert credentials_in(files, auth_incluster=True).now().authorization == "Bearer from-account"


async def test_a_kubeconfig_brings_certificates(files: Path) -> None:
    """Certificates in a kubeconfig are read from its data and from files beside it."""
    data = base64.b64encode(AUTHORITY.pem).decode()
    cluster = f"certificate-authority-data: {data}, tls-server-name: real.name"
    user = "client-certificate: client.pem, client-key: client.key"
    (files / "kube").write_text(KUBECONFIG % {"cluster": cluster, "user": user})

    identity = credentials_in(files, auth_config="kube").now()

    assert identity.context.cert_store_stats()["x509_ca"] == 1
    assert (identity.server_name, identity.authorization) == ("real.name", None)


@pytest.mark.parametrize(("extra", "mode"), [({}, ssl.CERT_NONE), ({"ca_file": "ca.pem"}, ssl.CERT_REQUIRED)])
async def test_a_kubeconfig_may_trust_anybody(files: Path, extra: dict[str, str], mode: ssl.VerifyMode) -> None:
    """insecure-skip-tls-verify is obeyed, unless a CA file says whom to trust."""
    (files / "kube").write_text(KUBECONFIG % {"cluster": "insecure-skip-tls-verify: true", "user": ""})

    assert credentials_in(files, auth_config="kube", **extra).now().context.verify_mode == mode


async def test_a_bundle_may_have_comments(files: Path) -> None:
    """Text around the certificates is left alone, in whatever encoding it is."""
    (files / "ca.pem").write_bytes("# Autorité de Zürich\n".encode("latin-1") + AUTHORITY.pem + OTHER.pem)

    assert credentials_in(files, ca_file="ca.pem").now().context.cert_store_stats()["x509_ca"] == 2


REFUSED = [
    ({"ca_file": "token"}, "token", "no certs found in prometheus-ca-file"),
    ({"ca_file": "broken"}, "broken", "no certs found in prometheus-ca-file"),
    ({"ca_file": "none"}, "none", "no such file or directory"),
    ({"ca_file": "huge"}, "huge", "larger than 4194304 bytes"),
    ({"token_file": "empty"}, "empty", "there is no token in it"),
    ({"token_file": "client.pem"}, "client.pem", "the token has spaces or other characters that no token has"),
    ({"client_cert_file": "client.pem", "client_key_file": "other.key"}, "client.pem", "KEY_VALUES_MISMATCH"),
    ({"client_cert_file": "client.pem", "client_key_file": "locked.key"}, "client.pem", "encrypted"),
    ({"client_cert_file": "token", "client_key_file": "client.key"}, "token", "cannot be used"),
    ({"auth_config": "empty"}, "empty", "the file is no mapping"),
    ({"auth_config": "latin"}, "latin", "it is not UTF-8"),
    ({"auth_incluster": True, "service_account_directory": "/nowhere"}, "/nowhere/token", "no such file or directory"),
]


@pytest.mark.parametrize(("options", "file", "text"), REFUSED)
async def test_files_are_checked_at_the_start(files: Path, options: dict[str, object], file: str, text: str) -> None:
    """A file that cannot be used ends the start with a problem that names it."""
    (files / "broken").write_bytes(AUTHORITY.pem.replace(b"M", b"*"))
    (files / "huge").write_bytes(bytes(5_000_000))
    (files / "empty").write_bytes(b"\n")
    (files / "latin").write_bytes(b"\xff")
    (files / "other.key").write_bytes(OTHER_CLIENT.key)
    (files / "locked.key").write_bytes(AUTHORITY.issue("x", password=b"secret").key)

    with pytest.raises(ConfigError) as caught:
        credentials_in(files, **options)

    problem = caught.value.problems[0]
    assert (problem.location.file, problem.code) == (str(files / file), "backend/credentials")
    assert text in problem.message


async def test_a_token_is_read_again_when_it_changes(files: Path) -> None:
    """The next request after a rotation has the new token."""
    prometheus = always(VECTOR)
    client = prometheus.client(token_file=str(files / "token"))

    await client.query("up", at_seconds=0)
    replace_file(files / "token", b"renewed")
    await client.query("up", at_seconds=0)

    sent = [request.headers["authorization"] for request in prometheus.requests]
    assert sent == ["Bearer from-file", "Bearer renewed"]


async def test_a_401_makes_us_look_again(files: Path) -> None:
    """A token that changed without a trace in the file's marks is found once the old one is refused."""
    path = files / "token"
    path.write_text("aaaa")
    mark = path.stat()

    def handler(request: httpx.Request) -> httpx.Response:
        return answer(VECTOR, 200 if request.headers["authorization"] == "Bearer bbbb" else 401)

    prometheus = FakePrometheus(handler)
    client = prometheus.client(token_file=str(path))
    path.write_text("bbbb")
    os.utime(path, ns=(mark.st_atime_ns, mark.st_mtime_ns))

    await client.query("up", at_seconds=0)

    assert prometheus.reports.outcomes == ["unauthorized", "ok"]


async def test_a_401_is_not_repeated_without_need(files: Path) -> None:
    """Credentials that are refused and have not changed are not sent again."""
    prometheus = always({}, 401)

    with pytest.raises(PrometheusUnavailable):
        await prometheus.client(token_file=str(files / "token")).query("up", at_seconds=0)

    assert prometheus.reports.outcomes == ["unauthorized"]


BROKEN = [b"", b"two words", b"caf\xc3\xa9"]


@pytest.mark.parametrize("content", BROKEN)
async def test_a_broken_token_file_keeps_the_last_token(
    files: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """While the file holds no token the last good one stays in use, which the log says once."""
    credentials = credentials_in(files, token_file="token")
    replace_file(files / "token", content)

    used = {credentials.now().authorization for _ in range(3)}

    assert used == {"Bearer from-file"}
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "token not renewed, the last good one stays in use"
    ]


async def test_a_file_that_comes_back_is_used(files: Path) -> None:
    """A file that was gone for a while is read again when it is back."""
    credentials = credentials_in(files, token_file="token")

    (files / "token").unlink()
    meanwhile = credentials.now().authorization
    (files / "token").write_text("back")

    assert (meanwhile, credentials.now().authorization) == ("Bearer from-file", "Bearer back")


CHANGES = [
    ("ca.pem", OTHER.pem, True),
    ("ca.pem", AUTHORITY.pem, False),
    ("ca.pem", b"half a fi", False),
    ("client.pem", OTHER_CLIENT.certificate, False),  # its key is still to come
]


@pytest.mark.parametrize(("name", "content", "changed"), CHANGES)
async def test_certificates_are_read_again_when_they_change(
    files: Path, name: str, content: bytes, *, changed: bool
) -> None:
    """New and good content gives a new context; the same content, or broken content, keeps the old one."""
    certificate = {"client_cert_file": "client.pem", "client_key_file": "client.key"}
    credentials = credentials_in(files, ca_file="ca.pem", **certificate)
    before = credentials.now().context

    replace_file(files / name, content)

    assert (credentials.now().context is not before) == changed


async def test_a_certificate_and_its_key_may_come_one_after_the_other(files: Path) -> None:
    """A rotation that writes two files is complete with the second."""
    credentials = credentials_in(files, client_cert_file="client.pem", client_key_file="client.key")
    before = credentials.now().context

    replace_file(files / "client.pem", OTHER_CLIENT.certificate)
    between = credentials.now().context
    replace_file(files / "client.key", OTHER_CLIENT.key)

    assert between is before
    assert credentials.now().context is not before


async def test_a_kubeconfig_is_read_again_when_it_changes(files: Path) -> None:
    """A new token in the kubeconfig is used; a kubeconfig that cannot be read keeps the old one."""
    credentials = credentials_in(files, auth_config="kube")

    replace_file(files / "kube", (KUBECONFIG % {"cluster": "", "user": "token: renewed"}).encode())
    renewed = credentials.now().authorization
    replace_file(files / "kube", b"{")

    assert (renewed, credentials.now().authorization) == ("Bearer renewed", "Bearer renewed")


async def test_a_renewed_certificate_breaks_no_call() -> None:
    """The old client lives until its last call has ended; new calls have the new one."""
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]
    pool = Pool(lambda _: httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer(VECTOR))), contexts[0])

    async with pool.lease(contexts[0]) as old:
        async with pool.lease(contexts[1]) as new:
            during = (old.is_closed, new.is_closed, old is new)
        still = old.is_closed
    async with pool.lease(contexts[1]) as again:
        after = (old.is_closed, again is new)
    await pool.close()

    assert (during, still, after, new.is_closed) == ((False, False, False), False, (True, True), True)


def test_secrets_are_in_no_repr(files: Path) -> None:
    """Options and credentials can be printed."""
    headers = (("X-Key", "s3cret"),)
    asked = options_in(files, url="https://me:s3cret@prom/?key=s3cret", headers=headers, params=(("k", "s3cret"),))

    assert "s3cret" not in f"{asked!r} {asked} {open_credentials(asked).now()!r}"
