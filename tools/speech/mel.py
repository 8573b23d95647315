"""Slaney's mel bands, which librosa and NeMo use."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tools.speech import RATE


@cache
def bank(bands: int, fft: int) -> NDArray[np.float64]:
    """Triangles from 0 to 8 kHz, each of area 1; shape `[bands, fft // 2 + 1]`."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), bands + 2))
    bins = np.linspace(0.0, RATE / 2, fft // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))


def _mel(hertz: float) -> float:
    """Linear to 1 kHz (15 mel), logarithmic above."""
    return float(3 * hertz / 200 if hertz < 1_000 else 15 + 27 * np.log(hertz / 1_000) / np.log(6.4))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, 200 * mel / 3, 1_000 * np.exp(np.log(6.4) * (mel - 15) / 27))
