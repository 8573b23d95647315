"""Server-sent events, written by hand over raw ASGI: one frame costs a few microseconds instead of tens."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

import anyio
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.limits import Streams
from tools.errors import SutradharError
from tools.events import Emit, Event, ModelEvent, ToolEvent

PING_SECONDS = 15.0
_QUEUED = 1_000
_BURST = 64 * 1024
_log = logging.getLogger("sutradhar.api")

Frames = AsyncGenerator[bytes, None]


def frame(event: str, data: str, identity: str = "") -> bytes:
    """One event. `data` is JSON, which has no line breaks of its own."""
    head = f"id: {identity}\n" if identity else ""
    return f"{head}event: {event}\ndata: {data}\n\n".encode()


def event_frame(event: Event, identity: str = "") -> bytes:
    return frame(event.type, event.model_dump_json(), identity)  # type: ignore[attr-defined]


def failure_frame(error: Exception) -> bytes:
    """An error after the response has begun. The text of an unexpected one stays in the log."""
    if not isinstance(error, SutradharError):
        _log.error("a stream failed", exc_info=error)
        error = SutradharError("Something broke on this host.", remedy="Its log says more.")
    return frame("error", json.dumps(error.body()))


class EventStream(Response):
    """A response of frames. It ends when they do, or when the client leaves; silence is filled with comments."""

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: Frames,
        streams: Streams,
        *,
        headers: Mapping[str, str] | None = None,
        first: Callable[[float], None] | None = None,
    ) -> None:
        streams.admit()
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})})
        del self.headers["content-length"]
        self._frames, self._streams, self._first = frames, streams, first
        self._sent = self._created = time.monotonic()
        self._ready: list[bytes] = []
        self._size = 0
        self._wake = anyio.Event()
        self._sending = anyio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.one():
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as group:
                group.start_soon(self._ping)
                group.start_soon(self._flush_when_idle, send)
                group.start_soon(_until_gone, receive, group.cancel_scope)
                await self._pump(send)
                group.cancel_scope.cancel()
            with suppress(OSError):
                await self._flush(send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            try:
                async for each in frames:
                    if self._first is not None:
                        self._first(time.monotonic() - self._created)
                        self._first = None
                    self._put(each)
                    if self._size >= _BURST:
                        await self._flush(send)
            except OSError:
                return
            except Exception as error:  # noqa: BLE001 the response has begun: an error is one more event
                self._put(failure_frame(error))

    def _put(self, each: bytes) -> None:
        self._ready.append(each)
        self._size += len(each)
        self._wake.set()

    async def _flush_when_idle(self, send: Send) -> None:
        """Send what has gathered as soon as the frames pause: at once while they trickle, in bursts while they pour."""
        while True:
            await self._wake.wait()
            await self._flush(send)

    async def _flush(self, send: Send) -> None:
        async with self._sending:
            if self._ready:
                body = b"".join(self._ready)
                self._ready, self._size, self._wake = [], 0, anyio.Event()
                self._sent = time.monotonic()
                await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _ping(self) -> None:
        while True:
            await anyio.sleep(PING_SECONDS)
            if time.monotonic() - self._sent >= PING_SECONDS:
                self._put(b": ping\n\n")


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def work_frames(work: Callable[[Emit], Awaitable[BaseModel]]) -> Frames:
    """Run `work` and stream what it emits, then `event: result`. The work ends when the reader leaves.

    Progress beyond a full queue is dropped: the reader is slow, and only the latest state matters to it.
    """
    queue = asyncio.Queue[ToolEvent | ModelEvent | None](_QUEUED)

    def emit(event: ToolEvent | ModelEvent) -> None:
        with suppress(asyncio.QueueFull):
            queue.put_nowait(event)

    task = asyncio.ensure_future(work(emit))
    task.add_done_callback(lambda _: _wake(queue))
    try:
        while (event := await queue.get()) is not None:
            yield event_frame(event)
        yield frame("result", (await task).model_dump_json())
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _wake(queue: asyncio.Queue[Any]) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(None)
