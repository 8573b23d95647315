"""Hearing without a model: for tests, load tests and rehearsals."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path

import numpy as np

from tools.catalog import Row
from tools.speech import RATE, Heard, ListenOptions, Pcm, Span, Word
from tools.speech.silero import close_gaps, padded, runs
from tools.speech.windows import windows

_FRAME = 512


class ScriptedSpeech:
    """Hears the lines of the row's option `script`, one in each window and from the beginning again."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._lines = str(row.options.get("script", "The quick brown fox jumps over the lazy dog.")).splitlines()

    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        for window, line in zip(windows(audio, options.windows), cycle(self._lines), strict=False):
            yield Heard(window.start, window.end, line, options.language or "en", 1.0, _words(window, line, options))


def _words(window: Span, line: str, options: ListenOptions) -> list[Word]:
    said = line.split() if options.words else []
    edges = np.linspace(window.start, window.end, len(said) + 1).round(3).tolist()
    return [Word(start, end, word, 1.0) for start, end, word in zip(edges, edges[1:], said, strict=False)]


class Loudness:
    """Takes whatever is louder than -40 dB for speech."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def turns(self, audio: Pcm) -> list[Span]:
        frames = audio[: len(audio) // _FRAME * _FRAME].reshape(-1, _FRAME)
        loud = np.square(frames).mean(axis=1) > 1e-4
        spans = padded(close_gaps(runs(loud) * _FRAME / RATE, 0.4), 0.1, len(audio) / RATE)
        return [Span(float(start), float(end)) for start, end in spans]
