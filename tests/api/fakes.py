"""Fakes for the doors' tests: three tools, no models, a segment store in memory, scripted runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from pydantic import BaseModel, Field

from api.host import Host
from api.limits import Streams
from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Catalog
from tools.errors import EngineFailed, NotFound
from tools.events import Emit, ToolEvent, ignore
from tools.media.store import MediaStore
from tools.settings import Settings
from tools.toolbox import Toolbox, tool


class Said(BaseModel):
    text: str = Field(min_length=1)
    times: int = Field(1, ge=1, le=100)


class Echoed(BaseModel):
    text: str
    tenant: str


@tool(title="Echo")
async def echo(input: Said, bench: Bench) -> Echoed:
    """Say the text again."""
    for n in range(input.times):
        bench.emit(ToolEvent(tool="echo", call="1", state="progress", fraction=n / input.times))
        await asyncio.sleep(0)
    return Echoed(text=input.text * input.times, tenant=bench.tenant)


@tool(title="Break", effect="write", name="break")
async def break_(input: Said, bench: Bench) -> Echoed:
    """Fail in the way that the text names."""
    if input.text == "engine":
        raise EngineFailed("The engine died.", remedy="Try again.")
    raise RuntimeError("secret path /somewhere")


@tool(title="Wait")
async def wait(input: Said, bench: Bench) -> Echoed:
    """Never end."""
    await asyncio.Event().wait()
    return Echoed(text="", tenant="")


class NoModels:
    def use(self, model: str, emit: Emit = ignore) -> AbstractAsyncContextManager[Lease[Any]]:
        raise NotFound(f"There is no model {model!r}.")


@asynccontextmanager
async def open_fake_host(settings: Settings) -> AsyncIterator[Host]:
    media = MediaStore(settings.home / "media", settings.home / "spool", max_bytes=settings.limits.upload_bytes)
    bench = Bench(settings, Catalog(models=[], profiles={}), NoModels(), media)
    yield Host(settings, bench, Toolbox([echo, break_, wait]), cast("Any", None), Streams(settings.server.streams))
