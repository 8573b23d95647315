"""Watch a medium without remembering it, or within a budget of time: a first look, then all of it.

`watch` yields what is known after each pass. Ingesting (`ingestion.video`) does the same work and remembers it; whoever
comes second finds it done.
"""

import asyncio
import time
from collections.abc import AsyncIterator

from ingestion.budget import watch_within
from ingestion.gathering import at_a_glance, gathered, keep_timeline, known
from ingestion.looking import Place
from ingestion.remembering import Collected, Job
from ingestion.stages import OnProgress, Stages, all_failed, unheard
from ingestion.timeline import Timeline
from ingestion.turns import turn
from ingestion.video import (
    SENSES,
    glance_stage,
    ingest_video,
    listen_and_look,
    notes_of,
    pass_of,
    probe_stage,
    version_of,
)
from tools.bench import Bench
from tools.media.reader import Reader, open_media
from tools.media.store import Media

WATCHED = "watched"
"""The knowledge base that segments are of which no knowledge base keeps."""


async def watch(
    media: Media,
    bench: Bench,
    *,
    name: str | None = None,
    knowledge_base: str | None = None,
    budget: float | None = None,
    progress: OnProgress = unheard,
) -> AsyncIterator[Timeline]:
    """The timeline after each pass: of a long video first what a glance shows, at last all that will be known.

    `budget` is seconds of work for each hour of the medium: what is most telling is done until they are used up. With a
    `knowledge_base` all is remembered there too. Raises `UnsupportedMedia` or `TooLarge` for a medium that is refused,
    and `InvalidInput` for a budget that this machine cannot meet, naming the smallest that it can.
    """
    title, version = name or media.name, await asyncio.to_thread(version_of, bench)
    before = await known(media.sha256, bench)
    if before is not None and before.complete and before.version == version and knowledge_base is None:
        yield before.model_copy(update={"name": title})
        return
    async with turn(bench, progress):
        began = time.monotonic()
        if knowledge_base is not None:
            await ingest_video(media, bench, knowledge_base=knowledge_base, name=title, progress=progress)
            if (whole := await known(media.sha256, bench)) is not None:
                yield whole
            return
        path = await bench.media.local(media.sha256)
        async with open_media(path, bench.settings.limits) as reader:
            stages = Stages(progress)
            probe = await probe_stage(reader, stages)
            job = Job(media.sha256, probe, bench, WATCHED, stages, Collected())
            passes = (
                _whole(job, reader, title) if budget is None else watch_within(job, reader, title, budget, began=began)
            )
            async for timeline in passes:
                told = timeline.model_copy(update={"version": version})
                await keep_timeline(told, bench)
                yield told


async def _whole(job: Job, reader: Reader, name: str) -> AsyncIterator[Timeline]:
    """A glance at a long video, then all of it."""
    glanced = await glance_stage(job.sha, job.probe, job.bench, reader, job.stages)
    if glanced is not None:
        first = glanced.segments(Place(job.sha, WATCHED, job.probe.recorded_at))
        yield at_a_glance(glanced, name, job.sha, job.probe, first)
    await listen_and_look(job, reader)
    error = all_failed(job.stages, SENSES)
    yield await gathered(job, name, [pass_of(job.stages)], notes_of(job.probe), complete=error is None)
    if error is not None:
        raise error
