"""Live sound beside a live picture: what the ears cannot take in time becomes silence, so that times stay right."""

import asyncio

import numpy as np

from tools.speech import RATE, Pcm
from tools.speech.live import Live

_WAITING = 10.0
"""Seconds of sound that wait for the ears; they hold more themselves."""


class Sounds:
    """`since` is the caller's time of the first sound; `lost` are seconds that came while too much was waiting."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.since = 0.0
        self.seconds = self.lost = 0.0
        self._queue = asyncio.Queue[Pcm | None]()
        self._waiting = 0
        self._gap = 0
        self._first = True

    def put(self, sound: Pcm, at: float) -> None:
        if self._first:
            self.since, self._first = at, False
        self.seconds += len(sound) / RATE
        if self._waiting + len(sound) > _WAITING * RATE and self._waiting:
            self._gap += len(sound)
            self.lost += len(sound) / RATE
            return
        if self._gap:
            sound, self._gap = np.concatenate([np.zeros(self._gap, np.float32), sound]), 0
        self._waiting += len(sound)
        self._queue.put_nowait(sound)

    def finish(self) -> None:
        self._queue.put_nowait(None)

    async def feed(self) -> None:
        """Hand the sound on as fast as the ears take it."""
        while (sound := await self._queue.get()) is not None:
            await self.live.feed(sound)
            self._waiting -= len(sound)
        await self.live.finish()
