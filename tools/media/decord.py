"""decord as a frame reader, for those who have it: an optional extra that cannot do all that our own decoder does.

It seeks by frame number, shows no timestamps of its own before a seek, and decodes a medium as FFmpeg guesses it, so
it is only given files that the safe open has admitted.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tools.errors import NotInstalled
from tools.media.container import Bounds, open_safely
from tools.media.frames import Frame, FramePlan

_BATCH = 16


class DecordReader:
    """Reads by frame number at the steps of a plan; near-duplicates and changes are not looked for."""

    def __init__(self, path: Path, bounds: Bounds | None = None) -> None:
        open_safely(path, bounds or Bounds()).close()
        self._path = path

    def frames(self, plan: FramePlan) -> Iterator[Frame]:
        try:
            import decord
        except ImportError as error:
            raise NotInstalled("decord is not installed.", remedy="pip install 'sutradhar[decord]'") from error
        video = decord.VideoReader(str(self._path), **_size(self._path, plan))
        times = video.get_frame_timestamp(range(len(video))).mean(axis=1)
        times -= times[0] if len(times) else 0.0
        wanted = video.get_key_indices() if plan.mode == "keyframes" else _steps(times, plan)
        for at in range(0, len(wanted), _BATCH):
            batch = list(wanted[at : at + _BATCH])
            images = video.get_batch(batch).asnumpy()
            for number, image in zip(batch, images, strict=True):
                time = float(times[number])
                if plan.start <= time and (plan.end is None or time < plan.end):
                    yield Frame(time=time, image=image, key=plan.mode == "keyframes")


def _steps(times: np.ndarray, plan: FramePlan) -> list[int]:
    grid = np.arange(plan.start, times[-1] + 1e-6 if len(times) else 0.0, plan.step)
    return sorted(set(np.searchsorted(times, grid - 1e-3).clip(0, len(times) - 1).tolist()))


def _size(path: Path, plan: FramePlan) -> dict[str, int]:
    """The output size as decord takes it: both sides, and no keeping of proportions."""
    if not plan.side:
        return {}
    with open_safely(path, Bounds()) as container:
        context = container.streams.video[0].codec_context
        scale = min(1.0, plan.side / max(context.width, context.height))
        return {"width": round(context.width * scale), "height": round(context.height * scale)}
