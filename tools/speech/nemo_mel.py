"""Log-mel features as NeMo's `AudioToMelSpectrogramPreprocessor` makes them for its Conformers, in numpy.

After `FilterbankFeatures` in nemo/collections/asr/parts/preprocessing/features.py (NeMo 1.23, Apache-2.0), without the
dither that only training adds: pre-emphasis, Hann windows of 25 ms every 10 ms in frames of 512, power, Slaney mel
bands, logarithm, and each band brought to mean 0 and deviation 1 over the sound.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tools.speech import Pcm
from tools.speech.mel import bank

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
    log = np.log(bank(BINS, _FFT) @ power.T + _GUARD)
    mean = log.mean(axis=1, keepdims=True)
    deviation = log.std(axis=1, ddof=1, keepdims=True) + _EVEN
    return np.asarray((log - mean) / deviation, dtype=np.float32)


@cache
def _window() -> NDArray[np.float64]:
    """A symmetric Hann window in the middle of the frame."""
    side = (_FFT - _WINDOW) // 2
    return np.pad(np.hanning(_WINDOW), side)
