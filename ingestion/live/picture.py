"""A live frame on its way to the eyes: opened within bounds, and measured against the one before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.errors import UnsupportedMedia
from tools.media.images import open_image
from tools.media.looks import CUT, HEIGHT, WIDTH, Change, Look, Thumb, strength
from tools.settings import Limits
from tools.vision import Image

_SIDE = 1_280
"""Pixels of the longer side: what the detectors look at, as in ingestion."""
_MOVED = 12
"""Grey levels by which a place of the picture differs when something moved there."""
_KINDS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}


@dataclass(frozen=True)
class Measured:
    """A frame and what was measured of it. `look` tells whether another one looks the same."""

    image: Image
    look: Look
    brightness: float
    motion: float | None
    scene_change: bool


class Measure:
    """Measures frames of one stream in their order. Blocking."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._change = Change()
        self._before: NDArray[np.int16] | None = None

    def take(self, frame: bytes | Image) -> Measured:
        """Raises `UnsupportedMedia` for bytes that are no JPEG, PNG or WebP, `TooLarge` for too many pixels."""
        image = opened(frame, self._limits) if isinstance(frame, bytes) else frame
        thumb = _thumb(image)
        luma = thumb[0].astype(np.int16)
        moved = None if self._before is None else float((np.abs(luma - self._before) > _MOVED).mean())
        self._before = luma
        changed = strength(*self._change.of(thumb)) > CUT
        return Measured(image, Look(thumb), float(luma.mean()) / 255, moved, changed)


def opened(data: bytes, limits: Limits) -> Image:
    """A pushed frame."""
    if not any(data.startswith(magic) for magic in _KINDS) and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        raise UnsupportedMedia(f"A frame begins with {data[:8]!r}.", remedy="Send JPEG, PNG or WebP.")
    return open_image(data, limits, longest=_SIDE)


def _thumb(image: Image) -> Thumb:
    from PIL import Image as Pillow

    small = Pillow.fromarray(image).resize((WIDTH, HEIGHT), Pillow.Resampling.BOX).convert("YCbCr")
    return np.asarray(small).transpose(2, 0, 1)


def evidence(image: Image, side: int = 640) -> bytes:
    """The frame as a small JPEG."""
    from io import BytesIO

    from PIL import Image as Pillow

    small, file = Pillow.fromarray(image), BytesIO()
    small.thumbnail((side, side))
    small.save(file, "JPEG", quality=80)
    return file.getvalue()
