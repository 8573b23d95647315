"""What the camera does is told apart: pans, tilts, zooms, things that move by themselves, and dissolves."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tools.films import Draw, film, through
from tools.media.decode import Decoder
from tools.media.frames import FramePlan, Motion

SIZE = (320, 180)


def motion(tmp_path: Path, draw: Draw, frames: int = 50) -> Motion:
    path = film(tmp_path / "a.mp4", draw=draw, frames=frames, size=SIZE, gop=250)
    return np.concatenate([each.motion for each in Decoder(path).frames(FramePlan(step=1.0))])


@pytest.mark.parametrize(
    ("draw", "right", "down", "growth"),
    [
        (lambda n: through(300 + 2.56 * n, 270), -0.2, 0.0, 0.0),
        (lambda n: through(480, 200 + 1.44 * n), 0.0, -0.2, 0.0),
        (lambda n: through(480, 270, 1 + n / 125), 0.0, 0.0, 0.15),
        (lambda n: through(480, 270), 0.0, 0.0, 0.0),
    ],
)
def test_the_cameras_own_motion(tmp_path: Path, draw: Draw, right: float, down: float, growth: float) -> None:
    rows = motion(tmp_path, draw)
    found = np.nanmedian(rows[:, 1:4], axis=0)
    assert found == pytest.approx([right, down, growth], abs=0.04)
    assert rows[:, 5].max() < 0.03


def test_a_thing_that_moves_is_not_the_camera(tmp_path: Path) -> None:
    def draw(number: int) -> NDArray[np.uint8]:
        frame = through(480, 270).copy()
        frame[60:120, 4 * number : 4 * number + 60] = 255
        return frame

    rows = motion(tmp_path, draw)
    assert np.nanmedian(rows[:, 1:4], axis=0) == pytest.approx([0, 0, 0], abs=0.02)
    assert np.median(rows[:, 4]) > 0.05


@pytest.mark.parametrize("length", [15, 30, 45])
def test_a_dissolve_is_an_even_mixture(tmp_path: Path, length: int) -> None:
    one, other = through(300, 270), through(500, 270, seed=2)

    def draw(number: int) -> NDArray[np.uint8]:
        share = min(1.0, max(0.0, (number - 30) / length))
        return (one * (1 - share) + other * share).astype(np.uint8)

    rows = motion(tmp_path, draw, 110)
    mixing = rows[rows[:, 5] > 0.02]
    assert len(mixing) >= 1
    assert mixing[:, 6].min() < 0.72
    # a row looks a second back at most
    assert mixing[:, 0].min() >= 30 / 25
    assert mixing[:, 0].max() <= (30 + length) / 25 + 1.0


def test_a_cut_is_no_mixture(tmp_path: Path) -> None:
    rows = motion(tmp_path, lambda n: through(300, 270, seed=1 + n // 25), 100)
    assert rows[:, 5].max() < 0.02
