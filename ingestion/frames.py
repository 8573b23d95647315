"""The different pictures of a video: sampled, kept in the media store, each with the time it was in view."""

import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from ingestion.shots import CUT, Shot, find_cuts, shots, strength
from tools.bench import Bench
from tools.media.frames import Changes, FramePlan, Image
from tools.media.probe import Probe
from tools.media.reader import Reader

VERSION = "1"
_FULL_UNTIL = 300.0
_QUALITY = 88


class Picture(BaseModel):
    """One picture and how long it was in view, in seconds of the medium; `image` refers to the media store.

    `cut` says that it differs from the picture before as another shot does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    end: float
    image: str
    cut: bool = True


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

    def __init__(self, bench: Bench, sha: str, probe: Probe) -> None:
        self._bench, self._sha, self._probe = bench, sha, probe
        self._pictures = list[Picture]()
        self._changes = list[Changes]()
        self._until = 0.0

    async def pictures(self, reader: Reader) -> AsyncIterator[Picture]:
        """Each different picture, as soon as the next one ends its time in view."""
        plan = plan_for(self._probe)
        held: Picture | None = None
        since = 0
        async for frame in reader.frames(plan):
            self._changes.append(frame.changes)
            self._until = frame.time
            if frame.image is None:
                continue
            if held is not None:
                yield self._seen(held, frame.time)
            data = await asyncio.to_thread(_jpeg, frame.image)
            ref = await self._bench.media.derive(self._sha, f"frames/{frame.time:.3f}.jpg", data)
            cut = held is None or _differs(self._changes[since:])
            since = len(self._changes)
            held = Picture(start=round(frame.time, 3), end=round(frame.time, 3), image=ref, cut=cut)
        if held is not None:
            yield self._seen(held, max(self._until, held.start, self._end()))

    def result(self) -> Pictures:
        changes = np.concatenate(self._changes) if self._changes else np.zeros((0, 3), np.float32)
        cuts = find_cuts(changes, exact=plan_for(self._probe).mode == "full")
        end = max(self._until, self._end())
        return Pictures(pictures=self._pictures, shots=shots(cuts, end), seen_until=round(self._until, 3))

    def fraction(self) -> float | None:
        return min(1.0, self._until / self._probe.duration) if self._probe.duration else None

    def _seen(self, held: Picture, end: float) -> Picture:
        picture = held.model_copy(update={"end": round(end, 3)})
        self._pictures.append(picture)
        return picture

    def _end(self) -> float:
        """The last picture stays until the end, unless the file was cut off before."""
        whole = self._probe.duration - self._until < 2.0 + plan_for(self._probe).step
        return self._probe.duration if whole else self._until


def _differs(changes: list[Changes]) -> bool:
    return any(len(each) and float(strength(each).max()) >= CUT for each in changes)


def _jpeg(image: Image) -> bytes:
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(image).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
