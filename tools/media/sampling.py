"""Frames of a video by plan: keyframes first, gaps filled, never more decoded than the plan needs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tools.media.frames import Changes, Frame, FramePlan, Image
from tools.media.looks import CUT, Change, Look, strength, thumbnail
from tools.media.motion import Mover

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


class Clock:
    """Frame times in seconds of the medium. A frame without a timestamp follows its predecessor."""

    def __init__(self, stream: "VideoStream", start: float) -> None:
        self._base = float(stream.time_base or 0) or 1 / 90_000
        self.frame_seconds = 1 / float(stream.average_rate or 25)
        self._start = start
        self._last = -self.frame_seconds

    def packet(self, packet: "Packet[Any]") -> float | None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        return None if stamp is None else stamp * self._base - self._start

    def frame(self, frame: "VideoFrame") -> float:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = self._last + self.frame_seconds if stamp is None else stamp * self._base - self._start
        self._last = time
        return time


class SlotClock(Clock):
    """AVI numbers its frames in the order of decoding and does not tell when they are shown; what FFmpeg guesses is a
    frame or two wrong where there are B-frames. The decoder gives them in the order of showing, each so many slots
    behind the packet that made it give one as the first was.
    """

    def __init__(self, stream: "VideoStream", start: float) -> None:
        super().__init__(stream, start)
        self._first: int | None = None
        self._behind: int | None = None

    def packet(self, packet: "Packet[Any]") -> float | None:
        if packet.dts is None:
            return None
        self._first = packet.dts if self._first is None else self._first
        return packet.dts * self._base - self._start

    def frame(self, frame: "VideoFrame") -> float:
        if frame.dts is None or self._first is None:
            self._last += self.frame_seconds
            return self._last
        if self._behind is None:
            self._behind = frame.dts - self._first
        self._last = (frame.dts - self._behind) * self._base - self._start
        return self._last


class Sampler:
    """Decides which decoded frames to keep and makes their pictures."""

    def __init__(self, plan: FramePlan, clock: Clock) -> None:
        from av.video.reformatter import VideoReformatter

        self._plan, self._clock = plan, clock
        # a scaler keeps its tables only while size and format stay the same
        self._points, self._areas, self._pictures, self._greys = (VideoReformatter() for _ in range(4))
        self._change, self._changes = Change(), list[tuple[float, float, float, float]]()
        self._mover = Mover()
        self._look: Look | None = None
        self._due = plan.start
        self._since = -1e9
        self._unsent: tuple[float, VideoFrame] | None = None

    def take(self, frame: "VideoFrame") -> Frame | None:
        """The sample that this frame becomes, or None when it is not wanted."""
        time = self._clock.frame(frame)
        if time < self._plan.start - self._clock.frame_seconds / 2:
            return None
        thumb = thumbnail(frame, self._points, exact=False)
        colours, structure = self._change.of(thumb)
        self._changes.append((time, colours, structure, float(thumb[0].mean()) / 255))
        self._mover.see(time, frame, self._greys)
        if not self._wanted(time, bool(frame.key_frame), strength(colours, structure)):
            self._unsent = (time, frame)
            return None
        # steps stay on their grid, so that a late frame does not push all later ones, and one taken early none
        if time >= self._due - self._clock.frame_seconds / 2 or self._plan.mode == "keyframes":
            steps = int((time - self._plan.start) / self._plan.step + 0.5) if self._plan.step else 0
            self._due = max(time + self._plan.step / 2, self._plan.start + (steps + 1) * self._plan.step)
        self._since = time
        return self._sample(time, frame)

    def last(self) -> Frame | None:
        """The last decoded frame, when it was not kept."""
        return self._sample(*self._unsent) if self._unsent else None

    def _wanted(self, time: float, key: bool, change: float) -> bool:
        if time >= self._due - self._clock.frame_seconds / 2:
            return True
        # a new shot may be over before the next step
        if change >= CUT and self._plan.mode == "full" and time - self._since >= self._plan.step / 4:
            return True
        # encoders place keyframes where scenes begin, so one between two steps is worth a look
        return key and self._plan.mode == "keyframes" and time - self._since >= self._plan.step / 4

    def _sample(self, time: float, frame: "VideoFrame") -> Frame:
        self._unsent = None
        changes: Changes = np.array(self._changes, np.float32).reshape(-1, 4)
        self._changes.clear()
        image: Image | None = None
        look = Look(thumbnail(frame, self._areas, exact=True)) if self._plan.skip_same else None
        if look is None or self._look is None or not look.same(self._look):
            image, self._look = self._picture(frame), look
        return Frame(
            time=max(0.0, time), image=image, key=bool(frame.key_frame), changes=changes, motion=self._mover.taken()
        )

    def _picture(self, frame: "VideoFrame") -> Image:
        longest = max(frame.width, frame.height)
        scale = min(1.0, self._plan.side / longest) if self._plan.side else 1.0
        width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
        small = self._pictures.reformat(frame, width, height, "rgb24", interpolation="FAST_BILINEAR")
        image = cast("Image", small.to_ndarray())
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class _Decoding:
    """One decoder with its skip mode; damaged packets are counted and left out."""

    def __init__(self, stream: "VideoStream") -> None:
        self.context = stream.codec_context
        self.damaged = 0

    def feed(self, packet: "Packet[Any] | None") -> "Iterator[VideoFrame]":
        from av.error import EOFError as Ended
        from av.error import FFmpegError

        try:
            yield from self.context.decode(packet)
        except Ended:
            return
        except MemoryError:
            raise
        except FFmpegError:
            self.damaged += 1

    def finish(self) -> "Iterator[VideoFrame]":
        """What the decoder still holds; afterwards it is ready for a keyframe."""
        yield from self.feed(None)
        self.context.flush_buffers()


def packets(container: "InputContainer", stream: "VideoStream") -> "Iterator[Packet[Any]]":
    """The stream's packets; a file that is cut off simply ends."""
    from av.error import FFmpegError

    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def every_frame(container: "InputContainer", stream: "VideoStream", plan: FramePlan, clock: Clock) -> Iterator[Frame]:
    decoding, sampler = _Decoding(stream), Sampler(plan, clock)
    for packet in packets(container, stream):
        time = clock.packet(packet)
        if plan.end is not None and time is not None and packet.is_keyframe and time >= plan.end:
            break
        for frame in decoding.feed(packet):
            yield from _within(sampler.take(frame), plan)
    for frame in decoding.finish():
        yield from _within(sampler.take(frame), plan)
    yield from _within(sampler.last(), plan)


def keyframes_first(
    container: "InputContainer", stream: "VideoStream", plan: FramePlan, clock: Clock
) -> Iterator[Frame]:
    """Keyframes; where the next one is further away than a step, the group is decoded as far as the last step in it.

    At most one step of packets waits: when a keyframe comes first they are dropped unread, otherwise they are decoded.
    """
    decoding, sampler = _Decoding(stream), Sampler(plan, clock)
    waiting = list[Any]()
    filling, due, last_key = False, plan.start, -1e9
    # frames that no other frame needs are not worth decoding; dav1d takes this only when it starts
    if stream.codec_context.codec.canonical_name in {"h264", "hevc", "mpeg4", "mpeg2video"}:
        decoding.context.skip_frame = "NONREF"
    for packet in packets(container, stream):
        time = clock.packet(packet)
        if plan.end is not None and time is not None and packet.is_keyframe and time >= plan.end:
            break
        if packet.is_keyframe:
            waiting.clear()
            if filling:
                yield from _kept(decoding.finish(), sampler, plan)
                filling = False
            if time is not None and time < min(due, last_key + plan.step / 4):
                # intra-only video: a keyframe that nobody asked for
                waiting.append(packet)
                continue
            last_key = due if time is None else time
            due = max(plan.start, last_key + plan.step) if last_key >= plan.start else plan.start
            yield from _kept(decoding.feed(packet), sampler, plan)
            continue
        waiting.append(packet)
        if time is not None and time >= due:
            filling = True
            for each in waiting:
                yield from _kept(decoding.feed(each), sampler, plan)
            waiting.clear()
            due += plan.step
    yield from _kept(decoding.finish(), sampler, plan)
    yield from _within(sampler.last(), plan)


def _kept(frames: "Iterator[VideoFrame]", sampler: Sampler, plan: FramePlan) -> Iterator[Frame]:
    for frame in frames:
        yield from _within(sampler.take(frame), plan)


def _within(sample: Frame | None, plan: FramePlan) -> Iterator[Frame]:
    if sample is not None and (plan.end is None or sample.time < plan.end):
        yield sample
