"""Images by their mean colour and texts by the colours they name: for tests, load tests and rehearsals."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.embedding import Vectors
from tools.vision import Image

_NAMED = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "white": (1, 1, 1)}
_WORD = re.compile(r"[a-z]+")


class MeanColours:
    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def images(self, images: list[Image]) -> Vectors:
        return _normalised([image.reshape(-1, 3).mean(axis=0) for image in images])

    def texts(self, texts: list[str]) -> Vectors:
        named = [np.array([_NAMED[each] for each in _WORD.findall(text.lower()) if each in _NAMED]) for text in texts]
        return _normalised([each.reshape(-1, 3).sum(axis=0) for each in named])

    def match(self, images: list[Image], texts: list[str]) -> NDArray[np.float32]:
        return np.asarray(np.clip(self.images(images) @ self.texts(texts).T, 0, 1), dtype=np.float32)


def _normalised(rows: list[NDArray[np.float64]]) -> Vectors:
    # a fourth dimension, so that black and what names no colour have a direction, too
    vectors = np.array([[*row, 1e-3] for row in rows], dtype=np.float32).reshape(-1, 4)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
