"""A host of fakes behind a real server on loopback: real HTTP, no weights."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.host import OpenHost
from api.sockets import listen
from tests.api.fakes import open_fake_host
from tools.settings import Server, Settings

KEYS = {"team-a": SecretStr("key-of-team-a-0123456789"), "team-b": SecretStr("key-of-team-b-0123456789")}


@dataclass
class Served:
    """A running app and where it listens."""

    app: FastAPI
    url: str

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20, **options)

    def of(self, tenant: str) -> httpx.AsyncClient:
        return self.client(headers={"Authorization": f"Bearer {KEYS[tenant].get_secret_value()}"})


@asynccontextmanager
async def serve(settings: Settings, opener: OpenHost = open_fake_host, **options: Any) -> AsyncIterator[Served]:
    """The app on a free port of loopback, in this event loop."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
    app = create_app(settings, opener=opener, **{"console": False, **options})
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            assert not task.done(), "the server ended while it started"
            await asyncio.sleep(0.01)
        yield Served(app, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await task
        listening.close()


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home that the tests of one file share."""
    return Settings(home=tmp_path_factory.mktemp("home") / "home", offline=True, _env_file=None)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with two tenants' keys."""
    home = tmp_path_factory.mktemp("keyed") / "home"
    return Settings(home=home, offline=True, server=Server(keys=KEYS), _env_file=None)


@pytest.fixture(scope="module")
async def open_door(shared: Settings) -> AsyncIterator[Served]:
    """A host without keys."""
    async with serve(shared) as served:
        yield served


@pytest.fixture(scope="module")
async def locked(keyed: Settings) -> AsyncIterator[Served]:
    """A host with keys."""
    async with serve(keyed) as served:
        yield served
