"""Silero VAD (snakers4/silero-vad, MIT) on ONNX Runtime: the sequence export, which takes many frames in one call."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.onnx_session import open_session
from tools.speech import FRAME, RATE, Memory, Pcm, Span

_CONTEXT = 64
_BLOCK = 512
"""Frames per call: 16 s, a few MB of activations."""


class SileroVad:
    """Turns by hysteresis over the frames' speech probabilities.

    Options of the row: `threshold` (0.5) starts a turn and `release` (0.35) ends it; `min_speech`, `min_silence` and
    `pad` are seconds (0.25, 0.4, 0.2).
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        (weights,) = [path for name, path in files.items() if name.endswith(".onnx")]
        # the recurrence runs frame by frame: a second thread would only wait
        self._session = open_session(weights, "cpu", threads=1)
        self._threshold = float(row.options.get("threshold", 0.5))
        self._release = float(row.options.get("release", 0.35))
        self._min_speech = float(row.options.get("min_speech", 0.25))
        self._min_silence = float(row.options.get("min_silence", 0.4))
        self._pad = float(row.options.get("pad", 0.2))

    def probabilities(self, audio: Pcm) -> NDArray[np.float32]:
        """How likely each frame of 32 ms is speech."""
        return self.follow(audio, None)[0]

    def follow(self, audio: Pcm, memory: Memory | None) -> tuple[NDArray[np.float32], Memory]:
        """The same for the next stretch of a sound; its last frame is filled with silence."""
        state = dict(memory) if memory else {name: np.zeros((1, 1, 128), np.float32) for name in "hc"}
        context = state.pop("context", np.zeros(_CONTEXT, dtype=np.float32))
        found: list[NDArray[np.float32]] = []
        for frames in _blocks(audio, context):
            values, state["h"], state["c"] = self._session.run(["speech_probs", "hn", "cn"], {"input": frames, **state})
            found.append(values.reshape(-1))
            context = frames[-1, -_CONTEXT:]
        values = np.concatenate(found) if found else np.zeros(0, dtype=np.float32)
        return values, {**state, "context": context}

    def turns(self, audio: Pcm) -> list[Span]:
        """Where somebody speaks, in order of time."""
        speaking = hysteresis(self.probabilities(audio), self._threshold, self._release)
        step = FRAME / RATE
        spans = close_gaps(runs(speaking) * step, self._min_silence)
        spans = spans[spans[:, 1] - spans[:, 0] >= self._min_speech]
        return [Span(float(start), float(end)) for start, end in padded(spans, self._pad, len(audio) / RATE)]


def _blocks(audio: Pcm, context: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Frames by the block, each led by the last samples of the one before it; the last is filled with silence."""
    size = _BLOCK * FRAME
    for first in range(0, len(audio), size):
        part = audio[first : first + size]
        frames = np.zeros((-(-len(part) // FRAME), FRAME), dtype=np.float32)
        frames.reshape(-1)[: len(part)] = part
        yield np.concatenate((np.vstack((context, frames[:-1, -_CONTEXT:])), frames), axis=1)
        context = frames[-1, -_CONTEXT:]


def hysteresis(values: NDArray[np.float32], on: float, off: float) -> NDArray[np.bool_]:
    """True from a value of at least `on` until one below `off`."""
    marks = np.where(values >= on, 1, np.where(values < off, 0, -1))
    decided = np.maximum.accumulate(np.where(marks >= 0, np.arange(len(marks)), -1))
    return np.asarray((decided >= 0) & (marks[decided] == 1), dtype=np.bool_)


def runs(flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Start and end index of each run of True, shape `[runs, 2]`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.float64)


def close_gaps(spans: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """The spans, with those that follow each other within `gap` made one."""
    if len(spans) == 0:
        return spans
    apart = spans[1:, 0] - spans[:-1, 1] >= gap
    starts = np.concatenate(([True], apart))
    ends = np.concatenate((apart, [True]))
    return np.stack((spans[starts, 0], spans[ends, 1]), axis=1)


def padded(spans: NDArray[np.float64], pad: float, length: float) -> NDArray[np.float64]:
    """Widen each span by `pad`, never beyond the middle of a silence or the ends of the audio."""
    if len(spans) == 0:
        return spans
    middles = (spans[1:, 0] + spans[:-1, 1]) / 2
    starts = np.maximum(spans[:, 0] - pad, np.concatenate(([0.0], middles)))
    ends = np.minimum(spans[:, 1] + pad, np.concatenate((middles, [length])))
    return np.stack((starts, ends), axis=1)
