"""Who watches now and who waits: each watching holds a decoder and keeps models busy, so a few go on at a time.

Nobody is sent away: whoever comes later waits for a turn, and is told how many are before.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingestion.stages import OnProgress, Progress
from tools.bench import Bench
from tools.capability import Part

AT_ONCE = 2


class Turns:
    """A fair queue, one for each host; at most `most` have their turn at once."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self._free = most
        self._waiting: deque[tuple[asyncio.Future[None], OnProgress]] = deque()

    @asynccontextmanager
    async def turn(self, progress: OnProgress) -> AsyncIterator[None]:
        """Holds a turn for as long as the block lasts."""
        await self._take(progress)
        try:
            yield
        finally:
            self._give()

    async def _take(self, progress: OnProgress) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        place = (mine, progress)
        self._waiting.append(place)
        self._tell()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # the turn came in the moment in which it was given up
                self._give()
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    def _give(self) -> None:
        while self._waiting:
            mine, _ = self._waiting.popleft()
            if not mine.done():
                mine.set_result(None)
                self._tell()
                return
        self._free += 1

    def _tell(self) -> None:
        for before, (_, progress) in enumerate(self._waiting):
            others = "another video is" if before == 0 else f"{before + 1} other videos are"
            progress(Progress(stage="waiting", note=f"{others} watched first"))


TURNS: Part[Turns] = Part("turns")


@asynccontextmanager
async def turn(bench: Bench, progress: OnProgress) -> AsyncIterator[None]:
    """The host's queue; a bench of its own, as in a script, has none."""
    if TURNS.name not in bench.parts:
        yield
        return
    async with bench.part(TURNS).turn(progress):
        yield
