"""Where live sounds share a recogniser: their passes are gathered, and no more are taken than it can keep up with."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from tools.batching import Coalescer
from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Choice
from tools.errors import Busy
from tools.speech import RATE, SPEECH_TO_TEXT, VOICE_ACTIVITY, Heard, ListenOptions, Pcm, SpeechToText
from tools.speech.live import Live

_LAG = 1.5
"""Seconds within which every stream must get its turn; with the step of a second, text is two seconds late at most."""
_MOST = 8
"""Sounds in one pass."""
_SLOWLY = 0.2
_RETRY = 10.0

_Item = tuple[Lease[SpeechToText], Pcm, ListenOptions]


@dataclass
class Line:
    """The streams of one model: `cost` is the seconds of a pass per sound, `lag` those that a stream waits for one."""

    streams: int = 0
    cost: float | None = None
    lag: float = 0.0
    coalescer: Coalescer[_Item, Heard | None] = field(init=False)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.coalescer = Coalescer(self._pass, window=0.01, most=_MOST)

    async def hear(self, lease: Lease[SpeechToText], sound: Pcm, options: ListenOptions) -> Heard | None:
        began = time.monotonic()
        (heard,) = await self.coalescer([(lease, sound, options)])
        self.lag += _SLOWLY * (time.monotonic() - began - self.lag)
        return heard

    async def _pass(self, items: list[_Item]) -> Sequence[Heard | None]:
        began = time.monotonic()
        heard = await items[0][0].call(SpeechToText.hear, [each[1] for each in items], [each[2] for each in items])
        cost = (time.monotonic() - began) / len(items)
        self.cost = cost if self.cost is None else self.cost + _SLOWLY * (cost - self.cost)
        return heard

    @property
    def capacity(self) -> int:
        """Streams that it keeps up with when all of them speak."""
        return max(1, int(_LAG / self.cost)) if self.cost else 10_000

    def admit(self, title: str) -> None:
        """Raise `Busy` for a stream too many."""
        late = self.streams > 0 and self.lag > _LAG
        if self.streams >= self.capacity or late:
            raise Busy(
                f"{title} hears {self.streams} streams at once, and one more would make all of them late.",
                remedy="Come back later, or use a faster model.",
                retry_after=_RETRY,
            )


class Desk:
    """One per host."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}

    @asynccontextmanager
    async def seat(self, bench: Bench, choice: Choice, options: ListenOptions) -> AsyncIterator[Live]:
        """A live sound for as long as the block lasts; raises `Busy`."""
        line = self.lines.setdefault(choice.row.id, Line())
        line.admit(choice.row.title)
        line.streams += 1
        try:
            async with bench.engine(VOICE_ACTIVITY) as detector, bench.models.use(choice.row.id, bench.emit) as ears:
                async with line.opening:
                    if line.cost is None:
                        # the first pass of a model is slow; the second tells what a stream costs
                        for _ in range(2):
                            line.cost = None
                            await line.hear(ears, np.zeros(5 * RATE, np.float32), _trial(options))

                async def hear(sound: Pcm, options: ListenOptions) -> Heard | None:
                    return await line.hear(ears, sound, options)

                yield Live(hear, detector, options)
        finally:
            line.streams -= 1
            if not line.streams:
                line.lag = 0.0


def choose(bench: Bench, model: str | None, language: str | None) -> Choice:
    """The row that hears a live sound."""
    return bench.choose(SPEECH_TO_TEXT, model=model, language=language)


def _trial(options: ListenOptions) -> ListenOptions:
    return ListenOptions(language=options.language or "en", words=True)
