"""A small OpenAI-compatible server with faults, run as a child: `python fake_server.py PORT OPTIONS`."""

import asyncio
import base64
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from tools.catalog import Row
from tools.isolation.server import package_path


class FakeServer:
    """The engine class of its rows. Options: `load` seconds, `fall` while loading, `sleeps`, `deaf` to SIGTERM, `sees`
    images and says what it was shown."""

    health: ClassVar[str] = "/health"

    @staticmethod
    def command(row: Row, files: Mapping[str, Path], device: str, port: int) -> list[str]:
        return [sys.executable, __file__, str(port), json.dumps({**row.options, "device": device})]

    @staticmethod
    def environment(row: Row, device: str, key: str) -> dict[str, str]:
        return {"FAKE_TOKEN": key, **package_path()}


class Server:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._key = f"Bearer {os.environ['FAKE_TOKEN']}"
        self._asleep = False
        self._calls: list[str] = []
        self._gone = 0
        self._busy = self._busiest = 0

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != self._key:
            raise web.HTTPUnauthorized
        if request.path in {"/sleep", "/wake_up"}:
            self._calls.append(request.path)
            self._asleep = request.path == "/sleep"
        answer: web.StreamResponse = await handler(request)
        return answer

    async def health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def sleeping(self, request: web.Request) -> web.Response:
        return web.json_response({"is_sleeping": self._asleep})

    async def calls(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"calls": self._calls, "gone": self._gone, "busiest": self._busiest, "environment": dict(os.environ)}
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if status := self._options.get("status"):
            return web.json_response({"error": {"message": "the context is full"}}, status=int(status))
        most = int(body.get("max_completion_tokens", 3))
        words = [f"w{n} " for n in range(most)]
        if self._options.get("sees"):
            words = [f"{word} " for word in self._shown(body)][:most]
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        self._busy += 1
        self._busiest = max(self._busiest, self._busy)
        try:
            for n, word in enumerate(words):
                if n == self._options.get("crash"):
                    os._exit(3)
                await answer.write(_chunk({"delta": {"role": "assistant", "content": word}, "index": 0}))
                await asyncio.sleep(float(self._options.get("delay", 0)))
            usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
            await answer.write(_chunk({"delta": {}, "index": 0, "finish_reason": "stop"}))
            await answer.write(_chunk(None, usage=usage))
            await answer.write(b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self._gone += 1
            raise
        finally:
            self._busy -= 1
        return answer

    def _shown(self, body: dict[str, Any]) -> list[str]:
        """What the last message holds, part by part, and how many requests are under way; as vLLM reads it."""
        told = [f"{body['model']}:"]
        for part in body["messages"][-1]["content"]:
            if part["type"] == "text":
                told += part["text"].split()
            else:
                told.append(_image(part["image_url"]["url"]))
        return [*told, f"busy={self._busy + 1}"]


def _image(address: str) -> str:
    from PIL import Image

    head, _, data = address.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
        return f"[{head.removeprefix('data:').removesuffix(';base64')} {image.format} {image.width}x{image.height}]"


def _chunk(choice: dict[str, Any] | None, **more: Any) -> bytes:
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "fake", **more}
    return b"data: " + json.dumps({**body, "choices": [choice] if choice else []}).encode() + b"\n\n"


async def _main(port: int, options: dict[str, Any]) -> None:
    await asyncio.sleep(float(options.get("load", 0)))
    if options.get("fall"):
        sys.exit("no such weights")
    server = Server(options)
    app = web.Application(middlewares=[server.guard], client_max_size=64 << 20)
    routes = [web.get("/health", server.health), web.get("/calls", server.calls)]
    routes.append(web.post("/v1/chat/completions", server.chat))
    if options.get("sleeps"):
        routes += [web.get("/is_sleeping", server.sleeping)]
        routes += [web.post(path, server.sleeping) for path in ("/sleep", "/wake_up")]
    app.add_routes(routes)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if json.loads(sys.argv[2]).get("deaf"):
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.run(_main(int(sys.argv[1]), json.loads(sys.argv[2])))
