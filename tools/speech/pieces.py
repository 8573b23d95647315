"""A medium's sound in pieces of bounded length, cut where it is quiet."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from tools.bench import Bench
from tools.media.reader import open_media
from tools.speech import RATE, Pcm
from tools.speech.windows import quietest

_FIRST = 60.0
"""Seconds listened to first, so that something is heard soon."""
_MOST = 300.0
"""Seconds of sound in memory at once."""
_SEARCH = 15.0


@dataclass(frozen=True)
class Piece:
    """Sound from `start` seconds of the medium on, out of `first`..`last` in all."""

    start: float
    audio: Pcm
    first: float
    last: float

    @property
    def end(self) -> float:
        return self.start + len(self.audio) / RATE

    def fraction(self, second: float) -> float:
        """How much of all is done when `second` of this piece is."""
        length = max(self.last - self.first, 1e-6)
        return round(min(1.0, max(0.0, (self.start + second - self.first) / length)), 4)


async def pieces(media: str, bench: Bench, *, start: float, end: float | None) -> AsyncGenerator[Piece, None]:
    """The sound between two seconds of a medium; the first piece is short, to be heard soon."""
    path, begin = await bench.media.local(media), start
    async with open_media(path, bench.settings.limits) as reader:
        duration = (await reader.probe()).duration
        last = duration if end is None else min(duration, end)
        held, most = np.zeros(0, dtype=np.float32), _FIRST
        async for part in reader.pcm(begin, end, chunk=30.0):
            held = np.concatenate((held, part))
            length = len(held) / RATE
            if length >= most + _SEARCH:
                cut = quietest(held, most, most + _SEARCH)
                yield Piece(start, held[: round(cut * RATE)], begin, last)
                held, start, most = held[round(cut * RATE) :], start + round(cut * RATE) / RATE, _MOST
        if len(held):
            yield Piece(start, held, begin, last)
