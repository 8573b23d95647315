"""The tools that listen: speech to text, where speech is, and which language a text is in."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.bench import Bench
from tools.capability import Lease
from tools.languages import tell_language
from tools.media.reader import open_media
from tools.served import MediaRef, ModelInput, ModelOutput, served
from tools.speech import (
    RATE,
    SPEECH_TO_TEXT,
    VOICE_ACTIVITY,
    Heard,
    ListenOptions,
    Pcm,
    Span,
    SpeechToText,
    VoiceActivity,
)
from tools.speech.windows import quietest
from tools.toolbox import tool

Seconds = Annotated[float, Field(ge=0, le=604_800)]

_FIRST = 60.0
"""Seconds listened to first, so that something is heard soon."""
_MOST = 300.0
"""Seconds of sound in memory at once."""
_SEARCH = 15.0


class Stretch(BaseModel):
    """Seconds of the medium."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Seconds
    end: Seconds

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Stretch":
        if self.end < self.start:
            raise ValueError(f"ends at {self.end} before it starts at {self.start}")
        return self


class ListenInput(ModelInput):
    """Which part of which medium to listen to."""

    media: MediaRef
    start: Seconds = 0.0
    end: Seconds | None = None


class TranscribeInput(ListenInput):
    """What to transcribe, and how."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        None, description="ISO 639-1 code of the language spoken; by default it is detected."
    )
    task: Literal["transcribe", "translate"] = Field("transcribe", description="`translate` gives English text.")
    words: bool = Field(False, description="Also time each word.")
    beam: Annotated[int, Field(ge=1, le=10)] = 1
    batch: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Windows heard at once: more is faster, and later in showing the first text."
    )
    prompt: Annotated[str, Field(max_length=1_000)] | None = Field(
        None, description="Text in the manner of what is expected: names, spelling, script."
    )
    windows: Annotated[list[Stretch], Field(max_length=20_000)] | None = Field(
        None, description="Listen to these stretches only; by default to wherever a detector hears speech."
    )


class SpokenWord(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    start: float
    end: float
    text: str
    confidence: float


class Spoken(BaseModel):
    """A stretch of speech; `start` and `end` are seconds of the medium."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: float
    end: float
    text: str
    language: str
    confidence: float
    words: list[SpokenWord] = []


class Transcript(ModelOutput):
    segments: list[Spoken]
    language: str | None = Field(description="The language most of the speech is in; none where nobody spoke.")
    seconds: float = Field(description="How much sound was listened to.")


class Speech(ModelOutput):
    turns: list[Stretch]
    seconds: float = Field(description="How much sound was listened to.")


class TextInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=100_000)]


class Language(BaseModel):
    """`language` is ISO 639-1, with `-Latn` where an Indian language is written in Latin script."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None
    confidence: Annotated[float, Field(ge=0, le=1)]


@tool(title="Transcribe speech")
async def transcribe(input: TranscribeInput, bench: Bench) -> Transcript:
    """Write down what is said in a video or sound recording, with the seconds at which it is said.

    Each stretch of speech is reported as progress as soon as it is known.
    """
    choice = bench.choose(SPEECH_TO_TEXT, model=input.model, language=input.language)
    spoken, language, until = list[Spoken](), input.language, input.start
    async with (
        _detector(input, bench) as detector,
        bench.models.use(choice.row.id, bench.emit) as ears,
        aclosing(_sound(input, bench)) as sound,
    ):
        async for piece in sound:
            options = _options(input, language, await _windows(input, detector, piece))
            async for heard in ears.stream(SpeechToText.transcribe, piece.audio, options):
                spoken.append(_spoken(heard, piece.start))
                bench.progress(fraction=piece.fraction(heard.end), data=spoken[-1].model_dump())
            until = piece.end
            bench.progress(fraction=piece.fraction(until - piece.start))
            # a long recording keeps the language of its beginning
            if language is None and spoken and input.task == "transcribe":
                language = spoken[-1].language
    seconds = round(until - input.start, 3)
    return Transcript(segments=spoken, language=_most_spoken(spoken), seconds=seconds, **served(choice))


@tool(title="Find speech")
async def find_speech(input: ListenInput, bench: Bench) -> Speech:
    """Find where somebody speaks in a video or sound recording, without writing down what is said."""
    choice = bench.choose(VOICE_ACTIVITY, model=input.model)
    turns, until = list[Stretch](), input.start
    async with bench.models.use(choice.row.id, bench.emit) as detector, aclosing(_sound(input, bench)) as sound:
        async for piece in sound:
            for turn in await detector.call(VoiceActivity.turns, piece.audio):
                turns.append(Stretch(start=round(piece.start + turn.start, 3), end=round(piece.start + turn.end, 3)))
            until = piece.end
            bench.progress(fraction=piece.fraction(until - piece.start))
    return Speech(turns=turns, seconds=round(until - input.start, 3), **served(choice))


@tool(title="Detect language")
async def detect_language(input: TextInput, bench: Bench) -> Language:
    """Say which language a text is in, by its script and its commonest words."""
    language, confidence = tell_language(input.text)
    return Language(language=language, confidence=confidence)


@dataclass(frozen=True)
class _Piece:
    """Sound from `start` seconds of the medium on, out of `first`..`last` in all."""

    start: float
    audio: Pcm
    first: float
    last: float

    @property
    def end(self) -> float:
        return self.start + len(self.audio) / RATE

    def fraction(self, second: float) -> float:
        """How much of all is done when `second` of this piece is."""
        length = max(self.last - self.first, 1e-6)
        return round(min(1.0, max(0.0, (self.start + second - self.first) / length)), 4)


async def _sound(input: ListenInput, bench: Bench) -> AsyncGenerator[_Piece, None]:
    """The sound in pieces of bounded length, cut where it is quiet; the first is short, to be heard soon."""
    path = await bench.media.local(input.media)
    async with open_media(path, bench.settings.limits) as reader:
        duration = (await reader.probe()).duration
        last = duration if input.end is None else min(duration, input.end)
        held, start, most = np.zeros(0, dtype=np.float32), input.start, _FIRST
        async for part in reader.pcm(input.start, input.end, chunk=30.0):
            held = np.concatenate((held, part))
            length = len(held) / RATE
            if length >= most + _SEARCH:
                cut = quietest(held, most, most + _SEARCH)
                yield _Piece(start, held[: round(cut * RATE)], input.start, last)
                held, start, most = held[round(cut * RATE) :], start + round(cut * RATE) / RATE, _MOST
        if len(held):
            yield _Piece(start, held, input.start, last)


@asynccontextmanager
async def _detector(input: TranscribeInput, bench: Bench) -> AsyncIterator[Lease[VoiceActivity] | None]:
    """The detector that finds the windows, or none where the caller gave them."""
    if input.windows is not None:
        yield None
    else:
        async with bench.engine(VOICE_ACTIVITY) as lease:
            yield lease


async def _windows(input: TranscribeInput, detector: Lease[VoiceActivity] | None, piece: _Piece) -> list[Span]:
    if detector is not None:
        return await detector.call(VoiceActivity.turns, piece.audio)
    given = [(max(each.start, piece.start), min(each.end, piece.end)) for each in input.windows or []]
    return [Span(start - piece.start, end - piece.start) for start, end in given if end > start]


def _options(input: TranscribeInput, language: str | None, windows: list[Span]) -> ListenOptions:
    return ListenOptions(
        language=language,
        task=input.task,
        words=input.words,
        beam=input.beam,
        batch=input.batch,
        prompt=input.prompt,
        windows=windows,
    )


def _spoken(heard: Heard, offset: float) -> Spoken:
    return Spoken(
        start=round(offset + heard.start, 3),
        end=round(offset + heard.end, 3),
        text=heard.text,
        language=heard.language,
        confidence=heard.confidence,
        words=[
            SpokenWord(
                start=round(offset + word.start, 3),
                end=round(offset + word.end, 3),
                text=word.text,
                confidence=word.probability,
            )
            for word in heard.words
        ],
    )


def _most_spoken(spoken: list[Spoken]) -> str | None:
    seconds = Counter[str]()
    for each in spoken:
        seconds[each.language] += round((each.end - each.start) * 1000)
    return seconds.most_common(1)[0][0] if seconds else None


TOOLS = (transcribe, find_speech, detect_language)
