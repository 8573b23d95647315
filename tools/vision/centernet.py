"""CenterNet with a MobileNetV3 backbone, 80 COCO classes, from the npm package @vladmandic/human.

A small network, sure of big things only: it takes a cat's face that fills the frame for a dog's.
"""

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tools.catalog import Row
from tools.onnx_session import open_session
from tools.vision import Detection, Image
from tools.vision.boxes import as_box, suppress
from tools.vision.coco import LABELS

_SIDE = 512
_CELL = 4
"""Pixels of the network's input per cell of its maps."""
_BATCH = 4
"""Images at once on a GPU. On the CPU four take a third longer than one after another, and three times the memory."""
_MOST = 100
"""Detections per image that are looked at, as in the original graph."""


class CenterNet:
    """Objects as peaks of a heat map per class, each with the distances to the four sides of its box."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        model = _as_onnx(files["centernet.json"], files["centernet.bin"])
        self._session = open_session(model, device, int(row.options.get("cpu_threads", 0)))
        self._input = self._session.get_inputs()[0].name
        self._batch = 1 if device == "cpu" else _BATCH

    def detect(self, images: list[Image], threshold: float) -> list[list[Detection]]:
        """The things on each image with at least this confidence (0..1), surest first."""
        found: list[list[Detection]] = []
        for first in range(0, len(images), self._batch):
            batch = np.stack([_squared(image) for image in images[first : first + self._batch]])
            heat, sides = self._session.run(None, {self._input: batch})
            found += [_decode(*maps, threshold) for maps in zip(heat, sides, strict=True)]
        return found


def _as_onnx(graph: Path, weights: Path) -> Path:
    """The converted model, kept beside the weights."""
    path = graph.with_suffix(".onnx")
    if not path.exists():
        import onnx

        from tools.vision.tfjs import convert

        part = path.with_suffix(f".{uuid4().hex}.part")
        onnx.save(convert(graph, weights, ["tower_0/keypoints", "tower_0/wh"]), str(part))
        part.replace(path)
    return path


def _squared(image: Image) -> NDArray[np.float32]:
    resized = Pillow.fromarray(image).resize((_SIDE, _SIDE), Pillow.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized, dtype=np.float32)


def _decode(heat: NDArray[np.float32], sides: NDArray[np.float32], threshold: float) -> list[Detection]:
    """`heat` is `[128, 128, 80]`; `sides` `[128, 128, 4]`: pixels to left, top, right and bottom."""
    rows, columns, classes = np.nonzero(heat >= threshold)
    peaks = heat[rows, columns, classes] >= _highest_around(heat, rows, columns, classes)
    rows, columns, classes = rows[peaks], columns[peaks], classes[peaks]
    scores = heat[rows, columns, classes]
    order = np.argsort(-scores)[:_MOST]
    rows, columns, classes, scores = rows[order], columns[order], classes[order], scores[order]
    centres = np.stack((columns, rows, columns, rows), axis=1) * _CELL
    away = sides[rows, columns] * np.array([-1, -1, 1, 1], dtype=np.float32)
    boxes = np.clip((centres + away) / _SIDE, 0, 1).astype(np.float32)
    kept = suppress(boxes, scores, classes)
    return [Detection(LABELS[classes[index]], as_box(boxes[index]), float(scores[index])) for index in kept]


def _highest_around(
    heat: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The highest of the nine values around each cell."""
    last_row, last_column = heat.shape[0] - 1, heat.shape[1] - 1
    around = [
        heat[np.clip(rows + down, 0, last_row), np.clip(columns + right, 0, last_column), classes]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    return np.asarray(np.max(around, axis=0), dtype=np.float32)
