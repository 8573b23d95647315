"""One live picture: the newest frame is looked at, what could not be looked at in time is dropped and counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from ingestion.live.alerts import Fired, Trigger
from ingestion.live.conditions import Condition
from ingestion.live.eyes import Eyes, Sight
from ingestion.live.observed import Eye, Observed
from ingestion.live.picture import Measure, Measured, evidence
from tools.errors import InvalidInput, SutradharError
from tools.media.looks import Look
from tools.settings import Limits
from tools.speech.live import Said
from tools.vision import Image

_STILL_WAIT: dict[Eye, float] = {"objects": 1.0, "faces": 1.0, "text": 6.0}
"""Seconds after which a sense looks again at a picture in which nothing has changed."""
_READ_WAIT = 2.0
"""Seconds between two readings of a picture that changes all the time: reading is the dearest sense."""
_CHANGED = 0.004
_TELL_DROPPED = 1.0


class Alert(BaseModel):
    """A condition holds: since when, when that was sure, why, and the frame that shows it (JPEG)."""

    model_config = ConfigDict(frozen=True)

    condition: str
    means: str
    since: float
    at: float
    why: str
    image: bytes | None = None


class Dropped(BaseModel):
    """Frames that were not looked at because newer ones came, since the last such message and in all; why a frame
    could not be read, where that was it."""

    model_config = ConfigDict(frozen=True)

    frames: int
    total: int
    at: float
    why: str = "newer frames came before these were looked at"


Told = Observed | Alert | Dropped
Tell = Callable[[Told], Awaitable[None]]


@dataclass
class Tally:
    """What came and what became of it."""

    frames: int = 0
    looked: int = 0
    dropped: int = 0
    unreadable: int = 0
    alerts: int = 0


@dataclass(frozen=True)
class _Frame:
    at: float
    picture: bytes | Image
    came: float = field(default_factory=time.monotonic)


class Lookout:
    """`watch` looks and tells until `finish`. It waits for the listener: a slow one costs frames, not memory."""

    def __init__(self, eyes: Eyes, sight: Sight, conditions: Sequence[Condition], limits: Limits, tell: Tell) -> None:
        self.tally = Tally()
        self.triggers = [Trigger(each) for each in conditions]
        self._eyes, self._sight, self._tell = eyes, sight, tell
        self._measure = Measure(limits)
        self._newest: _Frame | None = None
        self.ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._last_at = self._last_seen = -1.0
        self._shown: Image | None = None
        self._known: dict[Eye, list[Any]] = {}
        self._looked_at: dict[Eye, tuple[float, Look]] = {}
        self._told_dropped = (0, time.monotonic())
        self._unsure: dict[Eye, bool] = {}
        self._reading: asyncio.Task[None] | None = None
        self._unread = False
        self._heard = set[tuple[int, int]]()

    @property
    def shown(self) -> tuple[float, Image] | None:
        """The frame that was looked at last, and its time."""
        return None if self._shown is None else (self._last_seen, self._shown)

    def push(self, at: float, picture: bytes | Image) -> None:
        """A newer frame; one that still waits is dropped. Raises `InvalidInput` for a time that does not rise."""
        if at <= self._last_at:
            raise InvalidInput(f"A frame of {at:g} s came after one of {self._last_at:g} s.", remedy="Let times rise.")
        self._last_at = at
        self.tally.frames += 1
        self.tally.dropped += self._newest is not None
        self._newest = _Frame(at, picture)
        self._changed.set()

    def lost(self, frames: int) -> None:
        """Frames that were dropped on the way here."""
        self.tally.frames += frames
        self.tally.dropped += frames

    def finish(self) -> None:
        self.ended.set()
        self._changed.set()

    async def watch(self) -> None:
        """Look at one frame after the other, always the newest, until `finish`."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while (frame := self._newest) is not None:
                    self._newest = None
                    await self._look(frame)
                    await self._tell_dropped(frame.at)
                if self.ended.is_set():
                    break
            if self._reading is not None:
                await self._reading
            await self._tell_dropped(self._last_at, at_last=True)
        finally:
            if self._reading is not None:
                self._reading.cancel()

    async def hear(self, said: Said) -> None:
        """Alerts on what was said, one for each turn; only words that will not change any more count."""
        words = said.text if said.ended else said.stable
        for number, trigger in enumerate(self.triggers):
            fired = None if (number, said.turn) in self._heard else trigger.hear(words, said.start, said.end)
            if fired is not None:
                self._heard.add((number, said.turn))
                await self._alert(fired, self._shown)

    async def judged(self, trigger: Trigger, at: float, holds: bool, why: str) -> None:
        """What a model that sees answered to a condition."""
        if fired := trigger.judge(holds, at, why):
            await self._alert(fired, self._shown)

    async def _look(self, frame: _Frame) -> None:
        try:
            measured = await asyncio.to_thread(self._measure.take, frame.picture)
        except SutradharError as error:
            self.tally.unreadable += 1
            told = Dropped(frames=1, total=self.tally.dropped + self.tally.unreadable, at=frame.at, why=str(error))
            await self._tell(told)
            return
        senses = [each for each in self._sight.looks if each != "text" and self._wants(each, frame.at, measured)]
        await self._sense(senses, frame, measured)
        self._shown, self._last_seen = measured.image, frame.at
        self.tally.looked += 1
        await self._observe(self._seen(frame, measured, senses, self._eyes.waited(frame.came)), measured.image)
        if self._reading is not None and self._reading.done():
            self._reading = self._reading.result()
        if "text" in self._sight.looks:
            self._unread = self._unread or self._wants("text", frame.at, measured)
        if self._unread and self._reading is None:
            self._unread = False
            self._reading = asyncio.create_task(self._read(frame, measured))

    async def _read(self, frame: _Frame, measured: Measured) -> None:
        await self._sense(["text"], frame, measured)
        seen = self._seen(frame, measured, ["text"], time.monotonic() - frame.came)
        await self._observe(seen.model_copy(update={"reading": True}), measured.image)

    async def _sense(self, senses: Sequence[Eye], frame: _Frame, measured: Measured) -> None:
        found = await asyncio.gather(*(self._sight.looks[each](measured.image) for each in senses))
        for sense, now in zip(senses, found, strict=True):
            # what has just come or gone is looked at once more, to be sure
            self._unsure[sense] = _names(now) != _names(self._known.get(sense, []))
            self._known[sense] = now
            self._looked_at[sense] = (frame.at, measured.look)

    def _seen(self, frame: _Frame, measured: Measured, looked: Sequence[Eye], late: float) -> Observed:
        return Observed(
            at=frame.at,
            objects=self._known.get("objects", []),
            faces=self._known.get("faces", []),
            lines=self._known.get("text", []),
            brightness=round(measured.brightness, 4),
            motion=None if measured.motion is None else round(measured.motion, 4),
            scene_change=measured.scene_change,
            looked=list(looked),
            late=round(late, 3),
        )

    async def _observe(self, seen: Observed, image: Image) -> None:
        await self._tell(seen)
        for trigger in self.triggers:
            if fired := trigger.see(seen):
                await self._alert(fired, image)

    def _wants(self, sense: Eye, at: float, measured: Measured) -> bool:
        """Whether a sense should look again: at what is new, and now and then at what stays."""
        if sense not in self._looked_at or measured.scene_change:
            return True
        last, look = self._looked_at[sense]
        if at - last >= _STILL_WAIT[sense]:
            return True
        if sense == "text":
            return at - last >= _READ_WAIT and not measured.look.same(look)
        return self._unsure[sense] or measured.motion is None or measured.motion > _CHANGED

    async def _alert(self, fired: Fired, shown: Image | None) -> None:
        self.tally.alerts += 1
        image = None if shown is None else await asyncio.to_thread(evidence, shown)
        condition = fired.condition
        alert = Alert(
            condition=condition.words,
            means=condition.means,
            since=round(fired.since, 3),
            at=round(fired.at, 3),
            why=fired.why,
            image=image,
        )
        await self._tell(alert)

    async def _tell_dropped(self, at: float, *, at_last: bool = False) -> None:
        told, when = self._told_dropped
        fresh, now = self.tally.dropped - told, time.monotonic()
        if fresh and (at_last or now - when >= _TELL_DROPPED):
            self._told_dropped = (self.tally.dropped, now)
            await self._tell(Dropped(frames=fresh, total=self.tally.dropped, at=at))


def _names(found: Sequence[Any]) -> list[str]:
    """What was found, whatever its place."""
    return sorted(getattr(each, "label", "") or getattr(each, "text", "") for each in found)
