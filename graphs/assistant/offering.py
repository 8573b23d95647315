"""Which tools a model is shown: those that policy allows, the likeliest first, as many as it can read about."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphs.assistant.state import Json
from graphs.temporal.words import content, coverage, stem
from tools.bench import Bench
from tools.catalog import Row
from tools.mcp_servers import MCP
from tools.toolbox import TOOLBOX, Tool

FEW, MANY = 6, 32
"""Tools shown to a model on two cores, and to one on a GPU or behind an API."""

OUT = frozenset({"assistant_agent", "router_agent"})
"""Agents that would only come back here."""

DEEP = 6

_WORDED = frozenset({"question", "query", "text", "topic", "prompt"})


async def permitted(bench: Bench) -> tuple[dict[str, Tool[Any, Any]], list[str]]:
    """All tools that the agent at this bench may use, by name, and which servers could not be asked for theirs."""
    own = bench.parts.get(TOOLBOX.name)
    servers = bench.parts.get(MCP.name)
    found: list[Tool[Any, Any]] = list(bench.part(TOOLBOX).values()) if own is not None else []
    foreign, missing = await bench.part(MCP).tools() if servers is not None else ([], [])
    permit = bench.permit
    allowed = [
        each for each in (*found, *foreign) if each.name not in OUT and (permit is None or permit.allows(each.name))
    ]
    return {each.name: each for each in allowed}, missing


def likeliest(tools: Mapping[str, Tool[Any, Any]], question: str, row: Row) -> list[str]:
    """The names of the tools to show, those first that the question speaks of."""
    wanted, said = content(question), question.lower()

    def worth(tool: Tool[Any, Any]) -> float:
        plain = re.sub(r"_+", " ", tool.name)
        named = tool.name.lower() in said or plain.lower() in said
        server = tool.name.partition("__")[0].lower() if "__" in tool.name else ""
        shared = coverage(content(plain), question) + coverage(wanted, f"{plain} {tool.title} {tool.description}")
        return 2 * named + bool(server and re.search(rf"\b{re.escape(server)}\b", said)) + shared

    order = sorted(tools.values(), key=lambda each: (-worth(each), each.name))
    return [each.name for each in order[: FEW if row.device == "cpu" and row.isolation != "remote" else MANY]]


def named(tools: Mapping[str, Tool[Any, Any]], question: str) -> dict[str, Tool[Any, Any]]:
    """The tools whose names the question has all words of, such as «list the sources» for `list_sources`."""
    asked = {*content(question)} | {*question.lower().split()}
    return {
        name: tool
        for name, tool in tools.items()
        if all(word in asked or stem(word) in asked for word in re.split(r"_+", name.lower()) if word)
    }


def needed(tool: Tool[Any, Any]) -> Sequence[str]:
    """The arguments that a call must have."""
    required: Sequence[str] = schema_of(tool).get("required", [])
    return required


def speaks_for_itself(tool: Tool[Any, Any]) -> bool:
    """Whether a call needs nothing to be said: there is nothing that must be given, and nothing to ask for."""
    return not needed(tool) and not _WORDED & schema_of(tool)["properties"].keys()


def schema_of(tool: Tool[Any, Any]) -> Json:
    """The JSON schema of a tool's arguments, in one piece."""
    whole = tool.input.model_json_schema()
    schema: Json = _inlined(whole, whole.get("$defs", {}) | whole.get("definitions", {}), 0)
    return {"type": "object", "properties": {}} | {key: each for key, each in schema.items() if key != "title"}


def signature(tool: Tool[Any, Any]) -> str:
    """A tool in one line, for a model that reads slowly."""
    required = needed(tool)
    names = [name if name in required else f"{name}?" for name in schema_of(tool)["properties"]][:8]
    return f"{tool.name}({', '.join(names)}): {tool.description[:120]}"


def _inlined(schema: Any, defined: Mapping[str, Any], depth: int) -> Any:
    """The schema without references; one that goes deeper than sense ends in «anything»."""
    if depth > DEEP:
        return {}
    if isinstance(schema, list):
        return [_inlined(each, defined, depth) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(defined.get(str(schema["$ref"]).rpartition("/")[2], {}), defined, depth + 1)
    return {key: _inlined(each, defined, depth) for key, each in schema.items() if key not in {"$defs", "definitions"}}
