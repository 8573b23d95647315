"""Watching within a budget of time: what is most telling first, in small pieces, until the time is used up.

Nothing is known beforehand of how fast this machine is, so each kind of piece is timed as it is done: one that would
not end in time is not begun, and one that does not end in time is given up. Pictures and stretches of speech are spread
over the medium and then fill in between: whenever the time ends, what was seen and heard covers the whole evenly.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ingestion.frames import Picture, picture_at
from ingestion.gathering import bare, in_order
from ingestion.listening import listen_between
from ingestion.looking import Look, Place, faces, find_faces, find_objects, read_text, scene_segments, things, written
from ingestion.remembering import Job
from ingestion.scenes import apart, same, scenes
from ingestion.shots import Shot, shots
from ingestion.stages import Progress
from ingestion.timeline import Pass, Timeline
from ingestion.tracks import tracks
from knowledge.segment import Segment
from tools.bench import Bench
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.media.reader import Reader

FEWEST = 6
"""Pictures without which nothing can be said of a medium."""
FINEST = 2.0
"""Seconds between pictures under which more of them tell little."""
STRETCH = 20.0
"""Seconds of speech that are listened to at a time."""
_MARGIN, _LATEST = 1.15, 1.04
"""What the next piece may take against what such pieces took so far, and how late the last one may end."""

_NO_TIME = "There was no time for it within the budget."

Piece = Literal["picture", "text", "stretch"]
_SHARES: dict[Piece, float] = {"stretch": 0.45, "text": 0.25, "picture": 0.3}
"""Of the time, when there is work of every kind."""
_GUESSES: dict[Piece, float] = {"stretch": 2.5, "text": 2.5, "picture": 1.0}
"""What a piece takes that was never timed, in pictures; its first one loads its model as well."""

_See = Callable[[Sequence[Picture], Bench], Awaitable[list[Look]]]
_QUICK: dict[str, _See] = {"objects": find_objects, "faces": find_faces}
_SENSES = ("objects", "faces", "screen_text")


@dataclass
class Clock:
    """The time that is left, and what a piece of each kind takes on this machine."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    costs: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    @property
    def used(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return self.seconds - self.used

    def cost(self, kind: Piece) -> float:
        return self.costs.get(kind, _GUESSES[kind] * self.costs.get("picture", 0.0))

    def allows(self, kind: Piece) -> bool:
        """Whether one more piece of this kind ends in time."""
        return self.left > _MARGIN * self.cost(kind)

    async def timed(self, kind: str, work: Awaitable[None]) -> None:
        """Do a piece of work. Raises `TimeoutError` when the time is over before it is done."""
        began = self.used
        try:
            async with asyncio.timeout(max(0.0, _LATEST * self.seconds - began)):
                await work
        finally:
            took = self.used - began
            self.done[kind] += 1
            self.spent[kind] = self.spent.get(kind, 0.0) + took
            # the first piece loads its model; later one slow piece must not keep all others from being begun
            self.costs[kind] = took if self.done[kind] <= 2 else 0.5 * self.costs[kind] + 0.5 * took


@dataclass
class Watching:
    """One medium being watched within a budget; `timeline` is what is known so far."""

    job: Job
    reader: Reader
    name: str
    clock: Clock
    pictures: dict[float, Picture] = field(default_factory=dict)
    looks: dict[str, list[Look]] = field(default_factory=lambda: {name: [] for name in _SENSES})
    read: set[float] = field(default_factory=set)
    spoken: dict[float, list[Segment]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        return self.job.probe.duration

    async def picture(self, at: float) -> None:
        """Look at one moment with the senses that are quick."""
        picture = await picture_at(self.reader, at, self.job.sha, self.job.bench)
        if picture is not None:
            senses = {name: see for name, see in _QUICK.items() if name not in self.missing}
            await asyncio.gather(*(self._see(name, see, picture) for name, see in senses.items()))
        self.pictures[at] = picture or Picture(start=at, end=at, image=f"{self.job.sha}/none")
        self._tell("pictures", len(self.pictures) * FINEST / max(self.duration, FINEST))

    async def text(self, at: float) -> None:
        await self._see("screen_text", read_text, self.pictures[at])
        self.read.add(at)

    async def _see(self, name: str, see: _See, picture: Picture) -> None:
        try:
            self.looks[name] += await see([picture], self.job.bench)
        except (NotInstalled, EngineFailed) as error:
            self.missing[name] = str(error)

    async def stretch(self, start: float) -> None:
        """Hear one stretch."""
        try:
            self.spoken[start] = await listen_between(self.job, start, min(start + STRETCH, self.duration))
        except (NotInstalled, EngineFailed) as error:
            self.missing["speech"] = str(error)
        self._tell("speech", len(self.spoken) * STRETCH / self.duration)

    def next(self, kind: Piece) -> float | None:
        """The moment to which the next piece of this kind belongs; None when nothing is left to do."""
        if kind == "stretch":
            if not self.job.probe.audio or "speech" in self.missing:
                return None
            count = int(-(-self.duration // STRETCH))
            return next((at for at in spread(count, self.duration, first=0.0) if at not in self.spoken), None)
        if self.job.probe.video is None:
            return None
        if kind == "picture":
            count = max(FEWEST, int(self.duration / FINEST))
            return next((at for at in spread(count, self.duration) if at not in self.pictures), None)
        return None if "screen_text" in self.missing else self._unread()

    def _unread(self) -> float | None:
        """A picture whose text was not read: one of a look of its own before those that look like one that was."""
        unread = [at for at, picture in self.pictures.items() if picture.print and at not in self.read]
        known = [self.pictures[at].print for at in self.read]
        unlike = (at for at in unread if not any(same(self.pictures[at].print, each) for each in known))
        return next(unlike, unread[0] if unread else None)

    async def work(self, until: float) -> None:
        """Pieces of each kind in its share, until so much time is used or nothing fits any more."""
        work = {"stretch": self.stretch, "text": self.text, "picture": self.picture}
        while self.clock.used < until:
            left = {kind: at for kind in _SHARES if self.clock.allows(kind) and (at := self.next(kind)) is not None}
            if not left:
                return
            kind = min(left, key=lambda each: self.clock.spent.get(each, 0.0) / _SHARES[each])
            try:
                await self.clock.timed(kind, work[kind](left[kind]))
            except TimeoutError:
                return

    def _tell(self, stage: str, fraction: float) -> None:
        self.job.stages.progress(Progress(stage=stage, fraction=min(1.0, fraction)))

    def timeline(self) -> Timeline:
        seen = sorted((each for each in self.pictures.values() if each.print), key=lambda each: each.start)
        ends = [*(each.start for each in seen[1:]), self.duration]
        pictures = [each.model_copy(update={"end": end}) for each, end in zip(seen, ends, strict=True)]
        found = _shots(pictures, self.duration)
        looks = {name: _timed(some, pictures) for name, some in self.looks.items()}
        seen_things = [*looks["objects"], *looks["faces"]]
        job = self.job
        place, shown = Place(job.sha, job.knowledge_base, job.probe.recorded_at), scenes(found, pictures)
        segments = [each for some in self.spoken.values() for each in some]
        segments += [*things(looks["objects"], found, place), *faces(looks["faces"], found, place)]
        segments += written(looks["screen_text"], place)
        segments += scene_segments(shown, place)
        return bare(self.name, job.sha, job.probe).model_copy(
            update={
                "shots": shown,
                "tracks": tracks(seen_things, found),
                "segments": in_order(segments),
                "passes": self._passes(len(pictures)),
                "notes": self._notes(len(pictures)),
            }
        )

    def _passes(self, pictures: int) -> list[Pass]:
        seconds, found = round(self.clock.used, 2), list[Pass]()
        if pictures:
            step = self.duration / pictures
            done = {"screen_text"} if self.read else set()
            senses = [name for name in _SENSES if name not in self.missing and (name in _QUICK or name in done)]
            covered = min(1.0, FINEST / step)
            missing = {name: why for name, why in self.missing.items() if name in _SENSES}
            missing |= {name: _NO_TIME for name in _SENSES if name not in missing and name not in senses}
            found.append(
                Pass(
                    name="coarse", step=round(step, 2), covered=covered, seconds=seconds, senses=senses, missing=missing
                )
            )
        if self.job.probe.audio:
            covered = min(1.0, len(self.spoken) * STRETCH / self.duration)
            why = {} if self.spoken else {"speech": self.missing.get("speech", _NO_TIME)}
            heard = ["speech"] if self.spoken else []
            found.append(Pass(name="speech", covered=covered, seconds=seconds, senses=heard, missing=why))
        return found

    def _notes(self, pictures: int) -> list[str]:
        notes = [
            f"Within the budget of {self.clock.seconds:.0f} s the video was seen at {pictures} moments, "
            f"and text was read at {len(self.read)} of them."
        ]
        if self.job.probe.audio:
            share = min(1.0, len(self.spoken) * STRETCH / self.duration)
            notes.append(f"Of its sound {share:.0%} was listened to.")
        return notes


async def watch_within(
    job: Job, reader: Reader, name: str, budget: float, *, began: float | None = None
) -> AsyncIterator[Timeline]:
    """The timeline after the first pictures, after half of the time, and when it is used up or all is done.

    `budget` is seconds for each hour, counted from `began` (of `time.monotonic`). Raises `InvalidInput` for one that
    would not do for the first pictures.
    """
    clock = Clock(budget * job.probe.duration / 3600, time.monotonic() if began is None else began)
    watching = Watching(job, reader, name, clock)
    if job.probe.video is not None:
        await _first_pictures(watching, budget)
        yield watching.timeline()
    await watching.work(clock.used + clock.left / 2)
    yield watching.timeline()
    await watching.work(clock.seconds)
    yield watching.timeline()


async def _first_pictures(watching: Watching, budget: float) -> None:
    """Look at one picture, which loads the models, at another, which tells what a picture takes, and at some more."""
    clock, moments = watching.clock, spread(FEWEST, watching.duration)
    try:
        await watching.picture(next(moments))
        await clock.timed("picture", watching.picture(next(moments)))
        least = clock.used + (FEWEST - 2) * clock.costs["picture"]
        if least > clock.seconds:
            raise TimeoutError
        for at in moments:
            await clock.timed("picture", watching.picture(at))
    except TimeoutError:
        least = clock.used + max(0, FEWEST - len(watching.pictures)) * clock.costs["picture"]
        smallest = 1.25 * least * 3600 / watching.duration
        raise InvalidInput(
            f"{budget:g} s for each hour are {clock.seconds:.1f} s for this video: too few on this machine.",
            remedy=f"The smallest budget that it can meet is about {smallest:.0f} s for each hour.",
            param="budget",
        ) from None


def spread(count: int, duration: float, *, first: float | None = None) -> Iterator[float]:
    """So many moments over a duration, each next one where the gap is widest: however many are taken, they are even.

    They are the middles of `count` equal parts, or with `first` their beginnings counted from there.
    """
    count = max(count, 1)
    bits = max(count - 1, 1).bit_length()
    for number in range(1 << bits):
        # the bits of the number turned round: van der Corput's sequence
        at = int(f"{number:0{bits}b}"[::-1], 2)
        if at < count:
            yield (at + 0.5) * duration / count if first is None else first + at * duration / count


def _timed(looks: Sequence[Look], pictures: Sequence[Picture]) -> list[Look]:
    """The looks in order, each for as long as its picture stays."""
    by_image = {each.image: each for each in pictures}
    timed = [each.model_copy(update={"picture": by_image[each.picture.image]}) for each in looks]
    return sorted(timed, key=lambda each: each.picture.start)


def _shots(pictures: Sequence[Picture], duration: float) -> list[Shot]:
    """Shots as far as pictures seconds apart can tell: a new one where the picture has nothing in common any more."""
    cuts = [(one.start + other.start) / 2 for one, other in pairwise(pictures) if apart(one.print, other.print)]
    return shots(cuts, duration)
