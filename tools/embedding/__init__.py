"""Texts and images into vectors, and pairs of texts into scores."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability
from tools.vision import Image

Vectors = NDArray[np.float32]
"""L2-normalised, shape `[texts or images, dimensions]`."""


class TextEmbedding(Protocol):
    def passages(self, texts: list[str]) -> Vectors:
        """Vectors of texts that will be searched."""
        ...

    def queries(self, texts: list[str]) -> Vectors:
        """Vectors of texts that search; some models mark them differently from passages."""
        ...


class Reranking(Protocol):
    def scores(self, query: str, passages: list[str]) -> list[float]:
        """How well each passage answers the query, as logits: comparable within one model, higher is better."""
        ...


class ImageEmbedding(Protocol):
    """Images and texts in one space: a text is near the images that it could be written under."""

    def images(self, images: list[Image]) -> Vectors: ...

    def texts(self, texts: list[str]) -> Vectors: ...

    def match(self, images: list[Image], texts: list[str]) -> NDArray[np.float32]:
        """How surely each text describes each image, 0..1, shape `[images, texts]`.

        Some models judge each text alone, others divide 1 among all of them.
        """
        ...


TEXT_EMBEDDING: Capability[TextEmbedding] = Capability("text-embedding", TextEmbedding)
RERANKING: Capability[Reranking] = Capability("reranking", Reranking)
IMAGE_EMBEDDING: Capability[ImageEmbedding] = Capability("image-embedding", ImageEmbedding)
