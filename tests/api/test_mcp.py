"""MCP with the official client: list, call, clear errors, tenants, and no door without a key."""

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError

from tests.api.conftest import KEYS, Served

pytestmark = pytest.mark.anyio


def _client(served: Served, tenant: str | None = None) -> Client[StreamableHttpTransport]:
    headers = {"Authorization": f"Bearer {KEYS[tenant].get_secret_value()}"} if tenant else {}
    return Client(StreamableHttpTransport(f"{served.url}/mcp", headers=headers))


async def test_tools_are_listed_with_schemas_and_effects(open_door: Served) -> None:
    async with _client(open_door) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
    assert set(tools) == {"echo", "break", "wait", "scripted_agent"}
    assert tools["echo"].input_schema["properties"]["times"]["maximum"] == 100
    assert tools["echo"].annotations is not None
    assert tools["echo"].annotations.read_only_hint is True
    assert tools["break"].annotations is not None
    assert tools["break"].annotations.read_only_hint is False


async def test_a_call(locked: Served) -> None:
    async with _client(locked, "team-b") as client:
        result = await client.call_tool("echo", {"text": "ab", "times": 2})
    assert result.structured_content == {"text": "abab", "tenant": "team-b"}


async def test_an_agent_is_a_tool_like_any_other(locked: Served) -> None:
    async with _client(locked, "team-b") as client:
        told = (await client.call_tool("scripted_agent", {"question": "all well?"})).structured_content
        assert told is not None
        assert told["status"] == "done"
        assert told["answer"]["citations"][0]["start"] == 7.0
        with pytest.raises(ToolError, match="speed"):
            await client.call_tool("scripted_agent", {"question": "all well?", "speed": 3})


async def test_wrong_arguments_are_named(open_door: Served) -> None:
    async with _client(open_door) as client:
        with pytest.raises(ToolError, match=r"'times'.*1000"):
            await client.call_tool("echo", {"text": "a", "times": 1000})
        with pytest.raises(ToolError, match="'text'"):
            await client.call_tool("echo", {})
        with pytest.raises(ToolError, match="engine died"):
            await client.call_tool("break", {"text": "engine"})
        with pytest.raises(ToolError) as hidden:
            await client.call_tool("break", {"text": "x"})
    assert "/somewhere" not in str(hidden.value)


async def test_an_unknown_tool(open_door: Served) -> None:
    async with _client(open_door) as client:
        with pytest.raises(Exception, match="nothing"):
            await client.call_tool("nothing", {})


async def test_hostile_bodies(open_door: Served) -> None:
    async with open_door.client() as client:
        for body in (b"{", b"[" * 10_000, b'{"jsonrpc": "2.0", "id": NaN}'):
            answer = await client.post("/mcp", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400


async def test_no_key_no_tools(locked: Served) -> None:
    with pytest.raises(Exception, match="error response"):
        async with _client(locked) as client:
            await client.list_tools()
