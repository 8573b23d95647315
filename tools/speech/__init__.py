"""Hearing: speech to text, and where speech is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability

Pcm = NDArray[np.float32]
"""Mono audio at 16 kHz, samples in -1..1, shape `[n]`."""

RATE = 16_000
FRAME = 512
"""Samples that a detector of speech judges at once: 32 ms."""


@dataclass(frozen=True)
class Span:
    """Seconds from the start of the audio."""

    start: float
    end: float


@dataclass(frozen=True)
class Word:
    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True)
class Heard:
    """A stretch of speech. Times are seconds from the start of the audio; `confidence` is 0..1."""

    start: float
    end: float
    text: str
    language: str
    confidence: float
    words: list[Word]

    def moved(self, by: float) -> "Heard":
        """The same so many seconds later."""
        words = [replace(each, start=round(each.start + by, 3), end=round(each.end + by, 3)) for each in self.words]
        return replace(self, start=round(self.start + by, 3), end=round(self.end + by, 3), words=words)


@dataclass(frozen=True)
class ListenOptions:
    """`language` is ISO 639-1, None to detect. `windows` limits listening to these stretches; `batch` of them or fewer
    are heard at once, the first one alone where somebody may be waiting for it (`hurry`). `own_script` leaves an engine
    that can no other letters than the language's own."""

    language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    words: bool = False
    beam: int = 1
    batch: int = 1
    hurry: bool = True
    prompt: str | None = None
    own_script: bool = False
    windows: list[Span] | None = None


class SpeechToText(Protocol):
    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        """Speech as timed text, in order of time, each stretch as soon as it is known."""
        ...

    def hear(self, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        """Short sounds (at most 30 s) of different speakers in one pass, with timed words; None where nothing is said.

        `windows` and `batch` of the options have no meaning here.
        """
        ...


Memory = dict[str, NDArray[np.float32]]
"""What a detector remembers between two stretches of one sound."""


class VoiceActivity(Protocol):
    def turns(self, audio: Pcm) -> list[Span]:
        """Where somebody speaks, in order of time."""
        ...

    def follow(self, audio: Pcm, memory: Memory | None) -> tuple[NDArray[np.float32], Memory]:
        """How likely each whole frame (`FRAME` samples) of the next stretch of one sound is speech."""
        ...


SPEECH_TO_TEXT: Capability[SpeechToText] = Capability("speech-to-text", SpeechToText)
VOICE_ACTIVITY: Capability[VoiceActivity] = Capability("voice-activity", VoiceActivity)
