"""Chat models of the catalogue, served by their own OpenAI-compatible servers and passed through byte by byte."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from starlette.responses import Response

from api.limits import Streams
from api.sse import EventStream, Frames
from tools.bench import Bench
from tools.capability import Endpoint
from tools.chat import CHAT
from tools.errors import EngineFailed, InvalidInput

_OPENAI = "https://api.openai.com/v1"
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)


async def forward(body: dict[str, Any], bench: Bench, streams: Streams) -> Response:
    """Pass a chat request on; the model is loaded first and stays pinned until the answer has ended."""
    choice = bench.choose(CHAT, model=body["model"])
    if choice.row.capability != CHAT.name:
        raise InvalidInput(f"{body['model']!r} does {choice.row.capability}, not chat.", param="model")
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(bench.engine(CHAT, model=choice.row.id))
        answer = await _post(stack, lease.endpoint, body)
        if answer.status != 200 or not body.get("stream"):
            return Response(await answer.read(), answer.status, media_type="application/json")
        streams.admit()
        return EventStream(_relay(stack.pop_all(), answer), streams)


async def _post(stack: AsyncExitStack, endpoint: Endpoint, body: dict[str, Any]) -> aiohttp.ClientResponse:
    session = await stack.enter_async_context(aiohttp.ClientSession(timeout=_TIMEOUT))
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    try:
        request = session.post(
            f"{endpoint.url or _OPENAI}/chat/completions", json={**body, "model": endpoint.model}, headers=headers
        )
        return await stack.enter_async_context(request)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise EngineFailed(f"The server of {body['model']!r} did not answer: {error}.", remedy="Try again.") from error


async def _relay(stack: AsyncExitStack, answer: aiohttp.ClientResponse) -> Frames:
    async with stack:
        chunks: AsyncIterator[bytes] = answer.content.iter_any()
        try:
            async for chunk in chunks:
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(f"The model's server stopped answering: {error}.", remedy="Try again.") from error
