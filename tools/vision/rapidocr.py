"""Text on images by RapidOCR (PP-OCRv6 small): Latin script and Chinese; Indian scripts are beyond it."""

import importlib.util
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.catalog import Row
from tools.errors import NotInstalled
from tools.vision import Image, TextLine

_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_SMALLEST = 12
"""Pixels; nothing thinner can hold a letter."""
_FLAT = 4.0
"""Standard deviation of brightness below which an image is one plain surface."""


class RapidOcr:
    """Options of the row: `cpu_threads` (default all), `side` (longest side looked at, 1280), `confidence` (0.6)."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        if importlib.util.find_spec("rapidocr") is None:
            raise NotInstalled("rapidocr is not installed.", remedy="Run `make setup`.")
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        import rapidocr

        folder = Path(rapidocr.__file__).parent / "models"
        paths = {f"{part}.model_path": str(files.get(name, folder / name)) for part, name in _MODELS.items()}
        self._lock = threading.Lock()
        self._reader = rapidocr.RapidOCR(
            params=paths
            | {
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Global.max_side_len": int(row.options.get("side", 1280)),
                "Global.text_score": float(row.options.get("confidence", 0.6)),
                "EngineConfig.onnxruntime.intra_op_num_threads": int(
                    row.options.get("cpu_threads", os.cpu_count() or 1)
                ),
                # a small frame is enlarged up to here, so that its small print becomes legible
                "Det.limit_side_len": 480,
            }
        )
        # the library loads each network when it is first needed: here, not under the first reader's eyes
        blank = np.full((48, 320, 3), 255, dtype=np.uint8)
        self._reader(blank, use_det=True, use_rec=True)
        self._reader(blank, use_det=False, use_rec=True)

    def read(self, images: list[Image]) -> list[list[TextLine]]:
        """The lines of text on each image, top to bottom."""
        return [self._read(image) for image in images]

    def _read(self, image: Image) -> list[TextLine]:
        if min(image.shape[:2]) < _SMALLEST or float(image[::8, ::8].std()) < _FLAT:
            return []
        # the library keeps the settings of the last call, and they are ours to give each time
        with self._lock:
            found = self._reader(np.ascontiguousarray(image[:, :, ::-1]), use_det=True, use_cls=False, use_rec=True)
        return _lines(found, image)


def _lines(found: Any, image: Image) -> list[TextLine]:
    if found.boxes is None or found.txts is None:
        return []
    height, width = image.shape[:2]
    lines: list[TextLine] = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        across, down = np.clip(corners[:, 0] / width, 0, 1), np.clip(corners[:, 1] / height, 0, 1)
        box = (float(across.min()), float(down.min()), float(across.max()), float(down.max()))
        left, top, right, bottom = (round(edge, 4) for edge in box)
        if text.strip():
            lines.append(TextLine(text.strip(), (left, top, right, bottom), round(float(score), 4)))
    return lines
