"""Comparing texts without a model: for tests, load tests and rehearsals."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import numpy as np

from tools.catalog import Row
from tools.embedding import Vectors

_WORD = re.compile(r"\w+")


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


class HashedWords:
    """Texts are near when they share words; the same on every machine."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._dimensions = row.dimensions or 384

    def passages(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _words(text) or {""}:
                number = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
                vector[number % self._dimensions] += 1 if number >> 63 else -1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        # words that cancel each other out must still have a direction
        vectors[lengths[:, 0] == 0, 0] = 1
        return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)

    def queries(self, texts: list[str]) -> Vectors:
        return self.passages(texts)


class SharedWords:
    """A passage is as good as its share of the question's words."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def scores(self, query: str, passages: list[str]) -> list[float]:
        asked = _words(query)
        return [len(asked & _words(passage)) / max(1, len(asked)) for passage in passages]
