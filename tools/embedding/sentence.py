"""Embedding models of the sentence-transformers library, on PyTorch."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.catalog import Row
from tools.embedding import Vectors
from tools.errors import NotInstalled
from tools.torchvision_ops import fit_torchvision


class SentenceEmbedding:
    """Options of the row: `passage_prefix` and `query_prefix` for models that mark them, `batch` (32)."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        try:
            fit_torchvision()
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError as error:
            raise NotInstalled(
                f"{row.title} needs PyTorch and sentence-transformers ({error}).", remedy="Run `make gpu`."
            ) from error
        logging.disable_progress_bar()
        self._lock = threading.Lock()
        self._batch = int(row.options.get("batch", 32))
        self._passage = str(row.options.get("passage_prefix", ""))
        self._query = str(row.options.get("query_prefix", ""))
        self._dimensions = row.dimensions or 0
        self._model = SentenceTransformer(
            str(_folder(files)),
            device=device.replace("gpu", "cuda"),
            local_files_only=True,
            trust_remote_code=row.trust_remote_code,
        )

    def passages(self, texts: list[str]) -> Vectors:
        return self._encode([self._passage + text for text in texts])

    def queries(self, texts: list[str]) -> Vectors:
        return self._encode([self._query + text for text in texts])

    def _encode(self, texts: list[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32)
        with self._lock:
            vectors = self._model.encode(
                texts, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)


def _folder(files: Mapping[str, Path]) -> Path:
    """The model's root: a file named `1_Pooling/config.json` lies one folder further down."""
    name, path = min(files.items(), key=lambda item: item[0].count("/"))
    return path.parents[name.count("/")]
