"""Speaking: text to speech, and the sounds that a text is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability

if TYPE_CHECKING:
    # engines with an interpreter of their own import this, and have no pydantic
    from tools.catalog import Row

Pcm = NDArray[np.float32]
"""Mono audio, samples in -1..1, shape `[n]`."""

Emotion = Literal["neutral", "happy", "sad", "angry"]
Gender = Literal["female", "male", "unknown"]


@dataclass(frozen=True)
class Voice:
    """A voice that an engine has; `language` is ISO 639-1 (639-3 where there is no shorter one).

    `name` is what the engine itself calls it, where that is not its id. A `formant` voice is built from rules: clear,
    and unlike a person.
    """

    id: str
    language: str
    gender: Gender
    kind: Literal["neural", "formant"]
    title: str = ""
    name: str = ""


@dataclass(frozen=True)
class SpeakOptions:
    """How to speak. `voice` is one of the engine's; `speed` and `pitch` are factors.

    `phonemes` is the text as IPA, for an engine whose row's option `phonemes` names the row that makes them. `emotion`
    is for an engine that names it in `emotions`, and neutral for all others.
    """

    voice: Voice
    language: str
    speed: float = 1.0
    pitch: float = 1.0
    emotion: Emotion = "neutral"
    phonemes: str = ""


@dataclass(frozen=True)
class Sound:
    """A part of what is spoken, at the engine's own rate in Hz."""

    samples: Pcm
    rate: int


class TextToSpeech(Protocol):
    needs: ClassVar[tuple[str, ...]]
    """Packages that the default install does not have; without them nobody is sent to it unasked."""
    emotions: ClassVar[frozenset[str]]
    """The emotions that the engine itself can act; for the others its caller bends pitch, speed and energy."""
    bends_pitch: ClassVar[bool]
    """Whether it heeds `SpeakOptions.pitch`."""
    bends_speed: ClassVar[bool]
    """Whether it heeds `SpeakOptions.speed`; for one that does not, its caller stretches the sound."""

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The voices of a row, the best of each language first. Called without loading anything."""
        ...

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        """A sentence or two as sound, in parts as soon as they are there."""
        ...


class Together(TextToSpeech, Protocol):
    """An engine that says many texts faster at once than one after another."""

    batch: ClassVar[int]
    """Most texts of one call."""
    gains_on_cpu: ClassVar[bool]
    """Whether batches are faster there, too: one text alone keeps all cores of a CPU busy where nothing waits for what
    was said before."""

    def speak_all(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        """Each text as one sound, in order."""
        ...


class Phonemizer(Protocol):
    def phonemes(self, text: str, language: str) -> str:
        """The text in IPA with its punctuation; `^` ties the letters of one sound."""
        ...


TEXT_TO_SPEECH: Capability[TextToSpeech] = Capability("text-to-speech", TextToSpeech)
