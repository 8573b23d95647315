"""The tools that listen: speech to text, where speech is, and which language a text is in."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Choice
from tools.diarization import Turn
from tools.diarization.following import Diarist, diarist, said_by
from tools.errors import EngineFailed
from tools.languages import tell_language
from tools.served import MediaRef, ModelInput, ModelOutput, served
from tools.speech import (
    SPEECH_TO_TEXT,
    VOICE_ACTIVITY,
    ListenOptions,
    Pcm,
    Span,
    SpeechToText,
    VoiceActivity,
    Word,
)
from tools.speech.faithful import Scribe, Written
from tools.speech.pieces import Piece, pieces
from tools.speech.script import Script, transliterate
from tools.speech.spelling import normalised
from tools.toolbox import tool

Seconds = Annotated[float, Field(ge=0, le=604_800)]

_SILENT = 1e-3
"""Peak (-60 dB) below which a recording is silent."""


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

    def sound(self, bench: Bench) -> AsyncGenerator[Piece, None]:
        """The sound of that part in pieces."""
        return pieces(self.media, bench, start=self.start, end=self.end)


class TranscribeInput(ListenInput):
    """What to transcribe, and how."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        None, description="ISO 639-1 code of the language spoken; by default it is detected."
    )
    task: Literal["transcribe", "translate"] = Field("transcribe", description="`translate` gives English text.")
    words: bool = Field(False, description="Also time each word.")
    beam: Annotated[int, Field(ge=1, le=10)] = 1
    batch: Annotated[int, Field(ge=1, le=64)] = Field(
        16, description="Windows heard at once, at most: more is faster, takes more memory and tells less often."
    )
    prompt: Annotated[str, Field(max_length=1_000)] | None = Field(
        None, description="Text in the manner of what is expected: names, spelling, script."
    )
    script: Script | None = Field(
        None, description="Write it letter by letter in this script (ISO 15924) instead of the language's own."
    )
    verbatim: bool = Field(False, description="As the recogniser wrote it: nothing is respelt.")
    mixed: bool = Field(
        False, description="Speakers change their language: it is told for each stretch, unless `language` says it."
    )
    diarize: bool = Field(False, description="Also tell who says it: `speaker` of each segment is A, B and so on.")
    speakers: Annotated[int, Field(ge=1, le=20)] | None = Field(
        None, description="With `diarize`: how many people speak; by default it is found out."
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
    speaker: str | None = Field(None, description="Who says it, where that was asked for: A is who speaks first.")
    script: str | None = Field(None, description="For Indian languages: the script it was heard in, ISO 15924.")
    fidelity: float | None = Field(
        None, description="For Indian languages: share of the letters in the language's own script, 0..1."
    )
    note: str = Field("", description="What was done about a wrong script.")
    original: str = Field("", description="For translated speech: what was said, where a translator rendered it.")
    original_language: str | None = Field(None, description="The language of `original`.")


class Interpreted(BaseModel):
    """Who translated speech: a translator what the recogniser heard, or the recogniser itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["translator", "recogniser"]
    models: list[str] = Field(description="The catalogue's rows that translated.")
    target: str
    reason: str = Field("", description="Why these rows.")


class Transcript(ModelOutput):
    segments: list[Spoken]
    language: str | None = Field(description="The language most of the speech is in; none where nobody spoke.")
    languages: list[str] = Field([], description="All languages that were heard, most spoken first.")
    seconds: float = Field(description="How much sound was listened to.")
    fidelity: float | None = Field(None, description="The mean fidelity of the segments that have one.")
    empty: str = Field("", description="Why there is no text, where there is none.")
    diarized_by: str | None = Field(None, description="The catalogue's row that told the speakers apart.")
    translation: Interpreted | None = Field(None, description="Who translated it, where that was asked for.")


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
    hearing, language = _Hearing(input), input.language
    async with (
        _detector(input, bench) as detector,
        diarist(bench, wanted=input.diarize) as speakers,
        aclosing(input.sound(bench)) as sound,
        Ears(bench, input) as ears,
    ):
        async for piece in sound:
            options = _options(input, language, await _windows(input, detector, piece))
            options = replace(options, hurry=piece.start <= input.start)
            hearing.note(piece, options.windows or [])
            if speakers is not None:
                await speakers.follow(piece, options.windows or [])
            for part in _passes(input, options):
                scribe = await ears.scribe(piece.audio, part)
                async with aclosing(scribe.write(piece.audio, part)) as texts:
                    async for written in texts:
                        spoken = hearing.keep(written, piece.start)
                        bench.progress(fraction=piece.fraction(written.heard.end), data=spoken.model_dump())
            bench.progress(fraction=piece.fraction(piece.end - piece.start))
            # a long recording keeps the language of its beginning
            if language is None and hearing.spoken and input.task == "transcribe" and not input.mixed:
                language = hearing.spoken[-1].language
        transcript = hearing.transcript(ears.choice)
        return transcript if speakers is None else await _told_apart(transcript, speakers, input)


async def _told_apart(transcript: Transcript, speakers: Diarist, input: TranscribeInput) -> Transcript:
    """The transcript with its speakers; a segment in which another begins to speak is cut there."""
    turns = await speakers.turns(input.speakers)
    segments = [part for each in transcript.segments for part in _by_speaker(each, turns, input)]
    return transcript.model_copy(update={"segments": segments, "diarized_by": speakers.row.id})


def _by_speaker(spoken: Spoken, turns: list[Turn], input: TranscribeInput) -> Iterator[Spoken]:
    for part, words in said_by(turns, spoken.start, spoken.end, spoken.text, spoken.words):
        yield spoken.model_copy(update={**asdict(part), "words": words if input.words else []})


class Ears:
    """The recogniser that serves a request: where the language is not said, the one that knows most languages hears
    which it is, and a specialist for it takes over if the profile has one."""

    def __init__(self, bench: Bench, input: TranscribeInput) -> None:
        self._bench = bench
        self._mixed = input.mixed
        self._lease = AsyncExitStack()
        self._scribe: Scribe | None = None
        self.choice = bench.choose(SPEECH_TO_TEXT, model=input.model, language=input.language)
        known = input.language is not None or input.model is not None or input.task == "translate"
        rivals = [] if known else bench.candidates(SPEECH_TO_TEXT)
        self._may_change = len(rivals) > 1 and not input.mixed
        if len(rivals) > 1:
            self.choice = max(rivals, key=lambda each: len(each.row.languages) or 10_000)

    async def __aenter__(self) -> "Ears":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._lease.aclose()

    async def scribe(self, audio: Pcm, options: ListenOptions) -> Scribe:
        """Who writes down this piece of sound."""
        if self._scribe is None:
            await self._take(self.choice)
        if self._may_change and options.windows and (language := await self._language(audio, options)):
            self._may_change = False
            better = self._bench.choose(SPEECH_TO_TEXT, language=language)
            if better.row.id != self.choice.row.id:
                reason = f"{self.choice.row.title} heard the language {language!r}. {better.reason}".strip()
                await self._take(better.model_copy(update={"reason": reason}))
        if self._scribe is None:
            raise EngineFailed("No recogniser was loaded.")
        return self._scribe

    async def _take(self, choice: Choice) -> None:
        await self._lease.aclose()
        self.choice = choice
        self._lease = AsyncExitStack()
        lease = await self._lease.enter_async_context(self._bench.models.use(choice.row.id, self._bench.emit))
        self._lease_of = lease
        self._scribe = Scribe(lease, mixed=self._mixed)

    async def _language(self, audio: Pcm, options: ListenOptions) -> str | None:
        first = replace(options, words=False, batch=1)
        stream = self._lease_of.stream(SpeechToText.transcribe, audio, first)
        async for heard in stream:
            return heard.language
        return None


@dataclass
class _Hearing:
    """What has been heard of one recording so far."""

    input: TranscribeInput
    spoken: list[Spoken] = field(default_factory=list)
    until: float = 0.0
    peak: float = 0.0
    turns: int = 0

    def note(self, piece: "Piece", windows: list[Span]) -> None:
        self.until = piece.end
        self.peak = max(self.peak, float(np.abs(piece.audio).max(initial=0.0)))
        self.turns += len(windows)

    def keep(self, written: Written, offset: float) -> Spoken:
        self.spoken.append(_spoken(written, offset, self.input))
        return self.spoken[-1]

    def transcript(self, choice: Choice) -> Transcript:
        shares = [each.fidelity for each in self.spoken if each.fidelity is not None]
        return Transcript(
            segments=self.spoken,
            language=next(iter(_languages(self.spoken)), None),
            languages=_languages(self.spoken),
            seconds=round(max(0.0, self.until - self.input.start), 3),
            fidelity=round(sum(shares) / len(shares), 3) if shares else None,
            empty="" if self.spoken else self._why_empty(),
            **served(choice),
        )

    def _why_empty(self) -> str:
        if self.until <= self.input.start:
            return "There is no sound in that part of the medium."
        if self.peak < _SILENT:
            return "The recording is silent."
        if self.turns == 0:
            return "Nobody speaks: the detector of speech found none in it."
        return "There may be speech, but nothing of it could be understood."


@tool(title="Find speech")
async def find_speech(input: ListenInput, bench: Bench) -> Speech:
    """Find where somebody speaks in a video or sound recording, without writing down what is said."""
    choice = bench.choose(VOICE_ACTIVITY, model=input.model)
    turns, until = list[Stretch](), input.start
    async with bench.models.use(choice.row.id, bench.emit) as detector, aclosing(input.sound(bench)) as sound:
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


@asynccontextmanager
async def _detector(input: TranscribeInput, bench: Bench) -> AsyncIterator[Lease[VoiceActivity] | None]:
    """The detector that finds the windows, or none where the caller gave them."""
    if input.windows is not None:
        yield None
    else:
        async with bench.engine(VOICE_ACTIVITY) as lease:
            yield lease


async def _windows(input: TranscribeInput, detector: Lease[VoiceActivity] | None, piece: Piece) -> list[Span]:
    if detector is not None:
        return await detector.call(VoiceActivity.turns, piece.audio)
    given = [(max(each.start, piece.start), min(each.end, piece.end)) for each in input.windows or []]
    return [Span(start - piece.start, end - piece.start) for start, end in given if end > start]


def _options(input: TranscribeInput, language: str | None, windows: list[Span]) -> ListenOptions:
    return ListenOptions(
        language=language,
        task=input.task,
        words=input.words or input.diarize,
        beam=input.beam,
        batch=input.batch,
        prompt=input.prompt,
        windows=windows,
    )


def _spoken(written: Written, offset: float, input: TranscribeInput) -> Spoken:
    heard = written.heard

    def spelt(text: str) -> str:
        text = text if input.task == "translate" or input.verbatim else normalised(text, heard.language)
        return transliterate(text, input.script) if input.script else text

    def timed(word: Word) -> SpokenWord:
        start, end = round(offset + word.start, 3), round(offset + word.end, 3)
        return SpokenWord(start=start, end=end, text=spelt(word.text), confidence=word.probability)

    return Spoken(
        start=round(offset + heard.start, 3),
        end=round(offset + heard.end, 3),
        text=spelt(heard.text),
        language=heard.language,
        confidence=heard.confidence,
        words=[timed(word) for word in heard.words],
        script=written.script,
        fidelity=written.fidelity,
        note=written.note,
    )


def _passes(input: TranscribeInput, options: ListenOptions) -> list[ListenOptions]:
    """One pass over all windows, or one for each where the language may be another in each."""
    if not input.mixed or options.language is not None or options.windows is None:
        return [options]
    return [replace(options, windows=[window]) for window in options.windows]


def _languages(spoken: list[Spoken]) -> list[str]:
    """From the most spoken one on."""
    seconds = Counter[str]()
    for each in spoken:
        seconds[each.language] += round((each.end - each.start) * 1000)
    return [language for language, _ in seconds.most_common()]


TOOLS = (transcribe, find_speech, detect_language)
