"""Ingest of one video end to end against its slowest stage alone, on the embedded default's real models."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil

from ingestion.frames import Picture, Sampling
from ingestion.listening import listen
from ingestion.remembering import Job, Writer
from ingestion.senses import Feed, faces_stage, objects_stage, text_stage
from ingestion.stages import Stages
from ingestion.video import ingest_video
from knowledge.open import open_knowledge
from tests.bench.clips import talk
from tools.bench import Bench
from tools.media.probe import Probe
from tools.media.reader import Reader, open_media
from tools.media.store import Media
from tools.open import open_bench
from tools.settings import Settings

Alone = Callable[[Job, Reader], Awaitable[None]]


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Each stage alone, then everything, each from nothing kept but with its models already loaded.

    `whole_over_least` compares with what no order of the stages could beat on this machine: the slowest stage, or all
    the processor time spread evenly over the cores.

    The clip has six scenes of slides and motion; its sound is read speech from `data`, or silence without it.
    """
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        sounds = sorted((data / "speech").glob("LJ*.flac")) if data else []
        clip = await asyncio.to_thread(talk, Path(folder, "talk.mp4"), sounds, seconds=18 if quick else 60)
        settings = Settings(home=Path(folder, "home"))
        async with AsyncExitStack() as stack:
            bare = await stack.enter_async_context(open_bench(settings))
            bench = await stack.enter_async_context(open_knowledge(bare))
            media = await bench.media.put(clip, name="talk.mp4")
            await ingest_video(media, bench, knowledge_base="warm")
            for name, alone in STAGES.items():
                figures[f"{name}_seconds"] = await _alone(media, bench, alone)
            await _forget_results(bench, media)
            began, used = time.perf_counter(), _cpu_seconds()
            report = await ingest_video(media, bench, knowledge_base="whole")
            figures["whole_seconds"] = round(time.perf_counter() - began, 2)
            figures["cpu_seconds"] = round(_cpu_seconds() - used, 2)
    slowest = max(figures[f"{name}_seconds"] for name in STAGES)
    return figures | {
        "whole_over_slowest": round(figures["whole_seconds"] / slowest, 2),
        "whole_over_least": round(
            figures["whole_seconds"] / max(slowest, figures["cpu_seconds"] / (os.cpu_count() or 1)), 2
        ),
        "clip_seconds": report.duration,
        "segments": sum(report.segments.values()),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu_seconds() -> float:
    """Of this process, its living children and the dead that were waited for."""
    own = psutil.Process()
    family = [own, *own.children(recursive=True)]
    return sum(sum(each.cpu_times()[:4]) for each in family)


async def _alone(media: Media, bench: Bench, stage: Alone) -> float:
    """Seconds of one stage from nothing kept, in a child that it starts itself, as the whole ingest does."""
    await _forget_results(bench, media)
    stages = Stages()
    path = await bench.media.local(media.sha256)
    began = time.perf_counter()
    async with open_media(path, bench.settings.limits) as reader:
        probe = await reader.probe()
        async with Writer(bench, stages) as writer:
            await stage(Job(media.sha256, probe, bench, "alone", stages, writer), reader)
    return round(time.perf_counter() - began, 2)


async def _forget_results(bench: Bench, media: Media) -> None:
    folder = (await bench.media.local(media.sha256)).parent / "derived"
    for path in await asyncio.to_thread(lambda: sorted(folder.glob("stages/*.json"))):
        await asyncio.to_thread(path.unlink)


async def _speech(job: Job, reader: Reader) -> None:
    async for _, segments in listen(job):
        await job.writer.write(segments)


async def _frames(job: Job, reader: Reader) -> None:
    async for _ in _pictures(job.bench, job.sha, job.probe, reader):
        pass


async def _pictures(bench: Bench, sha: str, probe: Probe, reader: Reader) -> AsyncIterator[Picture]:
    async for picture in Sampling(bench, sha, probe).pictures(reader):
        yield picture


def _looking(sense: Callable[..., Awaitable[None]], *, needs_shots: bool) -> Alone:
    """A sense with the frames it needs: it cannot look at what was not decoded."""

    async def alone(job: Job, reader: Reader) -> None:
        feed, sampling = Feed(), Sampling(job.bench, job.sha, job.probe)
        watched = asyncio.get_running_loop().create_future()

        async def frames() -> None:
            async for picture in sampling.pictures(reader):
                await feed.put(picture)
            watched.set_result(sampling.result())
            await feed.put(None)

        async with asyncio.TaskGroup() as group:
            group.create_task(frames())
            group.create_task(_awaited(sense(job, feed, watched) if needs_shots else sense(job, feed)))

    return alone


async def _awaited(work: Awaitable[None]) -> None:
    await work


STAGES: dict[str, Alone] = {
    "speech": _speech,
    "frames": _frames,
    "screen_text": _looking(text_stage, needs_shots=False),
    "objects": _looking(objects_stage, needs_shots=True),
    "faces": _looking(faces_stage, needs_shots=True),
}
