"""Tools on another host, called as if they were here.

The host answers `POST /api/v1/tools/{name}` as server-sent events: `tool` and `model` events while it works, then one
`result` with the output or one `error` with the error's body.
"""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, SecretStr, ValidationError

from tools.bench import Bench
from tools.errors import EngineFailed, from_body
from tools.events import ModelEvent, ToolEvent
from tools.toolbox import Tool

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)

_EVENTS: dict[str, type[ToolEvent | ModelEvent]] = {"tool": ToolEvent, "model": ModelEvent}
_LINE_BYTES = 1 << 26
_SILENT_SECONDS = 60.0


class RemoteHost:
    """Another host's tools; `key` is its service key, which may speak for any tenant."""

    def __init__(self, url: str, key: SecretStr | str) -> None:
        self._url = url.rstrip("/")
        self._key = key if isinstance(key, str) else key.get_secret_value()

    async def call(self, tool: Tool[In, Out], input: In, bench: Bench) -> Out:
        """Run the tool there; its events go to the bench's listener.

        Raises the same errors as the tool itself, and `EngineFailed` when the host cannot be reached or falls silent.
        """
        headers = {"Accept": "text/event-stream", "X-Sutradhar-Tenant": bench.tenant}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # the host sends a ping every 15 s, so that silence means that it is gone
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENT_SECONDS)
        address = f"{self._url}/api/v1/tools/{quote(tool.name, safe='')}"
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, read_bufsize=1 << 20) as session,
                session.post(address, json=input.model_dump(mode="json"), headers=headers) as answer,
            ):
                return await self._outcome(tool, answer, bench)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise EngineFailed(
                f"The host at {self._url} failed while it ran {tool.name!r}: {reason}.",
                remedy="See whether `sutradhar up` is running there.",
            ) from error

    async def _outcome(self, tool: Tool[In, Out], answer: aiohttp.ClientResponse, bench: Bench) -> Out:
        if answer.status != 200:
            raise from_body(_body(await answer.text(), answer.status))
        if answer.content_type != "text/event-stream":
            return _output(tool, await answer.json())
        async for name, data in _events(answer.content):
            if name in _EVENTS:
                bench.emit(_EVENTS[name].model_validate(data))
            elif name == "result":
                return _output(tool, data)
            elif name == "error":
                raise from_body(data)
        raise EngineFailed(f"The host at {self._url} ended {tool.name!r} without a result.")


def _output(tool: Tool[In, Out], data: Any) -> Out:
    try:
        return tool.output.model_validate(data)
    except ValidationError as error:
        raise EngineFailed(
            f"The host answered {tool.name!r} with something else: {error.errors(include_url=False)[0]['msg']}.",
            remedy="Run the same version on both sides.",
        ) from error


def _body(text: str, status: int) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"error": {"message": f"HTTP {status}: {text[:200]!r}"}}


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events as (name, data); comments and keep-alive pings are passed over."""
    name, data = "message", list[str]()
    async for line in _lines(content):
        if not line:
            if data:
                yield name, json.loads("\n".join(data))
            name, data = "message", []
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Lines of any length; aiohttp's own line reader refuses one longer than its buffer."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            yield rest[:end].decode().rstrip("\r")
            del rest[: end + 1]
        if len(rest) > _LINE_BYTES:
            raise ValueError(f"a line longer than {_LINE_BYTES:,} bytes")
