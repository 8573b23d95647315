"""The doors of speech: one text, many texts, the voices, and OpenAI's endpoint."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.deps import BenchDep, HostDep
from api.host import Host
from tools.bench import Bench
from tools.errors import NotFound, SutradharError, TooLarge
from tools.speaking import (
    LETTERS,
    Speech,
    Swap,
    Voices,
    VoicesInput,
    Wish,
    encoded,
    heard,
    kept,
    list_voices,
    saying,
    swaps,
)
from tools.voice.checking import Check
from tools.voice.encoding import CODINGS, Encoder, Format
from tools.voice.saying import FASTEST, SLOWEST, Saying
from tools.voice.sound import RATE
from tools.voice.together import speak_ahead

router = APIRouter(tags=["speech"])
T = TypeVar("T")

_OPENAI_PCM = 24_000
"""Hz that OpenAI's clients expect of `pcm`, which has no header to say it."""
_BATCH = 100
_BATCH_LETTERS = 100_000
_HEADER = 1_000


class SynthesizeRequest(Wish):
    """A text and how to say it. With `stream` the sound begins with the first sentence."""

    text: Annotated[str, Field(min_length=1, max_length=LETTERS)]
    language: Annotated[str, Field(max_length=40)]
    stream: bool = False


class BatchRequest(Wish):
    """Texts that are said in the same way. With `inline` the sound is in the answer, as base64."""

    texts: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=LETTERS)]], Field(min_length=1, max_length=_BATCH)
    ]
    language: Annotated[str, Field(max_length=40)]
    inline: bool = False


class BatchItem(BaseModel):
    """One text's speech, or why there is none."""

    index: int
    url: str | None = Field(None, description="Where the sound is kept for this tenant.")
    audio: str | None = Field(None, description="The sound as base64, with `inline`.")
    speech: Speech | None = None
    error: dict[str, Any] | None = None


class Batch(BaseModel):
    items: list[BatchItem]
    spoken: int
    failed: int


class OpenAIVoice(BaseModel):
    id: Annotated[str, Field(max_length=80)]


class OpenAISpeech(BaseModel):
    """OpenAI's request. `language` is an addition; `instructions` are not heeded."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=200)]
    input: Annotated[str, Field(min_length=1, max_length=LETTERS)]
    voice: Annotated[str, Field(max_length=80)] | OpenAIVoice = "default"
    instructions: Annotated[str, Field(max_length=10_000)] | None = None
    response_format: Format = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    language: Annotated[str, Field(max_length=40)] = "auto"


@router.post("/api/v1/tts/synthesize", response_class=Response)
async def speak(asked: SynthesizeRequest, request: Request, host: HostDep, bench: BenchDep) -> Response:
    """Speak a text. The answer is the sound; its headers say which engine and voice spoke, and what was substituted."""
    said = await asyncio.to_thread(saying, bench, asked, asked.text)
    if asked.stream and not asked.check:
        return await _streamed(host, said, asked.format, CODINGS[asked.format].rate)
    data, check = await _unless_gone(request, _whole(bench, said, asked))
    return Response(data, media_type=CODINGS[asked.format].media_type, headers=_headers(said, check))


@router.post("/api/v1/tts/batch")
async def speak_batch(asked: BatchRequest, request: Request, bench: BenchDep) -> Batch:
    """Speak many texts. Each answer is a link to its sound, so that one failure spoils nothing and nothing is huge."""
    if (letters := sum(map(len, asked.texts))) > _BATCH_LETTERS:
        raise TooLarge(f"The texts have {letters:,} letters, the limit is {_BATCH_LETTERS:,}.", param="texts")
    # the same wish for all: what is wrong with it is told once, before anything is spoken
    await asyncio.to_thread(saying, bench, asked, "1")
    done = await _unless_gone(request, two_at_a_time(bench, asked.texts, asked, inline=asked.inline))
    failed = sum(each.error is not None for each in done)
    return Batch(items=done, spoken=len(done) - failed, failed=failed)


@router.get("/api/v1/tts/voices")
async def voices(bench: BenchDep, language: Annotated[str | None, Field(max_length=40)] = None) -> Voices:
    """The voices, with language, gender, engine, licence, kind and native rate."""
    return await bench.call(list_voices, VoicesInput(language=language))


@router.post("/v1/audio/speech", response_class=Response)
async def openai_speech(asked: OpenAISpeech, host: HostDep, bench: BenchDep) -> Response:
    """OpenAI: speak. Streamed from the first sentence on."""
    model, notes = _openai_model(bench, asked.model)
    speed = min(max(asked.speed, SLOWEST), FASTEST)
    if speed != asked.speed:
        notes.append(Swap(asked=f"speed {asked.speed:g}", used=f"{speed:g}", reason="the voices go from 0.5 to 2"))
    wish = Wish(
        model=model,
        language=asked.language,
        voice=asked.voice if isinstance(asked.voice, str) else asked.voice.id,
        speed=speed,
        format=asked.response_format,
    )
    said = await asyncio.to_thread(saying, bench, wish, asked.input)
    rate = _OPENAI_PCM if asked.response_format == "pcm" else CODINGS[asked.response_format].rate
    return await _streamed(host, said, asked.response_format, rate, notes, sse=asked.stream_format == "sse")


def _openai_model(bench: Bench, name: str) -> tuple[str | None, list[Swap]]:
    """A row of the catalogue by this name; any other name is OpenAI's, and the profile chooses."""
    try:
        return bench.catalog.row(name).id, []
    except NotFound:
        if not name.lower().startswith(("tts-", "gpt-", "default")):
            raise
        return None, [Swap(asked=name, used="the profile's choice", reason="OpenAI's models are not on this machine")]


async def _whole(bench: Bench, said: Saying, wish: Wish) -> tuple[bytes, Check | None]:
    if wish.check:
        sound, found = await heard(bench, said)
        return await asyncio.to_thread(encoded, sound, wish.format), found
    encoder = await asyncio.to_thread(Encoder, wish.format, seekable=True)
    async with aclosing(said.parts(encoder.rate)) as parts:
        async for part in parts:
            await asyncio.to_thread(encoder.feed, part)
    return await asyncio.to_thread(encoder.end), None


async def _streamed(
    host: Host, said: Saying, format: Format, rate: int, notes: list[Swap] | None = None, *, sse: bool = False
) -> Response:
    """The response once its first sentence is there, so that a failure until then is an error like any other."""
    host.streams.admit()
    sounds = chunks(said, format, rate)
    first = await anext(sounds)

    async def body() -> AsyncGenerator[bytes, None]:
        with host.streams.one():
            async with aclosing(sounds):
                yield _event(first) if sse else first
                async for chunk in sounds:
                    if chunk:
                        yield _event(chunk) if sse else chunk
                if sse:
                    yield b'data: {"type": "speech.audio.done"}\n\n'

    kind = "text/event-stream" if sse else CODINGS[format].media_type
    return StreamingResponse(body(), media_type=kind, headers=_headers(said, notes=notes))


async def chunks(said: Saying, format: Format, rate: int) -> AsyncGenerator[bytes, None]:
    """The encoded sound, first what the first sentence gave."""
    encoder = await asyncio.to_thread(Encoder, format, rate=rate)
    async with aclosing(said.parts(rate)) as parts:
        async for part in parts:
            yield await asyncio.to_thread(encoder.feed, part)
    yield await asyncio.to_thread(encoder.end)


def _event(chunk: bytes) -> bytes:
    data = {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()}
    return f"data: {json.dumps(data)}\n\n".encode()


async def _item(bench: Bench, index: int, said: Saying | SutradharError, wish: Wish, *, inline: bool) -> BatchItem:
    try:
        if isinstance(said, SutradharError):
            raise said
        speech = await kept(bench, said, wish)
        data = await bench.media.read(speech.media) if inline else b""
    except SutradharError as error:
        return BatchItem(index=index, error=error.body()["error"])
    audio = base64.b64encode(data).decode() if inline else None
    return BatchItem(index=index, url=f"/api/v1/media/{speech.media}", audio=audio, speech=speech)


async def two_at_a_time(bench: Bench, texts: list[str], wish: Wish, *, inline: bool) -> list[BatchItem]:
    """While one text is spoken, the one before is resampled and kept; an engine that batches speaks all first."""
    slots = asyncio.Semaphore(2)
    sayings = await asyncio.to_thread(lambda: [_saying(bench, wish, text) for text in texts])
    await speak_ahead(bench, [said for said in sayings if isinstance(said, Saying)])

    async def one(index: int, said: Saying | SutradharError) -> BatchItem:
        async with slots:
            return await _item(bench, index, said, wish, inline=inline)

    return list(await asyncio.gather(*(one(index, said) for index, said in enumerate(sayings))))


def _saying(bench: Bench, wish: Wish, text: str) -> Saying | SutradharError:
    try:
        return saying(bench, wish, text)
    except SutradharError as error:
        return error


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which ends when the caller leaves."""
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise NotFound("The caller left before the speech was ready.")
        return task.result()
    finally:
        for each in (task, leaving):
            each.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _headers(said: Saying, check: Check | None = None, *, notes: list[Swap] | None = None) -> Mapping[str, str]:
    """Which engine and voice spoke at which rate, and every difference to what was asked for."""
    lead = said.cast.lead
    told = [f"{each.asked} -> {each.used}: {each.reason}" for each in [*(notes or []), *swaps(said)]]
    if said.prepared.unread:
        told.append(f"{', '.join(said.prepared.unread)} -> left out: nobody here reads these scripts")
    headers = {
        "X-Engine": lead.row.id,
        "X-Voice": lead.voice.id,
        "X-Voice-Kind": lead.voice.kind,
        "X-Language": said.cast.language,
        "X-Native-Rate": str(lead.row.rate or RATE),
    }
    if told:
        headers["X-Substitution"] = _ascii("; ".join(told))
    if said.bent:
        headers["X-Emotion"] = f"{said.emotion}; by pitch, speed and energy, as the engine has no emotions"
    if check:
        headers["X-Check"] = _ascii(check.model_dump_json(exclude={"heard"}))
        headers["X-Heard"] = _ascii(json.dumps(check.heard))
    return headers


def _ascii(text: str) -> str:
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())[:_HEADER]
