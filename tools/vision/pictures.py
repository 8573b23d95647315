"""Images on their way to a model: made small enough, chosen from a clip, laid out as a grid, coded as JPEG."""

import base64
import io
from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from tools.vision import Image

_QUALITY = 88
_GAP = 4


def reduced(image: Image, side: int) -> Image:
    """The image with a longer side of at most `side` pixels."""
    height, width = image.shape[:2]
    if max(height, width) <= side:
        return image
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS, reducing_gap=2.0))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly from the first to the last."""
    if count <= most:
        return list(range(count))
    return [round(place) for place in np.linspace(0, count - 1, most)] if most > 1 else [(count - 1) // 2]


def grid(images: Sequence[Image], times: Sequence[float], side: int) -> Image:
    """Frames in rows from left to right, each with its second: how a model that sees one image sees a clip.

    After «An Image Grid Can Be Worth a Video» (Kim et al., 2024).
    """
    columns = ceil(len(images) ** 0.5)
    cell = (side - _GAP * (columns - 1)) // columns
    small = [reduced(image, cell) for image in images]
    height, width = max(each.shape[0] for each in small), max(each.shape[1] for each in small)
    rows = ceil(len(images) / columns)
    size = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    sheet, font = Pillow.new("RGB", size, "white"), ImageFont.load_default(size=max(10, cell // 16))
    draw = ImageDraw.Draw(sheet)
    for number, (image, time) in enumerate(zip(small, times, strict=True)):
        place = (number % columns * (width + _GAP), number // columns * (height + _GAP))
        sheet.paste(Pillow.fromarray(image), place)
        draw.text(place, f"{time:.1f} s", font=font, fill="white", stroke_width=2, stroke_fill="black")
    return np.asarray(sheet)


def data_uri(image: Image) -> str:
    """The image as a JPEG in a `data:` address."""
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
