"""The tools that speak: text to speech, and which voices there are."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.capability import Part
from tools.served import ModelInput, ModelOutput
from tools.toolbox import tool
from tools.voice import Emotion, Gender, Pcm
from tools.voice.casting import NAMES, NEAREST, cast, language_code, rows, spoken_as, voices_of
from tools.voice.checking import Check, check
from tools.voice.encoding import CODINGS, Encoder, Format
from tools.voice.saying import FASTEST, SLOWEST, Saying
from tools.voice.sound import RATE, resample

LETTERS = 20_000
"""Most letters of one text: more than twenty minutes of speech."""


class Owners(Protocol):
    """Who may read which medium; an upper room keeps it."""

    async def own(self, tenant: str, sha: str, name: str) -> None: ...


OWNERS: Part[Owners] = Part("library")


class Wish(ModelInput):
    """How something is to be said."""

    language: Annotated[str, Field(max_length=40)] = Field(
        "auto", description="ISO 639 code, BCP 47 tag or English name; `auto` tells it by the text."
    )
    voice: Annotated[str, Field(max_length=80)] = Field(
        "default", description="A voice's id, `female`, `male`, or one of OpenAI's names."
    )
    emotion: Emotion = "neutral"
    speed: Annotated[float, Field(ge=SLOWEST, le=FASTEST)] = 1.0
    format: Format = Field("wav", description="44.1 kHz, 16 bit; Opus has 48 kHz.")
    check: bool = Field(False, description="Transcribe the speech back and say how much of it was understood.")


class SynthesizeInput(Wish):
    """What to say, and how."""

    text: Annotated[str, Field(min_length=1, max_length=LETTERS)]


class Swap(BaseModel):
    """Something else than what was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asked: str
    used: str
    reason: str


class Speech(ModelOutput):
    """Speech as a medium. `prosody` says that the engine has no such emotion and pitch, speed and energy were bent."""

    media: str = Field(description="sha256 of the sound in the media store.")
    media_type: str
    seconds: float
    voice: str
    language: str
    native_rate: int = Field(description="Hz at which the engine speaks; the sound was resampled from it.")
    prosody: bool
    substitutions: list[Swap]
    check: Check | None = None


class VoicesInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Annotated[str, Field(max_length=40)] | None = Field(None, description="Only the voices of this language.")


class VoiceInfo(BaseModel):
    """One voice. A `formant` voice is made by rules: clear, and unlike a person."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    language: str
    language_name: str
    also: list[str] = Field(
        [], description="Languages without a voice of their own that it reads, the nearest there is."
    )
    gender: Gender
    kind: str
    engine: str
    licence: str
    native_rate: int


class Voices(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    voices: list[VoiceInfo]


def saying(bench: Bench, wish: Wish, text: str) -> Saying:
    """A text as it is wished, with its voices chosen; raises `InvalidInput` before anything is loaded."""
    chosen = cast(bench, text, language=wish.language, voice=wish.voice, model=wish.model)
    return Saying(chosen, text, emotion=wish.emotion, speed=wish.speed)


def swaps(said: Saying) -> list[Swap]:
    """What was substituted so far."""
    return [Swap(asked=each.asked, used=each.used, reason=each.reason) for each in said.cast.substitutions]


async def heard(bench: Bench, said: Saying) -> tuple[Pcm, Check | None]:
    """All of a text spoken and listened to; a synthesis that fails the check is tried on the next engine."""
    best: tuple[Pcm, Check | None] = (np.zeros(0, np.float32), None)
    while True:
        sound = np.concatenate([part async for part in said.parts()])
        found = await check(bench, sound, RATE, said.prepared, said.cast.language)
        if best[1] is None or _errors(found) < _errors(best[1]):
            best = (sound, found)
        if found.passed or not said.cast.step_in("what was heard of it was not what was to be said"):
            return best


def _errors(found: Check) -> float:
    return 2.0 if found.character_error_rate is None else found.character_error_rate


@tool(title="Speak")
async def synthesize(input: SynthesizeInput, bench: Bench) -> Speech:
    """Say a text aloud in English or an Indian language; the sound is kept as a medium."""
    return await kept(bench, await asyncio.to_thread(saying, bench, input, input.text), input)


async def kept(bench: Bench, said: Saying, input: Wish) -> Speech:
    """A text spoken, and its sound kept as a medium."""
    found: Check | None = None
    if input.check:
        sound, found = await heard(bench, said)
    else:
        parts, total = list[Pcm](), len(said.prepared.sentences)
        async for part in said.parts():
            parts.append(part)
            bench.progress(fraction=len(parts) / total)
        sound = np.concatenate(parts)
    media = await keep(bench, await asyncio.to_thread(encoded, sound, input.format), input.format)
    lead = said.cast.lead
    return Speech(
        model=lead.row.id,
        reason="; ".join(each.reason for each in said.cast.substitutions if each.asked == input.model),
        media=media,
        media_type=CODINGS[input.format].media_type,
        seconds=round(len(sound) / RATE, 3),
        voice=lead.voice.id,
        language=said.cast.language,
        native_rate=lead.row.rate or RATE,
        prosody=said.bent,
        substitutions=swaps(said),
        check=found,
    )


async def keep(bench: Bench, data: bytes, format: Format) -> str:
    """The sha256 of a sound that is kept as the tenant's own."""
    name = f"speech.{format}"
    media = await bench.media.put(_once(data), name=name)
    if OWNERS.name in bench.parts:
        await bench.part(OWNERS).own(bench.tenant, media.sha256, name)
    return media.sha256


def encoded(sound: Pcm, format: Format) -> bytes:
    """A whole file; blocking."""
    encoder = Encoder(format, seekable=True)
    return encoder.feed(resample(sound, RATE, encoder.rate)) + encoder.end()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@tool(title="List voices")
async def list_voices(input: VoicesInput, bench: Bench) -> Voices:
    """List the voices that can speak here, with their language, gender, engine and licence."""
    wanted = language_code(input.language, "") if input.language else None
    wanted = spoken_as(bench, wanted)[0] if wanted else None
    nearest = {each: spoken_as(bench, each)[0] for each in NEAREST}
    return Voices(
        voices=[
            VoiceInfo(
                id=voice.id,
                title=voice.title,
                language=voice.language,
                language_name=NAMES.get(voice.language, voice.language),
                also=[each for each, reader in nearest.items() if reader == voice.language != each],
                gender=voice.gender,
                kind=voice.kind,
                engine=row.id,
                licence=row.licence,
                native_rate=row.rate or RATE,
            )
            for row in rows(bench)
            for voice in voices_of(row)
            if wanted in {None, voice.language}
        ]
    )


TOOLS = (synthesize, list_voices)
