"""A first look at a long video: a few keyframes, looked at by what is quick, so that seconds after its upload there is
something to answer from."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ingestion.frames import VERSION as FRAMES_VERSION
from ingestion.frames import Picture, Pictures, Sampling
from ingestion.looking import VERSION as LOOKS_VERSION
from ingestion.looking import Look, Place, faces, find_faces, find_objects, read_text, things, written
from ingestion.scenes import same
from ingestion.stages import keep, recall, result_ref
from knowledge.segment import Segment
from tools.bench import Bench
from tools.errors import EngineFailed, NotInstalled
from tools.media.frames import FramePlan
from tools.media.probe import Probe
from tools.media.reader import Reader

FROM = 60.0
"""Seconds from which a video is glanced at before it is watched."""
PICTURES = 40
_SEEN, _READ = 16, 4
"""Pictures that are searched for things and faces, and those whose text is read: that costs as much as ten looks."""
_SECONDS = 6.0
"""When a first look begins to read no more: a busy machine must not keep the first answer from coming."""


class Glance(BaseModel):
    """What the first look found. `missing` says of a sense why it did not look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: Pictures
    looks: list[Look] = []
    texts: list[Look] = []
    step: float
    missing: dict[str, str] = {}

    def segments(self, place: Place) -> list[Segment]:
        """What it found, as memory keeps it until the video has been watched."""
        shots = self.pictures.shots
        found = [*things(self.looks, shots, place), *faces(self.looks, shots, place)]
        return [*found, *written(self.texts, place)]


_GLANCE = TypeAdapter(Glance)
_See = Callable[[Sequence[Picture], Bench], Awaitable[list[Look]]]


def plan_of(duration: float, pictures: int = PICTURES) -> FramePlan:
    return FramePlan(mode="keyframes", step=max(2.0, duration / pictures), side=960, skip_same=True)


async def glance(sha: str, probe: Probe, bench: Bench, reader: Reader) -> Glance:
    """Look at a few keyframes; what was found before is read back."""
    ref = result_ref(sha, "glance", f"{FRAMES_VERSION}-{LOOKS_VERSION}")
    kept = await recall(bench, ref, _GLANCE)
    if kept is not None:
        return kept
    began, plan = time.monotonic(), plan_of(probe.duration)
    sampling = Sampling(bench, sha, probe, plan)
    pictures = [each async for each in sampling.pictures(reader)]
    telling = _unlike(pictures, _SEEN)

    async def read_some(some: Sequence[Picture], bench: Bench) -> list[Look]:
        looks = list[Look]()
        for each in some:
            if not looks or time.monotonic() - began < _SECONDS:
                looks += await read_text([each], bench)
        return looks

    senses: tuple[tuple[str, _See, Sequence[Picture]], ...] = (
        ("objects", find_objects, telling),
        ("faces", find_faces, telling),
        ("screen_text", read_some, _unlike(telling, _READ)),
    )
    seen = await asyncio.gather(*(_look(see, some, bench) for _, see, some in senses))
    missing = {name: said for (name, _, _), (_, said) in zip(senses, seen, strict=True) if said}
    (things_seen, _), (faces_seen, _), (texts, _) = seen
    looks = [*things_seen, *faces_seen]
    found = Glance(pictures=sampling.result(), looks=looks, texts=texts, step=plan.step, missing=missing)
    await keep(bench, ref, _GLANCE, found)
    return found


async def _look(see: _See, pictures: Sequence[Picture], bench: Bench) -> tuple[list[Look], str]:
    try:
        return (await see(pictures, bench) if pictures else []), ""
    except (NotInstalled, EngineFailed) as error:
        return [], str(error)


def _unlike(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """The pictures that stay longest, each of a look of its own."""
    chosen = list[Picture]()
    for each in sorted(pictures, key=lambda one: one.start - one.end):
        if len(chosen) < most and not any(same(each.print, other.print) for other in chosen):
            chosen.append(each)
    return sorted(chosen, key=lambda one: one.start)
