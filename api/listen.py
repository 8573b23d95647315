"""Live speech to text: `WS /api/v1/stt/stream`, and WhisperLive's protocol there and at `/`, where its client looks.

Our own messages are JSON. From the caller: `{"type": "start", "language": "auto", "format": "pcm16"}` first (or the
same as query parameters), then binary messages of samples (16 kHz, mono) or of a recording in
WebM or Ogg (format `webm`, `ogg`) as a browser makes it, then `{"type": "finish"}`. From us: `ready`,
`turn`, `partial` (of whose `text` the beginning `stable` will not change any more), `final`, `done`, `error`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.deps import host, tenant
from api.failures import from_validation
from api.speech import language_of
from tools.catalog import Choice
from tools.errors import Busy, InvalidInput, SutradharError, TooLarge
from tools.media.reader import open_live
from tools.speech import ListenOptions
from tools.speech.desk import choose
from tools.speech.live import Live, Said, TurnChanged, samples

router = APIRouter()

_MESSAGE = 1_000_000
"""Bytes of one message: 31 s of 16 bit sound."""
_IDLE = 120.0
"""Seconds without a message after which a caller has gone."""
_LAST = 10
"""Finished segments that WhisperLive's protocol repeats in each message."""


Format = Literal["pcm16", "float32", "webm", "ogg"]


class Start(BaseModel):
    """How our own caller begins."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"] = "start"
    language: Annotated[str, Field(max_length=40)] = "auto"
    model: Annotated[str, Field(max_length=200)] | None = None
    format: Format = "pcm16"
    mode: Literal["transcribe", "translate"] = "transcribe"
    prompt: Annotated[str, Field(max_length=1_000)] | None = None

    def options(self) -> ListenOptions:
        return ListenOptions(task=self.mode, prompt=self.prompt)


class WhisperLiveStart(BaseModel):
    """How WhisperLive's client begins; whatever else it sends concerns its own server."""

    model_config = ConfigDict(extra="ignore")

    uid: Annotated[str, Field(max_length=200)]
    language: Annotated[str, Field(max_length=40)] | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: Annotated[str, Field(max_length=1_000)] | None = None

    def options(self) -> ListenOptions:
        return ListenOptions(task=self.task, prompt=self.initial_prompt)


class Dialect(Protocol):
    """What a caller is told, in its own words."""

    kind: Format

    def ready(self, choice: Choice) -> dict[str, Any]: ...
    def happened(self, event: TurnChanged | Said) -> list[dict[str, Any]]: ...
    def done(self, seconds: float) -> dict[str, Any] | None: ...
    def failed(self, error: SutradharError) -> dict[str, Any]: ...


class Ours:
    def __init__(self, start: Start) -> None:
        self.kind = start.format

    def ready(self, choice: Choice) -> dict[str, Any]:
        return {"type": "ready", "model": choice.row.id, "reason": choice.reason, "rate": 16_000, "format": self.kind}

    def happened(self, event: TurnChanged | Said) -> list[dict[str, Any]]:
        if isinstance(event, TurnChanged):
            return [{"type": "turn", "turn": event.turn, "state": _STATES[event.started], "at": event.at}]
        said = asdict(event)
        return [{"type": "final" if said.pop("ended") else "partial", **said}]

    def done(self, seconds: float) -> dict[str, Any] | None:
        return {"type": "done", "seconds": round(seconds, 3)}

    def failed(self, error: SutradharError) -> dict[str, Any]:
        return {"type": "error", **error.body()}


_STATES = {True: "started", False: "ended"}


class WhisperLive:
    """collabora/WhisperLive: times are strings, and each message repeats the last segments."""

    kind: Format = "float32"

    def __init__(self, start: WhisperLiveStart) -> None:
        self._uid = start.uid
        self._told_language = start.language is not None
        self._finished: list[dict[str, Any]] = []

    def ready(self, choice: Choice) -> dict[str, Any]:
        # its client keeps a transcript only of a backend of this name, which ours is in fact
        return {"uid": self._uid, "message": "SERVER_READY", "backend": "faster_whisper"}

    def happened(self, event: TurnChanged | Said) -> list[dict[str, Any]]:
        if isinstance(event, TurnChanged) or not event.text:
            return []
        segment = {
            "start": f"{event.start:.3f}",
            "end": f"{event.end:.3f}",
            "text": f" {event.text}",
            "completed": event.ended,
        }
        told = {"uid": self._uid, "segments": [*self._finished[-_LAST:], segment]}
        if event.ended:
            self._finished = [*self._finished[-_LAST:], segment]
        if self._told_language:
            return [told]
        self._told_language = True
        return [{"uid": self._uid, "language": event.language, "language_prob": event.confidence}, told]

    def done(self, seconds: float) -> dict[str, Any] | None:
        return None

    def failed(self, error: SutradharError) -> dict[str, Any]:
        if isinstance(error, Busy):
            return {"uid": self._uid, "status": "WAIT", "message": (error.retry_after or 10.0) / 60}
        return {"uid": self._uid, "status": "ERROR", "message": str(error)}


@router.websocket("/api/v1/stt/stream")
async def stream(socket: WebSocket) -> None:
    await socket.accept()
    dialect: Dialect = Ours(Start())
    try:
        start, first = await _start(socket)
        dialect = Ours(start) if isinstance(start, Start) else WhisperLive(start)
        await _serve(socket, start, dialect, first)
    except WebSocketDisconnect:
        return
    except SutradharError as error:
        await _refuse(socket, dialect, error)


async def _start(socket: WebSocket) -> tuple[Start | WhisperLiveStart, bytes]:
    """How the caller begins, and the sound that came with it when it began by query parameters."""
    try:
        if socket.query_params:
            return Start.model_validate({**socket.query_params}), b""
        message = await next_message(socket)
        if isinstance(message, bytes):
            return Start(), message
        kind = WhisperLiveStart if "uid" in message else Start
        return kind.model_validate(message), b""
    except ValidationError as error:
        raise from_validation(error) from error


async def _serve(socket: WebSocket, start: Start | WhisperLiveStart, dialect: Dialect, first: bytes) -> None:
    opened = host(socket)
    bench = opened.bench.serving(tenant(socket))
    language = language_of(start.language, bench)
    options = replace(start.options(), language=language)
    choice = choose(bench, start.model if isinstance(start, Start) else None, language)
    with opened.streams.one():
        async with opened.desk.seat(bench, choice, options) as live:
            await socket.send_json(dialect.ready(choice))
            await _converse(socket, live, dialect, first)
            if (last := dialect.done(live.seconds)) is not None:
                await socket.send_json(last)
    await socket.close(1000)


async def _converse(socket: WebSocket, live: Live, dialect: Dialect, first: bytes) -> None:
    """Feed what comes in and tell what is heard, until the sound ends; a caller who leaves ends both."""
    telling = asyncio.create_task(_tell(socket, live, dialect))
    feeding = asyncio.create_task(_feed(socket, live, dialect.kind, first))
    try:
        done, _ = await asyncio.wait({telling, feeding}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in (telling, feeding):
            task.cancel()
        await asyncio.gather(telling, feeding, return_exceptions=True)


async def _feed(socket: WebSocket, live: Live, kind: Format, first: bytes) -> None:
    async with aclosing(_sound(socket, first)) as messages:
        if kind in ("pcm16", "float32"):
            async for data in messages:
                await live.feed(samples(data, kind))
        else:
            async with open_live("matroska" if kind == "webm" else "ogg", host(socket).settings.limits) as reader:
                async for data in messages:
                    await live.feed(await reader.feed(data))
                await live.feed(await reader.finish())
    await live.finish()


async def _sound(socket: WebSocket, first: bytes) -> AsyncGenerator[bytes, None]:
    """The binary messages up to the caller's word that there are no more."""
    if first:
        yield first
    while True:
        message = await next_message(socket)
        if message == b"END_OF_AUDIO" or (isinstance(message, dict) and message.get("type") == "finish"):
            return
        if isinstance(message, bytes):
            yield message
        else:
            raise InvalidInput(
                f"{str(message)[:80]!r} is not understood here.", remedy='Send sound or {"type":"finish"}.'
            )


async def _tell(socket: WebSocket, live: Live, dialect: Dialect) -> None:
    async with aclosing(live.events()) as events:
        async for event in events:
            for message in dialect.happened(event):
                await socket.send_json(message)


async def next_message(
    socket: WebSocket, *, most: int = _MESSAGE, idle: float | None = _IDLE
) -> bytes | dict[str, Any]:
    """The next message, of at most so many bytes, text as JSON. Raises `WebSocketDisconnect` when the caller has gone
    and `InvalidInput` when nothing came for `idle` seconds."""
    try:
        message = await asyncio.wait_for(socket.receive(), idle)
    except TimeoutError as error:
        raise InvalidInput(f"Nothing came for {idle:g} s.", remedy="Send sound all the time, silence too.") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    data = message.get("bytes")
    if data is not None:
        if len(data) > most:
            raise TooLarge(f"A message of {len(data):,} bytes is too large.", remedy=f"Send at most {most:,}.")
        return bytes(data)
    with suppress(ValueError):
        found = json.loads(message.get("text") or "")
        if isinstance(found, dict):
            return found
    raise InvalidInput("A text message must be a JSON object.")


def close_code(error: SutradharError) -> int:
    """1013 «try again later», 1009 «too big», 1011 for our faults, 1008 for the caller's other mistakes."""
    code = 1013 if isinstance(error, Busy) else 1009 if isinstance(error, TooLarge) else 1008
    return 1011 if error.status >= 500 and code == 1008 else code


async def _refuse(socket: WebSocket, dialect: Dialect, error: SutradharError) -> None:
    """Say what is wrong and close."""
    later = f" Try again in {error.retry_after:g} s." if error.retry_after else ""
    with suppress(WebSocketDisconnect, RuntimeError):
        if socket.application_state is WebSocketState.CONNECTED:
            await socket.send_json(dialect.failed(error))
            await socket.close(close_code(error), f"{error.message[:90]}{later}")


router.add_api_websocket_route("/", stream)
