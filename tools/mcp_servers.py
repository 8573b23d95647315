"""MCP servers that the owner configured, their tools as ours. What a server says of itself is untrusted text."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, JsonValue, RootModel
from pydantic_core import CoreSchema

from tools.bench import Bench
from tools.capability import Part
from tools.errors import EngineFailed, NotInstalled, OutcomeUnknown, SutradharError
from tools.isolation import child_environment
from tools.settings import McpServer
from tools.toolbox import Tool

if TYPE_CHECKING:
    from fastmcp import Client

LISTED_SECONDS = 300.0
"""How long a server's list of tools is believed."""

CONNECT_SECONDS = 20.0
PING_SECONDS = 3.0
TOOLS = 100
"""Most tools of one server; a schema or description beyond these sizes is cut or left out."""
SCHEMA_CHARACTERS, DESCRIPTION_CHARACTERS, OUTPUT_CHARACTERS = 20_000, 400, 50_000


class McpArguments(RootModel[dict[str, JsonValue]]):
    """The arguments of a foreign tool; its server checks them against its own schema."""


class McpOutput(BaseModel):
    """What a foreign tool answered, cut where it is too long."""

    model_config = ConfigDict(frozen=True)

    text: str
    data: JsonValue = None


@dataclass
class _Connection:
    """One server: connected when it is first needed, and again when it was lost."""

    name: str
    server: McpServer
    client: "Client[Any] | None" = None
    tools: list[Tool[Any, Any]] = field(default_factory=list)
    listed: float = -LISTED_SECONDS
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    doubted: bool = False

    async def connected(self) -> "Client[Any]":
        async with self.lock:
            if self.client is None or not self.client.is_connected() or not await self._lives(self.client):
                await self.close()
                client: Any = _client(self.server)
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await client.__aenter__()
                except Exception as error:
                    # the edge to a foreign program: anything may come
                    raise self.failed("cannot be reached", error) from error
                self.client, self.doubted = client, False
            return self.client

    async def _lives(self, client: "Client[Any]") -> bool:
        """Whether a server that left a call unanswered answers anything: the end of one may not be noticed."""
        if not self.doubted:
            return True
        with contextlib.suppress(Exception):
            self.doubted = not await asyncio.wait_for(client.ping(), PING_SECONDS)
        return not self.doubted

    async def list(self) -> list[Tool[Any, Any]]:
        if time.monotonic() - self.listed < LISTED_SECONDS:
            return self.tools
        client = await self.connected()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await client.list_tools(max_pages=5)
        except Exception as error:
            raise self.failed("does not list its tools", error) from error
        allowed = [each for each in found if any(fnmatchcase(each.name, pattern) for pattern in self.server.tools)]
        self.tools = [tool for each in allowed[:TOOLS] if (tool := self._declared(each)) is not None]
        self.listed = time.monotonic()
        return self.tools

    async def call(self, tool: str, arguments: dict[str, Any]) -> McpOutput:
        client = await self.connected()
        try:
            async with asyncio.timeout(self.server.seconds):
                answer = await client.call_tool(tool, arguments, raise_on_error=False)
        except Exception as error:
            if isinstance(error, TimeoutError):
                self.doubted = True
            else:
                await self.close()
            # sent and not answered: whether it took effect is known only there
            raise OutcomeUnknown(
                f"MCP server {self.name!r} did not answer {tool!r}: {_told(error)}.", remedy="See whether it runs."
            ) from error
        text = "\n".join(str(getattr(each, "text", f"({each.type})")) for each in answer.content)
        if answer.is_error:
            raise EngineFailed(f"MCP server {self.name!r}, tool {tool!r}: {text[:DESCRIPTION_CHARACTERS]}")
        data = answer.structured_content
        return McpOutput(
            text=text[:OUTPUT_CHARACTERS], data=data if data and len(str(data)) <= OUTPUT_CHARACTERS else None
        )

    def _declared(self, listed: Any) -> Tool[Any, Any] | None:
        schema = listed.input_schema
        if not isinstance(schema, dict) or len(str(schema)) > SCHEMA_CHARACTERS:
            return None
        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{self.name}__{listed.name}")[:64]
        own: str = listed.name

        async def call(input: McpArguments, bench: Bench) -> McpOutput:
            return await self.call(own, input.root)

        return Tool(
            name=name,
            title=f"{self.name}: {own}"[:100],
            description=" ".join((listed.description or own).split())[:DESCRIPTION_CHARACTERS],
            effect="read" if any(fnmatchcase(own, pattern) for pattern in self.server.reads) else "write",
            input=_model(schema),
            output=McpOutput,
            function=call,
        )

    def failed(self, what: str, error: Exception) -> NotInstalled:
        return NotInstalled(
            f"MCP server {self.name!r} {what}: {_told(error)}.", remedy=f"See SUTRADHAR_MCP__{self.name.upper()}."
        )

    async def close(self) -> None:
        if self.client is not None:
            client: Any = self.client
            self.client = None
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 5)


class McpServers:
    """The configured servers of one host."""

    def __init__(self, servers: Mapping[str, McpServer]) -> None:
        self._connections = [_Connection(name, server) for name, server in servers.items()]

    async def tools(self) -> tuple[list[Tool[Any, Any]], list[str]]:
        """The permitted tools of all servers as `server__tool`, and why a server has none."""
        found = await asyncio.gather(*(_list(each) for each in self._connections))
        return [tool for tools, _ in found for tool in tools], [why for _, why in found if why]

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._connections))


MCP: Part[McpServers] = Part("mcp")


@asynccontextmanager
async def open_mcp(bench: Bench) -> AsyncIterator[Bench]:
    """The bench with the owner's MCP servers, which are connected when they are first needed."""
    servers = McpServers(bench.settings.mcp)
    try:
        yield replace(bench, parts={**bench.parts, MCP.name: servers})
    finally:
        await servers.close()


async def _list(connection: _Connection) -> tuple[list[Tool[Any, Any]], str]:
    try:
        return await connection.list(), ""
    except SutradharError as error:
        return [], str(error)


def _client(server: McpServer) -> "Client[Any]":
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

    if server.url:
        headers = {name: value.get_secret_value() for name, value in server.headers.items()}
        return Client(StreamableHttpTransport(server.url, headers=headers))
    env = child_environment() | {name: value.get_secret_value() for name, value in server.env.items()}
    program, *arguments = server.command
    quiet = Path(os.devnull)
    return Client(StdioTransport(program, arguments, env=env, keep_alive=False, log_file=quiet))


def _model(schema: dict[str, Any]) -> type[McpArguments]:
    class Given(McpArguments):
        @classmethod
        def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
            return schema

    return Given


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
