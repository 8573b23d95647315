"""Who speaks when: voices in a recording told apart by how they sound. Nobody is recognised by name here."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability
from tools.speech import Pcm, Span


@dataclass(frozen=True)
class Voices:
    """How a recording's speakers sound in short stretches, which may overlap: `starts` and `ends` are seconds, shape
    `[n]`; `prints` are unit vectors, shape `[n, dimensions]`, the closer the likelier of one speaker."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    prints: NDArray[np.float32]

    def moved(self, by: float) -> "Voices":
        """The same so many seconds later."""
        return Voices(self.starts + by, self.ends + by, self.prints)

    @classmethod
    def joined(cls, parts: "list[Voices]") -> "Voices":
        """Of a recording that was listened to in parts, in order of time."""
        empty = cls(np.zeros(0), np.zeros(0), np.zeros((0, 1), np.float32))
        parts = [part for part in parts if len(part.starts)] or [empty]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("starts", "ends", "prints")))


@dataclass(frozen=True)
class Turn:
    """A stretch of one speaker; who speaks first is A, the next B, and so on."""

    start: float
    end: float
    speaker: str


def name_of(speaker: int) -> str:
    """A, B, … Z, AA, AB, …"""
    letter = chr(ord("A") + speaker % 26)
    return letter if speaker < 26 else name_of(speaker // 26 - 1) + letter


class Diarization(Protocol):
    def listen(self, audio: Pcm, turns: list[Span]) -> Voices:
        """How voices sound in the stretches where somebody speaks."""
        ...

    def turns(self, voices: Voices, spoken: list[Span], speakers: int | None) -> list[Turn]:
        """Who speaks when in the stretches where somebody speaks, in order of time.

        `speakers` is how many there are, None to find out.
        """
        ...


DIARIZATION: Capability[Diarization] = Capability("diarization", Diarization)
