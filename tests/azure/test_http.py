"""What a call does when all goes well, when it may be repeated, and when the peer misbehaves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from reconciler.azure.errors import (
    Conflict,
    InvalidReply,
    LostReply,
    NotFound,
    Retired,
    ServiceError,
    ServiceUnavailable,
    Throttled,
    Unreachable,
)
from reconciler.azure.http import Http
from reconciler.azure.retries import Retries

KEY = SecretStr("k3y-of-the-endpoint==")


class SpyingRetries(Retries):
    """Notes how long it would have waited, and does not wait."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.waits: list[float] = []

    async def sleep(self, settings: Any, transport: Any, response: Any = None) -> None:  # noqa: ARG002 - an override
        after = self.get_retry_after(response) if response is not None else None
        self.waits.append(after if after is not None else self.get_backoff_time(settings))


class NoSuchName(AbstractResolver):
    def __init__(self, errno: int) -> None:
        self.errno = errno
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002 - an override
        self.asked += 1
        raise socket.gaierror(self.errno, "not known")

    async def close(self) -> None:
        pass


async def test_a_reply_carries_status_json_text_and_headers(peer, http):
    peer.on("GET", "/a", peer.says({"Name": "x"}, x_ms_request_id="r-1"))

    reply = await http.request("GET", f"{peer.url}/a", operation="get a", token=KEY, params={"api-version": "2.0"})

    assert (reply.status, reply.json, reply.headers["X-MS-Request-Id"]) == (200, {"Name": "x"}, "r-1")
    (seen,) = peer.seen
    assert seen.query == {"api-version": "2.0"}
    assert seen.headers["authorization"] == "Bearer k3y-of-the-endpoint=="
    assert seen.headers["accept"] == "application/json"
    assert seen.headers["user-agent"] == "reconciler"
    assert seen.headers["x-ms-client-request-id"]


async def test_a_json_body_is_sent_as_utf_8(peer, http):
    peer.on("PUT", "/a", peer.nothing())

    await http.request("PUT", f"{peer.url}/a", operation="put a", json={"Description": "Zürich"})

    assert peer.seen[0].json == {"Description": "Zürich"}
    assert peer.seen[0].headers["content-type"] == "application/json"


async def test_a_post_without_a_body_says_that_it_has_none(peer, http):
    """The real service wants ``Content-Length: 0`` on start (classic-protocol 3)."""
    peer.on("POST", "/start", peer.nothing())

    await http.request("POST", f"{peer.url}/start", operation="start")

    assert peer.seen[0].headers["content-length"] == "0"
    assert "content-type" not in peer.seen[0].headers


@pytest.mark.parametrize("body", ["", "null", "  \n"])
async def test_no_body_and_null_are_nothing(peer, http, body):
    peer.on("GET", "/a", peer.says_text(body))

    reply = await http.request("GET", f"{peer.url}/a", operation="get a")

    assert reply.expect(list, "get a") is None


@pytest.mark.parametrize(("body", "found"), [("<html>", "not JSON"), ('{"a": 1}', "a JSON dict")])
async def test_an_answer_of_another_shape_is_invalid_and_not_repeated_in_the_error(peer, http, body, found):
    peer.on("GET", "/a", peer.says_text(body))

    reply = await http.request("GET", f"{peer.url}/a", operation="get a")
    with pytest.raises(InvalidReply, match=found) as raised:
        reply.expect(list, "get a")

    assert body not in str(raised.value)


async def test_a_byte_order_mark_does_no_harm(peer, http):
    peer.on("GET", "/a", peer.says_text("\ufeff[1]"))

    reply = await http.request("GET", f"{peer.url}/a", operation="get a")

    assert reply.json == [1]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_idempotent_call_is_repeated_after_a_temporary_failure(peer, http, method, status):
    peer.on(method, "/a", peer.refuses(status, "Later"), peer.refuses(status, "Later"), peer.says({}))

    reply = await http.request(method, f"{peer.url}/a", operation="a")

    assert reply.status == 200
    assert len(peer.seen) == 3


@pytest.mark.parametrize("failure", ["cuts", "cuts_in_the_body"])
async def test_an_idempotent_call_is_repeated_after_a_broken_connection(peer, http, failure):
    peer.on("GET", "/a", getattr(peer, failure), peer.says([1]))

    reply = await http.request("GET", f"{peer.url}/a", operation="a")

    assert reply.json == [1]
    assert len(peer.seen) == 2


async def test_the_tries_are_few(peer, http):
    peer.on("GET", "/a", peer.refuses(503, "ServiceUnavailable", "no more", "NoMoreResources"))

    with pytest.raises(ServiceUnavailable, match="503 ServiceUnavailable/NoMoreResources: no more"):
        await http.request("GET", f"{peer.url}/a", operation="a")

    assert len(peer.seen) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 501])
async def test_a_refusal_that_time_does_not_heal_is_not_repeated(peer, http, status):
    """azure-core alone would repeat any of them for its Retry-After."""
    peer.on("GET", "/a", peer.refuses(status, "No", Retry_After="1"))

    with pytest.raises(ServiceError):
        await http.request("GET", f"{peer.url}/a", operation="a")

    assert len(peer.seen) == 1


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_patch_or_post_that_may_have_been_done_is_not_repeated(peer, http, method, status):
    peer.on(method, "/a", peer.refuses(status, "InternalError", Retry_After="0"))

    with pytest.raises(ServiceUnavailable):
        await http.request(method, f"{peer.url}/a", operation="a", json={})

    assert len(peer.seen) == 1


async def test_a_patch_that_was_turned_away_unread_is_repeated(peer, http):
    peer.on("PATCH", "/a", peer.refuses(429, "TooManyRequests"), peer.says({}))

    await http.request("PATCH", f"{peer.url}/a", operation="a", json={})

    assert len(peer.seen) == 2


@pytest.mark.parametrize("answer", ["refused", "throttled", "cut"])
async def test_a_call_marked_as_not_idempotent_is_sent_once_come_what_may(peer, http, answer):
    answers = {
        "refused": peer.refuses(503, "X", Retry_After="0"),
        "throttled": peer.refuses(429, "X"),
        "cut": peer.cuts,
    }
    peer.on("POST", "/jobs", answers[answer])

    with pytest.raises(ServiceError):
        await http.request("POST", f"{peer.url}/jobs", operation="a", json={}, idempotent=False)

    assert len(peer.seen) == 1


async def test_a_post_marked_as_idempotent_is_repeated(peer, http):
    peer.on("POST", "/execute", peer.refuses(503, "InitializingContainers"), peer.cuts, peer.says({}))

    await http.request("POST", f"{peer.url}/execute", operation="a", json={}, idempotent=True)

    assert len(peer.seen) == 3


async def test_retry_after_is_honoured_and_otherwise_the_pauses_grow(peer):
    retries = SpyingRetries(backoff=0.25)
    peer.on(
        "GET",
        "/a",
        peer.refuses(503, "X"),
        peer.refuses(503, "X"),
        peer.refuses(429, "X", Retry_After="7"),
        peer.says(1),
    )

    async with Http(retries=retries, proxies=False) as http:
        await http.request("GET", f"{peer.url}/a", operation="a")

    assert retries.waits == [0.25, 0.5, 7.0]


async def test_a_retry_after_beyond_patience_is_handed_to_the_caller(peer):
    retries = SpyingRetries(patience=30)
    peer.on("GET", "/a", peer.refuses(429, "TooManyRequests", Retry_After="600"))

    async with Http(retries=retries, proxies=False) as http:
        with pytest.raises(Throttled) as raised:
            await http.request("GET", f"{peer.url}/a", operation="a")

    assert (raised.value.retry_after, retries.waits, len(peer.seen)) == (600.0, [], 1)


async def test_a_patch_whose_connection_broke_is_a_lost_reply(peer, http):
    """azure-core reports this as a failed *request*, as if nothing had been sent."""
    peer.on("PATCH", "/a", peer.cuts)

    with pytest.raises(LostReply, match=r"patch a: .* broke before the response") as raised:
        await http.request("PATCH", f"{peer.url}/a", operation="patch a", json={})

    assert len(peer.seen) == 1
    assert raised.value.request_id == peer.seen[0].headers["x-ms-client-request-id"]


async def test_an_answer_that_breaks_off_is_a_lost_reply(peer, http):
    peer.on("PATCH", "/a", peer.cuts_in_the_body)

    with pytest.raises(LostReply):
        await http.request("PATCH", f"{peer.url}/a", operation="a", json={})


async def test_an_answer_that_does_not_come_in_time_is_a_lost_reply(peer):
    peer.on("PATCH", "/a", peer.hangs)

    async with Http(read_timeout=0.05, proxies=False) as http:
        with pytest.raises(LostReply):
            await http.request("PATCH", f"{peer.url}/a", operation="a", json={})


async def test_a_port_where_nobody_listens_is_unreachable(http, closed_url):
    with pytest.raises(Unreachable, match=r"no connection to 127.0.0.1:[0-9]+: .*refused"):
        await http.request("PATCH", f"{closed_url}/a", operation="patch a", json={})


async def test_a_name_that_does_not_exist_is_the_retirement_and_is_asked_for_once():
    resolver = NoSuchName(socket.EAI_NONAME)

    async with Http(resolver=resolver, proxies=False) as http:
        with pytest.raises(
            Retired, match=r"host management\.azureml\.net does not exist: Microsoft retired .* 31 August 2024"
        ):
            await http.request("GET", "https://management.azureml.net/workspaces/w/webservices", operation="a")

    assert resolver.asked == 1


@pytest.mark.parametrize("host", ["studio.invalid", "Studio.INVALID."])
async def test_a_name_under_invalid_does_not_exist_and_nobody_is_asked_for_it(monkeypatch, host):
    """RFC 6761: so a Studio can play a service whose name has gone, on a machine without a network as well."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a resolver was asked"))

    async with Http(proxies=False) as http:
        with pytest.raises(Retired, match=r"(?i)host studio\.invalid"):
            await http.request("GET", f"https://{host}/workspaces/w/webservices", operation="a")


async def test_a_machine_without_a_network_is_no_retirement():
    async with Http(resolver=NoSuchName(socket.EAI_AGAIN), retries=Retries(backoff=0), proxies=False) as http:
        with pytest.raises(Unreachable):
            await http.request("GET", "https://management.azureml.net/x", operation="a")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_host_that_knows_nothing_any_more_is_the_retirement(peer, http, status):
    peer.on_everything(peer.says_text("<html><title>Gone</title></html>", status, "text/html"))

    with pytest.raises(Retired, match=rf"{status}.* Microsoft retired"):
        await http.request("GET", f"{peer.url}/workspaces/w/webservices", operation="a")


@pytest.mark.parametrize("first", ["an answer", "an error of the service's own"])
async def test_a_bare_404_of_a_host_that_has_answered_before_is_just_not_found(peer, http, first):
    peer.on("GET", "/a", peer.says([]) if first == "an answer" else peer.refuses(404, "NotFound"))
    peer.on("GET", "/b", peer.says_text("404: Not Found", 404))

    try:
        await http.request("GET", f"{peer.url}/a", operation="a")
    except NotFound:
        assert first != "an answer"

    with pytest.raises(NotFound, match="404: Not Found"):
        await http.request("GET", f"{peer.url}/b", operation="b")


async def test_not_modified_is_an_answer(peer, http):
    peer.on("POST", "/refresh", peer.nothing(304))

    assert (await http.request("POST", f"{peer.url}/refresh", operation="refresh")).status == 304


async def test_one_retry_policy_can_serve_two_pools(peer):
    retries = Retries(backoff=0)
    peer.on("GET", "/a", peer.cuts, peer.says([]))

    async with Http(retries=retries, proxies=False) as first, Http(retries=retries, proxies=False) as second:
        await second.request("GET", f"{peer.url}/a", operation="a")
        await first.request("GET", f"{peer.url}/a", operation="a")

    assert len(peer.seen) == 3


async def test_cancelling_the_task_cancels_the_call(peer, http):
    arrived = asyncio.Event()

    async def waits(request: Any) -> Any:
        arrived.set()
        return await peer.hangs(request)

    peer.on("GET", "/a", waits)
    call = asyncio.create_task(http.request("GET", f"{peer.url}/a", operation="a"))
    await arrived.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    peer.on("GET", "/b", peer.says([]))
    assert (await http.request("GET", f"{peer.url}/b", operation="b")).json == []


async def test_many_calls_share_a_few_connections(peer):
    peer.on("GET", "/a", peer.says([]))

    async with Http(connections=2, proxies=False) as http:
        await asyncio.gather(*(http.request("GET", f"{peer.url}/a", operation="a") for _ in range(20)))

    assert len(peer.seen) == 20
    assert len(peer.connections) <= 2


async def test_outside_of_its_async_with_the_pipeline_says_so(peer):
    with pytest.raises(RuntimeError, match="async with"):
        await Http().request("GET", f"{peer.url}/a", operation="a")


async def test_a_conflict_keeps_the_code_of_its_details(peer, http):
    peer.on("PUT", "/a", peer.refuses(409, "Conflict", "Resource already exists.", "ModelOutputMetadataMismatch"))

    with pytest.raises(Conflict) as raised:
        await http.request("PUT", f"{peer.url}/a", operation="a", json={})

    assert raised.value.detail_codes == ("ModelOutputMetadataMismatch",)
    assert raised.value.has_code("modeloutputmetadatamismatch")
