"""The timeline that a run stands on: kept beside its medium, read back by each step."""

import asyncio
from hashlib import blake2b

from graphs.video.analysing import Observed, observed
from graphs.video.chapters import chapters_of
from graphs.video.observing import Observer
from graphs.video.options import VideoOptions
from graphs.video.scenes import MOST, scenes_of
from ingestion.timeline import Timeline
from tools.bench import Bench


async def keep_timeline(bench: Bench, timeline: Timeline) -> str:
    """Keep a timeline as it is now; a later watching does not change what a run has told of it."""
    data = timeline.model_dump_json().encode()
    return await bench.media.derive(timeline.source, f"told/{blake2b(data, digest_size=12).hexdigest()}.json", data)


async def timeline_of(bench: Bench, ref: str) -> Timeline:
    data = await bench.media.read(ref)
    return await asyncio.to_thread(Timeline.model_validate_json, data)


async def seen_by(bench: Bench, ref: str, options: VideoOptions) -> Observed:
    """All statements that can be made of a kept timeline."""
    return await asyncio.to_thread(observe, await timeline_of(bench, ref), options)


def observe(timeline: Timeline, options: VideoOptions) -> Observed:
    observer = Observer(timeline)
    scenes = scenes_of(timeline, MOST[options.detail_level])
    return observed(timeline, scenes, observer, chapters_of(timeline, observer.spoken))
