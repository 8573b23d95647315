"""Clips that the benches make for themselves: moving, detailed, encoded as cameras and encoders usually do."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def moving_clip(
    path: Path, *, seconds: int, width: int = 1920, height: int = 1080, fps: int = 30, gop: int = 60
) -> Path:
    """FFmpeg's `testsrc2` with film grain over it, as H.264 with B-frames at about 5 Mbit/s."""
    import av
    from av.filter import Graph
    from av.video.frame import PictureType

    graph = Graph()
    source = graph.add("testsrc2", f"size={width}x{height}:rate={fps}:duration={seconds}")
    grain = graph.add("noise", "alls=6:allf=t")
    shape = graph.add("format", "pix_fmts=yuv420p")
    sink = graph.add("buffersink")
    source.link_to(grain)
    grain.link_to(shape)
    shape.link_to(sink)
    graph.configure()
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "g": str(gop), "keyint_min": str(gop), "sc_threshold": "0", "bf": "2"}
        stream: Any = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 5_000_000
        for number in range(seconds * fps):
            frame: Any = graph.pull()
            # the filter marks each frame as a keyframe, which x264 would obey
            frame.pict_type = PictureType.NONE
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def talk(path: Path, sounds: Sequence[Path], *, seconds: int, fps: int = 25) -> Path:
    """Six scenes in 720p: a slide with text, then something that moves, and so on; `sounds` are its sound, in order."""
    import av

    scene = max(1, seconds // 6)
    moving = [_noise(number) for number in range(3)]
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": "250"})
        picture.width, picture.height, picture.pix_fmt = 1280, 720, "yuv420p"
        sound: Any = container.add_stream("aac", rate=16_000, layout="mono")
        slides = [_slide(number) for number in range(3)]
        for number in range(seconds * fps):
            which = min(5, number // (scene * fps))
            drawn = slides[which // 2] if which % 2 == 0 else np.roll(moving[which // 2], number * 4, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for packet in _sound(sound, sounds, seconds):
            container.mux(packet)
    return path


def _slide(number: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1280, 720), ((16, 32, 64), (60, 20, 20), (18, 60, 30))[number])
    draw = ImageDraw.Draw(image)
    draw.text((90, 90), f"Chapter {number + 1}: the harbour", font=ImageFont.load_default(64), fill="white")
    for line in range(5):
        text = f"Point {line + 1} of part {number + 1}: ships, cranes and tides"
        draw.text((120, 230 + line * 80), text, font=ImageFont.load_default(36), fill=(220, 220, 200))
    return np.asarray(image)


def _noise(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (18, 32, 3), np.uint8)
    picture: NDArray[np.uint8] = np.kron(coarse, np.ones((40, 40, 1), np.uint8)).astype(np.uint8)
    return picture


def _sound(stream: Any, sounds: Sequence[Path], seconds: int) -> Iterator[Any]:
    import av

    from tools.media.decode import Decoder

    parts = [part for path in sounds for part in Decoder(path).pcm()]
    samples = np.zeros(seconds * 16_000, np.float32)
    heard = np.concatenate(parts)[: len(samples)] if parts else samples[:0]
    samples[: len(heard)] = heard
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 16_000, 0
    pieces = av.AudioResampler(format="fltp", layout="mono", rate=16_000, frame_size=1024)
    for piece in (*pieces.resample(frame), *pieces.resample(None), None):
        yield from stream.encode(piece)
