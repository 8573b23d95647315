"""Live pictures: `WS /api/v1/video/stream-analysis`.

From the caller first `{"type": "start", "alerts": ["a person enters"]}` (see `Start`), then binary messages: one byte
`F` (a frame: JPEG, PNG or WebP) or `S` (sound: PCM16, 16 kHz, mono), its time in seconds as a big-endian float64 (of
sound the first counts, then its samples do), and the data; at last `{"type": "finish"}`. With `url` we fetch the
picture ourselves. From us: `ready`, `observation`, `transcript`, `alert`, `dropped`, `done`, `error`.
"""

import asyncio
import base64
import math
import struct
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.deps import host, tenant
from api.failures import from_validation
from api.listen import close_code, next_message
from api.speech import language_of
from ingestion.live.asking import keep_asking
from ingestion.live.conditions import LONGEST, Condition, read
from ingestion.live.ears import Sounds
from ingestion.live.eyes import Sight
from ingestion.live.lookout import Alert, Dropped, Lookout, Told
from ingestion.live.observed import Eye
from tools.catalog import Choice
from tools.errors import InvalidInput, NotInstalled, SutradharError
from tools.media.streams import StreamReader, admit, open_stream
from tools.speech import ListenOptions
from tools.speech.desk import choose
from tools.speech.live import Live, Said, samples
from tools.vision.asking import choose_seer

router = APIRouter()

_MESSAGE = 8_000_000
"""Bytes of one message."""
_HEAD = struct.Struct(">cd")
_EYES: tuple[Eye, ...] = ("objects", "faces", "text")


class Start(BaseModel):
    """What to watch for. `alerts` are conditions in words; `sound` says that sound comes too, or that the address'
    sound is heard; `fps` is how many frames a second are taken from an address."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"] = "start"
    alerts: Annotated[list[Annotated[str, Field(min_length=1, max_length=LONGEST)]], Field(max_length=20)] = []
    senses: list[Eye] = list(_EYES)
    observations: bool = True
    sound: bool = False
    language: Annotated[str, Field(max_length=40)] = "auto"
    url: Annotated[str, Field(max_length=2_000)] | None = None
    fps: Annotated[float, Field(ge=0.1, le=10)] = 2.0


@dataclass
class Senses:
    """What looks and listens on one socket; `missing` says why something does not."""

    sight: Sight
    live: Live | None
    seer: Choice | None
    missing: dict[str, str]


@router.websocket("/api/v1/video/stream-analysis")
async def stream(socket: WebSocket) -> None:
    await socket.accept()
    try:
        await Watch(socket).serve()
    except WebSocketDisconnect:
        return
    except SutradharError as error:
        later = f" Try again in {error.retry_after:g} s." if error.retry_after else ""
        with suppress(WebSocketDisconnect, RuntimeError):
            if socket.application_state is WebSocketState.CONNECTED:
                await socket.send_json({"type": "error", **error.body()})
                await socket.close(close_code(error), f"{error.message[:90]}{later}")


class Watch:
    """One socket, from `start` to `done`."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._host = host(socket)
        self._bench = self._host.bench.serving(tenant(socket))
        self._sending = asyncio.Lock()
        self._observations = True

    async def serve(self) -> None:
        start = await self._start()
        self._observations = start.observations
        conditions = [read(each) for each in start.alerts]
        async with AsyncExitStack() as stack:
            stack.enter_context(self._host.streams.one())
            stack.enter_context(self._host.eyes.seat())
            reader = await stack.enter_async_context(self._reader(start)) if start.url else None
            senses = await stack.enter_async_context(self._senses(start, conditions))
            limits = self._host.settings.limits
            lookout = Lookout(self._host.eyes, senses.sight, conditions, limits, self._tell)
            await self._send(_ready(start, senses, conditions))
            sounds = Sounds(senses.live) if senses.live else None
            await self._run(lookout, senses, sounds, reader)
            heard = {"seconds_heard": round(sounds.seconds, 3), "seconds_lost": round(sounds.lost, 3)} if sounds else {}
            await self._send({"type": "done", **vars(lookout.tally), **heard})
        await self._socket.close(1000)

    async def _start(self) -> Start:
        try:
            message = await next_message(self._socket)
            return Start.model_validate(message if isinstance(message, dict) else {"type": "frame"})
        except ValidationError as error:
            raise from_validation(error) from error

    @asynccontextmanager
    async def _reader(self, start: Start) -> AsyncIterator[StreamReader]:
        source = await admit(start.url or "", self._host.settings)
        async with open_stream(source, self._host.settings, fps=start.fps, sound=start.sound) as reader:
            yield reader

    @asynccontextmanager
    async def _senses(self, start: Start, conditions: Sequence[Condition]) -> AsyncIterator[Senses]:
        needed = {each.sense for each in conditions}
        eyes = [each for each in _EYES if each in start.senses or each in needed]
        async with AsyncExitStack() as stack:
            sight = await stack.enter_async_context(self._host.eyes.open(self._bench, eyes))
            senses = Senses(sight, None, None, dict(sight.missing.items()))
            if start.sound:
                try:
                    senses.live = await self._ears(start, stack)
                except NotInstalled as error:
                    senses.missing["sound"] = f"not installed: {error}"
            elif "sound" in needed:
                senses.missing["sound"] = 'Nothing is heard on this socket. Start with "sound": true.'
            if "model" in needed:
                try:
                    senses.seer = await asyncio.to_thread(choose_seer, self._bench)
                except NotInstalled as error:
                    senses.missing["model"] = f"not installed: {error}"
            yield senses

    async def _ears(self, start: Start, stack: AsyncExitStack) -> Live:
        language = language_of(start.language, self._bench)
        choice, options = choose(self._bench, None, language), ListenOptions(language=language)
        return await stack.enter_async_context(self._host.desk.seat(self._bench, choice, options))

    async def _run(self, lookout: Lookout, senses: Senses, sounds: Sounds | None, reader: StreamReader | None) -> None:
        """Feed, look, listen and ask side by side, until no more comes; a caller who leaves ends all of it."""
        feed = self._receive(lookout, sounds) if reader is None else self._fetch(reader, lookout, sounds)
        work: list[Coroutine[Any, Any, None]] = [feed, lookout.watch()]
        if sounds is not None:
            work += [sounds.feed(), self._listen(sounds, lookout)]
        if senses.seer is not None:
            work.append(keep_asking(lookout, senses.seer, self._bench))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, lookout: Lookout, sounds: Sounds | None) -> None:
        """What the caller pushes."""
        while True:
            message = await next_message(self._socket, most=_MESSAGE)
            if isinstance(message, dict):
                if message.get("type") != "finish":
                    raise InvalidInput(
                        f"{str(message)[:80]!r} is not understood here.", remedy='Send frames or {"type":"finish"}.'
                    )
                break
            kind, at, data = _parts(message)
            if kind == b"F":
                lookout.push(at, data)
            elif sounds is None:
                raise InvalidInput("Sound came, but nothing listens.", remedy='Start with "sound": true.')
            else:
                sounds.put(samples(data, "pcm16"), at)
        lookout.finish()
        if sounds is not None:
            sounds.finish()

    async def _fetch(self, reader: StreamReader, lookout: Lookout, sounds: Sounds | None) -> None:
        """What the address sends, until it ends or the caller says that it is enough."""
        enough = asyncio.create_task(self._enough())
        taking = asyncio.create_task(_take(reader, lookout, sounds))
        try:
            done, _ = await asyncio.wait({enough, taking}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (enough, taking):
                task.cancel()
            await asyncio.gather(enough, taking, return_exceptions=True)
        lookout.finish()
        if sounds is not None:
            sounds.finish()

    async def _enough(self) -> None:
        message = await next_message(self._socket, idle=None)
        if not isinstance(message, dict) or message.get("type") != "finish":
            raise InvalidInput("An address is being watched.", remedy='Send {"type":"finish"} to end it.')

    async def _listen(self, sounds: Sounds, lookout: Lookout) -> None:
        async with aclosing(sounds.live.events()) as events:
            async for event in events:
                if not isinstance(event, Said):
                    continue
                said = replace(event, start=event.start + sounds.since, end=event.end + sounds.since)
                await self._send(_transcript(said))
                await lookout.hear(said)

    async def _tell(self, told: Told) -> None:
        match told:
            case Alert():
                data = told.model_dump(exclude={"image"})
                image = base64.b64encode(told.image).decode() if told.image else None
                await self._send({"type": "alert", **data, "image": image and f"data:image/jpeg;base64,{image}"})
            case Dropped():
                await self._send({"type": "dropped", **told.model_dump()})
            case _ if self._observations:
                await self._send({"type": "observation", **told.model_dump(mode="json")})

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            try:
                await self._socket.send_json(message)
            except RuntimeError as error:
                # starlette's word for a socket that was closed meanwhile
                raise WebSocketDisconnect from error


async def _take(reader: StreamReader, lookout: Lookout, sounds: Sounds | None) -> None:
    async with aclosing(reader.pieces()) as pieces:
        async for piece in pieces:
            lookout.lost(piece.dropped)
            if piece.image is not None:
                lookout.push(piece.at, piece.image)
            if sounds is not None and piece.sound is not None:
                sounds.put(piece.sound, piece.at)


def _parts(message: bytes) -> tuple[bytes, float, bytes]:
    """The kind, time and data of a binary message."""
    if len(message) <= _HEAD.size or message[:1] not in (b"F", b"S"):
        raise InvalidInput(
            f"A binary message begins with {message[:1]!r}.",
            remedy="Send one byte F (frame) or S (sound), the seconds as a big-endian float64, and the data.",
        )
    kind, at = _HEAD.unpack_from(message)
    if not math.isfinite(at) or at < 0:
        raise InvalidInput(f"A message of the time {at} came.", remedy="Send seconds from 0.")
    return kind, at, message[_HEAD.size :]


def _ready(start: Start, senses: Senses, conditions: Sequence[Condition]) -> dict[str, Any]:
    models: dict[str, str] = dict(senses.sight.models.items())
    if senses.seer is not None:
        models["model"] = senses.seer.row.id
    return {
        "type": "ready",
        "senses": models,
        "sound": senses.live is not None,
        "missing": senses.missing,
        "alerts": [_watched(each, senses) for each in conditions],
        "frames": "the newest wins",
        "url": start.url is not None,
    }


def _watched(condition: Condition, senses: Senses) -> dict[str, Any]:
    """How a condition was understood, and what keeps it from ever being told."""
    missing = senses.missing.get(condition.sense, "")
    state = "not watched" if missing else "watched"
    return {"condition": condition.words, "means": condition.means, "state": state, "why": missing}


def _transcript(said: Said) -> dict[str, Any]:
    return {
        "type": "transcript",
        "turn": said.turn,
        "start": round(said.start, 3),
        "end": round(said.end, 3),
        "text": said.text,
        "stable": said.stable,
        "language": said.language,
        "confidence": said.confidence,
        "final": said.ended,
    }
