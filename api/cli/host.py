"""A running host over HTTP, as the commands use it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from api.discovery import Address, wait_for
from tools.errors import EngineFailed, SutradharError, from_body
from tools.settings import Settings

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


class RunningHost:
    """Requests to the host of this home, with its service key."""

    def __init__(self, session: aiohttp.ClientSession, address: Address) -> None:
        self._session = session
        self.url = address.url

    async def get(self, path: str) -> Any:
        async with self._session.get(f"{self.url}{path}") as answer:
            await _check(answer)
            return await answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        async with self._session.post(f"{self.url}{path}", **body) as answer:
            await _check(answer)
            return await answer.json()

    async def stream(self, method: str, path: str, **body: Any) -> AsyncIterator[tuple[str, Any]]:
        """The events of a stream as (name, data)."""
        headers = {"Accept": "text/event-stream"}
        try:
            async with self._session.request(method, f"{self.url}{path}", headers=headers, **body) as answer:
                await _check(answer)
                async for event in _events(answer):
                    yield event
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(
                f"The host at {self.url} stopped answering: {error}.", remedy="Is it running?"
            ) from error


@asynccontextmanager
async def running_host(settings: Settings) -> AsyncIterator[RunningHost | None]:
    """The host of this home if one runs, else None."""
    address = await asyncio.to_thread(wait_for, settings.home)
    if address is None:
        yield None
        return
    headers = {"Authorization": f"Bearer {address.key()}"}
    async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT, read_bufsize=1 << 22) as session:
        yield RunningHost(session, address)


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status < 400:
        return
    text = await answer.text()
    try:
        raise from_body(json.loads(text))
    except ValueError:
        raise SutradharError(f"The host answered {answer.status}: {text[:200]!r}") from None


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = "message"
    async for raw in answer.content:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])
