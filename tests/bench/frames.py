"""Frame sampling against decoding alone, on 1080p: full mode and keyframe mode, interleaved."""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from tests.bench.clips import moving_clip
from tools.media.frames import FramePlan
from tools.media.reader import Reader, open_media
from tools.settings import Limits


def decode_alone(path: Path) -> float:
    """Seconds that PyAV needs to decode every frame and drop it, with all its threads."""
    import av

    started = time.perf_counter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    return time.perf_counter() - started


async def sample(reader: Reader, mode: Literal["full", "keyframes"], step: float) -> tuple[float, int]:
    started, count = time.perf_counter(), 0
    async for frame in reader.frames(FramePlan(mode=mode, step=step)):
        count += frame.image is not None
    return time.perf_counter() - started, count


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """One frame a second in full mode; keyframes, every two seconds as this clip has them, in keyframe mode."""
    alone, full, keys = list[float](), list[float](), list[float]()
    frames = keyframes = 0
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(moving_clip, Path(folder, "clip.mp4"), seconds=12 if quick else 60)
        began = time.perf_counter()
        async with open_media(clip, Limits()) as reader:
            await reader.probe()
            child = time.perf_counter() - began
            for _ in range(3 if quick else 5):
                alone.append(await asyncio.to_thread(decode_alone, clip))
                seconds, frames = await sample(reader, "full", 1.0)
                full.append(seconds)
                seconds, keyframes = await sample(reader, "keyframes", 2.0)
                keys.append(seconds)
    ratios = [ours / theirs for ours, theirs in zip(full, alone, strict=True)]
    gains = [theirs / ours for ours, theirs in zip(keys, alone, strict=True)]
    return {
        "decode_alone_seconds": round(statistics.median(alone), 3),
        "full_seconds": round(statistics.median(full), 3),
        "full_over_alone": round(statistics.median(ratios), 3),
        "full_frames": frames,
        "keyframes_seconds": round(statistics.median(keys), 3),
        "keyframes_times_faster": round(statistics.median(gains), 2),
        "keyframes_frames": keyframes,
        "child_start_seconds": round(child, 3),
        "load": round(os.getloadavg()[0], 2),
    }
