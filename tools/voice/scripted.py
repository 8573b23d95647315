"""Speaking without a model: for tests, load tests and rehearsals."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import EngineFailed
from tools.voice import Gender, Sound, SpeakOptions, Voice

_GENDERS: tuple[Gender, ...] = ("female", "male")


class ScriptedVoice:
    """A tone of 50 ms for each letter, in two voices for each language of the row.

    Options of the row: `fails` is a word at which it breaks, `mute` one at which it says nothing, `pause` is seconds
    that it takes for a text, and `log` a file to which it writes what it was given.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    emotions: ClassVar[frozenset[str]] = frozenset({"happy"})
    bends_pitch: ClassVar[bool] = True
    bends_speed: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._options = row.options
        self._rate = row.rate or 24_000

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """Named after the row, so that two rows have different voices."""
        return [
            Voice(f"{row.id}-{language}-{gender}", language, gender, "formant", "Scripted")
            for language in row.languages
            for gender in _GENDERS
        ]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        time.sleep(float(self._options.get("pause", 0)))
        if log := self._options.get("log"):
            with Path(str(log)).open("a", encoding="utf-8") as file:
                file.write(f"{options.language} {options.emotion} {options.speed:.3g} {options.pitch:.3g} {text}\n")
        if (word := self._options.get("fails")) and str(word) in text:
            raise EngineFailed("The scripted voice broke, as its script says.")
        loud = 0.0 if (word := self._options.get("mute")) and str(word) in text else 0.3
        beats = np.arange(round(0.05 * len(text) / options.speed * self._rate), dtype=np.float32) / self._rate
        yield Sound((loud * np.sin(2 * np.pi * 220 * options.pitch * beats)).astype(np.float32), self._rate)
