"""Text into vectors, and pairs of texts into scores."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability

Vectors = NDArray[np.float32]
"""L2-normalised, shape `[texts, dimensions]`."""


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


TEXT_EMBEDDING: Capability[TextEmbedding] = Capability("text-embedding", TextEmbedding)
RERANKING: Capability[Reranking] = Capability("reranking", Reranking)
