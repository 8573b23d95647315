"""Default deny: nothing answers without a key, except what is listed here."""

import asyncio
import stat
from typing import Any

import aiohttp
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from api.app import create_app
from api.auth import OPEN
from api.discovery import find, secret
from tests.api.conftest import KEYS, Served, serve
from tools.errors import SutradharError
from tools.settings import Server, Settings

pytestmark = pytest.mark.anyio

PUBLIC = {"/health", "/ready", "/login", "/logout"}


def _routes(app: FastAPI) -> list[BaseRoute]:
    """All routes, those of included routers too."""
    found = list[BaseRoute]()
    for route in app.router.routes:
        included = getattr(route, "original_router", None)
        found += included.routes if included is not None else [route]
    return [route for route in found if not isinstance(route, Mount)]


def _path(route: BaseRoute) -> str:
    return str(getattr(route, "path", "")).replace("{", "").replace("}", "").replace(":path", "")


async def test_every_route_is_closed_without_a_key(locked: Served) -> None:
    opened = set[str]()
    async with locked.client() as client:
        for route in _routes(locked.app):
            for method in getattr(route, "methods", None) or ():
                answer = await client.request(method, _path(route))
                if answer.status_code not in (401, 403):
                    opened.add(_path(route))
    assert opened == PUBLIC
    assert opened <= OPEN


async def test_every_socket_is_closed_without_a_key(locked: Served) -> None:
    sockets = [_path(route) for route in _routes(locked.app) if isinstance(route, WebSocketRoute)]
    assert len(sockets) >= 3
    async with aiohttp.ClientSession() as session:
        for path in sockets:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{locked.url}{path}")
            assert refused.value.status == 403


@pytest.mark.parametrize(
    "path", ["/mcp", "/mcp/", "/_nicegui_ws/socket.io/", "/openapi.json", "/docs", "/", "/nowhere"]
)
async def test_other_doors_are_closed_too(locked: Served, path: str) -> None:
    async with locked.client() as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.post(path, json={})).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic abc"},
        {"X-API-Key": "wrong"},
        {"Cookie": "sutradhar_session=team-a|9999999999|00"},
        {"Cookie": "sutradhar_session=team-a|9999999999|é"},
        {"X-Sutradhar-Tenant": "team-a"},
    ],
)
async def test_wrong_keys(locked: Served, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    async with locked.client() as client:
        answer = await client.get("/api/v1/tools", headers=raw)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


async def _tenant(client: httpx.AsyncClient, **headers: str) -> str:
    answer = await client.post("/api/v1/tools/echo", json={"text": "a"}, headers=headers)
    return str(answer.json().get("tenant", answer.status_code))


async def test_a_key_is_its_tenant(locked: Served) -> None:
    async with locked.client() as client:
        assert await _tenant(client, Authorization=f"Bearer {KEYS['team-a'].get_secret_value()}") == "team-a"
        assert await _tenant(client, **{"X-API-Key": KEYS["team-b"].get_secret_value()}) == "team-b"


async def test_only_the_service_key_chooses_a_tenant(locked: Served, keyed: Settings) -> None:
    service = secret(keyed.home, "service")
    async with locked.client() as client:
        assert await _tenant(client, Authorization=f"Bearer {service}", **{"X-Sutradhar-Tenant": "team-b"}) == "team-b"
        assert await _tenant(client, Authorization=f"Bearer {service}", **{"X-Sutradhar-Tenant": "../x"}) == "403"
    async with locked.of("team-a") as client:
        assert await _tenant(client, **{"X-Sutradhar-Tenant": "team-b"}) == "team-a"


async def test_without_keys_loopback_is_tenant_local(open_door: Served) -> None:
    async with open_door.client() as client:
        assert await _tenant(client) == "local"
        assert await _tenant(client, Authorization="Bearer any") == "local"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:80", "", "a@b:c", "[::1"])
async def test_a_foreign_host_name_is_refused(open_door: Served, host: str) -> None:
    async with open_door.client() as client:
        assert (await client.get("/api/v1/tools", headers={"Host": host})).status_code in (400, 403)


@pytest.mark.parametrize("path", ["/api/v1/tools", "/health", "/mcp", "/"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_foreign_origin_is_refused(open_door: Served, path: str, origin: str) -> None:
    async with open_door.client() as client:
        answer = await client.get(path, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_socket_of_a_foreign_origin_is_refused(open_door: Served) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{open_door.url}/api/v1/rag/stream", origin="https://evil.example")
        async with session.ws_connect(f"{open_door.url}/api/v1/rag/stream", origin=open_door.url) as socket:
            await socket.send_json({"type": "nonsense"})
            assert (await socket.receive_json(timeout=10))["type"] == "error"


async def test_an_allowed_origin_may_call(settings: Settings) -> None:
    allowed = settings.model_copy(update={"server": Server(keys=KEYS, origins=["https://ui.example"])})
    async with serve(allowed) as served, served.of("team-a") as client:
        origin = {"Origin": "https://ui.example"}
        answer = await client.get("/api/v1/tools", headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://ui.example"
        assert "access-control-allow-credentials" not in answer.headers
        ask = {**origin, "Access-Control-Request-Method": "POST"}
        assert (await httpx.AsyncClient().options(f"{served.url}/api/v1/tools", headers=ask)).status_code == 200


async def test_logging_in_to_the_console(locked: Served) -> None:
    async with locked.client() as client:
        page = await client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        wrong = await client.post("/login", data={"key": "wrong"})
        assert wrong.status_code == 401
        right = await client.post("/login", data={"key": KEYS["team-b"].get_secret_value()})
        assert right.status_code == 303
        assert "HttpOnly" in right.headers["set-cookie"]
        assert KEYS["team-b"].get_secret_value() not in right.headers["set-cookie"]
        assert await _tenant(client) == "team-b"


async def test_a_session_ends_with_its_key(locked: Served, keyed: Settings) -> None:
    session = locked.app.state.keys.session(KEYS["team-a"].get_secret_value())
    changed = {**KEYS, "team-a": SecretStr("another-key-0123456789")}
    changed_settings = keyed.model_copy(update={"server": Server(keys=changed)})
    async with serve(changed_settings) as other, other.client() as client:
        client.cookies.set("sutradhar_session", session)
        assert await _tenant(client) == "401"


@pytest.mark.parametrize(
    "server",
    [{"host": "0.0.0.0"}, {"host": "10.0.0.1"}, {"keys": {"team": SecretStr("short")}}],  # noqa: S104
)
def test_unsafe_settings_do_not_start(settings: Settings, server: dict[str, Any]) -> None:
    with pytest.raises(SutradharError):
        create_app(settings.model_copy(update={"server": Server(**server)}))


def test_lax_deserialisation_does_not_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langgraph.checkpoint.serde._msgpack.STRICT_MSGPACK_ENABLED", False)
    with pytest.raises(SutradharError, match="STRICT_MSGPACK"):
        create_app(settings)


async def test_the_home_and_its_secrets_are_private(open_door: Served, shared: Settings) -> None:
    private = [shared.home, shared.home / "secrets", *(shared.home / "secrets").iterdir()]
    assert [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    assert stat.S_IMODE((shared.home / "host.json").stat().st_mode) == 0o600


async def test_a_running_host_is_found(settings: Settings) -> None:
    async with serve(settings) as served:
        found = await asyncio.to_thread(find, settings.home)
        assert found is not None
        assert found.url == served.url
        kept = (settings.home / "host.json").read_bytes()
    assert not (settings.home / "host.json").exists()
    (settings.home / "host.json").write_bytes(kept)
    assert await asyncio.to_thread(find, settings.home) is None
