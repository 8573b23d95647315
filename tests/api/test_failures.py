"""Bad input is never a 500, and every failure has one shape."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.api.conftest import Served, serve
from tools.settings import Server, Settings

pytestmark = pytest.mark.anyio

HOSTILE: dict[str, bytes] = {
    "not json": b"{",
    "nothing": b"",
    "a list": b"[1]",
    "a number": b"1",
    "NaN": b'{"text": "a", "times": NaN}',
    "NaN where nobody looks": b'{"text": "a", "more": NaN}',
    "a lone surrogate where nobody looks": b'{"text": "a", "more": "\\udfff"}',
    "infinity": b'{"text": "a", "times": 1e999}',
    "a lone surrogate": b'{"text": "\\ud800"}',
    "huge integer": b'{"text": "a", "times": ' + b"9" * 10_000 + b"}",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "not utf-8": b'{"text": "\xff\xfe"}',
    "langchain key": b'{"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}}',
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_json_is_refused(open_door: Served, name: str) -> None:
    async with open_door.client() as client:
        answer = await client.post(
            "/api/v1/tools/echo", content=HOSTILE[name], headers={"Content-Type": "application/json"}
        )
    assert answer.status_code in (400, 422), answer.text
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert error["type"] == "invalid_request_error"


async def test_a_million_keys_are_read_or_refused(open_door: Served) -> None:
    body = b'{"text": "a", ' + b",".join(b'"k%d":1' % n for n in range(500_000)) + b"}"
    async with open_door.client() as client:
        answer = await client.post("/api/v1/tools/echo", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422)


async def test_a_body_beyond_the_limit(open_door: Served) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"a" * 1024**2

    async with open_door.client() as client:
        declared = await client.post("/api/v1/tools/echo", content=b"a" * 11 * 1024**2)
        assert declared.status_code == 413
        chunked = await client.post("/api/v1/tools/echo", content=slow())
        assert chunked.status_code == 413
        assert chunked.json()["error"]["code"] == "too_large"


async def test_wrong_places(open_door: Served) -> None:
    async with open_door.client() as client:
        missing = await client.get("/api/v1/nowhere")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        method = await client.delete("/api/v1/tools/echo")
        assert (method.status_code, method.json()["error"]["code"]) == (405, "method_not_allowed")
        assert "GET" in method.json()["error"]["message"]
        tool = await client.post("/api/v1/tools/nothing", json={})
        assert tool.status_code == 404
        assert "echo" in tool.json()["error"]["remedy"]


async def test_an_argument_that_does_not_fit_is_quoted(open_door: Served) -> None:
    async with open_door.client() as client:
        answer = await client.post("/api/v1/tools/echo", json={"text": "a", "times": 1000})
    error = answer.json()["error"]
    assert answer.status_code == 422
    assert error["param"] == "times"
    assert "1000" in error["message"]


async def test_an_unexpected_failure_tells_nothing(open_door: Served) -> None:
    async with open_door.client(headers={"X-Request-Id": "abc-1"}) as client:
        answer = await client.post("/api/v1/tools/break", json={"text": "a"})
        assert answer.status_code == 500
        assert "/somewhere" not in answer.text
        assert "abc-1" in answer.json()["error"]["message"]
        engine = await client.post("/api/v1/tools/break", json={"text": "engine"})
        assert (engine.status_code, engine.json()["error"]["code"]) == (503, "engine_failed")


async def test_request_ids(open_door: Served) -> None:
    async with open_door.client() as client:
        assert (await client.get("/health", headers={"X-Request-Id": "mine"})).headers["x-request-id"] == "mine"
        assert (await client.get("/health", headers={"X-Request-Id": "a b"})).headers["x-request-id"] != "a b"


async def test_one_stream_too_many_is_told_when_to_come_back(settings: Settings) -> None:
    one = settings.model_copy(update={"server": Server(streams=1)})
    stream = {"Accept": "text/event-stream"}
    async with serve(one) as served, served.client() as client:
        async with client.stream("POST", "/api/v1/tools/wait", json={"text": "a"}, headers=stream) as first:
            assert first.status_code == 200
            refused = await client.post("/api/v1/tools/echo", json={"text": "a"}, headers=stream)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
        await asyncio.sleep(0.1)
        assert (await client.post("/api/v1/tools/echo", json={"text": "a"}, headers=stream)).status_code == 200


async def test_small_answers_do_not_wait_for_acknowledgements(open_door: Served) -> None:
    seconds = list[float]()
    async with open_door.client() as client:
        for _ in range(30):
            started = time.perf_counter()
            await client.get("/health")
            seconds.append(time.perf_counter() - started)
    # Nagle's algorithm against a delayed acknowledgement costs 40 ms each time
    assert sorted(seconds)[5] < 0.03
