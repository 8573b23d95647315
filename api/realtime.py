"""OpenAI's Realtime transcription: `WS /v1/realtime?intent=transcription`, over the same desk as `api/listen.py`.

Sound comes as base64 PCM16 at 24 kHz, mono. With turn detection (the default) each turn becomes an item; without it,
what was sent up to a `commit`. Deltas are the words that will not change any more; `completed` has the whole text.
Of OpenAI's settings, thresholds of the turn detection, noise reduction and log probabilities have no meaning here.
"""

import asyncio
import base64
import binascii
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import uuid4

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.deps import host, tenant
from api.failures import from_validation
from api.listen import close_code, next_message
from api.speech import HOSTED, language_of
from tools.errors import Conflict, InvalidInput, SutradharError, TooLarge
from tools.media.sound import Resampling
from tools.speech import ListenOptions, Pcm
from tools.speech.desk import choose
from tools.speech.live import Live, Said, TurnChanged

router = APIRouter()

_RATE = 24_000
_APPEND = 2_000_000
"""Characters of one append: 31 s of sound."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Transcription(_Part):
    model: Annotated[str, Field(max_length=200)] | None = None
    language: Annotated[str, Field(max_length=40)] | None = None
    prompt: Annotated[str, Field(max_length=1_000)] | None = None


class TurnDetection(_Part):
    type: Literal["server_vad", "semantic_vad"] = "server_vad"


class Format(_Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24_000] = 24_000


class Input(_Part):
    format: Format = Format()
    transcription: Transcription = Transcription()
    turn_detection: TurnDetection | None = TurnDetection()


class Audio(_Part):
    input: Input = Input()


class Session(_Part):
    """What the caller asked for; whatever else it sends is taken and not used."""

    type: Literal["transcription"] = "transcription"
    audio: Audio = Audio()

    def updated(self, change: dict[str, Any]) -> "Session":
        """With what an update names changed; raises `InvalidInput`."""
        try:
            return Session.model_validate(_merged(self.model_dump(), change))
        except ValidationError as error:
            raise from_validation(error) from error

    def told(self, id: str) -> dict[str, Any]:
        return {"id": id, "object": "realtime.transcription_session", **self.model_dump()}


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {name: (old.get(name), value) for name, value in new.items()}
    changed = {
        name: _merged(was, value) if isinstance(was, dict) and isinstance(value, dict) else value
        for name, (was, value) in both.items()
        if value is not None or name in {"turn_detection", "language", "prompt"}
    }
    return {**old, **changed}


def _from_beta(change: dict[str, Any]) -> dict[str, Any]:
    """A `transcription_session.update` of the beta, whose settings were flat, as today's."""
    names = {"input_audio_transcription": "transcription", "turn_detection": "turn_detection"}
    if change.get("input_audio_format") not in {None, "pcm16"}:
        raise InvalidInput(f"{change['input_audio_format']!r} is not heard here.", remedy="Send pcm16 at 24 kHz.")
    return {"audio": {"input": {names[name]: value for name, value in change.items() if name in names}}}


@dataclass
class _Item:
    """What becomes one message of the conversation: `sent` is the text of its deltas."""

    id: str = field(default_factory=lambda: f"item_{uuid4().hex[:20]}")
    sent: str = ""
    said: list[str] = field(default_factory=list)


class Conversation:
    """One connection. The recogniser's seat is taken with the first sound, when all settings are known."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._opened = host(socket)
        self._bench = self._opened.bench.serving(tenant(socket))
        self._id = f"sess_{uuid4().hex[:20]}"
        model = socket.query_params.get("model")
        self._session = Session().updated({"audio": {"input": {"transcription": {"model": model}}}})
        self._seat = AsyncExitStack()
        self._live: Live | None = None
        self._telling: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sound = Resampling()
        self._item: _Item | None = None
        self._before: str | None = None
        self._offset = 0.0

    async def run(self) -> None:
        """Answer events until the caller leaves."""
        if self._socket.query_params.get("intent") != "transcription":
            raise InvalidInput("Only transcription is done here.", remedy="Connect with intent=transcription.")
        with self._opened.streams.one():
            await self._tell("session.created", session=self._session.told(self._id))
            reading = asyncio.create_task(self._read())
            try:
                await asyncio.wait({reading, self._broken}, return_when=asyncio.FIRST_COMPLETED)
                (self._broken if self._broken.done() else reading).result()
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await self._leave()
                self._broken.cancel()

    async def fail(self, error: SutradharError, event: str | None = None) -> None:
        body = error.body()["error"]
        told = {name: body.get(name) for name in ("type", "code", "message", "param")}
        await self._tell("error", error={**told, "event_id": event})

    async def _tell(self, type: str, **what: Any) -> None:
        await self._socket.send_json({"type": type, "event_id": f"event_{uuid4().hex[:20]}", **what})

    async def _read(self) -> None:
        while True:
            event = await next_message(self._socket)
            if isinstance(event, bytes):
                raise InvalidInput("Binary messages are not understood here.", remedy="Send JSON events.")
            try:
                await self._obey(event)
            except (InvalidInput, Conflict) as error:
                # a wrong event is answered, and the conversation goes on
                await self.fail(error, str(event.get("event_id")) if event.get("event_id") else None)

    async def _obey(self, event: dict[str, Any]) -> None:
        kind, change = event.get("type"), event.get("session")
        if kind in {"session.update", "transcription_session.update"}:
            if not isinstance(change, dict):
                raise InvalidInput("An update needs its `session`.", param="session")
            beta = kind == "transcription_session.update" and "audio" not in change
            await self._update(_from_beta(change) if beta else change)
            await self._tell(f"{kind}d", session=self._session.told(self._id))
        elif kind == "input_audio_buffer.append":
            await self._append(event.get("audio"))
        elif kind == "input_audio_buffer.commit":
            await self._commit()
        elif kind == "input_audio_buffer.clear":
            await self._leave()
            await self._tell("input_audio_buffer.cleared")
        else:
            raise InvalidInput(f"{str(kind)[:80]!r} is no event of a transcription session.", param="type")

    async def _update(self, change: dict[str, Any]) -> None:
        session = self._session.updated(change)
        if self._live is not None and session != self._session:
            raise Conflict("The session is hearing already.", remedy="Commit or clear the buffer, then update it.")
        self._choice_of(session)
        self._session = session

    def _choice_of(self, session: Session) -> Any:
        wanted = session.audio.input.transcription
        language = language_of(wanted.language, self._bench)
        model = None if wanted.model in HOSTED else wanted.model
        return choose(self._bench, model, language), ListenOptions(language=language, prompt=wanted.prompt)

    async def _append(self, audio: Any) -> None:
        sound = self._decoded(audio)
        if self._live is None:
            choice, options = self._choice_of(self._session)
            self._live = await self._seat.enter_async_context(self._opened.desk.seat(self._bench, choice, options))
            self._telling = asyncio.create_task(self._follow(self._live))
        await self._live.feed(sound)

    def _decoded(self, audio: Any) -> Pcm:
        import av

        if not isinstance(audio, str) or not audio:
            raise InvalidInput("An append needs its `audio` as base64.", param="audio")
        if len(audio) > _APPEND:
            raise TooLarge(f"An append of {len(audio):,} characters is too large.", remedy=f"Send at most {_APPEND:,}.")
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("The `audio` is not base64.", param="audio") from error
        if len(data) % 2:
            raise InvalidInput(f"{len(data)} bytes are no whole number of 16 bit samples.", param="audio")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(data, "<i2")[None], format="s16", layout="mono")
        frame.sample_rate = _RATE
        return self._sound.feed(frame)

    async def _commit(self) -> None:
        """Conclude what was sent so far; the next sound begins anew."""
        if self._live is None or self._telling is None:
            raise InvalidInput("The buffer has no sound.", remedy="Append some before the commit.")
        await self._live.feed(self._sound.rest())
        await self._live.finish()
        await self._telling
        if self._session.audio.input.turn_detection is None:
            await self._conclude(self._item or _Item())
        await self._leave()

    async def _leave(self) -> None:
        """Give up the seat and what has been sent but not heard."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        self._offset += self._live.seconds if self._live is not None else 0.0
        self._live = self._telling = self._item = None
        self._sound = Resampling()
        await self._seat.aclose()
        self._seat = AsyncExitStack()

    async def _follow(self, live: Live) -> None:
        """Tell what is heard; a failure ends the conversation."""
        try:
            async with aclosing(live.events()) as events:
                async for event in events:
                    await (self._turn(event) if isinstance(event, TurnChanged) else self._said(event))
        except (SutradharError, WebSocketDisconnect) as error:
            with suppress(WebSocketDisconnect, RuntimeError):
                if self._item is not None and isinstance(error, SutradharError):
                    told = {"type": "server_error", "code": error.code, "message": str(error)}
                    await self._tell(f"{_HEARD}.failed", item_id=self._item.id, content_index=0, error=told)
            if not self._broken.done():
                self._broken.set_exception(error)

    @property
    def _detects(self) -> bool:
        return self._session.audio.input.turn_detection is not None

    async def _turn(self, event: TurnChanged) -> None:
        if event.started and self._detects:
            self._item = _Item()
            at = round((self._offset + event.at) * 1000)
            await self._tell("input_audio_buffer.speech_started", item_id=self._item.id, audio_start_ms=at)

    async def _said(self, said: Said) -> None:
        item = self._item = self._item or _Item()
        before = " ".join(item.said)
        text = f"{before} {said.text if said.ended else said.stable}".strip()
        if text.startswith(item.sent) and len(text) > len(item.sent):
            delta, item.sent = text[len(item.sent) :], text
            await self._tell(f"{_HEARD}.delta", item_id=item.id, content_index=0, delta=delta)
        if said.ended:
            item.said.append(said.text)
            if self._detects:
                at = round((self._offset + said.end) * 1000)
                await self._tell("input_audio_buffer.speech_stopped", item_id=item.id, audio_end_ms=at)
                await self._conclude(item, said.end - said.start)

    async def _conclude(self, item: _Item, seconds: float | None = None) -> None:
        spent = seconds if seconds is not None else self._live.seconds if self._live else 0.0
        await self._tell("input_audio_buffer.committed", item_id=item.id, previous_item_id=self._before)
        self._before, self._item = item.id, None
        transcript = " ".join(text for text in item.said if text)
        usage = {"type": "duration", "seconds": round(spent, 3)}
        await self._tell(f"{_HEARD}.completed", item_id=item.id, content_index=0, transcript=transcript, usage=usage)


_HEARD = "conversation.item.input_audio_transcription"


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    await socket.accept()
    conversation = None
    try:
        conversation = Conversation(socket)
        await conversation.run()
    except WebSocketDisconnect:
        return
    except SutradharError as error:
        with suppress(WebSocketDisconnect, RuntimeError):
            if conversation is not None and socket.application_state is WebSocketState.CONNECTED:
                await conversation.fail(error)
            await socket.close(close_code(error), error.message[:90])
