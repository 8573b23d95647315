"""Media read in a limited child: no network, bounded memory and processor time; a crash there is an error here."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from tools.errors import EngineFailed, UnsupportedMedia
from tools.isolation import Limits as ChildLimits
from tools.isolation.process import ChildEngine, spawn
from tools.media.container import Bounds
from tools.media.decode import Decoder
from tools.media.frames import Frame, FramePlan
from tools.media.live import LiveSound
from tools.media.probe import Probe
from tools.media.sound import Pcm
from tools.settings import Limits


class Reader:
    """One medium, open in a child of its own. Jobs share the child: one that waits does not stop the others."""

    def __init__(self, child: ChildEngine) -> None:
        self._child = child

    async def probe(self) -> Probe:
        """What the medium is; raises `UnsupportedMedia` or `TooLarge`."""
        try:
            return await self._child.call(Decoder.probe)
        except EngineFailed as error:
            raise _unreadable(error) from error

    async def frames(self, plan: FramePlan) -> AsyncGenerator[Frame, None]:
        """Sampled frames, a few ahead of the reader at most."""
        try:
            async for frame in self._child.stream(Decoder.frames, plan):
                yield frame
        except EngineFailed as error:
            raise _unreadable(error) from error

    async def pcm(
        self, start: float = 0.0, end: float | None = None, *, track: int | None = None, chunk: float = 10.0
    ) -> AsyncIterator[Pcm]:
        """16 kHz mono in chunks of `chunk` seconds."""
        try:
            async for part in self._child.stream(Decoder.pcm, start, end, track, chunk):
                yield part
        except EngineFailed as error:
            raise _unreadable(error) from error


def _unreadable(error: EngineFailed) -> UnsupportedMedia:
    """A decoder that runs out of its memory or time, or crashes, says something about the file, not about us."""
    return UnsupportedMedia(
        f"The medium cannot be decoded within the limits: {error.message.splitlines()[0][:200]}",
        remedy="Convert it, or raise SUTRADHAR_LIMITS__CHILD_MEMORY or SUTRADHAR_LIMITS__CHILD_SECONDS.",
    )


@asynccontextmanager
async def open_media(path: Path, limits: Limits) -> AsyncIterator[Reader]:
    """A reader for as long as the block lasts. The file itself is looked at when the first job begins."""
    child, bounds = _limited(limits)
    options = {"path": path, "bounds": bounds}
    async with spawn("tools.media.decode:Decoder", options=options, limits=child) as running:
        yield Reader(running)


@asynccontextmanager
async def open_live(container: Literal["matroska", "ogg"], limits: Limits) -> AsyncIterator["LiveReader"]:
    """A reader of sound that is still arriving, for as long as the block lasts."""
    child, bounds = _limited(limits)
    options = {"container": container, "bounds": bounds}
    async with spawn("tools.media.live:LiveSound", options=options, limits=child) as running:
        yield LiveReader(running)


class LiveReader:
    """Bytes in, 16 kHz mono out. Raises `UnsupportedMedia`."""

    def __init__(self, child: ChildEngine) -> None:
        self._child = child

    async def feed(self, data: bytes) -> Pcm:
        """What could be decoded so far."""
        try:
            return await self._child.call(LiveSound.feed, data)
        except EngineFailed as error:
            raise _unreadable(error) from error

    async def finish(self) -> Pcm:
        """The rest."""
        try:
            return await self._child.call(LiveSound.finish)
        except EngineFailed as error:
            raise _unreadable(error) from error


def _limited(limits: Limits) -> tuple[ChildLimits, Bounds]:
    child = ChildLimits(memory=limits.child_memory, cpu_seconds=limits.child_seconds, network=False)
    bounds = Bounds(
        size=limits.upload_bytes,
        pixels=limits.pixels,
        seconds=limits.seconds,
        frame_rate=limits.frame_rate,
        streams=limits.streams,
    )
    return child, bounds


async def probe(path: Path, limits: Limits) -> Probe:
    """What a medium is; raises `UnsupportedMedia` or `TooLarge`."""
    async with open_media(path, limits) as reader:
        return await reader.probe()


async def read_pcm(
    path: Path, limits: Limits, start: float = 0.0, end: float | None = None, *, track: int | None = None
) -> Pcm:
    """The whole sound, or a window of it, as 16 kHz mono (64 kB a second)."""
    async with open_media(path, limits) as reader:
        parts = [part async for part in reader.pcm(start, end, track=track, chunk=60.0)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
