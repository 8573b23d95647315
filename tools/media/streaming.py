"""A live picture from an address, decoded as it comes; runs in a limited child. The newest frame wins here too."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np

from tools.errors import Forbidden, UnsupportedMedia
from tools.media.container import Bounds, quiet
from tools.media.frames import Image
from tools.media.sound import Pcm, Resampling

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

_SIDE = 1_280
_SECONDS = 10.0
"""For which the other side may be silent."""
_RESOURCE = 64 * 1024**2
"""Bytes of one playlist or segment."""
_HELD = 30.0
"""Seconds of sound that may wait."""


@dataclass(frozen=True)
class Piece:
    """`at` is seconds since the first frame; `dropped` frames came since the last piece and were not taken."""

    at: float
    image: Image | None
    sound: Pcm | None
    dropped: int


class Streaming:
    """Decodes in a thread, so that a reader who is slow misses frames and the other side never waits."""

    def __init__(self, url: str, allow: tuple[str, ...], bounds: Bounds, fps: float, sound: bool) -> None:
        quiet()
        self._url, self._allow, self._bounds = url, allow, bounds
        self._step, self._sound = 1 / fps, sound
        self._changed = threading.Condition()
        self._frame: tuple[float, VideoFrame] | None = None
        self._heard: list[Pcm] = []
        self._dropped = 0
        self._at = 0.0
        self._done, self._failed = False, ""

    def pieces(self) -> Iterator[Piece]:
        """What has come since the last one; raises `UnsupportedMedia` for what is no picture, or ends with it."""
        threading.Thread(target=self._decode, daemon=True).start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame or self._heard or self._done)
                frame, heard, dropped = self._frame, self._heard, self._dropped
                self._frame, self._heard, self._dropped = None, [], 0
                done, failed, at = self._done, self._failed, self._at
            if frame is not None or heard:
                sound = np.concatenate(heard) if heard else None
                image = None if frame is None else _shown(frame[1])
                yield Piece(at if frame is None else frame[0], image, sound, dropped)
            elif failed:
                raise UnsupportedMedia(f"The live picture cannot be read: {failed}")
            elif done:
                return

    def _decode(self) -> None:
        import av

        try:
            with self._open() as container:
                self._read(container)
        except (av.error.FFmpegError, ValueError, OSError, Forbidden, http.client.HTTPException) as error:
            self._failed = str(error)[:200] or type(error).__name__
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _open(self) -> "InputContainer":
        import av

        pixels = {"max_pixels": str(self._bounds.pixels), "max_streams": str(self._bounds.streams * 4)}
        if self._url.startswith("rtsp"):
            options = pixels | {"rtsp_transport": "tcp", "timeout": str(int(_SECONDS * 1_000_000))}
            return av.open(self._url, "r", format="rtsp", options=options, timeout=_SECONDS, metadata_errors="replace")
        # whatever the playlist names is opened by us, and checked
        return av.open(
            self._url,
            "r",
            format="hls",
            options=pixels | {"http_persistent": "0", "seg_max_retry": "2"},
            io_open=self._fetch,
            metadata_errors="replace",
        )

    def _fetch(self, url: str, flags: int, options: Any) -> "_Body":
        from tools.media.streams import is_listed

        if not is_listed(url, self._allow):
            raise Forbidden(f"The playlist names {url[:120]!r}, which is not among SUTRADHAR_LIVE__ALLOW.")
        return _Body(url)

    def _read(self, container: "InputContainer") -> None:
        from av import AudioFrame, VideoFrame

        if not container.streams.video:
            raise ValueError("it has no picture")
        picture = container.streams.video[0]
        picture.codec_context.options = {"max_pixels": str(self._bounds.pixels)}
        tracks = [picture, *(container.streams.audio[:1] if self._sound else ())]
        resampling, began, last, first = Resampling(), time.monotonic(), -1e9, None
        for frame in container.decode(tracks):
            if time.monotonic() - began > self._bounds.seconds:
                return
            if isinstance(frame, AudioFrame):
                self._hear(resampling.feed(frame))
            if not isinstance(frame, VideoFrame):
                continue
            first = (frame.time or 0.0) if first is None else first
            at = (frame.time or 0.0) - first
            if at - last < self._step - 0.001:
                continue
            last = at
            with self._changed:
                self._dropped += self._frame is not None
                self._frame, self._at = (at, frame), at
                self._changed.notify_all()

    def _hear(self, sound: Pcm) -> None:
        with self._changed:
            if sum(map(len, self._heard)) < _HELD * 16_000:
                self._heard.append(sound)
                self._changed.notify_all()


class _Body:
    """What an address answers, as a file that can only be read on."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url[:120]!r} is not an http or https address")
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_SECONDS)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._connection.request("GET", target, headers={"Accept-Encoding": "identity"})
        self._answer = self._connection.getresponse()
        self._left = _RESOURCE
        if self._answer.status != 200:
            # a redirect leads where nobody has looked
            self.close()
            raise ValueError(f"{parts.hostname} answered {self._answer.status}")

    def read(self, size: int) -> bytes:
        data = self._answer.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._connection.close()


def _shown(frame: "VideoFrame") -> Image:
    scale = min(1.0, _SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
    return cast("Image", frame.reformat(width, height, "rgb24").to_ndarray())
