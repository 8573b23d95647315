"""Clips that the benches make for themselves: moving, detailed, encoded as cameras and encoders usually do."""

from fractions import Fraction
from pathlib import Path
from typing import Any


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
