"""A long film made quickly: one minute of picture and some of speech are encoded, and their packets written again."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
RATE, FPS, SCENE = 16_000, 25, 10
_PAUSES = (1.2, 0.6, 2.5)
TITLES = ("The harbour at night", "Ships, cranes and tides", "What the archive keeps")


def lecture(
    path: Path, photos: Sequence[Path], sounds: Sequence[Path], *, minutes: int, height: int = 720, gop: int = 250
) -> Path:
    """Slides and photographs that a camera pans over, in turn; `sounds` are played with pauses, and from the beginning
    again until the film ends. `gop` is the most frames between keyframes. Blocking."""
    import av

    folder = path.parent
    once, said = folder / f"{path.stem}-minute.mp4", folder / f"{path.stem}-sound.mp4"
    _minute(once, photos, height, gop)
    _speech(said, sounds)
    with av.open(str(path), "w") as film, av.open(str(once)) as seen, av.open(str(said)) as heard:
        pictures = _Loop(film, seen, seen.streams.video[0])
        speech = _Loop(film, heard, heard.streams.audio[0])
        for minute in range(1, minutes + 1):
            # the last frames must not reach over the end: two hours are the longest that is taken
            until = minute * 60.0 - (0.2 if minute == minutes else 0.0)
            pictures.write(until)
            speech.write(until)
    once.unlink()
    said.unlink()
    return path


class _Loop:
    """One stream's packets over and over, each time later."""

    def __init__(self, film: Any, source: Any, stream: Any) -> None:
        self._film, self._stream = film, film.add_stream_from_template(stream)
        self._base = stream.time_base
        self._packets = [
            (bytes(each), each.pts, each.dts, each.duration, each.is_keyframe)
            for each in source.demux(stream)
            if each.size
        ]
        first = min(pts for _, pts, *_ in self._packets)
        self._length = max(pts + duration for _, pts, _, duration, _ in self._packets) - first
        self._written = 0

    def write(self, until: float) -> None:
        """Write packets up to so many seconds of the film."""
        import av

        while True:
            turn, number = divmod(self._written, len(self._packets))
            data, pts, dts, duration, key = self._packets[number]
            if (pts + turn * self._length) * self._base >= until:
                return
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = self._stream, self._base, key
            packet.pts, packet.dts, packet.duration = pts + turn * self._length, dts + turn * self._length, duration
            self._film.mux(packet)
            self._written += 1


def _minute(path: Path, photos: Sequence[Path], height: int, gop: int) -> None:
    import av

    width = height * 16 // 9
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "crf": "30", "g": str(gop)}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, image in enumerate(_scenes(photos, width, height)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _scenes(photos: Sequence[Path], width: int, height: int) -> Iterator[Image]:
    """Six scenes of ten seconds: a slide, then a photograph over which the camera pans."""
    count = SCENE * FPS
    for number in range(3):
        slide = _slide(number, width, height)
        for _ in range(count):
            yield slide
        photo = _photo(photos[number % len(photos)], width * 5 // 4, height)
        for at in range(count):
            left = (photo.shape[1] - width) * at // count
            yield photo[:, left : left + width]


def _slide(number: int, width: int, height: int) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (width, height), ((16, 32, 64), (60, 20, 20), (18, 60, 30))[number])
    draw = ImageDraw.Draw(image)
    unit = height // 18
    draw.text((2 * unit, 2 * unit), TITLES[number], font=ImageFont.load_default(1.6 * unit), fill="white")
    for line in range(5):
        text = f"Point {line + 1} of part {number + 1}: {TITLES[(number + line) % 3].lower()}"
        draw.text((3 * unit, (6 + 2 * line) * unit), text, font=ImageFont.load_default(unit), fill=(220, 220, 200))
    return np.asarray(image)


def _photo(path: Path, width: int, height: int) -> Image:
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (width, height)))


def _speech(path: Path, sounds: Sequence[Path]) -> None:
    import av

    from tools.media.decode import Decoder

    parts = list[NDArray[np.float32]]()
    for number, sound in enumerate(sounds):
        parts += [*Decoder(sound).pcm(), np.zeros(int(_PAUSES[number % 3] * RATE), np.float32)]
    samples = np.concatenate(parts)
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    pieces = av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1024)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for piece in (*pieces.resample(frame), *pieces.resample(None), None):
            for packet in stream.encode(piece):
                container.mux(packet)
