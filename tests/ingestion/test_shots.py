"""Cuts are found where they are; flashes, fades of light and fast motion are no cuts."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion.shots import Shot, filmed, find_cuts, find_turns, shots
from tests.tools.films import Draw, film, through
from tools.media.decode import Decoder
from tools.media.frames import FramePlan

SIZE = (320, 180)


def scene(seed: int) -> NDArray[np.uint8]:
    """A picture of its own: blocks of colours."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 16, 3), np.uint8)
    picture: NDArray[np.uint8] = np.kron(small, np.ones((20, 20, 1), np.uint8)).astype(np.uint8)
    return picture


def cuts_of(path: Path, **plan: object) -> list[float]:
    frames = list(Decoder(path).frames(FramePlan(**plan)))  # type: ignore[arg-type]
    changes = np.concatenate([each.changes for each in frames])
    return find_cuts(changes, exact=plan.get("mode", "full") == "full")


def drawn(tmp_path: Path, draw: Draw, frames: int = 150, gop: int = 250) -> Path:
    return film(tmp_path / "a.mp4", draw=draw, frames=frames, size=SIZE, gop=gop)


def test_hard_cuts_are_found_to_the_frame(tmp_path: Path) -> None:
    path = drawn(tmp_path, lambda n: np.roll(scene(n // 30), n % 30, axis=1))
    assert cuts_of(path) == pytest.approx([1.2, 2.4, 3.6, 4.8], abs=0.021)


def test_cuts_between_scenes_of_the_same_colours(tmp_path: Path) -> None:
    mirrored = [scene(3), scene(3)[:, ::-1]]
    assert cuts_of(drawn(tmp_path, lambda n: mirrored[n // 75])) == pytest.approx([3.0], abs=0.021)


def test_motion_flashes_and_fading_light_are_no_cuts(tmp_path: Path) -> None:
    def draw(number: int) -> NDArray[np.uint8]:
        picture = np.roll(scene(1), number * 6, axis=1)
        if number in {40, 41}:
            return np.full_like(picture, 255)
        light = 1.0 - 0.7 * abs(number - 100) / 50 if number >= 50 else 0.3
        faded: NDArray[np.uint8] = (picture * light).astype(np.uint8)
        return faded

    assert cuts_of(drawn(tmp_path, draw)) == []


def test_keyframes_alone_give_the_strong_cuts(tmp_path: Path) -> None:
    path = drawn(tmp_path, lambda n: scene(n // 50), gop=25)
    assert cuts_of(path, mode="keyframes", step=1.0) == pytest.approx([2.0, 4.0], abs=0.021)


def test_shots_cover_the_whole_medium() -> None:
    found = shots([1.5, 4.0, 12.0], 10.0)
    assert [(each.start, each.end) for each in found] == [(0, 1.5), (1.5, 4.0), (4.0, 12.0)]
    assert [(each.start, each.end) for each in shots([], 3.0)] == [(0, 3.0)]
    assert shots([], 0.0) == []


def seen(path: Path) -> list[Shot]:
    frames = list(Decoder(path).frames(FramePlan(step=1.0)))
    changes = np.concatenate([each.changes for each in frames])
    motion = np.concatenate([each.motion for each in frames])
    found = shots(find_cuts(changes), float(changes[-1, 0]), find_turns(motion, changes))
    return filmed(found, changes, motion)


def test_fades_and_dissolves_are_boundaries_of_their_own_kind(tmp_path: Path) -> None:
    one, two, three = through(300, 270), through(480, 270, seed=2), through(500, 200, seed=3)

    def draw(number: int) -> NDArray[np.uint8]:
        if number < 110:
            share = min(1.0, max(0.0, (number - 50) / 25))
            return (one * (1 - share) + two * share).astype(np.uint8)
        dark = min(1.0, max(0.0, abs(number - 150) - 5) / 25)
        return ((two if number < 150 else three) * dark).astype(np.uint8)

    found = seen(drawn(tmp_path, draw, frames=250))
    assert [each.transition for each in found] == ["start", "dissolve", "fade"]
    assert [each.start for each in found] == pytest.approx([0, 2.5, 6.0], abs=0.5)


@pytest.mark.parametrize(
    ("draw", "camera"),
    [
        (lambda n: through(300 + 2 * n, 270), "pan right"),
        (lambda n: through(600 - 2 * n, 270), "pan left"),
        (lambda n: through(480, 200 + 1.4 * n), "tilt down"),
        (lambda n: through(480, 270, 1 + n / 150), "zoom in"),
        (lambda n: through(480, 270, 2 - n / 150), "zoom out"),
        (lambda n: through(480, 270), "still"),
        (lambda n: through(480 + 12 * np.sin(n), 270 + 9 * np.cos(1.7 * n)), "shaky"),
    ],
)
def test_what_the_camera_does(tmp_path: Path, draw: Draw, camera: str) -> None:
    assert [each.camera for each in seen(drawn(tmp_path, draw, frames=75))] == [camera]
