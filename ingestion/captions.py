"""What a vision-language model says of a video: one caption for each shot that was not seen before, more of long ones.

Where no such model is installed there is no stage; where one is, pictures in which nothing is new cost nothing.
"""

import asyncio
from collections.abc import Awaitable, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ingestion.frames import Picture, Pictures
from ingestion.looking import Place, Seen
from ingestion.remembering import Job
from ingestion.scenes import same, scenes
from ingestion.shots import Shot
from ingestion.stages import Progress, keep, recall, result_ref
from knowledge.segment import Segment
from tools.bench import Bench
from tools.describing import DescribeClipInput, DescribeImagesInput, describe_clip, describe_images
from tools.errors import NotFound, NotInstalled
from tools.vision.asking import choose_seer

VERSION = "1"
_EVERY = 20.0
"""Seconds of one shot after which it is worth another caption, if it has changed."""
_FRAMES = 8
"""Pictures of one stretch that are shown together."""
_MOVING = 0.05
"""Motion from which a stretch is described as a clip rather than by one picture."""


class Caption(BaseModel):
    """What was said of one stretch; `pictures` are the images that were shown for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    end: float
    pictures: list[str]
    text: str


_CAPTIONS = TypeAdapter(list[Caption])


class Stretch(BaseModel):
    """A part of a shot, and the pictures in it that differ."""

    start: float
    end: float
    pictures: list[Picture]
    moving: bool


async def captions_stage(job: Job, watched: Awaitable[Pictures]) -> None:
    """Describe what is new, stretch by stretch; each description is kept and remembered as soon as it is there."""
    model = await asyncio.to_thread(seer, job.bench)
    pictures = await watched
    if model is None:
        return
    ref = result_ref(job.sha, "captions", f"{VERSION}-{model}")
    async with job.stages.stage("captions"):
        kept = await recall(job.bench, ref, _CAPTIONS) or []
        known = {tuple(each.pictures): each for each in kept}
        stretches = stretches_of(pictures)
        for number, stretch in enumerate(stretches, 1):
            shown = tuple(each.image for each in stretch.pictures)
            if shown not in known:
                known[shown] = await _describe(stretch, job.bench)
                await keep(job.bench, ref, _CAPTIONS, list(known.values()))
            await job.writer.write([_segment(known[shown], job, model)])
            job.stages.progress(Progress(stage="captions", fraction=number / len(stretches)))


def seer(bench: Bench) -> str | None:
    """The vision-language model that would describe now; None where none is installed. Blocking.

    A provider's model is never one: nobody asked for what every shot of every video would cost.
    """
    try:
        row = choose_seer(bench, None).row
    except (NotInstalled, NotFound):
        return None
    return None if row.isolation == "remote" else row.id


def stretches_of(pictures: Pictures) -> list[Stretch]:
    """The parts of the shots that are worth a caption: none of a shot that only shows again what was seen."""
    found = list[Stretch]()
    for shot, seen in zip(pictures.shots, scenes(pictures.shots, pictures.pictures), strict=False):
        if seen.repeats is not None:
            continue
        inside = [each for each in pictures.pictures if each.start < shot.end and each.end > shot.start]
        own = [each for each in inside if each.start >= shot.start - 0.05] or inside
        found += _parts(shot, own)
    return found


def _parts(shot: Shot, pictures: Sequence[Picture]) -> list[Stretch]:
    parts, held = list[Stretch](), list[Picture]()
    for picture in [*pictures, None]:
        if held and (picture is None or picture.start - held[0].start >= _EVERY):
            end = shot.end if picture is None else picture.start
            before = parts[-1].pictures[0].print if parts else ""
            if len(held) > 1 or not same(before, held[0].print):
                some = held[:: -(-len(held) // _FRAMES)]
                moving = len(some) > 1 and shot.motion >= _MOVING
                parts.append(Stretch(start=max(shot.start, held[0].start), end=end, pictures=some, moving=moving))
            held = []
        if picture is not None:
            held.append(picture)
    return parts


async def _describe(stretch: Stretch, bench: Bench) -> Caption:
    images = [each.image for each in stretch.pictures]
    if stretch.moving:
        times = [each.start for each in stretch.pictures]
        text = (await bench.call(describe_clip, DescribeClipInput(images=images, times=times, detail="low"))).text
    else:
        told = await bench.call(describe_images, DescribeImagesInput(images=images[:1], detail="low"))
        text = told.images[0].text
    return Caption(start=stretch.start, end=stretch.end, pictures=images, text=text.strip())


def _segment(caption: Caption, job: Job, model: str) -> Segment:
    place = Place(job.sha, job.knowledge_base, job.probe.recorded_at)
    seen = Seen(
        text=caption.text or "Nothing could be said of it.",
        start=caption.start,
        end=caption.end,
        confidence=1.0,
        box=None,
        image=caption.pictures[0],
        model=model,
    )
    return place.segment("caption", seen)
