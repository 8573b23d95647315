"""Hearing without a model: for tests, load tests and rehearsals."""

import time
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.speech import FRAME, RATE, Heard, ListenOptions, Memory, Pcm, Span, Word
from tools.speech.silero import close_gaps, padded, runs
from tools.speech.windows import windows

_WORD = 0.4


class ScriptedSpeech:
    """Hears the lines of the row's option `script`, one in each window and from the beginning again.

    A short sound is heard as far as its words, 0.4 s each, are in it. A pass over short sounds takes `pass_seconds` and
    `sound_seconds` for each of them.
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._pass, self._each = (float(row.options.get(f"{name}_seconds", 0)) for name in ("pass", "sound"))
        self._lines = str(row.options.get("script", "The quick brown fox jumps over the lazy dog.")).splitlines()

    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        for window, line in zip(windows(audio, options.windows), cycle(self._lines), strict=False):
            yield Heard(window.start, window.end, line, options.language or "en", 1.0, _words(window, line, options))

    def hear(self, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        time.sleep(self._pass + self._each * len(sounds))
        return [self._short(sound, each) for sound, each in zip(sounds, options, strict=True)]

    def _short(self, sound: Pcm, options: ListenOptions) -> Heard | None:
        # what is louder than silence says when the speaker began
        loud = np.flatnonzero(np.abs(sound) > 0.02)
        if len(loud) == 0:
            return None
        first, last = loud[0] / RATE, loud[-1] / RATE
        said = self._lines[0].split()[: round((last - first) / _WORD)]
        starts = [round(first + number * _WORD, 3) for number in range(len(said))]
        words = [Word(start, round(start + _WORD, 3), word, 1.0) for start, word in zip(starts, said, strict=True)]
        end = words[-1].end if words else round(last, 3)
        return Heard(round(first, 3), end, " ".join(said), options.language or "en", 1.0, words)


def _words(window: Span, line: str, options: ListenOptions) -> list[Word]:
    said = line.split() if options.words else []
    edges = np.linspace(window.start, window.end, len(said) + 1).round(3).tolist()
    return [Word(start, end, word, 1.0) for start, end, word in zip(edges, edges[1:], said, strict=False)]


class Loudness:
    """Takes whatever is louder than -40 dB for speech."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def follow(self, audio: Pcm, memory: Memory | None) -> tuple[NDArray[np.float32], Memory]:
        frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
        return (np.square(frames).mean(axis=1) > 1e-4).astype(np.float32), {}

    def turns(self, audio: Pcm) -> list[Span]:
        loud = self.follow(audio, None)[0] > 0.5
        spans = padded(close_gaps(runs(loud) * FRAME / RATE, 0.4), 0.1, len(audio) / RATE)
        return [Span(float(start), float(end)) for start, end in spans]
