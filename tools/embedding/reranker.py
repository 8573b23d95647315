"""Cross-encoders on ONNX Runtime: one pass reads the query and a passage together."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.catalog import Row
from tools.onnx_session import open_session

_BATCH = 16


class CrossEncoder:
    """Options of the row: `cpu_threads` (default all), `tokens` (512) of query and passage together."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        from tokenizers import Tokenizer

        self._session = open_session(files["model.onnx"], device, int(row.options.get("cpu_threads", 0)))
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
        self._tokenizer.enable_truncation(int(row.options.get("tokens", 512)))
        self._tokenizer.enable_padding()

    def scores(self, query: str, passages: list[str]) -> list[float]:
        """Logits, in the order of the passages."""
        result = np.zeros(len(passages), dtype=np.float32)
        # passages of like length share a batch: padding is work too
        order = sorted(range(len(passages)), key=lambda index: len(passages[index]))
        for first in range(0, len(order), _BATCH):
            chosen = order[first : first + _BATCH]
            encoded = self._tokenizer.encode_batch([(query, passages[index]) for index in chosen])
            arrays = {
                "input_ids": np.array([each.ids for each in encoded], dtype=np.int64),
                "attention_mask": np.array([each.attention_mask for each in encoded], dtype=np.int64),
                "token_type_ids": np.array([each.type_ids for each in encoded], dtype=np.int64),
            }
            feed = {name: array for name, array in arrays.items() if name in self._inputs}
            result[chosen] = self._session.run(None, feed)[0][:, 0]
        return [float(score) for score in result]
