"""A video or a sound recording into memory: listening beside looking, each kind of segment written when it is there."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ingestion.captions import seer
from ingestion.gathering import gathered, keep_timeline
from ingestion.glance import FROM, Glance, glance
from ingestion.hearing import hear_stage
from ingestion.listening import listen
from ingestion.looking import Place
from ingestion.remembering import (
    Job,
    Writer,
    finish_source,
    forget_some,
    remember,
    remembered,
    show_segments,
    start_source,
)
from ingestion.senses import look_stage
from ingestion.stages import OnProgress, Progress, Report, Stages, all_failed, count, unheard
from ingestion.timeline import Pass
from knowledge.segment import Segment
from tools.bench import Bench
from tools.capability import Capability
from tools.errors import NotInstalled
from tools.faces import FACE_LANDMARKS
from tools.media.probe import Probe
from tools.media.reader import Reader, open_media
from tools.media.store import Media
from tools.speech import SPEECH_TO_TEXT
from tools.vision import OBJECT_DETECTION, TEXT_READING

VERSION = "2"
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
    version = await asyncio.to_thread(version_of, bench)
    before = await remembered(media.sha256, bench, knowledge_base, version)
    if before is not None:
        return before
    stages = Stages(progress)
    path = await bench.media.local(media.sha256)
    async with open_media(path, bench.settings.limits) as reader:
        probe = await probe_stage(reader, stages)
        await start_source(media, title, bench, knowledge_base, probe)
        glanced = await glance_stage(media.sha256, probe, bench, reader, stages)
        first = glanced.segments(Place(media.sha256, knowledge_base, probe.recorded_at)) if glanced else []
        await remember(bench, first)
        await show_segments(bench, first)
        async with Writer(bench, stages) as writer:
            job = Job(media.sha256, probe, bench, knowledge_base, stages, writer)
            await listen_and_look(job, reader)
    await _supersede(first, writer.written, bench, knowledge_base, media.sha256)
    report = Report(
        source=media.sha256,
        name=title,
        knowledge_base=knowledge_base,
        segments=count(writer.written),
        stages=stages.reports,
        duration=probe.duration,
        notes=notes_of(probe),
    )
    error = all_failed(stages, SENSES)
    timeline = await gathered(job, title, [pass_of(stages)], report.notes, complete=error is None)
    await keep_timeline(timeline.model_copy(update={"version": version}), bench)
    await finish_source(media, title, bench, report, version)
    if error is not None:
        raise error
    return report


def version_of(bench: Bench) -> str:
    """The models and steps that would watch a medium now: others than last time are a reason to watch it again.

    Blocking.
    """
    return "-".join([VERSION, *(_serving(each, bench) for each in SERVED), seer(bench) or "none"])


async def glance_stage(sha: str, probe: Probe, bench: Bench, reader: Reader, stages: Stages) -> Glance | None:
    """A first look at a video that takes a while; None for a short one."""
    if probe.video is None or probe.duration < FROM:
        return None
    found = list[Glance]()
    async with stages.stage("glance"):
        found.append(await glance(sha, probe, bench, reader))
    return found[0] if found else None


async def listen_and_look(job: Job, reader: Reader) -> None:
    """All that ears and eyes can do, side by side."""
    try:
        async with asyncio.TaskGroup() as group:
            if job.probe.audio:
                group.create_task(listen_stage(job))
                group.create_task(hear_stage(job, reader))
            if job.probe.video is not None:
                group.create_task(look_stage(job, reader))
    except BaseExceptionGroup as errors:
        # the stages that were cancelled because of the first error have nothing to say
        raise _first(errors) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _supersede(first: Sequence[Segment], then: Sequence[Segment], bench: Bench, base: str, sha: str) -> None:
    """What the first look found is forgotten once the video has been watched, as far as that did not find the same."""
    left = {each.id for each in first} - {each.id for each in then}
    await forget_some(bench, base, sha, sorted(left))


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


def pass_of(stages: Stages) -> Pass:
    """What a whole pass came to: which senses worked, and why others did not."""
    worked = [each.stage for each in stages.reports if each.outcome in {"done", "kept"}]
    senses = ("speech", "sounds", "screen_text", "objects", "faces", "captions")
    return Pass(
        name="full",
        seconds=round(max((each.seconds for each in stages.reports), default=0.0), 3),
        senses=[each for each in senses if each in worked],
        missing={
            each.stage: each.note
            for each in stages.reports
            if each.stage in senses and each.note and each.stage not in worked
        },
    )


def notes_of(probe: Probe) -> list[str]:
    return [] if probe.whole_until is None else [_cut_off(probe)]


def _serving(capability: Capability[Any], bench: Bench) -> str:
    """The model that would serve now: another one than last time is a reason to look again."""
    try:
        return bench.choose(capability).row.id
    except NotInstalled:
        return "none"


def _cut_off(probe: Probe) -> str:
    return f"The file is cut off: its data ends at {probe.whole_until:.1f} s of {probe.duration:.1f} s."
