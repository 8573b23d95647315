"""Tiny media that tests make for themselves."""

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int], NDArray[np.uint8]]


def counting(width: int, height: int, *, bits: int = 8) -> Draw:
    """Frames that carry their own number as black and white bars, readable after scaling and compression."""

    def draw(number: int) -> NDArray[np.uint8]:
        frame = np.full((height, width, 3), 90, np.uint8)
        bar = width // bits
        for bit in range(bits):
            frame[height // 2 :, bit * bar : (bit + 1) * bar] = 255 if number >> bit & 1 else 0
        return frame

    return draw


@cache
def wide(seed: int = 1) -> NDArray[np.uint8]:
    """A picture with structure at several sizes, larger than the frame."""
    rng = np.random.default_rng(seed)
    layers = [
        np.kron(rng.integers(0, 256, (540 // size + 1, 960 // size + 1, 3)), np.ones((size, size, 1)))[:540, :960]
        for size in (90, 30, 10)
    ]
    picture: NDArray[np.uint8] = (sum(layers) / 3).astype(np.uint8)  # type: ignore[union-attr]
    return picture


def through(
    x: float, y: float, zoom: float = 1.0, seed: int = 1, size: tuple[int, int] = (320, 180)
) -> NDArray[np.uint8]:
    """What a camera sees that looks at this point of a wide picture."""
    from PIL import Image

    half_x, half_y = size[0] / 2 / zoom, size[1] / 2 / zoom
    box = (x - half_x, y - half_y, x + half_x, y + half_y)
    return np.asarray(Image.fromarray(wide(seed)).resize(size, Image.Resampling.BILINEAR, box=box))


def number_on(image: NDArray[np.uint8], *, bits: int = 8) -> int:
    """The number that `counting` drew."""
    height, width, _ = image.shape
    bar = width / bits
    row = image[height * 3 // 4, :, 1]
    return sum(int(row[int((bit + 0.5) * bar)] > 128) << bit for bit in range(bits))


def film(
    path: Path,
    *,
    draw: Draw | None = None,
    frames: int = 60,
    fps: int = 25,
    size: tuple[int, int] = (160, 96),
    gop: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[float] | None = None,
    tone: float = 0.0,
    rotation: int = 0,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A film of `frames` frames; with `times` each frame has its own time, `tone` adds seconds of a sine."""
    import av

    draw = draw or counting(*size)
    choices = {"g": str(gop), "keyint_min": str(gop), "sc_threshold": "0", "bf": "2"} if codec == "libx264" else {}
    container_options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", container_options=container_options | (options or {})) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=fps, options=choices)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        # AVI counts frames and knows no other clock
        clock = 1000 if times else fps
        stream.codec_context.time_base = Fraction(1, clock)
        sound: Any = container.add_stream("aac", rate=16000, layout="mono") if tone else None
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts = round((times[number] if times else number / fps) * clock)
            frame.time_base = Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            for packet in _tone(sound, tone):
                container.mux(packet)
    # the AV1 encoder makes whoever runs as root a real-time process, for good
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def _tone(stream: Any, seconds: float) -> list[Any]:
    import av

    samples = (0.3 * np.sin(np.arange(int(seconds * 16000)) * 2 * np.pi * 440 / 16000)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 16000, 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=16000, frame_size=1024)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for part in (*parts, None) for packet in stream.encode(part)]


def wav(path: Path, samples: NDArray[np.float32], rate: int = 16000) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path
