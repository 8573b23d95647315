"""The looking side of a video: frames are sampled once and shown to every sense, through bounded queues."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ingestion.captions import captions_stage
from ingestion.frames import PICTURES, Picture, Pictures, Sampling, plan_for
from ingestion.frames import VERSION as FRAMES_VERSION
from ingestion.looking import (
    LOOKS,
    Look,
    Place,
    Screen,
    faces,
    find_faces,
    find_objects,
    read_text,
    scene_segments,
    screen_text,
    things,
)
from ingestion.looking import VERSION as LOOKS_VERSION
from ingestion.remembering import Job
from ingestion.scenes import scenes
from ingestion.stages import Progress, keep, recall, result_ref
from tools.bench import Bench
from tools.capability import Capability
from tools.errors import SutradharError
from tools.faces import FACE_LANDMARKS
from tools.media.probe import Probe
from tools.media.reader import Reader
from tools.vision import OBJECT_DETECTION, TEXT_READING

_WAITING = 16
_BATCH = 8
_KEEP_SECONDS = 10.0

See = Callable[[Sequence[Picture], Bench], Awaitable[list[Look]]]


class Pace:
    """Which pictures a sense looks at: each new shot, and then one now and then, less often while it sees nothing.

    The choice depends on the pictures and what was seen on them alone, never on how fast anything ran: an ingest that
    is done again must come to the same segments.
    """

    def __init__(self, step: float, *, least: int, most: int) -> None:
        self._step, self._least, self._most = step, least, most
        self._wait = least
        self._last = -1e9

    def wants(self, picture: Picture) -> bool:
        # half a step of tolerance: pictures come near their grid, not on it
        if not picture.cut and picture.start - self._last < (self._wait - 0.5) * self._step:
            return False
        if picture.cut:
            self._wait = self._least
        self._last = picture.start
        return True

    def saw(self, anything: bool) -> None:
        self._wait = self._least if anything else min(self._most, self._wait + 1)


class Feed:
    """Pictures on their way to one sense. A sense that gave up takes them unseen, so that the others go on."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Picture | None] = asyncio.Queue(_WAITING)
        self._ended = False

    async def put(self, picture: Picture | None) -> None:
        await self._queue.put(picture)

    async def batches(self, most: int = _BATCH) -> AsyncIterator[list[Picture]]:
        """What has arrived, at most a batch at a time: a sense that keeps up sees each picture at once."""
        while not self._ended:
            batch = [await self._queue.get()]
            while len(batch) < most and batch[-1] is not None and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._ended = batch[-1] is None
            pictures = [each for each in batch if each is not None]
            if pictures:
                yield pictures

    async def drain(self) -> None:
        async for _ in self.batches():
            pass


@dataclass(frozen=True)
class Sense:
    """One way of looking. With a `batch` of 1 the pace follows what was seen on each picture."""

    stage: str
    capability: Capability[Any]
    see: See
    pace: Pace
    batch: int = _BATCH


async def look_stage(job: Job, reader: Reader) -> None:
    """Sample the frames and look at each different one: text first, then things and faces."""
    text, objects, people = Feed(), Feed(), Feed()
    watched: asyncio.Future[Pictures] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(frames_stage(job, reader, (text, objects, people), watched))
        group.create_task(text_stage(job, text))
        group.create_task(objects_stage(job, objects, watched))
        group.create_task(faces_stage(job, people, watched))
        group.create_task(captions_stage(job, watched))


async def frames_stage(job: Job, reader: Reader, feeds: Sequence[Feed], watched: asyncio.Future[Pictures]) -> None:
    """Send every different picture to every feed; `watched` gets all of them and the shots at the end."""
    ref = result_ref(job.sha, "frames", FRAMES_VERSION)
    sampling = Sampling(job.bench, job.sha, job.probe)
    kept = await recall(job.bench, ref, PICTURES)
    async with job.stages.stage("frames"):
        async for picture in _replay(kept) if kept else sampling.pictures(reader):
            for feed in feeds:
                await feed.put(picture)
            job.stages.progress(Progress(stage="frames", fraction=sampling.fraction()))
        if kept is None:
            await keep(job.bench, ref, PICTURES, sampling.result())
    if kept:
        job.stages.mark("frames", "kept")
    result = kept or sampling.result()
    watched.set_result(result)
    await job.writer.write(scene_segments(scenes(result.shots, result.pictures), _place(job)))
    for feed in feeds:
        await feed.put(None)


async def _replay(kept: Pictures) -> AsyncIterator[Picture]:
    for picture in kept.pictures:
        yield picture


async def text_stage(job: Job, feed: Feed) -> None:
    """A text is remembered as soon as it has left the screen."""
    screen, place = Screen(), _place(job)
    sense = Sense("screen_text", TEXT_READING, read_text, Pace(_step(job), least=1, most=3), batch=1)
    async for look in _looks(job, sense, feed):
        screen.see(look)
        if gone := screen.leave():
            await job.writer.write(screen_text(gone, place))
    screen.end()
    await job.writer.write(screen_text(screen.leave(), place))


async def objects_stage(job: Job, feed: Feed, watched: asyncio.Future[Pictures]) -> None:
    sense = Sense("objects", OBJECT_DETECTION, find_objects, Pace(_step(job), least=2, most=2))
    looks = [look async for look in _looks(job, sense, feed)]
    if looks:
        await job.writer.write(things(looks, (await watched).shots, _place(job)))


async def faces_stage(job: Job, feed: Feed, watched: asyncio.Future[Pictures]) -> None:
    sense = Sense("faces", FACE_LANDMARKS, find_faces, Pace(_step(job), least=1, most=1))
    looks = [look async for look in _looks(job, sense, feed)]
    if looks:
        await job.writer.write(faces(looks, (await watched).shots, _place(job)))


async def looked(job: Job, stage: str, capability: Capability[Any]) -> list[Look]:
    """What a sense has seen of the medium so far, in order of time."""
    ref = _ref(job, stage, job.bench.choose(capability).row.id)
    looks = await recall(job.bench, ref, LOOKS)
    return sorted(looks or [], key=lambda each: each.picture.start)


def _ref(job: Job, stage: str, model: str) -> str:
    return result_ref(job.sha, stage, f"{LOOKS_VERSION}-{FRAMES_VERSION}-{model}")


async def _looks(job: Job, sense: Sense, feed: Feed) -> AsyncIterator[Look]:
    """What one sense sees on the pictures it looks at.

    Looks are kept now and then, so that an ingest that was killed goes on from there.
    """
    note, stage, pace = "", sense.stage, sense.pace
    async with job.stages.stage(stage):
        try:
            model = job.bench.choose(sense.capability).row.id
            ref = _ref(job, stage, model)
            known = {look.picture.image: look for look in await recall(job.bench, ref, LOOKS) or []}
            fresh, kept_at = 0, time.monotonic()
            async for arrived in feed.batches(sense.batch):
                batch = [each for each in arrived if pace.wants(each)]
                new = [each for each in batch if each.image not in known]
                known |= {look.picture.image: look for look in (await sense.see(new, job.bench) if new else [])}
                fresh += len(new)
                for picture in batch:
                    look = known[picture.image].model_copy(update={"picture": picture})
                    if sense.batch == 1:
                        pace.saw(bool(look.lines))
                    yield look
                job.stages.progress(Progress(stage=stage, fraction=_fraction(arrived[-1], job.probe)))
                if fresh and time.monotonic() - kept_at > _KEEP_SECONDS:
                    await keep(job.bench, ref, LOOKS, list(known.values()))
                    kept_at = time.monotonic()
            if fresh:
                await keep(job.bench, ref, LOOKS, list(known.values()))
        except SutradharError:
            await feed.drain()
            raise
        if known and not fresh:
            note = "kept"
    if note:
        job.stages.mark(stage, "kept")


def _step(job: Job) -> float:
    return plan_for(job.probe).step


def _place(job: Job) -> Place:
    return Place(job.sha, job.knowledge_base, job.probe.recorded_at)


def _fraction(picture: Picture, probe: Probe) -> float | None:
    return min(1.0, picture.end / probe.duration) if probe.duration else None
