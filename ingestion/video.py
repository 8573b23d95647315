"""A video or a sound recording into memory: listening beside looking, each kind of segment written when it is there."""

import asyncio
from typing import Any

from ingestion.listening import listen
from ingestion.remembering import Job, Writer, finish_source, remembered, start_source
from ingestion.stages import OnProgress, Progress, Report, Stages, all_failed, count, unheard
from ingestion.watching import look_stage
from tools.bench import Bench
from tools.capability import Capability
from tools.errors import NotInstalled
from tools.faces import FACE_LANDMARKS
from tools.media.probe import Probe
from tools.media.reader import Reader, open_media
from tools.media.store import Media
from tools.speech import SPEECH_TO_TEXT
from tools.vision import OBJECT_DETECTION, TEXT_READING

VERSION = "1"
SERVED = (SPEECH_TO_TEXT, TEXT_READING, OBJECT_DETECTION, FACE_LANDMARKS)
SENSES = ("speech", "frames", "screen_text", "objects", "faces")


async def ingest_video(
    media: Media, bench: Bench, *, knowledge_base: str, name: str | None = None, progress: OnProgress = unheard
) -> Report:
    """Learn what a video or sound recording says and shows.

    Raises `UnsupportedMedia` or `TooLarge` for a medium that is refused. A stage that cannot run is in the report;
    when none can, the first reason is raised.
    """
    title = name or media.name
    version = "-".join([VERSION, *(_serving(each, bench) for each in SERVED)])
    before = await remembered(media.sha256, bench, knowledge_base, version)
    if before is not None:
        return before
    stages = Stages(progress)
    path = await bench.media.local(media.sha256)
    async with open_media(path, bench.settings.limits) as reader:
        probe = await probe_stage(reader, stages)
        await start_source(media, title, bench, knowledge_base, probe)
        async with Writer(bench, stages) as writer:
            job = Job(media.sha256, probe, bench, knowledge_base, stages, writer)
            await _listen_and_look(job, reader)
    report = Report(
        source=media.sha256,
        name=title,
        knowledge_base=knowledge_base,
        segments=count(writer.written),
        stages=stages.reports,
        duration=probe.duration,
        notes=[] if probe.whole_until is None else [_cut_off(probe)],
    )
    error = all_failed(stages, SENSES)
    await finish_source(media, title, bench, report, version)
    if error is not None:
        raise error
    return report


async def _listen_and_look(job: Job, reader: Reader) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            if job.probe.audio:
                group.create_task(listen_stage(job))
            if job.probe.video is not None:
                group.create_task(look_stage(job, reader))
    except BaseExceptionGroup as errors:
        # the stages that were cancelled because of the first error have nothing to say
        raise _first(errors) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def probe_stage(reader: Reader, stages: Stages) -> Probe:
    """What the medium is, once every limit has been checked."""
    async with stages.stage("probe", needed=True):
        return await reader.probe()


async def listen_stage(job: Job) -> None:
    """Write down what is said; the parts of a long recording are remembered one by one."""
    async with job.stages.stage("speech"):
        async for until, segments in listen(job):
            await job.writer.write(segments)
            fraction = min(1.0, until / job.probe.duration) if job.probe.duration else None
            job.stages.progress(Progress(stage="speech", fraction=fraction, note=f"{len(segments)} more"))


def _serving(capability: Capability[Any], bench: Bench) -> str:
    """The model that would serve now: another one than last time is a reason to look again."""
    try:
        return bench.choose(capability).row.id
    except NotInstalled:
        return "none"


def _cut_off(probe: Probe) -> str:
    return f"The file is cut off: its data ends at {probe.whole_until:.1f} s of {probe.duration:.1f} s."
