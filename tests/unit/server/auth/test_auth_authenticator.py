"""Who a caller is: the table of credentials, row by row."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from auth_rig import SERVER, Clock, Cluster, Made, Observer, Wall, authority, client, tools

from adapter.errors import KubernetesUnavailable, Unauthenticated
from adapter.server.auth import HeaderNames, Trust, User
from adapter.server.auth.authenticator import Authenticator
from adapter.server.auth.certificates import Verifier, read_bundle
from adapter.server.auth.tokens import TokenReviewer
from adapter.server.auth.trust import FrontProxy

pytestmark = pytest.mark.anyio

CLIENT_CA, PROXY_CA, EVIL_CA = authority("kubernetes"), authority("front-proxy-ca"), authority("front-proxy-ca")
HEADERS = HeaderNames(
    username=("X-Remote-User",),
    uid=("X-Remote-Uid",),
    group=("X-Remote-Group",),
    extra_prefix=("X-Remote-Extra-",),
)
TRUST = Trust(
    client=read_bundle(CLIENT_CA.pem),
    front_proxy=FrontProxy(bundle=read_bundle(PROXY_CA.pem), allowed_names=("front-proxy-client",), headers=HEADERS),
)
PROXY = client(PROXY_CA, "front-proxy-client")
STRANGER = client(PROXY_CA, "somebody-else")
NAMELESS = client(PROXY_CA, "", "org")
FORGED = client(EVIL_CA, "front-proxy-client")
ALICE = client(CLIENT_CA, "alice", "dev", "ops")
FOR_SERVERS = client(CLIENT_CA, "alice", extensions=[(SERVER, False)])
MADE_BY_CLIENT_CA = client(CLIENT_CA, "front-proxy-client")
UNNAMED = client(CLIENT_CA, "", "system:masters")

REMOTE = ((b"x-remote-user", b"bob"), (b"x-remote-group", b"system:masters"), (b"x-remote-extra-a", b"b"))
TOKEN = ((b"authorization", b"Bearer good"),)
BAD_TOKEN = ((b"authorization", b"Bearer bad"),)

GOOD_REVIEW = {
    "status": {
        "authenticated": True,
        "user": {"username": "sa", "uid": "7", "groups": ["g"], "extra": {"scopes": ["a", "b"]}},
    }
}
NO_REVIEW = {"status": {"authenticated": False}}

NOBODY = User(name="system:anonymous", groups=("system:unauthenticated",))
BOB = User(name="bob", groups=("system:masters", "system:authenticated"), extra={"a": ("b",)})
SA = User(name="sa", uid="7", groups=("g", "system:authenticated"), extra={"scopes": ("a", "b")})


def authenticator(
    review: Any = NO_REVIEW, *, trust: Trust = TRUST, observer: Observer | None = None
) -> tuple[Authenticator, Cluster]:
    """Return who authenticates, and the kube-apiserver that is asked."""
    seen = observer or Observer()
    cluster = Cluster([review])
    reviewer = TokenReviewer(cluster, ttl_seconds=10.0, secret=b"s", tools=tools(clock=Clock(), observer=seen))
    verifier = Verifier(wall_clock=Wall(), observer=seen)
    return Authenticator(trust=lambda: trust, verifier=verifier, tokens=reviewer, observer=seen), cluster


def certificate_user(made: Made, *groups: str) -> User:
    """Return whom a client's certificate names."""
    identifier = f"X509SHA256={sha256(made.der).hexdigest()}"
    extra = {"authentication.kubernetes.io/credential-id": (identifier,)}
    return User(name="alice", groups=(*groups, "system:authenticated"), extra=extra)


# what it shows: certificate, headers, the review of its token, and who that is (None: 401)
ROWS: list[tuple[str, Made | None, Any, Any, User | None]] = [
    ("nothing", None, (), NO_REVIEW, NOBODY),
    ("basic authentication", None, ((b"authorization", b"Basic YTpi"),), NO_REVIEW, NOBODY),
    ("an empty bearer", None, ((b"authorization", b"Bearer "),), NO_REVIEW, NOBODY),
    ("a scheme alone", None, ((b"authorization", b"Bearer"),), NO_REVIEW, NOBODY),
    ("a bearer after two spaces", None, ((b"authorization", b"Bearer  good"),), GOOD_REVIEW, NOBODY),
    ("remote headers without a certificate", None, REMOTE, NO_REVIEW, NOBODY),
    ("the front proxy", PROXY, REMOTE, NO_REVIEW, BOB),
    ("the front proxy with a token", PROXY, (*REMOTE, *TOKEN), GOOD_REVIEW, BOB),
    ("the front proxy without a user", PROXY, (), NO_REVIEW, None),
    ("the front proxy with an empty user", PROXY, ((b"x-remote-user", b" "),), NO_REVIEW, None),
    ("the front proxy without a user and with a good token", PROXY, TOKEN, GOOD_REVIEW, SA),
    ("another name of the front proxy's authority", STRANGER, REMOTE, NO_REVIEW, None),
    ("no name of the front proxy's authority", NAMELESS, REMOTE, NO_REVIEW, None),
    ("an unknown authority of the same name", FORGED, REMOTE, NO_REVIEW, None),
    ("for servers only", FOR_SERVERS, (), NO_REVIEW, None),
    ("an unknown authority and a good token", FORGED, (*REMOTE, *TOKEN), GOOD_REVIEW, SA),
    ("an unknown authority and a bad token", FORGED, BAD_TOKEN, NO_REVIEW, None),
    ("a client", ALICE, (), NO_REVIEW, certificate_user(ALICE, "dev", "ops")),
    ("a client with remote headers", ALICE, REMOTE, NO_REVIEW, certificate_user(ALICE, "dev", "ops")),
    ("a client with a bad token", ALICE, BAD_TOKEN, NO_REVIEW, certificate_user(ALICE, "dev", "ops")),
    ("a token", None, TOKEN, GOOD_REVIEW, SA),
    ("a token, its scheme in other letters", None, ((b"Authorization", b"bEARER good more"),), GOOD_REVIEW, SA),
    ("a token with remote headers", None, (*TOKEN, *REMOTE), GOOD_REVIEW, SA),
    ("a token that is rejected", None, BAD_TOKEN, NO_REVIEW, None),
    ("a token that cannot be verified", None, TOKEN, {"status": {"error": "no"}}, None),
    ("a token whose review fails", None, TOKEN, KubernetesUnavailable("no", kind="connection"), None),
]


@pytest.mark.parametrize(
    ("certificate", "headers", "review", "user"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
async def test_credentials(certificate: Made | None, headers: Any, review: Any, user: User | None) -> None:
    """The first credentials that prove something decide; credentials that prove nothing are a 401, never anonymous."""
    one, _ = authenticator(review)
    der = certificate.der if certificate else None

    if user is None:
        with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
            await one.authenticate(headers=headers, peer_certificate=der)
    else:
        assert await one.authenticate(headers=headers, peer_certificate=der) == user


async def test_front_proxy_of_the_clients_authority() -> None:
    """A client whose name is the front proxy's is a client: only the front proxy's own authority lets it speak for others."""
    one, _ = authenticator()

    user = await one.authenticate(headers=REMOTE, peer_certificate=MADE_BY_CLIENT_CA.der)

    assert (user.name, user.groups) == ("front-proxy-client", ("system:authenticated",))


async def test_a_certificate_without_a_name() -> None:
    """A client's certificate without a common name proves nobody, whatever its organizations say."""
    one, _ = authenticator()
    without_proxy, _ = authenticator(trust=Trust(client=TRUST.client))

    with pytest.raises(Unauthenticated):
        await one.authenticate(headers=(), peer_certificate=UNNAMED.der)
    assert await without_proxy.authenticate(headers=(), peer_certificate=UNNAMED.der) == NOBODY


@pytest.mark.parametrize("made", [PROXY, ALICE, FORGED])
async def test_nothing_is_trusted_before_it_is_known(made: Made) -> None:
    """Before any authority is known, no certificate speaks for anybody."""
    one, _ = authenticator(trust=Trust())

    assert await one.authenticate(headers=REMOTE, peer_certificate=made.der) == NOBODY


async def test_headers_of_the_front_proxy() -> None:
    """Names are matched in any case, groups keep their order, and keys are decoded after they were lower-cased."""
    headers = [
        (b"X-REMOTE-USER", b"alice"),
        (b"x-remote-user", b"second"),
        (b"x-remote-uid", b"u1"),
        (b"x-remote-group", b"b,c"),
        (b"X-Remote-Group", b"a"),
        (b"x-remote-group", b""),
        (b"X-Remote-Extra-Acme.com%2fpr%c3%b6j", b"x"),
        (b"x-remote-extra-acme.com%2Fpr%C3%B6j", b"y"),
        (b"x-remote-extra-broken%zz", b"z"),
        (b"x-remote-extra-", b"nameless"),
        (b"x-remote-other", b"ignored"),
        (b"impersonate-user", b"root"),
        (b"impersonate-group", b"system:masters"),
    ]
    one, _ = authenticator()

    user = await one.authenticate(headers=headers, peer_certificate=PROXY.der)

    assert user == User(
        name="alice",
        uid="u1",
        groups=("b,c", "a", "system:authenticated"),
        extra={"acme.com/pröj": ("x", "y"), "broken%zz": ("z",), "": ("nameless",)},
    )


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("system:anonymous", ("system:unauthenticated",)),
        ("system:anonymous", ()),
        ("bob", ("system:unauthenticated",)),
        ("bob", ("system:authenticated", "x")),
    ],
)
async def test_standing_is_said_once(name: str, groups: tuple[str, ...]) -> None:
    """Who is anonymous to the front proxy stays so, and nobody is made a member twice."""
    headers = [(b"x-remote-user", name.encode()), *((b"x-remote-group", group.encode()) for group in groups)]
    one, _ = authenticator()

    assert (await one.authenticate(headers=headers, peer_certificate=PROXY.der)).groups == groups


@pytest.mark.parametrize(
    "more",
    [
        [(b"x-remote-group", b"g")] * 4097,
        [(b"x-remote-extra-a", b"v")] * 1025,
        [(b"x-remote-extra-a", b"v" * 16385)],
        [(b"x-remote-extra-" + b"k" * 16385, b"v")],
        [(b"x-remote-group", b"g" * 16385)],
    ],
    ids=["groups", "extra values", "an extra value", "an extra key", "a group"],
)
async def test_bounds_of_the_front_proxys_headers(more: list[tuple[bytes, bytes]]) -> None:
    """More than anybody has is refused, not cut: a group that is lost may be one that is denied something."""
    one, _ = authenticator()

    with pytest.raises(Unauthenticated):
        await one.authenticate(headers=[(b"x-remote-user", b"bob"), *more], peer_certificate=PROXY.der)


async def test_empty_names_match_nothing() -> None:
    """An empty prefix or an empty allowed name, which a flag can carry, lets nothing and nobody in."""
    proxy = FrontProxy(
        bundle=read_bundle(PROXY_CA.pem),
        allowed_names=("",),
        headers=HeaderNames(username=("x-remote-user",), extra_prefix=("",)),
    )
    with pytest.raises(Unauthenticated):
        await authenticator(trust=Trust(front_proxy=proxy))[0].authenticate(
            headers=REMOTE, peer_certificate=NAMELESS.der
        )
    any_name = FrontProxy(bundle=proxy.bundle, allowed_names=(), headers=proxy.headers)
    one, _ = authenticator(trust=Trust(front_proxy=any_name))

    user = await one.authenticate(headers=[*REMOTE, (b"cookie", b"secret")], peer_certificate=STRANGER.der)

    assert (user.name, user.extra) == ("bob", {})


async def test_what_is_reported() -> None:
    """Each request is counted once, by what decided it."""
    observer = Observer()
    one, _ = authenticator(observer=observer)

    await one.authenticate(headers=(), peer_certificate=None)
    await one.authenticate(headers=REMOTE, peer_certificate=PROXY.der)
    with pytest.raises(Unauthenticated) as raised:
        await one.authenticate(headers=BAD_TOKEN, peer_certificate=FORGED.der)

    assert [row[1:] for row in observer.seen if row[0] == "authentication"] == [
        ("anonymous", "accepted"),
        ("front_proxy", "accepted"),
        ("front_proxy", "refused"),
    ]
    assert [reason.partition(":")[0] for reason in raised.value.reasons] == [
        "front_proxy",
        "client_certificate",
        "token",
    ]
    assert "bad" not in " ".join(raised.value.reasons)


async def test_a_token_without_a_cluster() -> None:
    """Without a kube-apiserver to ask a token proves nothing, and is not needed."""
    observer = Observer()
    verifier = Verifier(wall_clock=Wall(), observer=observer)
    one = Authenticator(trust=lambda: TRUST, verifier=verifier, tokens=None, observer=observer)

    assert await one.authenticate(headers=TOKEN, peer_certificate=None) == NOBODY
