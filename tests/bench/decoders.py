"""Frames of a 1080p clip through PyAV, as we use it, and through decord, where it is installed."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.clips import moving_clip
from tests.bench.frames import decode_alone
from tools.errors import NotInstalled
from tools.media.decode import Decoder
from tools.media.decord import DecordReader
from tools.media.frames import FramePlan, FrameReader

SECOND = FramePlan(mode="full", step=1.0, side=448)
FILL = FramePlan(mode="keyframes", step=1.0, side=448)


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """One frame a second and keyframes only, on groups of 60 and of 250 frames; times are medians, interleaved."""
    figures: dict[str, Any] = {"load": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as folder:
        for gop in (60, 250):
            seconds = 12 if quick else 60
            clip = await asyncio.to_thread(moving_clip, Path(folder, f"{gop}.mp4"), seconds=seconds, gop=gop)
            # a step just above the distance of keyframes takes each of them and fills nothing
            keys = FramePlan(mode="keyframes", step=gop / 30 + 0.1, side=448)
            measured = await asyncio.to_thread(compare, clip, keys, 3 if quick else 5)
            figures |= {f"gop{gop}_{name}": value for name, value in measured.items()}
    return figures


def compare(clip: Path, keys: FramePlan, rounds: int) -> dict[str, Any]:
    jobs: dict[str, Callable[[], Any]] = {
        "decode_alone_seconds": lambda: decode_alone(clip),
        "pyav_each_second_seconds": lambda: _read(Decoder(clip), SECOND),
        "pyav_filled_keyframes_seconds": lambda: _read(Decoder(clip), FILL),
        "pyav_keyframes_seconds": lambda: _read(Decoder(clip), keys),
    }
    try:
        _read(DecordReader(clip), keys)
    except NotInstalled:
        note: dict[str, Any] = {"decord": "not installed"}
    else:
        # both must have done the same work for their times to compare
        note = {
            "pyav_frames": f"{_read(Decoder(clip), SECOND)} + {_read(Decoder(clip), keys)} keyframes",
            "decord_frames": f"{_read(DecordReader(clip), SECOND)} + {_read(DecordReader(clip), keys)} keyframes",
        }
        jobs["decord_each_second_seconds"] = lambda: _read(DecordReader(clip), SECOND)
        jobs["decord_keyframes_seconds"] = lambda: _read(DecordReader(clip), keys)
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - started)
    return {name: round(statistics.median(each), 3) for name, each in times.items()} | note


def _read(reader: FrameReader, plan: FramePlan) -> int:
    return sum(frame.image is not None for frame in reader.frames(plan))
