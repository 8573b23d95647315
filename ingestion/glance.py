"""A first look at a long video: a few keyframes, looked at by what is quick, so that seconds after its upload there is
something to answer from."""

import asyncio
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
_READ = 6
"""Pictures whose text is read: reading costs as much as ten other looks."""


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
    plan = plan_of(probe.duration)
    sampling = Sampling(bench, sha, probe, plan)
    pictures = [each async for each in sampling.pictures(reader)]
    senses: tuple[tuple[str, _See, Sequence[Picture]], ...] = (
        ("objects", find_objects, pictures),
        ("faces", find_faces, pictures),
        ("screen_text", read_text, _unlike(pictures, _READ)),
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
