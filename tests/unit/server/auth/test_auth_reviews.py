"""How often kube-apiserver is asked, and what happens while it does not answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from auth_rig import Clock, Cluster, Observer, Sleeps, tools

from adapter.config.problems import ConfigError
from adapter.errors import (
    AccessDenied,
    AuthorizerFailed,
    KubernetesForbidden,
    KubernetesNotFound,
    KubernetesUnavailable,
    Unauthenticated,
)
from adapter.server.auth import GateOptions, ReviewTools, Trust, User, attributes_of, open_gate, refusal
from adapter.server.auth.authorizer import Authorizer
from adapter.server.auth.tokens import TokenReviewer
from adapter.server.auth.users import Accepted, Outcome, Refused
from adapter.server.calls import Call

pytestmark = pytest.mark.anyio

YES = {"status": {"authenticated": True, "user": {"username": "sa"}}}
NO: dict[str, Any] = {"status": {"authenticated": False}}
UNSETTLED = {"status": {"authenticated": False, "error": "token has expired"}}
ALLOWED = {"status": {"allowed": True}}
DENIED = {"status": {"allowed": False, "reason": "RBAC: no"}}
DOWN = KubernetesUnavailable("connection refused", kind="connection")
MINE_MISSING = KubernetesForbidden(verb="create", resource="tokenreviews")
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m"
ALICE = User(name="alice", groups=("g1", "system:authenticated"))


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    """Return the header of a token."""
    return [(b"authorization", f"Bearer {token}".encode("latin-1"))]


def reviewer(*answers: Any, **changes: Any) -> tuple[TokenReviewer, Cluster, ReviewTools]:
    """Return who reviews tokens, who is asked, and with what."""
    cluster, given = Cluster(list(answers)), tools(**changes)
    return TokenReviewer(cluster, ttl_seconds=10.0, secret=b"s", tools=given), cluster, given


async def user(one: TokenReviewer, shown: str = "t", within_seconds: float = 9.0) -> Outcome:
    """Ask whose a token is."""
    return await one.user(bearer(shown), within_seconds=within_seconds)


def authorizer(*answers: Any, paths: tuple[str, ...] = ("/healthz",), **changes: Any) -> tuple[Authorizer, Cluster]:
    """Return who authorizes, and who is asked."""
    cluster = Cluster(list(answers))
    one = Authorizer(
        cluster, always_allow_paths=paths, allowed_ttl_seconds=10.0, denied_ttl_seconds=5.0, tools=tools(**changes)
    )
    return one, cluster


async def check(one: Authorizer, path: str = EXTERNAL, who: User = ALICE, **query: str) -> None:
    """Ask whether somebody may get a path."""
    await one.check(who, attributes_of("GET", path, query))


# ---- tokens


async def test_the_body_of_a_token_review() -> None:
    """kube-apiserver is asked in these words."""
    one, cluster, _ = reviewer(YES)

    await user(one, "abc")

    (asked,) = cluster.asked
    assert (asked.method, asked.path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
    assert json.dumps(asked.body, separators=(",", ":")) == (
        '{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},'
        '"spec":{"token":"abc"},"status":{"user":{}}}'
    )
    assert 0 < asked.timeout_seconds <= 9.0


@pytest.mark.parametrize(("answer", "kept"), [(YES, True), (NO, True), (UNSETTLED, False), (MINE_MISSING, False)])
async def test_what_is_kept_of_tokens(answer: Any, kept: bool) -> None:  # noqa: FBT001 - a row of the table
    """A yes and a clean no count for ten seconds; an error is asked again at once."""
    clock = Clock()
    one, cluster, _ = reviewer(answer, clock=clock)

    for seconds in (0.0, 9.9, 0.2):
        clock.seconds += seconds
        await user(one)

    assert len(cluster.asked) == (2 if kept else 3)


async def test_tokens_are_told_apart() -> None:
    """One token's answer is not another one's."""
    one, cluster, _ = reviewer(YES, NO)

    assert isinstance(await user(one, "a"), Accepted)
    assert isinstance(await user(one, "b"), Refused)
    assert len(cluster.asked) == 2


async def test_no_token_is_kept() -> None:
    """What is kept holds no token, and its digest cannot be made without this process' secret."""
    one, _, _ = reviewer(YES)

    await user(one, "hunter2-hunter2")

    assert "hunter2" not in repr(vars(one._reviews)) + repr(list(one._reviews._kept.items()))


@pytest.mark.parametrize("token", ["x" * 65537, "töken", "a\x00b", "a\tb", "\x7f"])
async def test_impossible_tokens(token: str) -> None:
    """What can be no token is refused without a question."""
    one, cluster, _ = reviewer(YES)

    assert isinstance(await user(one, token), Refused)
    assert cluster.asked == []


UNREADABLE = [
    {},
    {"status": None},
    {"status": []},
    {"status": {"authenticated": True}},
    {"status": {"authenticated": True, "user": {}}},
    {"status": {"authenticated": True, "user": {"username": ""}}},
    {"status": {"authenticated": True, "user": {"username": 7}}},
    {"status": {"authenticated": True, "user": {"username": "a\ud800"}}},
    {"status": {"authenticated": True, "user": {"username": "a", "uid": 7}}},
    {"status": {"authenticated": True, "user": {"username": "a", "groups": "system:masters"}}},
    {"status": {"authenticated": True, "user": {"username": "a", "groups": [None]}}},
    {"status": {"authenticated": True, "user": {"username": "a", "extra": ["a"]}}},
    {"status": {"authenticated": True, "user": {"username": "a", "extra": {"a": [1]}}}},
    {"status": {"authenticated": "true", "user": {"username": "a"}}},
]


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_unreadable_token_reviews(answer: Any) -> None:
    """A review that is not what was asked for proves nobody."""
    one, _, _ = reviewer(answer)

    assert isinstance(await user(one), Refused)


# ---- failing, waiting, sharing


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [(1, [0.55]), (4, [0.55, 0.825, 1.2375, 1.85625])],
)
async def test_what_may_pass_is_asked_again(failures: int, pauses: list[float]) -> None:
    """A connection that fails is tried five times, with pauses that grow."""
    sleeps = Sleeps()
    one, cluster, _ = reviewer(*[DOWN] * failures, YES, sleep=sleeps)

    assert isinstance(await user(one), Accepted)
    assert (len(cluster.asked), sleeps.seconds) == (failures + 1, pytest.approx(pauses))


AGAIN = [
    (DOWN, 5),
    (KubernetesUnavailable("", kind="timeout"), 5),
    (KubernetesUnavailable("", kind="status", status=503), 5),
    (KubernetesUnavailable("", kind="status", status=429), 5),
    (KubernetesUnavailable("", kind="status", status=400), 1),
    (KubernetesUnavailable("", kind="bad_answer"), 1),
    (KubernetesNotFound("no such path"), 1),
    (MINE_MISSING, 1),
]


@pytest.mark.parametrize(("error", "times"), AGAIN)
async def test_failing_reviews(error: Exception, times: int) -> None:
    """After the last try, or at once where it cannot help, a caller is refused: 401 for a token, 500 for a right."""
    one, cluster, _ = reviewer(error)
    two, other = authorizer(error)

    assert isinstance(await user(one), Refused)
    with pytest.raises(AuthorizerFailed, match="the access review failed"):
        await check(two)
    assert (len(cluster.asked), len(other.asked)) == (times, times)


async def test_a_hung_cluster() -> None:
    """A caller waits no longer than its own deadline."""
    one, cluster, _ = reviewer(YES)
    two, other = authorizer(ALLOWED)
    cluster.gate = other.gate = asyncio.Event()

    assert isinstance(await user(one, within_seconds=0.0), Refused)
    with pytest.raises(AuthorizerFailed):
        await two.check(ALICE, attributes_of("GET", EXTERNAL, {}), within_seconds=0.0)

    await one.close()
    await two.close()


async def test_a_call_takes_no_more_than_what_is_left() -> None:
    """The tries together stay within nine seconds."""
    clock = Clock()

    class Slow(Cluster):
        async def request(self, *args: Any, **asked: Any) -> dict[str, Any]:
            clock.seconds += 4.0
            return await super().request(*args, **asked)

    cluster = Slow([DOWN])
    one = TokenReviewer(cluster, ttl_seconds=10.0, secret=b"s", tools=tools(clock=clock))

    await user(one)

    assert [asked.timeout_seconds for asked in cluster.asked][:3] == [9.0, 5.0, 1.0]
    assert all(asked.timeout_seconds > 0 for asked in cluster.asked)


async def test_misses_are_merged() -> None:
    """Many who ask the same at once cause one review, and one who leaves does not spoil it for the others."""
    observer = Observer()
    one, cluster = authorizer(ALLOWED, observer=observer)
    cluster.gate = asyncio.Event()
    callers = [asyncio.create_task(check(one)) for _ in range(10)]
    await asyncio.sleep(0)

    callers[0].cancel()
    await asyncio.sleep(0)
    cluster.gate.set()
    done = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == [None] * 9
    assert len(cluster.asked) == 1
    assert observer.seen.count(("reused", "access", "joined")) == 9
    assert ("asked", "access", "yes") in observer.seen


async def test_a_flood_of_tokens() -> None:
    """However many tokens are made up, so many reviews are asked for at a time and so many wait; the rest is refused."""
    one, cluster, _ = reviewer(NO)
    cluster.gate = asyncio.Event()
    callers = [asyncio.create_task(user(one, f"t{number}")) for number in range(2100)]
    for _ in range(5):
        await asyncio.sleep(0)

    refused = [task for task in callers if task.done()]
    assert (len(cluster.asked), len(refused)) == (64, 2100 - 2048)

    cluster.gate.set()
    assert all(isinstance(outcome, Refused) for outcome in await asyncio.gather(*callers))


async def test_failures_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A failing kube-apiserver is one line when it begins and one when it ends."""
    caplog.set_level("INFO")
    one, cluster, _ = reviewer(DOWN)
    await user(one, "a")
    await user(one, "b")

    cluster.answers = [YES]
    await user(one, "c")

    assert [record.getMessage() for record in caplog.records] == [
        "token reviews fail: connection refused",
        "token reviews are answered again",
    ]


# ---- rights

BODIES = [
    (
        User(name="bob", uid="42", groups=("g1", "system:authenticated"), extra={"scopes": ("a", "b"), "acme": ("c",)}),
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/http_requests",
        {},
        (
            '{"resourceAttributes":{"namespace":"ns","verb":"get","group":"custom.metrics.k8s.io","version":"v1beta2",'
            '"resource":"pods","subresource":"http_requests","name":"*"},"user":"bob",'
            '"groups":["g1","system:authenticated"],"extra":{"acme":["c"],"scopes":["a","b"]},"uid":"42"}'
        ),
    ),
    (
        User(name="system:aggregator", groups=("system:authenticated",)),
        "/openapi/v2",
        {},
        (
            '{"nonResourceAttributes":{"path":"/openapi/v2","verb":"get"},"user":"system:aggregator",'
            '"groups":["system:authenticated"]}'
        ),
    ),
    (
        User(name="u"),
        EXTERNAL,
        {"labelSelector": "a=b,!c", "fieldSelector": "metadata.name=x"},
        (
            '{"resourceAttributes":{"namespace":"ns","verb":"list","group":"external.metrics.k8s.io","version":"v1beta1",'
            '"resource":"m","name":"x","fieldSelector":{"requirements":[{"key":"metadata.name","operator":"In",'
            '"values":["x"]}]},"labelSelector":{"requirements":[{"key":"a","operator":"In","values":["b"]},'
            '{"key":"c","operator":"DoesNotExist"}]}},"user":"u"}'
        ),
    ),
]


@pytest.mark.parametrize(("who", "path", "query", "spec"), BODIES)
async def test_the_body_of_an_access_review(who: User, path: str, query: dict[str, str], spec: str) -> None:
    """kube-apiserver is asked in these words, byte for byte."""
    one, cluster = authorizer(ALLOWED)

    await check(one, path, who, **query)

    (asked,) = cluster.asked
    assert (asked.method, asked.path) == ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews")
    assert asked.parameters == {"timeout": "10s"}
    assert json.dumps(asked.body, separators=(",", ":")) == (
        '{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","metadata":{},'
        f'"spec":{spec},"status":{{"allowed":false}}}}'
    )


@pytest.mark.parametrize(("answer", "ttl_seconds"), [(ALLOWED, 10.0), (DENIED, 5.0)])
async def test_what_is_kept_of_rights(answer: Any, ttl_seconds: float) -> None:
    """A yes and a no count for their times."""
    clock = Clock()
    one, cluster = authorizer(answer, clock=clock)

    for seconds in (0.0, ttl_seconds - 0.1, 0.2):
        clock.seconds += seconds
        await asyncio.gather(check(one), return_exceptions=True)

    assert len(cluster.asked) == 2


VARIED = [
    ({"who": User(name="eve", groups=ALICE.groups)}, {}),
    ({"who": User(name="alice", groups=("g1",))}, {}),
    ({"who": User(name="alice", groups=("system:authenticated", "g1"))}, {}),
    ({"who": User(name="alice", groups=ALICE.groups, uid="7")}, {}),
    ({"who": User(name="alice", groups=ALICE.groups, extra={"a": ("b",)})}, {}),
    ({"path": EXTERNAL.replace("/ns/", "/other/")}, {}),
    ({"path": f"{EXTERNAL}/x"}, {}),
    ({}, {"labelSelector": "a=b"}),
    ({}, {"watch": "1"}),
]


@pytest.mark.parametrize(("changes", "query"), VARIED)
async def test_what_differs_is_asked_for_itself(changes: dict[str, Any], query: dict[str, str]) -> None:
    """A verdict counts for the same caller, the same thing and the same verb only."""
    one, cluster = authorizer(ALLOWED, DENIED)
    await check(one)

    with pytest.raises(AccessDenied):
        await check(one, **changes, **query)

    assert len(cluster.asked) == 2


async def test_long_questions_are_not_kept() -> None:
    """Verdicts about very long attributes are asked for each time."""
    one, cluster = authorizer(ALLOWED)

    for _ in range(2):
        await check(one, EXTERNAL + "m" * 10_000)

    assert len(cluster.asked) == 2


async def test_privileged() -> None:
    """Masters may everything, and nobody is asked; a group that only looks so is none."""
    one, cluster = authorizer(DENIED)

    await check(one, who=User(name="root", groups=("x", "system:masters")))
    assert cluster.asked == []

    with pytest.raises(AccessDenied):
        await check(one, who=User(name="system:masters", groups=("system:masters ", "System:Masters")))


PATHS = [
    ("/healthz", True),
    ("/healthz/ping", False),
    ("/healthz/", False),
    ("/healthzz", False),
    ("/open", True),
    ("/open/a/b", True),
    ("/ope", False),
    ("/", False),
    ("", False),
    ("/apis/healthz/v1/x", False),
]


@pytest.mark.parametrize(("path", "passes"), PATHS)
async def test_paths_that_are_always_allowed(path: str, passes: bool) -> None:  # noqa: FBT001 - a row of the table
    """These paths, and what follows a trailing star, need no right; resources always do."""
    one, cluster = authorizer(ALLOWED, paths=("/healthz", "open*"))

    await check(one, path)

    assert (cluster.asked == []) is passes


async def test_a_star_inside_a_path() -> None:
    """A star anywhere else is a mistake that must not open anything."""
    with pytest.raises(ConfigError) as raised:
        authorizer(ALLOWED, paths=("/a*b",))

    assert raised.value.problems[0].location.file == "--authorization-always-allow-paths"


async def test_nobody_to_ask() -> None:
    """Without a kube-apiserver everything that needs a right is denied."""
    one = Authorizer(None, always_allow_paths=(), allowed_ttl_seconds=10.0, denied_ttl_seconds=10.0, tools=tools())

    with pytest.raises(AccessDenied):
        await check(one)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": None},
        {"status": {}},
        {"status": {"allowed": "true"}},
        {"status": {"allowed": 1}},
        {"status": {"allowed": True, "denied": True}},
    ],
)
async def test_unreadable_access_reviews(answer: Any) -> None:
    """A review that is not what was asked for allows nothing."""
    one, _ = authorizer(answer)

    with pytest.raises(AuthorizerFailed):
        await check(one)


REFUSALS = [
    (
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/web/m",
        "alice",
        (
            'pods.custom.metrics.k8s.io \\"web\\" is forbidden: User \\"alice\\" cannot get resource \\"pods/m\\" in API group'
            ' \\"custom.metrics.k8s.io\\" in the namespace \\"ns\\": RBAC: no'
        ),
        '{"name":"web","group":"custom.metrics.k8s.io","kind":"pods"}',
    ),
    (
        EXTERNAL,
        "alice",
        (
            'm.external.metrics.k8s.io is forbidden: User \\"alice\\" cannot list resource \\"m\\" in API group'
            ' \\"external.metrics.k8s.io\\" in the namespace \\"ns\\": RBAC: no'
        ),
        '{"group":"external.metrics.k8s.io","kind":"m"}',
    ),
    (
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/deployments.apps/x/m",
        "a",
        (
            'deployments.apps.custom.metrics.k8s.io \\"x\\" is forbidden: User \\"a\\" cannot get resource'
            ' \\"deployments.apps/m\\" in API group \\"custom.metrics.k8s.io\\" in the namespace \\"ns\\": RBAC: no'
        ),
        '{"name":"x","group":"custom.metrics.k8s.io","kind":"deployments.apps"}',
    ),
    (
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "a",
        (
            'nodes.metrics.k8s.io is forbidden: User \\"a\\" cannot list resource \\"nodes\\" in API group'
            ' \\"metrics.k8s.io\\" at the cluster scope: RBAC: no'
        ),
        '{"group":"metrics.k8s.io","kind":"nodes"}',
    ),
    (
        "/metrics",
        "system:anonymous",
        'forbidden: User \\"system:anonymous\\" cannot get path \\"/metrics\\": RBAC: no',
        "{}",
    ),
    (
        "/a<b>&",
        "<i>",
        'forbidden: User \\"\\u0026lt;i\\u0026gt;\\" cannot get path \\"/a\\u0026lt;b\\u0026gt;\\u0026amp;\\": RBAC: no',
        "{}",
    ),
]


@pytest.mark.parametrize(("path", "name", "message", "details"), REFUSALS)
async def test_how_a_denial_is_told(path: str, name: str, message: str, details: str) -> None:
    """The 403 names what the caller lacks in Kubernetes' own words, escaped for whoever shows it as HTML."""
    one, _ = authorizer(DENIED)

    with pytest.raises(AccessDenied) as raised:
        await check(one, path, User(name=name))
    answer = refusal(raised.value, Call(path=path), target=path)

    assert (answer.status, answer.content_type) == (403, "application/json")
    assert (b"x-content-type-options", b"nosniff") in answer.headers
    assert answer.body.decode() == (
        '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
        f'"message":"{message}","reason":"Forbidden","details":{details},"code":403}}\n'
    )


async def test_a_denial_without_a_reason() -> None:
    """Nothing follows where the review gives no reason, and a very long one is cut."""
    one, _ = authorizer({"status": {"allowed": False}}, {"status": {"allowed": False, "reason": "r" * 5000}})

    with pytest.raises(AccessDenied, match=r'path "/x"$'):
        await check(one, "/x")
    with pytest.raises(AccessDenied, match=r'path "/y": r{1024}$'):
        await check(one, "/y")


async def test_how_a_failure_is_told() -> None:
    """Who could not be authorized gets plain text that quotes the request and nothing of the failure's own words."""
    one, _ = authorizer(DOWN)

    with pytest.raises(AuthorizerFailed) as raised:
        await check(one)
    answer = refusal(raised.value, Call(path=EXTERNAL), target=f'{EXTERNAL}?a=<b>&"\n')

    assert (answer.status, answer.content_type) == (500, "text/plain; charset=utf-8")
    assert answer.headers == ((b"x-content-type-options", b"nosniff"),)
    quoted = f'"{EXTERNAL}?a=&lt;b&gt;&amp;\\"\\n"'
    assert answer.body.decode() == f"Internal Server Error: {quoted}: the access review failed\n"


# ---- the gate


async def test_the_gate() -> None:
    """A request passes once both reviews say so, and is not asked about again for ten seconds."""
    tokens, rights = Cluster([YES]), Cluster([ALLOWED])
    gate = open_gate(
        GateOptions(), trust=Trust, authentication=tokens, authorization=rights, tools=tools(), wall_clock=lambda: 0.0
    )
    call = Call(path=EXTERNAL)

    found = [await gate.admit(call, headers=bearer("t"), peer_certificate=None) for _ in range(3)]

    assert found == [User(name="sa", groups=("system:authenticated",))] * 3
    assert (len(tokens.asked), len(rights.asked)) == (1, 1)
    await gate.close()


async def test_the_gate_authenticates_first() -> None:
    """A bad token is a 401 also on a path that everybody may read, and no right is asked for."""
    rights = Cluster([ALLOWED])
    gate = open_gate(
        GateOptions(),
        trust=Trust,
        authentication=Cluster([NO]),
        authorization=rights,
        tools=tools(),
        wall_clock=lambda: 0.0,
    )

    with pytest.raises(Unauthenticated):
        await gate.admit(Call(path="/healthz"), headers=bearer("t"), peer_certificate=None)
    await gate.admit(Call(path="/healthz"), headers=(), peer_certificate=None)

    assert rights.asked == []
