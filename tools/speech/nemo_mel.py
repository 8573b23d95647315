"""Log-mel features as NeMo's `AudioToMelSpectrogramPreprocessor` makes them for its Conformers, in numpy.

After `FilterbankFeatures` in nemo/collections/asr/parts/preprocessing/features.py (NeMo 1.23, Apache-2.0), without the
dither that only training adds: pre-emphasis, Hann windows of 25 ms every 10 ms in frames of 512, power, Slaney mel
bands, logarithm, and each band brought to mean 0 and deviation 1 over the sound.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tools.speech import RATE, Pcm

HOP = 160
BINS = 80
_FFT, _WINDOW = 512, 400
_EMPHASIS = 0.97
_GUARD, _EVEN = 2.0**-24, 1e-5

Features = NDArray[np.float32]
"""Shape `[BINS, frames]`."""


def features(sound: Pcm) -> Features:
    """The features of a sound of at least 257 samples, one frame every `HOP` samples."""
    wave = np.concatenate((sound[:1], sound[1:] - np.float32(_EMPHASIS) * sound[:-1]))
    padded = np.pad(wave, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _window(), axis=1)))
    log = np.log(bank() @ power.T + _GUARD)
    mean = log.mean(axis=1, keepdims=True)
    deviation = log.std(axis=1, ddof=1, keepdims=True) + _EVEN
    return np.asarray((log - mean) / deviation, dtype=np.float32)


@cache
def _window() -> NDArray[np.float64]:
    """A symmetric Hann window in the middle of the frame."""
    side = (_FFT - _WINDOW) // 2
    return np.pad(np.hanning(_WINDOW), side)


@cache
def bank() -> NDArray[np.float64]:
    """Slaney's triangles from 0 to 8 kHz, each of area 1; shape `[BINS, 257]`."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), BINS + 2))
    bins = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))


def _mel(hertz: float) -> float:
    """Linear to 1 kHz (15 mel), logarithmic above."""
    return float(3 * hertz / 200 if hertz < 1_000 else 15 + 27 * np.log(hertz / 1_000) / np.log(6.4))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, 200 * mel / 3, 1_000 * np.exp(np.log(6.4) * (mel - 15) / 27))
