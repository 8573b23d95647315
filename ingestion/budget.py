"""Watching within a budget of time: what is most telling first, in small pieces, until the time is used up.

Nothing is known beforehand of how fast this machine is, so each kind of piece is timed as it is done, and one that
would not end in time is not begun. Pictures and stretches of speech are spread over the medium and then fill in
between: whenever the time ends, what was seen and heard covers the whole evenly.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from ingestion.frames import Picture, picture_at
from ingestion.gathering import bare, in_order
from ingestion.listening import listen_between
from ingestion.looking import Look, Place, faces, find_faces, find_objects, read_text, scene_segments, things, written
from ingestion.remembering import Job
from ingestion.scenes import apart, scenes
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
_FIRST, _SPEECH = 0.3, 0.6
"""Shares of the time for the first pictures, and of what is left then for listening."""
_MARGIN = 1.25
"""What the next piece may take, against what such pieces took so far."""

T = TypeVar("T")
_See = Callable[[Sequence[Picture], Bench], Awaitable[list[Look]]]
_SENSES: dict[str, _See] = {"objects": find_objects, "faces": find_faces, "screen_text": read_text}


@dataclass
class Clock:
    """The time that is left, and what a piece of each kind takes on this machine."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def used(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return self.seconds - self.used

    def allows(self, kind: str, until: float) -> bool:
        """Whether one more piece of this kind ends before so many seconds are used."""
        return until - self.used > _MARGIN * self.costs.get(kind, 0.0)

    async def timed(self, kind: str, work: Awaitable[T]) -> T:
        began = self.used
        result = await work
        took, before = self.used - began, self.costs.get(kind)
        # one slow piece must not keep all others from being begun, nor one fast piece be believed too soon
        self.costs[kind] = took if before is None else 0.6 * before + 0.4 * took
        return result


@dataclass
class Watching:
    """One medium being watched within a budget; `timeline` is what is known so far."""

    job: Job
    reader: Reader
    name: str
    clock: Clock
    pictures: dict[float, Picture] = field(default_factory=dict)
    looks: dict[str, list[Look]] = field(default_factory=lambda: {name: [] for name in _SENSES})
    spoken: dict[float, list[Segment]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        return self.job.probe.duration

    async def picture(self, at: float) -> None:
        """Look at one moment with every sense that is there."""
        picture = await picture_at(self.reader, at, self.job.sha, self.job.bench)
        self.pictures[at] = picture or Picture(start=at, end=at, image=f"{self.job.sha}/none")
        if picture is None:
            return
        senses = {name: see for name, see in _SENSES.items() if name not in self.missing}
        await asyncio.gather(*(self._see(name, see, picture) for name, see in senses.items()))

    async def _see(self, name: str, see: _See, picture: Picture) -> None:
        try:
            self.looks[name] += await see([picture], self.job.bench)
        except (NotInstalled, EngineFailed) as error:
            self.missing[name] = str(error)

    async def look(self, moments: Iterator[float], until: float) -> bool:
        """Look at moments in their order while there is time; whether all were looked at."""
        for at in moments:
            if at in self.pictures:
                continue
            if not self.clock.allows("picture", until):
                return False
            await self.clock.timed("picture", self.picture(at))
            self._tell("pictures", len(self.pictures) * FINEST / max(self.duration, FINEST))
        return True

    async def listen(self, until: float) -> None:
        """Hear stretches in their order while there is time."""
        for start in spread(int(-(-self.duration // STRETCH)), self.duration, first=0.0):
            if start in self.spoken or "speech" in self.missing:
                continue
            if not self.clock.allows("stretch", until):
                return
            end = min(start + STRETCH, self.duration)
            try:
                said = await self.clock.timed("stretch", listen_between(self.job, start, end))
            except (NotInstalled, EngineFailed) as error:
                self.missing["speech"] = str(error)
                return
            self.spoken[start] = said
            self._tell("speech", len(self.spoken) * STRETCH / self.duration)

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
            senses = [name for name in _SENSES if name not in self.missing]
            covered = min(1.0, FINEST / step)
            missing = {name: why for name, why in self.missing.items() if name in _SENSES}
            found.append(
                Pass(
                    name="coarse", step=round(step, 2), covered=covered, seconds=seconds, senses=senses, missing=missing
                )
            )
        if self.spoken or "speech" in self.missing:
            covered = min(1.0, len(self.spoken) * STRETCH / self.duration)
            why = {"speech": self.missing["speech"]} if "speech" in self.missing else {}
            heard = ["speech"] if self.spoken else []
            found.append(Pass(name="speech", covered=covered, seconds=seconds, senses=heard, missing=why))
        return found

    def _notes(self, pictures: int) -> list[str]:
        notes = [f"Within the budget of {self.clock.seconds:.0f} s the video was seen at {pictures} moments."]
        if self.job.probe.audio:
            share = min(1.0, len(self.spoken) * STRETCH / self.duration)
            notes.append(f"Of its sound {share:.0%} was listened to.")
        return notes


async def watch_within(job: Job, reader: Reader, name: str, budget: float) -> AsyncIterator[Timeline]:
    """The timeline after the first pictures, after listening, and when the time is used up or all is done.

    `budget` is seconds for each hour. Raises `InvalidInput` for one that would not do for the first pictures.
    """
    watching = Watching(job, reader, name, Clock(budget * job.probe.duration / 3600))
    clock, sees, hears = watching.clock, job.probe.video is not None, bool(job.probe.audio)
    if sees:
        await _calibrate(watching, budget)
        until = clock.used + max(_FIRST * clock.left, _MARGIN * FEWEST * clock.costs["picture"])
        count = max(FEWEST, int(watching.duration / FINEST))
        await watching.look(spread(min(count, 64), watching.duration), min(until, clock.seconds))
        yield watching.timeline()
    if hears:
        share = _SPEECH if sees else 1.0
        await watching.listen(clock.used + share * clock.left)
        yield watching.timeline()
    if sees:
        await watching.look(spread(int(watching.duration / FINEST), watching.duration), clock.seconds)
    if hears:
        # looking may have left some time over
        await watching.listen(clock.seconds)
    yield watching.timeline()


async def _calibrate(watching: Watching, budget: float) -> None:
    """Look at one picture, which loads the models, and at another, which tells what a picture takes."""
    clock = watching.clock
    await clock.timed("load", watching.picture(watching.duration / 2))
    await clock.timed("picture", watching.picture(watching.duration / 4))
    least = clock.used + (FEWEST - 2) * clock.costs["picture"]
    if least > clock.seconds:
        smallest = 1.1 * least * 3600 / watching.duration
        raise InvalidInput(
            f"{budget:g} s for each hour are {clock.seconds:.1f} s for this video: too few on this machine.",
            remedy=f"The smallest budget that it can meet is about {smallest:.0f} s for each hour.",
            param="budget",
        )


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
