"""Boxes on images: overlap, and one box per thing."""

import numpy as np
from numpy.typing import NDArray

from tools.vision import Box


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    *,
    same: float = 0.5,
    any: float = 0.8,
) -> list[int]:
    """Indices of the boxes to keep, surest first.

    A box goes when a surer one overlaps it (intersection over union) by more than `same` in its class or more than
    `any` in whatever class: one thing is not both a dog and a bed.
    """
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        shared = overlap(boxes[index], boxes[kept])
        limit = np.where(classes[kept] == classes[index], same, any)
        if not (shared > limit).any():
            kept.append(int(index))
    return kept


def overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(area, 1e-9), dtype=np.float32)


def as_box(values: NDArray[np.float32]) -> Box:
    left, top, right, bottom = (round(float(value), 4) for value in values)
    return left, top, right, bottom
