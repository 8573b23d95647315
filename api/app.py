"""The application: every door of one host."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api import (
    agents,
    chat,
    failures,
    graphs,
    health,
    jobs,
    knowledge,
    later,
    listen,
    login,
    lookout,
    media,
    models,
    openai,
    rag,
    rag_stream,
    realtime,
    speaking,
    speech,
    threads,
    tools,
    video,
)
from api.auth import Guard, Keys
from api.discovery import Address, announce, secret, secret_file, withdraw
from api.host import Host, OpenHost, assert_safe, open_host
from api.limits import BodyLimit
from api.observe import Metrics, Observe
from tools.open import make_home
from tools.settings import Settings


def create_app(
    settings: Settings, *, opener: OpenHost = open_host, console: bool = True, metrics: Metrics | None = None
) -> FastAPI:
    """The app of a host that its lifespan opens with `opener`. Raises `SutradharError` for unsafe settings."""
    make_home(settings.home)
    assert_safe(settings)
    keys = Keys(settings.server, secret(settings.home, "service"), secret(settings.home, "session"))
    app = FastAPI(
        title="Sutradhar",
        version=_version(),
        lifespan=_lifespan(settings, opener),
        docs_url=None,
        redoc_url=None,
    )
    app.state.keys = keys
    app.state.metrics = metrics or Metrics()
    failures.install(app)
    doors = (
        health,
        login,
        chat,
        jobs,
        threads,
        openai,
        tools,
        models,
        graphs,
        knowledge,
        media,
        rag,
        rag_stream,
        speech,
        speaking,
        listen,
        lookout,
        realtime,
        video,
    )
    for door in doors:
        app.include_router(door.router)
    app.include_router(agents.agents_router())
    app.include_router(later.later_router())
    app.router.routes.append(Route("/mcp", _McpDoor(app)))
    if console:
        from api.console.app import attach

        attach(app)
    _stack(app, settings, keys)
    return app


class _McpDoor:
    """Passes on to the MCP app, which is made when the host is open."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app.state.mcp(scope, receive, send)


def _stack(app: FastAPI, settings: Settings, keys: Keys) -> None:
    """The middleware; the one that is added last runs first."""
    app.add_middleware(BodyLimit, upload_bytes=settings.limits.upload_bytes + 1024**2)
    if settings.server.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Last-Event-ID"],
        )
    app.add_middleware(Guard, server=settings.server, keys=keys)
    app.add_middleware(Observe, metrics=app.state.metrics)


def _lifespan(settings: Settings, opener: OpenHost) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            from api.mcp import mcp_app

            host = await stack.enter_async_context(opener(settings, app.state.metrics))
            app.state.host = host
            app.state.mcp = mcp_app(host.toolbox, host.bench.serving)
            await stack.enter_async_context(app.state.mcp.lifespan(app.state.mcp))
            if settings.server.port:
                announce(settings.home, _address(settings, host))
                stack.callback(withdraw, settings.home, host.instance)
            yield

    return lifespan


def _address(settings: Settings, host: Host) -> Address:
    server = settings.server
    name = "127.0.0.1" if server.host in ("0.0.0.0", "::", "localhost") else server.host  # noqa: S104
    return Address(
        url=f"http://{f'[{name}]' if ':' in name else name}:{server.port}",
        pid=os.getpid(),
        instance=host.instance,
        key_file=secret_file(settings.home, "service"),
    )


def _version() -> str:
    try:
        return version("sutradhar")
    except PackageNotFoundError:
        return "0+source"
