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
_LEGIBLE = 480
"""Pixels of the shorter side up to which a small image is enlarged, so that its small print becomes legible."""
_WIDEST = 1280
"""Pixels of the longer side beyond which nothing is enlarged."""
_LARGEST = 4096
_FLAT = 4.0
"""Standard deviation of brightness below which an image is one plain surface."""


class RapidOcr:
    """Options of the row: `cpu_threads` (default all), `side` (800), `confidence` (0.6).

    Lines are looked for on a copy whose longest side is `side` pixels, and read where they were found on the image
    itself: finding is the costly half, and still finds lines that nobody could read at that size.
    """

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
                "Global.max_side_len": _LARGEST,
                "Global.text_score": float(row.options.get("confidence", 0.6)),
                "EngineConfig.onnxruntime.intra_op_num_threads": int(
                    row.options.get("cpu_threads", os.cpu_count() or 1)
                ),
                "Det.limit_type": "max",
                "Det.limit_side_len": int(row.options.get("side", 800)),
            }
        )
        # the library loads each network when it is first needed: here, not under the first reader's eyes
        blank = np.full((48, 320, 3), 255, dtype=np.uint8)
        self._reader(blank, use_det=True, use_rec=True)
        self._reader(blank, use_det=False, use_rec=True)

    def read(self, images: list[Image], language: str | None = None) -> list[list[TextLine]]:
        """The lines of text on each image, top to bottom."""
        return [self._read(image) for image in images]

    def _read(self, image: Image) -> list[TextLine]:
        if min(image.shape[:2]) < _SMALLEST or float(image[::8, ::8].std()) < _FLAT:
            return []
        # the library keeps the settings of the last call, and they are ours to give each time
        legible = _enlarged(image)
        with self._lock:
            # it wants blue first
            found = self._reader(np.ascontiguousarray(legible[:, :, ::-1]), use_det=True, use_cls=False, use_rec=True)
        return _lines(found, legible)


def _enlarged(image: Image) -> Image:
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    scale = min(_LEGIBLE / min(height, width), _WIDEST / max(height, width))
    if scale <= 1:
        return image
    return np.asarray(
        Pillow.fromarray(image).resize((round(width * scale), round(height * scale)), Pillow.Resampling.BICUBIC)
    )


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
