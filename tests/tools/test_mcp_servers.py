"""MCP servers of the owner: reached by command and by address, bounded, and never believed about themselves."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastmcp import FastMCP
from pydantic import SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tests.tools.test_policy import Notes
from tools.bench import Bench
from tools.errors import Conflict, EngineFailed, OutcomeUnknown
from tools.mcp_servers import MCP, McpServers, open_mcp
from tools.policy import Permit
from tools.settings import McpServer, Policy, Settings

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).with_name("mcp_fake.py")


def fake(folder: Path, **more: Any) -> McpServer:
    return McpServer(command=[sys.executable, str(PROGRAM), str(folder)], **more)


@asynccontextmanager
async def connected(settings: Settings, **servers: McpServer) -> AsyncIterator[tuple[Bench, McpServers]]:
    unused: Any = None
    bench = Bench(settings.model_copy(update={"mcp": servers}), unused, unused, unused)
    async with open_mcp(bench) as ready:
        yield ready, ready.part(MCP)


async def test_tools_of_a_command(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTRADHAR_API_KEYS__OPENAI", "sk-secret")
    monkeypatch.setenv("OTHER_API_KEY", "sk-secret")
    own = fake(tmp_path, reads=["add", "env*"], env={"MAIL_LOGIN": SecretStr("mine")})
    async with connected(settings, my_mail=own) as (bench, servers):
        tools, missing = await servers.tools()
        found = {each.name: each for each in tools}
        assert missing == []
        assert {name: each.effect for name, each in found.items()} == {
            "my_mail__add": "read",
            "my_mail__crash": "write",
            "my_mail__endless": "write",
            "my_mail__environment": "read",
            "my_mail__send_mail": "write",
        }
        add = found["my_mail__add"]
        assert add.input.model_json_schema()["properties"]["a"]["type"] == "integer"
        assert (await bench.call(add, add.parse({"a": 2, "b": 3}))).text == "5"
        with pytest.raises(EngineFailed, match="add"):
            await bench.call(add, add.parse({"a": "x"}))
        told = (await bench.call(found["my_mail__environment"], add.parse({}))).data
        assert told["MAIL_LOGIN"] == "mine"
        assert "sk-secret" not in told.values()
        assert len((await bench.call(found["my_mail__endless"], add.parse({}))).text) <= 50_000


async def test_only_tools_that_the_owner_lists(settings: Settings, tmp_path: Path) -> None:
    async with connected(settings, mail=fake(tmp_path, tools=["send_*"])) as (_, servers):
        assert [each.name for each in (await servers.tools())[0]] == ["mail__send_mail"]


async def test_a_server_that_fails_leaves_the_others(settings: Settings, tmp_path: Path) -> None:
    broken = McpServer(command=[sys.executable, "-c", "raise SystemExit(1)"])
    nobody = McpServer(url="http://127.0.0.1:9/mcp")
    absent = McpServer(command=["/no/such/program"])
    servers = {"good": fake(tmp_path), "broken": broken, "nobody": nobody, "absent": absent}
    async with connected(settings, **servers) as (_, opened):
        tools, missing = await opened.tools()
    assert {each.name.partition("__")[0] for each in tools} == {"good"}
    assert sorted(each.split("'")[1] for each in missing) == ["absent", "broken", "nobody"]


async def test_a_call_that_ends_badly(settings: Settings, tmp_path: Path) -> None:
    async with connected(settings, mail=fake(tmp_path, seconds=1)) as (bench, servers):
        crash = next(each for each in (await servers.tools())[0] if each.name.endswith("crash"))
        with pytest.raises(EngineFailed, match="no luck"):
            await bench.call(crash, crash.parse({"how": "luck"}))
        for how in ("slow", "exit"):
            with pytest.raises(OutcomeUnknown, match="did not answer"):
                await bench.call(crash, crash.parse({"how": how}))
        # a server that has ended is started again
        with pytest.raises(EngineFailed, match="no luck"):
            await bench.call(crash, crash.parse({"how": "luck"}))


async def test_a_write_that_was_not_answered_is_not_sent_again(settings: Settings, tmp_path: Path) -> None:
    async with connected(settings, mail=fake(tmp_path, seconds=1)) as (bare, servers):
        bench = replace(bare, permit=Permit("assistant", Policy(trusted=["mail__*"]), Notes()))
        crash = next(each for each in (await servers.tools())[0] if each.name.endswith("crash"))
        with pytest.raises(OutcomeUnknown):
            await bench.call(crash, crash.parse({"how": "slow"}))
        with pytest.raises(Conflict, match="nobody knows"):
            await bench.call(crash, crash.parse({"how": "slow"}))


async def test_tools_of_an_address_with_a_secret(settings: Settings) -> None:
    server = FastMCP("remote")

    @server.tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"Rain in {city}."

    app = server.http_app(path="/mcp")

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and Request(scope).headers.get("authorization") != "Bearer mine":
            await PlainTextResponse("no", 401)(scope, receive, send)
        else:
            await app(scope, receive, send)

    running = uvicorn.Server(uvicorn.Config(guarded, port=0, log_level="error", lifespan="on"))
    serving = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.02)
    url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/mcp"
    try:
        good = McpServer(url=url, headers={"Authorization": SecretStr("Bearer mine")}, reads=["*"])
        async with connected(settings, good=good, bad=McpServer(url=url)) as (bench, servers):
            (tool,), missing = await servers.tools()
            assert (await bench.call(tool, tool.parse({"city": "Kochi"}))).text == "Rain in Kochi."
        assert [each.split("'")[1] for each in missing] == ["bad"]
        assert "Bearer" not in str(missing)
    finally:
        running.should_exit = True
        await serving


def test_a_server_has_one_way_to_be_reached() -> None:
    for wrong in ({}, {"command": ["a"], "url": "http://a"}, {"url": "http://a", "unknown": 1}):
        with pytest.raises(ValidationError):
            McpServer.model_validate(wrong)


async def test_a_server_that_stands_still_is_started_again(settings: Settings, tmp_path: Path) -> None:
    async with connected(settings, mail=fake(tmp_path, seconds=1)) as (bench, servers):
        tools = {each.name.partition("__")[2]: each for each in (await servers.tools())[0]}
        crash, environment = tools["crash"], tools["environment"]
        process = int((await bench.call(environment, environment.parse({}))).data["PROCESS"])
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(OutcomeUnknown, match="did not answer"):
                await bench.call(crash, crash.parse({"how": "luck"}))
            with pytest.raises(EngineFailed, match="no luck"):
                await bench.call(crash, crash.parse({"how": "luck"}))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
