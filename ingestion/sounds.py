"""What is to be heard beside speech, without a model: silence, sudden loud sounds, sound in which nobody speaks."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.media.sound import Pcm

RATE = 16_000
STEP = 0.25
"""Seconds of one loudness value."""
_SILENT, _AUDIBLE, _LOUD = -50.0, -42.0, -14.0
"""Levels in dB of full scale (RMS): below the first is silence, from the second on something is heard, from the third
on it is loud."""
_JUMP = 18.0
"""dB by which a sudden sound stands out from what is usual there."""
_SILENCE_SECONDS, _OTHER_SECONDS = 2.0, 4.0
_USUAL = 5.0


class Heard(NamedTuple):
    start: float
    end: float
    text: str


async def levels(sound: AsyncIterator[Pcm]) -> NDArray[np.float32]:
    """Loudness in dB of full scale, one value for each step, of 16 kHz mono."""
    size, rest, found = int(RATE * STEP), np.zeros(0, np.float32), list[NDArray[np.float32]]()
    async for part in sound:
        whole = np.concatenate([rest, part])
        count = len(whole) // size
        found.append(_decibels(whole[: count * size].reshape(count, size)))
        rest = whole[count * size :]
    if len(rest) >= size // 2:
        found.append(_decibels(rest[None, :]))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _decibels(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    power = np.square(blocks, dtype=np.float64).mean(axis=1) if len(blocks) else np.zeros(0)
    return (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)


def sounds(level: NDArray[np.float32], turns: Sequence[tuple[float, float]] | None) -> list[Heard]:
    """Stretches of silence, sudden loud sounds, and where `turns` of speech are known the sound between them."""
    found = [
        Heard(start, end, "Silence.") for start, end in _stretches(level < _SILENT) if end - start >= _SILENCE_SECONDS
    ]
    found += [Heard(start, end, "A sudden loud sound.") for start, end in _stretches(_sudden(level))]
    if turns is not None:
        quiet = np.ones(len(level), bool)
        for start, end in turns:
            quiet[int(start / STEP) : int(np.ceil(end / STEP)) + 1] = False
        between = _stretches(quiet & (level >= _AUDIBLE), gap=4)
        found += [Heard(start, end, "Sound without speech.") for start, end in between if end - start >= _OTHER_SECONDS]
    return sorted(found)


def _sudden(level: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Loud blocks right after blocks that were much quieter."""
    reach = int(_USUAL / STEP)
    sudden = np.zeros(len(level), bool)
    for at in np.flatnonzero(level >= _LOUD):
        before = level[max(0, at - reach) : at]
        sudden[at] = len(before) >= 2 and level[at] - float(np.median(before)) >= _JUMP
    return sudden


def _stretches(flags: NDArray[np.bool_], gap: int = 1) -> list[tuple[float, float]]:
    """Runs of true values in seconds; a gap of fewer than `gap` values does not end one."""
    at = np.flatnonzero(flags)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > gap)
    firsts, lasts = at[np.r_[0, breaks + 1]], at[np.r_[breaks, len(at) - 1]]
    return [(float(first * STEP), float((last + 1) * STEP)) for first, last in zip(firsts, lasts, strict=True)]
