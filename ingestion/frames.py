"""The different pictures of a video: sampled, kept in the media store, each with the time it was in view."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from ingestion.scenes import colours_of, print_of
from ingestion.shots import Shot, filmed, find_cuts, find_turns, shots
from tools.bench import Bench
from tools.media.frames import Changes, FramePlan, Image, Motion
from tools.media.looks import CUT, strengths
from tools.media.probe import Probe
from tools.media.reader import Reader

VERSION = "3"
_FULL_UNTIL = 300.0
_QUALITY = 88
_SIDE = 1280


class Picture(BaseModel):
    """One picture and how long it was in view, in seconds of the medium; `image` refers to the media store.

    `cut` says that it differs from the picture before as another shot does. `print` is what it looks like, to be
    compared with other pictures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    end: float
    image: str
    cut: bool = True
    colours: list[str] = []
    print: str = ""


class Pictures(BaseModel):
    """All pictures of a video, in order, and its shots. `seen_until` is the time of the last decoded frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: list[Picture]
    shots: list[Shot]
    seen_until: float


PICTURES = TypeAdapter(Pictures)


def plan_for(probe: Probe) -> FramePlan:
    """Every frame of a short video is decoded, which finds its cuts exactly; of a longer one the keyframes."""
    if probe.duration <= _FULL_UNTIL:
        return FramePlan(mode="full", step=1.0, skip_same=True)
    return FramePlan(mode="keyframes", step=2.0 if probe.duration <= 3600 else 4.0, skip_same=True)


class Sampling:
    """One pass over the frames; `pictures` streams them, `result` is complete afterwards."""

    def __init__(self, bench: Bench, sha: str, probe: Probe, plan: FramePlan | None = None) -> None:
        self._bench, self._sha, self._probe = bench, sha, probe
        self.plan = plan or plan_for(probe)
        self._pictures = list[Picture]()
        self._changes, self._motion = list[Changes](), list[Motion]()
        self._until = 0.0

    async def pictures(self, reader: Reader) -> AsyncIterator[Picture]:
        """Each different picture, as soon as the next one ends its time in view."""
        held: Picture | None = None
        since = 0
        async for frame in reader.frames(self.plan):
            self._changes.append(frame.changes)
            self._motion.append(frame.motion)
            self._until = frame.time
            if frame.image is None:
                continue
            if held is not None:
                yield self._seen(held, frame.time)
            cut = held is None or _differs(self._changes[since:])
            since = len(self._changes)
            held = (await picture_of(frame.time, frame.image, self._sha, self._bench)).model_copy(update={"cut": cut})
        if held is not None:
            yield self._seen(held, max(self._until, held.start, self._end()))

    def result(self) -> Pictures:
        changes = np.concatenate(self._changes) if self._changes else np.zeros((0, 4), np.float32)
        motion = np.concatenate(self._motion) if self._motion else np.zeros((0, 7), np.float32)
        cuts = find_cuts(changes, exact=self.plan.mode == "full")
        found = shots(cuts, max(self._until, self._end()), find_turns(motion, changes))
        seen = filmed(found, changes, motion)
        return Pictures(pictures=self._pictures, shots=seen, seen_until=round(self._until, 3))

    def fraction(self) -> float | None:
        return min(1.0, self._until / self._probe.duration) if self._probe.duration else None

    def _seen(self, held: Picture, end: float) -> Picture:
        picture = held.model_copy(update={"end": round(end, 3)})
        self._pictures.append(picture)
        return picture

    def _end(self) -> float:
        """The last picture stays until the end, unless the file was cut off before."""
        whole = self._probe.duration - self._until < 2.0 + self.plan.step
        return self._probe.duration if whole else self._until


async def picture_at(reader: Reader, at: float, sha: str, bench: Bench) -> Picture | None:
    """The picture at a time, or the next after it; None behind the last."""
    plan = FramePlan(mode="keyframes", step=1.0, start=at, side=_SIDE)
    async with aclosing(reader.frames(plan)) as frames:
        async for frame in frames:
            if frame.image is not None:
                return await picture_of(frame.time, frame.image, sha, bench)
    return None


async def picture_of(at: float, image: Image, sha: str, bench: Bench) -> Picture:
    """A picture that is kept in the media store; nobody knows yet how long it stays."""
    data, colours, print = await asyncio.to_thread(_drawn, image)
    ref = await bench.media.derive(sha, f"frames/{at:.3f}.jpg", data)
    return Picture(start=round(at, 3), end=round(at, 3), image=ref, colours=colours, print=print)


def _differs(changes: list[Changes]) -> bool:
    return any(len(each) and float(strengths(each).max()) >= CUT for each in changes)


def _drawn(image: Image) -> tuple[bytes, list[str], str]:
    """The picture as a JPEG, its colours and its print."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(image).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue(), colours_of(image), print_of(image)
