"""Sound as a file or a stream of bytes: WAV, FLAC, MP3, Opus, AAC and bare PCM, by FFmpeg's encoders through PyAV."""

import io
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tools.voice import Pcm
from tools.voice.sound import RATE, int16

Format = Literal["wav", "flac", "mp3", "opus", "aac", "pcm"]


@dataclass(frozen=True)
class Coding:
    """A container, its codec and what the codec takes. `rate` is Hz of the samples that go in."""

    media_type: str
    container: str = ""
    codec: str = ""
    rate: int = RATE
    bit_rate: int = 0


CODINGS: dict[Format, Coding] = {
    "wav": Coding("audio/wav"),
    "pcm": Coding("audio/pcm"),
    "flac": Coding("audio/flac", "flac", "flac"),
    "mp3": Coding("audio/mpeg", "mp3", "libmp3lame", bit_rate=128_000),
    "opus": Coding("audio/ogg", "ogg", "libopus", rate=48_000, bit_rate=48_000),
    "aac": Coding("audio/aac", "adts", "aac", bit_rate=128_000),
}
_UNKNOWN = 0xFFFF_FFFF


class Encoder:
    """Takes 16 bit mono and gives bytes as soon as the format has some; blocking.

    `seekable` gives everything at the end instead, with the lengths in its header that a stream cannot know.
    """

    def __init__(self, format: Format, *, rate: int | None = None, seekable: bool = False) -> None:
        self.coding = CODINGS[format]
        self.rate = rate or self.coding.rate
        self._format, self._seekable = format, seekable
        self._sink = io.BytesIO() if seekable else _Pipe()
        self._size = 0
        self._container: Any = None
        if self.coding.container:
            self._open()
        elif format == "wav":
            self._sink.write(wav_header(self.rate, None))

    def _open(self) -> None:
        import av

        options = {"write_xing": "0"} if self._format == "mp3" and not self._seekable else {}
        self._container = av.open(self._sink, "w", format=self.coding.container, options=options)
        self._stream = self._container.add_stream(self.coding.codec, rate=self.rate, layout="mono")
        if self.coding.bit_rate:
            self._stream.bit_rate = self.coding.bit_rate
        self._resampler = av.AudioResampler(
            format=self._stream.codec_context.format or "s16", layout="mono", rate=self.rate
        )

    def feed(self, samples: Pcm) -> bytes:
        """What the format has to say so far."""
        if self._container is None:
            data = int16(samples)
            self._size += len(data)
            self._sink.write(data)
        elif len(samples):
            import av

            whole = np.frombuffer(int16(samples), dtype="<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
            frame.sample_rate = self.rate
            self._write(frame)
        return b"" if self._seekable else self._taken()

    def end(self) -> bytes:
        """The rest, or everything when it is seekable."""
        if self._container is not None:
            self._write(None)
            self._container.mux(self._stream.encode(None))
            self._container.close()
        elif self._format == "wav" and isinstance(self._sink, io.BytesIO):
            self._sink.seek(0)
            self._sink.write(wav_header(self.rate, self._size))
        return self._sink.getvalue() if isinstance(self._sink, io.BytesIO) else self._taken()

    def _write(self, frame: Any) -> None:
        for each in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(each))

    def _taken(self) -> bytes:
        return self._sink.take() if isinstance(self._sink, _Pipe) else b""


class _Pipe:
    """A file that can only be written to, and that is emptied while it is written."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def wav_header(rate: int, size: int | None) -> bytes:
    """Of mono 16 bit PCM with `size` bytes; None for a stream whose length nobody knows."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _UNKNOWN if size is None else size + 36, b"WAVE"),
        *(b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16),
        *(b"data", _UNKNOWN if size is None else size),
    )
