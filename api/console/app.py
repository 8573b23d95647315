"""The console's pages, attached to the application; all that they need is served from here."""

from dataclasses import dataclass

from fastapi import FastAPI
from nicegui import ui
from starlette.requests import Request
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.console import chat, graphs, library, models, theme, videos, voices
from api.host import Host
from tools.bench import Bench

_DOORS = ("/api/", "/v1/", "/mcp", "/health", "/ready", "/metrics", "/openapi.json")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Answers may quote hostile documents: nothing on a page may load from, or send to, another host."""


@dataclass(frozen=True)
class Visit:
    """One visitor's page: the host, and the bench of their tenant."""

    host: Host
    tenant: str

    @property
    def bench(self) -> Bench:
        return self.host.bench.serving(self.tenant)


def attach(app: FastAPI) -> None:
    """Add the console to the application. NiceGUI keeps its pages globally: once per process."""

    def visit(request: Request) -> Visit:
        return Visit(app.state.host, request.state.tenant)

    keyed = app.state.keys.required

    @ui.page("/", title="Sutradhar")
    async def chat_page(request: Request, thread: str = "") -> None:
        with theme.page("/", keyed=keyed):
            await chat.build(visit(request), thread)

    @ui.page("/library", title="Library · Sutradhar")
    async def library_page(request: Request) -> None:
        with theme.page("/library", keyed=keyed):
            await library.build(visit(request))

    @ui.page("/graphs", title="Graphs · Sutradhar")
    async def graphs_page(request: Request, thread: str = "") -> None:
        with theme.page("/graphs", keyed=keyed):
            await graphs.build(visit(request), thread)

    @ui.page("/video", title="Video · Sutradhar")
    async def video_page(request: Request) -> None:
        with theme.page("/video", keyed=keyed):
            await videos.build(visit(request))

    @ui.page("/voices", title="Voices · Sutradhar")
    async def voices_page(request: Request) -> None:
        with theme.page("/voices", keyed=keyed):
            await voices.build(visit(request))

    @ui.page("/models", title="Models · Sutradhar")
    async def models_page(request: Request) -> None:
        with theme.page("/models", keyed=keyed):
            await models.build(visit(request))

    ui.run_with(app, title="Sutradhar", dark=None, tailwind=False, show_welcome_message=False)
    mounted = app.router.routes.pop()
    assert isinstance(mounted, Mount)  # noqa: S101 `run_with` has just added it
    app.router.routes.append(_ConsoleMount("/", _Policed(mounted.app), name="console"))


class _ConsoleMount(Mount):
    """Everything but the doors, whose unknown paths get an API's error and not a page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].startswith(_DOORS):
            return Match.NONE, {}
        return super().matches(scope)


class _Policed:
    """Adds the content security policy to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def policed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", _POLICY.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self._app(scope, receive, policed)
