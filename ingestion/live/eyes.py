"""The detectors that live pictures share: frames of several streams that arrive together go through in one call."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ingestion.live.observed import Eye
from tools.batching import Coalescer
from tools.bench import Bench
from tools.capability import Capability, Lease
from tools.errors import Busy, NotInstalled
from tools.faces import FACE_LANDMARKS, FaceLandmarks
from tools.looking import SeenFace, SeenObject, SeenText
from tools.vision import OBJECT_DETECTION, TEXT_READING, Image, ObjectDetection, TextReading

THRESHOLD = 0.3
LAG = 4.0
"""Seconds that a frame waits to be told of, from which no further stream is taken."""
_BATCH = 4
"""Frames in one call; reading gains nothing from company, and the others would wait for all of it."""
_SLOWLY = 0.2
_RETRY = 10.0

_Item = tuple[Lease[Any], Image]


@dataclass(frozen=True)
class Way:
    """How one sense looks: its engine's method, and what is told of one finding."""

    capability: Capability[Any]
    method: Callable[..., Any]
    arguments: tuple[Any, ...]
    told: Callable[[Any], Any]


WAYS: dict[Eye, Way] = {
    "objects": Way(
        OBJECT_DETECTION,
        ObjectDetection.detect,
        (THRESHOLD,),
        lambda one: SeenObject(label=one.label, box=one.box, confidence=round(one.confidence, 4)),
    ),
    "faces": Way(
        FACE_LANDMARKS,
        FaceLandmarks.find,
        (False,),
        lambda one: SeenFace(box=one.box, confidence=round(one.confidence, 4)),
    ),
    "text": Way(
        TEXT_READING,
        TextReading.read,
        (),
        lambda one: SeenText(text=one.text, box=one.box, confidence=one.confidence),
    ),
}


@dataclass(frozen=True)
class Sight:
    """The eyes of one stream. `missing` says of a sense that is not installed how to install it."""

    looks: dict[Eye, Callable[[Image], Any]]
    models: dict[Eye, str]
    missing: dict[Eye, str]


@dataclass
class Eyes:
    """One per host. `lag` is how long frames have waited lately, over all streams."""

    most: int
    streams: int = 0
    lag: float = 0.0
    lines: dict[tuple[Eye, str], Coalescer[_Item, list[Any]]] = field(default_factory=dict)

    @contextmanager
    def seat(self) -> Iterator[None]:
        """A place for one more stream; raises `Busy`."""
        late = self.streams > 0 and self.lag > LAG
        if self.streams >= self.most or late:
            why = f"whose frames wait {self.lag:.1f} s" if late else f"the limit is {self.most}"
            raise Busy(
                f"{self.streams} live pictures are being watched, {why}.",
                remedy="Come back later, or raise SUTRADHAR_LIVE__STREAMS.",
                retry_after=_RETRY,
            )
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1
            if not self.streams:
                self.lag = 0.0

    @asynccontextmanager
    async def open(self, bench: Bench, senses: Sequence[Eye]) -> AsyncIterator[Sight]:
        """The wanted senses, as far as they are installed, loaded for as long as the block lasts."""
        sight = Sight({}, {}, {})
        async with AsyncExitStack() as stack:
            for sense in senses:
                way = WAYS[sense]
                try:
                    row = bench.choose(way.capability).row
                    lease = await stack.enter_async_context(bench.models.use(row.id, bench.emit))
                except NotInstalled as error:
                    sight.missing[sense] = str(error)
                    continue
                key = (sense, row.id)
                most = 1 if sense == "text" else _BATCH
                line = self.lines.setdefault(key, Coalescer(partial(_look, way), window=0.0, most=most))
                sight.looks[sense] = partial(_one, line, lease)
                sight.models[sense] = row.id
            yield sight

    def waited(self, since: float) -> float:
        """How long a frame that came at this time (`time.monotonic`) has waited; remembered."""
        late = time.monotonic() - since
        self.lag += _SLOWLY * (late - self.lag)
        return late


async def _one(line: Coalescer[_Item, list[Any]], lease: Lease[Any], image: Image) -> list[Any]:
    (found,) = await line([(lease, image)])
    return found


async def _look(way: Way, items: list[_Item]) -> list[list[Any]]:
    found = await items[0][0].call(way.method, [image for _, image in items], *way.arguments)
    return [[way.told(one) for one in each] for each in found]
