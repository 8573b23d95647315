"""Sound that is still arriving, in a container: WebM or Ogg as a browser records it. Runs in a limited child."""

import threading
from collections import deque
from typing import Literal

import numpy as np

from tools.media.container import Bounds
from tools.media.sound import Pcm, Resampling

_PATIENCE = 5.0
"""Seconds that `feed` waits for the decoder to be hungry again."""
_MAGIC = {"matroska": b"\x1aE\xdf\xa3", "ogg": b"OggS"}


class Pipe:
    """The bytes that have arrived, as the file that the demuxer reads; a read waits for more."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._ended = False
        self.changed = threading.Condition()
        self.hungry = False

    def write(self, data: bytes) -> None:
        with self.changed:
            self._parts.append(data)
            self.hungry = False
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self._ended = True
            self.changed.notify_all()

    def read(self, size: int) -> bytes:
        with self.changed:
            while not self._parts and not self._ended:
                self.hungry = True
                self.changed.notify_all()
                self.changed.wait()
            if not self._parts:
                return b""
            data = self._parts.popleft()
            if len(data) > size:
                self._parts.appendleft(data[size:])
            return data[:size]


class LiveSound:
    """Bytes in, 16 kHz mono out; what is damaged is left out."""

    def __init__(self, container: Literal["matroska", "ogg"], bounds: Bounds) -> None:
        self._pipe, self._container, self._bounds = Pipe(), container, bounds
        self._head, self._done = b"", False
        self._failed = ""
        self._out: list[Pcm] = []
        threading.Thread(target=self._decode, daemon=True).start()

    def feed(self, data: bytes) -> Pcm:
        """What could be decoded so far."""
        if len(self._head) < len(_MAGIC[self._container]):
            self._head += data[:4]
            if not self._head.startswith(_MAGIC[self._container][: len(self._head)]):
                self._failed = f"it begins with {self._head[:4]!r}."
                return self._taken()
        self._pipe.write(data)
        with self._pipe.changed:
            self._pipe.changed.wait_for(lambda: self._pipe.hungry or self._done, timeout=_PATIENCE)
        return self._taken()

    def finish(self) -> Pcm:
        """The rest."""
        self._pipe.end()
        with self._pipe.changed:
            self._pipe.changed.wait_for(lambda: self._done, timeout=_PATIENCE)
        return self._taken()

    def _taken(self) -> Pcm:
        if self._failed:
            from tools.errors import UnsupportedMedia

            raise UnsupportedMedia(f"The stream is no sound in {self._container}: {self._failed}")
        parts, self._out = self._out, []
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _decode(self) -> None:
        import av

        try:
            with av.open(self._pipe, "r", format=self._container, metadata_errors="replace") as container:
                resampling, sent = Resampling(), 0
                for frame in container.decode(audio=0):
                    self._out.append(resampling.feed(frame))
                    sent += len(self._out[-1])
                    if sent > self._bounds.seconds * 16_000:
                        self._failed = f"it is longer than {self._bounds.seconds:.0f} s."
                        return
                self._out.append(resampling.rest())
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            self._failed = f"{type(error).__name__}."
        finally:
            with self._pipe.changed:
                self._done = True
                self._pipe.changed.notify_all()
