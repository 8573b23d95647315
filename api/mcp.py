"""Every declared tool over MCP: streamable HTTP, stateless, behind the same guard as all other doors."""

from collections.abc import Callable
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.http import StarletteWithLifespan
from fastmcp.tools.base import Tool as McpTool
from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import PrivateAttr

from api.ownership import check_references
from tools.bench import Bench
from tools.errors import SutradharError
from tools.toolbox import Tool, Toolbox

PATH = "/mcp"
BenchOf = Callable[[str], Bench]
"""The bench of a tenant."""


class Declared(McpTool):
    """One of our tools as MCP shows it. What it may do is in the annotations, for the client's own policy."""

    _tool: Tool[Any, Any] = PrivateAttr()
    _bench_of: BenchOf = PrivateAttr()

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        caller = get_http_request().state
        bench = self._bench_of(caller.tenant)
        try:
            parsed = self._tool.parse(arguments)
            if not caller.service:
                await check_references(bench, parsed)
            output = await bench.call(self._tool, parsed)
        except SutradharError as error:
            raise ToolError(str(error)) from error
        return ToolResult(structured_content=output.model_dump(mode="json"))


def _declare(tool: Tool[Any, Any], bench_of: BenchOf) -> Declared:
    declared = Declared(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        parameters=tool.input.model_json_schema(),
        output_schema=tool.output.model_json_schema(mode="serialization"),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.effect == "read",
            destructive_hint=tool.effect == "write",
            idempotent_hint=tool.idempotent or tool.effect == "read",
            open_world_hint=tool.effect == "spend",
        ),
    )
    declared._tool, declared._bench_of = tool, bench_of
    return declared


def mcp_app(toolbox: Toolbox, bench_of: BenchOf) -> StarletteWithLifespan:
    """The MCP server as an ASGI app that answers at `/mcp`; its lifespan must run."""
    server = FastMCP("sutradhar", mask_error_details=True)
    for tool in toolbox.values():
        server.add_tool(_declare(tool, bench_of))
    # Host and Origin are checked by the guard, which knows the configured origins
    return server.http_app(path=PATH, stateless_http=True, host_origin_protection=False)
