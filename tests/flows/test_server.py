import json
from pathlib import Path

import aiohttp
import pytest

from flows.server import PrefectServer, auth_string, find_prefect
from flows.watch import base_of
from tools.settings import Prefect, Settings

pytestmark = pytest.mark.anyio


async def test_nobody_without_the_auth_string(server: PrefectServer, flow_settings: Settings) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/flow_runs/filter", json={}) as answer:
            assert answer.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{server.url}/events/in", origin="http://evil.example")
    assert server.url.startswith("http://127.0.0.1:")
    assert find_prefect(flow_settings) == server


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    secret = auth_string(tmp_path)
    assert auth_string(tmp_path) == secret
    assert (tmp_path / "secrets" / "prefect").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_dead_server_is_not_found(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1/api", "pid": 2**22 + 1}))
    assert find_prefect(settings) is None
    other = settings.model_copy(update={"prefect": Prefect(url="http://127.0.0.1:4200/api/")})
    found = find_prefect(other)
    assert found is not None
    assert found.url == "http://127.0.0.1:4200/api"


def test_a_watched_folder_is_a_knowledge_base() -> None:
    assert base_of("notes.md") == "default"
    assert base_of("harvest/2024/notes.md") == "harvest"
