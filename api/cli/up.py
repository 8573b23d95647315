"""`sutradhar up`: the host in this process, the Prefect server and the flow runner as its supervised children."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.cli.edge import err, out
from api.host import open_host
from api.observe import Metrics
from api.sockets import listen
from flows.serve import open_flow_runner
from flows.server import PrefectServer, open_prefect
from tools.errors import SutradharError
from tools.settings import Settings

_LOG = logging.getLogger("sutradhar.up")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def up(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; everything that was started has ended when this returns."""
    listening = listen(settings.server.host, settings.server.port)
    port = listening.getsockname()[1]
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
    metrics = Metrics()
    # opened here and not by the app, so that what fails is told like every other failure
    async with open_host(settings, metrics) as host:
        app = create_app(settings, opener=lambda *_: nullcontext(host), metrics=metrics)
        await _serve(settings, app, listening)


async def _serve(settings: Settings, app: FastAPI, listening: socket.socket) -> None:
    server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10))
    stop = asyncio.Event()
    for each in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    flows = asyncio.create_task(_flows(settings, server.ready, stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        err.print("[dim]stopping[/dim]")
        flows.cancel()
        with suppress(asyncio.CancelledError):
            await flows
        server.should_exit = True
        stopping.cancel()
        await serving
    if not server.started:
        raise SutradharError("The host did not start.", remedy="The lines above say why.")


class _Server(uvicorn.Server):
    """Leaves signals to `up`, which has children to stop too, and tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready.set()


async def _flows(settings: Settings, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """The Prefect server and the flow runner; without them the host still answers, so their failure is only told."""
    await ready.wait()
    _print_addresses(settings)
    async with AsyncExitStack() as stack:
        try:
            prefect = await stack.enter_async_context(open_prefect(settings))
            await stack.enter_async_context(open_flow_runner(settings, prefect))
            _print_prefect(prefect)
        except SutradharError as error:
            err.print(f"[red]no ingestion:[/red] {error}")
        await stop.wait()


def _print_addresses(settings: Settings) -> None:
    name = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104
    url = f"http://{name}:{settings.server.port}"
    out.print(f"[bold]Sutradhar[/bold]  {url}")
    out.print(f"  API      {url}/api/v1   {url}/v1   {url}/mcp")
    out.print(f"  data     {settings.home}")


def _print_prefect(prefect: PrefectServer) -> None:
    user, _, _ = prefect.auth.get_secret_value().partition(":")
    out.print(f"  Prefect  {prefect.ui}   (user {user!r}, password in HOME/secrets/prefect)")
    out.print("Ctrl-C stops all.")
