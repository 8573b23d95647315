"""A sound track as 16 kHz mono PCM on the medium's own clock."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Pcm = NDArray[np.float32]
"""Mono audio at 16 kHz, samples in -1..1, shape `[n]`."""

RATE = 16_000
# smaller gaps are rounding between a container's clock and its samples
_GAP = RATE // 20


class Resampling:
    """Frames of any format to mono float; a track that changes its format gets a new resampler."""

    def __init__(self) -> None:
        self._resampler: Any = None
        self._format: tuple[Any, ...] = ()

    def feed(self, frame: "AudioFrame") -> Pcm:
        import av

        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if found != self._format:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            self._format = found
        frame.pts = None
        parts = [each.to_ndarray().reshape(-1) for each in self._resampler.resample(frame)]
        return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32)

    def rest(self) -> Pcm:
        parts = [each.to_ndarray().reshape(-1) for each in self._resampler.resample(None)] if self._resampler else []
        return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32)


def _decoded(container: "InputContainer", stream: "AudioStream") -> "Iterator[AudioFrame]":
    """Decoded frames; damaged packets are left out, a file that is cut off ends."""
    from av.error import EOFError as Ended
    from av.error import FFmpegError

    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except Ended:
                return
            except FFmpegError:
                continue
    except FFmpegError:
        return


def aligned(container: "InputContainer", stream: "AudioStream", offset: float, most: float) -> Iterator[Pcm]:
    """The whole track as consecutive samples from time 0; silence where the track has none, never beyond `most` s."""
    resampling, sent, last = Resampling(), 0, int(most * RATE)
    for frame in _decoded(container, stream):
        if frame.pts is not None and frame.time_base is not None:
            wanted = round((float(frame.pts * frame.time_base) - offset) * RATE)
            if sent + _GAP < wanted <= last:
                for size in _pieces(wanted - sent):
                    yield np.zeros(size, np.float32)
                sent = wanted
        pcm = resampling.feed(frame)
        if sent + len(pcm) > last:
            return
        sent += len(pcm)
        if len(pcm):
            yield pcm
    rest = resampling.rest()
    if len(rest):
        yield rest


def _pieces(samples: int) -> Iterator[int]:
    whole, rest = divmod(samples, RATE * 10)
    yield from [RATE * 10] * whole
    if rest:
        yield rest


def window(parts: Iterator[Pcm], start: float, end: float | None, chunk: float) -> Iterator[Pcm]:
    """The samples of `start`..`end` in chunks of `chunk` seconds; the last chunk is shorter."""
    skip, left = round(start * RATE), None if end is None else round((end - start) * RATE)
    size = max(1, round(chunk * RATE))
    held, count = list[Pcm](), 0
    for part in parts:
        fresh = part[skip:]
        skip = max(0, skip - len(part))
        if left is not None:
            fresh = fresh[:left]
            left -= len(fresh)
        held.append(fresh)
        count += len(fresh)
        if count >= size or left == 0:
            whole = np.concatenate(held)
            while len(whole) >= size:
                yield whole[:size]
                whole = whole[size:]
            held, count = [whole], len(whole)
        if left == 0:
            break
    if count:
        yield np.concatenate(held)
