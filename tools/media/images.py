"""Still images out of the media store, opened within bounds and turned upright."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from tools.errors import TooLarge, UnsupportedMedia
from tools.media.store import MediaStore
from tools.settings import Limits
from tools.vision import Image

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# Pillow's readers raise almost anything on a damaged file
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error)
_BOMB = (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)
LONGEST = 4_096
"""Pixels to which the longer side is reduced: no network here looks closer, and a batch of pages stays in memory."""
BATCH = 8


def open_image(source: Path | bytes, limits: Limits, *, longest: int = LONGEST) -> Image:
    """An image as upright RGB, its longer side at most `longest` pixels.

    Blocking. Raises `UnsupportedMedia` for what is not an image and `TooLarge`, before decoding, for one of too many
    pixels.
    """
    name = source.name if isinstance(source, Path) else f"{len(source):,} bytes"
    try:
        with Pillow.open(BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > limits.image_pixels:
                raise _too_large(name, f"{width} x {height} pixels", limits)
            # a JPEG can be decoded at a half, a quarter or an eighth of its size at a fraction of the cost
            image.draft("RGB", (min(width, longest), min(height, longest)))
            return _upright(image, longest)
    except _BOMB as error:
        raise _too_large(name, "far too many pixels", limits) from error
    except _DAMAGED as error:
        raise UnsupportedMedia(
            f"{name!r} cannot be read as an image: {error}.", remedy=f"Send one of {', '.join(_FORMATS)}."
        ) from error


def _too_large(name: str, size: str, limits: Limits) -> TooLarge:
    return TooLarge(
        f"The image {name!r} has {size}; {limits.image_pixels:,} are allowed.",
        remedy="Reduce it, or raise SUTRADHAR_LIMITS__IMAGE_PIXELS.",
    )


def _upright(image: Pillow.Image, longest: int) -> Image:
    turned = ImageOps.exif_transpose(image)
    if max(turned.size) > longest:
        turned.thumbnail((longest, longest), Pillow.Resampling.BILINEAR)
    if turned.mode in {"RGBA", "LA", "PA"} or "transparency" in turned.info:
        layer = turned.convert("RGBA")
        turned = Pillow.new("RGBA", layer.size, "white")
        turned.alpha_composite(layer)
    elif turned.mode.startswith("I;16") or turned.mode == "I":
        turned = Pillow.fromarray((np.asarray(turned).astype(np.uint32) >> 8).astype(np.uint8))
    return np.asarray(turned.convert("RGB"))


async def open_images(
    media: MediaStore, refs: Sequence[str], limits: Limits, *, batch: int = BATCH
) -> AsyncGenerator[list[Image], None]:
    """The images behind media references, by the batch; the next batch is decoded while the caller uses the last."""
    rest = iter(refs)

    async def take() -> list[Image]:
        paths = [await media.local(ref) for ref in islice(rest, batch)]
        return await asyncio.to_thread(lambda: [open_image(path, limits) for path in paths])

    coming = asyncio.create_task(take())
    try:
        while images := await coming:
            coming = asyncio.create_task(take())
            yield images
    finally:
        coming.cancel()
