"""Frames come at their right times from films of every awkward kind."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tools.films import Draw, film, number_on, wav
from tools.errors import InvalidInput
from tools.media.decode import Decoder
from tools.media.frames import Frame, FramePlan

ROOT = Path(__file__).parents[2]


def seen(path: Path, **plan: object) -> list[Frame]:
    return list(Decoder(path).frames(FramePlan(**plan)))  # type: ignore[arg-type]


def numbers(frames: list[Frame]) -> list[tuple[float, int]]:
    return [(round(each.time, 3), number_on(each.image)) for each in frames if each.image is not None]


def test_full_mode_keeps_one_frame_a_step_and_the_last(tmp_path: Path) -> None:
    found = numbers(seen(film(tmp_path / "a.mp4", frames=60), step=0.5))
    # the bars of 32 differ from those of 31 as one shot does from another
    assert [number for _, number in found] == [0, 12, 25, 32, 37, 50, 59]
    assert all(time == pytest.approx(number / 25, abs=0.002) for time, number in found)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_keyframe_mode_fills_gaps_that_are_wider_than_the_step(tmp_path: Path, name: str, codec: str) -> None:
    found = numbers(seen(film(tmp_path / name, codec=codec, frames=100, gop=100), mode="keyframes", step=1.0))
    assert all(time == pytest.approx(number / 25, abs=0.002) for time, number in found)
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(found)]
    assert max(gaps) <= 1.2
    assert found[0][0] == 0
    assert found[-1][0] >= 2.9


def test_keyframe_mode_decodes_no_more_than_keyframes_when_they_are_close_enough(tmp_path: Path) -> None:
    frames = seen(film(tmp_path / "a.mp4", frames=150, gop=25), mode="keyframes", step=1.0)
    assert [round(each.time, 2) for each in frames] == [0, 1, 2, 3, 4, 5]
    assert all(each.key for each in frames)
    assert sum(len(each.changes) for each in frames) == 6


def test_keyframe_mode_leaves_out_keyframes_nobody_asked_for(tmp_path: Path) -> None:
    frames = seen(film(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=100), mode="keyframes", step=1.0)
    assert len(frames) <= 17
    assert sum(len(each.changes) for each in frames) <= 17


def test_variable_frame_rate_keeps_each_frames_own_time(tmp_path: Path) -> None:
    times = [*np.arange(0, 1, 0.04), *np.arange(1, 4, 0.5), *np.arange(4, 5, 0.04)]
    path = film(tmp_path / "a.mp4", frames=len(times), times=times)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert probe.video.variable_rate
    for mode in ("full", "keyframes"):
        for time, number in numbers(seen(path, mode=mode, step=0.5)):
            assert time == pytest.approx(times[number], abs=0.003)


def test_a_late_start_and_an_early_one_count_from_the_mediums_own_zero(tmp_path: Path) -> None:
    late = film(tmp_path / "late.mkv", frames=50, times=[8.3 + n / 25 for n in range(50)])
    assert Decoder(late).probe().start == pytest.approx(8.3, abs=0.1)
    found = numbers(seen(late, step=1.0))
    assert found[:2] == [(0, 0), (1.0, 25)]


def test_a_window_begins_and_ends_where_it_should(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=150, gop=50)
    for mode in ("full", "keyframes"):
        found = numbers(seen(path, mode=mode, step=0.4, start=2.4, end=4.0))
        assert found[0][0] == pytest.approx(2.4, abs=0.13)
        assert 3.4 <= found[-1][0] < 4.0


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_turns_the_picture_upright(tmp_path: Path, degrees: int) -> None:
    def draw(number: int) -> NDArray[np.uint8]:
        frame = np.zeros((96, 160, 3), np.uint8)
        frame[:48, :80] = 255
        return frame

    path = film(tmp_path / "a.mp4", frames=5, rotation=degrees, draw=draw)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert (probe.video.width, probe.video.height, probe.video.rotation) == (160, 96, degrees)
    image = seen(path)[0].image
    assert image is not None
    expected = np.rot90(draw(0), degrees // 90)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 12


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "bits"),
    [
        ("a.mkv", "libx265", "yuv420p10le", 10),
        ("a.webm", "libvpx-vp9", "yuv420p", 8),
        ("a.mkv", "libsvtav1", "yuv420p10le", 10),
    ],
)
def test_other_codecs(tmp_path: Path, name: str, codec: str, pix_fmt: str, bits: int) -> None:
    path = film(tmp_path / name, codec=codec, pix_fmt=pix_fmt, frames=50)
    probe = Decoder(path).probe()
    assert probe.video is not None
    assert probe.video.bits == bits
    for mode in ("full", "keyframes"):
        found = numbers(seen(path, mode=mode, step=0.8))
        assert len(found) >= 2
        assert all(time == pytest.approx(number / 25, abs=0.003) for time, number in found)


def test_pictures_are_scaled_to_the_longest_side(tmp_path: Path) -> None:
    image = seen(film(tmp_path / "a.mp4", frames=3, size=(640, 360)), side=320)[0].image
    assert image is not None
    assert image.shape == (180, 320, 3)


def slides(number: int) -> NDArray[np.uint8]:
    """A still picture, then the same with one more line of text, then another picture."""
    rng = np.random.default_rng(7)
    frame = np.full((360, 640, 3), 40, np.uint8)
    frame[60:120, 60:400] = 220
    if number >= 25:
        frame[300:316, 200:330:4] = 240
        frame[300:316, 201:330:4] = 240
    if number >= 50:
        frame = np.full((360, 640, 3), (20, 90, 160), np.uint8)
        frame[100:300, 300:600] = 250
    noisy: NDArray[np.uint8] = np.clip(frame + rng.integers(-3, 4, frame.shape), 0, 255).astype(np.uint8)
    return noisy


def test_frames_that_look_the_same_come_without_a_picture_and_a_new_line_of_text_does_not(tmp_path: Path) -> None:
    draw: Draw = slides
    frames = seen(film(tmp_path / "a.mp4", frames=75, size=(640, 360), draw=draw), step=0.2, skip_same=True)
    shown = [round(each.time, 2) for each in frames if each.image is not None]
    assert shown == [0, 1.0, 2.0]
    assert len(frames) > 12


def test_the_probe_says_what_the_medium_is(tmp_path: Path) -> None:
    stamp = {"creation_time": "2024-05-06T07:08:09.000000Z"}
    probe = Decoder(film(tmp_path / "a.mp4", frames=100, gop=50, tone=4.0, metadata=stamp)).probe()
    assert probe.container == "mp4"
    assert probe.duration == pytest.approx(4.0, abs=0.1)
    assert probe.recorded_at is not None
    assert probe.recorded_at.isoformat() == "2024-05-06T07:08:09+00:00"
    assert probe.video is not None
    assert (probe.video.codec, probe.video.fps, probe.video.variable_rate) == ("h264", 25, False)
    assert probe.video.keyframe_seconds == pytest.approx(2.0)
    assert [(each.codec, each.rate, each.channels) for each in probe.audio] == [("aac", 16000, 1)]


def test_sound_is_sixteen_kilohertz_mono_on_the_mediums_clock(tmp_path: Path) -> None:
    rate = 44_100
    samples = np.zeros(rate * 3, np.float32)
    samples[rate : rate * 2] = np.sin(np.arange(rate) * 2 * np.pi * 440 / rate) * 0.5
    decoder = Decoder(wav(tmp_path / "a.wav", samples, rate))
    whole = np.concatenate(list(decoder.pcm(chunk=0.7)))
    assert len(whole) == pytest.approx(48_000, abs=64)
    loud = np.flatnonzero(np.abs(whole) > 0.1)
    assert loud[0] / 16_000 == pytest.approx(1.0, abs=0.01)
    assert loud[-1] / 16_000 == pytest.approx(2.0, abs=0.01)
    part = np.concatenate(list(decoder.pcm(0.9, 1.4)))
    assert len(part) == 8_000
    assert np.allclose(part, whole[14_400:22_400])


def test_what_is_not_there_cannot_be_asked_for(tmp_path: Path) -> None:
    sound = Decoder(wav(tmp_path / "a.wav", np.zeros(16_000, np.float32)))
    with pytest.raises(InvalidInput, match="no video"):
        next(iter(sound.frames(FramePlan())))
    with pytest.raises(InvalidInput, match="no sound"):
        next(iter(Decoder(film(tmp_path / "a.mp4", frames=5)).pcm()))


def test_who_stops_early_never_waits_for_the_decoder_for_good(tmp_path: Path) -> None:
    """With PyAV's own listener to FFmpeg's messages this stands still within a few rounds."""
    path = film(tmp_path / "a.mp4", frames=120, size=(640, 360), gop=60)
    program = (
        "import sys, random\n"
        "from pathlib import Path\n"
        "from tools.media.decode import Decoder\n"
        "from tools.media.frames import FramePlan\n"
        "decoder = Decoder(Path(sys.argv[1]))\n"
        "for _ in range(150):\n"
        "    frames = decoder.frames(FramePlan(start=random.uniform(0, 4), step=0.04))\n"
        "    next(frames, None)\n"
        "    frames.close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, path], timeout=120, cwd=ROOT, check=False)
    assert ran.returncode == 0
