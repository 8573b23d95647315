"""decord is optional: without it the reader says how to get it, with it the same frames come at the same times."""

import importlib.util
from pathlib import Path

import pytest

from tests.tools.films import film, number_on
from tools.errors import NotInstalled, UnsupportedMedia
from tools.media.decord import DecordReader
from tools.media.frames import FramePlan

HERE = importlib.util.find_spec("decord") is not None


@pytest.mark.skipif(HERE, reason="decord is installed")
def test_without_decord_the_remedy_is_named(tmp_path: Path) -> None:
    reader = DecordReader(film(tmp_path / "a.mp4", frames=5))
    with pytest.raises(NotInstalled, match="pip install"):
        next(reader.frames(FramePlan()))


@pytest.mark.skipif(not HERE, reason="decord is not installed: pip install 'sutradhar[decord]'")
def test_frames_come_at_their_times(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", frames=60, gop=20)
    found = [(each.time, each.image) for each in DecordReader(path).frames(FramePlan(step=0.5, side=0))]
    assert [time for time, _ in found] == pytest.approx([0, 0.52, 1.0, 1.52, 2.0], abs=0.05)
    assert all(image is not None and number_on(image) == round(time * 25) for time, image in found)


def test_only_files_that_the_safe_open_admits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(UnsupportedMedia):
        DecordReader(path)
