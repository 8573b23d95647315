"""Every container with every codec that it can hold: the right duration, the right frames at the right times."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.tools.films import counting, number_on
from tools.errors import TooLarge, UnsupportedMedia
from tools.media.container import Bounds
from tools.media.decode import Decoder
from tools.media.frames import FramePlan
from tools.media.reader import open_media
from tools.settings import Limits

VIDEO: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"g": "25", "bf": "2", "preset": "ultrafast"}),
    "hevc": ("libx265", {"x265-params": "log-level=none", "preset": "ultrafast"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "8"}),
    "mpeg4": ("mpeg4", {"bf": "2"}),
}
SOUND = {
    "mp3": ("libmp3lame", 44_100),
    "aac": ("aac", 44_100),
    "pcm": ("pcm_s16le", 44_100),
    "opus": ("libopus", 48_000),
}
HOLDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mp4": (tuple(VIDEO), tuple(SOUND)),
    "mov": (("h264", "hevc", "mpeg4"), ("mp3", "aac", "pcm")),
    "avi": (("h264", "vp9", "av1", "mpeg4"), ("mp3", "aac", "pcm")),
    "mkv": (tuple(VIDEO), tuple(SOUND)),
    "webm": (("vp9", "av1"), ("opus",)),
}
"""What FFmpeg writes into each. QuickTime has no Opus, AVI no H.265, and WebM allows only its own."""
MATRIX = [(kind, video, sound) for kind, held in HOLDS.items() for video in held[0] for sound in held[1]]


@pytest.fixture(autouse=True, scope="module")
def usual_priority() -> Iterator[None]:
    """The AV1 encoder makes whoever runs as root a real-time process, for good."""
    av.logging.set_level(av.logging.PANIC)
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def movie(
    path: Path,
    video: str,
    sound: str | None = None,
    *,
    fps: int = 25,
    seconds: float = 1.2,
    size: tuple[int, int] = (160, 96),
    times: list[float] | None = None,
    start: float = 0.0,
    rotation: int = 0,
) -> Path:
    """Numbered frames and, from the beginning, a tone. With `times` each frame has its own."""
    name, options = VIDEO[video]
    clock = 1_000 if times else fps
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream(name, rate=fps, options=options)
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        picture.codec_context.time_base = Fraction(1, clock)
        if rotation:
            picture.set_display_rotation(rotation)
        track: Any = container.add_stream(SOUND[sound][0], rate=SOUND[sound][1], layout="mono") if sound else None
        draw, packets = counting(*size), list[Any]()
        for number in range(len(times) if times else round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts = round(((times[number] if times else number / fps) + start) * clock)
            frame.time_base = Fraction(1, clock)
            packets += picture.encode(frame)
        packets += picture.encode(None)
        heard = list(_tone(track, seconds)) if track is not None else []
        for packet in [*_from_zero(packets), *_from_zero(heard)] if path.suffix == ".avi" else [*packets, *heard]:
            container.mux(packet)
    return path


def _from_zero(packets: list[Any]) -> list[Any]:
    """AVI has no time before zero: what comes earlier, to prime a decoder, would push all of it back."""
    first = packets[0].dts if packets else 0
    for each in packets:
        each.pts, each.dts = each.pts - first, each.dts - first
    return packets


def _tone(track: Any, seconds: float) -> Iterator[Any]:
    """A sine of 440 Hz."""
    rate, context = track.rate, track.codec_context
    wave = (0.3 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)).astype(np.float32)
    whole = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
    whole.sample_rate, whole.pts = rate, 0
    resampler = av.AudioResampler(
        format=context.format.name, layout="mono", rate=rate, frame_size=context.frame_size or 1_024
    )
    for frame in [*resampler.resample(whole), *resampler.resample(None), None]:
        yield from track.encode(frame)


def numbered(path: Path, *, mode: str = "full", step: float = 0.2) -> list[tuple[float, int]]:
    plan = FramePlan(mode=mode, step=step, side=320)  # type: ignore[arg-type]
    return [(each.time, number_on(each.image)) for each in Decoder(path).frames(plan) if each.image is not None]


@pytest.mark.parametrize(("kind", "video", "sound"), MATRIX, ids=str)
def test_each_container_holds_what_it_can(tmp_path: Path, kind: str, video: str, sound: str) -> None:
    path = movie(tmp_path / f"a.{kind}", video, sound)
    decoder = Decoder(path)
    probe = decoder.probe()
    assert probe.video is not None
    assert (probe.video.codec, probe.video.width, probe.video.height) == (video, 160, 96)
    assert probe.video.fps == pytest.approx(25, rel=0.01)
    assert not probe.video.variable_rate
    # sound is coded in blocks of up to 1,152 samples, the last one filled up
    assert probe.duration == pytest.approx(1.2, abs=0.06)
    frames = numbered(path)
    assert len(frames) >= 6
    assert [(number, time) for time, number in frames if time != pytest.approx(number / 25, abs=0.003)] == []
    heard = np.concatenate(list(decoder.pcm()))
    assert len(heard) / 16_000 == pytest.approx(1.2, abs=0.06)
    assert float(np.sqrt(np.square(heard[1_600:16_000]).mean())) == pytest.approx(0.21, abs=0.02)


@pytest.mark.parametrize("fps", [24, 30, 50, 60])
@pytest.mark.parametrize(("kind", "video"), [("mp4", "h264"), ("mkv", "hevc"), ("webm", "vp9"), ("avi", "mpeg4")])
def test_frame_rates(tmp_path: Path, kind: str, video: str, fps: int) -> None:
    path = movie(tmp_path / f"a.{kind}", video, fps=fps)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert probe.video.fps == pytest.approx(fps, rel=0.01)
    assert probe.duration == pytest.approx(1.2, abs=1.5 / fps)
    assert all(time == pytest.approx(number / fps, abs=0.003) for time, number in numbered(path))


@pytest.mark.parametrize(("kind", "video"), [("mp4", "h264"), ("mov", "hevc"), ("mkv", "vp9"), ("webm", "av1")])
@pytest.mark.parametrize("mode", ["full", "keyframes"])
def test_each_frame_of_a_variable_rate_has_its_own_time(tmp_path: Path, kind: str, video: str, mode: str) -> None:
    times = [*np.arange(0, 0.6, 0.04), *np.arange(0.6, 2.6, 0.5), *np.arange(2.6, 3.2, 0.04)]
    path = movie(tmp_path / f"a.{kind}", video, times=[float(each) for each in times])
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert probe.video.variable_rate
    frames = numbered(path, mode=mode, step=0.4)
    assert len(frames) >= 5
    assert all(time == pytest.approx(times[number], abs=0.003) for time, number in frames)


@pytest.mark.parametrize(("kind", "video"), [("mp4", "h264"), ("mkv", "hevc"), ("webm", "vp9")])
def test_times_count_from_the_first_frame(tmp_path: Path, kind: str, video: str) -> None:
    path = movie(tmp_path / f"a.{kind}", video, start=7.0)
    probe = Decoder(path).probe()
    assert probe.duration == pytest.approx(1.2, abs=0.06)
    assert all(time == pytest.approx(number / 25, abs=0.003) for time, number in numbered(path))


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_turned_pictures_are_shown_upright(tmp_path: Path, kind: str, rotation: int) -> None:
    path = movie(tmp_path / f"a.{kind}", "h264", seconds=0.2, rotation=rotation)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert probe.video.rotation == rotation
    frame = next(Decoder(path).frames(FramePlan(side=0)))
    assert frame.image is not None
    assert frame.image.shape[:2] == ((160, 96) if rotation in (90, 270) else (96, 160))


@pytest.mark.parametrize("video", ["h264", "hevc", "av1"])
def test_the_largest_picture_is_read_and_a_larger_one_refused(tmp_path: Path, video: str) -> None:
    path = movie(tmp_path / "a.mp4", video, size=(3840, 2160), seconds=0.12)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert (probe.video.width, probe.video.height) == (3840, 2160)
    assert numbered(path)[0] == (0.0, 0)
    with pytest.raises(TooLarge, match="3840x2160; the limit is 2,073,600 pixels"):
        Decoder(path, Bounds(pixels=1920 * 1080)).probe()


def test_a_medium_may_end_a_moment_after_its_limit(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", "h264", seconds=4.0)
    assert Decoder(path, Bounds(seconds=3.9995)).probe().duration == pytest.approx(4.0, abs=0.1)
    with pytest.raises(TooLarge, match="lasts 4 s; the limit is 4 s"):
        Decoder(path, Bounds(seconds=3.995)).probe()


ODD = {
    "av1_video.mkv": ("av1", 0.0),
    "discard_first_keyframe.mp4": ("h264", 0.0),
    "h265_10bits.mp4": ("hevc", 0.0),
    "nasa_13013_rotated.mp4": ("h264", 0.0),
    "test_non_zero_start.mp4": ("h264", 0.0),
    "testsrc2_mpeg4.avi": ("mpeg4", 0.0),
    "testsrc2_vp9.webm": ("vp9", 0.0),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", ODD)
async def test_odd_files_are_read_in_the_limited_child(data: Path, name: str) -> None:
    path = data / "video" / "odd" / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    async with open_media(path, Limits()) as reader:
        probe = await reader.probe()
        times = [each.time async for each in reader.frames(FramePlan(step=0.5))]
    assert probe.video is not None
    assert probe.video.codec == ODD[name][0]
    # the truth is counted by a plain decoder: its frames, from the first one that is shown
    with av.open(str(path)) as container:
        shown = sorted(each.time for each in container.decode(video=0))
    lasts = shown[-1] - min(shown[0], probe.start)
    assert times == sorted(times)
    assert times[0] == pytest.approx(0.0, abs=0.1)
    assert times[-1] == pytest.approx(lasts, abs=0.1)
    assert probe.duration >= times[-1] - 0.05


@pytest.mark.anyio
async def test_a_broken_picture_is_no_film(data: Path) -> None:
    path = data / "video" / "odd" / "bad_huffman.jpg"
    if not path.exists():
        pytest.skip(f"needs {path}")
    async with open_media(path, Limits()) as reader:
        with pytest.raises(UnsupportedMedia, match="still image"):
            await reader.probe()
