"""The way in: who is let in, how many, and what is written down about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from server_fakes import AUDIT_ID, Ask, FakeProvider

from adapter.errors import AccessDenied, AuthorizerFailed, Unauthenticated
from adapter.server.audit import Request
from adapter.server.auth import User
from adapter.server.calls import Answer, Call
from adapter.server.door import Door

pytestmark = pytest.mark.anyio

LIST = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/m"
ALICE = User(name="alice", groups=("dev", "system:authenticated"))


@dataclass
class FakeAccess:
    """Knows one user, and refuses what the test says."""

    user: User = ALICE
    error: Exception | None = None
    denied: bool = False
    authorized: list[str] = field(default_factory=list)

    async def authenticate(
        self, headers: Sequence[tuple[bytes, bytes]], peer_certificate: bytes | None, *, within_seconds: float
    ) -> User:
        """Return the user."""
        if isinstance(self.error, Unauthenticated):
            raise self.error
        return self.user

    async def authorize(self, user: User, call: Call, *, within_seconds: float) -> None:
        """Refuse, or not."""
        self.authorized.append(call.path)
        if self.denied:
            raise AccessDenied("no")
        if self.error is not None:
            raise self.error


@dataclass
class Lines:
    """Keeps what is written down."""

    requests: list[Request] = field(default_factory=list)

    def note(self, request: Request) -> None:
        """Keep a line."""
        self.requests.append(request)


async def test_who_is_not_known_gets_401_before_anything_is_asked(ask: Ask, provider: FakeProvider) -> None:
    """Credentials that prove nothing are a 401 on every path, the probes' included."""
    access = FakeAccess(error=Unauthenticated())

    for path in (LIST, "/healthz", "/apis", "/nothing"):
        response = await ask(path, access=access)
        assert (response.status_code, response.json()["reason"]) == (401, "Unauthorized")
    assert (provider.asked, access.authorized) == ([], [])


async def test_a_bad_timeout_is_told_before_who_calls(ask: Ask) -> None:
    """The order is that of the API servers: the time limit is read before the credentials."""
    response = await ask(f"{LIST}?timeout=x", access=FakeAccess(error=Unauthenticated()))

    assert response.status_code == 400


async def test_reviews_that_fail_let_nobody_in(ask: Ask, provider: FakeProvider) -> None:
    """When nobody can say whether the caller may, the answer is a 500 in plain text, and nothing is asked."""
    response = await ask(f"{LIST}?a=1", access=FakeAccess(error=AuthorizerFailed("kube-apiserver is away")))

    assert response.status_code == 500
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == f'Internal Server Error: "{LIST}?a=1": kube-apiserver is away\n'
    assert provider.asked == []


async def test_what_was_read_is_written_down(ask: Ask) -> None:
    """A line says who read which metric of which object, and how it ended."""
    lines = Lines()

    await ask(LIST, access=FakeAccess(), audit=lines, user_agent="hpa")

    (request,) = lines.requests
    assert (request.audit_id, request.uri, request.user_agent, request.code) == (AUDIT_ID, LIST, "hpa", 200)
    assert (request.caller.name, request.caller.groups) == ("alice", ALICE.groups)
    subject = request.subject
    assert (subject.verb, subject.resource, subject.subresource) == ("get", "pods", "m")
    assert (subject.namespace, subject.name) == ("ns", "*")


async def test_what_is_read_without_checks_is_written_down(ask: Ask) -> None:
    """The audit log is kept also where callers are not checked, under a name that says so."""
    lines = Lines()

    await ask(LIST, audit=lines)

    assert [one.caller.name for one in lines.requests] == ["system:unsecured"]


async def test_who_may_not_is_told_and_written_down(ask: Ask, provider: FakeProvider) -> None:
    """A caller without rights gets 403, nothing is asked, and the attempt leaves a line."""
    lines = Lines()

    response = await ask(LIST, access=FakeAccess(denied=True), audit=lines)

    assert (response.status_code, response.headers["x-content-type-options"]) == (403, "nosniff")
    assert provider.asked == []
    assert [request.code for request in lines.requests] == [403]


async def test_only_reads_of_metrics_are_written_down(ask: Ask) -> None:
    """Probes and discovery leave no line."""
    lines = Lines()

    for path in ("/healthz", "/apis", "/apis/custom.metrics.k8s.io/v1beta2", "/metrics"):
        await ask(path, access=FakeAccess(), audit=lines)

    assert lines.requests == []


async def test_too_many_at_once() -> None:
    """More requests at a time than the limit get 429 without Retry-After; administrators are let in."""
    access, gate = FakeAccess(), asyncio.Event()
    door = Door(access=access, audit=None, max_in_flight=1, clock=lambda: 0.0, wall_clock=lambda: 0.0)
    call, scope = Call(path=LIST), {"headers": [], "raw_path": LIST.encode(), "query_string": b""}

    async def slow(_seconds: float) -> Answer:
        await gate.wait()
        return Answer(body=b"slow")

    async def fast(_seconds: float) -> Answer:
        return Answer(body=b"fast")

    async def ask_door(answer: Callable[[float], Awaitable[Answer]]) -> Answer:
        return await door.let_in(call, scope, audit_id="", seconds=9.0, answer=answer)

    first = asyncio.create_task(ask_door(slow))
    await asyncio.sleep(0)
    refused = await ask_door(fast)
    probe = await door.let_in(Call(path="/livez"), scope, audit_id="", seconds=9.0, answer=fast)
    access.user = replace(ALICE, groups=("system:masters",))
    privileged = await ask_door(fast)
    gate.set()

    assert (refused.status, refused.body) == (429, b"Too many requests, please try again later.\n")
    assert b"retry-after" not in dict(refused.headers)
    assert probe.body == b"fast"
    assert (privileged.body, (await first).body) == (b"fast", b"slow")
    access.user = ALICE
    assert (await ask_door(fast)).body == b"fast"


async def test_the_time_at_the_door_counts() -> None:
    """What the credentials and the review took is missing from the time for the answer."""
    now = [0.0]

    class Slow(FakeAccess):
        async def authorize(self, user: User, call: Call, *, within_seconds: float) -> None:
            now[0] += 2.0

    door = Door(access=Slow(), audit=None, max_in_flight=0, clock=lambda: now[0], wall_clock=lambda: 0.0)
    told: list[float] = []

    async def answer(seconds: float) -> Answer:
        told.append(seconds)
        return Answer(body=b"")

    scope = {"headers": [], "raw_path": b"/", "query_string": b""}
    await door.let_in(Call(path="/"), scope, audit_id="", seconds=9.0, answer=answer)

    assert told == [7.0]
