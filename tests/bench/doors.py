"""Fifty chats streaming at once through a real server, and what one event costs against raw ASGI.

Both applications are served by uvicorn on loopback in one process of their own and are read by the same client, in
turns. Raw ASGI sends ready bytes; ours replays a finished run from its durable log through every layer.
"""

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp

CHATS = 50
_FRAME = b'id: 0123456789abcdef:1234\nevent: token\ndata: {"type":"token","text":"word "}\n\n'


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """`home` and `data` are not used: the host is a fresh one on a scripted agent."""
    events, rounds, words = (4_000, 3, 40) if quick else (10_000, 7, 200)
    ours, raw = Server(_serve_ours), Server(_serve_raw, events)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 20) as client:
            chats = await _many(client, ours.url, words)
            cost = await _cost(client, ours.url, raw.url, events, rounds)
    finally:
        ours.stop()
        raw.stop()
    return {**chats, **cost}


async def _many(client: aiohttp.ClientSession, url: str, words: int) -> dict[str, Any]:
    started = time.perf_counter()
    told = await asyncio.gather(*(_chat(client, url, f"say {words} tokens, chat {n}") for n in range(CHATS)))
    seconds = time.perf_counter() - started
    firsts = sorted(first for _, first, _ in told)
    return {
        "chats": CHATS,
        "errors": sum(not done for done, _, _ in told),
        "events_per_second": round(sum(count for _, _, count in told) / seconds),
        "first_event_p50_ms": round(1_000 * statistics.median(firsts), 1),
        "first_event_p99_ms": round(1_000 * firsts[-1], 1),
    }


async def _chat(client: aiohttp.ClientSession, url: str, question: str) -> tuple[bool, float, int]:
    """Whether the run ended well, seconds to its first event, and its events."""
    started, first, text = time.perf_counter(), 0.0, b""
    async with client.post(f"{url}/api/v1/chat", json={"question": question}) as answer:
        if answer.status != 200:
            return False, 0.0, 0
        async for chunk in answer.content.iter_any():
            first = first or time.perf_counter() - started
            text += chunk
    return b'"status":"done"' in text, first, text.count(b"\n\n")


async def _cost(client: aiohttp.ClientSession, ours: str, raw: str, events: int, rounds: int) -> dict[str, Any]:
    async with client.post(f"{ours}/api/v1/chat", json={"question": f"say {events} tokens"}) as answer:
        path = f"/api/v1/runs/{answer.headers['X-Run-Id']}/events"
        await answer.read()
    mine, theirs = list[float](), list[float]()
    for _ in range(rounds + 1):
        mine.append(await _per_event(client, ours + path))
        theirs.append(await _per_event(client, raw))
    # the first round warms both
    event, floor = statistics.median(mine[1:]), statistics.median(theirs[1:])
    return {
        "event_us": round(event, 2),
        "raw_asgi_us": round(floor, 2),
        "ratio": round(statistics.median(a / b for a, b in zip(mine[1:], theirs[1:], strict=True)), 2),
    }


async def _per_event(client: aiohttp.ClientSession, url: str) -> float:
    """Microseconds per event of a whole stream, the request included."""
    count, started = 0, time.perf_counter()
    async with client.get(url) as answer:
        async for chunk in answer.content.iter_any():
            count += chunk.count(b"\n\n")
    return 1e6 * (time.perf_counter() - started) / max(count, 1)


class Server:
    """A server in a process of its own, so that the client's work does not slow it."""

    def __init__(self, target: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        if not mine.poll(60):
            raise TimeoutError("the server did not start within 60 s")
        self.url = f"http://127.0.0.1:{mine.recv()}"

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def stop(self) -> None:
        self._process.terminate()
        self._process.join(10)


def _serve_ours(ready: Connection) -> None:
    import os

    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from api.app import create_app
    from tests.api.fakes import open_fake_host
    from tools.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home) / "home", offline=True, _env_file=None)
        serve(lambda port: create_app(settings, opener=open_fake_host, console=False), ready)


def _serve_raw(ready: Connection, events: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for _ in range(events):
            await send({"type": "http.response.body", "body": _FRAME, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    serve(lambda port: app, ready)


def serve(build: Callable[[int], Any], ready: Connection) -> None:
    """Serve the app that `build` makes for a free port, and tell the port once it answers."""
    import uvicorn

    from api.sockets import listen

    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(build(port), log_level="error", lifespan="auto"))

    async def answer() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():  # noqa: ASYNC110 uvicorn has no event for it
            await asyncio.sleep(0.01)
        ready.send(port)
        await serving

    asyncio.run(answer())
