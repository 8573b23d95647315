"""Tools on another host: events, results, errors, and hosts that fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from tests.tools.test_chat import small_catalog
from tools import remote
from tools.bench import Bench
from tools.errors import EngineFailed, NotFound, Unauthorized
from tools.events import ModelEvent, ToolEvent
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import tool

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


class Text(BaseModel):
    text: str


@tool(title="Shout")
async def shout(input: Text, bench: Bench) -> Text:
    """Say it loudly."""
    return Text(text=input.text.upper())


@asynccontextmanager
async def host(handler: Handler, seen: list[web.Request] | None = None) -> AsyncIterator[str]:
    async def post(request: web.Request) -> web.StreamResponse:
        if seen is not None:
            seen.append(request)
        if request.headers.get("Authorization") != "Bearer service":
            return web.json_response(Unauthorized("No such key.").body(), status=401)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await handler(request, answer)
        return answer

    app = web.Application()
    app.add_routes([web.post("/api/v1/tools/shout", post)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def send(answer: web.StreamResponse, event: str, data: Any) -> None:
    await answer.write(f"event: {event}\r\ndata: {json.dumps(data)}\r\n\r\n".encode())


async def call(settings: Settings, url: str, key: str = "service", **more: Any) -> tuple[Text, list[Any]]:
    events: list[Any] = []
    async with open_bench(settings, catalog=small_catalog()) as bench:
        away = Bench(**{**vars(bench), "host": remote.RemoteHost(url, key), "emit": events.append, **more})
        return await away.call(shout, Text(text="hello")), events


async def test_events_and_the_result_arrive(settings: Settings) -> None:
    async def work(request: web.Request, answer: web.StreamResponse) -> None:
        await send(answer, "tool", ToolEvent(tool="shout", call="1", state="started").model_dump(mode="json"))
        await answer.write(b": ping\n\n")
        await send(answer, "model", ModelEvent(model="m", device="cpu", state="loading").model_dump(mode="json"))
        await send(answer, "result", {"text": "x" * 3_000_000})

    seen: list[web.Request] = []
    async with host(work, seen) as url:
        output, events = await call(settings, url, tenant="team-a")
    assert len(output.text) == 3_000_000
    assert [type(event) for event in events] == [ToolEvent, ModelEvent]
    assert seen[0].headers["X-Sutradhar-Tenant"] == "team-a"


async def test_errors_keep_their_kind(settings: Settings) -> None:
    async def work(request: web.Request, answer: web.StreamResponse) -> None:
        await send(answer, "error", NotFound("No such medium.", remedy="Upload it.", param="media").body())

    async with host(work) as url:
        with pytest.raises(NotFound, match="Upload") as caught:
            await call(settings, url)
        assert caught.value.param == "media"
        with pytest.raises(Unauthorized):
            await call(settings, url, key="wrong")


async def test_a_host_that_is_not_there_or_dies(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(request: web.Request, answer: web.StreamResponse) -> None:
        await send(answer, "tool", ToolEvent(tool="shout", call="1", state="started").model_dump(mode="json"))

    async def hangs(request: web.Request, answer: web.StreamResponse) -> None:
        await asyncio.sleep(2)

    async def lies(request: web.Request, answer: web.StreamResponse) -> None:
        await send(answer, "result", {"number": 3})

    with pytest.raises(EngineFailed, match="sutradhar up"):
        await call(settings, "http://127.0.0.1:9")
    for handler, message in ((ends, "without a result"), (lies, "same version")):
        async with host(handler) as url:
            with pytest.raises(EngineFailed, match=message):
                await call(settings, url)
    monkeypatch.setattr(remote, "_SILENT_SECONDS", 0.3)
    async with host(hangs) as url:
        with pytest.raises(EngineFailed):
            await call(settings, url)
