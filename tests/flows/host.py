"""A host for flow tests, reached through the real `RemoteHost`: the library's own tools over a store in memory, and a
memory of segments that records, fails or waits as told.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel

from flows.server import private_folder
from knowledge.library import LIBRARY, Library
from knowledge.segment import Segment
from knowledge.tools import TOOLS, Remembered, remember
from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Catalog
from tools.errors import EngineFailed, NotInstalled, SutradharError
from tools.events import Emit, ignore
from tools.media.store import MediaStore
from tools.settings import Settings
from tools.toolbox import Tool, Toolbox


class FakeHost:
    """`segments` is the memory by segment id; `fail` says how often a tool still fails; while `hold` is not set,
    `remember` waits, which sets `held`.
    """

    def __init__(self, settings: Settings) -> None:
        self.calls = Counter[str]()
        self.segments: dict[str, Segment] = {}
        self.fail = Counter[str]()
        self.hold = asyncio.Event()
        self.hold.set()
        self.held = asyncio.Event()
        self.url = ""
        self.library = Library(InMemoryStore())
        catalog = Catalog(models=[], profiles={})
        media = MediaStore(settings.home / "media", settings.home / "tmp", max_bytes=1 << 30)
        parts = {LIBRARY.name: self.library}
        self._bench = Bench(settings=settings, catalog=catalog, models=NoModels(), media=media, parts=parts)

    def of(self, sha: str) -> set[str]:
        """The ids that are remembered of a source."""
        return {id for id, segment in self.segments.items() if segment.source == sha}

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.calls[name] += 1
        try:
            if not self.hold.is_set() and name == "remember":
                self.held.set()
                await self.hold.wait()
            if self.fail[name] > 0:
                self.fail[name] -= 1
                raise EngineFailed("The engine died.", remedy="Try again.")
            output = await self.run(name, await request.json(), request.headers["X-Sutradhar-Tenant"])
            return web.json_response(text=output.model_dump_json())
        except SutradharError as error:
            return web.json_response(error.body(), status=error.status)

    async def run(self, name: str, input: dict[str, Any], tenant: str) -> BaseModel:
        if name == "remember":
            segments = remember.parse(input).segments
            self.segments |= {str(each.id): each for each in segments}
            return Remembered(segments=len(segments))
        tool: Tool[Any, Any] = Toolbox(TOOLS)[name]
        output: BaseModel = await tool(tool.parse(input), self._bench.serving(tenant))
        return output


class NoModels:
    def use(self, model: str, emit: Emit = ignore) -> AbstractAsyncContextManager[Lease[Any]]:
        raise NotInstalled("The fake host has no models.")

    def patient(self) -> "NoModels":
        return self


@asynccontextmanager
async def open_fake_host(host: FakeHost, home: Path) -> AsyncIterator[FakeHost]:
    """The host on a free loopback port, announced in `HOME/host.json`."""
    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/api/v1/tools/{name}", host.answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (private_folder(home / "secrets") / "service.key").write_text("service")
    known = {"url": host.url, "pid": 1, "instance": "fake", "key_file": str(home / "secrets" / "service.key")}
    (home / "host.json").write_text(json.dumps(known))
    try:
        yield host
    finally:
        host.hold.set()
        await runner.cleanup()
