"""Faces near, far, tilted and absent, and the mesh on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools.faces.mesh import _anchors, _merge, _Seen, _tiles

Engine = Callable[[str], Any]
Photo = Callable[[str], NDArray[np.uint8]]

FACE = (0.34, 0.14, 0.55, 0.345)
"""Where the astronaut's face is, as fractions of the photograph."""
# points of the mesh by MediaPipe's numbering
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, CHIN = 33, 263, 1, 13, 152


def seen(score: float, *box: float) -> _Seen:
    return _Seen(np.array(box, dtype=np.float32), np.zeros((6, 2), dtype=np.float32), score)


def test_anchors_are_the_middles_of_their_cells() -> None:
    assert _anchors(2, 2).tolist() == [
        [0.25, 0.25], [0.25, 0.25], [0.75, 0.25], [0.75, 0.25],
        [0.25, 0.75], [0.25, 0.75], [0.75, 0.75], [0.75, 0.75],
    ]  # fmt: skip


def test_boxes_of_one_face_are_averaged_by_how_sure_they_are() -> None:
    one, other = _merge([seen(0.6, 0, 0, 1, 1), seen(0.9, 0.1, 0, 1.1, 1), seen(0.8, 3, 3, 4, 4)])
    assert one.score == 0.9
    assert one.box.tolist() == pytest.approx([0.06, 0, 1.06, 1], abs=1e-3)
    assert other.score == 0.8


def test_tiles_cover_a_large_image() -> None:
    assert _tiles(640, 360) == []
    covered = np.zeros((1080, 1920), dtype=bool)
    for left, top, side in _tiles(1920, 1080):
        assert left >= 0
        assert top >= 0
        covered[top : top + side, left : left + side] = True
    assert covered.all()


@pytest.mark.weights
def test_a_face_and_its_mesh(engine: Engine, photo: Photo) -> None:
    ((face,),) = engine("blazeface-mesh").find([photo("astronaut.png")], landmarks=True)
    assert face.box == pytest.approx(FACE, abs=0.03)
    assert face.confidence > 0.9
    points = face.landmarks
    assert points.shape == (468, 3)
    assert points[[RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, CHIN], 0].tolist() == pytest.approx(
        [0.387, 0.49, 0.436, 0.44, 0.446], abs=0.02
    )
    assert points[[RIGHT_EYE, NOSE, MOUTH, CHIN], 1].tolist() == pytest.approx([0.197, 0.24, 0.285, 0.33], abs=0.03)
    # the nose stands out towards the camera
    assert points[NOSE, 2] < points[[RIGHT_EYE, LEFT_EYE], 2].min()
    assert engine("blazeface-mesh").find([photo("astronaut.png")], landmarks=False)[0][0].landmarks is None


@pytest.mark.weights
def test_small_and_tilted_faces_in_a_large_frame(engine: Engine, photo: Photo) -> None:
    portrait = Image.fromarray(photo("astronaut.png"))
    frame = Image.new("RGB", (1280, 720), "gray")
    frame.paste(portrait.resize((300, 300)).rotate(25), (200, 300))
    frame.paste(portrait.resize((200, 200)), (900, 100))
    ((tilted, small),) = engine("blazeface-mesh").find([np.asarray(frame)], landmarks=True)
    right, left = tilted.landmarks[RIGHT_EYE], tilted.landmarks[LEFT_EYE]
    slope = np.arctan2((left[1] - right[1]) * 720, (left[0] - right[0]) * 1280)
    assert np.degrees(slope) == pytest.approx(-25, abs=6)
    left_edge, top, right_edge, bottom = FACE
    place = (
        (900 + left_edge * 200) / 1280,
        (100 + top * 200) / 720,
        (900 + right_edge * 200) / 1280,
        (100 + bottom * 200) / 720,
    )
    assert small.box == pytest.approx(place, abs=0.02)


@pytest.mark.weights
def test_no_face_where_there_is_none(engine: Engine, photo: Photo) -> None:
    others = [photo(name) for name in ("coffee.png", "chelsea.png", "motorcycle_left.png")]
    empty = [np.zeros((720, 1280, 3), dtype=np.uint8), np.zeros((3, 2, 3), dtype=np.uint8)]
    assert engine("blazeface-mesh").find(others + empty, landmarks=False) == [[]] * 5
