"""BlazeFace detectors and the 468-point face mesh (MediaPipe's networks, Apache-2.0) on LiteRT.

Bazarevsky et al. 2019, "BlazeFace"; Kartynnik et al. 2019, "Real-time facial surface geometry".
"""

import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tools.catalog import Row
from tools.faces import Face
from tools.vision import Image
from tools.vision.boxes import as_box, overlap, suppress

Floats = NDArray[np.float32]

_SHORT = "face_detection_short_range.tflite"
_FULL = "face_detection_full_range.tflite"
_MESH = "face_landmark.tflite"
_SURE = 0.5
_CERTAIN = 0.85
_SAME_FACE = 0.3
_TILED = 720
"""Longest side in pixels from which an image is also searched in tiles; below, no face is too small for a network."""
_MARGIN = 1.5
"""The mesh is fitted on a square so much wider than the box of the face."""
_POINTS = 468


class BlazeFaceMesh:
    """Faces near and far, largest first. Option of the row: `cpu_threads` (default all)."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        threads = int(row.options.get("cpu_threads", os.cpu_count() or 1))
        # an interpreter owns its buffers, so that one call at a time may use it
        self._lock = threading.Lock()
        self._detectors = [
            _Detector(_Network(files[_SHORT], threads), grids=((16, 2), (8, 6))),
            _Detector(_Network(files[_FULL], threads), grids=((48, 1),)),
        ]
        self._mesh = _Network(files[_MESH], threads)

    def find(self, images: list[Image], landmarks: bool) -> list[list[Face]]:
        """The faces on each image, largest first; `landmarks` says whether to fit the mesh too."""
        return [self._find(image, landmarks) for image in images]

    def _find(self, image: Image, landmarks: bool) -> list[Face]:
        faces: list[Face] = []
        with self._lock:
            for seen in self._detect(image):
                mesh = self._fit(image, seen)
                # what a detector half believes and the mesh denies is mostly no face
                if mesh is not None or seen.score >= _CERTAIN:
                    box = as_box(np.clip(seen.box, 0, 1))
                    faces.append(Face(box, round(seen.score, 4), mesh if landmarks else None))
        return sorted(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]), reverse=True)

    def _detect(self, image: Image) -> list["_Seen"]:
        near, far = self._detectors
        found = _merge(near.detect(image)) + _merge(far.detect(image))
        height, width = image.shape[:2]
        for left, top, side in _tiles(width, height):
            scale, shift = np.array((side / width, side / height)), np.array((left / width, top / height))
            for each in _merge(far.detect(image[top : top + side, left : left + side])):
                box = (each.box.reshape(2, 2) * scale + shift).reshape(4)
                found.append(
                    _Seen(box.astype(np.float32), (each.points * scale + shift).astype(np.float32), each.score)
                )
        boxes, scores = np.array([each.box for each in found]).reshape(-1, 4), np.array([each.score for each in found])
        return [found[index] for index in suppress(boxes, scores, np.zeros(len(found), np.int64), same=_SAME_FACE)]

    def _fit(self, image: Image, seen: "_Seen") -> Floats | None:
        """The mesh, or None where the second network sees no face."""
        height, width = image.shape[:2]
        to_image = _crop(seen, width, height, self._mesh.side)
        # Pillow samples at pixel centres when it is given the mapping from output to input
        crop = Pillow.fromarray(image).transform(
            (self._mesh.side, self._mesh.side),
            Pillow.Transform.AFFINE,
            tuple(to_image.ravel()),
            Pillow.Resampling.BILINEAR,
        )
        outputs = self._mesh.run(np.asarray(crop, dtype=np.float32) / np.float32(255))
        points = max(outputs, key=lambda output: output.size).reshape(_POINTS, 3)
        presence = min(outputs, key=lambda output: output.size)
        if _sigmoid(presence).item() < _SURE:
            return None
        flat = points[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        depth = points[:, 2] * np.hypot(to_image[0, 0], to_image[1, 0]) / width
        return np.column_stack((flat / (width, height), depth)).astype(np.float32)


@dataclass(frozen=True)
class _Seen:
    """`box` and the six `points` (eyes first) are fractions of width and height."""

    box: Floats
    points: Floats
    score: float


class _Network:
    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (entry,) = self._interpreter.get_input_details()
        self._input: int = entry["index"]
        self._outputs: list[int] = [each["index"] for each in self._interpreter.get_output_details()]
        self.side = int(entry["shape"][1])

    def run(self, pixels: Floats) -> list[NDArray[Any]]:
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class _Detector:
    """A single-shot detector; `grids` are the sides of its feature maps and the anchors in each of their cells."""

    def __init__(self, network: _Network, grids: tuple[tuple[int, int], ...]) -> None:
        self._network = network
        self._anchors = np.concatenate([_anchors(side, count) for side, count in grids])

    def detect(self, image: Image) -> list[_Seen]:
        side = self._network.side
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        corner = np.array(((side - size[0]) // 2, (side - size[1]) // 2))
        canvas = Pillow.new("RGB", (side, side))
        small = Pillow.fromarray(image).resize(size, Pillow.Resampling.BILINEAR, reducing_gap=2.0)
        canvas.paste(small, (int(corner[0]), int(corner[1])))
        outputs = self._network.run(np.asarray(canvas, dtype=np.float32) / np.float32(127.5) - np.float32(1))
        raw, logits = sorted(outputs, key=lambda output: -output.size)
        scores = _sigmoid(logits.reshape(-1))
        sure = np.flatnonzero(scores > _SURE)
        values = raw.reshape(-1, 8, 2)[sure] / side
        centres, sizes = values[:, 0] + self._anchors[sure], values[:, 1]
        points = values[:, 2:] + self._anchors[sure][:, None]
        corners = np.stack((centres - sizes / 2, centres + sizes / 2), axis=1)
        # from the padded square back to the image
        marks = (np.concatenate((corners, points), axis=1) * side - corner) / size
        return [
            _Seen(mark[:2].reshape(4).astype(np.float32), mark[2:].astype(np.float32), float(score))
            for mark, score in zip(marks, scores[sure], strict=True)
        ]


def _tiles(width: int, height: int) -> list[tuple[int, int, int]]:
    """Left, top and side of overlapping squares over a large image, each about half as wide as its shorter side."""
    if max(width, height) < _TILED:
        return []
    side = int(min(width, height) * 0.6)
    return [(left, top, side) for top in _steps(height, side) for left in _steps(width, side)]


def _steps(length: int, side: int) -> list[int]:
    count = max(2, math.ceil((length - side) / (side * 0.75)) + 1)
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def _anchors(side: int, count: int) -> Floats:
    middles = (np.arange(side, dtype=np.float32) + 0.5) / side
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    return np.repeat(grid, count, axis=0)


def _merge(seen: list[_Seen]) -> list[_Seen]:
    """One face for the boxes that overlap: their average, weighted by how sure each is (as BlazeFace has it)."""
    rest, merged = sorted(seen, key=lambda each: -each.score), list[_Seen]()
    while rest:
        shared = overlap(rest[0].box, np.stack([each.box for each in rest]))
        same = [each for each, part in zip(rest, shared, strict=True) if part > _SAME_FACE] or rest[:1]
        weights = [each.score for each in same]
        box = np.average([each.box for each in same], axis=0, weights=weights).astype(np.float32)
        points = np.average([each.points for each in same], axis=0, weights=weights).astype(np.float32)
        merged.append(_Seen(box, points, rest[0].score))
        rest = [each for each in rest if not any(each is other for other in same)]
    return merged


def _crop(seen: _Seen, width: int, height: int, side: int) -> Floats:
    """The affine map `[2, 3]` from a pixel of the mesh's input to one of the image: a square with level eyes."""
    pixels = np.array((width, height), dtype=np.float32)
    low, high = seen.box[:2] * pixels, seen.box[2:] * pixels
    right, left = seen.points[0] * pixels, seen.points[1] * pixels
    angle = math.atan2(left[1] - right[1], left[0] - right[0])
    step = float((high - low).max()) * _MARGIN / side
    turn = step * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    origin = (low + high) / 2 - turn @ np.full(2, side / 2)
    return np.column_stack((turn, origin)).astype(np.float32)


def _sigmoid(values: NDArray[Any]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), dtype=np.float32)
