"""The decoder that runs in a limited child: a plain blocking class over one medium."""

import statistics
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import InvalidInput, UnsupportedMedia
from tools.media.container import Bounds, open_safely, quiet
from tools.media.frames import Frame, FramePlan
from tools.media.probe import AudioTrack, Probe, VideoTrack, recorded_at
from tools.media.sampling import Clock, SlotClock, every_frame, keyframes_first, packets
from tools.media.sound import Pcm, aligned, window

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream


_LATE = 0.1
"""Seconds from which a medium that does not begin at zero is worth a look at its end."""
_TAIL = 20_000
"""Packets that are looked at there."""


class Decoder:
    """Opens the medium for each job anew, so that jobs do not disturb each other's place in the file."""

    def __init__(self, path: Path, bounds: Bounds | None = None) -> None:
        quiet()
        self._path, self._bounds = path, bounds or Bounds()

    def probe(self) -> Probe:
        """What the medium is; raises `UnsupportedMedia` or `TooLarge`."""
        with open_safely(self._path, self._bounds) as container:
            picture = video_stream(container)
            tags = [container.metadata, *(dict(each.metadata) for each in container.streams)]
            return Probe(
                container=container.format.name.split(",")[0],
                duration=_duration(container),
                start=offset(container),
                audio=tuple(_audio(each) for each in container.streams.audio),
                recorded_at=recorded_at(*tags),
                whole_until=_whole_until(container, self._path.stat().st_size),
                video=None if picture is None else _video(container, picture),
            )

    def frames(self, plan: FramePlan) -> Iterator[Frame]:
        """Sampled frames in order of time; raises `InvalidInput` for a medium without a picture."""
        with open_safely(self._path, self._bounds) as container:
            stream = video_stream(container)
            if stream is None:
                raise InvalidInput("The medium has no video track.", remedy="Ask for its sound only.")
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": str(self._bounds.pixels)}
            start = offset(container)
            if plan.start > 0:
                container.seek(int((plan.start + start) * 1_000_000), backward=True)
            read = every_frame if plan.mode == "full" else keyframes_first
            last, any_frame = self._bounds.seconds, False
            slots = plan.mode == "full" and container.format.name == "avi"
            clock = SlotClock(stream, start) if slots else Clock(stream, start)
            for frame in read(container, stream, plan, clock):
                if frame.time > last:
                    return
                any_frame = True
                yield frame
            if not any_frame and plan.start <= 0:
                raise UnsupportedMedia(
                    f"No frame of the {stream.codec_context.name} video can be decoded.", remedy="Convert it to MP4."
                )

    def pcm(
        self, start: float = 0.0, end: float | None = None, track: int | None = None, chunk: float = 10.0
    ) -> Iterator[Pcm]:
        """16 kHz mono in chunks of `chunk` seconds; `track` is an `AudioTrack.index`."""
        with open_safely(self._path, self._bounds) as container:
            stream = _audio_stream(container, track)
            origin = offset(container)
            if start > 60:
                # decoding sound is cheap, but not for two hours; what lies before the seek point counts as silence
                container.seek(int((start - 5 + origin) * 1_000_000), backward=True)
            yield from window(aligned(container, stream, origin, self._bounds.seconds), start, end, chunk)


def video_stream(container: "InputContainer") -> "VideoStream | None":
    """The largest real picture track; cover art is not one."""
    from av.stream import Disposition

    tracks = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    return max(tracks, key=lambda each: each.codec_context.width * each.codec_context.height, default=None)


def _audio_stream(container: "InputContainer", track: int | None) -> "AudioStream":
    from av.stream import Disposition

    found = [each for each in container.streams.audio if track is None or each.index == track]
    if not found:
        which = "no sound track" if track is None else f"no sound track {track}"
        raise InvalidInput(f"The medium has {which}.", param="track")
    return max(found, key=lambda each: (bool(each.disposition & Disposition.default), each.sample_rate or 0))


def offset(container: "InputContainer") -> float:
    """The medium's first timestamp in seconds; encoder priming before zero is not time of the medium."""
    start = (container.start_time or 0) / 1_000_000
    if start >= 0:
        return start
    picture = video_stream(container)
    if picture is None or picture.start_time is None or picture.time_base is None:
        return 0.0
    return min(0.0, float(picture.start_time * picture.time_base))


def _duration(container: "InputContainer") -> float:
    """From the first timestamp to the end."""
    late = (container.start_time or 0) / 1_000_000
    if container.duration and late > _LATE and container.format.name.startswith("matroska"):
        # some writers declare the last timestamp, others what lies between the first and the last
        return _end(container, container.duration / 1_000_000) - late
    if container.duration:
        return container.duration / 1_000_000
    return max(
        (float(each.duration * each.time_base) for each in container.streams if each.duration and each.time_base),
        default=0.0,
    )


def _end(container: "InputContainer", declared: float) -> float:
    """Where the last packets end, in seconds of the file's own clock; `declared` where nothing can be found there."""
    from av.error import FFmpegError

    try:
        container.seek(int(declared * 1_000_000), backward=True)
        last = [
            float((each.pts + (each.duration or 0)) * each.time_base)
            for each in islice(container.demux(), _TAIL)
            if each.pts is not None and each.time_base is not None
        ]
        container.seek(0)
    except FFmpegError:
        return declared
    return max(last, default=declared)


def _audio(stream: "AudioStream") -> AudioTrack:
    context = stream.codec_context
    language = stream.language if stream.language not in {None, "und"} else None
    return AudioTrack(
        index=stream.index, codec=context.name, rate=context.sample_rate, channels=context.channels, language=language
    )


def _video(container: "InputContainer", stream: "VideoStream") -> VideoTrack:
    context = stream.codec_context
    times, keys = _first_stretch(container, stream)
    steps = [after - before for before, after in pairwise(sorted(times)) if after > before]
    usual = statistics.median(steps) if steps else 0.0
    rotation, bits = _first_frame(container, stream)
    return VideoTrack(
        index=stream.index,
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        rotation=rotation,
        fps=float(stream.average_rate or (1 / usual if usual else 0)),
        # container clocks round to a millisecond or so, which is no variable rate
        variable_rate=any(abs(step - usual) > max(0.002, usual / 5) for step in steps),
        keyframe_seconds=statistics.median(b - a for a, b in pairwise(keys)) if len(keys) > 1 else None,
        bits=bits,
    )


def _first_stretch(container: "InputContainer", stream: "VideoStream") -> tuple[list[float], list[float]]:
    """Times of the first packets and of the keyframes among them, without decoding."""
    clock = SlotClock(stream, 0.0) if container.format.name == "avi" else Clock(stream, 0.0)
    first: list[Any] = list(islice(packets(container, stream), 900))
    timed = [(time, each.is_keyframe) for each in first if (time := clock.packet(each)) is not None]
    return [time for time, _ in timed], sorted(time for time, key in timed if key)


def _first_frame(container: "InputContainer", stream: "VideoStream") -> tuple[int, int]:
    """Rotation and bit depth; the display matrix reaches us only on decoded frames."""
    from av.error import FFmpegError

    try:
        container.seek(0)
        frame = next(iter(container.decode(stream)), None)
    except FFmpegError:
        frame = None
    if frame is None:
        return 0, 8
    return round(frame.rotation / 90) % 4 * 90, max((each.bits for each in frame.format.components), default=8)


def _whole_until(container: "InputContainer", size: int) -> float | None:
    """Where an indexed file's data stops, when it was cut off."""
    ends = list[float]()
    for stream in (*container.streams.video, *container.streams.audio):
        entries = stream.index_entries
        if not len(entries) or stream.time_base is None:
            continue
        first = entries[0].timestamp
        lost = next((each for each in entries if each.size and each.pos + each.size > size), None)
        if lost is not None:
            ends.append(float((lost.timestamp - first) * stream.time_base))
    return min(ends) if ends else None
