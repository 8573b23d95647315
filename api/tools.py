"""Every declared tool over HTTP; other hosts and the flow runner call tools here too."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.deps import BenchDep, HostDep
from api.ownership import check_references
from api.sse import EventStream, work_frames
from tools.events import Emit
from tools.toolbox import Effect, Tool

router = APIRouter(prefix="/api/v1/tools", tags=["tools"])


class Described(BaseModel):
    """A tool as a caller sees it; `input` and `output` are JSON schemas."""

    name: str
    title: str
    description: str
    effect: Effect
    input: dict[str, Any]
    output: dict[str, Any]


def describe(tool: Tool[Any, Any]) -> Described:
    return Described(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        effect=tool.effect,
        input=tool.input.model_json_schema(),
        output=tool.output.model_json_schema(mode="serialization"),
    )


@router.get("")
async def list_tools(host: HostDep) -> list[Described]:
    """All tools with the schemas of what they take and give."""
    return [describe(tool) for tool in host.toolbox.values()]


@router.get("/{name}")
async def show_tool(name: str, host: HostDep) -> Described:
    """One tool."""
    return describe(host.toolbox[name])


@router.post("/{name}", response_model=None)
async def call_tool(
    *,
    name: str,
    request: Request,
    host: HostDep,
    bench: BenchDep,
    arguments: Annotated[dict[str, Any], Body(default_factory=dict)],
    accept: Annotated[str, Header()] = "application/json",
) -> Response:
    """Call a tool. With `Accept: text/event-stream` its progress streams first, then `event: result`."""
    tool = host.toolbox[name]
    parsed = tool.parse(arguments)
    if request.state.service:
        # our own flow runner: nobody waits for what it ingests
        bench = replace(bench, models=bench.models.patient())
    else:
        await check_references(bench, parsed)
    if "text/event-stream" not in accept:
        output = await bench.call(tool, parsed)
        return Response(output.model_dump_json(), media_type="application/json")

    async def work(emit: Emit) -> BaseModel:
        output: BaseModel = await bench.listening(emit).call(tool, parsed)
        return output

    return EventStream(work_frames(work), host.streams)
