"""The certificate that is made, and the TLS that is spoken."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store
from rig.certificates import Authority

from adapter.config.problems import ConfigError
from adapter.server.tls import Tls, TlsOptions, server_tls

NOW = 1_795_174_496.789


def tls(options: TlsOptions, *, now: float = NOW) -> Tls:
    """Make what a server at an IPv6 address needs."""
    return server_tls(options, bind_address="::1", clock=lambda: now)


def context(options: TlsOptions, *, now: float = NOW) -> ssl.SSLContext:
    """Make its context."""
    return tls(options, now=now).context


def refusal(options: TlsOptions) -> tuple[str, str]:
    """Return the flag that is named and what is said."""
    with pytest.raises(ConfigError) as caught:
        context(options)
    (problem,) = caught.value.problems
    assert problem.code == "serve/tls"
    return problem.location.file, problem.message


def common_name(name: x509.Name) -> object:
    """Return the CN of a name."""
    return name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_certificate(tmp_path: Path) -> None:
    """Without files a certificate is made that its own CA vouches for, for this machine only and for a year."""
    context(TlsOptions(cert_dir=str(tmp_path / "deep" / "er")))

    folder = tmp_path / "deep" / "er"
    assert sorted(path.name for path in folder.iterdir()) == ["apiserver.crt", "apiserver.key"]
    assert (folder / "apiserver.key").stat().st_mode & 0o777 == 0o600
    leaf, ca = x509.load_pem_x509_certificates((folder / "apiserver.crt").read_bytes())
    now = datetime.fromtimestamp(NOW, UTC)
    verifier = PolicyBuilder().store(Store([ca])).time(now)
    for name in (x509.DNSName("localhost"), *map(x509.IPAddress, map(ipaddress.ip_address, ("127.0.0.1", "::1")))):
        assert verifier.build_server_verifier(name).verify(leaf, []) == [leaf, ca]
    assert (common_name(leaf.subject), common_name(ca.subject)) == ("localhost@1795174497", "localhost-ca@1795174497")
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    key = leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert leaf.not_valid_before_utc == now.replace(microsecond=0) - timedelta(hours=1)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=365)
    assert b"BEGIN RSA PRIVATE KEY" in (folder / "apiserver.key").read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    """Return what the files of a directory hold."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def expiry(folder: Path) -> datetime:
    """Return when the certificate of a directory expires."""
    return x509.load_pem_x509_certificates((folder / "apiserver.crt").read_bytes())[0].not_valid_after_utc


def test_certificate_is_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate of an earlier start is taken as it is, to its last second."""
    options = TlsOptions(cert_dir=str(tmp_path))
    context(options)
    before = contents(tmp_path)

    context(options, now=expiry(tmp_path).timestamp())

    assert contents(tmp_path) == before
    assert caplog.messages == []


def test_expired_certificate_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that we made is made anew when it has expired, at the start and while serving, and each time it is told."""
    times = [NOW]
    running = server_tls(TlsOptions(cert_dir=str(tmp_path)), bind_address="::1", clock=lambda: times[-1])
    first = expiry(tmp_path)

    times.append(NOW + 400 * 86400)
    assert running.reload()
    assert not running.reload()
    second = expiry(tmp_path)
    context(TlsOptions(cert_dir=str(tmp_path)), now=NOW + 800 * 86400)

    assert first < second < expiry(tmp_path)
    file = tmp_path / "apiserver.crt"
    assert caplog.messages == [
        f"the certificate in {file} has expired on {at.isoformat()}, so another one was made" for at in (first, second)
    ]


def test_expired_certificate_that_cannot_be_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory that cannot be written an expired certificate is served on, and told once."""
    options = TlsOptions(cert_dir=str(tmp_path))
    context(options)
    before = contents(tmp_path)

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    running = tls(options, now=NOW + 10**9)
    running.reload()
    monkeypatch.undo()

    assert contents(tmp_path) == before
    (told,) = caplog.messages
    assert "has expired on" in told
    assert "another one cannot be written: [Errno 30] Read-only file system" in told


@pytest.mark.parametrize(("days", "words"), [(400, "has expired on"), (-2, "is not valid before")])
def test_given_certificate_of_another_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days: int, words: str
) -> None:
    """A given certificate that has expired, or is not valid yet, is served as it is, and told once."""
    context(TlsOptions(cert_dir=str(tmp_path)))
    before = contents(tmp_path)
    certificate, key = str(tmp_path / "apiserver.crt"), str(tmp_path / "apiserver.key")

    running = tls(TlsOptions(cert_file=certificate, private_key_file=key), now=NOW + days * 86400)
    running.reload()

    assert contents(tmp_path) == before
    (told,) = caplog.messages
    assert f"the certificate in {certificate} {words}" in told


def test_expired_certificate_of_somebody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that somebody laid into the directory is never replaced."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    begin = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=1))
    signed = builder.sign(key, hashes.SHA256())
    (tmp_path / "apiserver.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "apiserver.key").write_bytes(private(key))
    before = contents(tmp_path)

    context(TlsOptions(cert_dir=str(tmp_path)), now=NOW + 2 * 86400)

    assert contents(tmp_path) == before
    assert [message.rpartition(" on ")[0] for message in caplog.messages] == [
        f"the certificate in {tmp_path / 'apiserver.crt'} has expired"
    ]


def private(key: ec.EllipticCurvePrivateKey, *, pass_phrase: bytes = b"") -> bytes:
    """Return a key as a file holds it."""
    encryption = serialization.BestAvailableEncryption(pass_phrase) if pass_phrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def test_encrypted_key(tmp_path: Path) -> None:
    """A key that needs a pass phrase is refused, at the start and while serving; nobody is asked for the phrase."""
    running = tls(TlsOptions(cert_dir=str(tmp_path)))
    before = shown(running)
    key = tmp_path / "apiserver.key"
    key.write_bytes(private(ec.generate_private_key(ec.SECP256R1()), pass_phrase=b"secret"))

    refused = refusal(TlsOptions(cert_file=str(tmp_path / "apiserver.crt"), private_key_file=str(key)))

    assert refused == ("--tls-private-key-file", f"the key in {key} is encrypted")
    with pytest.raises(ConfigError):
        running.reload()
    assert shown(running) == before


def test_given_files(tmp_path: Path) -> None:
    """Files that are given are used, and nothing is made."""
    context(TlsOptions(cert_dir=str(tmp_path / "made")))
    folder = tmp_path / "made"

    given = TlsOptions(
        cert_file=str(folder / "apiserver.crt"),
        private_key_file=str(folder / "apiserver.key"),
        cert_dir=str(tmp_path / "other"),
    )

    assert context(given).cert_store_stats()["x509"] == 0
    assert not (tmp_path / "other").exists()


def test_files_that_do_not_load(tmp_path: Path) -> None:
    """A certificate that is missing, broken or of another key is named."""
    options = TlsOptions(cert_dir=str(tmp_path / "a"))
    context(options)
    context(TlsOptions(cert_dir=str(tmp_path / "b")))
    (tmp_path / "b" / "apiserver.crt").replace(tmp_path / "a" / "apiserver.crt")
    assert refusal(options)[0] == "--tls-cert-file"

    (tmp_path / "a" / "apiserver.crt").write_text("nonsense")
    flag, message = refusal(options)
    assert (flag, "apiserver.crt" in message) == ("--tls-cert-file", True)

    missing = str(tmp_path / "nothing")
    assert refusal(TlsOptions(cert_file=missing, private_key_file=missing))[0] == "--tls-cert-file"


def test_half_a_pair(tmp_path: Path) -> None:
    """A certificate without a key, or a key without a certificate, is never completed silently."""
    assert refusal(TlsOptions(cert_file="x.crt"))[0] == "--tls-cert-file"
    assert refusal(TlsOptions(private_key_file="x.key"))[0] == "--tls-cert-file"
    (tmp_path / "apiserver.key").write_text("")
    assert refusal(TlsOptions(cert_dir=str(tmp_path)))[0] == "--cert-dir"
    assert [path.name for path in tmp_path.iterdir()] == ["apiserver.key"]


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A directory that cannot be written is named."""
    (tmp_path / "file").write_text("")

    flag, message = refusal(TlsOptions(cert_dir=str(tmp_path / "file" / "below")))

    assert flag == "--cert-dir"
    assert "cannot write a certificate" in message


def shown(by: Tls) -> bytes | None:
    """Return the certificate that a client is shown."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server),
        by.context.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return sides[0].getpeercert(binary_form=True)


def test_reload(tmp_path: Path) -> None:
    """A certificate that is replaced is shown from the next look on, and one that is being replaced is not."""
    running, new = tls(TlsOptions(cert_dir=str(tmp_path / "a"))), tls(TlsOptions(cert_dir=str(tmp_path / "b")))
    before, after = shown(running), shown(new)
    assert not running.reload()

    (tmp_path / "b" / "apiserver.crt").replace(tmp_path / "a" / "apiserver.crt")
    with pytest.raises(ConfigError):
        running.reload()
    assert shown(running) == before

    (tmp_path / "b" / "apiserver.key").replace(tmp_path / "a" / "apiserver.key")
    assert running.reload()
    assert shown(running) == after != before
    assert not running.reload()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("", ssl.TLSVersion.TLSv1_2),
        ("VersionTLS10", ssl.TLSVersion.TLSv1_2),
        ("VersionTLS11", ssl.TLSVersion.TLSv1_2),
        ("VersionTLS12", ssl.TLSVersion.TLSv1_2),
        ("VersionTLS13", ssl.TLSVersion.TLSv1_3),
    ],
)
def test_minimum_version(tmp_path: Path, name: str, version: ssl.TLSVersion) -> None:
    """Nothing older than TLS 1.2 is spoken, whatever is asked for."""
    assert context(TlsOptions(cert_dir=str(tmp_path), min_version=name)).minimum_version == version


def test_unknown_version() -> None:
    """A version that Kubernetes does not know is refused."""
    assert refusal(TlsOptions(min_version="TLS1.2")) == ("--tls-min-version", "unknown TLS version 'TLS1.2'")


# what kube-prometheus' manifests pass to prometheus-adapter
KUBE_PROMETHEUS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,"
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_RSA_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_AES_256_CBC_SHA"
)


def older_ciphers(made: ssl.SSLContext) -> list[str]:
    """Return the suites before TLS 1.3 that are offered."""
    return [cipher["name"] for cipher in made.get_ciphers() if cipher["protocol"] != "TLSv1.3"]


def test_cipher_suites(tmp_path: Path) -> None:
    """Only the suites that are named are offered, in their order."""
    names = ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")

    made = context(TlsOptions(cert_dir=str(tmp_path), cipher_suites=names))

    assert older_ciphers(made) == ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]


def test_cipher_suites_of_public_manifests(tmp_path: Path) -> None:
    """The list that most people have copied is understood whole."""
    names = tuple(KUBE_PROMETHEUS.split(","))

    made = context(TlsOptions(cert_dir=str(tmp_path), cipher_suites=names))

    assert len(older_ciphers(made)) == len(names)


def test_cipher_suites_of_tls13_only(tmp_path: Path) -> None:
    """If no older suite is named, nothing older than TLS 1.3 is spoken."""
    made = context(TlsOptions(cert_dir=str(tmp_path), cipher_suites=("TLS_AES_128_GCM_SHA256",)))

    assert made.minimum_version == ssl.TLSVersion.TLSv1_3


def test_unknown_cipher_suites() -> None:
    """A suite that nobody knows is refused, all of them at once; so is a list of which nothing can be offered."""
    flag, message = refusal(TlsOptions(cipher_suites=("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", "x")))
    assert (flag, message) == ("--tls-cipher-suites", "unknown cipher suite 'AES128-SHA', 'x'")

    flag, message = refusal(TlsOptions(cipher_suites=("TLS_RSA_WITH_RC4_128_SHA",)))
    assert (flag, "none of these" in message) == ("--tls-cipher-suites", True)


NAMED = [
    ("shop.example", "shop.example"),
    ("SHOP.example.", "shop.example"),
    ("a.wild.example", "wild"),
    ("given.example", "given"),
    ("a.b.wild.example", "default.example"),
    ("other.example", "default.example"),
    (None, "default.example"),
]


@pytest.fixture(scope="module")
def named_pairs(tmp_path_factory: pytest.TempPathFactory) -> TlsOptions:
    """Return options with a certificate for everybody, one for its own name, one for a wildcard, one for a given name."""
    folder = tmp_path_factory.mktemp("named")
    authority = Authority("names")
    names = {"default.example": "", "shop.example": "", "wild": ":*.wild.example", "given": ":given.example,x.example"}
    for name in names:
        pair = authority.issue(name)
        (folder / f"{name}.crt").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
    flags = [f"{folder}/{name}.crt,{folder}/{name}.key{said}" for name, said in names.items()]
    default = folder / "default.example"
    return TlsOptions(cert_file=f"{default}.crt", private_key_file=f"{default}.key", named=tuple(flags[1:]))


@pytest.mark.parametrize(("wanted", "shown"), NAMED)
def test_the_certificate_of_a_name(named_pairs: TlsOptions, wanted: str | None, shown: str) -> None:
    """A client that says which server it wants sees the certificate for that name, and everybody else the first one."""
    assert shown_to(context(named_pairs), wanted) == shown


def shown_to(server: ssl.SSLContext, wanted: str | None) -> object:
    """Return the common name of the certificate that a client sees in a handshake in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname=wanted)
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    seen = ours.getpeercert(binary_form=True)
    assert seen is not None
    return common_name(x509.load_der_x509_certificate(seen).subject)


@pytest.mark.parametrize("text", ["", "a", "a,", ",b", "a,b,c", ":name"])
def test_pairs_that_are_none(text: str) -> None:
    """What names no two files is refused with the flag."""
    assert refusal(TlsOptions(named=(text,)))[0] == "--tls-sni-cert-key"


def test_a_named_certificate_that_cannot_be_loaded(tmp_path: Path) -> None:
    """The flag of the pair is named, not that of the first certificate."""
    options = TlsOptions(cert_dir=str(tmp_path), named=(f"{tmp_path}/no.crt,{tmp_path}/no.key",))
    assert refusal(options)[0] == "--tls-sni-cert-key"
